"""Weights as safetensors <-> `ModelRecord`.

Tensors are called as in a ``.keras`` file, ``layers/dense/vars/0``. The metadata, where there is a
model, holds its config under `CONFIG`, its compile config under `TRAINING`, and the names of its
layers by their paths under `NAMES`, as JSON.
"""

from __future__ import annotations

import json
import os

from hozon.audit import Audit
from hozon.containers.agreement import audit_record
from hozon.containers.keraszip.layout import VARS
from hozon.containers.own_checksums import audit_own
from hozon.errors import SaveError, UnsupportedError
from hozon.formats.jsondoc import parse_object
from hozon.formats.safetensors import is_safetensors, read_header, write_safetensors
from hozon.raw.commit import replacing_file
from hozon.raw.stores import exists, is_directory, open_source, place
from hozon.record import ModelRecord, StateGroup
from hozon.stored.lazy import LazyTensor

CONFIG, TRAINING, NAMES = "config", "compile_config", "names"
MARK = f"/{VARS}/"


def detect(path: str | os.PathLike[str]) -> str | None:
    """``"safetensors"``, or None for anything else."""
    where = place(path)
    if is_directory(where):
        return None
    return "safetensors" if is_safetensors(open_source(where)) else None


def read(path: str | os.PathLike[str]) -> ModelRecord:
    """The weights of a file; tensors are mapped from it, not read.

    Raises:
        FormatError: it is no safetensors file, or damaged.
        UnsupportedError: a tensor has a type that is not known.
    """
    source = open_source(place(path))
    tensors, metadata = read_header(source)
    groups: dict[str, dict[str, LazyTensor]] = {}
    for name in sorted(tensors, key=_order):
        owner, _, own = name.rpartition(MARK) if MARK in name else ("", "", name)
        own = own.removeprefix(f"{VARS}/")
        groups.setdefault(owner, {})[own] = tensors[name]
    parsed = {
        key: parse_object(metadata[key], file=source.name, record=key)
        for key in (CONFIG, TRAINING, NAMES)
        if key in metadata
    }
    return ModelRecord(
        form="safetensors",
        path=source.name,
        dialect="keras3",
        naming="attributes",
        producer=metadata.get("producer", ""),
        config=parsed.get(CONFIG),
        training=parsed.get(TRAINING),
        state=tuple(StateGroup(name, group) for name, group in groups.items()),
        names={k: v for k, v in (parsed.get(NAMES) or {}).items() if isinstance(v, str)},
    )


def audit(path: str, found: Audit) -> None:
    """Check the header of a file: types, shapes, and that offsets leave no gap to its end."""
    source = open_source(place(path))
    found.nbytes += source.size
    with found.checking("headers", file=path):
        tensors, _ = read_header(source)
        found.checked["tensor extents"] += len(tensors)
        audit_record(read(path), found)
    if not audit_own(source, found):
        found.leave("safetensors files have no checksum", source.size)


def write(record: ModelRecord, path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write weights, whole or not at all.

    Raises:
        SaveError: it cannot be written, or exists and may not be replaced. Nothing has changed.
        UnsupportedError: the record names its tensors otherwise, or has a type that the format
            does not have.
    """
    if record.naming != "attributes":
        raise UnsupportedError(
            f"safetensors names variables by attributes, the record by {record.naming}",
            feature=f"naming {record.naming!r}",
            file=record.path or None,
        )
    if not overwrite and exists(place(path)):
        raise SaveError(
            f"{os.fspath(path)} exists already",
            file=path,
            instead="overwrite=True, or another path",
        )
    write_state(record, os.fspath(path))


def write_state(record: ModelRecord, path: str, *, durable: bool | None = None) -> None:
    """Write a record whose tensors are named by attributes; `durable` as in `raw.commit`."""
    tensors = {
        name_of(group.name, name): tensor
        for group in record.state
        for name, tensor in group.tensors.items()
    }
    metadata = {"format": "keras"}
    said = ((CONFIG, record.config), (TRAINING, record.training), (NAMES, dict(record.names)))
    for key, value in said:
        if value:
            metadata[key] = json.dumps(value)
    with replacing_file(path, durable=durable) as fresh:
        write_safetensors(fresh, tensors, metadata)


def name_of(owner: str, name: str) -> str:
    """The name of a tensor of an object."""
    return f"{owner}{MARK}{name}".lstrip("/")


def _order(name: str) -> tuple[str, int, str]:
    owner, _, own = name.rpartition("/")
    return (owner, int(own), "") if own.isdigit() else (owner, 0, own)
