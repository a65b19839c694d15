"""Models of architectures alone, with fresh weights."""

from __future__ import annotations

import json

import keras

from hozon.arguments import wrong
from hozon.config.added import added_to
from hozon.config.build import build_model
from hozon.config.completed import fixed_calls, shared_layers
from hozon.config.own_objects import own_objects
from hozon.config.serialization import custom_object_scope, serialize
from hozon.config.tagged import is_serialized
from hozon.config.text_layers.handed import text_layers_handed
from hozon.errors import FormatError, UnsupportedError
from hozon.keras_private.fast import is_fast, mark_fast, mark_if_faster
from hozon.keras_private.graph import functional_of
from hozon.keras_private.values import drawing_for_file
from hozon.models.text import made as made  # lets models that are yet to be built take strings
from hozon.models.text.strings import ready_for_text
from hozon.raw.own_checksum import check_own, without_own
from hozon.raw.sources import MemorySource
from hozon.typing import CustomObjects


def model_from_json(text: str | bytes, custom_objects: CustomObjects | None = None) -> keras.Model:
    """The model of an architecture in JSON, of any Keras, with fresh weights.

    Raises:
        FormatError: the text is no JSON, or no model, or not what Hozon wrote to a file.
        MissingObjectError: names every class and function that must be supplied.
        UnsafeError: the config asks for code to be run, files to be opened, or more weights than
            `hozon.limits` allows.
        UnsupportedError: it holds what neither Keras 3 nor Hozon has.
    """
    if not isinstance(text, (str, bytes)):
        raise wrong("text", text, "JSON, as str or bytes")
    check_own(MemorySource("the architecture", text.encode() if isinstance(text, str) else text))
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the architecture is no JSON: {error}") from error
    if isinstance(config, dict):
        config = without_own(config)
    if not is_serialized(config):
        raise FormatError("the JSON describes no model: it has no class name")
    with drawing_for_file(), text_layers_handed():
        model = ready_for_text(build_model(config, custom_objects=custom_objects))
    mark_if_faster(model)
    return model


def clone_model(model: keras.Model) -> keras.Model:
    """A model of the same architecture with fresh weights, not compiled.

    Args:
        model: Sequential, Functional, or of a class that has a config. Layers that stand in it
            twice do so in the copy; custom classes and functions need not be registered.

    Raises:
        UnsupportedError: the model has no config.

    Example:
        >>> copy = hozon.clone_model(model)
    """
    if not isinstance(model, keras.Model):
        raise wrong("model", model, "a keras.Model")
    compiled, model.compiled = model.compiled, False  # Keras would compile the copy
    try:
        with custom_object_scope(own_objects(model)):
            made: keras.Model = (
                build_model(serialize(model))
                if _is_more_than_keras_clones(model)
                else keras.models.clone_model(model)
            )
    except NotImplementedError as error:
        raise UnsupportedError(
            f"{type(model).__name__} has no config: {error}", feature=type(model).__name__
        ) from error
    finally:
        model.compiled = compiled
    mark_fast(made, is_fast(model))
    return ready_for_text(made)


def _is_more_than_keras_clones(model: keras.Model) -> bool:
    """Whether a model has what Keras' own clone of it has not."""
    if added_to(model) or fixed_calls(model, "training") or fixed_calls(model, "mask"):
        return True
    return functional_of(model) is not None and bool(shared_layers(model, serialize(model)))
