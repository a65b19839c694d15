"""Fourier transforms over the last axes, or over named ones.

TensorFlow crops the input to ``fft_length`` and refuses shorter input (Python pads it before); a
complex result of real input has ``fft_length // 2 + 1`` values on the last transformed axis
(tensorflow/core/kernels/fft_ops.cc).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, static_ints

SIGNAL = OpTable("signal")

#: (values, one length per axis, axes) -> values before they are cast to the op's dtype.
Transform = Callable[[Value, Sequence[int], Sequence[int]], Value]
PURPOSE = "the length of a Fourier transform"


def _along(name: str, values: Value, length: int, axis: int) -> Value:
    """``np.fft.<name>`` along one axis, also where there is nothing to transform."""
    size = length // 2 + 1 if name == "rfft" else length
    if length == 0 or values.shape[axis] == 0:
        shape = list(values.shape)
        shape[axis] = size if length else 0
        return ns(values).zeros(shape, values.dtype)
    transform: Any = getattr(ns(values).fft, name)
    return transform(values, length, axis)


def _complex(name: str) -> Transform:
    def transform(values: Value, lengths: Sequence[int], axes: Sequence[int]) -> Value:
        for length, axis in zip(lengths, axes, strict=True):
            values = _along(name, values, length, axis)
        return values

    return transform


def _from_real(values: Value, lengths: Sequence[int], axes: Sequence[int]) -> Value:
    values = _along("rfft", values, lengths[-1], axes[-1])
    return _complex("fft")(values, lengths[:-1], axes[:-1])


def _to_real(values: Value, lengths: Sequence[int], axes: Sequence[int]) -> Value:
    values = _complex("ifft")(values, lengths[:-1], axes[:-1])
    return _along("irfft", values, lengths[-1], axes[-1])


TRANSFORMS: dict[str, Transform] = {
    "FFT": _complex("fft"),
    "IFFT": _complex("ifft"),
    "RFFT": _from_real,
    "IRFFT": _to_real,
}
RANKS = {"": 1, "2D": 2, "3D": 3}


def _result_dtype(node: NodeView, name: str) -> np.dtype[Any]:
    if node.op.startswith("Batch"):
        return np.dtype(np.complex64)
    return node.dtype("Treal" if name == "IRFFT" else "Tcomplex").numpy


def _check_rank(node: NodeView, values: Value, rank: int) -> None:
    if values.ndim < rank:
        raise MismatchError(
            f"node {node.name!r} ({node.op}) transforms {rank} axes, the input has {values.ndim}"
        )


def _check_lengths(node: NodeView, name: str, values: Value, sizes: Sequence[int]) -> None:
    needed = list(sizes)
    if name == "IRFFT" and needed[-1]:
        needed[-1] = needed[-1] // 2 + 1
    given = tuple(values.shape[-len(needed) :])
    if any(size < 0 for size in sizes) or any(h < n for h, n in zip(given, needed, strict=True)):
        raise MismatchError(
            f"node {node.name!r} ({node.op}): the last axes have lengths {given}, "
            f"at least {tuple(needed)} are needed"
        )


def _whole(name: str, rank: int) -> Callable[[NodeView], Kernel]:
    """A handler of a transform over all of the last `rank` axes."""

    def handler(node: NodeView) -> Kernel:
        dtype = _result_dtype(node, name)
        axes = tuple(range(-rank, 0))

        def kernel(values: Value) -> Value:
            _check_rank(node, values, rank)
            return TRANSFORMS[name](values, values.shape[-rank:], axes).astype(dtype)

        return kernel

    return handler


def _cut(name: str, rank: int) -> Callable[[NodeView], Kernel]:
    """A handler of a transform over the last `rank` axes, cropped or padded to lengths."""

    def handler(node: NodeView) -> Kernel:
        dtype = _result_dtype(node, name)
        axes = tuple(range(-rank, 0))

        def kernel(values: Value, lengths: Value) -> Value:
            _check_rank(node, values, rank)
            sizes = static_ints(lengths, PURPOSE)
            if len(sizes) != rank:
                raise MismatchError(f"node {node.name!r} ({node.op}): {len(sizes)} lengths")
            _check_lengths(node, name, values, sizes)
            return TRANSFORMS[name](values, sizes, axes).astype(dtype)

        return kernel

    return handler


def _named(name: str) -> Callable[[NodeView], Kernel]:
    """A handler of a transform over the axes that an input names."""

    def handler(node: NodeView) -> Kernel:
        dtype = _result_dtype(node, name)

        def kernel(values: Value, lengths: Value, axes: Value) -> Value:
            sizes = static_ints(lengths, PURPOSE)
            places = static_ints(axes, "the axes of a Fourier transform")
            if len(sizes) != len(places) or not places:
                raise MismatchError(f"node {node.name!r}: lengths {sizes} for axes {places}")
            return TRANSFORMS[name](values, sizes, places).astype(dtype)

        return kernel

    return handler


for _suffix, _rank in RANKS.items():
    for _name in ("FFT", "IFFT"):
        SIGNAL.op(f"{_name}{_suffix}", f"Batch{_name}{_suffix}")(_whole(_name, _rank))
    for _name in ("RFFT", "IRFFT"):
        SIGNAL.op(f"{_name}{_suffix}")(_cut(_name, _rank))
for _name in TRANSFORMS:
    SIGNAL.op(f"{_name}ND")(_named(_name))
