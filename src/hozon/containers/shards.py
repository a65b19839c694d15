"""Weights in several HDF5 files with a JSON index <-> `ModelRecord`.

``name.weights.json`` holds ``{"metadata": {"total_size": bytes}, "weight_map": {path: file}}``,
where a path is ``/layers/dense/vars`` and a file the name, or a list of names, of the shards beside
it; each shard is a ``.weights.h5`` file of some of the variables (keras/src/saving/saving_lib.py,
ShardedH5IOStore). Keras opens ``name_00000.weights.h5`` before it looks into the index.

An index whose shards are safetensors files, as ``model.safetensors.index.json``, lists tensors
instead of objects (huggingface_hub/serialization/_base.py). It is read, not written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from hozon.audit import Audit
from hozon.containers import safetensors
from hozon.containers.keraszip.audit import audit_weights
from hozon.containers.keraszip.layout import OPTIMIZER, VARS
from hozon.containers.keraszip.read import groups_of, is_of_optimizer, names_of
from hozon.containers.keraszip.write import write_weights
from hozon.errors import FormatError, HozonError, SaveError, UnsafeError, UnsupportedError
from hozon.formats.hdf5.reader import open_hdf5
from hozon.formats.jsondoc import parse_object
from hozon.limits import LIMITS
from hozon.raw.commit import replacing_file
from hozon.raw.staging import publishing
from hozon.raw.stores import (
    absolute,
    exists,
    is_directory,
    is_link,
    join,
    open_source,
    parent_and_name,
    place,
    remove_file,
    size,
    write_bytes,
)
from hozon.record import LazyNames, ModelRecord, StateGroup
from hozon.stored.lazy import LazyTensor

SUFFIX, SHARD_SUFFIX = ".weights.json", ".weights.h5"
#: What names of shards end in.
SHARDS = (".h5", ".safetensors")
METADATA, TOTAL, WEIGHT_MAP = "metadata", "total_size", "weight_map"
GIB = 1024**3
#: Bytes of a shard where nobody says how many.
DEFAULT_SHARD = 5 * GIB

EMPTY: Mapping[str, str] = MappingProxyType({})

#: One variable: the name of its object, its own, and the tensor.
Item = tuple[str, str, LazyTensor]


def detect(path: str | os.PathLike[str]) -> str | None:
    """``"weights.json"`` for the index of such a set, None for anything else.

    Raises:
        UnsafeError: the index names a file that is not beside it.
    """
    where = place(path)
    if is_directory(where) or not where.endswith(".json"):
        return None
    try:
        _weight_map(where)
    except FormatError:
        return None
    return "weights.json"


def read(path: str | os.PathLike[str]) -> ModelRecord:
    """The weights of all shards; tensors are mapped from them, not read.

    Raises:
        FormatError: the index or a shard is missing or damaged, or they contradict each other.
        UnsafeError: the index names a file that is not beside it.
    """
    where = place(path)
    weight_map = _weight_map(where)
    found: dict[str, dict[str, LazyTensor]] = {}
    for name in dict.fromkeys(name for names in weight_map.values() for name in names):
        for group in _shard(where, name):
            _merge(found.setdefault(group.name, {}), group, where)
    _check_all_there(where, weight_map, found)
    groups = [StateGroup(name, held) for name, held in found.items()]
    return ModelRecord(
        form="weights.json",
        path=where,
        dialect="keras3",
        naming="attributes",
        state=tuple(group for group in groups if not is_of_optimizer(group)),
        optimizer=next((group for group in groups if group.name == OPTIMIZER), None),
        names=LazyNames(lambda: _object_names(where, weight_map)),
    )


def audit(path: str, found: Audit) -> None:
    """Check a set: the index, that each of its files is there, each file, and all of them together.

    Raises:
        FormatError: the index is damaged.
        UnsafeError: it names a file that is not beside it.
    """
    folder = parent_and_name(path)[0]
    weight_map = _weight_map(path)
    found.nbytes += size(path)
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


def write(
    record: ModelRecord,
    path: str | os.PathLike[str],
    overwrite: bool = True,
    shard_bytes: int = DEFAULT_SHARD,
) -> int:
    """Write weights as a set of shards, whole or not at all; the bytes of all its files.

    New shards never take the names of those that the present index needs, and the index is replaced
    last. What the old one needed is removed after that.

    Raises:
        SaveError: it cannot be written, exists and may not be replaced, or a variable alone is
            larger than a shard.
        UnsupportedError: the record names its tensors otherwise.
    """
    where = place(path)
    if not where.endswith(SUFFIX):
        raise SaveError(
            f"{where} does not end in {SUFFIX!r}",
            file=where,
            instead=f"a path that ends in {SUFFIX!r}",
        )
    if not overwrite and exists(where):
        raise SaveError(
            f"{where} exists already", file=where, instead="overwrite=True, or another path"
        )
    groups = [*record.state, *([record.optimizer] if record.optimizer is not None else [])]
    if record.naming != "attributes":
        raise UnsupportedError(
            f"this form names variables by attributes, the record by {record.naming}",
            feature=f"naming {record.naming!r}",
            file=record.path or None,
        )
    parts = list(_parts(groups, shard_bytes, where)) or [[]]
    with publishing(absolute(where)):
        return _replace(where, parts, record.names)


def _replace(where: str, parts: Sequence[Sequence[Item]], object_names: Mapping[str, str]) -> int:
    old = _old_shards(where)
    names = _fresh_names(where, len(parts), old)
    files = [join(parent_and_name(where)[0], name) for name in names]
    durable = True if old else None  # the old shards go once these are on the disk
    try:
        for file, part in zip(files, parts, strict=True):
            told = object_names if part is parts[0] else EMPTY
            write_weights(_record_of(part, told), file, durable=durable)
        _write_index(where, names, parts)
    except BaseException:
        _remove(files)
        raise
    first = _settle(where, names, old)
    return sum(map(size, {where, first, *files}))


# Reading


def _weight_map(where: str) -> dict[str, list[str]]:
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
    if is_link(place_of):
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


# Writing


def _parts(groups: Sequence[StateGroup], limit: int, where: str) -> Iterator[list[Item]]:
    """Variables in order, as many as fit into one shard at a time."""
    part: list[Item] = []
    filled = 0
    for group in groups:
        for name, tensor in group.tensors.items():
            if tensor.nbytes > limit:
                raise SaveError(
                    f"{group.name}/{name} has {tensor.nbytes:,} bytes, more than a shard of "
                    f"{limit:,}",
                    file=where,
                    instead="a larger max_shard_size",
                )
            if part and filled + tensor.nbytes > limit:
                yield part
                part, filled = [], 0
            part.append((group.name, name, tensor))
            filled += tensor.nbytes
    if part:
        yield part


def _record_of(part: Sequence[Item], names: Mapping[str, str] = EMPTY) -> ModelRecord:
    groups: dict[str, dict[str, LazyTensor]] = {}
    for owner, name, tensor in part:
        groups.setdefault(owner, {})[name] = tensor
    return ModelRecord(
        form="weights.h5",
        path="",
        dialect="keras3",
        naming="attributes",
        state=tuple(StateGroup(name, held) for name, held in groups.items()),
        names=names,
    )


def _write_index(where: str, names: Sequence[str], parts: Sequence[Sequence[Item]]) -> None:
    shards: dict[str, list[str]] = {}
    for name, part in zip(names, parts, strict=True):
        for owner, _, _ in part:
            at = shards.setdefault(f"/{owner}/{VARS}" if owner else f"/{VARS}", [])
            if name not in at:
                at.append(name)
    total = sum(tensor.nbytes for part in parts for _, _, tensor in part)
    index = {
        METADATA: {TOTAL: total},
        WEIGHT_MAP: {path: at[0] if len(at) == 1 else at for path, at in shards.items()},
    }
    with replacing_file(where) as fresh:
        write_bytes(fresh, json.dumps(index, indent=4).encode())


def _base(where: str) -> str:
    return parent_and_name(where)[1].removesuffix(SUFFIX)


def _named(base: str, number: int) -> str:
    return f"{base}_{number:05}{SHARD_SUFFIX}"


def _fresh_names(where: str, count: int, old: set[str]) -> list[str]:
    """Names of new shards, of two families by turns: those that the present index does not need."""
    families = (_base(where), f"{_base(where)}-1")
    base = next(b for b in families if not any(name.startswith(f"{b}_") for name in old))
    return [_named(base, number) for number in range(count)]


def _old_shards(where: str) -> set[str]:
    """The shards of the set that is to be replaced, none where there is no readable one."""
    if not exists(where):
        return set()
    with suppress(HozonError):
        return {name for names in _weight_map(where).values() for name in names}
    return set()


def _settle(where: str, names: Sequence[str], old: set[str]) -> str:
    """Remove what the old index needed; the file that Keras opens first, empty where it is new."""
    folder, first = parent_and_name(where)[0], _named(_base(where), 0)
    own = (f"{_base(where)}_", f"{_base(where)}-1_")
    _remove([join(folder, name) for name in old - set(names) if name.startswith(own)])
    if first not in names:
        write_weights(_record_of([]), join(folder, first))
    return join(folder, first)


def _remove(files: Sequence[str]) -> None:
    for file in files:
        remove_file(file)
