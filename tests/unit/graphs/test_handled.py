"""The list of ops that is read without JAX is that of the handlers."""

from __future__ import annotations

from hozon.graphs.frames.cut import CONTROL_FLOW
from hozon.graphs.handled import handled_ops
from hozon.graphs.ops import OPS


def test_it_is_the_same() -> None:
    """Where it is not: ``make handled``."""
    assert handled_ops() == frozenset(OPS) | CONTROL_FLOW
