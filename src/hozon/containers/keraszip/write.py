"""Writing a `ModelRecord` as a ``.keras`` archive or a ``.weights.h5`` file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from hozon.containers.keraszip.layout import ASSETS, CONFIG, METADATA, NAME, VARS, WEIGHTS
from hozon.errors import SaveError, UnsupportedError
from hozon.formats.archive import write_archive
from hozon.formats.hdf5.writer import write_hdf5
from hozon.raw.commit import replacing_file
from hozon.raw.stores import exists, place
from hozon.record import ModelRecord, StateGroup

#: The version that a file names: of the Keras whose dialect its config speaks.
VERSIONS = {"keras2": "2.15.0", "keras3": "3.15.1"}


def write(record: ModelRecord, path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a whole model as a ``.keras`` archive, whole or not at all.

    Raises:
        SaveError: it cannot be written, or exists and may not be replaced. Nothing has changed.
        UnsupportedError: the record has no config, or names its tensors otherwise.
    """
    if record.config is None:
        raise UnsupportedError(
            "a .keras file holds a model; there are only weights",
            feature="weights in a .keras file",
        )
    _check(record, path, overwrite)
    with replacing_file(path) as fresh:
        write_archive(fresh, _members(record))


def write_weights(
    record: ModelRecord,
    path: str | os.PathLike[str],
    overwrite: bool = True,
    *,
    durable: bool | None = None,
) -> None:
    """Write weights as a ``.weights.h5`` file, whole or not at all; see `write`.

    `durable` says whether to wait for the disk; None, if something is replaced.
    """
    _check(record, path, overwrite)
    with replacing_file(path, durable=durable) as fresh:
        _write_state(record, fresh)


def _check(record: ModelRecord, path: str | os.PathLike[str], overwrite: bool) -> None:
    if record.naming != "attributes":
        raise UnsupportedError(
            f"this form names variables by attributes, the record by {record.naming}",
            feature=f"naming {record.naming!r}",
            file=record.path or None,
        )
    if not overwrite and exists(place(path)):
        raise SaveError(
            f"{os.fspath(path)} exists already",
            file=path,
            instead="overwrite=True, or another path",
        )


def _members(record: ModelRecord) -> Iterator[tuple[str, Any]]:
    config = dict(record.config or {})
    if record.training is not None:
        config["compile_config"] = record.training
    version = {"keras_version": VERSIONS.get(record.dialect, "3.15.1")}
    yield METADATA, json.dumps(version).encode()
    yield CONFIG, json.dumps(config).encode()
    yield WEIGHTS, lambda file: _write_state(record, WEIGHTS, file)
    for name, content in sorted(record.assets.items()):
        yield ASSETS + name, content()


def _write_state(record: ModelRecord, path: str, into: BinaryIO | None = None) -> None:
    with write_hdf5(path, into) as root:
        for name, value in record.marks.items():
            root.attribute(name, value)
        root.group(VARS)  # tf_keras asks for the model's own, even if it has none
        groups = [*record.state, *([record.optimizer] if record.optimizer is not None else [])]
        for group in groups:
            _write_group(root, group)
        for path, name in sorted(record.names.items()):
            root.group(f"{path}/{VARS}").attribute(NAME, name)


def _write_group(root: Any, group: StateGroup) -> None:
    place = f"{group.name}/{VARS}" if group.name else VARS
    into = root.group(place)
    for name, tensor in group.tensors.items():
        into.tensor(name, tensor)
