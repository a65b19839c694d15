"""What this process writes of a value: all of it, the parts that lie on its devices, or nothing."""

from __future__ import annotations

from typing import Any

from hozon.raw.team import leads, team
from hozon.stored.dtypes import dtype_of_numpy
from hozon.stored.extents import Extents
from hozon.stored.streams import Parts


def own(value: Any) -> Any:
    """What of a value is this process' to write, None where nothing is.

    An array that JAX has laid out over devices is not gathered: each part is written by the process
    that has the first copy of it. Every other value is the leader's.
    """
    if not hasattr(value, "is_fully_addressable") or _is_local(value):
        return value if leads() else None
    shards = [shard for shard in value.addressable_shards if shard.replica_id == 0]
    parts = [(_extents(shard.index, value.shape), shard.data) for shard in shards]
    if value.is_fully_replicated:
        return parts[0][1] if parts else None
    return Parts(tuple(value.shape), dtype_of_numpy(value.dtype), parts) if parts else None


def _extents(index: tuple[slice, ...], shape: tuple[int, ...]) -> Extents:
    bounds = (part.indices(length) for part, length in zip(index, shape, strict=True))
    return tuple((start, stop - start) for start, stop, _ in bounds)


def _is_local(array: Any) -> bool:
    """Whether an array is whole on a device of this process, or of this one of several alone."""
    return bool(array.is_fully_addressable) and (array.is_fully_replicated or team() is not None)
