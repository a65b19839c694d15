"""Keras 1 and 2 configs as Keras 3 configs: plain dictionaries in, plain dictionaries out.

Pure: nothing is built or imported here. The result is what `build` reads, and names classes that
Keras 3 has, or Hozon's own ("hozon>...") where Keras 3 dropped a layer or changed its meaning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hozon.config.dialects import CLASSES, COMMON, COMMON_OF_ALL, is_known, rules_of
from hozon.config.dialects.calls import CALLS
from hozon.config.dialects.rules import Entry
from hozon.config.dialects.values import DROPPED, KERAS1_KEYS, MODULES, SHORT_NAMES, kind_of_key
from hozon.config.entries import is_of_keras
from hozon.config.inputs import first_input
from hozon.config.nodes import (
    SHARED,
    STRUCTURED,
    Key,
    Renumber,
    first_nodes,
    kept,
    key_of,
    keys_in,
    upgraded_call,
    upgraded_ends,
)
from hozon.config.overwritten import restored_calls
from hozon.config.tagged import is_serialized, is_tagged
from hozon.errors import FormatError, UnsupportedError
from hozon.limits import LIMITS
from hozon.typing import Config, ConfigEntry

#: Key of a model's entry: the names of its outputs, which logs of its training have; none where
#: a subclassed model has those of Keras 2, one for each output that its call gives.
OUTPUT_NAMES = "output_names"
#: The layers inside of one that are frozen and that its config does not tell; Hozon's own.
FROZEN = "frozen"
#: The layers inside of one that are quantized and that its config does not tell; Hozon's own.
QUANTIZED = "quantized"
#: What an entry says of a layer beside its config, in each dialect.
MARKS = (SHARED, FROZEN)
#: Key of an entry: the generation that it trains as, where its dialect is that of another.
TRAINS_AS = "trains_as"
#: What stands as the class of a function in configs.
FUNCTIONS = frozenset({"function", "Function"})
MODELS = frozenset({"Sequential", "Functional", "Model", "Network", "Graph"})
#: Keys of a model's own config; a class of the user may have more.
MODEL_KEYS = frozenset(
    {
        "name",
        "trainable",
        "dtype",
        "layers",
        "input_layers",
        "output_layers",
        "build_input_shape",
    }
)
#: Keys whose value is a layer or a list of layers.
LAYER_KEYS = frozenset({"layer", "backward_layer", "forward_layer", "cell", "cells"})


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A Keras 3 config, what was changed on the way, and layers under new names."""

    config: Config
    changes: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)


#: Classes that only Keras 3's configs name.
KERAS3_CLASSES = ("__keras_tensor__", "DTypePolicy", "DTypePolicyMap")


def is_keras3(entry: Any) -> bool:
    """Whether a config is in Keras 3's dialect: by what only Keras 3 writes."""
    left = [entry]
    while left:
        item = left.pop()
        if isinstance(item, Mapping):
            if "batch_shape" in item and "batch_input_shape" not in item:
                return True
            if item.get("class_name") in KERAS3_CLASSES:
                return True
            left += item.values()
        elif isinstance(item, (list, tuple)):
            left += item
    return False


def short_name(class_name: str) -> str:
    """A class name without package or module: "Custom>Dense" and "a.b.Dense" are "Dense"."""
    return class_name.rsplit(">", 1)[-1].rsplit(".", 1)[-1]


def upgrade(entry: ConfigEntry, sequential: Collection[str] = ()) -> Upgraded:
    """A Keras 1 or 2 model or layer, ``{"class_name": ..., "config": ...}``, in Keras 3's dialect.

    `sequential` names the caller's classes that are Sequential models.

    Raises:
        FormatError: the config contradicts itself.
        UnsupportedError: it holds something that neither Keras 3 nor Hozon has.
    """
    upgrader = Upgrader(sequential, of_keras3=entry.get(TRAINS_AS) == "keras3")
    return Upgraded(upgrader.layer(entry), upgrader.changes, upgrader.renamed)


class Upgrader:
    """One upgrade: collects changes over nested layers and models."""

    def __init__(self, sequential: Collection[str] = (), of_keras3: bool = False) -> None:
        self.sequential = frozenset(sequential)
        self.of_keras3 = of_keras3
        self.changes: list[str] = []
        self.renamed: dict[str, str] = {}
        self._depth = 0

    def layer(self, source: ConfigEntry) -> dict[str, Any]:
        """A layer or model entry."""
        if not is_serialized(source):
            raise FormatError(f"{source!r:.100} is no layer: it has no class name")
        self._depth += 1
        if self._depth > LIMITS.nesting:
            raise FormatError("the config nests models too deeply", expected=LIMITS.nesting)
        try:
            made = self._layer(source)
        finally:
            self._depth -= 1
        return {**made, **{key: source[key] for key in MARKS if source.get(key) is not None}}

    def _layer(self, source: ConfigEntry) -> dict[str, Any]:
        class_name = str(source["class_name"])
        config = source.get("config")
        own = short_name(class_name) in MODELS | self.sequential or is_model_config(config)
        if own and _has_layers(config):
            return self._model(class_name, source)
        entry = Entry(class_name, dict(config or {}), _name(source), self.changes)
        entry.of_keras3 = self.of_keras3
        short = short_name(class_name)
        known = is_known(class_name)
        for rule in (*COMMON, *rules_of(short)) if known else COMMON_OF_ALL:
            rule(entry)
        if known and short in CLASSES and entry.class_name == class_name:
            entry.class_name = CLASSES[short]
        self._rename_key(entry.config)
        self._nested(entry)
        made: Config = {
            "module": source["module"] if is_of_keras(source) else None,
            "class_name": entry.class_name,
            "config": entry.config,
            "registered_name": source.get("registered_name"),
        }
        build = source.get("build_config")
        return {**made, "build_config": build} if build else made

    def _rename_key(self, config: Config) -> None:
        name = config.get("name")
        if name is not None:
            config["name"] = self._valid(str(name), ())

    def _valid(self, name: str, taken: Any) -> str:
        """A name that Keras 3 takes, which refuses "/", and that no other layer has."""
        valid = name.replace("/", "_")
        while valid != name and valid in taken:
            valid += "_"
        if valid != name and name not in self.renamed:
            self.renamed[name] = valid
            self.changes.append(
                f"layer {name!r} is named {valid!r}: Keras 3 refuses '/' in layer names"
            )
        return valid

    def _nested(self, entry: Entry) -> None:
        for key, value in entry.config.items():
            if key == "dtype":
                entry.config[key] = policy(value)
                if entry.config[key] == "float64":
                    entry.tell("float64 computes in float32 unless JAX's x64 mode is on")
            elif key in LAYER_KEYS and isinstance(value, list):
                entry.config[key] = [self.layer(item) for item in value]
            elif key in LAYER_KEYS and is_serialized(value):
                entry.config[key] = self.layer(value)
            elif kind_of_key(key) is not None:
                entry.config[key] = self.object(kind_of_key(key) or "", value)
            else:
                entry.config[key] = self._within(value)

    def _within(self, value: Any) -> Any:
        """Any value of a config: layers in it, which users' classes hold, are upgraded."""
        if is_serialized(value) and not is_tagged(value):
            return self.layer(value) if _is_layer(value) else dict(value)
        if isinstance(value, Mapping):
            return {key: self._within(item) for key, item in value.items()}
        return [self._within(item) for item in value] if isinstance(value, list) else value

    def object(self, kind: str, value: Any) -> Any:
        """An initializer, regularizer, constraint or activation."""
        if isinstance(value, str):
            return self._object_name(kind, value)
        if isinstance(value, Mapping) and "class_name" not in value and "name" in value:
            rest = {KERAS1_KEYS.get(k, k): v for k, v in value.items() if k != "name"}
            value = {"class_name": value["name"], "config": rest}
        if not is_serialized(value) or is_tagged(value):
            return value
        if kind == "activation":
            return self._activation(value)
        if value["class_name"] in FUNCTIONS:
            return dict(value)
        name = SHORT_NAMES[kind].get(value["class_name"], value["class_name"])
        config = dict(value.get("config") or {})
        for key in DROPPED[kind]:
            config.pop(key, None)
        return {
            "module": MODULES[kind],
            "class_name": name,
            "config": config,
            "registered_name": value.get("registered_name"),
        }

    def _object_name(self, kind: str, name: str) -> str:
        return SHORT_NAMES[kind].get(name, name) if kind == "activation" else name

    def _activation(self, value: Mapping[str, Any]) -> Any:
        """A function by name, ``{"class_name": "function", "config": name}``, or a layer."""
        if value["class_name"] in FUNCTIONS:
            inner = value.get("config")
            return self._object_name("activation", inner) if isinstance(inner, str) else value
        if value["class_name"] in ("__lambda__", "Lambda"):
            return dict(value)
        return self.layer(value)

    # Models

    def _model(self, class_name: str, source: ConfigEntry) -> dict[str, Any]:
        config = source["config"]
        short = short_name(class_name)
        if isinstance(config, list) or short == "Sequential":
            return self._sequential(class_name, source)
        if short not in MODELS and "input_layers" not in config:
            return self._sequential(class_name, source)
        return self._functional(class_name, source)

    def _sequential(self, class_name: str, source: ConfigEntry) -> dict[str, Any]:
        config = source["config"]
        given = dict(config) if isinstance(config, Mapping) else {}
        entries = _entries(config)
        layers = [
            self._input(e) if e["class_name"] == "InputLayer" else self.layer(e) for e in entries
        ]
        if entries and entries[0]["class_name"] != "InputLayer":
            added = first_input(entries[0], given.get("build_input_shape"))
            layers = [added, *layers] if added is not None else layers
        made = {"name": self._model_name(given, source), "layers": layers}
        if given.get("trainable") is False:
            made["trainable"] = False
        return {
            "class_name": class_name,
            "registered_name": source.get("registered_name"),
            "config": {**_rest(given), **made},
            **({"build_config": source["build_config"]} if source.get("build_config") else {}),
        }

    def _model_name(self, config: ConfigEntry, source: ConfigEntry) -> Any:
        name = config.get("name") or source.get("name")
        return None if name is None else self._valid(str(name), ())

    def _input(self, entry: ConfigEntry) -> dict[str, Any]:
        """An InputLayer; ragged inputs are dense here, strings stay strings."""
        config = dict(entry.get("config") or {})
        shape = config.get("batch_input_shape") or config.get("batch_shape")
        made = {
            "batch_shape": shape,
            "dtype": policy(config.get("dtype")),
            "sparse": bool(config.get("sparse")),
            "name": _name(entry),
        }
        if config.get("ragged"):
            raise UnsupportedError(
                f"input {_name(entry)!r} is ragged; JAX has no ragged tensors",
                feature="ragged inputs",
            )
        self._rename_key(made)
        return {"module": None, "class_name": "InputLayer", "config": made}

    def _functional(self, class_name: str, source: ConfigEntry) -> dict[str, Any]:
        config = source["config"]
        named = [{**e, "name": _name(e)} for e in _entries(config)]
        entries = restored_calls(named, config, self.changes)
        names = _unique_names(entries)
        self._hidden_inputs_checked(entries, config, names)
        firsts = first_nodes(entries, config)
        taken: set[str] = set(names)
        valid = {name: self._valid(name, taken) for name in names}

        def renumber(key: Key) -> Key:
            return (valid.get(key[0], key[0]), max(0, key[1] - firsts.get(key[0], 0)), key[2])

        layers = [self._functional_layer(e, frozenset(names), valid, renumber) for e in entries]
        made: Config = {
            "name": self._model_name(config, source),
            "layers": layers,
            "input_layers": _only(upgraded_ends(config.get("input_layers"), renumber)),
            "output_layers": _only(upgraded_ends(config.get("output_layers"), renumber)),
        }
        if config.get("trainable") is False:
            made["trainable"] = False
        ends = output_names(config)
        by_layer = len(ends) > 1 and source.get(TRAINS_AS) != "keras3"
        outputs = {OUTPUT_NAMES: ends} if by_layer else {}
        return {
            "class_name": class_name,
            "registered_name": source.get("registered_name"),
            "config": {**_rest(config), **made},
            **outputs,
        }

    def _functional_layer(
        self,
        entry: ConfigEntry,
        names: frozenset[str],
        valid: Mapping[str, str],
        renumber: Renumber,
    ) -> dict[str, Any]:
        made = self._input(entry) if entry["class_name"] == "InputLayer" else self.layer(entry)
        calls = [upgraded_call(c, names, renumber) for c in entry.get("inbound_nodes") or []]
        short = short_name(str(entry["class_name"]))
        adapt = CALLS.get(short)
        if adapt is not None:
            calls = [adapt(call, entry.get("config") or {}) for call in calls]
        if short not in STRUCTURED:
            calls = [kept(call, short) for call in calls]
        made["name"] = valid[entry["name"]]
        made["config"] = {**made["config"], "name": made["name"]}
        return {**made, "inbound_nodes": calls}

    def _hidden_inputs_checked(
        self, entries: list[dict[str, Any]], config: ConfigEntry, names: set[str]
    ) -> None:
        for end in ("input_layers", "output_layers"):
            for key in keys_in(config.get(end)):
                if key[0] not in names:
                    raise FormatError(f"{end} names {key[0]!r}, which the model does not have")
        if not entries or config.get("input_layers") is None:
            raise FormatError("a functional model has no layers or no inputs")


def policy(value: Any) -> Any:
    """A dtype or dtype policy of any age as a name, or as Keras 3's serialized policy.

    Keras 2 wrote a name or ``{"class_name": "Policy" | "PolicyV1", "config": {"name": ...}}``.
    """
    if is_serialized(value) and value["class_name"] in ("Policy", "PolicyV1"):
        name = (value.get("config") or {}).get("name")
        return None if name == "_infer" else name
    return value


def _is_layer(entry: ConfigEntry) -> bool:
    """Whether an entry under any key describes a layer or model: by what all layers' configs say."""
    config = entry.get("config")
    if short_name(str(entry["class_name"])) in MODELS and _has_layers(config):
        return True
    return isinstance(config, Mapping) and {"name", "trainable", "dtype"} <= config.keys()


def _name(entry: ConfigEntry) -> str:
    config = entry.get("config")
    inner = config.get("name") if isinstance(config, Mapping) else None
    return str(entry.get("name") or inner or "")


def is_model_config(config: Any) -> bool:
    """Whether a config, of whatever class, says of which layers a model is made, and its ends.

    A class that subclasses a Functional or Sequential model saves such a config under its name.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("layers"), list):
        return False
    entries = config["layers"]
    if {"input_layers", "output_layers"} <= config.keys():
        return True
    return bool(entries) and is_serialized(entries[0]) and entries[0]["class_name"] == "InputLayer"


def _rest(config: ConfigEntry) -> dict[str, Any]:
    """What the class of a model saved beside its layers."""
    return {key: value for key, value in config.items() if key not in MODEL_KEYS}


def _has_layers(config: Any) -> bool:
    return isinstance(config, list) or (isinstance(config, Mapping) and "layers" in config)


def _entries(config: Any) -> list[dict[str, Any]]:
    """The layer entries of a model; Keras 1 wrote a Sequential as a bare list."""
    entries = config if isinstance(config, list) else config.get("layers")
    if not isinstance(entries, list) or not all(is_serialized(e) for e in entries):
        raise FormatError("a model's layers are no list of layer entries")
    return entries


def _in_order(ends: Any) -> Any:
    """Ends in the order in which a model's outputs are numbered."""
    if isinstance(ends, Mapping):
        return [_in_order(ends[key]) for key in sorted(ends)]
    if isinstance(ends, (list, tuple)) and key_of(ends) is None:
        return [_in_order(end) for end in ends]
    return ends


def output_names(config: ConfigEntry) -> list[str]:
    """The names that Keras 2 gave the outputs of a functional model."""
    return different([key[0] for key in keys_in(_in_order(config.get("output_layers")))])


def different(names: Sequence[str]) -> list[str]:
    """Names of outputs, those that come again numbered, as Keras 2 did."""
    found: list[str] = []
    counts: dict[str, int] = {}
    for name in names:
        made = name
        while made in found:
            made = f"{name}_{counts.get(name, 1)}"
            counts[name] = counts.get(name, 1) + 1
        found.append(made)
    return found


def _only(ends: Any) -> Any:
    """The single end of a list of one: Keras 2 wrote one tensor and a list of one alike."""
    return ends[0] if isinstance(ends, list) and len(ends) == 1 else ends


def _unique_names(entries: list[dict[str, Any]]) -> set[str]:
    names: set[str] = set()
    for entry in entries:
        if not entry["name"] or entry["name"] in names:
            raise FormatError(
                f"two layers of a model are named {entry['name']!r}", record=entry["name"]
            )
        names.add(entry["name"])
    return names
