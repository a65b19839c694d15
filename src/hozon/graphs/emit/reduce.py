"""Rules for reductions, cumulative operations, sorting and the largest elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.rules import Equation, NoRule, Rules
from hozon.graphs.emit.values import Tensor

REDUCE = Rules("reduce")

#: The op of each reduction.
_REDUCTIONS = {
    "reduce_sum": "Sum",
    "reduce_prod": "Prod",
    "reduce_max": "Max",
    "reduce_min": "Min",
    "reduce_and": "All",
    "reduce_or": "Any",
}
#: What a reduction is for truth values, where the op has no kernel for them.
_OF_BOOL = {"Max": "Any", "Min": "All"}


def _reduction(name: str) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, x: Tensor) -> Tensor:
        axes = [int(axis) for axis in eqn.params["axes"]]
        if not axes:
            return x
        return reduce_axes(body, _reducer(eqn, name, x.dtype), x, axes)

    return rule


def _reducer(eqn: Equation, name: str, dtype: np.dtype[Any]) -> str:
    if name in ("All", "Any") and dtype != np.bool_:
        raise NoRule(eqn.primitive)
    return _OF_BOOL.get(name, name) if dtype == np.bool_ else name


def reduce_axes(body: Body, name: str, x: Tensor, axes: list[int]) -> Tensor:
    """Reduction op `name` over `axes`, which are gone from the result."""
    dims = [dim for i, dim in enumerate(x.shape) if i not in axes]
    return steps.op(body, name, [x, steps.integers(body, axes)], x, dims, keep_dims=False)


for _primitive, _name in _REDUCTIONS.items():
    REDUCE.add(_primitive, _reduction(_name))


@REDUCE.rule("reduce_xor")
def reduce_xor(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """Of truth values: whether an odd number of them is true."""
    if x.dtype != np.bool_:
        raise NoRule(eqn.primitive)
    axes = [int(axis) for axis in eqn.params["axes"]]
    count = reduce_axes(body, "Sum", steps.cast(body, x, np.int32), axes)
    odd = steps.op(body, "BitwiseAnd", [count, steps.scalar(body, 1, np.int32)], count)
    return steps.cast(body, odd, np.bool_)


def _position(name: str) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, x: Tensor) -> Tensor:
        (axis,) = eqn.params["axes"]
        wanted = np.dtype(eqn.params["index_dtype"])
        output = wanted if wanted in (np.int32, np.int64) else np.dtype(np.int64)
        dims = [dim for i, dim in enumerate(x.shape) if i != axis]
        inputs = [x, steps.scalar(body, axis, np.int32)]
        found = steps.typed(body, name, inputs, output, dims, output_type=output)
        return steps.cast(body, found, wanted)

    return rule


REDUCE.add("argmax", _position("ArgMax"))
REDUCE.add("argmin", _position("ArgMin"))


def _cumulative(name: str) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, x: Tensor) -> Tensor:
        axis = steps.scalar(body, eqn.params["axis"], np.int32)
        return steps.op(body, name, [x, axis], x, reverse=bool(eqn.params["reverse"]))

    return rule


REDUCE.add("cumsum", _cumulative("Cumsum"))
REDUCE.add("cumprod", _cumulative("Cumprod"))
REDUCE.add("cumlogsumexp", _cumulative("CumulativeLogsumexp"))


def lowest(dtype: np.dtype[Any]) -> Any:
    """The value that a maximum starts from."""
    return _extreme(dtype, -np.inf, lambda info: info.min)


def highest(dtype: np.dtype[Any]) -> Any:
    """The value that a minimum starts from."""
    return _extreme(dtype, np.inf, lambda info: info.max)


def _extreme(dtype: np.dtype[Any], infinite: float, pick: Callable[[Any], Any]) -> Any:
    if dtype.kind in "iu":
        return pick(np.iinfo(dtype))
    return infinite


def _running(name: str, start: Callable[[np.dtype[Any]], Any]) -> Callable[..., Tensor]:
    """Running maximum or minimum: each element meets its neighbours 1, 2, 4 ... places away."""

    def rule(body: Body, eqn: Equation, x: Tensor) -> Tensor:
        axis, backward = eqn.params["axis"], eqn.params["reverse"]
        size = x.shape[axis]
        reach = int(size) if steps.is_known([size]) else 2**31
        shift = 1
        while shift < reach:
            moved = _shifted(body, x, axis, shift, bool(backward), start(x.dtype))
            x = steps.op(body, name, [x, moved], x)
            shift *= 2
        return x

    return rule


def _shifted(body: Body, x: Tensor, axis: int, shift: int, backward: bool, fill: Any) -> Tensor:
    """`x` moved along `axis` by `shift` or by its size, whichever is less."""
    size = x.shape[axis]
    by = shift if steps.is_known([size]) else _least(body, shift, body.dim(size))
    if isinstance(by, int):
        kept = [size - by if i == axis else dim for i, dim in enumerate(x.shape)]
        begin = [by if i == axis and backward else 0 for i in range(len(kept))]
        pads = [(0, 0)] * axis + [(0, by) if backward else (by, 0)]
        pads += [(0, 0)] * (len(kept) - axis - 1)
        return steps.pad(body, steps.cut(body, x, begin, kept), pads, fill)
    return _shifted_by_tensor(body, x, axis, by, backward, fill)


def _least(body: Body, bound: int, size: Tensor) -> Tensor:
    return steps.op(body, "Minimum", [steps.scalar(body, bound, np.int32), size], size)


def _shifted_by_tensor(
    body: Body, x: Tensor, axis: int, by: Tensor, backward: bool, fill: Any
) -> Tensor:
    rank = len(x.shape)
    zero = steps.scalar(body, 0, np.int32)
    left = steps.op(body, "Sub", [body.dim(x.shape[axis]), by], by)
    sizes = [left if i == axis else body.dim(dim) for i, dim in enumerate(x.shape)]
    begin = [by if i == axis and backward else zero for i in range(rank)]
    inputs = [x, pack(body, begin), pack(body, sizes)]
    kept = steps.op(body, "Slice", inputs, x)
    pairs = [[zero, zero] for _ in range(rank)]
    pairs[axis] = [zero, by] if backward else [by, zero]
    flat = pack(body, [amount for pair in pairs for amount in pair])
    amounts = steps.reshape(body, flat, (rank, 2))
    return steps.op(body, "PadV2", [kept, amounts, steps.scalar(body, fill, x.dtype)], x)


def pack(body: Body, scalars: list[Tensor]) -> Tensor:
    """A vector of scalars."""
    return steps.op(body, "Pack", [scalars], scalars[0], (len(scalars),), axis=0)


REDUCE.add("cummax", _running("Maximum", lowest))
REDUCE.add("cummin", _running("Minimum", highest))


@REDUCE.rule("top_k")
def top_k(body: Body, eqn: Equation, x: Tensor) -> tuple[Tensor, Tensor]:
    """The `k` largest elements along one axis, and where they are."""
    axis = eqn.params.get("axis", len(x.shape) - 1) % len(x.shape)
    order = [i for i in range(len(x.shape)) if i != axis] + [axis]
    moved = steps.transpose(body, x, order)
    values, places = _top_k(body, moved, eqn.params["k"])
    back = list(np.argsort(order))
    places = steps.cast(body, places, eqn.out_avals[1].dtype)
    return steps.transpose(body, values, back), steps.transpose(body, places, back)


def _top_k(body: Body, x: Tensor, k: Any) -> tuple[Tensor, Tensor]:
    dims = (*x.shape[:-1], k)
    values, places = body.add(
        "TopKV2",
        [x, body.dim(k)],
        attrs={"sorted": True},
        shape=(dims, dims),
        dtype=(x.dtype, np.dtype(np.int32)),
    )
    return values, places


@REDUCE.rule("sort")
def sort(body: Body, eqn: Equation, *operands: Tensor) -> tuple[Tensor, ...]:
    """Operands in the order of the first `num_keys` of them; equal ones keep their order."""
    axis = eqn.params["dimension"] % len(operands[0].shape)
    order = [i for i in range(len(operands[0].shape)) if i != axis] + [axis]
    moved = [steps.transpose(body, x, order) for x in operands]
    for key in reversed(range(eqn.params["num_keys"])):
        _, places = _top_k(body, _descending(body, moved[key]), moved[key].shape[-1])
        moved = [take_last(body, x, places) for x in moved]
    back = list(np.argsort(order))
    return tuple(steps.transpose(body, x, back) for x in moved)


def _descending(body: Body, x: Tensor) -> Tensor:
    """A key whose largest value belongs to the least of `x`; NaN belongs to the end."""
    if x.dtype == np.bool_:
        x = steps.cast(body, x, np.uint8)
    if x.dtype.kind in "iu":
        return steps.op(body, "Invert", [x], x)
    # Zero minus x, rather than the negative of x: both zeros have the same key.
    negative = steps.op(body, "Sub", [steps.scalar(body, 0, x.dtype), x], x)
    missing = steps.typed(body, "IsNan", [x], np.bool_, x.shape)
    bottom = steps.scalar(body, -np.inf, x.dtype)
    return steps.op(body, "SelectV2", [missing, bottom, negative], x)


def take_last(body: Body, x: Tensor, places: Tensor) -> Tensor:
    """``x[..., places]`` with one row of places per row of `x`."""
    axis = len(x.shape) - 1
    inputs = [x, places, steps.scalar(body, axis, np.int32)]
    return steps.op(body, "GatherV2", inputs, x, places.shape, batch_dims=axis)
