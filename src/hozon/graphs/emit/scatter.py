"""Rules for scatter and its kin: TensorScatterUpdate, -Add, -Sub, -Max, -Min and segments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.index import Windows, addresses, clamped, front, is_mode, window_order
from hozon.graphs.emit.rules import Equation, NoRule, Rules
from hozon.graphs.emit.values import Dim, Tensor

SCATTER = Rules("scatter")


def _scatter_windows(eqn: Equation, x: Tensor, updates: Tensor) -> Windows:
    numbers = eqn.params["dimension_numbers"]
    pairs = zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True)
    batch = tuple((int(i), int(j)) for i, j in pairs)
    dropped = tuple(int(i) for i in numbers.inserted_window_dims)
    offsets = tuple(int(i) for i in numbers.update_window_dims)
    sizes: list[Dim] = [1] * len(x.shape)
    kept = [i for i in range(len(sizes)) if i not in dropped and i not in [b for b, _ in batch]]
    for dim, place in zip(kept, offsets, strict=True):
        sizes[dim] = updates.shape[place]
    indexed = tuple(int(i) for i in numbers.scatter_dims_to_operand_dims)
    return Windows(indexed, dropped, batch, tuple(sizes), offsets)


def _scatter(name: str) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        windows = _scatter_windows(eqn, x, updates)
        starts = steps.cast(body, indices, np.int64 if indices.dtype.itemsize == 8 else np.int32)
        inside, starts = clamped(body, windows, x.shape, starts, not is_mode(eqn, "CLIP"))
        return updated(body, name, windows, x, starts, updates, inside)

    return rule


def updated(
    body: Body,
    name: str,
    windows: Windows,
    x: Tensor,
    starts: Tensor,
    updates: Tensor,
    inside: Tensor | None,
) -> Tensor:
    """`x` after windows met their updates; those that are not `inside` (if given) do nothing."""
    dims, places = addresses(body, windows, x.shape, starts)
    moved, order = front(body, x, dims)
    layout = window_order(windows, x.shape, len(updates.shape))
    values = steps.transpose(body, updates, layout)
    result = _write(body, name, moved, places, values, inside)
    return steps.transpose(body, result, list(np.argsort(order)))


for _primitive, _name in {
    "scatter": "Update",
    "scatter-add": "Add",
    "scatter-sub": "Sub",
    "scatter-mul": "Mul",
    "scatter-max": "Max",
    "scatter-min": "Min",
}.items():
    SCATTER.add(_primitive, _scatter(_name))


def _write(
    body: Body, name: str, x: Tensor, places: Tensor, values: Tensor, inside: Tensor | None
) -> Tensor:
    """`values` at `places` in the leading dimensions of `x`; rows that are not inside are lost."""
    if places.shape[-1] == 0:
        return _whole(body, name, x, values)
    if name == "Mul":
        return _multiply(body, x, places, values, inside)
    if inside is None:
        return _tensor_scatter(body, name, x, places, values)
    mask = _trailing(body, inside, len(places.shape))
    # A row that is lost goes to one more element behind the first dimension, cut off afterwards.
    wide = steps.pad(body, x, [(0, 1)] + [(0, 0)] * (len(x.shape) - 1))
    first = steps.cut(body, places, [0] * len(places.shape), (*places.shape[:-1], 1))
    sink = steps.cast(body, body.dim(x.shape[0]), places.dtype)
    moved = steps.op(body, "SelectV2", [mask, first, sink], first)
    rest = places.shape[-1] - 1
    if rest:
        begin = [0] * (len(places.shape) - 1) + [1]
        others = steps.cut(body, places, begin, (*places.shape[:-1], rest))
        moved = steps.concat(body, [moved, others], len(places.shape) - 1)
    result = _tensor_scatter(body, name, wide, moved, values)
    return steps.cut(body, result, [0] * len(x.shape), x.shape)


def _trailing(body: Body, mask: Tensor, rank: int) -> Tensor:
    """`mask` with sizes 1 behind, up to `rank` dimensions."""
    return steps.reshape(body, mask, (*mask.shape, *(1 for _ in range(rank - len(mask.shape)))))


def _tensor_scatter(body: Body, name: str, x: Tensor, places: Tensor, values: Tensor) -> Tensor:
    if len(places.shape) == 1:  # the op takes lists of addresses only
        places, values = steps.expand(body, places, 0), steps.expand(body, values, 0)
    return steps.op(body, f"TensorScatter{name}", [x, places, values], x)


#: The op that meets all of an operand with all of an update.
_ELEMENTWISE = {"Add": "AddV2", "Sub": "Sub", "Mul": "Mul", "Max": "Maximum", "Min": "Minimum"}


def _whole(body: Body, name: str, x: Tensor, values: Tensor) -> Tensor:
    """No dimension is addressed: the update is as large as the operand."""
    if len(values.shape) != len(x.shape):
        raise NoRule("scatter")
    return values if name == "Update" else steps.op(body, _ELEMENTWISE[name], [x, values], x)


def _multiply(
    body: Body, x: Tensor, places: Tensor, values: Tensor, inside: Tensor | None
) -> Tensor:
    """The product of all values for one place, then one multiplication."""
    count = places.shape[-1]
    heads, tail = x.shape[:count], x.shape[count:]
    ids = _flat_ids(body, places, heads)
    if inside is not None:
        mask = steps.broadcast(body, _trailing(body, inside, len(ids.shape)), ids.shape)
        ids = steps.op(body, "SelectV2", [mask, ids, steps.scalar(body, -1, ids.dtype)], ids)
    total = steps.product(heads)
    dims = (total, *tail)
    inputs = [values, ids, body.dim(total)]
    factors = steps.op(body, "UnsortedSegmentProd", inputs, values, dims)
    return steps.op(body, "Mul", [x, steps.reshape(body, factors, x.shape)], x)


def _flat_ids(body: Body, places: Tensor, heads: tuple[Dim, ...]) -> Tensor:
    """Addresses in `heads` as single numbers."""
    strides = [steps.product(heads[i + 1 :]) for i in range(len(heads))]
    weights = steps.cast(body, body.shape(tuple(strides)), places.dtype)
    scaled = steps.op(body, "Mul", [places, weights], places)
    axis = steps.integers(body, [len(places.shape) - 1])
    return steps.op(body, "Sum", [scaled, axis], places, places.shape[:-1])
