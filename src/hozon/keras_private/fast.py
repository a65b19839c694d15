"""Models that compute on a CPU in the forms that XLA's CPU backend runs well.

While a thread calls a marked layer or model, Keras' convolutions and poolings are in this thread
those of `hozon.kernels`, which are XLA's own on an accelerator; what a marked model compiles gets
the options that serve them. Everything else has Keras' own, and so has what is written to a file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
import keras
from keras.src import backend
from keras.src.backend.common.backend_utils import compute_conv_transpose_padding_args_for_jax
from keras.src.layers.convolutional.base_conv import BaseConv
from keras.src.layers.convolutional.base_conv_transpose import BaseConvTranspose
from keras.src.layers.convolutional.base_depthwise_conv import BaseDepthwiseConv
from keras.src.layers.convolutional.base_separable_conv import BaseSeparableConv

from hozon.keras_private.bends import asked, bend
from hozon.keras_private.layers import layers_of
from hozon.keras_private.tracing import traces_for_file
from hozon.kernels.columns import column_sum, spread
from hozon.kernels.compile import compiler_options
from hozon.kernels.convolution import (
    convolution,
    convolution_input_gradient,
    depthwise_convolution,
)
from hozon.kernels.pooling import max_windows, sum_windows

#: Attribute of layers: whether their calls are fast; one without it is as what calls it.
_MARK = "hozon_fast_on_cpu"
_FAST: ContextVar[bool] = ContextVar("calls are fast on a CPU", default=False)
_COMPILING: ContextVar[bool] = ContextVar("compiles for a CPU", default=False)
_CONVOLUTIONS = (BaseConv, BaseConvTranspose, BaseDepthwiseConv, BaseSeparableConv)
_FUNCTIONS = ("train_function", "test_function", "predict_function")


def mark_if_faster(model: keras.Model) -> None:
    """Mark a model of a file if it has convolutions; others compute as Keras does, to the bit."""
    if any(isinstance(layer, _CONVOLUTIONS) for layer in layers_of(model)):
        mark_fast(model, True)


def mark_fast(layer: keras.Layer, fast: bool) -> None:
    """Say whether a layer or model, and those inside of it, are fast on a CPU.

    What it has compiled is compiled anew.
    """
    for inside in layers_of(layer):
        object.__setattr__(inside, _MARK, fast)
        if isinstance(inside, keras.Model):
            for name in _FUNCTIONS:
                object.__setattr__(inside, name, None)


def is_fast(layer: keras.Layer) -> bool:
    """Whether a layer or model is marked as fast on a CPU."""
    return bool(vars(layer).get(_MARK))


def _calling(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        fast = vars(layer).get(_MARK)
        if fast is None or fast == _FAST.get():
            return original(layer, *args, **kwargs)
        with asked(_FAST, fast):
            return original(layer, *args, **kwargs)

    return call


def _making(original: Callable[..., Any]) -> Callable[..., Any]:
    def make(model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        with asked(_COMPILING, is_fast(model)):
            return original(model, *args, **kwargs)

    return make


def _compiling(original: Callable[..., Any]) -> Callable[..., Any]:
    def jit(function: Callable[..., Any], **options: Any) -> Any:
        if not _COMPILING.get():
            return original(function, **options)

        def step(*args: Any) -> Any:  # JAX remembers what it traced of an equal function
            return function(*args)

        return original(step, compiler_options=compiler_options(), **options)

    return jit


def _wanted(x: Any, *others: Any) -> bool:
    """Whether this thread wants the fast forms, of arrays that have them."""
    return (
        _FAST.get()
        and not traces_for_file()
        and getattr(x, "ndim", 0) in (3, 4, 5)
        and all(
            isinstance(a, jax.Array) and jnp.issubdtype(a.dtype, jnp.floating) for a in (x, *others)
        )
    )


def _each(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _arguments(
    x: Any, strides: Any, padding: Any, data_format: Any, dilation_rate: Any
) -> dict[str, Any]:
    rank = x.ndim - 2
    return {
        "strides": _each(strides, rank),
        "padding": padding.upper() if isinstance(padding, str) else padding,
        "dilations": _each(dilation_rate, rank),
        "data_format": backend.standardize_data_format(data_format),
    }


def _channels(x: Any, data_format: Any) -> int:
    first = backend.standardize_data_format(data_format) == "channels_first"
    return int(x.shape[1 if first else -1])


def _values(*variables: Any) -> list[Any]:
    return [backend.convert_to_tensor(variable) for variable in variables]


def _convolving(original: Callable[..., Any]) -> Callable[..., Any]:
    def conv(
        inputs: Any,
        kernel: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: Any = None,
        dilation_rate: Any = 1,
    ) -> Any:
        given = (strides, padding, data_format, dilation_rate)
        if _FAST.get():
            (kernel,) = _values(kernel)
            inputs = backend.convert_to_tensor(inputs, dtype=kernel.dtype)
        if not _wanted(inputs, kernel) or _channels(inputs, data_format) % kernel.shape[-2]:
            return original(inputs, kernel, *given)
        result = convolution(inputs, kernel, **_arguments(inputs, *given))
        return original(inputs, kernel, *given) if result.size == 0 else result

    return conv


def _by_channel(original: Callable[..., Any]) -> Callable[..., Any]:
    def depthwise_conv(
        inputs: Any,
        kernel: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: Any = None,
        dilation_rate: Any = 1,
    ) -> Any:
        given = (strides, padding, data_format, dilation_rate)
        if _FAST.get():
            inputs, kernel = _values(inputs, kernel)
        if not _wanted(inputs, kernel) or _channels(inputs, data_format) != kernel.shape[-2]:
            return original(inputs, kernel, *given)
        return depthwise_convolution(inputs, kernel, **_arguments(inputs, *given))

    return depthwise_conv


def _transposing(original: Callable[..., Any]) -> Callable[..., Any]:
    def conv_transpose(
        inputs: Any,
        kernel: Any,
        strides: Any = 1,
        padding: Any = "valid",
        output_padding: Any = None,
        data_format: Any = None,
        dilation_rate: Any = 1,
    ) -> Any:
        if _FAST.get():
            inputs, kernel = _values(inputs, kernel)
        if not _wanted(inputs, kernel) or _channels(inputs, data_format) != kernel.shape[-1]:
            given = (strides, padding, output_padding, data_format, dilation_rate)
            return original(inputs, kernel, *given)
        arguments = _arguments(inputs, strides, "same", data_format, dilation_rate)
        around = compute_conv_transpose_padding_args_for_jax(
            input_shape=inputs.shape,
            kernel_shape=kernel.shape,
            strides=strides,
            padding=padding,
            output_padding=output_padding,
            dilation_rate=dilation_rate,
        )
        return _transposed(inputs, kernel, around, arguments)

    return conv_transpose


def _transposed(x: Any, kernel: Any, around: Sequence[tuple[int, int]], arguments: Any) -> Any:
    """The gradient of the convolution that has `x` as its output; `around` spread `x` is zero."""
    first = arguments["data_format"] == "channels_first"
    lengths = x.shape[2:] if first else x.shape[1:-1]
    steps = zip(arguments["strides"], arguments["dilations"], kernel.shape[:-2], strict=True)
    sizes, pads = [], []
    for length, (stride, dilation, size), (low, high) in zip(lengths, steps, around, strict=True):
        spread, reach = (length - 1) * stride + 1, (size - 1) * dilation + 1
        sizes.append(spread + low + high - reach + 1)
        pads.append((reach - 1 - low, reach - 1 - high))
    inside = (kernel.shape[-2], *sizes) if first else (*sizes, kernel.shape[-2])
    return convolution_input_gradient(
        x, kernel, (x.shape[0], *inside), **{**arguments, "padding": pads}
    )


def _window(
    x: Any, pool_size: Any, strides: Any, padding: str, data_format: Any
) -> tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, int]]]:
    """Sizes, strides and padding of a pooling over all axes."""

    def over_all(value: Any) -> tuple[int, ...]:
        spatial = _each(value, x.ndim - 2)
        first = backend.standardize_data_format(data_format) == "channels_first"
        return (1, 1, *spatial) if first else (1, *spatial, 1)

    size = over_all(pool_size)
    steps = size if strides is None else over_all(strides)
    pads = jax.lax.padtype_to_pads(x.shape, size, steps, padding.upper())
    return size, steps, [(int(low), int(high)) for low, high in pads]


def _maximal(original: Callable[..., Any]) -> Callable[..., Any]:
    def max_pool(
        inputs: Any,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: Any = None,
    ) -> Any:
        given = (pool_size, strides, padding, data_format)
        if not _wanted(inputs) or padding not in ("same", "valid"):
            return original(inputs, *given)
        return max_windows(inputs, *_window(inputs, *given))

    return max_pool


def _averaging(original: Callable[..., Any]) -> Callable[..., Any]:
    def average_pool(
        inputs: Any,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: Any = None,
    ) -> Any:
        given = (pool_size, strides, padding, data_format)
        if not _wanted(inputs) or padding not in ("same", "valid"):
            return original(inputs, *given)
        size, steps, pads = _window(inputs, *given)
        total = sum_windows(inputs, size, steps, pads)
        if padding == "valid":
            return total / math.prod(size)
        spatial = [n if k > 1 else 1 for n, k in zip(inputs.shape, size, strict=True)]
        return total / sum_windows(jnp.ones(spatial, inputs.dtype), size, steps, pads)

    return average_pool


def _is_float(*arrays: Any) -> bool:
    """Whether this thread wants the fast forms, of arrays of one type of floats."""
    return (
        _FAST.get()
        and not traces_for_file()
        and all(isinstance(a, jax.Array) for a in arrays)
        and len({a.dtype for a in arrays}) == 1
        and bool(jnp.issubdtype(arrays[0].dtype, jnp.floating))
    )


def _counting(original: Callable[..., Any]) -> Callable[..., Any]:
    def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
        if synchronized or not _is_float(x) or not _all_but_last(x, axes):
            return original(x, axes, keepdims=keepdims, synchronized=synchronized)
        positions = x.size // x.shape[-1]
        if x.dtype.itemsize < 4 or not positions:  # these have a range of their own
            return original(x, axes, keepdims=keepdims)
        mean = column_sum(x) / positions
        variance = column_sum(jnp.square(x - spread(mean, x.shape))) / positions
        shape = (1,) * (x.ndim - 1) * keepdims + mean.shape
        return mean.reshape(shape), variance.reshape(shape)

    return moments


def _all_but_last(x: Any, axes: Any) -> bool:
    over = {axis % x.ndim for axis in (axes if isinstance(axes, (list, tuple)) else [axes])}
    return x.ndim > 1 and over == set(range(x.ndim - 1))


def _normalizing(original: Callable[..., Any]) -> Callable[..., Any]:
    def batch_normalization(
        x: Any,
        mean: Any,
        variance: Any,
        axis: int,
        offset: Any = None,
        scale: Any = None,
        epsilon: float = 1e-3,
    ) -> Any:
        values = [v for v in (mean, variance, offset, scale) if v is not None]
        if not _is_float(x, *values) or axis % x.ndim != x.ndim - 1 or x.ndim < 2:
            return original(x, mean, variance, axis, offset, scale, epsilon)
        factor = jax.lax.rsqrt(variance + epsilon)
        factor = factor if scale is None else factor * scale
        moved = -mean * factor if offset is None else offset - mean * factor
        return x * spread(factor, x.shape) + spread(moved, x.shape)

    return batch_normalization


if keras.config.backend() == "jax":
    from keras.src.backend.jax import nn, trainer

    bend(nn, "conv", _convolving)
    bend(nn, "depthwise_conv", _by_channel)
    bend(nn, "conv_transpose", _transposing)
    bend(nn, "max_pool", _maximal)
    bend(nn, "average_pool", _averaging)
    bend(nn, "moments", _counting)
    bend(nn, "batch_normalization", _normalizing)
    bend(keras.Layer, "__call__", _calling)
    bend(keras.Layer, "stateless_call", _calling)
    bend(trainer, "jit", _compiling)
    for _name in ("make_train_function", "make_test_function", "make_predict_function"):
        bend(trainer.JAXTrainer, _name, _making)
