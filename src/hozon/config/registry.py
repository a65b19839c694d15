"""What a config may name: an allow-list of classes and functions, one object per load.

It holds Keras' public layers, initializers, regularizers, constraints, activations, losses,
metrics, optimizers and schedules, Hozon's own for what Keras 3 dropped, what users registered
with Keras, and the caller's custom objects. Nothing is imported because a file names it, and a
plain string is looked up only where its key says what kind of object it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import keras

from hozon.arguments import objects_or_none
from hozon.config.entries import is_of_keras, is_of_user
from hozon.config.legacy import LEGACY_FUNCTIONS, LEGACY_LAYERS, LEGACY_OPTIMIZERS
from hozon.config.safety import FOREIGN
from hozon.config.text_layers import TEXT_LAYERS
from hozon.config.upgrade import MODELS, short_name
from hozon.errors import MismatchError
from hozon.keras_private.graph import OPERATIONS
from hozon.keras_private.scopes import scoped_objects
from hozon.typing import ConfigEntry, CustomObjects

KINDS: Mapping[str, tuple[ModuleType, type]] = {
    "layer": (keras.layers, keras.layers.Layer),
    "initializer": (keras.initializers, keras.initializers.Initializer),
    "regularizer": (keras.regularizers, keras.regularizers.Regularizer),
    "constraint": (keras.constraints, keras.constraints.Constraint),
    "loss": (keras.losses, keras.losses.Loss),
    "metric": (keras.metrics, keras.metrics.Metric),
    "optimizer": (keras.optimizers, keras.optimizers.Optimizer),
    "schedule": (
        keras.optimizers.schedules,
        keras.optimizers.schedules.LearningRateSchedule,
    ),
    "policy": (keras.dtype_policies, keras.dtype_policies.DTypePolicy),
    "quantization": (keras.quantizers, keras.quantizers.QuantizationConfig),
    "quantizer": (keras.quantizers, keras.quantizers.Quantizer),
}
FUNCTION_MODULES: Mapping[str, tuple[ModuleType, ...]] = {
    "activation": (keras.activations,),
    "loss": (keras.losses, keras.metrics),
    "metric": (keras.metrics, keras.losses),
}
#: Members of these modules that act on names or files.
NOT_FUNCTIONS = frozenset({"get", "deserialize", "serialize"})


def objects_by_name(custom_objects: Any) -> dict[str, Any]:
    """The argument `custom_objects`; an ArgumentError that says what it must be, if it is not."""
    return dict(objects_or_none("custom_objects", custom_objects) or {})


class Registry:
    """Classes and functions by kind and name.

    The caller's custom objects, those of a ``custom_object_scope`` too, win over everything. An
    object registered with Keras is found by its full name ``package>Name``; its short name never
    hides one of Keras' own.
    """

    def __init__(self, custom_objects: CustomObjects | None = None) -> None:
        self.given: dict[str, Any] = {**scoped_objects(), **objects_by_name(custom_objects)}
        self.registered: dict[str, Any] = dict(keras.saving.get_custom_objects())

    @property
    def custom(self) -> dict[str, Any]:
        """The caller's objects and registered ones, by the names that find them."""
        return {**self.registered, **self.given}

    def custom_class(self, class_name: str, registered_name: Any = None) -> Any:
        """The caller's or a registered object for a name, None if it is Keras' or unknown."""
        names = [n for n in (registered_name, class_name) if isinstance(n, str)]
        for name in (*names, *map(short_name, names)):
            if name in self.given:
                return self.given[name]
        for name in names:
            if name in self.registered and not name.startswith("hozon>"):
                return self.registered[name]
        if any(builtin(kind, short_name(class_name)) for kind in KINDS):
            return None
        return self._by_short_name(short_name(class_name))

    def _by_short_name(self, short: str) -> Any:
        found = [
            value
            for name, value in self.registered.items()
            if short_name(name) == short and not name.startswith("hozon>")
        ]
        return found[0] if len(found) == 1 else None

    def find(self, kind: str, class_name: str, registered_name: Any = None) -> Any:
        """The class of a kind and name, None if there is none."""
        custom = self.custom_class(class_name, registered_name)
        if custom is not None:
            return custom
        ours = isinstance(registered_name, str) and registered_name.startswith("hozon>")
        return builtin(kind, registered_name if ours else class_name)

    def of_entry(self, entry: ConfigEntry) -> Any:
        """The class of a layer's entry, None if there is none.

        Entries of archives say whether it is Keras' own or a user's, which may have one's name.
        """
        kind, name = kind_of_entry(entry), str(entry["class_name"])
        if is_of_keras(entry):
            return builtin(kind, name)
        if is_of_user(entry) and short_name(name) not in MODELS:
            return self.custom_class(name, entry["registered_name"])
        return self.find(kind, name, entry.get("registered_name"))

    def function(self, kind: str, name: str) -> Any:
        """A function of a kind ("activation", "loss", "metric") by name, None if unknown."""
        for names in ((name, short_name(name)), (name,)):
            table = self.given if len(names) == 2 else self.registered
            found = next((table[n] for n in names if n in table), None)
            if callable(found):
                return found
        if name in LEGACY_FUNCTIONS:
            return LEGACY_FUNCTIONS[name]
        short = short_name(name)
        if short in NOT_FUNCTIONS or short.startswith("_"):
            return None
        for module in FUNCTION_MODULES[kind]:
            found = vars(module).get(short)
            if callable(found) and not isinstance(found, type):
                return found
        return self._by_short_name(short) if kind == "activation" else None


def require_class(found: Any, name: str) -> None:
    """Raise MismatchError where the caller passed something else for the class of a layer."""
    if not isinstance(found, type):
        raise MismatchError(
            f"custom_objects[{name!r}] is no class",
            mismatches=[f"the file holds a layer of class {name}", f"{found!r:.100} was given"],
        )


def kind_of_entry(entry: ConfigEntry) -> str:
    """Whether a node of a model is a layer, or one of Keras 3's operations such as ``x + y``.

    Both kinds have an Add. Keras 3 wrote the module beside the name, except into H5 files; there
    the operations are those that take several arguments where a merging layer takes a list, or
    that do not say whether they are trained, as layers of the same names do.
    """
    module = entry.get("module")
    if isinstance(module, str):
        return "operation" if module.startswith("keras.src.ops") else "layer"
    name = str(entry.get("class_name"))
    calls = entry.get("inbound_nodes") or [{}]
    if "module" in entry or name not in OPERATIONS or not isinstance(calls[0], Mapping):
        return "layer"
    several = len(calls[0].get("args") or ()) > 1
    trained = "trainable" in (entry.get("config") or {})
    return "layer" if trained and not several else "operation"


def builtin(kind: str, class_name: str) -> type | None:
    """A class of Keras' public namespaces, or of Hozon's, by kind and name."""
    if kind == "operation":
        return OPERATIONS.get(class_name)
    if kind == "layer" and class_name in LEGACY_LAYERS:
        return LEGACY_LAYERS[class_name]
    if kind == "optimizer" and class_name in LEGACY_OPTIMIZERS:
        return LEGACY_OPTIMIZERS[class_name]
    name = short_name(class_name)
    if kind == "layer" and name in TEXT_LAYERS:
        return TEXT_LAYERS[name]
    module, base = KINDS[kind]
    found = vars(module).get(name)
    if isinstance(found, type) and issubclass(found, base) and name not in FOREIGN:
        return found
    return None
