"""Convolutions in TensorFlow's layouts."""

from __future__ import annotations

from collections.abc import Sequence

import jax

Padding = str | Sequence[tuple[int, int]]

LAYOUTS = {
    "NHWC": ("NHWC", "HWIO", "NHWC"),
    "NCHW": ("NCHW", "HWIO", "NCHW"),
    "NDHWC": ("NDHWC", "DHWIO", "NDHWC"),
    "NCDHW": ("NCDHW", "DHWIO", "NCDHW"),
}


def convolution(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Sequence[int],
    padding: Padding,
    dilations: Sequence[int],
    groups: int = 1,
    data_format: str = "NHWC",
) -> jax.Array:
    """Convolve `x` with `kernel` of shape (*window, channels / groups, filters)."""
    return jax.lax.conv_general_dilated(
        x, kernel, tuple(strides), padding, rhs_dilation=tuple(dilations),
        dimension_numbers=LAYOUTS[data_format], feature_group_count=groups,
    )  # fmt: skip
