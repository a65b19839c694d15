"""Rows for Keras 1 (0.3 to 1.2): argument names that Keras 2 changed.

Source: keras 2.0's own conversion, `keras/legacy/interfaces.py`, and its release notes.
"""

from __future__ import annotations

from hozon.config.dialects.rules import Drop, Entry, Rename, Rule, Table

FORMATS = {"tf": "channels_last", "th": "channels_first", "default": "channels_last"}


def data_format(entry: Entry) -> None:
    """`dim_ordering` was the image format of a backend."""
    ordering = entry.config.pop("dim_ordering", None)
    if ordering in FORMATS:
        entry.config.setdefault("data_format", FORMATS[ordering])


def kernel_size(entry: Entry) -> None:
    """The sizes of a kernel were separate arguments."""
    found = [
        entry.config.pop(key)
        for key in ("kernel_dim1", "kernel_dim2", "kernel_dim3")
        if key in entry.config
    ]
    sides = [entry.config.pop(key) for key in ("nb_row", "nb_col") if key in entry.config]
    if found or sides:
        entry.config.setdefault("kernel_size", found or sides)


def merge(entry: Entry) -> None:
    """One Merge layer with a mode was what Add, Concatenate ... are now."""
    mode = entry.config.pop("mode", "sum")
    axis, axes = entry.config.pop("concat_axis", -1), entry.config.pop("dot_axes", -1)
    for key in (
        "mode_type",
        "output_shape",
        "output_shape_type",
        "output_mask",
        "arguments",
        "output_mask_type",
        "layers",
        "node_indices",
        "tensor_indices",
    ):
        entry.config.pop(key, None)
    if mode == "concat":
        entry.config["axis"] = axis
    if mode in ("dot", "cos"):
        entry.config.update(axes=axes, normalize=mode == "cos")
    entry.class_name = MERGES.get(mode, "Merge")


MERGES = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
    "dot": "Dot",
    "cos": "Dot",
}
#: Names that every Keras 1 layer changed in the same way.
RENAMED: tuple[Rule, ...] = (
    Rename("init", "kernel_initializer"),
    Rename("W_regularizer", "kernel_regularizer"),
    Rename("U_regularizer", "recurrent_regularizer"),
    Rename("b_regularizer", "bias_regularizer"),
    Rename("W_constraint", "kernel_constraint"),
    Rename("b_constraint", "bias_constraint"),
    Rename("bias", "use_bias"),
    Rename("border_mode", "padding"),
)
CONVOLUTION: tuple[Rule, ...] = (
    *RENAMED,
    Rename("nb_filter", "filters"),
    Rename("subsample", "strides"),
    Rename("subsample_length", "strides"),
    Rename("filter_length", "kernel_size"),
    Rename("atrous_rate", "dilation_rate"),
    Rename("depthwise_init", "depthwise_initializer"),
    kernel_size,
    data_format,
)
RECURRENT: tuple[Rule, ...] = (
    Rename("output_dim", "units"),
    Rename("init", "kernel_initializer"),
    Rename("inner_init", "recurrent_initializer"),
    Rename("inner_activation", "recurrent_activation"),
    Rename("dropout_W", "dropout"),
    Rename("dropout_U", "recurrent_dropout"),
    Drop("consume_less", "forget_bias_init"),
    *RENAMED,
)
POOLING: tuple[Rule, ...] = (
    Rename("pool_length", "pool_size"),
    Rename("stride", "strides"),
    Rename("border_mode", "padding"),
    data_format,
)
RATE: tuple[Rule, ...] = (Rename("p", "rate"), Rename("sigma", "stddev"), data_format)
SPATIAL: tuple[Rule, ...] = (data_format, Rename("length", "size"))

DENSE: tuple[Rule, ...] = (Rename("output_dim", "units"), *RENAMED)
BATCH_NORM: tuple[Rule, ...] = (
    Rename("beta_init", "beta_initializer"),
    Rename("gamma_init", "gamma_initializer"),
)
CONVOLUTIONS = (
    "Convolution1D",
    "Convolution2D",
    "Convolution3D",
    "Deconvolution2D",
    "AtrousConvolution1D",
    "AtrousConvolution2D",
    "SeparableConvolution2D",
    "LocallyConnected1D",
    "LocallyConnected2D",
    "Conv1D",
    "Conv2D",
    "Conv3D",
)
POOLINGS = tuple(f"{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3))
GLOBALS = tuple(f"Global{kind}Pooling{n}D" for kind in ("Max", "Average") for n in (1, 2, 3))

KERAS1: Table = {
    **dict.fromkeys(CONVOLUTIONS, CONVOLUTION),
    **dict.fromkeys(POOLINGS, POOLING),
    **dict.fromkeys(GLOBALS, (data_format,)),
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU"), RECURRENT),
    **dict.fromkeys(
        (
            "Dropout",
            "GaussianDropout",
            "GaussianNoise",
            "SpatialDropout1D",
            "SpatialDropout2D",
            "SpatialDropout3D",
        ),
        RATE,
    ),
    **dict.fromkeys(
        (
            "UpSampling1D",
            "UpSampling2D",
            "UpSampling3D",
            "ZeroPadding1D",
            "ZeroPadding2D",
            "ZeroPadding3D",
            "Cropping1D",
            "Cropping2D",
            "Cropping3D",
            "Flatten",
        ),
        SPATIAL,
    ),
    "Dense": DENSE,
    "TimeDistributedDense": DENSE,
    "Embedding": (
        Rename("init", "embeddings_initializer"),
        Rename("W_regularizer", "embeddings_regularizer"),
        Rename("W_constraint", "embeddings_constraint"),
        Drop("dropout"),
    ),
    "BatchNormalization": BATCH_NORM,
    "Merge": (merge,),
}
