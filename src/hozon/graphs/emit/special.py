"""Rules for special functions: one op each, in single precision at least."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.rules import Equation, Rules
from hozon.graphs.emit.values import Tensor

SPECIAL = Rules("special")

_OPS = {
    "bessel_i0e": "BesselI0e",
    "bessel_i1e": "BesselI1e",
    "digamma": "Digamma",
    "erf_inv": "Erfinv",
    "igamma": "Igamma",
    "igamma_grad_a": "IgammaGradA",
    "igammac": "Igammac",
    "lgamma": "Lgamma",
    "polygamma": "Polygamma",
    "regularized_incomplete_beta": "Betainc",
    "zeta": "Zeta",
}


def _special(name: str) -> Callable[..., Tensor]:
    def rule(body: Body, eqn: Equation, *inputs: Tensor) -> Tensor:
        out = eqn.out_avals[0]
        narrow = np.dtype(out.dtype).itemsize < 4
        dtype = np.dtype(np.float32) if narrow else np.dtype(out.dtype)
        wide = [steps.cast(body, x, dtype) for x in inputs]
        result = steps.typed(body, name, wide, dtype, tuple(out.shape))
        return steps.cast(body, result, out.dtype)

    return rule


for _primitive, _name in _OPS.items():
    SPECIAL.add(_primitive, _special(_name))
