"""Layers: what they hold, those inside of them, and what serializing asks for."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras


def initialized(obj: Any) -> None:
    """Give a layer whose class never called ``super().__init__()`` what serializing asks for."""
    if isinstance(obj, keras.Layer) and "_build_shapes_dict" not in vars(obj):
        object.__setattr__(obj, "_build_shapes_dict", None)


def states_of(layer: keras.Layer) -> list[keras.Variable]:
    """What a stateful RNN layer keeps between calls; Keras lists it with no variables."""
    if not isinstance(layer, keras.layers.RNN) or not layer.stateful:
        return []
    return [state for state in keras.tree.flatten(layer.states) if state is not None]


class _Kept:
    """A variable in the place of a seed generator: compiled steps carry its value on."""

    def __init__(self, state: Any) -> None:
        self.state = state


def keep_states(layer: keras.Layer) -> None:
    """Make compiled steps keep the state of a stateful RNN, as they do in Keras 2.

    It is no weight of the layer all the same.
    """
    known = {id(kept.state) for kept in layer._seed_generators}
    layer._seed_generators.extend(
        _Kept(state) for state in states_of(layer) if id(state) not in known
    )


def layers_of(layer: keras.Layer) -> list[keras.Layer]:
    """A layer or model and all layers inside of it."""
    found: list[keras.Layer] = layer._flatten_layers()
    return found


def layers_inside(layer: keras.Layer) -> list[keras.Layer]:
    """All layers inside of a layer or model."""
    found: list[keras.Layer] = layer._flatten_layers(include_self=False)
    return found


def direct_layers(layer: keras.Layer) -> list[keras.Layer]:
    """The layers that a layer itself holds; none for what is no layer."""
    return list(getattr(layer, "_layers", ()))


def layers_in_keras2(layer: keras.Layer) -> list[keras.Layer]:
    """The layers that a layer of the user's class holds, in the order in which tf_keras has them.

    Keras 3 lists layers as it meets them. tf_keras lists what an attribute holds as a whole,
    however late a list was filled, and a dictionary by its keys; a layer that takes the place of
    another value comes last.
    """
    held = direct_layers(layer)
    places = {id(sublayer): i for i, sublayer in enumerate(held)}
    early: list[list[Any]] = []
    late: list[list[Any]] = []
    first = len(held)
    for value, inside in reversed(_by_attribute(layer, places)):
        (late if places.get(id(value), 0) > first else early).insert(0, inside)
        first = min(first, *(places[id(sublayer)] for sublayer in inside))
    late.sort(key=lambda inside: places[id(inside[0])])
    found = {id(sublayer): sublayer for inside in (*early, *late, held) for sublayer in inside}
    return list(found.values())


def _by_attribute(layer: Any, places: Mapping[int, int]) -> list[tuple[Any, list[Any]]]:
    """The values of a layer's attributes, each with the layers in it that none before it has."""
    found: list[tuple[Any, list[Any]]] = []
    seen: set[int] = set()
    for name, value in vars(layer).items():
        inside = [] if name == "_layers" else list(_kept_in(value, places, seen))
        if inside:
            found.append((value, inside))
    return found


def _kept_in(value: Any, places: Mapping[int, int], seen: set[int]) -> Iterator[Any]:
    """The layers of `places` that a value is or holds, as tf_keras goes through containers."""
    if not isinstance(value, (keras.Layer, list, tuple, dict)) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        by_key = all(isinstance(key, str) for key in value)
        value = [value[key] for key in (sorted(value) if by_key else value)]
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _kept_in(item, places, seen)
    elif id(value) in places:
        yield value


def trainable_of(owner: Any) -> list[keras.Variable]:
    """The variables that a layer made itself as trainable ones, frozen now or not."""
    return list(owner._trainable_variables)


def variables_of(owner: Any) -> list[keras.Variable]:
    """The variables that a layer or metric made itself, without those of others inside of it."""
    if isinstance(owner, keras.Metric):
        return list(owner._variables)
    return [*owner._trainable_variables, *owner._non_trainable_variables]


def seed_generators_of(layer: keras.Layer) -> list[keras.random.SeedGenerator]:
    """The seed generators that a layer itself holds."""
    return list(layer._seed_generators)


def metrics_of(layer: keras.Layer) -> list[keras.metrics.Metric]:
    """The metrics that a layer itself holds."""
    return list(getattr(layer, "_metrics", ()))


def hold_metric(layer: keras.Layer, metric: keras.Metric) -> None:
    """Make a layer hold a metric, although it is built."""
    layer._tracker.unlock()
    layer._metrics.append(metric)
    layer._tracker.lock()


def losses_of(layer: keras.Layer) -> list[Any]:
    """The losses that were added to a layer with ``add_loss``."""
    return list(getattr(layer, "_losses", ()))


@contextmanager
def losses_kept(layers: Iterable[keras.Layer]) -> Iterator[None]:
    """Afterwards layers have the losses that they have now; calls inside add and clear some."""
    before = [(layer, list(layer._losses), set(layer._loss_ids)) for layer in layers]
    try:
        yield
    finally:
        for layer, losses, ids in before:
            layer._losses[:] = losses
            layer._loss_ids.clear()
            layer._loss_ids.update(ids)


def build_by_run(model: keras.Model, shapes: Mapping[str, Any]) -> None:
    """Call a model on symbols of recorded shapes, which builds the layers that it calls."""
    if "input_shape" in shapes:
        model._build_by_run_for_single_pos_arg(shapes["input_shape"])
    elif "shapes_dict" in shapes:
        model._build_by_run_for_kwargs(shapes["shapes_dict"])


def has_default_build(layer: keras.Layer) -> bool:
    """Whether the class of a layer has no ``build`` of its own."""
    return bool(getattr(type(layer).build, "_is_default", False))


def leaves_building_to_a_call(layer: keras.Layer) -> bool:
    """Whether a layer of no ``build`` holds others that are not built: its first call does it."""
    told = type(layer).build_from_config is not keras.Layer.build_from_config
    return (
        has_default_build(layer)
        and not told
        and not all(inner.built for inner in layers_inside(layer))
    )


def build_as_told(layer: keras.Layer, shapes: Mapping[str, Any]) -> None:
    """Build a layer for recorded shapes.

    A model whose class has no ``build`` is called on symbols of them, as Keras does; but Keras
    warns where that fails, as for a call that takes more than what is recorded.
    """
    by_call = isinstance(layer, keras.Model) and has_default_build(layer)
    if not by_call or type(layer).build_from_config is not keras.Model.build_from_config:
        layer.build_from_config(shapes)
        return
    build_by_run(layer, shapes)
    layer._build_shapes_dict = shapes.get("shapes_dict", shapes)


def build_shapes(layer: keras.Layer) -> dict[str, Any] | None:
    """The shapes that a layer's ``build`` was given, by argument."""
    shapes: dict[str, Any] | None = getattr(layer, "_build_shapes_dict", None)
    return shapes


def call_signature(layer: keras.Layer) -> inspect.Signature:
    """The signature of a layer's ``call`` as its class has it: one that is extended takes all."""
    found: inspect.Signature = layer._call_signature
    return found


def takes_training(layer: keras.Layer) -> bool:
    """Whether a layer's ``call`` has the argument ``training``."""
    return bool(layer._call_has_training_arg)


def take_anything(layer: keras.Layer) -> None:
    """Let a layer get its arguments as they were given: not cast to floats of one size, and
    arguments that are no tensors too."""
    layer._convert_input_args = False
    layer._allow_non_tensor_positional_args = True
