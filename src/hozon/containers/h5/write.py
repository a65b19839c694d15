"""Writing: a `ModelRecord` as an H5 file that Keras 2 and 3 open."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from hozon.containers.h5.layout import (
    BACKEND,
    CONFIG,
    LAYER_NAMES,
    OPTIMIZER,
    OPTIMIZER_KERAS3,
    TOP_LEVEL,
    TRAINING,
    TRAINING_KERAS3,
    VERSION,
    WEIGHT_NAMES,
    WEIGHTS,
)
from hozon.errors import UnsupportedError
from hozon.formats.hdf5.writer import GroupWriter, write_hdf5
from hozon.raw.commit import replacing_file
from hozon.raw.stores import exists, place
from hozon.record import ModelRecord, StateGroup

#: The version that a file names where the record does not say which Keras it speaks for.
VERSIONS = {"keras1": "1.2.2", "keras2": "2.15.0", "keras3": "3.15.1"}


def write(record: ModelRecord, path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a record with naming ``"layers"``: a whole model, or weights where it has no config.

    Args:
        record: what is to be written; tensors are read one at a time.
        path: the file. It is replaced in one step, or left as it was.
        overwrite: whether an existing file may be replaced.

    Raises:
        FileExistsError: the file exists and may not be replaced.
        SaveError: it cannot be written.
        UnsupportedError: the record's tensors have no layers' names.
    """
    if record.naming != "layers":
        raise UnsupportedError(
            f"an H5 file keeps weights by layer, this record by {record.naming}",
            feature=f"naming {record.naming!r}",
            file=record.path or None,
        )
    if not overwrite and exists(place(path)):
        raise FileExistsError(f"{os.fspath(path)} exists")
    with replacing_file(path) as fresh, write_hdf5(fresh) as root:
        _write(record, root)


def _write(record: ModelRecord, root: GroupWriter) -> None:
    if record.form == "h5_weights" or record.config is None:
        _weights(record, root)
        return
    _origin(record, root)
    root.attribute(CONFIG, _json(record.config))
    if record.training is not None:
        alike = record.training_dialect == record.dialect
        root.attribute(TRAINING if alike else TRAINING_KERAS3, _json(record.training))
    _weights(record, root.group(WEIGHTS))
    for name, value in record.marks.items():
        root.attribute(name, value)
    if record.optimizer is not None:
        place = OPTIMIZER_KERAS3 if record.training_dialect == "keras3" else OPTIMIZER
        _variables(record.optimizer, root.group(place))


def _origin(record: ModelRecord, group: GroupWriter) -> None:
    version = record.producer.removeprefix("keras ") or VERSIONS[record.dialect]
    group.attribute(VERSION, version)
    group.attribute(BACKEND, record.backend or "tensorflow")


def _weights(record: ModelRecord, group: GroupWriter) -> None:
    names = [layer.name for layer in record.state if layer.name != TOP_LEVEL]
    group.names_attribute(LAYER_NAMES, names)
    _origin(record, group)
    # A name that begins another one, with "/" after it, must not be met as a group of its own.
    for layer in sorted(record.state, key=lambda layer: layer.name):
        _variables(layer, group.group(layer.name))


def _variables(state: StateGroup, group: GroupWriter) -> None:
    group.names_attribute(WEIGHT_NAMES, list(state.tensors))
    for name, tensor in state.tensors.items():
        group.tensor(name, tensor)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value)
