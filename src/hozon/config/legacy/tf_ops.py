"""TensorFlow functions that Keras 2 put into graphs, by name, as `keras.ops`.

A function takes the arguments of TensorFlow's, under TensorFlow's names (tensorflow.org/api_docs);
the name it was saved under is the path below ``tf.`` of the symbol that Keras found first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import keras
import numpy as np
from keras import ops

from hozon.config.legacy.tf_arrays import ARRAYS
from hozon.config.legacy.tf_images import IMAGES
from hozon.config.legacy.tf_linalg import LINALG
from hozon.config.legacy.tf_losses import LOSSES
from hozon.config.legacy.tf_windows import WINDOWS
from hozon.errors import UnsupportedError

Function = Callable[..., Any]


def _axis(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def reduction(function: Function) -> Function:
    """``f(input_tensor, axis, keepdims)``."""

    def reduce(input_tensor: Any, axis: Any = None, keepdims: Any = False) -> Any:
        return function(input_tensor, axis=_axis(axis), keepdims=bool(keepdims))

    return reduce


def old_reduction(function: Function) -> Function:
    """TensorFlow 1's argument names."""

    def reduce(
        input_tensor: Any,
        axis: Any = None,
        keepdims: Any = None,
        reduction_indices: Any = None,
        keep_dims: Any = None,
    ) -> Any:
        chosen = reduction_indices if axis is None else axis
        return function(input_tensor, axis=_axis(chosen), keepdims=bool(keepdims or keep_dims))

    return reduce


def unary(function: Function) -> Function:
    """``f(x)``."""
    return lambda x: function(x)


def binary(function: Function) -> Function:
    """``f(x, y)``, the constant one of the type of the other."""

    def apply(x: Any, y: Any) -> Any:
        return computed(function, *_alike(x, y))

    return apply


def computed(function: Function, *values: Any) -> Any:
    """A function of values; of sizes alone it is computed at once, also while JAX traces."""
    if not all(isinstance(value, (int, np.ndarray, np.generic)) for value in values):
        return function(*values)
    with jax.ensure_compile_time_eval():
        return np.asarray(function(*values))


def swapped(function: Function) -> Function:
    """``f(y, x)``, for reflected operators."""

    def apply(x: Any, y: Any) -> Any:
        return computed(function, *reversed(_alike(x, y)))

    return apply


def _alike(x: Any, y: Any) -> tuple[Any, Any]:
    """TensorFlow gives a constant the type of the tensor it meets."""
    if hasattr(x, "dtype") and not hasattr(y, "dtype"):
        return x, np.asarray(y, np.dtype(_name(x)))
    if hasattr(y, "dtype") and not hasattr(x, "dtype"):
        return np.asarray(x, np.dtype(_name(y))), y
    return x, y


def _name(x: Any) -> Any:
    name = keras.backend.standardize_dtype(x.dtype)
    return "float32" if name == "bfloat16" else name


def dtype_name(dtype: Any) -> str:
    """A TensorFlow dtype as it stands in a config, as JAX has it: without x64, 32 bits at most.

    It is a name, or ``{"class_name": "TypeSpec"...}``.
    """
    if isinstance(dtype, Mapping):
        dtype = dtype.get("config", dtype.get("items", ""))
    name = str(dtype).removeprefix("tf.").removeprefix("<dtype: '").removesuffix("'>")
    try:
        return str(jax.dtypes.canonicalize_dtype(name))
    except TypeError as error:
        raise UnsupportedError(f"tensors of dtype {name!r}", feature=name) from error


def cast(x: Any, dtype: Any) -> Any:
    """``tf.cast``."""
    return ops.cast(x, dtype_name(dtype))


def concat(values: Any, axis: int) -> Any:
    """``tf.concat``."""
    if all(isinstance(value, (list, tuple, np.ndarray)) for value in values):
        return np.concatenate([np.asarray(value) for value in values], axis)
    return ops.concatenate(values, axis=axis)


def split(value: Any, num_or_size_splits: Any, axis: int = 0, num: Any = None) -> Any:
    """``tf.split`` into equal parts or parts of given sizes."""
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis=axis)
    sizes = list(num_or_size_splits)
    if -1 in sizes:
        sizes[sizes.index(-1)] = int(value.shape[axis]) - sum(s for s in sizes if s != -1)
    return ops.split(value, np.cumsum(sizes)[:-1].tolist(), axis=axis)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """``tf.where`` with both values; without them the result's size depends on the data."""
    if x is None or y is None:
        raise UnsupportedError("tf.where with a condition only", feature="tf.where")
    return ops.where(condition, *_alike(x, y))


def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    **rest: Any,
) -> Any:
    """``tf.linalg.matmul``."""
    a = ops.swapaxes(a, -1, -2) if transpose_a or adjoint_a else a
    b = ops.swapaxes(b, -1, -2) if transpose_b or adjoint_b else b
    return ops.matmul(a, b)


def transpose(a: Any, perm: Any = None, conjugate: bool = False) -> Any:
    """``tf.transpose``."""
    return ops.transpose(a, perm)


def einsum(equation: str, *inputs: Any, **rest: Any) -> Any:
    """``tf.einsum``. Keras 2 wrote only its first argument, the equation, into a file."""
    if not inputs:
        raise UnsupportedError(
            f"Keras 2 did not save the operands of tf.einsum({equation!r}); the file cannot say "
            "what it was called on",
            feature="tf.einsum",
            instead="a SavedModel of the same model",
        )
    return ops.einsum(equation, *inputs)


def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, dim: Any = None) -> Any:
    """``tf.math.l2_normalize``: ``x / sqrt(max(sum(x^2), epsilon))``."""
    square = ops.sum(ops.square(x), axis=_axis(dim if axis is None else axis), keepdims=True)
    return x * ops.rsqrt(ops.maximum(square, epsilon))


def norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None) -> Any:
    """``tf.norm``."""
    order = None if ord == "euclidean" else ord
    return ops.norm(tensor, ord=order, axis=_axis(axis), keepdims=bool(keepdims))


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any) -> Any:
    """``tf.clip_by_value``."""
    return ops.clip(t, clip_value_min, clip_value_max)


def one_hot(
    indices: Any,
    depth: int,
    on_value: Any = None,
    off_value: Any = None,
    axis: Any = None,
    dtype: Any = None,
) -> Any:
    """``tf.one_hot``."""
    name = dtype_name(dtype) if dtype is not None else "float32"
    hot = ops.one_hot(indices, int(depth), axis=-1 if axis is None else axis, dtype=name)
    if on_value is None and off_value is None:
        return hot
    on, off = 1 if on_value is None else on_value, 0 if off_value is None else off_value
    return hot * (on - off) + off


def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Any:
    """``tf.pad``."""
    mode = mode.lower()
    value = constant_values if mode == "constant" else None
    return ops.pad(tensor, [tuple(side) for side in paddings], mode=mode, constant_values=value)


def reshape(tensor: Any, shape: Any) -> Any:
    """``tf.reshape``; parts of `shape` may be sizes taken from another tensor's shape."""
    return ops.reshape(tensor, static_shape(shape))


def static_shape(shape: Any) -> tuple[int, ...]:
    """A shape as integers: under ``jit`` sizes are known even where they came from a tensor."""
    if not isinstance(shape, (list, tuple)):
        shape = np.asarray(shape).reshape(-1).tolist()
    return tuple(int(np.asarray(side)) for side in shape)


def shape_of(input: Any, out_type: Any = None) -> Any:
    """``tf.shape``: known wherever the program is compiled for one shape."""
    return np.asarray([-1 if side is None else side for side in input.shape], np.int32)


def squeeze(input: Any, axis: Any = None, squeeze_dims: Any = None) -> Any:
    """``tf.squeeze``."""
    chosen = squeeze_dims if axis is None else axis
    return ops.squeeze(input, axis=_axis(chosen) if chosen != [] else None)


def tile(input: Any, multiples: Any) -> Any:
    """``tf.tile``."""
    return ops.tile(input, static_shape(multiples))


def stack(values: Any, axis: int = 0) -> Any:
    """``tf.stack``."""
    if all(isinstance(v, (int, np.generic, np.ndarray)) for v in values):
        return np.stack([np.asarray(v, np.int32) for v in values], axis)
    return ops.stack(values, axis=axis)


def unstack(value: Any, num: Any = None, axis: int = 0) -> Any:
    """``tf.unstack``."""
    if isinstance(value, np.ndarray):
        return list(np.moveaxis(value, axis, 0))
    return ops.unstack(value, num=num, axis=axis)


def leaky_relu(features: Any, alpha: float = 0.2) -> Any:
    """``tf.nn.leaky_relu``."""
    return ops.leaky_relu(features, negative_slope=alpha)


def gelu(features: Any, approximate: bool = False) -> Any:
    """``tf.nn.gelu``."""
    return ops.gelu(features, approximate=approximate)


def softmax(logits: Any, axis: Any = None, dim: Any = None) -> Any:
    """``tf.nn.softmax``."""
    chosen = dim if axis is None else axis
    return ops.softmax(logits, axis=-1 if chosen is None else chosen)


def log_softmax(logits: Any, axis: Any = None) -> Any:
    """``tf.nn.log_softmax``."""
    return ops.log_softmax(logits, axis=-1 if axis is None else axis)


def cumsum(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    """``tf.cumsum``."""
    values = ops.flip(x, axis=axis) if reverse else x
    total = ops.cumsum(values, axis=axis)
    total = total - values if exclusive else total
    return ops.flip(total, axis=axis) if reverse else total


def arg(function: Function) -> Function:
    """``tf.argmax`` and ``tf.argmin``: int64, over axis 0 where none is given."""

    def find(input: Any, axis: Any = None, output_type: Any = "int64", **rest: Any) -> Any:
        chosen = rest.get("dimension") if axis is None else axis
        index = function(input, axis=0 if chosen is None else chosen)
        return ops.cast(index, dtype_name(output_type))

    return find


def add_n(inputs: Any) -> Any:
    """``tf.add_n``."""
    total = inputs[0]
    for item in inputs[1:]:
        total = total + item
    return total


def top_k(input: Any, k: int = 1, sorted: bool = True, **rest: Any) -> Any:
    """``tf.math.top_k``."""
    return ops.top_k(input, int(k), sorted=sorted)


def bias_add(value: Any, bias: Any, data_format: Any = None) -> Any:
    """``tf.nn.bias_add``."""
    if data_format and data_format.startswith("NC"):
        return value + ops.reshape(bias, (-1, *[1] * (len(value.shape) - 2)))
    return ops.add(*_alike(value, bias))


def convert_to_tensor(value: Any, dtype: Any = None, **rest: Any) -> Any:
    """``tf.convert_to_tensor``."""
    return value if dtype is None else ops.cast(value, dtype_name(dtype))


def like(function: Function) -> Function:
    """``tf.zeros_like`` and ``tf.ones_like``."""

    def fill(input: Any, dtype: Any = None, **rest: Any) -> Any:
        return function(input, dtype=None if dtype is None else dtype_name(dtype))

    return fill


def filled(value: float) -> Function:
    """``tf.zeros`` and ``tf.ones``."""

    def fill(shape: Any, dtype: Any = "float32", **rest: Any) -> Any:
        return ops.full(static_shape(shape), value, dtype=dtype_name(dtype))

    return fill


def logical(function: Function) -> Function:
    """``&``, ``|``, ``^`` and ``~`` of booleans, or of the bits of integers."""
    return lambda x, *y: function(x, *y)


def expand_dims(input: Any, axis: Any = None, dim: Any = None) -> Any:
    """``tf.expand_dims``."""
    return ops.expand_dims(input, dim if axis is None else axis)


def broadcast_to(input: Any, shape: Any) -> Any:
    """``tf.broadcast_to``."""
    return ops.broadcast_to(input, static_shape(shape))


def reverse(tensor: Any, axis: Any) -> Any:
    """``tf.reverse``."""
    return ops.flip(tensor, axis=_axis(axis))


def roll(input: Any, shift: Any, axis: Any) -> Any:
    """``tf.roll``."""
    return ops.roll(input, shift=_axis(shift), axis=_axis(axis))


def tensordot(a: Any, b: Any, axes: Any) -> Any:
    """``tf.tensordot``."""
    return ops.tensordot(a, b, axes=axes if isinstance(axes, int) else [_axis(x) for x in axes])


UNARY: Mapping[str, Function] = {
    "abs": ops.abs,
    "negative": ops.negative,
    "sign": ops.sign,
    "square": ops.square,
    "sqrt": ops.sqrt,
    "rsqrt": ops.rsqrt,
    "exp": ops.exp,
    "expm1": ops.expm1,
    "log": ops.log,
    "log1p": ops.log1p,
    "sin": ops.sin,
    "cos": ops.cos,
    "tan": ops.tan,
    "asin": ops.arcsin,
    "acos": ops.arccos,
    "atan": ops.arctan,
    "sinh": ops.sinh,
    "cosh": ops.cosh,
    "asinh": ops.arcsinh,
    "acosh": ops.arccosh,
    "atanh": ops.arctanh,
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "softplus": ops.softplus,
    "softsign": ops.softsign,
    "floor": ops.floor,
    "ceil": ops.ceil,
    "round": ops.round,
    "erf": ops.erf,
    "reciprocal": ops.reciprocal,
    "is_nan": ops.isnan,
    "is_inf": ops.isinf,
    "is_finite": ops.isfinite,
    "logical_not": ops.logical_not,
    "log_sigmoid": ops.log_sigmoid,
    "identity": lambda x: x,
    "stop_gradient": ops.stop_gradient,
    "erfinv": ops.erfinv,
    "conj": ops.conj,
    "real": ops.real,
    "imag": ops.imag,
}
BINARY: Mapping[str, Function] = {
    "add": ops.add,
    "subtract": ops.subtract,
    "multiply": ops.multiply,
    "divide": ops.true_divide,
    "truediv": ops.true_divide,
    "floordiv": ops.floor_divide,
    "floormod": ops.mod,
    "mod": ops.mod,
    "pow": ops.power,
    "maximum": ops.maximum,
    "minimum": ops.minimum,
    "equal": ops.equal,
    "not_equal": ops.not_equal,
    "greater": ops.greater,
    "greater_equal": ops.greater_equal,
    "less": ops.less,
    "less_equal": ops.less_equal,
    "logical_and": ops.logical_and,
    "logical_or": ops.logical_or,
    "logical_xor": ops.logical_xor,
    "squared_difference": lambda x, y: ops.square(x - y),
    "divide_no_nan": lambda x, y: ops.divide_no_nan(x, y),
    "multiply_no_nan": lambda x, y: ops.where(y == 0, ops.zeros_like(x), x * y),
}
OPERATORS: Mapping[str, Function] = {
    "add": binary(ops.add),
    "radd": swapped(ops.add),
    "sub": binary(ops.subtract),
    "rsub": swapped(ops.subtract),
    "mul": binary(ops.multiply),
    "rmul": swapped(ops.multiply),
    "truediv": binary(ops.true_divide),
    "rtruediv": swapped(ops.true_divide),
    "div": binary(ops.true_divide),
    "rdiv": swapped(ops.true_divide),
    "floordiv": binary(ops.floor_divide),
    "rfloordiv": swapped(ops.floor_divide),
    "mod": binary(ops.mod),
    "rmod": swapped(ops.mod),
    "pow": binary(ops.power),
    "rpow": swapped(ops.power),
    "matmul": binary(ops.matmul),
    "rmatmul": swapped(ops.matmul),
    "lt": binary(ops.less),
    "le": binary(ops.less_equal),
    "gt": binary(ops.greater),
    "ge": binary(ops.greater_equal),
    "eq": binary(ops.equal),
    "ne": binary(ops.not_equal),
    "and": logical(ops.logical_and),
    "or": logical(ops.logical_or),
    "xor": logical(ops.logical_xor),
    "neg": unary(ops.negative),
    "abs": unary(ops.abs),
    "invert": logical(ops.logical_not),
    "rand": logical(ops.logical_and),
    "ror": logical(ops.logical_or),
}
REDUCTIONS: Mapping[str, Function] = {
    "reduce_sum": ops.sum,
    "reduce_mean": ops.mean,
    "reduce_max": ops.max,
    "reduce_min": ops.min,
    "reduce_prod": ops.prod,
    "reduce_all": ops.all,
    "reduce_any": ops.any,
    "reduce_std": ops.std,
    "reduce_variance": ops.var,
    "reduce_logsumexp": ops.logsumexp,
    "reduce_euclidean_norm": lambda x, axis, keepdims: ops.sqrt(
        ops.sum(ops.square(x), axis=axis, keepdims=keepdims)
    ),
}
NAMED: Mapping[str, Function] = {
    "atan2": lambda y, x: ops.arctan2(y, x),
    "cast": cast,
    "concat": concat,
    "split": split,
    "where": where,
    "where_v2": where,
    "matmul": matmul,
    "transpose": transpose,
    "einsum": einsum,
    "l2_normalize": l2_normalize,
    "norm": norm,
    "clip_by_value": clip_by_value,
    "one_hot": one_hot,
    "pad": pad,
    "reshape": reshape,
    "shape": shape_of,
    "squeeze": squeeze,
    "tile": tile,
    "stack": stack,
    "unstack": unstack,
    "cumsum": cumsum,
    "argmax": arg(ops.argmax),
    "argmin": arg(ops.argmin),
    "add_n": add_n,
    "top_k": top_k,
    "bias_add": bias_add,
    "convert_to_tensor": convert_to_tensor,
    "zeros_like": like(ops.zeros_like),
    "ones_like": like(ops.ones_like),
    "zeros": filled(0.0),
    "ones": filled(1.0),
    "expand_dims": expand_dims,
    "broadcast_to": broadcast_to,
    "reverse": reverse,
    "roll": roll,
    "relu": lambda features: ops.relu(features),
    "relu6": lambda features: ops.relu6(features),
    "elu": lambda features: ops.elu(features),
    "selu": lambda features: ops.selu(features),
    "silu": lambda features, beta=1.0: features * ops.sigmoid(beta * features),
    "swish": lambda features, beta=1.0: features * ops.sigmoid(beta * features),
    "leaky_relu": leaky_relu,
    "gelu": gelu,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "tensordot": tensordot,
    "cross": lambda a, b: ops.cross(a, b),
    "rank": lambda input: np.int32(len(input.shape)),
    "size": lambda input, out_type=None: np.int32(np.prod(input.shape)),
}
#: Functions by the last part of their name; what is before it only says where TensorFlow keeps it.
FUNCTIONS: Mapping[str, Function] = {
    **{name: unary(function) for name, function in UNARY.items()},
    **{name: binary(function) for name, function in BINARY.items()},
    **{name: reduction(function) for name, function in REDUCTIONS.items()},
    **NAMED,
    **ARRAYS,
    **LINALG,
    **LOSSES,
    **WINDOWS,
}
ALIASES: Mapping[str, str] = {
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "neg": "negative",
    "floor_div": "floordiv",
    "max_pool_v2": "max_pool",
}
#: Namespaces whose functions are in FUNCTIONS.
NAMESPACES = frozenset(
    {
        "",
        "math",
        "nn",
        "linalg",
        "compat.v1",
        "compat.v1.math",
        "compat.v1.nn",
        "compat.v1.linalg",
        "keras.backend",
        "raw_ops",
    }
)
PREFIXED: Mapping[str, Mapping[str, Function]] = {
    "__operators__": OPERATORS,
    "image": IMAGES,
    "compat.v1.image": IMAGES,
}


def find(name: str) -> Function:
    """The function that Keras 2 saved under a name such as ``math.reduce_mean``.

    Raises UnsupportedError for one that is not in the tables.
    """
    space, _, short = name.rpartition(".")
    found = PREFIXED.get(space, {}).get(short)
    if found is None and space.startswith("compat.v1") and short in REDUCTIONS:
        found = old_reduction(REDUCTIONS[short])
    if found is None and space in NAMESPACES:
        found = FUNCTIONS.get(ALIASES.get(short, short))
    if found is None:
        raise UnsupportedError(f"TensorFlow's tf.{name} has no counterpart here", feature=name)
    return found


def one_tensor_function(name: str) -> Function:
    """A function of one tensor by its bare name, for Lambda layers around it.

    A layer's ``arguments`` are the function's, besides the name of the op.
    """
    found: Function = FUNCTIONS[name]
    return lambda x, name=None, **arguments: found(x, **arguments)
