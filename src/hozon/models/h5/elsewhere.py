"""What Keras 3's own reader of H5 files cannot make of a config in Keras 2's dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from hozon.config.nodes import keys_in
from hozon.config.registry import builtin
from hozon.config.tagged import is_serialized
from hozon.keras_private.aside import made_aside

#: Layers that take states beside their input, which Keras 2 writes as one list of inputs.
STATES = (keras.layers.RNN, keras.layers.Bidirectional)
Entry = Mapping[str, Any]


def unread_by_keras3(config: Entry) -> list[str]:
    """A line for each class and each layer that keeps Keras 3's reader from opening the model."""
    classes: dict[str, None] = {}
    called: list[str] = []
    known: dict[tuple[str, frozenset[str]], bool] = {}
    for entry in _layers(config):
        name, given = str(entry["class_name"]), entry["config"]
        kind = (name, frozenset(given))
        if kind not in known:
            known[kind] = _is_made(name, given) if builtin("layer", name) else _is_users(name)
        if not known[kind]:
            classes[name] = None
        elif _takes_other_calls(entry):
            called.append(str(given.get("name")))
    reader = "Keras 3's own reader of H5 files cannot"
    rest = "; with dialect='keras3' it can, and TensorFlow's cannot"
    return [
        *(f"{reader} make {name} of a file for TensorFlow's Keras{rest}" for name in classes),
        *(
            f"{reader} call {', '.join(called)} on several tensors by name{rest}"
            for _ in called[:1]
        ),
    ]


def _layers(entry: Entry) -> Iterator[Entry]:
    """The layers of Keras' models in an entry."""
    layers = entry["config"].get("layers")
    for item in layers if isinstance(layers, list) else ():
        if is_serialized(item) and isinstance(item.get("config"), Mapping):
            if isinstance(item["config"].get("layers"), list):
                yield from _layers(item)
            elif item["class_name"] != "InputLayer":
                yield item


def _is_users(name: str) -> bool:
    """Whether a class that is none of Keras 3's is the user's, not Keras 2's for operations."""
    return not name.endswith("OpLambda")


def _is_made(name: str, config: Entry) -> bool:
    """Whether Keras 3's class takes a config; one with users' objects in it cannot be asked."""
    kind = getattr(keras.layers, name, None)
    if kind is None:
        return False
    if any(is_serialized(value) and "name" in value["config"] for value in config.values()):
        return True
    try:
        with made_aside():
            kind.from_config(dict(config))
    except ImportError:  # layers of strings and tables, which need TensorFlow in Keras 3
        return True
    except (TypeError, ValueError) as error:
        return "Unrecognized keyword arguments" not in str(error)
    return True


def _takes_other_calls(entry: Entry) -> bool:
    """Whether a layer is called on tensors by keyword, or with states beside its input."""
    kind = getattr(keras.layers, str(entry["class_name"]), None)
    stateful = isinstance(kind, type) and issubclass(kind, STATES)
    return any(
        any(keys_in(_keywords(call))) or (stateful and len(list(keys_in(call))) > 1)
        for call in entry.get("inbound_nodes") or ()
    )


def _keywords(call: Any) -> list[Any]:
    """The keyword arguments of a call: what stands behind each tensor."""
    tensors = call if isinstance(call, (list, tuple)) else ()
    return [t[3] for t in tensors if isinstance(t, (list, tuple)) and len(t) > 3]
