"""Functions of ``tf.nn`` that move windows over images, as `keras.ops`; see `tf_ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from hozon.errors import UnsupportedError

Function = Callable[..., Any]


def _tensor(value: Any, like: Any) -> Any:
    """A kernel, perhaps a constant of the config, as a tensor of the images' dtype."""
    return ops.convert_to_tensor(value, keras.backend.standardize_dtype(like.dtype))


def pool(function: Function) -> Function:
    """``tf.nn.max_pool2d`` and ``tf.nn.avg_pool2d``."""

    def run(
        input: Any, ksize: Any, strides: Any, padding: str, data_format: Any = "NHWC", **rest: Any
    ) -> Any:
        rank = len(input.shape) - 2
        last = not str(data_format).startswith("NC")
        sides = [_sides(value, rank, last) for value in (ksize, strides)]
        return function(
            input,
            sides[0],
            sides[1],
            padding=padding.lower(),
            data_format="channels_last" if last else "channels_first",
        )

    return run


def _sides(value: Any, rank: int, last: bool) -> tuple[int, ...]:
    values = [value] if isinstance(value, int) else list(value)
    if len(values) == rank + 2:
        values = values[1:-1] if last else values[2:]
    return tuple(values * rank if len(values) == 1 else values)


def conv2d(
    input: Any,
    filters: Any = None,
    strides: Any = 1,
    padding: Any = "VALID",
    data_format: Any = "NHWC",
    dilations: Any = 1,
    filter: Any = None,
    **rest: Any,
) -> Any:
    """``tf.nn.conv2d`` with "SAME" or "VALID" padding; TensorFlow 1 says `filter`."""
    if not isinstance(padding, str):
        raise UnsupportedError("tf.nn.conv2d with explicit padding", feature="tf.nn.conv2d")
    kernel = filter if filters is None else filters
    last = not str(data_format).startswith("NC")
    return ops.conv(
        input,
        _tensor(kernel, input),
        strides=_sides(strides, 2, last),
        padding=padding.lower(),
        data_format="channels_last" if last else "channels_first",
        dilation_rate=_sides(dilations or 1, 2, last),
    )


def _channels_last(data_format: str, name: str) -> None:
    if data_format != "NHWC":
        raise UnsupportedError(f"tf.nn.{name} with data_format {data_format!r}", feature=name)


def space_to_depth(input: Any, block_size: int, data_format: str = "NHWC") -> Any:
    """``tf.nn.space_to_depth``, channels last."""
    _channels_last(data_format, "space_to_depth")
    _, rows, columns, depth = input.shape
    parts = ops.reshape(
        input, (-1, rows // block_size, block_size, columns // block_size, block_size, depth)
    )
    parts = ops.transpose(parts, (0, 1, 3, 2, 4, 5))
    return ops.reshape(
        parts, (-1, rows // block_size, columns // block_size, block_size * block_size * depth)
    )


def depth_to_space(input: Any, block_size: int, data_format: str = "NHWC") -> Any:
    """``tf.nn.depth_to_space``, channels last."""
    _channels_last(data_format, "depth_to_space")
    _, rows, columns, depth = input.shape
    kept = depth // (block_size * block_size)
    parts = ops.reshape(input, (-1, rows, columns, block_size, block_size, kept))
    parts = ops.transpose(parts, (0, 1, 3, 2, 4, 5))
    return ops.reshape(parts, (-1, rows * block_size, columns * block_size, kept))


def depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: str,
    data_format: Any = None,
    dilations: Any = None,
    **rest: Any,
) -> Any:
    """``tf.nn.depthwise_conv2d``, channels last."""
    if str(data_format or "NHWC").startswith("NC") or not isinstance(padding, str):
        raise UnsupportedError(
            "tf.nn.depthwise_conv2d with channels first or explicit padding",
            feature="tf.nn.depthwise_conv2d",
        )
    rates = dilations if isinstance(dilations, int) else tuple(dilations or (1, 1))[-2:]
    return ops.depthwise_conv(
        input,
        _tensor(filter, input),
        strides=tuple(strides)[1:3],
        padding=padding.lower(),
        data_format="channels_last",
        dilation_rate=rates,
    )


WINDOWS: Mapping[str, Function] = {
    "max_pool": pool(ops.max_pool),
    "max_pool2d": pool(ops.max_pool),
    "avg_pool": pool(ops.average_pool),
    "avg_pool2d": pool(ops.average_pool),
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "depth_to_space": depth_to_space,
    "space_to_depth": space_to_depth,
}
