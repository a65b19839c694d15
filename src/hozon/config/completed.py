"""Configs of live models with what Keras' own serialization leaves out of them.

A layer that stands in several places of a model, in a nested model and beside it, has the same
``shared_object_id`` in each. Calls that keep an argument, whatever their model is called with, name
it under ``fixed``. A layer that trains as in Keras 2 says so under ``trains_as``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras

from hozon.config.called import CALLED_ON, text_arguments
from hozon.config.entries import name_of
from hozon.config.frozen import frozen_inside, frozen_layers
from hozon.config.nodes import FIXED, SHARED
from hozon.config.own_graphs import complete_graph
from hozon.config.quantized import quantized_inside
from hozon.config.shared import held_layers
from hozon.config.tagged import is_serialized
from hozon.config.upgrade import FROZEN, OUTPUT_NAMES, QUANTIZED, TRAINS_AS
from hozon.keras_private.compiled import are_outputs_named, names_outputs_once_called
from hozon.keras_private.fixed import calls_in, fixed_in
from hozon.keras_private.graph import Functional, functional_of
from hozon.keras_private.keras2_training import compares_otherwise, trains_as_keras2
from hozon.keras_private.layers import layers_of
from hozon.keras_private.resizing import resizes_floats
from hozon.keras_private.rows import tells_rows_apart
from hozon.keras_private.training import enters_model

Entry = dict[str, Any]
#: Ends of the names of layers' arguments that act on weights or outputs while a model trains.
PENALTIES = ("_regularizer", "_constraint")


def complete(layer: keras.Layer, entry: Entry) -> None:
    """Put into a layer's or model's fresh Keras 3 entry what Keras leaves out."""
    places = [
        (inner, found)
        for inner, found in _places(layer, entry)
        if not isinstance(inner, keras.layers.InputLayer)
    ]
    counts = Counter(id(inner) for inner, _ in places)
    numbers: dict[int, int] = {}
    for inner, found in places:
        found.pop(SHARED, None)  # Keras counts by addresses, and forgets the first place
        if counts[id(inner)] > 1:
            found[SHARED] = numbers.setdefault(id(inner), len(numbers) + 1)
        if _has_keras2(inner) and _trains_otherwise(inner):
            found[TRAINS_AS] = "keras2"
        called = text_arguments(inner)
        if called:
            found["build_config"] = {CALLED_ON: called}
        frozen = frozen_inside(inner)
        if frozen:
            found[FROZEN] = list(frozen)
        quantized = quantized_inside(inner)
        if quantized:
            found[QUANTIZED] = quantized


def with_generation(written: Entry, entry: Entry) -> Entry:
    """A model's config in Keras 2's dialect, which says so where it trains as in Keras 3.

    `entry` is what it was made of; TensorFlow's Keras passes over the key.
    """
    return written if _is_marked(entry) else {**written, TRAINS_AS: "keras3"}


def _has_keras2(layer: Any) -> bool:
    """Whether a layer trains as in Keras 2, or what it holds; a graph's layers say so themselves.

    What a graph holds may be an operation that is no layer, as ``x + y`` makes one.
    """
    alone = isinstance(layer, Functional | keras.Sequential) or not isinstance(layer, keras.Layer)
    return any(map(trains_as_keras2, [layer] if alone else layers_of(layer)))


def _is_marked(entry: Any) -> bool:
    if isinstance(entry, list):
        return any(map(_is_marked, entry))
    if not isinstance(entry, dict):
        return False
    return entry.get(TRAINS_AS) == "keras2" or any(map(_is_marked, entry.values()))


def _trains_otherwise(layer: keras.Layer) -> bool:
    """Whether the mark says anything.

    It does of penalties and constraints, masks, outputs whose steps samples' weights are for,
    optimizers that tell apart the lookups of a table, crossentropies and angles, and layers that are
    not Keras'. Other models train alike.
    """
    if not isinstance(layer, Functional | keras.Sequential):
        return True
    functional = functional_of(layer)
    if functional is None or any(len(output.shape) > 2 for output in functional.outputs):
        return True
    if compares_otherwise(layer):
        return True
    rows = tells_rows_apart(getattr(layer, "optimizer", None))
    return any(
        (rows and isinstance(inside, keras.layers.Embedding))
        or not type(inside).__module__.startswith("keras.")
        or _makes_masks(inside)
        or any(v is not None for k, v in vars(inside).items() if k.endswith(PENALTIES))
        for inside in layers_of(layer)
        if inside is not layer
    )


def fixed_calls(model: keras.Layer, name: str) -> list[str]:
    """Layers, of a model and those inside it, with calls that keep the argument of a name."""
    found = [
        operation.name
        for graph in layers_of(model)
        if isinstance(graph, Functional)
        for operation in graph.operations
        if any(name in fixed_in(node) for node in calls_in(graph, operation))
    ]
    return list(dict.fromkeys(found))


def shared_layers(model: keras.Layer, entry: Entry) -> list[str]:
    """Layers that stand in several places of a model with this entry, by name."""
    found = [inner.name for inner, place in _places(model, entry) if SHARED in place]
    return list(dict.fromkeys(found))


def beyond_keras3(model: keras.Layer, entry: Entry) -> list[str]:
    """A line for each thing that Keras 3's own reader makes of a model otherwise than Hozon.

    Layers of Hozon's that Keras has by another name are put into its words, in the entry.
    """
    lines = []
    own = sorted(set(_own_classes(entry)))
    if own:
        lines.append(
            f"Keras 3 has no {', '.join(own)}: it opens the file where hozon was imported before"
        )
    training, masks = fixed_calls(model, "training"), fixed_calls(model, "mask")
    if training:
        lines.append(
            f"Keras 3's own reader calls {', '.join(training)} with the training argument of the "
            "model, where the graph has one of its own; Hozon and TensorFlow's Keras keep that"
        )
    if masks and any(_makes_masks(layer) for layer in layers_of(model)):
        lines.append(
            f"Keras 3's own reader gives {', '.join(masks)} no mask, or another one; Hozon and "
            "TensorFlow's Keras keep that of Keras 2"
        )
    resized = [layer.name for layer in layers_of(model) if resizes_floats(layer)]
    if resized and any(tensor.dtype != "float32" for tensor in _inputs(model)):
        lines.append(
            f"Keras 3's own {', '.join(resized)} resizes pictures in their own type, and rounds "
            "integers; Hozon and TensorFlow's Keras resize in float32"
        )
    again = _regularized_again(model) if enters_model(model) else []
    if again:
        lines.append(
            f"Keras 3's own trainer on JAX counts the activity loss of one call of "
            f"{', '.join(again)}, which the model calls several times; Hozon's and TensorFlow's "
            "Keras count every one"
        )
    lines.extend(thawed(entry, "Keras 3's own reader"))
    quantized = [layer.name for layer in layers_of(model) if quantized_inside(layer)]
    if quantized:
        lines.append(
            f"Keras 3's own reader cannot open it: the configs of {', '.join(quantized)} do not "
            "tell that what they hold is quantized"
        )
    shared = shared_layers(model, entry)
    if shared:
        lines.append(
            f"Keras 3's own reader cannot share {', '.join(shared)} between nested models; Hozon does"
        )
    return lines


def thawed(entry: Entry, reader: str) -> list[str]:
    """A line for each layer in which a reader trains what is frozen."""
    return [
        f"{reader} trains all of {layer.name}, in which {', '.join(layer.frozen)} is frozen: its "
        "config does not tell"
        if layer.trains
        else f"{reader} freezes {layer.name} and not {', '.join(layer.frozen)} in it, which may "
        "learn what they are called on: its config does not tell"
        for layer in frozen_layers(entry)
    ]


def _own_classes(entry: Any) -> Iterator[str]:
    """The classes of Hozon's in an entry; one that Keras has by another name becomes that one."""
    if isinstance(entry, list):
        for item in entry:
            yield from _own_classes(item)
    if not isinstance(entry, dict):
        return
    named = str(entry.get("registered_name"))
    config = entry.get("config")
    if named == "hozon>ThresholdedReLU" and isinstance(config, dict) and config["theta"] >= 0:
        kept = {key: value for key, value in config.items() if key != "theta"}
        entry.update(module="keras.layers", class_name="ReLU", registered_name=None)
        entry["config"] = {**kept, "threshold": config["theta"]}
    elif named.startswith("hozon>"):
        yield named.removeprefix("hozon>")
    for value in entry.values():
        yield from _own_classes(value)


def _inputs(model: keras.Layer) -> list[keras.KerasTensor]:
    """The inputs of a functional or Sequential model; none of others."""
    functional = functional_of(model)
    return [] if functional is None else list(functional.inputs)


def _regularized_again(model: keras.Layer) -> list[str]:
    """Layers with a loss of what they give that a functional model, or one in it, calls again."""
    found = [
        operation.name
        for graph in layers_of(model)
        if isinstance(graph, Functional)
        for operation in graph.operations
        if isinstance(operation, keras.Layer) and len(calls_in(graph, operation)) > 1
        if any(getattr(inside, "activity_regularizer", None) for inside in layers_of(operation))
    ]
    return list(dict.fromkeys(found))


def _makes_masks(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.Masking) or bool(getattr(layer, "mask_zero", False))


def _places(layer: keras.Layer, entry: Entry) -> Iterator[tuple[Any, Entry]]:
    """A layer and all that its entry holds, with their entries."""
    yield layer, entry
    config = entry.get("config")
    if not isinstance(config, dict):
        return
    complete_graph(layer, config)
    entry.update(output_names(layer))
    if isinstance(layer, keras.Model) and isinstance(config.get("layers"), list):
        entries = {name_of(item): item for item in config["layers"] if is_serialized(item)}
        inside = layer.operations if isinstance(layer, Functional) else layer.layers
        for inner in inside:
            found = entries.get(inner.name)
            if found is not None:
                _mark_calls(layer, inner, found)
                yield from _places(inner, found)
        return
    for key, value in config.items():
        for held, said in held_layers(getattr(layer, key, None), value):
            yield from _places(held, said)


def output_names(layer: keras.Layer) -> Entry:
    """What an entry of a model says of the names that Keras 2 gave its outputs."""
    if are_outputs_named(layer):
        return {OUTPUT_NAMES: list(layer.output_names)}
    return {OUTPUT_NAMES: []} if names_outputs_once_called(layer) else {}


def _mark_calls(model: keras.Model, operation: keras.Operation, entry: Entry) -> None:
    calls = entry.get("inbound_nodes")
    if not isinstance(model, Functional) or not isinstance(calls, list):
        return
    for node, call in zip(calls_in(model, operation), calls, strict=True):
        if fixed_in(node):
            call[FIXED] = sorted(fixed_in(node))
