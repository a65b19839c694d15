"""Functions that a configuration cannot tell apart, as it keeps them by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras.saving import get_registered_name

from hozon.config.own_objects import held_by, is_own
from hozon.keras_private.layers import layers_of

#: What `compile` takes that files keep by name.
KEYS = ("loss", "metrics", "weighted_metrics")


def namesakes(compiled: Mapping[str, Any] | None) -> list[str]:
    """A line for each name that several functions or callables of the user share.

    `compiled`: live objects, as `compile` was given them.
    """
    found: dict[str, dict[int, Any]] = {}
    for key in KEYS:
        for value in keras.tree.flatten((compiled or {}).get(key)):
            if callable(value) and not isinstance(value, (keras.losses.Loss, keras.metrics.Metric)):
                name = getattr(value, "__name__", type(value).__name__)
                found.setdefault(str(name), {})[id(value)] = value
    return [
        f"{name}: {len(values)} different losses or metrics have this name, by which files keep "
        "them, so one takes the place of all after loading"
        for name, values in found.items()
        if len(values) > 1
    ]


def namesakes_in(model: keras.Layer) -> list[str]:
    """A line for each name that several functions or classes of the user's have in a model.

    Of functions those are looked at that Keras' own layers hold; Lambda layers go by their names.
    """
    found: dict[str, set[int]] = {}
    for layer in layers_of(model):
        held = [type(layer)]
        if not is_own(type(layer)) and not isinstance(layer, keras.layers.Lambda):
            held += held_by(layer)
        for value in filter(is_own, held):
            found.setdefault(get_registered_name(value), set()).add(id(value))
    return [
        f"{name}: {len(values)} different functions or classes have this name, by which configs "
        "keep them: one that is given for it when loading takes the place of all"
        for name, values in found.items()
        if len(values) > 1
    ]


def taken_twice(
    arguments: Mapping[str, Any], custom_objects: Mapping[str, Any] | None
) -> list[str]:
    """A line for each function of the user that `compile` gets several times.

    Files say no more of it than its name, under which there may have been others.
    """
    used = [value for key in KEYS for value in keras.tree.flatten(arguments.get(key))]
    counts = {
        name: sum(value is given for value in used)
        for name, given in (custom_objects or {}).items()
        if callable(given) and not isinstance(given, type)
    }
    return [
        f"{name} stands {count} times in the training configuration, which tells it by its name "
        "alone: each is the one that was given; if they were different, compile the model again"
        for name, count in counts.items()
        if count > 1
    ]
