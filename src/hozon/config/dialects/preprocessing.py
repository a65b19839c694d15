"""Rows for preprocessing layers: images, categories, text."""

from __future__ import annotations

from typing import Any

from hozon.config.dialects.rules import (
    Become,
    Convert,
    Default,
    Drop,
    Entry,
    Newer,
    NoLayer,
    Rename,
    Rule,
    Table,
    tuples,
)

GENERATOR = Drop("rng_type", "force_generator", "auto_vectorize")
RANDOM: tuple[Rule, ...] = (GENERATOR,)
RANDOM_AREA: tuple[Rule, ...] = (
    GENERATOR,
    Convert("factor", tuples),
    Convert("height_factor", tuples),
    Convert("width_factor", tuples),
)
#: Interpolations that Keras 3 lacks, and one that it computes otherwise.
OTHERWISE = frozenset({"bicubic", "area", "gaussian", "mitchellcubic"})
INTERPOLATION = "Keras 3 has another interpolation of that name or none"
#: These layers run on strings or on integers as text; a dtype only names what they give.
HOST: tuple[Rule, ...] = (Drop("dtype"),)


def bins(entry: Entry) -> None:
    """`bins` was a list of boundaries or a number; Keras 3 takes one of the two it became."""
    value = entry.config.pop("bins", None)
    if value is not None:
        entry.config["bin_boundaries" if isinstance(value, list) else "num_bins"] = value


def found_bins(entry: Entry) -> None:
    """Keras 2 takes a number of bins or their boundaries; those that `adapt` found are given."""
    if entry.config.get("num_bins") is not None and entry.config.get("bin_boundaries") is not None:
        count = entry.config.pop("num_bins")
        entry.tell(f"num_bins={count} became the boundaries that adapt() found; it adapts no more")


def resizing(entry: Entry) -> None:
    """Those of `OTHERWISE` are TensorFlow's."""
    if entry.config.get("interpolation") in OTHERWISE:
        Become("hozon>Resizing", INTERPOLATION)(entry)
        entry.config.pop("data_format", None)


def widths(value: Any) -> Any:
    """Keras 2 takes several widths of n-grams as a tuple, which its JSON tells by a tag.

    All up to one are that one, which every file can say.
    """
    if isinstance(value, (list, tuple)) and sorted(value) == list(range(1, len(value) + 1)):
        return len(value)
    if isinstance(value, (list, tuple)):
        return {"class_name": "__tuple__", "items": list(value)}
    return value


PREPROCESSING: Table = {
    "Resizing": (resizing,),
    "UpSampling2D": (
        Become(
            "hozon>UpSampling2D",
            INTERPOLATION,
            lambda config: config.get("interpolation") in OTHERWISE,
        ),
    ),
    "RandomFlip": RANDOM,
    "RandomRotation": RANDOM_AREA,
    "RandomTranslation": RANDOM_AREA,
    "RandomZoom": RANDOM_AREA,
    "RandomContrast": RANDOM_AREA,
    "RandomBrightness": (GENERATOR, Convert("value_range", tuples)),
    "RandomCrop": (
        GENERATOR,
        Become("hozon>RandomCrop", "at inference Keras 2 resizes and crops to the size"),
    ),
    "RandomHeight": (
        GENERATOR,
        Become("hozon>RandomHeight", "Keras 3 has no RandomHeight"),
        Convert("factor", tuples),
    ),
    "RandomWidth": (
        GENERATOR,
        Become("hozon>RandomWidth", "Keras 3 has no RandomWidth"),
        Convert("factor", tuples),
    ),
    "Discretization": (bins,),
    "CategoryEncoding": (Rename("max_tokens", "num_tokens"), Drop("sparse")),
    "RandomFourierFeatures": (
        Become("hozon>RandomFourierFeatures", "Keras 3 has no RandomFourierFeatures"),
        Rename("kernel_initializer", "kernel"),
    ),
    "ThresholdedReLU": (Become("hozon>ThresholdedReLU", "Keras 3 has no ThresholdedReLU"),),
    "TextVectorization": HOST,
    "StringLookup": HOST,
    "IntegerLookup": (
        *HOST,
        Rename("max_values", "max_tokens"),
        Rename("mask_value", "mask_token"),
        Rename("oov_value", "oov_token"),
    ),
    "Hashing": HOST,
    "HashedCrossing": HOST,
}

LAST = Newer("data_format", (None, "channels_last"))
IMAGE: tuple[Rule, ...] = (
    LAST,
    Newer("bounding_box_format"),
    Drop("auto_vectorize"),
)
CROPPED = "Keras 2 crops at inference, Keras 3 does not"
#: Of lookup layers, for tokens that are not in the vocabulary.
OTHER_HASH = Newer("salt")

PREPROCESSING_WRITTEN: Table = {
    **dict.fromkeys(
        (
            "RandomFlip",
            "RandomRotation",
            "RandomTranslation",
            "RandomZoom",
            "RandomBrightness",
            "CenterCrop",
            "hozon>RandomCrop",
        ),
        IMAGE,
    ),
    "RandomContrast": (*IMAGE, Newer("value_range", (None, [0, 255], (0, 255), [0.0, 255.0]))),
    "RandomCrop": (NoLayer(CROPPED),),
    "Resizing": (
        *IMAGE,
        Newer("pad_to_aspect_ratio"),
        Newer("antialias"),
        Drop("fill_mode", "fill_value"),
    ),
    "hozon>RandomFourierFeatures": (Rename("kernel", "kernel_initializer"),),
    "Discretization": (found_bins,),
    "TextVectorization": (Convert("ngrams", widths), Default("dtype", "string")),
    # Strings are hashed in any case.
    "StringLookup": (Drop("oov_method"), OTHER_HASH),
    "IntegerLookup": (Newer("oov_method", (None, "floormod")), OTHER_HASH),
}
