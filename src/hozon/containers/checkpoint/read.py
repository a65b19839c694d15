"""Finding and opening a TensorFlow checkpoint.

A checkpoint is named by its prefix: ``<prefix>.index`` and ``<prefix>.data-*-of-*``. A folder
may hold a text file ``checkpoint`` that names the latest prefix (checkpoint_state.proto).
"""

from __future__ import annotations

import os
import re

from hozon.containers.foreign import describe_foreign
from hozon.errors import ForeignFileError, FormatError, MissingFileError, UnsafeError
from hozon.formats.bundle import Bundle, is_bundle, open_bundle
from hozon.objects.keys import OBJECT_GRAPH_KEY
from hozon.raw.own_checksum import check_own
from hozon.raw.sources import MemorySource
from hozon.raw.stores import (
    exists,
    is_absolute,
    is_directory,
    is_file,
    is_inside,
    join,
    names,
    parent_and_name,
    place,
    read_bytes,
)
from hozon.record import ModelRecord, StateGroup

STATE_FILE = "checkpoint"
INDEX_SUFFIX = ".index"
#: The ends of a checkpoint's files.
SUFFIX = re.compile(r"\.index$|\.data-\d{5}-of-\d{5}$")
LATEST = re.compile(r'^model_checkpoint_path:\s*"((?:[^"\\]|\\.)*)"', re.MULTILINE)


def detect(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a checkpoint prefix, one of its files, or a folder that names one."""
    return find_prefix(path) is not None


def find_prefix(path: str | os.PathLike[str]) -> str | None:
    """The prefix that a path means, None if it means none."""
    where = place(path)
    if is_bundle(where):
        return where
    if is_directory(where):
        return latest_prefix(where)
    prefix = SUFFIX.sub("", where)
    return prefix if prefix != where and is_bundle(prefix) else None


def latest_prefix(folder: str) -> str | None:
    """The prefix that a folder's state file names, else the only one in the folder."""
    state = join(folder, STATE_FILE)
    if is_file(state):
        found = LATEST.search(read_state(state))
        if found is not None:
            return _inside(folder, found.group(1))
    indexes = [name for name in names(folder) if name.endswith(INDEX_SUFFIX)]
    return join(folder, indexes[0].removesuffix(INDEX_SUFFIX)) if len(indexes) == 1 else None


def read_state(file: str) -> str:
    """The text of a state file.

    Raises:
        FormatError: it is not what Hozon wrote.
    """
    data = read_bytes(file)
    try:
        check_own(MemorySource(file, data))
    except FormatError as error:
        raise FormatError(
            f"{error.message}; if you edited it, remove its last line",
            file=file,
            expected=error.expected,
            found=error.found,
        ) from error
    return data.decode(errors="replace")


def _inside(folder: str, name: str) -> str:
    """A prefix named in a state file: an absolute one is looked up beside the state file."""
    prefix = join(folder, parent_and_name(name)[1] if is_absolute(name) else name)
    if not is_inside(prefix, folder):
        raise UnsafeError(
            f"{join(folder, STATE_FILE)} names {name!r}, which lies outside its folder"
        )
    return prefix


def read(path: str | os.PathLike[str]) -> Bundle:
    """Open the checkpoint that a path means; its tensors are read when used.

    Raises:
        MissingFileError: there is nothing.
        ForeignFileError: there is something else.
    """
    prefix = find_prefix(path)
    if prefix is None:
        raise no_checkpoint(place(path))
    return open_bundle(prefix)


def read_record(path: str | os.PathLike[str]) -> ModelRecord:
    """The tensors of a checkpoint by their keys; the object graph is among the metadata."""
    bundle = read(path)
    graph = bundle.get(OBJECT_GRAPH_KEY)
    kind = "name-based" if graph is None else "object-based"
    return ModelRecord(
        form="tf_checkpoint",
        path=bundle.prefix,
        dialect="keras2",
        naming="objects",
        producer="TensorFlow",
        state=(StateGroup("", bundle.without(OBJECT_GRAPH_KEY)),),
        metadata={"kind": kind, OBJECT_GRAPH_KEY: graph},
    )


def no_checkpoint(where: str) -> FormatError:
    """The error to raise for a path that means no checkpoint."""
    if not exists(where):
        return MissingFileError(
            f"there is no checkpoint {where}: {where}{INDEX_SUFFIX} does not exist", file=where
        )
    return ForeignFileError(
        f"{where} is no checkpoint: {describe_foreign(where)}",
        file=where,
        instead="give a checkpoint by the prefix before .index, or by its folder",
    )
