"""Keras' description of each object, as tf_keras reads it (``keras_metadata.pb``).

The keys are those of tf_keras/src/saving/legacy/saved_model/*_serialization.py. The root has one
more, `NATIVE` of `hozon.models.savedmodel.load.objects`, from which Hozon builds the very same
model again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import keras

from hozon.keras_private.graph import Functional, symbolic_arguments
from hozon.keras_private.layers import build_shapes
from hozon.models.savedmodel.save.configs import Configs, is_graph
from hozon.models.savedmodel.save.specs import KnowsItsCall, call_names
from hozon.typing import Config, ConfigEntry

KERAS2_VERSION = "2.21.0"


def identifier(layer: keras.Layer) -> str:
    """How tf_keras names the kind of an object."""
    for kind, name in _IDENTIFIERS:
        if isinstance(layer, kind):
            return name
    return "_tf_keras_layer"


_IDENTIFIERS: tuple[tuple[Any, str], ...] = (
    (keras.Sequential, "_tf_keras_sequential"),
    (Functional, "_tf_keras_network"),
    (keras.Model, "_tf_keras_model"),
    (keras.layers.InputLayer, "_tf_keras_input_layer"),
    (keras.layers.RNN, "_tf_keras_rnn_layer"),
    (keras.Metric, "_tf_keras_metric"),
)

#: What tf_keras needs before a first layer that reads strings.


def layer_metadata(layer: keras.Layer, configs: Configs) -> Config:
    """The description of a layer or model."""
    entry = configs.entry(layer)
    class_name = type(layer).__name__ if entry is None else str(entry["class_name"])
    config = None if entry is None else _named(entry["config"], layer)
    if isinstance(layer, keras.layers.InputLayer):
        return input_metadata(layer, config or {})
    made = {
        "name": layer.name,
        "trainable": bool((config or {}).get("trainable", layer.trainable)),
        "expects_training_arg": "training" in call_names(layer),
        "dtype": _policy(layer, config),
        "batch_input_shape": None,
        "stateful": bool(getattr(layer, "stateful", False)),
        "must_restore_from_config": False,
        "preserve_input_structure_in_config": False,
        "autocast": bool(getattr(layer, "autocast", True)),
        "class_name": class_name,
    }
    if config is not None and not (
        isinstance(layer, keras.Model)
        and not is_graph(layer)
        and "layers" not in config
        and not config
    ):
        made["config"] = config
    shape = _build_shape(layer)
    if shape is not None:
        made["build_input_shape"] = shape
    if isinstance(layer, keras.Model):
        made.update(_model_part(class_name, config))
    return made


def _model_part(class_name: str, config: ConfigEntry | None) -> dict[str, Any]:
    graph = config is not None and "layers" in config
    made: Config = {
        "is_graph_network": graph,
        "keras_version": KERAS2_VERSION,
        "backend": "tensorflow",
    }
    if config is not None:
        made["model_config"] = {"class_name": class_name, "config": config}
    return made


def input_metadata(layer: keras.layers.InputLayer, config: ConfigEntry) -> Config:
    """The description of an input."""
    return {
        "class_name": "InputLayer",
        "name": layer.name,
        "dtype": layer.dtype,
        "sparse": bool(layer.sparse),
        "ragged": False,
        "batch_input_shape": list(layer.batch_shape),
        "config": {"name": layer.name, **config},
    }


def operation_metadata(entry: ConfigEntry, name: str) -> Config:
    """The description of a Keras 2 layer that stands for an operation."""
    config = {"name": name, **entry["config"]}
    return {
        "name": name,
        "trainable": True,
        "expects_training_arg": False,
        "dtype": "float32",
        "batch_input_shape": None,
        "stateful": False,
        "must_restore_from_config": True,
        "preserve_input_structure_in_config": True,
        "autocast": False,
        "class_name": entry["class_name"],
        "config": config,
    }


def metric_metadata(metric: keras.Metric, config: ConfigEntry) -> Config:
    """The description of a metric of Keras' own class."""
    return {
        "class_name": config["class_name"],
        "name": metric.name,
        "dtype": metric.dtype,
        "config": config["config"],
    }


def encoded(metadata: ConfigEntry) -> str:
    """A description as JSON."""
    return json.dumps(metadata, default=_plain)


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays as Python's; what JSON cannot say becomes its text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, (set, frozenset)) else str(value)


def _named(config: Any, layer: keras.Layer) -> dict[str, Any]:
    if isinstance(config, list):  # Keras 1's Sequential
        return {"name": layer.name, "layers": config}
    return {"name": layer.name, **config} if "name" not in config else dict(config)


def _policy(layer: keras.Layer, config: ConfigEntry | None) -> Any:
    named = (config or {}).get("dtype")
    return named if named is not None else layer.dtype_policy.name


def _build_shape(layer: keras.Layer) -> Any:
    """The shape or shapes that the layer was built for, as far as they are one argument's.

    Keras 2 builds some layers for a shape that Keras 3 does not ask it of; those have no weights,
    and where they are in no functional model any shape of their rank will do.
    """
    shapes = build_shapes(layer)
    if layer.built and shapes:
        (first, *more) = shapes.values()
        alone = not more or isinstance(layer, keras.layers.RNN)  # whose states Keras 2 leaves out
        return _tagged(first) if alone and first is not None else None
    symbolic = symbolic_arguments(layer)
    if symbolic is not None and symbolic[0]:
        return keras.tree.map_structure(_shape_of, symbolic[0][0])
    told = layer.call_spec() if isinstance(layer, KnowsItsCall) else None
    if told is not None and told.arguments:
        return keras.tree.map_structure(_shape_of, told.arguments[0])
    return None if layer.weights else {"class_name": "TensorShape", "items": _any_sizes(layer)}


def _any_sizes(layer: keras.Layer) -> list[None] | None:
    """Free sizes, as many as a layer's input has at least; None where it does not tell."""
    spec = layer.input_spec
    if isinstance(spec, keras.InputSpec):
        rank = spec.ndim or spec.min_ndim
    else:
        axes = keras.tree.flatten(getattr(layer, "axis", None))
        known = [axis for axis in axes if isinstance(axis, int)]
        rank = max((-axis if axis < 0 else axis + 1 for axis in known), default=None)
    return None if rank is None else [None] * rank


def _shape_of(argument: Any) -> Any:
    """The shape of a tensor, or of a number that stands in a tensor's place."""
    return _tagged(getattr(argument, "shape", ()))


def _tagged(shape: Any) -> Any:
    if isinstance(shape, Mapping):
        return {key: _tagged(item) for key, item in shape.items()}
    if isinstance(shape, (list, tuple)) and any(isinstance(x, (list, tuple)) for x in shape):
        return [_tagged(item) for item in shape]
    return {"class_name": "TensorShape", "items": list(shape)}
