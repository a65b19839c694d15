"""Functional models of Keras 3 configs: each layer called as often, and on what, as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from hozon.config.layers import LayerReader, input_layer
from hozon.config.nodes import FIXED, Key, key_of, keys_in
from hozon.config.safety import check_weight
from hozon.config.tagged import is_tagged, plain
from hozon.errors import FormatError, HozonError, UnsupportedError
from hozon.keras_private.fixed import called, fix, takes
from hozon.keras_private.graph import give_own_names
from hozon.typing import ConfigEntry


class Replay:
    """One Functional model on its way: its layers, and the tensors that exist so far."""

    def __init__(self, reader: LayerReader, config: ConfigEntry, changes: list[str]) -> None:
        self.reader = reader
        self.config = config
        self.changes = changes
        self.layers: dict[str, Any] = {}
        self.entries: dict[str, Mapping[str, Any]] = {}
        self.calls: dict[str, list[Any]] = {}
        self.tensors: dict[Key, Any] = {}

    def tensors_of_ends(self) -> tuple[Any, Any]:
        """Make and call all layers; the model's inputs and outputs."""
        for entry in self.config["layers"]:
            self._make(entry)
        self._run()
        inputs, outputs = (self._end(self.config[f"{end}_layers"]) for end in ("input", "output"))
        give_own_names(keras.tree.flatten(outputs), list(self.layers.values()))
        return inputs, outputs

    def _make(self, entry: ConfigEntry) -> None:
        name = str(entry.get("name") or (entry.get("config") or {}).get("name"))
        if name in self.layers:
            raise FormatError(f"two layers of a model are named {name!r}", record=name)
        self.entries[name] = entry
        self.calls[name] = list(entry.get("inbound_nodes") or [])
        if entry["class_name"] == "InputLayer":
            layer = input_layer(entry, self.reader.objects)
            self.tensors[(name, 0, 0)] = layer.output
            self.calls[name] = []
        else:
            layer = self.reader.read(entry)
        self.layers[name] = layer

    def _run(self) -> None:
        """Call what can be called until all is; each round makes at least one call."""
        waiting = [(name, i) for name, calls in self.calls.items() for i in range(len(calls))]
        while waiting:
            rest = [item for item in waiting if not self._call(*item)]
            if len(rest) == len(waiting):
                names = ", ".join(sorted({name for name, _ in rest})[:10])
                raise FormatError(f"layers read what no layer gives, or each other: {names}")
            waiting = rest

    def _call(self, name: str, number: int) -> bool:
        """Make one call if its inputs exist and earlier calls of the layer are done."""
        call = self.calls[name][number]
        if number and (name, number - 1, 0) not in self.tensors:
            return False
        if any(key not in self.tensors for key in keys_in(call)):
            return False
        args, kwargs = self._value(call["args"]), self._value(call["kwargs"])
        fixed = self._fixed(name, call, kwargs)
        check_weight(self.entries[name], _first_shape(args))
        try:
            outputs = called(self.layers[name], fixed, tuple(args), kwargs)
        except HozonError:
            raise
        except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
            raise UnsupportedError(
                f"layer {name!r} ({type(self.layers[name]).__name__}) cannot be called as the "
                f"file says: {error}",
                feature=type(self.layers[name]).__name__,
                record=name,
            ) from error
        if fixed:
            fix(self.layers[name], fixed)
        for i, tensor in enumerate(keras.tree.flatten(outputs)):
            self.tensors[(name, number, i)] = tensor
        return True

    def _fixed(self, name: str, call: Mapping[str, Any], kwargs: dict[str, Any]) -> list[str]:
        """The arguments that a call keeps; `kwargs` loses those that the layer does not take."""
        named = list(call.get(FIXED, ()))
        if "training" in named and not takes(self.layers[name], "training"):
            value = kwargs.pop("training", None)
            named.remove("training")
            self.changes.append(f"layer {name!r}: training={value!r} is dropped: it takes none")
        return named if isinstance(self.layers[name], keras.Layer) else []

    def _value(self, value: Any) -> Any:
        """A config value with the tensors it names put in."""
        key = key_of(value) if isinstance(value, Mapping) else None
        if key is not None:
            return self.tensors[key]
        if is_tagged(value):
            return (
                plain(value)
                if not any(keys_in(value))
                else tuple(self._value(item) for item in value.get("items", value.get("config")))
            )
        if isinstance(value, Mapping):
            return {k: self._value(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._value(item) for item in value]
        return value

    def _end(self, ends: Any) -> Any:
        """The inputs or outputs: one, a list, or a dictionary, as they were given."""
        key = key_of(ends)
        if key is not None:
            if key not in self.tensors:
                raise FormatError(f"the model ends in {list(key)}, which no layer gives")
            return self.tensors[key]
        if isinstance(ends, Mapping):
            return {name: self._end(end) for name, end in ends.items()}
        return [self._end(end) for end in ends]


def _first_shape(args: Any) -> tuple[Any, ...]:
    """The shape of the first tensor of a call."""
    tensors = [value for value in keras.tree.flatten(args) if isinstance(value, keras.KerasTensor)]
    return tuple(tensors[0].shape) if tensors else ()
