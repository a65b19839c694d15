"""Models that take strings.

Keras' JAX backend has no string tensors. Between the caller and `call`, strings travel as codes:
an int16 array with one more axis, bytes as they are and -1 after the end. `call` turns codes back
into NumPy object arrays, and what reads strings runs on the host; the model runs eagerly, its
numeric parts as compiled programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from hozon.errors import UnsupportedError

#: Marks the end of a string among its codes.
END = -1


def is_text(value: Any) -> bool:
    """Whether a value is a string, or an array or list of strings."""
    if isinstance(value, (str, bytes)):
        return True
    if isinstance(value, (list, tuple)):
        return bool(value) and not hasattr(value[0], "dtype") and is_text(value[0])
    return isinstance(value, np.ndarray) and value.dtype.kind in "OSU"


def encode(value: Any) -> Any:
    """Strings as codes, shape ``value.shape + (longest + 1,)``; other values as they are."""
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not is_text(value):
        return type(value)(encode(item) for item in value)
    if not is_text(value):
        return value
    array = np.asarray(value)
    texts = [t if isinstance(t, bytes) else str(t).encode() for t in array.reshape(-1).tolist()]
    width = max(map(len, texts), default=0) + 1
    codes = np.full((len(texts), width), END, np.int16)
    for row, text in zip(codes, texts, strict=True):
        row[: len(text)] = np.frombuffer(text, np.uint8)
    return codes.reshape(*array.shape, width)


def decode(value: Any) -> Any:
    """Codes as an object array of ``bytes``; other values as they are."""
    if isinstance(value, Mapping):
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not is_text(value):
        return type(value)(decode(item) for item in value)
    if is_text(value):
        return strings(value)
    if getattr(value, "dtype", None) != np.int16:
        return value
    codes = np.asarray(value)
    rows = codes.reshape(-1, codes.shape[-1])
    texts = np.empty(len(rows), object)
    texts[:] = [row[row >= 0].astype(np.uint8).tobytes() for row in rows]
    return texts.reshape(codes.shape[:-1])


def strings(value: Any) -> np.ndarray[Any, Any]:
    """Text as an object array of ``bytes``."""
    array = np.asarray(value)
    flat = [t if isinstance(t, bytes) else str(t).encode() for t in array.reshape(-1).tolist()]
    texts = np.empty(len(flat), object)
    texts[:] = flat
    return texts.reshape(array.shape)


class StringInputs:
    """Added to the class of a model that takes strings; see the module."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model; strings may be NumPy arrays or lists."""
        return super().__call__(*map(decode, args), **kwargs)  # type: ignore[misc]

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own call; Keras' trainer comes here with codes."""
        return super().call(*map(decode, args), **kwargs)  # type: ignore[misc]

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Train; as ``keras.Model.fit``, `x` with NumPy string arrays or lists of strings."""
        if "validation_data" in kwargs and kwargs["validation_data"] is not None:
            first, *rest = kwargs["validation_data"]
            kwargs["validation_data"] = (encode(first), *rest)
        return super().fit(self._data(x), y, **kwargs)  # type: ignore[misc]

    def evaluate(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Evaluate; see `fit`."""
        return super().evaluate(self._data(x), y, **kwargs)  # type: ignore[misc]

    def predict(self, x: Any, **kwargs: Any) -> Any:
        """Predict; see `fit`."""
        return super().predict(self._data(x), **kwargs)  # type: ignore[misc]

    def train_on_batch(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """One training step; see `fit`."""
        return super().train_on_batch(self._data(x), y, **kwargs)  # type: ignore[misc]

    def test_on_batch(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
        """Evaluate one batch; see `fit`."""
        return super().test_on_batch(self._data(x), y, **kwargs)  # type: ignore[misc]

    def predict_on_batch(self, x: Any) -> Any:
        """Predict one batch; see `fit`."""
        return super().predict_on_batch(self._data(x))  # type: ignore[misc]

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Build metrics, loss and optimizer on a real batch; Keras would trace a symbolic one."""
        if data_batch is None:
            _, _, steps = next(iter(iterator))
            data_batch = steps[0] if isinstance(steps, (list, tuple)) else next(steps)
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data_batch)
        outputs = self(x, training=False)
        if self._compile_metrics is not None and not self._compile_metrics.built:  # type: ignore[attr-defined]
            self._compile_metrics.build(y, outputs)  # type: ignore[attr-defined]
        if self._compile_loss is not None and not self._compile_loss.built:  # type: ignore[attr-defined]
            self._compile_loss.build(y, outputs)  # type: ignore[attr-defined]
        if self.optimizer is not None and not self.optimizer.built:  # type: ignore[attr-defined]
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]
        self._post_build()  # type: ignore[attr-defined]

    @property
    def run_eagerly(self) -> bool:
        """Always true: strings cannot enter a compiled program."""
        return True

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        """Ignored; see the getter."""

    @staticmethod
    def _data(x: Any) -> Any:
        if x is None or isinstance(x, (np.ndarray, list, tuple, Mapping)) or is_text(x):
            return encode(x)
        if isinstance(x, keras.KerasTensor):
            return x
        raise UnsupportedError(
            f"a model that takes strings trains and predicts on NumPy arrays and lists, "
            f"not on {type(x).__name__}"
        )


def with_strings(model: keras.Model) -> keras.Model:
    """Make a model take strings: its class is extended in place, its name kept."""
    kind = type(model)
    if not issubclass(kind, StringInputs):
        model.__class__ = type(kind.__name__, (StringInputs, kind), {"__module__": kind.__module__})
    model._convert_input_args = False
    model._allow_non_tensor_positional_args = True
    return model
