"""Rules for primitives that move elements about. Sizes may be symbolic throughout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.rules import Equation, Rules
from hozon.graphs.emit.values import Dim, Tensor

SHAPES = Rules("shapes")


def _out(eqn: Equation) -> tuple[Dim, ...]:
    return tuple(eqn.out_avals[0].shape)


def _if_varied(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule that need not move anything when all elements are one and the same."""

    def either(body: Body, eqn: Equation, x: Tensor, *rest: Tensor) -> Any:
        one = body.narrow(x)
        if one.shape:
            return rule(body, eqn, x, *rest)
        return steps.broadcast(body, one, _out(eqn))

    return either


@SHAPES.rule("broadcast_in_dim")
def broadcast_in_dim(body: Body, eqn: Equation, x: Tensor, *_sizes: Tensor) -> Tensor:
    """`x` repeated along new dimensions and those of size 1."""
    source = body.narrow(x)
    sizes = (1,) * (len(x.shape) - len(source.shape)) + source.shape
    inner: list[Dim] = [1] * len(_out(eqn))
    for size, place in zip(sizes, eqn.params["broadcast_dimensions"], strict=True):
        inner[place] = size
    return steps.broadcast(body, _reshaped(body, source, _without_leading_ones(inner)), _out(eqn))


def _without_leading_ones(dims: list[Dim]) -> list[Dim]:
    """NumPy's rules of broadcasting put them back."""
    count = 0
    while count < len(dims) and steps.is_known([dims[count]]) and dims[count] == 1:
        count += 1
    return dims[count:]


def _reshaped(body: Body, x: Tensor, dims: Sequence[Dim]) -> Tensor:
    """`x` with other sizes; a small constant at once."""
    value = body.value(x)
    if value is not None and value.size <= steps.SMALL and steps.is_known(dims):
        return body.constant(value.reshape(tuple(dims)))
    return steps.reshape(body, x, dims)


@SHAPES.rule("reshape", "squeeze")
@_if_varied
def reshape(body: Body, eqn: Equation, x: Tensor, *_sizes: Tensor) -> Tensor:
    """The same elements in the same order, after a permutation if there is one."""
    order = eqn.params.get("dimensions") if eqn.primitive == "reshape" else None
    if order is not None:
        x = steps.transpose(body, x, order)
    return _reshaped(body, x, _out(eqn))


@SHAPES.rule("transpose")
@_if_varied
def transpose(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """Dimensions in another order."""
    return steps.transpose(body, x, eqn.params["permutation"])


@SHAPES.rule("rev")
@_if_varied
def rev(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """Backwards along some dimensions."""
    return steps.reverse(body, x, eqn.params["dimensions"])


@SHAPES.rule("concatenate")
def concatenate(body: Body, eqn: Equation, *parts: Tensor) -> Tensor:
    """Parts one after the other, those without elements left out."""
    axis = eqn.params["dimension"]
    full = [part for part in parts if not steps.same_dims([part.shape[axis]], [0])]
    return steps.concat(body, full or parts[:1], axis)


@SHAPES.rule("stack")
def stack(body: Body, eqn: Equation, *parts: Tensor) -> Tensor:
    """Parts side by side along a new dimension."""
    return steps.op(body, "Pack", [list(parts)], parts[0], _out(eqn), axis=eqn.params["axis"])


@SHAPES.rule("unstack")
def unstack(body: Body, eqn: Equation, x: Tensor) -> tuple[Tensor, ...]:
    """The parts along one dimension."""
    count = len(eqn.out_avals)
    if not count:
        return ()
    return body.add(
        "Unpack",
        [x],
        attrs={"num": count, "axis": eqn.params["axis"]},
        shape=[aval.shape for aval in eqn.out_avals],
        dtype=(x.dtype,) * count,
    )


@SHAPES.rule("tile")
@_if_varied
def tile(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """All of `x` so many times along each dimension."""
    return steps.op(body, "Tile", [x, body.shape(tuple(eqn.params["reps"]))], x, _out(eqn))


@SHAPES.rule("pad")
def pad(body: Body, eqn: Equation, x: Tensor, fill: Tensor) -> Tensor:
    """`x` with elements before, behind and between; negative amounts take some away."""
    config = eqn.params["padding_config"]
    for axis, (_, _, between) in enumerate(config):
        x = _spread(body, x, axis, int(between), fill)
    return steps.pad(body, x, [(low, high) for low, high, _ in config], fill)


def _spread(body: Body, x: Tensor, axis: int, count: int, fill: Tensor) -> Tensor:
    """`x` with `count` elements between neighbours along `axis`: behind each, the last cut off."""
    size = x.shape[axis]
    if not count or steps.same_dims([size], [0]):
        return x
    wide = steps.expand(body, x, axis + 1)
    pads: list[tuple[Dim, Dim]] = [(0, 0)] * len(wide.shape)
    pads[axis + 1] = (0, count)
    wide = steps.pad(body, wide, pads, fill)
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    flat = steps.reshape(body, wide, (*before, size * (count + 1), *after))
    kept = (*before, (size - 1) * (count + 1) + 1, *after)
    return steps.cut(body, flat, [0] * len(kept), kept)


@SHAPES.rule("slice")
@_if_varied
def slice_(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """A block at a known place, or every n-th element of it."""
    begin, limits = eqn.params["start_indices"], eqn.params["limit_indices"]
    size = [limit - start for start, limit in zip(begin, limits, strict=True)]
    strides = eqn.params["strides"] or (1,) * len(size)
    return steps.take_every(body, steps.cut(body, x, begin, size), strides)


@SHAPES.rule("split")
def split(body: Body, eqn: Equation, x: Tensor) -> tuple[Tensor, ...]:
    """Parts of given sizes along one dimension."""
    axis, sizes = eqn.params["axis"], tuple(eqn.params["sizes"])
    if len(sizes) == 1:
        return (x,)
    if len(set(map(str, sizes))) == 1:
        return steps.split_last(body, x, axis, len(sizes))
    inputs = [x, body.shape(sizes), steps.scalar(body, axis, np.int32)]
    return body.add(
        "SplitV",
        inputs,
        attrs={"num_split": len(sizes)},
        shape=[aval.shape for aval in eqn.out_avals],
        dtype=(x.dtype,) * len(sizes),
    )


@SHAPES.rule("iota")
def iota(body: Body, eqn: Equation, *_sizes: Tensor) -> Tensor:
    """Each element's place along one dimension."""
    axis, dims = eqn.params["dimension"], _out(eqn)
    line = steps.iota(body, dims[axis], eqn.params["dtype"])
    behind = (1,) * (len(dims) - axis - 1)
    return steps.broadcast(body, _reshaped(body, line, (dims[axis], *behind)), dims)


@SHAPES.rule("empty", "empty2")
def empty(body: Body, eqn: Equation) -> Tensor:
    """An array whose elements nobody looks at before they are replaced."""
    zero = steps.scalar(body, 0, eqn.out_avals[0].dtype)
    return steps.broadcast(body, zero, _out(eqn))


@SHAPES.rule("dim_as_value")
def dim_as_value(body: Body, eqn: Equation) -> Tensor:
    """A size as a number."""
    return steps.cast(body, body.dim(eqn.params["dim"]), eqn.out_avals[0].dtype)


@SHAPES.rule("dimension_size")
def dimension_size(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """The size of one dimension as a number."""
    size = body.dim(x.shape[eqn.params["dimension"]])
    return steps.cast(body, size, eqn.out_avals[0].dtype)


@SHAPES.rule("shape_assertion")
def shape_assertion(_body: Body, _eqn: Equation, *_inputs: Tensor) -> tuple[Tensor, ...]:
    """Nothing: TensorFlow's ops check sizes themselves."""
    return ()
