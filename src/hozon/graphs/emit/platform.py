"""Operations that have another form on a CPU: what they stand for is written."""

from __future__ import annotations

from functools import partial

import jax

from hozon.graphs.emit.body import Body
from hozon.graphs.emit.rules import Equation, Rules
from hozon.graphs.emit.values import Tensor
from hozon.kernels import columns, operations

PLATFORM = Rules("platform")

_NATIVE = {**operations.NATIVE, **columns.NATIVE}


@PLATFORM.rule(*_NATIVE)
def native(body: Body, eqn: Equation, *inputs: Tensor) -> tuple[Tensor, ...]:
    """XLA's own form."""
    given = (jax.ShapeDtypeStruct(x.shape, x.dtype) for x in eqn.in_avals)
    stands_for = partial(_NATIVE[eqn.primitive], **eqn.params)
    return body.inline(jax.make_jaxpr(stands_for)(*given), inputs)
