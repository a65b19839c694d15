"""The rule for gather: Slice, GatherV2 or GatherNd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.rules import Equation, Rules
from hozon.graphs.emit.values import Dim, Tensor

INDEX = Rules("index")


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of an operand that start where rows of an index array say.

    `indexed`: the operand's dimension for each column of the indices. `dropped`: dimensions of
    the operand (of window size 1) that the windows lack. `batch`: pairs of a dimension of the
    operand and one of the indices that run together. `sizes`: the windows' sizes by dimension of
    the operand. `offsets`: where the windows' dimensions are in the window array.
    """

    indexed: tuple[int, ...]
    dropped: tuple[int, ...]
    batch: tuple[tuple[int, int], ...]
    sizes: tuple[Dim, ...]
    offsets: tuple[int, ...]

    @property
    def kept(self) -> list[int]:
        """The operand's dimensions that the windows have, in order."""
        gone = (*self.dropped, *(i for i, _ in self.batch))
        return [i for i in range(len(self.sizes)) if i not in gone]

    def widened(self, shape: Sequence[Dim]) -> list[int]:
        """Dimensions where windows are more than one element and less than all of the operand."""
        return [i for i in self.kept if not self._is_whole(i, shape)]

    def _is_whole(self, i: int, shape: Sequence[Dim]) -> bool:
        """A window as large as the operand has one place to be."""
        return steps.same_dims([self.sizes[i]], [shape[i]])

    def batch_places(self, rank: int) -> list[int]:
        """Where the dimensions of the indices are in a window array of `rank` dimensions."""
        return [i for i in range(rank) if i not in self.offsets]


def _ints(values: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _gather_windows(eqn: Equation) -> Windows:
    numbers = eqn.params["dimension_numbers"]
    pairs = zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True)
    return Windows(
        _ints(numbers.start_index_map),
        _ints(numbers.collapsed_slice_dims),
        tuple((int(i), int(j)) for i, j in pairs),
        tuple(eqn.params["slice_sizes"]),
        _ints(numbers.offset_dims),
    )


@INDEX.rule("gather")
def gather(body: Body, eqn: Equation, x: Tensor, indices: Tensor) -> Tensor:
    """Windows of `x`, one per row of `indices`; outside of `x` they move inside or are filled."""
    windows = _gather_windows(eqn)
    dims = tuple(eqn.out_avals[0].shape)
    indices = _as_index(body, indices)
    fills = is_mode(eqn, "FILL_OR_DROP")
    inside, starts = clamped(body, windows, x.shape, indices, fills)
    result = _gathered(body, windows, x, starts, dims)
    return result if inside is None else _filled(body, eqn, windows, inside, result)


def is_mode(eqn: Equation, name: str) -> bool:
    """Whether the equation's mode for indices outside of the operand is this one."""
    mode = eqn.params["mode"]
    return getattr(mode, "name", str(mode)) == name


def _as_index(body: Body, indices: Tensor) -> Tensor:
    wide = indices.dtype.itemsize == 8 or indices.dtype == np.uint32
    return steps.cast(body, indices, np.int64 if wide else np.int32)


def clamped(
    body: Body, windows: Windows, shape: Sequence[Dim], indices: Tensor, check: bool
) -> tuple[Tensor | None, Tensor]:
    """Which rows of the indices lie inside, and all rows moved inside.

    The first is None when it is known that all do, or without `check`.
    """
    limits = [shape[d] - windows.sizes[d] for d in windows.indexed]
    value = body.value(indices)
    if value is not None and steps.is_known(limits):
        top = np.asarray([int(limit) for limit in limits], indices.dtype)
        if np.all((value >= 0) & (value <= top)):
            return None, indices
    if not limits:
        return None, indices
    top_tensor = steps.cast(body, body.shape(tuple(limits)), indices.dtype)
    zero = steps.scalar(body, 0, indices.dtype)
    high = steps.op(body, "Minimum", [indices, top_tensor], indices)
    starts = steps.op(body, "Maximum", [high, zero], indices)
    if not check:
        return None, starts
    same = steps.typed(body, "Equal", [starts, indices], np.bool_, indices.shape)
    axis = steps.integers(body, [len(indices.shape) - 1])
    return steps.op(body, "All", [same, axis], same, indices.shape[:-1]), starts


def _filled(body: Body, eqn: Equation, windows: Windows, inside: Tensor, result: Tensor) -> Tensor:
    rank = len(result.shape)
    places = windows.batch_places(rank)
    dims = [result.shape[i] if i in places else 1 for i in range(rank)]
    mask = steps.reshape(body, inside, dims)
    fill = eqn.params["fill_value"]
    value = steps.scalar(body, _default_fill(result.dtype) if fill is None else fill, result.dtype)
    return steps.op(body, "SelectV2", [mask, result, value], result)


def _default_fill(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return True
    if dtype.kind in "iu":
        return np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max
    return np.nan


def _gathered(
    body: Body, windows: Windows, x: Tensor, starts: Tensor, dims: tuple[Dim, ...]
) -> Tensor:
    if len(starts.shape) == 1 and not windows.batch:
        return one_window(body, windows, x, starts, dims)
    x = _unindexed_cut(body, windows, x)
    if _is_take(windows, x):
        return _take(body, windows, x, starts, dims)
    return _gather_nd(body, windows, x, starts, dims)


def one_window(
    body: Body, windows: Windows, x: Tensor, starts: Tensor, dims: tuple[Dim, ...]
) -> Tensor:
    """The only window, where `starts`, a vector, says; `dims` are its sizes without those of 1."""
    return steps.reshape(body, _sliced(body, windows, x, starts), dims)


def _sliced(body: Body, windows: Windows, x: Tensor, starts: Tensor) -> Tensor:
    value = body.value(starts)
    if value is not None:
        begin = [0] * len(x.shape)
        for dim, start in zip(windows.indexed, value, strict=True):
            begin[dim] = int(start)
        return steps.cut(body, x, begin, windows.sizes)
    if windows.indexed == tuple(range(len(x.shape))):
        return steps.cut(body, x, steps.cast(body, starts, np.int32), windows.sizes)
    places = body.constant(np.asarray(windows.indexed, np.int32).reshape(-1, 1))
    rank = steps.integers(body, [len(x.shape)])
    starts = steps.cast(body, starts, np.int32)
    begin_tensor = steps.op(body, "ScatterNd", [places, starts, rank], starts, (len(x.shape),))
    return steps.cut(body, x, begin_tensor, windows.sizes)


def _unindexed_cut(body: Body, windows: Windows, x: Tensor) -> Tensor:
    """Windows start at 0 in dimensions that no index names: what they never reach goes."""
    loose = set(range(len(x.shape))) - set(windows.indexed) - {i for i, _ in windows.batch}
    size = [windows.sizes[i] if i in loose else dim for i, dim in enumerate(x.shape)]
    return steps.cut(body, x, [0] * len(size), size)


def _is_take(windows: Windows, x: Tensor) -> bool:
    """Whether rows along one dimension are taken, in parallel for leading dimensions."""
    if len(windows.indexed) != 1 or windows.widened(x.shape):
        return False
    (axis,) = windows.indexed
    count = len(windows.batch)
    leading = windows.batch == tuple((i, i) for i in range(count))
    return axis in windows.dropped and len(windows.dropped) == 1 and leading and axis >= count


def _take(body: Body, windows: Windows, x: Tensor, starts: Tensor, dims: tuple[Dim, ...]) -> Tensor:
    (axis,), count = windows.indexed, len(windows.batch)
    rows = steps.reshape(body, starts, starts.shape[:-1])
    found = (*x.shape[:axis], *rows.shape[count:], *x.shape[axis + 1 :])
    inputs = [x, rows, steps.scalar(body, axis, np.int32)]
    result = steps.op(body, "GatherV2", inputs, x, found, batch_dims=count)
    # The result's dimensions: batch, then the operand's before the axis, the rows', the others.
    before, inner = axis - count, len(rows.shape) - count
    places, offsets = windows.batch_places(len(dims)), list(windows.offsets)
    labels = [*places[:count], *offsets[:before], *places[count : count + inner], *offsets[before:]]
    return steps.transpose(body, result, list(np.argsort(labels)))


def addresses(
    body: Body, windows: Windows, shape: Sequence[Dim], starts: Tensor
) -> tuple[list[int], Tensor]:
    """The full address of every element that windows hold.

    Returns the operand's dimensions that are addressed, and int addresses of shape
    [dimensions of the indices..., sizes of widened window dimensions..., addressed dimensions].
    """
    widened = windows.widened(shape)
    rows = starts.shape[:-1]
    grid = (*rows, *(windows.sizes[i] for i in widened))
    rank = len(grid)
    batch = [i for i, _ in windows.batch]
    named = [i for i in windows.indexed if i in widened or i not in windows.kept]
    dims = [*batch, *named, *(i for i in widened if i not in named)]
    if dims == list(windows.indexed) and not widened:
        return dims, starts
    if not dims:
        return dims, steps.cut(body, starts, [0] * len(starts.shape), (*rows, 0))
    columns = {
        d: _column(body, starts, k, rank) for k, d in enumerate(windows.indexed) if d in named
    }
    for i, j in windows.batch:
        columns[i] = _counter(body, rows[j], j, rank, starts.dtype)
    for k, d in enumerate(widened):
        steps_on = _counter(body, windows.sizes[d], len(rows) + k, rank, starts.dtype)
        columns[d] = _plus(body, columns[d], steps_on) if d in columns else steps_on
    parts = [steps.broadcast(body, columns[d], grid) for d in dims]
    packed = steps.op(body, "Pack", [parts], starts, (*grid, len(dims)), axis=rank)
    return dims, packed


def _plus(body: Body, x: Tensor, y: Tensor) -> Tensor:
    pairs = zip(x.shape, y.shape, strict=True)
    dims = [b if steps.same_dims([a], [1]) else a for a, b in pairs]
    return steps.op(body, "AddV2", [x, y], x, dims)


def _column(body: Body, starts: Tensor, k: int, rank: int) -> Tensor:
    """Column `k` of the start indices, with sizes 1 behind."""
    begin = [0] * (len(starts.shape) - 1) + [k]
    column = steps.cut(body, starts, begin, (*starts.shape[:-1], 1))
    rows = starts.shape[:-1]
    return steps.reshape(body, column, (*rows, *(1 for _ in range(rank - len(rows)))))


def _counter(body: Body, size: Dim, axis: int, rank: int, dtype: Any) -> Tensor:
    dims = [size if i == axis else 1 for i in range(rank)]
    return steps.reshape(body, steps.iota(body, size, dtype), dims)


def front(body: Body, x: Tensor, dims: Sequence[int]) -> tuple[Tensor, list[int]]:
    """`x` with dimensions `dims` first, and the order that says so."""
    order = [*dims, *(i for i in range(len(x.shape)) if i not in dims)]
    return steps.transpose(body, x, order), order


def window_order(windows: Windows, shape: Sequence[Dim], rank: int) -> list[int]:
    """For the layout [rows, widened, whole] its dimensions' places in the window array."""
    widened = windows.widened(shape)
    offset = dict(zip(windows.kept, windows.offsets, strict=True))
    whole = [i for i in windows.kept if i not in widened]
    return [*windows.batch_places(rank), *(offset[i] for i in (*widened, *whole))]


def _gather_nd(
    body: Body, windows: Windows, x: Tensor, starts: Tensor, dims: tuple[Dim, ...]
) -> Tensor:
    addressed, places = addresses(body, windows, x.shape, starts)
    moved, _ = front(body, x, addressed)
    found = (*places.shape[:-1], *moved.shape[len(addressed) :])
    result = steps.op(body, "GatherNd", [moved, places], x, found)
    order = window_order(windows, x.shape, len(dims))
    return steps.transpose(body, result, list(np.argsort(order)))
