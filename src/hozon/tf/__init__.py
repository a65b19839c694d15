"""The few names of TensorFlow that scripts in the style of the Keras guide use.

Values are those of Keras and JAX; nothing here is an emulation of TensorFlow. A name outside the
list raises AttributeError, which names Keras' own where there is one.

Example:
    >>> from hozon import keras, tf
    >>> tf.matmul(tf.ones((1, 2)), tf.ones((2, 3))).shape
    (1, 3)
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import hozon.train as train
from hozon import keras
from hozon.keras_private import keras as _keras
from hozon.tf import saved_model
from hozon.tf.values import DTYPES, Tensor, Variable, constant, convert_to_tensor

_ops = _keras.ops

#: Names of TensorFlow and the functions of `keras.ops` that they are.
_OPS = {
    "abs": "abs",
    "add": "add",
    "argmax": "argmax",
    "broadcast_to": "broadcast_to",
    "cast": "cast",
    "clip_by_value": "clip",
    "concat": "concatenate",
    "cos": "cos",
    "divide": "divide",
    "einsum": "einsum",
    "exp": "exp",
    "expand_dims": "expand_dims",
    "eye": "eye",
    "gather": "take",
    "linspace": "linspace",
    "matmul": "matmul",
    "maximum": "maximum",
    "minimum": "minimum",
    "multiply": "multiply",
    "negative": "negative",
    "norm": "norm",
    "ones_like": "ones_like",
    "pow": "power",
    "range": "arange",
    "reduce_max": "max",
    "reduce_mean": "mean",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "reduce_sum": "sum",
    "repeat": "repeat",
    "reshape": "reshape",
    "round": "round",
    "shape": "shape",
    "sigmoid": "sigmoid",
    "sign": "sign",
    "sin": "sin",
    "split": "split",
    "sqrt": "sqrt",
    "square": "square",
    "squeeze": "squeeze",
    "stack": "stack",
    "stop_gradient": "stop_gradient",
    "subtract": "subtract",
    "tanh": "tanh",
    "tensordot": "tensordot",
    "tile": "tile",
    "transpose": "transpose",
    "unstack": "unstack",
    "where": "where",
    "zeros_like": "zeros_like",
}
_NN = (
    "elu",
    "gelu",
    "leaky_relu",
    "log_softmax",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
)
_MATH = (
    "abs",
    "cos",
    "divide",
    "erf",
    "exp",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "multiply",
    "rsqrt",
    "sigmoid",
    "sin",
    "softplus",
    "sqrt",
    "square",
    "tanh",
)
#: What replaces names that are not here.
_INSTEAD = {
    "data": "keras.utils.PyDataset, or NumPy arrays",
    "function": "jax.jit",
    "GradientTape": "jax.grad",
    "image": "keras.ops.image",
    "linalg": "keras.ops.linalg",
    "Module": "keras.Layer",
    "map_fn": "keras.ops.vectorized_map",
    "py_function": "plain Python",
    "signal": "keras.ops",
    "strings": "keras.layers.TextVectorization",
    "while_loop": "keras.ops.while_loop",
    "cond": "keras.ops.cond",
}

globals().update(DTYPES)
nn = SimpleNamespace(**{name: getattr(_ops, name) for name in _NN}, swish=_ops.silu)
math = SimpleNamespace(
    **{name: getattr(_ops, name) for name in _MATH},
    reduce_mean=_ops.mean,
    reduce_sum=_ops.sum,
    reduce_max=_ops.max,
    reduce_min=_ops.min,
)


def ones(shape: Any, dtype: Any = "float32") -> Any:
    """An array of ones."""
    return convert_to_tensor(np.ones(shape, str(dtype)))


def zeros(shape: Any, dtype: Any = "float32") -> Any:
    """An array of zeros."""
    return convert_to_tensor(np.zeros(shape, str(dtype)))


def _normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: Any = None
) -> Any:
    drawn = _keras.random.normal(tuple(shape), mean, stddev, dtype=str(dtype), seed=seed)
    return convert_to_tensor(drawn)


def _uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = "float32", seed: Any = None
) -> Any:
    drawn = _keras.random.uniform(tuple(shape), minval, maxval, dtype=str(dtype), seed=seed)
    return convert_to_tensor(drawn)


random = SimpleNamespace(normal=_normal, uniform=_uniform, set_seed=_keras.utils.set_random_seed)

__all__ = [
    "Tensor",
    "Variable",
    "constant",
    "convert_to_tensor",
    "keras",
    "math",
    "nn",
    "ones",
    "random",
    "saved_model",
    "train",
    "zeros",
]
__all__ += (*DTYPES, *_OPS)


def __getattr__(name: str) -> Any:
    if name in _OPS:
        return getattr(_ops, _OPS[name])
    instead = _INSTEAD.get(name) or (f"keras.ops.{name}" if hasattr(_ops, name) else None)
    more = f"; use {instead}" if instead else ""
    raise AttributeError(f"hozon.tf has no {name!r}: it holds what the Keras guide uses{more}")


def __dir__() -> list[str]:
    return sorted({*__all__})
