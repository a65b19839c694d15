"""Models that take strings.

Keras' JAX backend has no string tensors. Between the caller and `call`, strings travel as codes:
an int16 array with one more axis, bytes as they are and -1 after the end. Each batch of codes turns
back into NumPy object arrays on the host, and so does what reads strings run there. A model that
can be split where strings became numbers trains and predicts as compiled programs from there on;
another one runs eagerly, its numeric functions as compiled programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from hozon.config.text_layers.functional import StringFunctional, accept_strings
from hozon.config.text_layers.host import HostLayer
from hozon.errors import UnsupportedError
from hozon.keras_private.extended import extend
from hozon.keras_private.graph import functional_of
from hozon.keras_private.layers import layers_of, take_anything
from hozon.keras_private.text_inputs import takes_text
from hozon.keras_private.trainer import HostTrainer
from hozon.models.text.split import Split, is_numbers
from hozon.models.text.symbols import take_text

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
        return value.astype(np.int32) if getattr(value, "dtype", None) == np.int16 else value
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


def on_host(value: Any) -> Any:
    """A structure that holds text with its other values as NumPy arrays too.

    Keras takes no structure of which only a part is tensors.
    """
    leaves = keras.tree.flatten(value)
    nested = not isinstance(value, np.ndarray) and any(map(is_text, leaves))
    return keras.tree.map_structure(np.asarray, value) if nested else value


class StringInputs(HostTrainer):
    """Added to the class of a model that takes strings; see the module."""

    split: Split | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model; strings may be NumPy arrays or lists."""
        return super().__call__(*map(on_host, map(decode, args)), **kwargs)  # type: ignore[misc]

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own call; Keras' trainer comes here with numbers, or codes."""
        if self.split is not None and args and is_numbers(args[0]):
            return self.split.outputs(args[0], kwargs.get("training"))
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

    def host_part(self) -> Callable[[Any], Any] | None:
        """The numbers of a batch of texts."""
        split = self.split
        return None if split is None else lambda x: split.numbers(decode(x))

    def _data(self, x: Any) -> Any:
        # Asked here, as Keras on JAX takes the variables' values away while a loop runs.
        for layer in layers_of(self):
            if isinstance(layer, HostLayer):
                layer.require_vocabulary()
        if x is None or isinstance(x, (np.ndarray, list, tuple, Mapping)) or is_text(x):
            return encode(x)
        if isinstance(x, keras.KerasTensor):
            return x
        raise UnsupportedError(
            f"a model that takes strings trains and predicts on NumPy arrays and lists, "
            f"not on {type(x).__name__}"
        )


def plain_class(model: keras.Model) -> type:
    """The class of a model before it was extended to take strings."""
    kind = type(model)
    while issubclass(kind, (StringInputs, StringFunctional)):
        kind = kind.__bases__[-1]
    return kind


def ready_for_text(model: keras.Model) -> keras.Model:
    """A model as it is; one with string inputs takes strings."""
    functional = functional_of(model)
    text = functional is not None and takes_text(functional)
    return with_strings(model) if text else model


def with_strings(model: keras.Model) -> keras.Model:
    """Make a model take strings: its class is extended in place, its name kept."""
    accept_strings(model)
    extend(model, StringInputs)
    take_anything(model)
    for layer in layers_of(model):
        take_text(layer)
    model.split = Split.of(model)
    return model
