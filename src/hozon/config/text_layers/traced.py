"""Host layers in functions that are traced to be written down, not to be run.

Text has no dtype on JAX. While a function is traced for a file, strings are arrays of a stand-in
dtype that no model computes with, and each call of a host layer is one equation of `PRIMITIVE`,
from which the layer's own ops can be written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import export
from jax.core import ShapedArray
from jax.extend.core import Primitive

if TYPE_CHECKING:
    import keras

#: A call of a host layer. Its parameters: the `layer`, `tree` of its inputs, `shape`, `dtype`.
PRIMITIVE = Primitive("hozon_host_layer")


def _result(*_: Any, shape: Any, dtype: Any, **__: Any) -> ShapedArray:
    return ShapedArray(shape, dtype)


PRIMITIVE.def_abstract_eval(_result)


class Tracing:
    """One function that is being traced.

    Attributes:
        text: the dtype that stands for strings.
    """

    def __init__(self, text: np.dtype[Any], scope: export.SymbolicScope) -> None:
        self.text = text
        self._scope = scope
        self._count = 0

    def call(self, layer: keras.Layer, inputs: Any) -> Any:
        """The outputs of a host layer; sizes that depend on its data get symbols of their own."""
        flat, tree = jax.tree.flatten(inputs)
        shape = layer.compute_output_shape(jax.tree.unflatten(tree, [tuple(x.shape) for x in flat]))
        name = layer.output_dtype
        dtype = self.text if name == "string" else jax.dtypes.canonicalize_dtype(np.dtype(name))
        return PRIMITIVE.bind(
            *flat, layer=layer, tree=tree, shape=tuple(map(self._size, shape)), dtype=dtype
        )

    def _size(self, size: Any) -> Any:
        if size is not None:
            return size
        self._count += 1
        (symbol,) = export.symbolic_shape(f"text{self._count}", scope=self._scope)
        return symbol


_CURRENT: ContextVar[Tracing | None] = ContextVar("hozon_tracing", default=None)


def current() -> Tracing | None:
    """The tracing that goes on; None while functions run."""
    return _CURRENT.get()


@contextmanager
def tracing(arguments: Any, text: np.dtype[Any]) -> Iterator[None]:
    """Inside, host layers that are called on tracers become equations.

    Args:
        arguments: what the traced function was given; their sizes tell the scope of symbols.
        text: the dtype that stands for strings.
    """
    token = _CURRENT.set(Tracing(text, _scope_of(arguments)))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def _scope_of(arguments: Any) -> export.SymbolicScope:
    """The scope of the symbolic sizes of arguments; a new one where all are numbers."""
    for leaf in jax.tree.leaves(arguments):
        for size in getattr(leaf, "shape", ()):
            scope = getattr(size, "scope", None)
            if isinstance(scope, export.SymbolicScope):
                return scope
    return export.SymbolicScope()


def is_traced(value: Any) -> bool:
    """Whether a value is known while tracing only."""
    return isinstance(value, jax.core.Tracer)
