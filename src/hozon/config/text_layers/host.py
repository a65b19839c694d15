"""What layers that run on the host, in NumPy, have in common.

Keras' JAX backend has no string tensors. A symbolic model builds over ``keras.Input(...,
dtype="string")``; when it runs, its strings are NumPy object arrays of ``bytes`` that reach these
layers as they are. Integers may come from inside a compiled program too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import jax
import keras
import numpy as np

from hozon.config.text_layers.traced import current, is_traced
from hozon.errors import UnsupportedError

Array = np.ndarray[Any, Any]
Shape = tuple[int | None, ...]


class HostLayer(keras.layers.Layer):  # type: ignore[misc]
    """A layer without weights whose `compute` maps NumPy arrays to a NumPy array."""

    host = True

    def __init__(self, **kwargs: Any) -> None:
        kwargs["autocast"] = False
        try:
            super().__init__(**kwargs)
        except (TypeError, ValueError) as error:
            raise UnsupportedError(f"{type(self).__name__}: {error}") from error
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.built = True

    def compute(self, inputs: Any) -> Array:
        """The outputs for NumPy inputs."""
        raise NotImplementedError

    def require_vocabulary(self) -> None:
        """Raise MismatchError where a call would need a vocabulary that is not there yet."""

    def require_sizes(self) -> None:
        """Raise MismatchError where the sizes of outputs follow from what is not there yet."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the layer; beside strings, which are no tensors, Keras takes arrays only."""
        if isinstance(inputs, (list, tuple)) and any(map(_is_strings, inputs)):
            inputs = [np.asarray(x) for x in inputs]
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs: Any) -> Any:
        """`compute`; inside a compiled program by a callback to the host.

        Raises MismatchError where there is no vocabulary yet.
        """
        traced = current()
        symbolic = any(map(is_traced, keras.tree.flatten(inputs)))
        if traced is not None and symbolic:
            self.require_sizes()
            return traced.call(self, inputs)
        self.require_vocabulary()
        if symbolic:
            return self._called_back(inputs)
        if isinstance(inputs, (list, tuple)) and not is_text(inputs):
            return self.compute([to_array(x) for x in inputs])
        return self.compute(to_array(inputs))

    def _called_back(self, inputs: Any) -> Any:
        # A tensor of Keras would forget the names of sizes that are not known yet.
        shape = keras.tree.map_structure(lambda x: tuple(x.shape), inputs)
        dtype = jax.dtypes.canonicalize_dtype(np.dtype(self.compute_output_spec(inputs).dtype))
        result = jax.ShapeDtypeStruct(self.compute_output_shape(shape), dtype)
        return jax.pure_callback(
            lambda x: self.compute(keras.tree.map_structure(np.asarray, x)).astype(dtype),
            result,
            inputs,
            vmap_method="sequential",
        )

    def compute_output_spec(self, inputs: Any) -> Any:
        """Shape and dtype of the outputs, from the shapes of the inputs."""
        shape = keras.tree.map_structure(lambda x: tuple(x.shape), inputs)
        return keras.KerasTensor(self.compute_output_shape(shape), self.output_dtype)

    @property
    def output_dtype(self) -> str:
        """The name of the dtype of the outputs."""
        return str(self.compute_dtype)


def batches_of(data: Any, steps: int | None = None) -> Iterator[Any]:
    """What `adapt` looks at: an array, a list, or the batches of an iterable, `steps` at most.

    Raises TypeError for anything else.
    """
    if isinstance(data, (str, bytes, list, tuple)) or hasattr(data, "__array__"):
        yield data
    elif isinstance(data, Iterable):
        yield from islice(data, steps)
    else:
        raise TypeError(
            f"adapt() takes an array, a list or an iterable of batches, not {type(data).__name__}"
        )


def no_sparse(name: str, sparse: bool) -> bool:
    """Refuse sparse outputs, whose type Keras' other layers would not see here."""
    if sparse:
        raise UnsupportedError(
            f"layer {name!r} gives sparse tensors; JAX has none for Keras", feature="sparse=True"
        )
    return False


def _is_strings(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "OSU"


def is_text(value: Any) -> bool:
    """Whether a value is a string, or a nested list of strings."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (str, bytes))


def to_array(value: Any) -> Array:
    """A tensor, array or nested list as a NumPy array; strings as an object array of ``bytes``."""
    array = np.asarray(value)
    return to_bytes(array) if array.dtype.kind in "OSU" else array


def to_bytes(values: Any) -> Array:
    """Strings of any kind as an object array of ``bytes``, same shape."""
    array = np.asarray(values)
    flat = [
        text if isinstance(text, bytes) else encoded(str(text))
        for text in array.reshape(-1).tolist()
    ]
    return object_array(flat, array.shape)


def object_array(items: Sequence[Any], shape: tuple[int, ...] | None = None) -> Array:
    """An object array of items, whatever they are."""
    array = np.empty(len(items), object)
    array[:] = items
    return array if shape is None else array.reshape(shape)


def encoded(text: str) -> bytes:
    """UTF-8; bytes that `decoded` could not read come back as they were."""
    return text.encode("utf-8", "surrogateescape")


def decoded(text: Any) -> Any:
    """Bytes as text; other values as they are."""
    return text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
