"""Telling Keras H5 files by what is in them."""

from __future__ import annotations

import os
from typing import Literal

from hozon.containers.h5.layout import CONFIG, LAYER_NAMES, OLD_LAYERS, WEIGHTS
from hozon.formats.hdf5.reader import Group, is_hdf5, open_hdf5
from hozon.raw.stores import is_directory, open_source, place

Found = Literal["h5", "h5_weights"]


def detect(path: str | os.PathLike[str]) -> Found | None:
    """``"h5"`` for a whole model, ``"h5_weights"`` for weights, None for anything else.

    Raises:
        FileNotFoundError: there is nothing at the path.
        FormatError: it is an HDF5 file, and damaged.
        UnsafeError: a group is a link.
    """
    where = place(path)
    if is_directory(where):
        return None
    source = open_source(where)
    return found_in(open_hdf5(source)) if is_hdf5(source) else None


def found_in(root: Group) -> Found | None:
    """What an open file holds."""
    if root.has_attribute(CONFIG):
        return "h5"
    return None if weights_group(root) is None else "h5_weights"


def weights_group(root: Group) -> Group | None:
    """The group with the layers' weights: of a whole model, or the root itself."""
    places = [root.group(WEIGHTS)] if root.is_group(WEIGHTS) else []
    for group in (*places, root):
        if any(group.has_attribute(name) for name in (LAYER_NAMES, f"{LAYER_NAMES}0", OLD_LAYERS)):
            return group
    return None
