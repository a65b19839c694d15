"""Text layers in Keras 3's own words: its public classes, so that Keras and others open the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Arguments that Keras' classes do not take; a vocabulary in the config says as much.
OWN = frozenset({"has_input_vocabulary"})
PREFIX = "hozon>"


def in_keras_words(made: Any, names: Mapping[str, type]) -> Any:
    """A serialized object with each text layer inside it, `names` by class, as Keras' own."""
    if isinstance(made, list):
        return [in_keras_words(item, names) for item in made]
    if not isinstance(made, dict):
        return made
    inner = {key: in_keras_words(value, names) for key, value in made.items()}
    registered = str(inner.get("registered_name"))
    if registered.removeprefix(PREFIX) not in names or not registered.startswith(PREFIX):
        return inner
    config = {key: value for key, value in inner["config"].items() if key not in OWN}
    return {**inner, "module": "keras.layers", "registered_name": None, "config": config}
