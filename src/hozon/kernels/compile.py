"""How XLA should compile a graph for the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

CompilerOptions = dict[str, bool | int | str]


def compiler_options() -> CompilerOptions:
    """Options for `jax.jit` on CPU; accelerators ignore them."""
    return {
        # No YNNPACK fusions: Eigen with oneDNN's generated kernels serves convolutions and matrix
        # products better. ResNet50 on 2 cores: 37 to 25 ms at batch 1, 535 to 420 ms at batch 16.
        "xla_cpu_experimental_ynn_fusion_type": "",
    }


def jit(function: Callable[..., Any], **keywords: Any) -> Callable[..., Any]:
    """`jax.jit` with `compiler_options` wherever JAX allows them.

    JAX rejects compiler options on a function that is traced as part of another program. A call
    with a tracer among its arguments therefore goes without them; any other call is computed at
    once, even while something else is being traced.
    """
    traced = jax.jit(function, **keywords)
    compiled = jax.jit(function, compiler_options=compiler_options(), **keywords)

    def call(*args: Any, **kwargs: Any) -> Any:
        leaves = jax.tree.leaves((args, kwargs))
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return traced(*args, **kwargs)
        with jax.ensure_compile_time_eval():
            return compiled(*args, **kwargs)

    return call
