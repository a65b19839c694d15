"""Single objects and architectures as plain dictionaries and JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import keras

from hozon.arguments import dialect as known_dialect
from hozon.arguments import wrong
from hozon.config import safety
from hozon.config.added import without_added
from hozon.config.build import build_layer
from hozon.config.completed import complete, with_generation
from hozon.config.downgrade import to_keras2, to_keras2_object
from hozon.config.objects import ObjectReader, from_custom, missing
from hozon.config.optimizers import read_schedule
from hozon.config.registry import KINDS, Registry, objects_by_name
from hozon.config.tagged import is_serialized, is_tagged, plain
from hozon.config.to_keras2_training import objective_to_keras2, optimizer_to_keras2
from hozon.config.training import compile_arguments
from hozon.config.upgrade import MODELS, TRAINS_AS, policy, short_name
from hozon.errors import UnsafeError, UnsupportedError
from hozon.keras_private.layers import initialized, layers_of
from hozon.keras_private.losses import forgotten_arguments
from hozon.keras_private.rows import steps_rows_lazily
from hozon.keras_private.values import drawing_for_file
from hozon.typing import ConfigEntry, CustomObjects

FUNCTIONS = frozenset({"function", "Function"})
#: Modules of Keras by the kind of object that they hold.
HOMES: Mapping[str, str] = {
    "keras.layers": "layer",
    "keras.initializers": "initializer",
    "keras.regularizers": "regularizer",
    "keras.constraints": "constraint",
    "keras.losses": "loss",
    "keras.metrics": "metric",
    "keras.optimizers": "optimizer",
    "keras.optimizers.schedules": "schedule",
}


def serialize(obj: Any, *, dialect: str = "keras3") -> Any:
    """A layer, model, loss, metric, optimizer, schedule, initializer or function as plain data.

    Args:
        obj: the live object. Lists and dictionaries of such are serialized item by item.
        dialect: "keras3" gives ``{"module", "class_name", "config", "registered_name"}``, "keras2"
            the older ``{"class_name", "config"}`` that tf_keras reads.

    Raises:
        UnsupportedError: Keras 2 cannot say it, or the object is a lambda.

    Example:
        >>> hozon.serialize(keras.layers.Dense(3), dialect="keras2")["class_name"]
        'Dense'
    """
    _known_dialect(dialect)
    if isinstance(obj, (list, tuple)):
        return [serialize(item, dialect=dialect) for item in obj]
    if isinstance(obj, dict):
        return {key: serialize(item, dialect=dialect) for key, item in obj.items()}
    if getattr(obj, "__name__", None) == "<lambda>":
        raise UnsupportedError(
            "a lambda has no name to be found by again",
            feature="lambda",
            instead="a function registered with hozon.register_serializable",
        )
    initialized(obj)
    made = _serialized(obj)
    if isinstance(obj, keras.layers.Layer):
        complete(obj, made)
    if isinstance(obj, KINDS["optimizer"][1]) and steps_rows_lazily(obj):
        made["config"].get("inner_optimizer", made)[TRAINS_AS] = "keras2"
    if is_serialized(made) and isinstance(made.get("config"), dict):
        made["config"].update(forgotten_arguments(obj))
    return made if dialect == "keras3" else _downgraded(obj, made)


def _serialized(obj: Any) -> Any:
    """Keras' own form of an object; what its class raises of its own is told with its name."""
    try:
        return keras.saving.serialize_keras_object(obj)
    except NotImplementedError:  # in Keras' words, of a class without a config
        raise
    except Exception as error:
        inside = layers_of(obj) if isinstance(obj, keras.Layer) else [obj]
        failing = next(filter(_has_no_config, reversed(inside)), None)
        if failing is None:
            raise
        name = type(failing).__name__
        raise UnsupportedError(
            f"get_config() of {name} raised {type(error).__name__}: {error}",
            feature=f"the config of {name}",
            instead="a get_config() that returns the arguments of its constructor",
        ) from error


def _has_no_config(obj: Any) -> bool:
    try:
        obj.get_config()
    except Exception:  # noqa: BLE001 - whatever a user's class raises
        return True
    return False


def _known_dialect(dialect: str) -> None:
    if known_dialect("dialect", dialect) is None:
        raise wrong("dialect", None, "'keras2' or 'keras3'")


def _downgraded(obj: Any, made: Any) -> Any:
    """The Keras 2 form of a serialized object, by the kind that the object is of."""
    if isinstance(obj, keras.layers.Layer):
        return to_keras2(made)
    if isinstance(obj, (KINDS["optimizer"][1], KINDS["schedule"][1])):
        return optimizer_to_keras2(made)
    for kind in ("loss", "metric"):
        if isinstance(obj, KINDS[kind][1]):
            return objective_to_keras2(kind, made)
    for kind in ("initializer", "regularizer", "constraint", "policy"):
        if isinstance(obj, KINDS[kind][1]):
            return to_keras2_object(kind, made)
    return to_keras2_object("activation", made) if callable(obj) else plain(made)


def deserialize(config: Any, custom_objects: CustomObjects | None = None) -> Any:
    """The live object of `serialize`'s data, in the dialect of any Keras.

    Args:
        config: ``{"class_name": ..., "config": ...}`` with or without ``module``; or a list or
            dictionary of such. Other values come back as they are.
        custom_objects: classes and functions by name, before what is registered.

    Raises:
        MissingObjectError: names every class and function that must be supplied.
        UnsafeError: the config asks for code to be run or files to be opened.
        UnsupportedError: it holds what neither Keras 3 nor Hozon has.
        FormatError: it is no config.
    """
    if isinstance(config, (list, tuple)):
        return [deserialize(item, custom_objects) for item in config]
    if isinstance(config, Mapping) and not is_serialized(config):
        return {key: deserialize(item, custom_objects) for key, item in config.items()}
    if not is_serialized(config):
        return config
    registry = Registry(custom_objects)
    safety.check(config, safety.Policy(frozenset(registry.custom)))
    if is_tagged(config):
        return plain(config)
    if config["class_name"] in FUNCTIONS:
        return _function(config, registry)
    kind = _kind(config, registry)
    with drawing_for_file():
        return READERS[kind](config, registry)


def _kind(config: ConfigEntry, registry: Registry) -> str:
    """What kind of object a config describes: by its class, its module, then its name."""
    name, registered = str(config["class_name"]), config.get("registered_name")
    custom = registry.custom_class(name, registered)
    if custom is not None:
        return next(
            (
                kind
                for kind, (_, base) in KINDS.items()
                if isinstance(custom, type) and issubclass(custom, base)
            ),
            "custom",
        )
    if short_name(name) in MODELS:
        return "layer"
    home = HOMES.get(str(config.get("module")))
    if home is not None:
        return home
    for known, kind in (("LossScaleOptimizer", "optimizer"), ("Policy", "policy")):
        if short_name(name).startswith(known):
            return kind
    found = [kind for kind in KINDS if registry.find(kind, name, registered) is not None]
    if {"loss", "metric"} <= set(found):
        inner = config.get("config")
        return "loss" if isinstance(inner, Mapping) and "reduction" in inner else "metric"
    return found[0] if found else "layer"


def _function(config: ConfigEntry, registry: Registry) -> Any:
    for name in (config.get("registered_name"), config.get("config")):
        for kind in ("activation", "loss", "metric"):
            found = registry.function(kind, name) if isinstance(name, str) else None
            if found is not None:
                return found
    return missing(str(config.get("config")))


def _layer(config: ConfigEntry, registry: Registry) -> Any:
    return build_layer(config, custom_objects=registry.given)


def _optimizer(config: ConfigEntry, registry: Registry) -> Any:
    made = compile_arguments({"optimizer": config}, custom_objects=registry.given)
    return made["optimizer"]


def _loss(config: ConfigEntry, registry: Registry) -> Any:
    return compile_arguments({"loss": config}, custom_objects=registry.given)["loss"]


def _metric(config: ConfigEntry, registry: Registry) -> Any:
    (made,) = compile_arguments({"metrics": [config]}, custom_objects=registry.given)["metrics"]
    return made


def _schedule(config: ConfigEntry, registry: Registry) -> Any:
    return read_schedule(config, ObjectReader(registry, _no_layer))


def _custom(config: ConfigEntry, registry: Registry) -> Any:
    name = str(config["class_name"])
    found = registry.custom_class(name, config.get("registered_name"))
    inner = config.get("config")
    return from_custom(found, dict(inner) if isinstance(inner, Mapping) else {}, name)


def _small(kind: str) -> Callable[[Mapping[str, Any], Registry], Any]:
    def read(config: ConfigEntry, registry: Registry) -> Any:
        return ObjectReader(registry, _no_layer).read(kind, config)

    return read


def _policy(config: ConfigEntry, registry: Registry) -> Any:
    read = ObjectReader(registry, _no_layer).dtype(policy(config))
    return keras.dtype_policies.get(read)


def _no_layer(entry: ConfigEntry) -> Any:
    raise UnsafeError(f"an object that is no layer names one, {entry['class_name']}")


READERS: Mapping[str, Callable[[Mapping[str, Any], Registry], Any]] = {
    "layer": _layer,
    "optimizer": _optimizer,
    "loss": _loss,
    "metric": _metric,
    "schedule": _schedule,
    "policy": _policy,
    "custom": _custom,
    **{kind: _small(kind) for kind in ("initializer", "regularizer", "constraint")},
}


def model_to_json(model: keras.Model, *, dialect: str = "keras3") -> str:
    """A model's architecture as JSON: no weights, no compile state.

    Args:
        model: Sequential, Functional, or of a class that has a config.
        dialect: "keras3", or "keras2" for tf_keras and older Kerases.

    Raises:
        UnsupportedError: the model has no config, or Keras 2 cannot say it.

    Example:
        >>> text = hozon.model_to_json(model)
        >>> same = hozon.model_from_json(text)
    """
    _known_dialect(dialect)
    if not isinstance(model, keras.Model):
        raise wrong("model", model, "a keras.Model")
    try:
        with without_added(model):
            made = serialize(model)
    except NotImplementedError as error:
        raise UnsupportedError(
            f"{type(model).__name__} has no config: {error}", feature=type(model).__name__
        ) from error
    made.pop("compile_config", None)
    if dialect == "keras2":
        written = with_generation(to_keras2(made), made)
        made = {**written, "keras_version": "2.15.0", "backend": "tensorflow"}
    return json.dumps(made)


def register_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """A decorator that registers a class or function under ``package>name`` with Keras.

    What is registered is found by Keras and by Hozon alike.

    Example:
        >>> @hozon.register_serializable("mine")
        ... class Layer(keras.layers.Layer): ...
    """
    decorator: Callable[[Any], Any] = keras.saving.register_keras_serializable(package, name)
    return decorator


def custom_object_scope(objects: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """A context in which classes and functions are found by the given names, by Keras too."""
    scope: AbstractContextManager[Any] = keras.saving.custom_object_scope(objects_by_name(objects))
    return scope
