"""One layer's Keras 3 config to a live layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.config.called import CALLED_ON
from hozon.config.dialects.values import kind_of_key
from hozon.config.entries import is_functional, is_model, is_of_keras
from hozon.config.frozen import Frozen
from hozon.config.lambdas import known_function
from hozon.config.legacy.tf_ops import one_tensor_function
from hozon.config.nodes import SHARED
from hozon.config.objects import ObjectReader, call_with, from_custom, missing, split
from hozon.config.quantized import quantize_inside, require_all
from hozon.config.registry import Registry, require_class
from hozon.config.tagged import is_serialized, is_tagged, plain
from hozon.config.upgrade import (
    FROZEN,
    LAYER_KEYS,
    MODEL_KEYS,
    MODELS,
    OUTPUT_NAMES,
    QUANTIZED,
    TRAINS_AS,
    short_name,
)
from hozon.errors import FormatError, HozonError, UnsafeError, UnsupportedError
from hozon.keras_private.compiled import name_outputs, name_outputs_once_called
from hozon.keras_private.keras2_training import mark_as_keras2, says_whether_frozen
from hozon.keras_private.layers import build_as_told, leaves_building_to_a_call
from hozon.keras_private.recurrent import loop_without_bias
from hozon.keras_private.sharing import hand_over, share, shared, sharing
from hozon.typing import Config, ConfigEntry

Factory = Callable[[dict[str, Any]], Any]
#: A model and what its config says of how it was compiled.
Compiled = tuple[keras.Model, Mapping[str, Any]]
#: Where Keras 3 says it.
TRAINING = "compile_config"
#: Keys that say what Keras 3's constructors do not take and need not know when they are empty.
EMPTY = ("quantization_config", "registered_name")


class LayerReader:
    """Builds layers from Keras 3 configs.

    `factories` maps layer names to functions of the config that make the layer instead; a model
    inside a model is built by `models`. `compiled` lists the models that were compiled.
    """

    def __init__(
        self,
        registry: Registry,
        factories: Mapping[str, Factory],
        models: Callable[[Mapping[str, Any]], Any],
    ) -> None:
        self.registry = registry
        self.factories = factories
        self.objects = ObjectReader(registry, self.read)
        self.compiled: list[Compiled] = []
        self.frozen: list[Frozen] = []
        self.as_keras2: list[keras.Layer] = []
        self._models = models

    def read(self, entry: ConfigEntry) -> Any:
        """The layer of ``{"class_name": ..., "config": ...}``.

        One that stands in several places of a config is made once.

        Raises MissingObjectError for an unknown class, UnsafeError for one that would run code
        of the file, UnsupportedError for arguments that the class refuses.
        """
        number = entry.get(SHARED)
        made = shared(number)
        if made is None:
            made = self._read(entry)
            if isinstance(made, keras.Layer):
                says_whether_frozen(made)
            if entry.get(TRAINS_AS) == "keras2" and isinstance(made, keras.Layer):
                mark_as_keras2(made)
                self.as_keras2.append(made)
            share(number, made)
            if isinstance(entry.get(FROZEN), list):
                self.frozen.append((made, entry[FROZEN]))
            training = entry.get(TRAINING)
            if isinstance(made, keras.Model) and training and isinstance(training, Mapping):
                self.compiled.append((made, training))
        return made

    def _read(self, entry: ConfigEntry) -> Any:
        class_name, given = str(entry["class_name"]), entry.get("config")
        config = dict(given) if isinstance(given, Mapping) else {}
        name = str(entry.get("name") or config.get("name") or "")
        if name in self.factories:
            return self.factories[name](config)
        custom = None
        if not is_of_keras(entry):
            custom = self.registry.custom_class(class_name, entry.get("registered_name"))
        if is_functional(entry) and is_made_of_tensors(custom):
            return self._models(entry)
        if is_model(entry) and is_made_of_layers(custom):
            return self._models(entry)
        if custom is not None:
            require_class(custom, class_name)
            return self._custom(custom, class_name, config, entry)
        short = short_name(class_name)
        if short in MODELS and (isinstance(given, list) or "layers" in config):
            return self._models(entry)
        if short == "Lambda":
            return self._lambda(name, config)
        found = self.registry.of_entry(entry)
        if found is None and short in MODELS:
            raise FormatError(f"{class_name} {name!r} has no layers in its config", record=name)
        if found is None:
            return missing(class_name)
        return self._built(self._make(found, class_name, name, config), entry)

    def _make(self, found: type, class_name: str, name: str, config: Config) -> Any:
        if config.get("trainable") is not False:
            config.pop("trainable", None)
        bins = _learned_bins(found, config)
        taken, rest = split(found, self.arguments(config))
        layer = call_with(found, taken, f"{class_name} {name!r}")
        for key, value in rest.items():
            setattr(layer, key, value)
        if bins is not None:
            layer.bin_boundaries = bins
        loop_without_bias(layer)
        return layer

    def _custom(self, custom: Any, class_name: str, config: Config, entry: ConfigEntry) -> Any:
        if "dtype" in config:
            config["dtype"] = named(self.objects.dtype(config["dtype"]))
        with sharing():
            made = from_custom(custom, self._with_layers(config), class_name)
        names = entry.get(OUTPUT_NAMES)
        if isinstance(made, keras.Model) and isinstance(names, list):
            name_outputs(made, names) if names else name_outputs_once_called(made)
        told = entry.get(QUANTIZED)
        if not isinstance(told, Mapping):
            return self._built(made, entry)
        left = quantize_inside(made, told, self.objects)
        self._built(made, entry)
        require_all(made, quantize_inside(made, left, self.objects))
        return made

    def _with_layers(self, value: Any) -> Any:
        """A user's config in which each layer, when Keras deserializes it, is one made here.

        So it is what the file says, in whatever dialect; the class may read its entry by itself.
        """
        if is_layer_entry(value, self.registry):
            try:
                made = self.read(value)
            except HozonError:  # then it is the class alone that knows how to read it
                return value
            return {**_for_keras(value), SHARED: hand_over(made)}
        if isinstance(value, Mapping):
            return {key: self._with_layers(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._with_layers(item) for item in value]
        return value

    def _built(self, layer: keras.Layer, entry: ConfigEntry) -> Any:
        """A custom layer or a model without inputs, built as Keras 3 recorded it."""
        recorded = entry.get("build_config")
        is_ours = self.registry.custom_class(str(entry["class_name"])) is None
        if (
            recorded
            and CALLED_ON not in recorded
            and not is_ours
            and hasattr(layer, "build_from_config")
            and not layer.built
        ):
            if not leaves_building_to_a_call(layer):
                build_as_told(layer, recorded)
        return layer

    def arguments(self, config: ConfigEntry) -> dict[str, Any]:
        """Constructor arguments, nested objects built."""
        arguments = {
            key: self._value(key, value)
            for key, value in config.items()
            if key not in EMPTY or value
        }
        if arguments.get("name", "") is None:
            del arguments["name"]
        return arguments

    def _value(self, key: str, value: Any) -> Any:
        if key == "dtype":
            return named(self.objects.dtype(value))
        if key in LAYER_KEYS and isinstance(value, (list, tuple)):
            return [self.read(item) for item in value]
        if key in LAYER_KEYS and is_serialized(value):
            return self.read(value)
        kind = kind_of_key(key)
        if kind is not None and (is_serialized(value) or isinstance(value, str)):
            return self.objects.read(kind, value)
        if is_serialized(value) and not is_tagged(value):
            return self._object(value)
        if isinstance(value, list) and value and all(map(is_serialized, value)):
            return [self._value(key, item) for item in value]
        return self.objects.value(value)

    def _object(self, value: Mapping[str, Any]) -> Any:
        """An object under a key that does not tell its kind."""
        if self.registry.find("layer", value["class_name"]) is not None:
            return self.read(value)
        return self.objects.value(value)

    def _lambda(self, name: str, config: Config) -> Any:
        """A Lambda layer with the caller's function, or with one that is known by its name."""
        function = self._lambda_function(name, config)
        arguments = config.get("arguments")
        made = keras.layers.Lambda(
            function,
            name=name or None,
            dtype=self.objects.dtype(config.get("dtype")),
            arguments=arguments if isinstance(arguments, Mapping) else None,
            output_shape=_output_shape(config),
        )
        made.trainable = config.get("trainable", True) is not False
        return made

    def _lambda_function(self, name: str, config: ConfigEntry) -> Callable[..., Any]:
        function = config.get("function")
        if isinstance(function, Mapping) and function.get("class_name") == "function":
            function = function.get("config")
        if isinstance(function, str) and function in self.registry.custom:
            found: Callable[..., Any] = self.registry.custom[function]
            return found
        known = known_function(config)
        if known is not None:
            return one_tensor_function(known)
        if isinstance(function, str) and config.get("function_type") != "lambda":
            missing(function)
        raise UnsafeError(
            f"Lambda layer {name!r} holds its function as Python bytecode, which is never run",
            refused="Lambda",
            record=name,
            allow=f"custom_objects={{{name!r}: ...}}",
        )


def named(policy: Any) -> Any:
    """A dtype policy as `from_config` of Keras gives it to a class: by name where that says all.

    Keras writes the config of a class without `get_config`, some of its own too, by the arguments
    that it was made with, as long as they are plain.
    """
    if not isinstance(policy, keras.DTypePolicy) or policy.quantization_mode is not None:
        return policy
    return policy if isinstance(policy, keras.dtype_policies.DTypePolicyMap) else policy.name


def _for_keras(entry: ConfigEntry) -> dict[str, Any]:
    """An entry that Keras itself deserializes."""
    name, config = str(entry["class_name"]), entry.get("config")
    home = "keras" if short_name(name) in MODELS else "keras.layers"
    return {
        **entry,
        "module": entry.get("module") or home,
        "registered_name": entry.get("registered_name") or name,
        "config": dict(config) if isinstance(config, Mapping) else {},
    }


def is_layer_entry(value: Any, registry: Registry) -> bool:
    """Whether a value within a user's config describes a layer or model, as layers alone do.

    An initializer may have the class name of a layer, but no name and no layers of its own.
    """
    if not is_serialized(value) or is_tagged(value):
        return False
    config, short = value.get("config"), short_name(value["class_name"])
    if short in MODELS:
        return isinstance(config, list) or (isinstance(config, Mapping) and "layers" in config)
    if not isinstance(config, Mapping) or "name" not in config:
        return False
    found = registry.find("layer", value["class_name"], value.get("registered_name"))
    return isinstance(found, type) and issubclass(found, keras.layers.Layer)


def _learned_bins(found: type, config: Config) -> Any:
    """Taken out of the config: boundaries that `adapt` made, which no constructor takes."""
    if not issubclass(found, keras.layers.Discretization) or config.get("num_bins") is None:
        return None
    return config.pop("bin_boundaries", None)


def is_made_of_tensors(found: Any) -> bool:
    """Whether a class is a user's model that is made of inputs and outputs, as Functional ones."""
    if not isinstance(found, type) or not issubclass(found, keras.Model):
        return False
    if issubclass(found, keras.Sequential) or has_own(found, "from_config"):
        return False
    return not has_own(found, "__init__") or _takes(found, "inputs", "outputs")


def is_made_of_layers(found: Any) -> bool:
    """Whether a class is a user's model that is made by adding layers, as Sequential ones."""
    if not isinstance(found, type) or not issubclass(found, keras.Sequential):
        return False
    return not has_own(found, "from_config") and _takes(found)


def own_arguments(found: Any, config: ConfigEntry) -> dict[str, Any]:
    """What the constructor of a class of the user takes of a model's config, besides its graph."""
    known = inspect.signature(found).parameters
    rest = {key: value for key, value in config.items() if key not in MODEL_KEYS}
    wild = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    named = {"name": config["name"]} if config.get("name") and ("name" in known or wild) else {}
    return {**named, **{key: value for key, value in rest.items() if key in known}}


def has_own_constructor(found: type) -> bool:
    """Whether a class of the user has a constructor of its own."""
    return has_own(found, "__init__")


def has_own(found: type, method: str) -> bool:
    """Whether a method of a class, ``__init__`` for one, is the user's and not Keras'."""
    defining = next(base for base in found.__mro__ if method in vars(base))
    return not defining.__module__.startswith("keras.")


def _takes(found: type, *names: str) -> bool:
    """Whether a class can be called with these keywords and none besides."""
    try:
        inspect.signature(found).bind(**dict.fromkeys(names))
    except TypeError:
        return False
    return True


def _output_shape(config: ConfigEntry) -> Any:
    shape = config.get("output_shape")
    if isinstance(shape, (list, tuple)) and all(isinstance(i, int) or i is None for i in shape):
        return tuple(shape)
    return None


def input_layer(entry: ConfigEntry, objects: ObjectReader) -> keras.layers.InputLayer:
    """An InputLayer of its Keras 3 config."""
    config = entry.get("config") or {}
    shape = plain(config.get("batch_shape"))
    if not isinstance(shape, (list, tuple)):
        raise UnsupportedError(f"input {config.get('name')!r} has no shape")
    dtype = objects.dtype(config.get("dtype"))
    return keras.layers.InputLayer(
        batch_shape=tuple(shape),
        dtype=getattr(dtype, "name", dtype),
        sparse=bool(config.get("sparse")),
        optional=bool(config.get("optional")),
        name=config.get("name"),
    )
