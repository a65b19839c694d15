"""The layers that Keras 2 made around TensorFlow functions in functional models.

Sizes that a graph takes from ``tf.shape`` are known whenever the model runs, for JAX compiles for
one shape, but not while the model is put together. There such a value travels beside its
symbolic tensor, unknown sizes as None, so that reshapes by it can be followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np

from hozon.config.legacy import tf_ops
from hozon.config.legacy.symbolic import symbolic_result
from hozon.config.legacy.tf_random import RANDOM
from hozon.errors import UnsupportedError
from hozon.typing import Config

GETITEM = "__operators__.getitem"
register = keras.saving.register_keras_serializable(package="hozon")


class Traced(keras.Operation):  # type: ignore[misc]
    """A function of tensors, for its output shapes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self._function = function

    def call(self, *tensors: Any) -> Any:
        """The function's result."""
        return self._function(*tensors)


def traced(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Symbolic outputs of a function whose arguments mix symbolic tensors and plain values."""
    given = [args, dict(kwargs)]
    leaves = keras.tree.flatten(given)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, keras.KerasTensor)]

    def run(*tensors: Any) -> Any:
        values = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            values[place] = tensor
        positional, named = keras.tree.pack_sequence_as(given, values)
        return function(*positional, **named)

    return Traced(run).compute_output_spec(*[leaves[i] for i in places])


class FunctionLayer(keras.layers.Layer):  # type: ignore[misc]
    """A layer that calls a function of the tables with its node's arguments."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["autocast"] = False
        super().__init__(**kwargs)
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.built = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call with what a node saved: tensors and plain values in any place.

        Keras' own layer call refuses tensors beside plain values in keyword arguments.
        """
        kwargs.pop("training", None)
        values = keras.tree.flatten([args, kwargs])
        if any(isinstance(value, keras.KerasTensor) for value in values):
            return keras.Operation.symbolic_call(self, *args, **kwargs)
        return self.call(*args, **kwargs)

    @property
    def symbol(self) -> str:
        """The TensorFlow function's name."""
        raise NotImplementedError

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes by tracing; sizes are followed where the function deals in sizes."""
        kwargs.pop("name", None)
        found = symbolic_result(self.symbol, args, kwargs)
        if found is not None:
            return found
        return traced(self.call, args, kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """A function keeps no mask."""
        return None

    def get_config(self) -> Config:
        """Constructor arguments."""
        config: Config = super().get_config()
        config.pop("autocast", None)
        return config


@register
class TFOpLambda(FunctionLayer):
    """``tf.<function>(*args, **kwargs)``."""

    def __init__(self, function: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function
        self._run: Callable[..., Any]
        if function in RANDOM:
            self.generator = keras.random.SeedGenerator()
            self._run = partial(RANDOM[function], self.generator)
        else:
            self._run = tf_ops.find(function)

    @property
    def symbol(self) -> str:
        """The TensorFlow function's name."""
        return self.function

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The function's result."""
        for name in ("name", "training", "mask"):
            kwargs.pop(name, None)
        return self._run(inputs, *args, **kwargs)

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {**super().get_config(), "function": self.function}


@register
class SlicingOpLambda(FunctionLayer):
    """``x[...]``: slices come as ``{"start", "stop", "step"}``, integers, None and Ellipsis.

    Keras 2 made it for ``tf.boolean_mask`` too.
    """

    def __init__(self, function: str = GETITEM, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function
        self._run = None if function == GETITEM else tf_ops.find(function)

    @property
    def symbol(self) -> str:
        """The name of the operator."""
        return self.function

    def call(self, inputs: Any, slice_spec: Any = None, **kwargs: Any) -> Any:
        """The slice."""
        if self._run is not None:
            return self._run(inputs, **kwargs)
        return inputs[index_of(slice_spec)]

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {**super().get_config(), "function": self.function}


def index_of(spec: Any) -> Any:
    """An index as Python takes it."""
    if isinstance(spec, Mapping):
        if spec.get("class_name") == "__ellipsis__":
            return ...
        return slice(*(_whole(spec.get(key)) for key in ("start", "stop", "step")))
    if isinstance(spec, (list, tuple)):
        return tuple(index_of(item) for item in spec)
    return spec if spec is ... else _whole(spec)


def _whole(value: Any) -> Any:
    if value is None or isinstance(value, int):
        return value
    return int(value) if isinstance(value, (np.ndarray, np.generic)) else value


@register
class InstanceProperty(FunctionLayer):
    """``x.shape`` and the like."""

    def __init__(self, attr_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attr_name = attr_name
        if attr_name not in ("shape", "T"):
            raise UnsupportedError(
                f"layer {self.name!r} reads .{attr_name} of a ragged or sparse tensor",
                feature=attr_name,
            )

    @property
    def symbol(self) -> str:
        """The function that gives the property."""
        return "shape" if self.attr_name == "shape" else "transpose"

    def call(self, inputs: Any) -> Any:
        """The property."""
        return tf_ops.find(self.symbol)(inputs)

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {**super().get_config(), "attr_name": self.attr_name}


@register
class InstanceMethod(FunctionLayer):
    """``x.to_tensor()`` and the like, of tensors that are dense here."""

    def __init__(self, method_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.method_name = method_name
        if method_name not in ("to_tensor", "set_shape", "get_shape"):
            raise UnsupportedError(
                f"layer {self.name!r} calls .{method_name}() of a ragged or sparse tensor",
                feature=method_name,
            )

    @property
    def symbol(self) -> str:
        """The function that the method computes."""
        return "shape" if self.method_name == "get_shape" else "identity"

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The method's result."""
        return tf_ops.find(self.symbol)(inputs)

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {**super().get_config(), "method_name": self.method_name}
