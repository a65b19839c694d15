"""What differs between the configs of two models: layers, their arguments, how both were compiled.

Plain data, of any dialect: older configs are read as Keras 3 would, where the two are of different
ages, and then only what both say is compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hozon.config.upgrade import short_name, upgrade
from hozon.containers.agreement import called_layers, entry_name, layers_of, snake_name
from hozon.errors import FormatError, UnsupportedError
from hozon.record import ModelRecord

__all__ = ["Change", "Compared", "compare_layers", "compare_training"]

#: What says how an object is written, not what it is.
SAID_ANYWAY = frozenset(
    {"module", "registered_name", "build_config", "shared_object_id", "layers", "name"}
)
ABSENT = "(absent)"
#: Names of losses and metrics that Keras takes for longer ones.
LONG_NAMES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
}


@dataclass(frozen=True, slots=True)
class Change:
    """An argument that differs: of which layer, which one, and its two values."""

    layer: str
    argument: str
    a: Any
    b: Any

    def __str__(self) -> str:
        place = f"{self.layer}: " if self.layer else ""
        return f"{place}{self.argument} {self.a!r:.80} is {self.b!r:.80}"


@dataclass(slots=True)
class Compared:
    """What differs, and what could not be compared.

    `renamed`: layers of the second whose names Keras made up, by what the first calls them.
    """

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def compare_layers(a: ModelRecord, b: ModelRecord) -> Compared:
    """Layers by name, those of nested models too."""
    made = Compared()
    if not _both(a.config, b.config, "architecture: only one of the two holds any", made):
        return made
    strict = _say_alike(a, b)
    alike = a.dialect == b.dialect
    one, two = (dict(_layers(_entry(record, alike), "")) for record in (a, b))
    made.renamed = _made_up(one, two)
    if made.renamed:
        renamed = _with_names(_entry(b, alike), made.renamed)
        two = dict(_layers(renamed, ""))
    made.added = [f"{name} ({_class(two[name])})" for name in two if name not in one]
    made.removed = [f"{name} ({_class(one[name])})" for name in one if name not in two]
    for name, entry in one.items():
        if name in two:
            made.changed += _changes(name, entry, two[name], strict)
    return made


def _both(a: object, b: object, only_one: str, made: Compared) -> bool:
    """Whether both have something to compare; that only one has is noted."""
    if (a is None) != (b is None):
        made.notes.append(only_one)
    return a is not None and b is not None


def _say_alike(a: ModelRecord, b: ModelRecord) -> bool:
    """Whether two forms say the same of the same model."""
    return a.dialect == b.dialect and a.naming == b.naming


def _entry(record: ModelRecord, alike: bool) -> Mapping[str, Any]:
    config = record.config or {}
    if alike or record.dialect == "keras3":
        return config
    try:
        return upgrade(config).config
    except (FormatError, UnsupportedError):
        return config


def _layers(entry: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield place or "(model)", entry
    for layer in layers_of(entry):
        name = entry_name(layer)
        yield from _layers(layer, f"{place}/{name}" if place else name)


def _made_up(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, str]:
    """Layers that are the same but for a name that Keras counted up: ``dense_3``, ``input_1``.

    They are, in their order, as many of each class on both sides.
    """
    made: dict[str, str] = {}
    left_a, left_b = _counted(a, b), _counted(b, a)
    for kind, ours in left_a.items():
        theirs = left_b.get(kind, [])
        if len(ours) == len(theirs):
            made |= dict(zip(theirs, ours, strict=True))
    return made


def _counted(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, list[str]]:
    """The made up names that only one side has, by class."""
    names = {entry_name(entry) for entry in other.values()}
    found: dict[str, list[str]] = {}
    for entry in own.values():
        name, kind = entry_name(entry), _class(entry)
        stem = "input(_layer)?" if kind == "InputLayer" else re.escape(snake_name(kind))
        if name not in names and re.fullmatch(rf"{stem}(_\d+)?", name):
            found.setdefault(kind, []).append(name)
    return found


def _with_names(value: Any, renamed: Mapping[str, str]) -> Any:
    """A config with other names of layers, wherever they stand."""
    if isinstance(value, Mapping):
        return {key: _with_names(item, renamed) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_names(item, renamed) for item in value]
    return renamed.get(value, value) if isinstance(value, str) else value


def _class(entry: Mapping[str, Any]) -> str:
    return short_name(str(entry.get("class_name", "")))


def _changes(
    name: str, a: Mapping[str, Any], b: Mapping[str, Any], strict: bool
) -> Iterator[Change]:
    kinds = [_class(entry) for entry in (a, b)]
    models = {"Functional", "Model"}
    if kinds[0] != kinds[1] and not set(kinds) <= models:
        yield Change(name, "class", *kinds)
    calls = [sorted(set(called_layers(entry.get("inbound_nodes")))) for entry in (a, b)]
    if calls[0] != calls[1]:
        yield Change(name, "called on", *calls)
    configs = [entry.get("config") for entry in (a, b)]
    one, two = map(_flat, configs)
    yield from _differing(name, one, two, strict)


def _differing(
    name: str, a: Mapping[str, Any], b: Mapping[str, Any], strict: bool
) -> Iterator[Change]:
    keys = dict.fromkeys((*a, *b)) if strict else [key for key in a if key in b]
    for key in keys:
        one, two = a.get(key, ABSENT), b.get(key, ABSENT)
        if not _same(one, two):
            yield Change(name, key, one, two)


def _same(a: Any, b: Any) -> bool:
    """Whether two values are one; numbers to what a float32 holds, functions by any name."""
    if isinstance(a, float) and isinstance(b, (int, float)):
        return bool(np.float32(a) == np.float32(b))
    if isinstance(a, str) and isinstance(b, str):
        return LONG_NAMES.get(a.lower(), a) == LONG_NAMES.get(b.lower(), b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b) or {repr(a), repr(b)} <= {repr(ABSENT), "None"}


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Arguments by dotted names; an object by its class and its own arguments."""
    if not isinstance(config, Mapping):
        return {}
    found: dict[str, Any] = {}
    for key, value in config.items():
        if key in SAID_ANYWAY or key in ("input_layers", "output_layers", "inbound_nodes"):
            continue
        plain = _value(value)
        if isinstance(plain, Mapping):
            found |= _flat(plain, f"{prefix}{key}.")
            if not plain:
                found[f"{prefix}{key}"] = {}
        else:
            found[f"{prefix}{key}"] = plain
    return found


def _value(value: Any) -> Any:
    """A value as both ages of Keras would say it."""
    if isinstance(value, (list, tuple)):
        return [_value(item) for item in value]
    if not isinstance(value, Mapping) or "class_name" not in value:
        return value
    kind, config = short_name(str(value["class_name"])), value.get("config")
    if kind.startswith("DTypePolicy") or kind == "Policy":
        return config.get("name") if isinstance(config, Mapping) else config
    if not isinstance(config, Mapping):  # a function by its name
        return config if isinstance(config, str) else {"class": kind, "config": _value(config)}
    return {"class": kind, **config}


# Training


def compare_training(a: ModelRecord, b: ModelRecord) -> Compared:
    """How both were compiled: optimizer, loss, metrics."""
    made = Compared()
    only_one = "training: only one of the two says how it was compiled"
    if not _both(a.training, b.training, only_one, made):
        return made
    strict = _say_alike(a, b)
    one, two = (_flat(_compiled(record.training or {})) for record in (a, b))
    if not strict:
        one, two = _names(one), _names(two)
    made.changed = list(_differing("", one, two, strict))
    return made


def _compiled(training: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same keys for Keras 2 and 3."""
    made = dict(training)
    if "optimizer_config" in made:
        made["optimizer"] = made.pop("optimizer_config")
    return made


def _names(flat: Mapping[str, Any]) -> dict[str, Any]:
    """What both ages say alike: the optimizer's class and numbers, and a loss by its name."""
    found: dict[str, Any] = {}
    for key, value in flat.items():
        if key.startswith("optimizer.") and isinstance(value, (int, float)) and value is not None:
            found[key] = round(float(value), 7)
        if key in ("optimizer", "optimizer.class"):
            found["optimizer"] = str(value).lower()
    return found
