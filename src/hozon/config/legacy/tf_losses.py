"""Functions of ``tf.nn`` that compare or normalize, as `keras.ops`; see `tf_ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras import ops


def sigmoid_cross_entropy(labels: Any = None, logits: Any = None) -> Any:
    """``tf.nn.sigmoid_cross_entropy_with_logits``."""
    return ops.relu(logits) - logits * labels + ops.softplus(-ops.abs(logits))


def softmax_cross_entropy(labels: Any, logits: Any, axis: int = -1) -> Any:
    """``tf.nn.softmax_cross_entropy_with_logits``."""
    return -ops.sum(labels * ops.log_softmax(logits, axis=axis), axis=axis)


def sparse_softmax_cross_entropy(labels: Any = None, logits: Any = None) -> Any:
    """``tf.nn.sparse_softmax_cross_entropy_with_logits``."""
    known = ops.one_hot(labels, int(logits.shape[-1]), dtype=logits.dtype)
    return softmax_cross_entropy(known, logits)


def local_response_normalization(
    input: Any, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5
) -> Any:
    """``tf.nn.local_response_normalization``: ``x / (bias + alpha * sum of squares) ** beta``.

    The sum is over the channels at most `depth_radius` away.
    """
    channels = int(input.shape[-1])
    padded = ops.pad(ops.square(input), [(0, 0)] * 3 + [(depth_radius, depth_radius)])
    window = range(2 * depth_radius + 1)
    total = sum(padded[..., start : start + channels] for start in window)
    return input * ops.power(bias + alpha * total, -beta)


LOSSES: Mapping[str, Callable[..., Any]] = {
    "sigmoid_cross_entropy_with_logits": sigmoid_cross_entropy,
    "softmax_cross_entropy_with_logits": softmax_cross_entropy,
    "softmax_cross_entropy_with_logits_v2": softmax_cross_entropy,
    "sparse_softmax_cross_entropy_with_logits": sparse_softmax_cross_entropy,
    "local_response_normalization": local_response_normalization,
    "lrn": local_response_normalization,
}
