"""Telling these files by what is in them."""

from __future__ import annotations

import os
from typing import Literal

from hozon.containers.keraszip.layout import CONFIG, OLD_LAYERS, OPTIMIZER, VARS
from hozon.containers.keraszip.unzipped import is_unzipped
from hozon.formats.archive import Archive, is_zip
from hozon.formats.hdf5.reader import Group, is_hdf5, open_hdf5
from hozon.raw.stores import is_file, open_source, place

Found = Literal["keras", "weights.h5"]
#: Groups of a model's weights, of which one at least is there.
TOP = ("layers", OLD_LAYERS, VARS, OPTIMIZER, "_operations")


def detect(path: str | os.PathLike[str]) -> Found | None:
    """``"keras"`` for a whole model, ``"weights.h5"`` for weights, None for anything else.

    Raises:
        FormatError: it is a zip archive or an HDF5 file, and damaged.
        UnsafeError: a member leads out of the archive, or a group is a link.
    """
    where = place(path)
    if not is_file(where):
        return "keras" if is_unzipped(where) else None
    source = open_source(where)
    if is_zip(source):
        return "keras" if CONFIG in Archive(source) else None
    return "weights.h5" if is_hdf5(source) and holds_paths(open_hdf5(source)) else None


def holds_paths(root: Group) -> bool:
    """Whether an HDF5 file names variables by the paths of attributes."""
    if root.has_attribute("layer_names") or root.has_attribute("layer_names0"):
        return False
    return any(root.is_group(name) for name in TOP) or any(
        root.is_group(name) and VARS in root.group(name) for name in root.names()
    )
