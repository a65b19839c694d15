"""Reading a set of shards; see `layout.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from hozon.audit import Audit
from hozon.containers import safetensors
from hozon.containers.keraszip.audit import audit_weights
from hozon.containers.keraszip.layout import OPTIMIZER, VARS
from hozon.containers.keraszip.read import groups_of, is_of_optimizer, names_of
from hozon.containers.own_checksums import audit_own
from hozon.containers.shards.layout import (
    KERAS,
    METADATA,
    SAFETENSORS,
    SHARDS,
    TOTAL,
    WEIGHT_MAP,
    Layout,
)
from hozon.errors import FormatError, UnsafeError
from hozon.formats.hdf5.reader import open_hdf5
from hozon.formats.jsondoc import parse_object
from hozon.limits import LIMITS
from hozon.raw.stores import (
    exists,
    is_cached,
    is_directory,
    is_link,
    join,
    open_source,
    parent_and_name,
    place,
    size,
)
from hozon.record import LazyNames, ModelRecord, StateGroup
from hozon.stored.lazy import LazyTensor


def detect(path: str | os.PathLike[str]) -> str | None:
    """How the index of such a set ends, by the kind of its shards; None for anything else.

    Raises:
        UnsafeError: the index names a file that is not beside it.
    """
    where = place(path)
    if is_directory(where) or not where.endswith(".json"):
        return None
    try:
        return _kind(weight_map_of(where)).suffix
    except FormatError:
        return None


def read(path: str | os.PathLike[str]) -> ModelRecord:
    """The weights of all shards; tensors are mapped from them, not read.

    Raises:
        FormatError: the index or a shard is missing or damaged, or they contradict each other.
        UnsafeError: the index names a file that is not beside it.
    """
    where = place(path)
    weight_map = weight_map_of(where)
    found: dict[str, dict[str, LazyTensor]] = {}
    for name in dict.fromkeys(name for names in weight_map.values() for name in names):
        for group in _shard(where, name):
            _merge(found.setdefault(group.name, {}), group, where)
    _check_all_there(where, weight_map, found)
    groups = [StateGroup(name, held) for name, held in found.items()]
    return ModelRecord(
        form=_kind(weight_map).suffix.lstrip("."),
        path=where,
        dialect="keras3",
        naming="attributes",
        state=tuple(group for group in groups if not is_of_optimizer(group)),
        optimizer=next((group for group in groups if group.name == OPTIMIZER), None),
        names=LazyNames(lambda: _object_names(where, weight_map)),
    )


def files_of(path: str) -> list[str]:
    """The index of a set, and those of its files that are there and are no links elsewhere."""
    folder = parent_and_name(path)[0]
    shards = dict.fromkeys(name for names in weight_map_of(path).values() for name in names)
    found = [join(folder, name) for name in shards]
    return [path, *(f for f in found if exists(f) and (not is_link(f) or is_cached(f)))]


def audit(path: str, found: Audit) -> None:
    """Check a set: the index, that each of its files is there, each file, and all of them together.

    Raises:
        FormatError: the index is damaged.
        UnsafeError: it names a file that is not beside it.
    """
    folder = parent_and_name(path)[0]
    weight_map = weight_map_of(path)
    found.nbytes += size(path)
    if not audit_own(open_source(path), found):
        found.leave("index", size(path))
    for name in dict.fromkeys(name for names in weight_map.values() for name in names):
        with found.checking("files of the set", name, path):
            if not exists(join(folder, name)):
                raise FormatError(f"the shard {name!r} is missing", file=path, record=name)
            check = safetensors.audit if name.endswith(".safetensors") else audit_weights
            check(join(folder, name), found)
    before = len(found.damage)
    with found.checking("sets", file=path):
        if not before:
            _check_total(path, read(path), found)


def _check_total(where: str, record: ModelRecord, found: Audit) -> None:
    source = open_source(where)
    index = parse_object(bytes(source.view(0, source.size)), file=where, record="index")
    metadata = index.get(METADATA)
    said = metadata.get(TOTAL) if isinstance(metadata, dict) else None
    stored = record.nbytes + (0 if record.optimizer is None else record.optimizer.nbytes)
    if isinstance(said, int) and said != stored:
        found.damaged(
            "the index says another number of bytes than its files hold",
            file=where,
            record=TOTAL,
            expected=f"{said} bytes",
            found=f"{stored} bytes",
        )


def _kind(weight_map: Mapping[str, list[str]]) -> Layout:
    """The kind of a set; one without shards is Keras'."""
    names = {name for names in weight_map.values() for name in names}
    return SAFETENSORS if names and all(n.endswith(".safetensors") for n in names) else KERAS


def _object_names(where: str, weight_map: Mapping[str, list[str]]) -> dict[str, str]:
    """The names of objects in all shards."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(name for names in weight_map.values() for name in names):
        place_of = join(parent_and_name(where)[0], name)
        if name.endswith(".safetensors"):
            found |= safetensors.read(place_of).names
        else:
            found |= dict(names_of(open_hdf5(open_source(place_of)), ""))
    return found


def weight_map_of(where: str) -> dict[str, list[str]]:
    """The shards of each object's variables."""
    source = open_source(where)
    if source.size > LIMITS.header_bytes:
        raise FormatError(f"{where} is no index: it is too long", file=where)
    index = parse_object(bytes(source.view(0, source.size)), file=where, record="index")
    found = index.get(WEIGHT_MAP)
    if not isinstance(found, dict):
        raise FormatError(f"{where} has no {WEIGHT_MAP!r}", file=where, record=WEIGHT_MAP)
    return {path: _names(value, where, path) for path, value in found.items()}


def _names(value: Any, where: str, path: str) -> list[str]:
    names = value if isinstance(value, list) else [value]
    for name in names:
        if not isinstance(name, str) or not name.endswith(SHARDS):
            raise FormatError(
                f"{where} names no shard for {path!r}",
                file=where,
                record=path,
                expected=" or ".join(SHARDS),
                found=f"{name!r:.80}",
            )
        if name != parent_and_name(name)[1] or "\\" in name or name.startswith("."):
            raise UnsafeError(
                f"{where} names a file that is not beside it: {name!r}",
                file=where,
                record=path,
                refused=name,
                allow="move the shards beside the index and name them there",
            )
    return names


def _shard(where: str, name: str) -> Iterator[StateGroup]:
    place_of = join(parent_and_name(where)[0], name)
    if is_link(place_of) and not is_cached(place_of):
        raise UnsafeError(
            f"the shard {name!r} is a link",
            file=where,
            refused=name,
            allow="put the file itself beside the index",
        )
    if not exists(place_of):
        raise FormatError(f"the shard {name!r} of {where} is missing", file=where, record=name)
    if name.endswith(".safetensors"):
        yield from safetensors.read(place_of).state
    else:
        yield from groups_of(open_hdf5(open_source(place_of)), "")


def _merge(into: dict[str, LazyTensor], group: StateGroup, where: str) -> None:
    for name, tensor in group.tensors.items():
        if name in into:
            raise FormatError(
                f"two shards of {where} hold {group.name}/{VARS}/{name}",
                file=where,
                record=f"{group.name}/{VARS}/{name}",
            )
        into[name] = tensor


def _check_all_there(
    where: str, weight_map: Mapping[str, Any], found: Mapping[str, Mapping[str, LazyTensor]]
) -> None:
    single = {tensor.name for group in found.values() for tensor in group.values()}
    for path in weight_map:
        name = path.strip("/").removesuffix(VARS).rstrip("/")
        if name not in found and path not in single:
            raise FormatError(
                f"{where} lists {path!r}, which its shards do not hold", file=where, record=path
            )
