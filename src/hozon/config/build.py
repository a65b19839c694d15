"""Model configs of every age to live models.

Functional models are replayed: each layer is built once and called as often, and on what, as
its ``inbound_nodes`` say. These came in several forms: lists of ``[layer, node, tensor, kwargs]``
per call (a single one for layers made of TensorFlow functions), with tensors also inside kwargs
as ``[layer, node, tensor]``; and Keras 3's ``{"args": ..., "kwargs": ...}`` with tensors as
``__keras_tensor__`` objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from hozon.config.layers import Factory, LayerReader, input_tensor, why_not
from hozon.config.objects import is_serialized
from hozon.config.registry import Registry
from hozon.errors import FormatError, UnsupportedError

Key = tuple[str, int, int]
MODEL_CLASSES = ("Sequential", "Functional", "Model")


def build_model(
    config: Mapping[str, Any],
    *,
    custom_objects: Mapping[str, Any] | None = None,
    factories: Mapping[str, Factory] | None = None,
    report: list[str] | None = None,
) -> keras.Model:
    """The model of ``{"class_name": ..., "config": ...}``, weights as initializers leave them.

    Args:
        config: of a Sequential or Functional model (or a custom class, built by from_config).
        custom_objects: classes and functions by name.
        factories: for layers by name, what makes them in place of their class.
        report: receives a line for each thing translated from an older dialect.
    """
    registry = Registry(custom_objects)
    return _Builder(registry, factories, [] if report is None else report).model(dict(config))


def build_layer(
    config: Mapping[str, Any], *, custom_objects: Mapping[str, Any] | None = None
) -> keras.layers.Layer:
    """The layer of ``{"class_name": ..., "config": ...}``."""
    return _Builder(Registry(custom_objects), None, []).reader.read(config)


def unbuildable_layers(
    config: Mapping[str, Any], *, custom_objects: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """The layers of a model, nested ones included, that no class can build: name to class."""
    builder = _Builder(Registry(custom_objects), None, [])
    found: dict[str, str] = {}
    for entry in _entries(config.get("config")):
        name, class_name = _entry_name(entry), str(entry.get("class_name"))
        if class_name in MODEL_CLASSES:
            found.update(unbuildable_layers(entry, custom_objects=custom_objects))
        elif class_name != "InputLayer" and why_not(builder.reader, entry) is not None:
            found[name] = class_name
    return found


def _entries(config: Any) -> list[dict[str, Any]]:
    """The layer entries of a model config; Keras 1 wrote Sequential as a bare list."""
    if isinstance(config, list):
        return config
    layers = config.get("layers", []) if isinstance(config, Mapping) else []
    return [layer for layer in layers if isinstance(layer, dict)]


def _entry_name(entry: Mapping[str, Any]) -> str:
    config = entry.get("config")
    inner = config.get("name") if isinstance(config, Mapping) else None
    return str(entry.get("name") or inner or "")


class _Builder:
    """One build: a registry, factories, and the list of changes."""

    def __init__(
        self, registry: Registry, factories: Mapping[str, Factory] | None, changes: list[str]
    ) -> None:
        self.registry = registry
        self.changes = changes
        self.reader = LayerReader(registry, factories, self.model, changes)

    def model(self, entry: Mapping[str, Any]) -> keras.Model:
        class_name = str(entry["class_name"])
        if self.registry.is_custom(class_name):
            model: keras.Model = self.registry.find("layer", class_name).from_config(
                dict(entry["config"])
            )
            return model
        if class_name == "Sequential":
            return self._sequential(entry["config"])
        if "input_layers" not in entry["config"]:
            raise UnsupportedError(f"{class_name!r} has a config without layers")
        return _Replay(self, entry["config"]).model()

    def _sequential(self, config: Any) -> keras.Model:
        name = config.get("name") if isinstance(config, Mapping) else None
        model = keras.Sequential(name=name)
        entries = _entries(config)
        if entries and entries[0].get("class_name") != "InputLayer":
            first = _first_input(entries[0])
            if first is not None:
                model.add(first)
        for entry in entries:
            if entry.get("class_name") == "InputLayer":
                tensor = input_tensor(_checked_input(entry["config"]), self.changes)
                model.add(tensor)
            else:
                model.add(self.reader.read(entry))
        shape = config.get("build_input_shape") if isinstance(config, Mapping) else None
        if not model.built and shape is not None:
            model.build(tuple(shape))
        return model


def _first_input(entry: Mapping[str, Any]) -> Any:
    """The input that the first layer of a Sequential model declares, in a nested model too."""
    config = entry.get("config")
    if not isinstance(config, Mapping):
        return None
    shape = config.get("batch_input_shape")
    if shape is not None:
        whole = entry.get("class_name") == "Embedding"
        dtype = "int32" if whole else config.get("dtype")
        return keras.Input(batch_shape=tuple(shape),
                           dtype=dtype if isinstance(dtype, str) and whole else None)  # fmt: skip
    return None


def _checked_input(config: Mapping[str, Any]) -> Mapping[str, Any]:
    if config.get("dtype") == "string":
        raise UnsupportedError("Keras 3's JAX backend has no string tensors")
    if config.get("ragged"):
        raise UnsupportedError("Keras 3's JAX backend has no ragged tensors")
    return config


class _Replay:
    """Calls the layers of a Functional model as it was called when it was made."""

    def __init__(self, builder: _Builder, config: Mapping[str, Any]) -> None:
        self.builder = builder
        self.config = config
        self.entries = _entries(config)
        self.layers: dict[str, Any] = {}
        self.tensors: dict[Key, Any] = {}
        self.calls: dict[str, list[Any]] = {}
        self.offsets: dict[str, int] = {}

    def model(self) -> keras.Model:
        for entry in self.entries:
            self._make(entry)
        self._find_offsets()
        self._run()
        inputs = self._ends(self.config["input_layers"])
        outputs = self._ends(self.config["output_layers"])
        model = keras.Model(inputs, outputs, name=self.config.get("name"))
        if self.config.get("trainable") is False:
            model.trainable = False
        return model

    def _make(self, entry: Mapping[str, Any]) -> None:
        name = _entry_name(entry)
        if not name or name in self.layers:
            raise FormatError(f"two layers of the model are named {name!r}", record=name)
        if entry.get("class_name") == "InputLayer":
            config = {"name": name, **_checked_input(entry.get("config") or {})}
            self.layers[name] = None
            self.tensors[(name, 0, 0)] = input_tensor(config, self.builder.changes)
            self.calls[name] = []
            return
        self.layers[name] = self.builder.reader.read({**entry, "name": name})
        self.calls[name] = list(entry.get("inbound_nodes") or [])

    def _find_offsets(self) -> None:
        """Where node numbers of a layer start: a model inside a model had its own call as 0."""
        highest: dict[str, int] = {}
        for name, node, _ in self._references():
            highest[name] = max(highest.get(name, 0), node)
        for name, node in highest.items():
            calls = len(self.calls.get(name, ()))
            self.offsets[name] = max(0, node - calls + 1) if calls else 0

    def _references(self) -> Iterator[Key]:
        for calls in self.calls.values():
            for call in calls:
                yield from _keys(call)
        yield from _keys(self.config["input_layers"])
        yield from _keys(self.config["output_layers"])

    def _run(self) -> None:
        waiting = [(name, i) for name, calls in self.calls.items() for i in range(len(calls))]
        while waiting:
            rest = [item for item in waiting if not self._call(*item)]
            if len(rest) == len(waiting):
                names = ", ".join(sorted({name for name, _ in rest}))
                raise FormatError(f"layers read what no layer gives, or each other: {names}")
            waiting = rest

    def _call(self, name: str, number: int) -> bool:
        """Make one call if its inputs exist and earlier calls of the layer are done."""
        call = self.calls[name][number]
        offset = self.offsets.get(name, 0)
        if number and (name, number - 1 + offset, 0) not in self.tensors:
            return False
        if any(key not in self.tensors for key in _keys(call)):
            return False
        args, kwargs = self._arguments(call)
        layer = self.layers[name]
        args, kwargs = initial_state(layer, args, kwargs)
        outputs = layer(*args, **kwargs)
        for i, tensor in enumerate(keras.tree.flatten(outputs)):
            self.tensors[(name, number + offset, i)] = tensor
        return True

    def _arguments(self, call: Any) -> tuple[list[Any], dict[str, Any]]:
        if isinstance(call, Mapping) and "args" in call:
            return self._value(call["args"]), self._value(call.get("kwargs") or {})
        if _is_reference(call):
            call = [call]
        if isinstance(call, Mapping):
            return [self._value(call)], {}
        kwargs: dict[str, Any] = {}
        tensors = []
        for item in call:
            tensors.append(self._value(item[:3]) if _is_reference(item) else self._value(item))
            if _is_reference(item) and len(item) > 3:
                kwargs.update(item[3] or {})
        first = tensors[0] if len(tensors) == 1 else tensors
        return [first], {key: self._value(value) for key, value in kwargs.items()
                         if value is not None}  # fmt: skip

    def _value(self, value: Any) -> Any:
        """A config value with the tensors it names put in."""
        key = _key(value)
        if key is not None:
            return self.tensors[key]
        if isinstance(value, Mapping):
            return {k: self._value(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            if value and value[0] == "_CONSTANT_VALUE":
                return value[3] if len(value) > 3 else value[2]
            return [self._value(item) for item in value]
        return value

    def _ends(self, ends: Any) -> Any:
        """The inputs or outputs: one, a list, or a dictionary, as they were given."""
        key = _key(ends)
        if key is not None:
            return self.tensors[key]
        if isinstance(ends, Mapping):
            return {name: self._ends(end) for name, end in ends.items()}
        return [self._ends(end) for end in ends]


def initial_state(
    layer: Any, args: list[Any], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Keras 2 called a recurrent layer on ``[sequence, *states]``; Keras 3 names the states."""
    recurrent = isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional))
    if not (recurrent and args and isinstance(args[0], list) and len(args[0]) > 1):
        return args, kwargs
    sequence, *states = args[0]
    return [sequence, *args[1:]], {"initial_state": states, **kwargs}


def _is_reference(value: Any) -> bool:
    """Whether a value is ``[layer, node, tensor]`` or ``[layer, node, tensor, kwargs]``."""
    return (
        isinstance(value, (list, tuple)) and len(value) in (3, 4) and isinstance(value[0], str)
        and value[0] != "_CONSTANT_VALUE"
        and all(isinstance(i, int) and not isinstance(i, bool) for i in value[1:3])
    )  # fmt: skip


def _key(value: Any) -> Key | None:
    """The tensor that a config value names."""
    if _is_reference(value):
        return (value[0], value[1], value[2])
    if is_serialized(value) and value["class_name"] == "__keras_tensor__":
        name, node, tensor = value["config"]["keras_history"]
        return (str(name), int(node), int(tensor))
    return None


def _keys(value: Any) -> Iterator[Key]:
    """All tensors that a config value names."""
    key = _key(value)
    if key is not None:
        yield key
        if isinstance(value, (list, tuple)) and len(value) > 3:
            yield from _keys(value[3])
        return
    items: Sequence[Any] = ()
    if isinstance(value, Mapping):
        items = list(value.values())
    elif isinstance(value, (list, tuple)):
        items = value
    for item in items:
        yield from _keys(item)
