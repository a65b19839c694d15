"""Rows for the core layers: Dense, Embedding, reshaping, regularization, padding, merging."""

from __future__ import annotations

from hozon.config.dialects.rules import Convert, Drop, DropNeutral, Rename, Rule, Table, tuples

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
