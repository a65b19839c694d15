"""Serialized objects of a config to live ones: initializers, activations, losses ...

Every age wrote such an object as a name, as ``{"class_name": ..., "config": ...}``, or with a
``module`` and ``registered_name`` beside these (which are never imported, only compared).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hozon.config.names import ALIASES
from hozon.config.registry import Registry, missing
from hozon.errors import UnsafeError, UnsupportedError

#: Keys of built-in objects' configs that Keras 3 does not take.
DROPPED = {
    "initializer": ("dtype", "partition"),
    "loss": ("fn",),
    "metric": ("fn",),
}
#: Suffix or name of a config key to the kind of object it holds.
SUFFIXES = (
    ("_initializer", "initializer"),
    ("_regularizer", "regularizer"),
    ("_constraint", "constraint"),
    ("activation", "activation"),
)
INITIALIZERS: Mapping[str, str] = {
    "glorot_uniform": "GlorotUniform", "glorot_normal": "GlorotNormal", "he_normal": "HeNormal",
    "he_uniform": "HeUniform", "lecun_normal": "LecunNormal", "lecun_uniform": "LecunUniform",
    "zeros": "Zeros", "zero": "Zeros", "ones": "Ones", "one": "Ones", "uniform": "RandomUniform",
    "normal": "RandomNormal", "random_uniform": "RandomUniform", "random_normal": "RandomNormal",
    "truncated_normal": "TruncatedNormal", "orthogonal": "Orthogonal", "identity": "Identity",
    "constant": "Constant", "variance_scaling": "VarianceScaling",
}  # fmt: skip
CONSTRAINTS: Mapping[str, str] = {
    "max_norm": "MaxNorm", "maxnorm": "MaxNorm", "non_neg": "NonNeg", "nonneg": "NonNeg",
    "unit_norm": "UnitNorm", "unitnorm": "UnitNorm", "min_max_norm": "MinMaxNorm",
}  # fmt: skip
REGULARIZERS: Mapping[str, str] = {"l1": "L1", "l2": "L2", "l1_l2": "L1L2"}
SHORT_NAMES: Mapping[str, Mapping[str, str]] = {
    "initializer": INITIALIZERS, "constraint": CONSTRAINTS, "regularizer": REGULARIZERS,
}  # fmt: skip


def kind_of_key(key: str) -> str | None:
    """The kind of object that a config key holds, None for plain values."""
    return next((kind for suffix, kind in SUFFIXES if key.endswith(suffix)), None)


def is_serialized(value: Any) -> bool:
    """Whether a value is a serialized object."""
    return isinstance(value, dict) and "class_name" in value


class ObjectReader:
    """Builds the small objects of configs through one registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def read(self, kind: str, value: Any) -> Any:
        """A live object of a kind from its serialized form; None stays None."""
        if value is None or callable(value):
            return value
        if kind == "activation":
            return self.activation(value)
        if isinstance(value, str):
            value = {"class_name": value, "config": {}}
        if not is_serialized(value):
            raise UnsupportedError(f"{value!r} is no serialized {kind}")
        return self._build(kind, value)

    def activation(self, value: Any) -> Any:
        """An activation: a function by name, or a layer used as one."""
        if is_serialized(value) and value["class_name"] in ("function", "Function"):
            value = value["config"]
        if isinstance(value, str):
            function = self.registry.function("activation", value.rsplit(">", 1)[-1])
            if function is None:
                raise missing(value)
            return function
        if is_serialized(value):
            if value["class_name"] in ("__lambda__", "Lambda"):
                raise UnsafeError("the activation is stored as Python bytecode, which is never run")
            return self._build("layer", value)
        raise UnsupportedError(f"{value!r} is no serialized activation")

    def _build(self, kind: str, value: Mapping[str, Any]) -> Any:
        name = str(value["class_name"])
        name = SHORT_NAMES.get(kind, {}).get(name, name)
        config = dict(value.get("config") or {})
        found = self.registry.find(kind, name)
        if found is None:
            raise missing(ALIASES.get(name, name))
        if self.registry.is_custom(name) and hasattr(found, "from_config"):
            return found.from_config(config)
        for key in DROPPED.get(kind, ()):
            config.pop(key, None)
        return call_with(found, config, name)


def call_with(function: Callable[..., Any], config: Mapping[str, Any], name: str) -> Any:
    """Call a class with a config; arguments that it refuses are an UnsupportedError."""
    try:
        return function(**config)
    except TypeError as error:
        raise UnsupportedError(f"{name}: {error}") from error
