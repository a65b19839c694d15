"""Rules for blocks whose place is computed: dynamic_slice and dynamic_update_slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.index import Windows, clamped, one_window
from hozon.graphs.emit.rules import Equation, Rules
from hozon.graphs.emit.scatter import updated
from hozon.graphs.emit.values import Dim, Tensor

SLICES = Rules("slices")


def _block(size: Sequence[Dim]) -> Windows:
    """One window with all dimensions of the operand."""
    dims = tuple(range(len(size)))
    return Windows(dims, (), (), tuple(size), dims)


def _inside(body: Body, block: Windows, shape: Sequence[Dim], starts: Sequence[Tensor]) -> Tensor:
    """The starts as one vector, moved so that the block is inside."""
    parts = [steps.cast(body, start, np.int32) for start in starts]
    values = [body.value(part) for part in parts]
    known = [value for value in values if value is not None]
    if len(known) == len(parts):
        vector = body.constant(np.asarray(known, np.int32))
    else:
        vector = steps.op(body, "Pack", [parts], parts[0], (len(parts),), axis=0)
    return clamped(body, block, shape, vector, check=False)[1]


@SLICES.rule("dynamic_slice")
def dynamic_slice(body: Body, eqn: Equation, x: Tensor, *starts: Tensor) -> Tensor:
    """A block of `x` that starts where the scalars say, moved inside if it must be."""
    size = tuple(eqn.out_avals[0].shape)
    if not size:
        return x
    block = _block(size)
    return one_window(body, block, x, _inside(body, block, x.shape, starts), size)


@SLICES.rule("dynamic_update_slice")
def dynamic_update_slice(
    body: Body, _: Equation, x: Tensor, update: Tensor, *starts: Tensor
) -> Tensor:
    """`x` with a block replaced."""
    if not x.shape:
        return update
    block = _block(update.shape)
    places = _inside(body, block, x.shape, starts)
    return updated(body, "Update", block, x, places, update, None)
