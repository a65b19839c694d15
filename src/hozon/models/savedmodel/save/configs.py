"""What tf_keras is told of each layer: its class and config in Keras 2's dialect, if it has any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from hozon.config.dialects.to_keras2 import UNLISTED
from hozon.config.downgrade import to_keras2
from hozon.config.serialization import serialize
from hozon.config.text_layers import TEXT_LAYERS
from hozon.errors import FormatError, UnsupportedError
from hozon.keras_private.graph import Functional, functional_of
from hozon.keras_private.layers import direct_layers
from hozon.models.savedmodel.save.specs import call_names
from hozon.models.text.strings import plain_class

Entry = Mapping[str, Any]
#: Classes of Hozon that tf_keras has too.
TEXT_CLASSES = frozenset(f"hozon>{name}" for name in TEXT_LAYERS)


class Configs:
    """The configs of a model and all that it holds.

    Attributes:
        native: the model as Keras 3 serializes it; None where it has no config.
        changes: what Keras 2 says in another way, or cannot say.
        inner: layers, by identity, that others make as parts of themselves.
    """

    def __init__(self, model: keras.Model) -> None:
        self.native = _serialized(model)
        self.changes: list[str] = []
        self.inner: set[int] = set()
        self._entries: dict[int, Entry | None] = {}
        self._by_functions: set[int] = set()
        self._operations: dict[tuple[int, str], Entry] = {}
        if self.native is not None and is_graph(model):
            self._convert(model, self.native)

    def entry(self, layer: keras.Layer) -> Entry | None:
        """``{"class_name", "config"}`` for Keras 2; None for an object without a config."""
        if id(layer) not in self._entries:
            self._entries[id(layer)] = self._single(layer)
        return self._entries[id(layer)]

    def needs_functions(self, layer: keras.Layer) -> bool:
        """Whether tf_keras cannot make the layer from its config, so that it needs its calls."""
        self.entry(layer)
        return id(layer) in self._by_functions

    def operation(self, model: keras.Model, name: str) -> Entry | None:
        """The Keras 2 layer that stands for an operation of a functional model."""
        return self._operations.get((id(model), name))

    def _convert(self, model: keras.Model, native: Entry) -> None:
        """The whole of a Sequential or functional model at once."""
        pairs = list(_pairs(model, native))
        foreign = {id(layer): entry for layer, entry in pairs if is_foreign(entry)}
        names = {layer.name: call_names(layer) for layer, _ in pairs if id(layer) in foreign}
        made: Entry | None
        try:
            made = to_keras2(native, report=self.changes, call_names=names)
        except (UnsupportedError, FormatError):
            made = self._with_refused(model, native, pairs, foreign, names)
        if made is None:
            self._entries[id(model)] = None
            self._by_functions.add(id(model))
            return
        self._entries[id(model)] = made
        for layer, entry in _pairs(model, made):
            self._entries[id(layer)] = entry
        self._collect_operations(model, made)
        self._by_functions.update(foreign)

    def _with_refused(
        self,
        model: keras.Model,
        native: Entry,
        pairs: list[tuple[keras.Layer, Entry]],
        foreign: dict[int, Entry],
        names: dict[str, tuple[str, ...]],
    ) -> Entry | None:
        """Layers that Keras 2 does not have are custom ones to it, which run their functions."""
        refused: dict[str, Entry] = {}
        for layer, entry in pairs:
            reason = None if isinstance(layer, keras.Model) else _refusal(entry)
            if reason is not None:
                refused[layer.name] = entry
                foreign[id(layer)] = entry
                names[layer.name] = call_names(layer)
                self.changes.append(f"{layer.name}: runs its saved function in tf_keras: {reason}")
        try:
            return to_keras2(_as_custom(native, refused), report=self.changes, call_names=names)
        except (UnsupportedError, FormatError) as error:
            self.changes.append(f"{model.name}: runs its saved functions in tf_keras: {error}")
            return None

    def _collect_operations(self, model: keras.Model, made: Entry) -> None:
        known = {layer.name for layer in model.layers}
        for entry in made["config"].get("layers", ()):
            name = entry["config"].get("name") or entry.get("name")
            if name not in known:
                self._operations[id(model), str(name)] = entry
        for layer, entry in _pairs(model, made):
            if isinstance(layer, Functional) and "layers" in entry["config"]:
                self._collect_operations(layer, entry)

    def _single(self, layer: keras.Layer) -> Entry | None:
        """A layer that stands in no model's config: one held by a custom layer."""
        native = _serialized(layer)
        if native is None:
            self._by_functions.add(id(layer))
            return None
        if is_graph(layer):
            inner = Configs(layer)
            self._entries.update(inner._entries)
            self._by_functions |= inner._by_functions
            self._operations.update(inner._operations)
            self.changes += inner.changes
            return inner._entries[id(layer)]
        if is_foreign(native):
            self._by_functions.add(id(layer))
        try:
            return to_keras2(native, report=self.changes)
        except (UnsupportedError, FormatError) as error:
            if id(layer) not in self.inner:
                self._by_functions.add(id(layer))
                self.changes.append(f"{layer.name}: runs its saved function in tf_keras: {error}")
            return None


def is_graph(layer: keras.Layer) -> bool:
    """Whether this is a Sequential or functional model of Keras' own class."""
    return plain_class(layer) in (keras.Sequential, Functional, keras.Model) and (
        functional_of(layer) is not None
    )


def is_foreign(value: Any) -> bool:
    """Whether a Keras 3 config names what tf_keras cannot make: a class or function that is not
    Keras' own or that its readers do not know, or a lambda."""
    if isinstance(value, Mapping):
        if "class_name" in value and "config" in value:
            if value.get("registered_name") in TEXT_CLASSES:
                return is_foreign(value["config"])
            module = value.get("module")
            named = value.get("registered_name")
            if module is None:  # a class of ``__main__`` is registered, Keras' own is not
                own = named is None
            else:
                own = module == "builtins" or str(module).split(".")[0] == "keras"
            if not own or named not in (None, value["class_name"]):
                return True
            if value["class_name"] in {"Lambda", "__lambda__", *UNLISTED}:
                return True
        return any(map(is_foreign, value.values()))
    return isinstance(value, (list, tuple)) and any(map(is_foreign, value))


def _serialized(layer: keras.Layer) -> Entry | None:
    try:
        made: Entry = serialize(layer)
    except (NotImplementedError, TypeError, ValueError):  # an object without a config of its own
        return None
    return made


def _pairs(model: keras.Model, entry: Entry) -> Iterator[tuple[keras.Layer, Entry]]:
    """The layers of a model with their entries, those of nested models too."""
    config = entry["config"]
    listed = config.get("layers", ()) if isinstance(config, Mapping) else config
    by_name = {_name(item): item for item in listed}
    inputs = [layer for layer in direct_layers(model) if isinstance(layer, keras.layers.InputLayer)]
    for layer in {id(x): x for x in (*inputs, *model.layers)}.values():
        found = by_name.get(layer.name)
        if found is None:
            continue
        yield layer, found
        if is_graph(layer):
            yield from _pairs(layer, found)


def _name(entry: Entry) -> str:
    config = entry.get("config")
    named = config.get("name") if isinstance(config, Mapping) else None
    return str(named or entry.get("name") or "")


def _refusal(entry: Entry) -> str | None:
    try:
        to_keras2({key: value for key, value in entry.items() if key != "inbound_nodes"})
    except (UnsupportedError, FormatError) as error:
        return str(error)
    return None


def _as_custom(entry: Any, refused: Mapping[str, Entry]) -> Any:
    """A config in which the layers of these names are of a custom class."""
    if isinstance(entry, list):
        return [_as_custom(item, refused) for item in entry]
    if not isinstance(entry, Mapping) or "config" not in entry:
        return entry
    if _name(entry) in refused:
        kept = {k: v for k, v in entry["config"].items() if k in ("name", "trainable")}
        name = entry["class_name"]
        return {**entry, "module": None, "registered_name": f"hozon>{name}", "config": kept}
    config = entry["config"]
    if isinstance(config, Mapping) and "layers" in config:
        inner = [_as_custom(item, refused) for item in config["layers"]]
        return {**entry, "config": {**config, "layers": inner}}
    return entry
