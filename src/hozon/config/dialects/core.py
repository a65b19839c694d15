"""Rows for the core layers: Dense, Embedding, reshaping, regularization, padding, merging."""

from __future__ import annotations

from hozon.config.dialects.rules import (
    Convert,
    Default,
    Drop,
    DropNeutral,
    Entry,
    Newer,
    Rename,
    Rule,
    Table,
    tuples,
)
from hozon.errors import UnsupportedError

SPATIAL_DROPOUT: tuple[Rule, ...] = (Drop("noise_shape", "trainable"),)
PADDING: tuple[Rule, ...] = (Convert("padding", tuples),)
CROPPING: tuple[Rule, ...] = (Convert("cropping", tuples),)

CORE: Table = {
    "Embedding": (Drop("input_length", "sparse"),),
    "LeakyReLU": (Rename("alpha", "negative_slope"),),
    "ReLU": (Rename("alpha", "negative_slope"),),
    "PReLU": (Convert("shared_axes", list),),
    "Reshape": (Convert("target_shape", tuples),),
    "Permute": (Convert("dims", tuples),),
    "Dropout": (Convert("noise_shape", tuples),),
    "AlphaDropout": (Convert("noise_shape", tuples),),
    "SpatialDropout1D": SPATIAL_DROPOUT,
    "SpatialDropout2D": SPATIAL_DROPOUT,
    "SpatialDropout3D": SPATIAL_DROPOUT,
    "ZeroPadding1D": PADDING,
    "ZeroPadding2D": PADDING,
    "ZeroPadding3D": PADDING,
    "Cropping1D": CROPPING,
    "Cropping2D": CROPPING,
    "Cropping3D": CROPPING,
    "Dot": (Convert("axes", tuples),),
    "ActivityRegularization": (DropNeutral("activity_regularizer", (None,)),),
    "Concatenate": (Drop("mode"),),
}


def merged_lora(entry: Entry) -> None:
    """Low-rank updates are extra weights, which Keras 2's layers do not have."""
    Newer("lora_rank", (None, 0))(entry)
    entry.config.pop("lora_alpha", None)


def named_function(entry: Entry) -> None:
    """Keras 2 wrote a function's name beside its type; bytecode is for the Keras that made it."""
    function = entry.config.get("function")
    if not isinstance(function, dict) or function.get("class_name") != "function":
        raise UnsupportedError(
            f"layer {entry.name!r} is a Lambda around Python bytecode, which computes with Keras 3",
            feature="Lambda",
            record=entry.name,
            instead="a named function",
        )
    registered, name = str(function.get("registered_name")), str(function.get("config"))
    entry.config.update(
        function=registered if ">" in registered else name,
        function_type="function",
        module=function.get("module"),
        output_shape_type="raw",
        output_shape_module=None,
    )


KERNEL: tuple[Rule, ...] = (
    merged_lora,
    Newer("quantization_config"),
    Drop("gptq_unpacked_column_size"),
)

CORE_WRITTEN: Table = {
    "Dense": KERNEL,
    "EinsumDense": KERNEL,
    "Embedding": (*KERNEL, Drop("weights")),
    "Lambda": (named_function,),
    "LeakyReLU": (Rename("negative_slope", "alpha"),),
    "AlphaDropout": (Default("noise_shape", None),),
    "ZeroPadding1D": (Newer("data_format", (None, "channels_last")),),
    "SpatialDropout1D": (Drop("noise_shape"),),
    "SpatialDropout2D": (Drop("noise_shape"),),
    "SpatialDropout3D": (Drop("noise_shape"),),
}
