"""Weights of CuDNNLSTM and CuDNNGRU as those of LSTM and GRU(reset_after=True).

The CuDNN layers stored each gate's kernel as cuDNN keeps it, transposed, and two biases for each
gate. Gates have the same order: i, f, c, o and z, r, h (tf_keras ``saving/legacy/hdf5_format``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hozon.errors import MismatchError

Array = np.ndarray[Any, Any]
GATES = {"CuDNNLSTM": 4, "CuDNNGRU": 3}


def is_cudnn(class_name: str) -> bool:
    """Whether a saved class has weights in cuDNN's layout."""
    return class_name in GATES


def standard_weights(class_name: str, weights: Sequence[Array]) -> list[Array]:
    """Kernel (inputs, gates x units), recurrent kernel (units, gates x units) and bias.

    Args:
        class_name: "CuDNNLSTM" or "CuDNNGRU".
        weights: kernel, recurrent kernel and bias (2 x gates x units,) as stored.

    Raises:
        MismatchError: the shapes are not those of the class.
    """
    gates = GATES[class_name]
    if len(weights) != 3 or weights[1].shape[-1] % gates or weights[2].size % (2 * gates):
        shapes = [w.shape for w in weights]
        raise MismatchError(f"{class_name} has three weights in {gates} gates, not {shapes}")
    kernel, recurrent, bias = weights
    bias = bias.reshape(2, -1)
    return [
        _per_gate(kernel, gates, lambda k: k.T.reshape(k.shape, order="F")),
        _per_gate(recurrent, gates, lambda k: k.T),
        bias.sum(axis=0) if class_name == "CuDNNLSTM" else bias,
    ]


def _per_gate(kernel: Array, gates: int, change: Callable[[Array], Array]) -> Array:
    return np.hstack([change(part) for part in np.hsplit(kernel, gates)])
