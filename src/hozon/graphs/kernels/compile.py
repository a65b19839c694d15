"""Options of the compiler."""

from __future__ import annotations


def compiler_options() -> dict[str, str | bool | int]:
    """Options for ``jax.jit`` on the default backend."""
    return {}
