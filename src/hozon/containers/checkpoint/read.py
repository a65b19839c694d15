"""Finding and opening a TensorFlow checkpoint.

A checkpoint is named by its prefix: ``<prefix>.index`` and ``<prefix>.data-*-of-*``. A folder
may hold a text file ``checkpoint`` that names the latest prefix (checkpoint_state.proto).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from hozon.errors import FormatError, UnsafeError
from hozon.formats.bundle import Bundle, open_bundle

STATE_FILE = "checkpoint"
INDEX_SUFFIX = ".index"
LATEST = re.compile(r'^model_checkpoint_path:\s*"((?:[^"\\]|\\.)*)"', re.MULTILINE)


def detect(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a checkpoint prefix, one of its files, or a folder that names one."""
    return find_prefix(path) is not None


def find_prefix(path: str | os.PathLike[str]) -> Path | None:
    """The prefix that a path means, None if it means none."""
    given = Path(path)
    if given.is_dir():
        return latest_prefix(given)
    if given.name.endswith(INDEX_SUFFIX) and given.is_file():
        return given.with_name(given.name.removesuffix(INDEX_SUFFIX))
    data = re.sub(r"\.data-\d{5}-of-\d{5}$", "", given.name)
    prefix = given.with_name(data)
    return prefix if prefix.with_name(prefix.name + INDEX_SUFFIX).is_file() else None


def latest_prefix(folder: Path) -> Path | None:
    """The prefix that a folder's state file names, else the only one in the folder."""
    state = folder / STATE_FILE
    if state.is_file():
        found = LATEST.search(state.read_text(errors="replace"))
        if found is not None:
            return _inside(folder, found.group(1))
    indexes = sorted(folder.glob(f"*{INDEX_SUFFIX}"))
    if len(indexes) == 1:
        return indexes[0].with_name(indexes[0].name.removesuffix(INDEX_SUFFIX))
    return None


def _inside(folder: Path, name: str) -> Path:
    """A prefix named in a state file: an absolute one is looked up beside the state file."""
    prefix = folder / Path(name).name if Path(name).is_absolute() else folder / name
    if not prefix.resolve().is_relative_to(folder.resolve()):
        raise UnsafeError(f"{folder / STATE_FILE} names {name!r}, which lies outside its folder")
    return prefix


def read(path: str | os.PathLike[str]) -> Bundle:
    """Open the checkpoint that a path means; its tensors are read when used.

    Raises FormatError when there is none.
    """
    prefix = find_prefix(path)
    if prefix is None:
        raise FormatError(
            f"{path} is not a TensorFlow checkpoint: there is no {path}{INDEX_SUFFIX}",
            file=str(path),
        )
    return open_bundle(prefix)
