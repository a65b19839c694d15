"""Layer entries of Keras 3 configs: what they are, and where their models end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hozon.config.dialects.operations import OPERATIONS
from hozon.config.nodes import key_of
from hozon.config.tagged import is_serialized
from hozon.errors import FormatError
from hozon.typing import ConfigEntry

Entry = dict[str, Any]
#: Modules of the operations that Keras 3 has as nodes beside layers.
MODULE = "keras.src.ops"
KNOWN = frozenset({*OPERATIONS, "GetItem"})


def name_of(entry: ConfigEntry) -> str:
    """The name of a layer entry."""
    config = entry.get("config")
    inner = config.get("name") if isinstance(config, Mapping) else None
    return str(entry.get("name") or inner or "")


def layers_of(config: ConfigEntry) -> list[Entry]:
    """The layer entries of a model's config."""
    entries = config["layers"]
    if not all(is_serialized(entry) for entry in entries):
        raise FormatError(f"model {config.get('name')!r} holds what is no layer entry")
    return [dict(entry) for entry in entries]


def is_keras_module(module: str) -> bool:
    """Whether a module is Keras'."""
    return module == "keras" or module.startswith("keras.")


def is_of_keras(entry: ConfigEntry) -> bool:
    """Whether an entry says that its class is Keras' own, whatever the caller's are called."""
    module = entry.get("module")
    if entry.get("registered_name") is not None or not isinstance(module, str):
        return False
    return is_keras_module(module)


def is_of_user(entry: ConfigEntry) -> bool:
    """Whether an entry says that its class is a user's, whatever Keras' own are called."""
    if entry.get("module") is not None:
        return False
    return bool(entry.get("registered_name") == entry["class_name"])


def is_operation(entry: ConfigEntry) -> bool:
    """Whether a node is one of Keras 3's operations, not a layer.

    Keras 3 wrote the module beside the name, except into H5 files; there only layers say whether
    they are trained.
    """
    if entry.get("module") is not None:
        return str(entry["module"]).startswith(MODULE)
    config = entry.get("config")
    trained = isinstance(config, Mapping) and "trainable" in config
    return not trained and str(entry["class_name"]) in KNOWN


def is_model(entry: ConfigEntry) -> bool:
    """Whether an entry is a model with layers in its config."""
    config = entry.get("config")
    return isinstance(config, Mapping) and isinstance(config.get("layers"), list)


def is_functional(entry: ConfigEntry) -> bool:
    """Whether an entry is a model with inputs of its own."""
    return is_model(entry) and entry["config"].get("input_layers") is not None


def starts_with_input(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a model's first layer is an input."""
    return bool(entries) and entries[0]["class_name"] == "InputLayer"


def counts_from_one(entry: ConfigEntry) -> int:
    """1 for a model that was called when it was made, which Keras 2 takes for its node 0."""
    return int(is_functional(entry) or starts_with_input(entry["config"]["layers"]))


def ends_from_zero(entry: ConfigEntry) -> Entry:
    """A Keras 3 entry with the calls of models inside it counted from 0 everywhere.

    Keras 3 counts the calls of a Functional model inside another from 0 where layers read them,
    and from 1 in ``input_layers`` and ``output_layers`` (keras/src/models/functional.py).
    """
    if not is_model(entry):
        return dict(entry)
    config = dict(entry["config"])
    config["layers"] = [
        ends_from_zero(item) if is_serialized(item) else item for item in config["layers"]
    ]
    nested = {
        name_of(item) for item in config["layers"] if is_serialized(item) and is_functional(item)
    }
    for key in ("input_layers", "output_layers"):
        if nested and config.get(key) is not None:
            config[key] = _from_zero(config[key], nested)
    return {**entry, "config": config}


def _from_zero(ends: Any, nested: set[str]) -> Any:
    key = key_of(ends)
    if key is not None:
        return [key[0], key[1] - (key[0] in nested), key[2]]
    if isinstance(ends, Mapping):
        return {name: _from_zero(end, nested) for name, end in ends.items()}
    if isinstance(ends, (list, tuple)):
        return [_from_zero(end, nested) for end in ends]
    return ends
