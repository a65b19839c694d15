"""The types of ops that Hozon runs, known without starting JAX."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def handled_ops() -> frozenset[str]:
    """All of them, control flow of TensorFlow 1 included."""
    text = files("hozon.graphs").joinpath("handled.txt").read_text(encoding="utf-8")
    return frozenset(text.split())
