"""Rules for reduce_window: pooling ops where they exist, else slices put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.convolve import padded, window_dims
from hozon.graphs.emit.reduce import highest, lowest
from hozon.graphs.emit.rules import Equation, NoRule, Rules
from hozon.graphs.emit.values import Dim, Tensor

WINDOWS = Rules("windows")


@dataclass(frozen=True, slots=True)
class Pool:
    """A window: all members by dimension of the operand."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[tuple[Dim, Dim], ...]
    dilations: tuple[int, ...]

    @classmethod
    def of(cls, eqn: Equation) -> Pool:
        """From the parameters of a reduce_window; no elements may lie between the operand's."""
        params = eqn.params
        if any(int(d) != 1 for d in params["base_dilation"]):
            raise NoRule(eqn.primitive)
        if not steps.is_known(params["window_dimensions"]):
            raise NoRule(eqn.primitive)
        return cls(
            tuple(int(i) for i in params["window_dimensions"]),
            tuple(int(i) for i in params["window_strides"]),
            tuple((low, high) for low, high in params["padding"]),
            tuple(int(i) for i in params["window_dilation"]),
        )

    def moving(self) -> list[int]:
        """The dimensions in which the window is more than one element."""
        return [i for i in range(len(self.sizes)) if not self._is_still(i)]

    def _is_still(self, i: int) -> bool:
        no_pads = steps.is_known(self.pads[i]) and self.pads[i] == (0, 0)
        return self.sizes[i] == 1 and self.strides[i] == 1 and no_pads

    def pick(self, order: Sequence[int]) -> Pool:
        """The window over the dimensions `order`."""
        return Pool(
            tuple(self.sizes[i] for i in order),
            tuple(self.strides[i] for i in order),
            tuple(self.pads[i] for i in order),
            tuple(self.dilations[i] for i in order),
        )


@dataclass(frozen=True, slots=True)
class _Kind:
    """`combine`: the op of two elements. `start`: what changes nothing. `ops` by spatial rank."""

    combine: str
    start: Callable[[np.dtype[Any]], Any]
    ops: dict[int, str]


_MAX = _Kind("Maximum", lowest, {2: "MaxPool", 3: "MaxPool3D"})
_MIN = _Kind("Minimum", highest, {})
_SUM = _Kind("AddV2", lambda dtype: 0, {2: "AvgPool", 3: "AvgPool3D"})

#: Dtypes that the ops take.
_DIRECT = {
    "MaxPool": {"float16", "bfloat16", "float32", "float64", "int32", "int64"},
    "MaxPool3D": {"bfloat16", "float32"},
    "AvgPool": {"float16", "bfloat16", "float32", "float64"},
    "AvgPool3D": {"bfloat16", "float32"},
}


def _reduce_window(kind: _Kind) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, x: Tensor) -> Tensor:
        pool = Pool.of(eqn)
        name = _pooling_op(kind, x, pool)
        return _by_slices(body, kind, x, pool) if name is None else _by_op(body, name, x, pool)

    return rule


WINDOWS.add("reduce_window_max", _reduce_window(_MAX))
WINDOWS.add("reduce_window_min", _reduce_window(_MIN))
WINDOWS.add("reduce_window_sum", _reduce_window(_SUM))


def _pooling_op(kind: _Kind, x: Tensor, pool: Pool) -> str | None:
    if any(dilation > 1 for dilation in pool.dilations):
        return None
    name = kind.ops.get(max(len(pool.moving()), 2))
    return name if name is not None and x.dtype.name in _DIRECT[name] else None


def _by_op(body: Body, name: str, x: Tensor, pool: Pool) -> Tensor:
    """Moving dimensions in the middle, one before them, one after."""
    moving = pool.moving()
    still = [i for i in range(len(x.shape)) if i not in moving]
    order = [*still[:1], *moving, *still[1:]] if len(still) == 2 else [*still, *moving]
    moved = steps.transpose(body, x, order)
    outer = (moved.shape[0],) if len(still) == 2 else (steps.product(moved.shape[: len(still)]),)
    space = [x.shape[i] for i in moving]
    extra = [1] * (2 - len(moving))
    channels = moved.shape[-1] if len(still) == 2 else 1
    flat = steps.reshape(body, moved, (*outer, *extra, *space, channels))
    result = _pooled(body, name, flat, pool.pick(moving), len(extra))
    inner = result.shape[1 + len(extra) : -1]
    tail = (channels,) if len(still) == 2 else ()
    heads = outer if len(still) == 2 else tuple(moved.shape[: len(still)])
    wide = steps.reshape(body, result, (*heads, *inner, *tail))
    return steps.transpose(body, wide, list(np.argsort(order)))


def _pooled(body: Body, name: str, x: Tensor, pool: Pool, extra: int) -> Tensor:
    sizes = (1,) * extra + pool.sizes
    strides = (1,) * extra + pool.strides
    pads: tuple[tuple[Dim, Dim], ...] = ((0, 0),) * extra + pool.pads
    if name.startswith("Max"):
        x, padding = padded(body, x, sizes, strides, pads, lowest(x.dtype))
    else:  # an average leaves SAME padding out of its count
        x, padding = steps.pad(body, x, [(0, 0), *pads, (0, 0)]), b"VALID"
    dims = (x.shape[0], *window_dims(x, sizes, strides, padding), x.shape[-1])
    attrs = {"ksize": (1, *sizes, 1), "strides": (1, *strides, 1), "padding": padding}
    result = steps.op(body, name, [x], x, dims, **attrs)
    if name.startswith("Max"):
        return result
    count = steps.scalar(body, np.prod(sizes), x.dtype)
    return steps.op(body, "Mul", [result, count], result)


def _by_slices(body: Body, kind: _Kind, x: Tensor, pool: Pool) -> Tensor:
    """One dimension after the other: the combination of as many strided views as it has places."""
    x = steps.pad(body, x, pool.pads, kind.start(x.dtype))
    for axis in pool.moving():
        x = _along(body, kind, x, axis, pool)
    return x


def _along(body: Body, kind: _Kind, x: Tensor, axis: int, pool: Pool) -> Tensor:
    size, stride, dilation = pool.sizes[axis], pool.strides[axis], pool.dilations[axis]
    span = x.shape[axis] - (size - 1) * dilation
    steps_along = [stride if i == axis else 1 for i in range(len(x.shape))]
    dims = [span if i == axis else dim for i, dim in enumerate(x.shape)]
    result: Tensor | None = None
    for place in range(size):
        begin = [place * dilation if i == axis else 0 for i in range(len(dims))]
        view = steps.take_every(body, steps.cut(body, x, begin, dims), steps_along)
        result = view if result is None else steps.op(body, kind.combine, [result, view], view)
    assert result is not None
    return result
