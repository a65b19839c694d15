"""Batch normalization."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, stopped

NORMALIZE = OpTable("normalize")


@NORMALIZE.op("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def fused_batch_norm(node: NodeView) -> Kernel:
    """Outputs: y, batch mean, batch variance, and what the gradient reuses.

    While training the third output is the variance with Bessel's correction, the reserved ones
    are the mean and the uncorrected variance (tensorflow/core/kernels/fused_batch_norm_op.cc).
    Of an empty batch all statistics are NaN.
    """
    epsilon = float(node.attr("epsilon"))
    momentum = float(node.attr("exponential_avg_factor"))
    training = bool(node.attr("is_training"))
    first = node.text("data_format") in ("NCHW", "NCDHW")
    extra = node.op == "FusedBatchNormV3"

    def normalize(x: Value, scale: Value, offset: Value, mean: Value, variance: Value) -> Value:
        axis = 1 if first else x.ndim - 1
        wide = x.astype(scale.dtype)
        if 0 in x.shape:
            nothing = ns(scale).full_like(scale, np.nan)
            return (x, *(nothing,) * 4, *_reserve_3(x, extra))
        if not training:
            y = _apply(wide, scale, offset, mean, variance, epsilon, axis).astype(x.dtype)
            reserved = (mean, variance)
            return (y, mean, variance, *reserved, *_reserve_3(x, extra))
        batch_mean, batch_variance, corrected = _moments(wide, axis)
        y = _apply(wide, scale, offset, batch_mean, batch_variance, epsilon, axis).astype(x.dtype)
        # TensorFlow's gradient is that of y alone.
        batch_mean, batch_variance, corrected = map(
            stopped, (batch_mean, batch_variance, corrected)
        )
        if momentum != 1:
            batch_out = (1 - momentum) * mean + momentum * batch_mean
            corrected = (1 - momentum) * variance + momentum * corrected
        else:
            batch_out = batch_mean
        return (y, batch_out, corrected, batch_mean, batch_variance, *_reserve_3(x, extra))

    return normalize


def _reserve_3(x: Value, extra: bool) -> tuple[Value, ...]:
    return (ns(x).zeros((0,), "float32"),) if extra else ()


def _channels(vector: Value, rank: int, axis: int) -> Value:
    return vector.reshape([-1 if i == axis else 1 for i in range(rank)])


def _moments(x: Value, axis: int) -> tuple[Value, Value, Value]:
    axes = tuple(i for i in range(x.ndim) if i != axis)
    mean = ns(x).mean(x, axis=axes)
    variance = ns(x).mean(ns(x).square(x - _channels(mean, x.ndim, axis)), axis=axes)
    count = x.size // x.shape[axis]
    return mean, variance, variance * (count / max(count - 1, 1))


def _apply(
    x: Value, scale: Value, offset: Value, mean: Value, variance: Value, epsilon: float, axis: int
) -> Value:
    """One multiplication and one addition per element, so the compiler fuses it with its source."""
    factor = scale * _rsqrt(variance + ns(variance).asarray(epsilon, variance.dtype))
    shift = offset - mean * factor
    return x * _channels(factor, x.ndim, axis) + _channels(shift, x.ndim, axis)


def _rsqrt(x: Value) -> Value:
    return jax.lax.rsqrt(x) if ns(x) is jnp else 1 / ns(x).sqrt(x)


@NORMALIZE.op("BatchNormWithGlobalNormalization")
def batch_norm_global(node: NodeView) -> Kernel:
    epsilon = float(node.attr("variance_epsilon"))
    scaled = bool(node.attr("scale_after_normalization"))

    def normalize(t: Value, mean: Value, variance: Value, beta: Value, gamma: Value) -> Value:
        scale = gamma if scaled else ns(gamma).ones_like(gamma)
        return _apply(t, scale, beta, mean, variance, epsilon, t.ndim - 1)

    return normalize


@NORMALIZE.op("BatchNormWithGlobalNormalizationGrad")
def batch_norm_global_grad(node: NodeView) -> Kernel:
    """Gradients for t, mean, variance, beta and gamma."""
    normalize = batch_norm_global(node)

    def gradient(t: Value, mean: Value, variance: Value, gamma: Value, g: Value) -> Value:
        primals = map(jnp.asarray, (t, mean, variance, jnp.zeros_like(gamma), gamma))
        return jax.vjp(normalize, *primals)[1](jnp.asarray(g))

    return gradient


@NORMALIZE.op("FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3")
def fused_batch_norm_grad(node: NodeView) -> Kernel:
    """Gradients for x, scale and offset; the reserved values are those of the forward op."""
    epsilon = float(node.attr("epsilon"))
    training = bool(node.attr("is_training"))
    first = node.text("data_format") in ("NCHW", "NCDHW")

    def gradient(
        g: Value, x: Value, scale: Value, mean: Value, variance: Value, *_: Value
    ) -> tuple[Value, ...]:
        axis = 1 if first else x.ndim - 1

        def forward(x: Value, scale: Value, offset: Value) -> Value:
            m, v = (_moments(x, axis)[:2]) if training else (mean, variance)
            return _apply(x, scale, offset, m, v, epsilon, axis)

        wide = jnp.asarray(x).astype(scale.dtype)
        _, pull = jax.vjp(forward, wide, jnp.asarray(scale), jnp.zeros_like(scale))
        dx, dscale, doffset = pull(jnp.asarray(g).astype(scale.dtype))
        empty = jnp.zeros((0,), "float32")
        return dx.astype(x.dtype), dscale, doffset, empty, empty

    return gradient
