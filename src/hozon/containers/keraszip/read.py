"""Reading a ``.keras`` archive, one unzipped, or a ``.weights.h5`` file as a `ModelRecord`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from hozon.containers.keraszip.layout import (
    ASSETS,
    CONFIG,
    INNER_OPTIMIZER,
    LOSS_SCALE,
    METADATA,
    NAME,
    NPZ_WEIGHTS,
    OLD_LAYERS,
    OPTIMIZER,
    VARS,
    WEIGHTS,
)
from hozon.containers.keraszip.unzipped import Unzipped, set_of
from hozon.errors import FormatError, UnsupportedError
from hozon.formats.archive import Archive, is_zip
from hozon.formats.hdf5.reader import Group, open_hdf5
from hozon.formats.jsondoc import parse_object
from hozon.limits import LIMITS
from hozon.raw.stores import is_directory, open_source, place
from hozon.record import TRAINED_BY, Dialect, LazyNames, ModelRecord, StateGroup, marked


def read(path: str | os.PathLike[str], *, check: bool = True) -> ModelRecord:
    """The model or the weights of a file; tensors are mapped from it, not read.

    Args:
        path: the file, or a folder of an archive's members.
        check: whether to compare an archive's checksum of its weights now; else when the first
            tensor is read whole.

    Raises:
        FormatError: it is neither, or damaged.
        UnsafeError: it leads elsewhere: a member out of the archive, a link to another file.
        UnsupportedError: a tensor has a type or compression that is not known.
    """
    where = place(path)
    if is_directory(where):
        return _model(Unzipped(where), where, check)
    source = open_source(where)
    if not is_zip(source):
        return _weights(open_hdf5(source))
    return _model(Archive(source), source.name, check)


def _model(archive: Archive | Unzipped, file: str, check: bool) -> ModelRecord:
    config = dict(parse_object(archive.read(CONFIG, LIMITS.header_bytes), file=file, record=CONFIG))
    metadata = (
        parse_object(archive.read(METADATA, LIMITS.header_bytes), file=file, record=METADATA)
        if METADATA in archive
        else {}
    )
    version = str(metadata.get("keras_version", ""))
    dialect: Dialect = "keras2" if version.startswith("2.") else "keras3"
    training = config.pop("compile_config", None) or None  # empty for a model never compiled
    weights = _weights_of(archive, file, check)
    if dialect == "keras2" and isinstance(training, dict) and weights.metadata.get(LOSS_SCALE):
        training = _with_loss_scale(training)
    return replace(
        weights,
        form="keras",
        path=file,
        dialect=dialect,
        producer=_producer(metadata),
        config=config,
        training=training if isinstance(training, dict) else None,
        assets={
            name[len(ASSETS) :]: partial(archive.read, name)
            for name in sorted(archive.members)
            if name.startswith(ASSETS)
        },
        metadata={"version": version, **weights.metadata},
    )


def _producer(metadata: Mapping[str, Any]) -> str:
    """Who wrote it, of which version: Keras, and KerasHub where it is a preset of that."""
    told = (("keras", "keras_version"), ("KerasHub", "keras_hub_version"))
    return ", ".join(f"{name} {metadata[key]}" for name, key in told if metadata.get(key))


def _weights_of(archive: Archive | Unzipped, file: str, check: bool) -> ModelRecord:
    index = set_of(file) if isinstance(archive, Unzipped) else None
    if index is None:
        return _weights(_state(archive, file, check))
    from hozon.containers.shards.read import read as read_set  # which reads HDF5 by this module

    return read_set(index)


def _with_loss_scale(training: dict[str, Any]) -> dict[str, Any]:
    """A compile config with the optimizer that tf_keras trained with.

    Where models are of mixed precision it wraps the optimizer that `compile` is given in one that
    scales losses, of which only the groups of its state tell.
    """
    optimizer = training.get("optimizer")
    named = optimizer.get("class_name") if isinstance(optimizer, dict) else optimizer
    if named is None or LOSS_SCALE in str(named):
        return training
    return {
        **training,
        "optimizer": {"class_name": LOSS_SCALE, "config": {"inner_optimizer": optimizer}},
    }


def _state(archive: Archive | Unzipped, file: str, check: bool) -> Group:
    if WEIGHTS in archive:
        return open_hdf5(archive.open(WEIGHTS, check=check))
    if NPZ_WEIGHTS in archive:
        raise UnsupportedError(
            "the weights are in an NPZ file, where Keras keeps pickled objects, which could run "
            "any code",
            feature=NPZ_WEIGHTS,
            file=file,
            instead="save the model again with h5py installed",
        )
    raise FormatError(
        f"{file} has no member {WEIGHTS!r}",
        file=file,
        record=WEIGHTS,
        found=", ".join(sorted(archive.members)[:8]),
    )


def _weights(root: Group) -> ModelRecord:
    groups = list(groups_of(root, ""))
    scales = any(group.name == INNER_OPTIMIZER for group in groups)
    return ModelRecord(
        form="weights.h5",
        path=root.file,
        dialect="keras3",
        naming="attributes",
        state=tuple(g for g in groups if not is_of_optimizer(g)),
        optimizer=next((g for g in groups if g.name == OPTIMIZER), None),
        names=LazyNames(lambda: dict(names_of(root, "")), lambda path: _name_at(root, path)),
        metadata={LOSS_SCALE: scales, **marked(root.attribute(TRAINED_BY))},
    )


def names_of(group: Group, path: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """The names of the objects below a group, by path, where Keras wrote them (since 3.11)."""
    if depth > LIMITS.nesting:
        raise FormatError("the weights are nested too deeply", file=group.file, record=path)
    for name in group.names():
        if not group.is_group(name):
            continue
        inner = group.group(name)
        if name == VARS:
            told = inner.attribute(NAME)
            if isinstance(told, str) and path:
                yield _plain(path), told
        else:
            yield from names_of(inner, f"{path}/{name}" if path else name, depth + 1)


def _name_at(root: Group, path: str) -> str | None:
    """The name of the object at one path; None where the file has none just there."""
    group = root
    for part in (*path.split("/"), VARS):
        if not group.is_group(part):
            return None
        group = group.group(part)
    told = group.attribute(NAME)
    return told if isinstance(told, str) else None


def is_of_optimizer(group: StateGroup) -> bool:
    """Whether a group is the optimizer's, or of something that it holds."""
    return group.name == OPTIMIZER or group.name.startswith(f"{OPTIMIZER}/")


def groups_of(group: Group, path: str, depth: int = 0) -> Iterator[StateGroup]:
    """The variables below a group, those of one object at a time."""
    if depth > LIMITS.nesting:
        raise FormatError("the weights are nested too deeply", file=group.file, record=path)
    for name in group.names():
        if not group.is_group(name):
            continue
        inner = group.group(name)
        if name == VARS:
            tensors = {
                n: inner.tensor(n)
                for n in sorted(inner.names(), key=_position)
                if inner.is_tensor(n)
            }
            if tensors:
                yield StateGroup(_plain(path), tensors)
        else:
            yield from groups_of(inner, f"{path}/{name}" if path else name, depth + 1)


def _plain(path: str) -> str:
    """A path as Keras 3 spells it: files written on Windows have backslashes."""
    parts = path.replace("\\", "/").split("/")
    return "/".join("layers" if part == OLD_LAYERS else part for part in parts)


def _position(name: str) -> tuple[Any, ...]:
    return (0, int(name), "") if name.isdigit() else (1, 0, name)
