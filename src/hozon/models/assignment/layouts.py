"""Weights in layouts of other days: Keras 1, Theano's flipped kernels, cuDNN's gates.

Sources: keras 2.2 ``engine/saving.py`` and tf_keras ``saving/legacy/hdf5_format.py``
(``preprocess_weights_for_loading``), which say what was stored how.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from hozon.config.cudnn import standard_weights

Array = np.ndarray[Any, Any]
Arrays = list[Array]
CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv2DTranspose,
    keras.layers.ConvLSTM2D,
)
#: Positions of Keras 1's arrays, one for each gate, in the order of Keras 2's gates: kernels,
#: recurrent kernels, biases.
GATES1 = {
    "LSTM": ((0, 6, 3, 9), (1, 7, 4, 10), (2, 8, 5, 11)),
    "GRU": ((0, 3, 6), (1, 4, 7), (2, 5, 8)),
}


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a file's writer: if it was Keras 1 or 3, and if it ran on Theano."""

    keras1: bool = False
    theano: bool = False
    keras3: bool = False


def restored(layer: Any, shapes: Sequence[tuple[int, ...]], origin: Origin) -> bool:
    """Whether a layer's stored arrays, known by their shapes, need `converted`."""
    if isinstance(layer, keras.layers.TimeDistributed):
        return restored(layer.layer, shapes, origin)
    if isinstance(layer, keras.layers.Bidirectional):
        return restored(layer.forward_layer, shapes[: len(shapes) // 2], origin)
    if isinstance(layer, (keras.layers.LSTM, keras.layers.GRU)):
        return (origin.keras1 and len(shapes) > 3) or _cudnn(layer, shapes) is not None
    return isinstance(layer, CONVOLUTIONS) and bool(shapes) and (origin.keras1 or origin.theano)


def converted(layer: Any, arrays: Arrays, origin: Origin) -> Arrays:
    """A layer's stored arrays in the layout of Keras 3.

    Raises MismatchError for arrays that are of no known layout.
    """
    if isinstance(layer, keras.layers.TimeDistributed):
        return converted(layer.layer, arrays, origin)
    if isinstance(layer, keras.layers.Bidirectional):
        half = len(arrays) // 2
        return [
            *converted(layer.forward_layer, arrays[:half], origin),
            *converted(layer.backward_layer, arrays[half:], origin),
        ]
    if isinstance(layer, (keras.layers.LSTM, keras.layers.GRU)):
        return _recurrent(layer, arrays, origin)
    if isinstance(layer, CONVOLUTIONS):
        return _convolution(layer, arrays, origin)
    return arrays


def _cudnn(layer: keras.Layer, shapes: Sequence[tuple[int, ...]]) -> str | None:
    """The cuDNN class whose bias this is: all gates' two biases in one row."""
    name, gates = ("CuDNNLSTM", 4) if isinstance(layer, keras.layers.LSTM) else ("CuDNNGRU", 3)
    return name if len(shapes) == 3 and shapes[2] == (2 * gates * layer.units,) else None


def _recurrent(layer: keras.Layer, arrays: Arrays, origin: Origin) -> Arrays:
    cudnn = _cudnn(layer, [array.shape for array in arrays])
    if cudnn is not None:
        return standard_weights(cudnn, arrays)
    gates = GATES1["LSTM" if isinstance(layer, keras.layers.LSTM) else "GRU"]
    if not origin.keras1 or len(arrays) != sum(map(len, gates)):
        return arrays
    return [np.concatenate([arrays[i] for i in row], axis=-1) for row in gates]


def _convolution(layer: keras.Layer, arrays: Arrays, origin: Origin) -> Arrays:
    arrays = list(arrays)
    if isinstance(layer, keras.layers.ConvLSTM2D):
        if origin.keras1 and len(arrays) == 12:
            arrays = [np.concatenate([arrays[i] for i in row], axis=-1) for row in GATES1["LSTM"]]
        kernels = 2
    else:
        kernels = 1
    wanted = [tuple(variable.shape) for variable in layer.weights]
    for position in range(min(kernels, len(arrays), len(wanted))):
        if origin.keras1:
            arrays[position] = _of_keras1(layer, arrays[position], wanted[position])
        if origin.theano:
            arrays[position] = flipped(arrays[position])
    return arrays


def flipped(kernel: Array) -> Array:
    """A kernel turned round in space: Theano convolves where all others correlate."""
    space = (slice(None, None, -1),) * (kernel.ndim - 2)
    return np.ascontiguousarray(kernel[space])


def _of_keras1(layer: keras.Layer, kernel: Array, wanted: tuple[int, ...]) -> Array:
    """Keras 1 kept 1-D kernels with a second axis, and "th" kernels with filters first."""
    if isinstance(layer, keras.layers.Conv1D):
        if kernel.ndim != 4:
            return kernel
        length = layer.kernel_size[0]
        if kernel.shape[:2] != (length, 1) or kernel.shape[3] != layer.filters:
            kernel = kernel.transpose(2, 3, 1, 0)
        return np.ascontiguousarray(kernel[:, 0])
    first = kernel.ndim - 2
    turned: Callable[[Array], Array] = lambda k: k.transpose(*range(2, first + 2), 1, 0)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        turned = lambda k: k.transpose(2, 3, 0, 1)
        if layer.data_format == "channels_last":
            return np.ascontiguousarray(kernel.transpose(0, 1, 3, 2))
    if layer.data_format == "channels_first" or kernel.shape != wanted:
        return np.ascontiguousarray(turned(kernel))
    return kernel
