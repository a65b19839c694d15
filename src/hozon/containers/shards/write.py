"""Writing a set of shards, whole or not at all; see `layout.py`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from hozon.containers.shards.layout import LAYOUTS, METADATA, TOTAL, WEIGHT_MAP, Layout
from hozon.containers.shards.read import weight_map_of
from hozon.errors import HozonError, SaveError, UnsupportedError
from hozon.raw.commit import replacing_file
from hozon.raw.own_checksum import with_own
from hozon.raw.staging import in_place, publishing
from hozon.raw.stores import (
    absolute,
    exists,
    join,
    parent_and_name,
    place,
    remove_file,
    size,
    write_bytes,
)
from hozon.record import ModelRecord, StateGroup
from hozon.stored.lazy import LazyTensor

GIB = 1024**3
#: Bytes of a shard where nobody says how many.
DEFAULT_SHARD = 5 * GIB

#: One variable: the name of its object, its own, and the tensor.
Item = tuple[str, str, LazyTensor]


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
    layout = _layout(where)
    if not overwrite and exists(where):
        raise SaveError(
            f"{where} exists already", file=where, instead="overwrite=True, or another path"
        )
    if record.naming != "attributes":
        raise UnsupportedError(
            f"this form names variables by attributes, the record by {record.naming}",
            feature=f"naming {record.naming!r}",
            file=record.path or None,
        )
    kept = [] if record.optimizer is None or layout.by_tensor else [record.optimizer]
    parts = list(_parts([*record.state, *kept], shard_bytes, where)) or [[]]
    with publishing(absolute(where)):
        return _replace(layout, where, parts, record)


def _layout(where: str) -> Layout:
    found = next((layout for layout in LAYOUTS if where.endswith(layout.suffix)), None)
    if found is None:
        ends = " or ".join(repr(layout.suffix) for layout in LAYOUTS)
        raise SaveError(
            f"{where} does not end in {ends}", file=where, instead=f"a path that ends in {ends}"
        )
    return found


def _replace(
    layout: Layout, where: str, parts: Sequence[Sequence[Item]], record: ModelRecord
) -> int:
    old = _old_shards(where)
    names = _fresh_names(layout, where, len(parts), old)
    files = [join(parent_and_name(where)[0], name) for name in names]
    durable = True if old else None  # the old shards go once these are on the disk
    try:
        for file, part in zip(files, parts, strict=True):
            told = record.names if part is parts[0] else {}
            layout.put(_record_of(part, told), file, durable=durable)
        _write_index(layout, where, names, parts)
    except BaseException as error:
        needed = _old_shards(where)  # those of the new index, once it is in place
        _remove(file for name, file in zip(names, files, strict=True) if name not in needed)
        if isinstance(error, SaveError) and error.file in files:
            why = f"{where} cannot be saved: {error}"
            instead = error.instead
            raise SaveError(why, file=where, errno=error.errno, instead=instead) from error
        raise
    if layout.keeps_first:
        files.append(_first(layout, where, names))
    _remove(set(_left(layout, where, old - set(names))) - set(files))
    return sum(map(size, {where, *files}))


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


def _record_of(part: Sequence[Item], names: Mapping[str, str]) -> ModelRecord:
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


def _write_index(
    layout: Layout, where: str, names: Sequence[str], parts: Sequence[Sequence[Item]]
) -> None:
    shards: dict[str, list[str]] = {}
    for shard, part in zip(names, parts, strict=True):
        for owner, name, _ in part:
            at = shards.setdefault(layout.entry(owner, name), [])
            if shard not in at:
                at.append(shard)
    total = sum(tensor.nbytes for part in parts for _, _, tensor in part)
    index = {
        METADATA: {TOTAL: total},
        WEIGHT_MAP: {path: at[0] if len(at) == 1 else at for path, at in shards.items()},
    }
    with replacing_file(where) as fresh:
        write_bytes(fresh, with_own(json.dumps(index, indent=4).encode()))


def _families(layout: Layout, where: str) -> tuple[str, str]:
    """The two names that a set's shards have by turns."""
    base = layout.base(where)
    return base, f"{base}-1"


def _fresh_names(layout: Layout, where: str, count: int, old: set[str]) -> list[str]:
    """Names of new shards: those of the family that the present index does not need."""
    base = next(
        base
        for base in _families(layout, where)
        if not any(layout.is_of(base, name) for name in old)
    )
    return layout.names(base, count)


def _old_shards(where: str) -> set[str]:
    """The shards of the set that is to be replaced, none where there is no readable one."""
    if not exists(where):
        return set()
    with suppress(HozonError):
        return {name for names in weight_map_of(where).values() for name in names}
    return set()


def _left(layout: Layout, where: str, names: set[str]) -> Iterator[str]:
    """The files, of those that the old index needed, that are surely shards of this set."""
    families = _families(layout, where)
    for name in names:
        if any(layout.is_of(base, name) for base in families):
            yield join(parent_and_name(where)[0], name)


def _first(layout: Layout, where: str, names: Sequence[str]) -> str:
    """The file that Keras opens first; it is empty where the set does without it."""
    name = layout.names(layout.base(where), 1)[0]
    file = join(parent_and_name(where)[0], name)
    if name not in names:
        try:
            layout.put(_record_of([], {}), file)
        except SaveError as error:
            raise in_place(where, "the file that Keras opens first is not", error) from error
    return file


def _remove(files: Iterable[str]) -> None:
    for file in files:
        with suppress(OSError):  # nothing needs it, and the next save tries again
            remove_file(file)
