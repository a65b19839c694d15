"""Losses and metrics of models with several outputs, in the forms that each Keras takes.

Keras 2 gave a flat list of metrics to every output, Keras 3 gives each output one of the list.
Keras 2 took dictionaries that leave outputs out, and dictionaries for a single output. Here all are
told by output: a list in the order of the outputs, or a dictionary where the outputs are one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from hozon.config.tagged import is_serialized, plain
from hozon.keras_private.graph import functional_of
from hozon.typing import ConfigEntry

#: Keys of a training configuration by what they hold.
METRICS = ("metrics", "weighted_metrics")
#: Metrics called "crossentropy" by the loss.
CROSSENTROPIES: Mapping[str, str] = {
    "binarycrossentropy": "BinaryCrossentropy",
    "categoricalcrossentropy": "CategoricalCrossentropy",
    "sparsecategoricalcrossentropy": "SparseCategoricalCrossentropy",
}

#: The metrics that short names stand for where labels are numbers of classes.
SPARSE: Mapping[str, str] = {
    "accuracy": "SparseCategoricalAccuracy",
    "acc": "SparseCategoricalAccuracy",
    "crossentropy": "SparseCategoricalCrossentropy",
    "ce": "SparseCategoricalCrossentropy",
}


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model gives: the names of its outputs, and their keys where they are a dictionary."""

    names: tuple[str, ...] = ()
    keys: tuple[str, ...] | None = None


#: Outputs that nothing is known of.
NONE = Outputs()


def outputs_of(model: Any) -> Outputs:
    """The outputs of a model; no names where its class does not say."""
    functional = functional_of(model)
    names = tuple(getattr(functional or model, "output_names", None) or ())
    structure = None if functional is None else functional.output
    if not isinstance(structure, Mapping):
        return Outputs(names)
    flat = all(isinstance(value, keras.KerasTensor) for value in structure.values())
    return Outputs(names, tuple(structure) if flat else None)


def by_output(config: ConfigEntry, outputs: Outputs) -> dict[str, Any]:
    """A training configuration of Keras 2 with what it says told by output."""
    made = {key: plain(value) for key, value in config.items()}
    weights = _told(made.get("loss_weights"), outputs)
    made["loss"] = _told(made.get("loss"), outputs)
    if isinstance(weights, (list, Mapping)) and not _is_nested(made["loss"]):
        made["loss"] = _every(made["loss"], outputs)
    made["loss_weights"] = weights
    for key in METRICS:
        told = _metrics(made.get(key), outputs)
        made[key] = _resolved(told, made["loss"])
    return made


def _resolved(metrics: Any, loss: Any) -> Any:
    """Metrics with the cross entropy that Keras 2 chose by the loss, each output's by its own."""

    def chosen(metric: str, loss: str) -> Any:
        found = CROSSENTROPIES.get(loss)
        if metric not in ("crossentropy", "ce") or found is None:
            return metric
        return {"class_name": found, "config": {"name": metric}}

    return _by_loss(metrics, loss, chosen)


def chosen_by_loss(metrics: Any, loss: Any) -> Any:
    """Metrics for Keras 2 with those that short names stand for where labels are numbers.

    Keras 2 chooses by shapes, and while it reads a file it takes the outputs' for the labels'.
    """

    def chosen(metric: str, loss: str) -> Any:
        found = SPARSE.get(metric) if loss == "sparsecategoricalcrossentropy" else None
        if found is None:
            return metric
        return {"class_name": found, "config": {"name": metric, "dtype": "float32"}}

    return _by_loss(metrics, loss, chosen)


def _by_loss(metrics: Any, loss: Any, chosen: Callable[[str, str], Any]) -> Any:
    """Metrics in their structure; what is a name is `chosen` by the name of its output's loss."""
    if isinstance(metrics, str):
        name = loss if isinstance(loss, str) else _class_of(loss)
        return chosen(metrics, name.lower().replace("_", ""))
    if isinstance(metrics, list):
        each = isinstance(loss, list) and len(loss) == len(metrics)
        return [_by_loss(m, loss[i] if each else loss, chosen) for i, m in enumerate(metrics)]
    if isinstance(metrics, Mapping) and not is_serialized(metrics):
        given = loss if _is_nested(loss) else dict.fromkeys(metrics, loss)
        return {key: _by_loss(m, given.get(key), chosen) for key, m in metrics.items()}
    return metrics


def _class_of(value: Any) -> str:
    return str(value["class_name"]) if is_serialized(value) else ""


def nested_metrics(value: Any, outputs: Outputs) -> Any:
    """Keras 3's metrics so that Keras 2 does not give all of a flat list to every output."""
    listed = isinstance(value, (list, tuple))
    if not listed or len(outputs.names) < 2 or len(value) != len(outputs.names):
        return value
    flat = not any(_is_nested(item) for item in value)
    each = [None if item is None else [item] for item in value] if flat else value
    return by_key(each, outputs)


def by_key(value: Any, outputs: Outputs) -> Any:
    """A list of what is told of each output by the keys of outputs that are a dictionary.

    Both Keras list them by sorted keys; Keras 2 takes no list for a dictionary.
    """
    listed = isinstance(value, (list, tuple)) and len(value) == len(outputs.keys or ())
    if not listed or not outputs.keys:
        return value
    return dict(zip(sorted(outputs.keys), value, strict=True))


def named_for_outputs(config: ConfigEntry, outputs: Outputs) -> dict[str, Any]:
    """Metrics of several outputs under names that begin with the outputs'.

    tf_keras' H5 files and SavedModels have them so, and take those that they hold as they are.
    """
    if len(outputs.names) < 2:
        return {}
    places = dict(zip(outputs.keys or range(len(outputs.names)), outputs.names, strict=True))
    used: set[str] = set()
    return {key: _begin(config.get(key), places, used) for key in METRICS}


def _begin(metrics: Any, places: Mapping[Any, str], used: set[str]) -> Any:
    if isinstance(metrics, list) and len(metrics) == len(places):
        return [_renamed(m, n, used) for m, n in zip(metrics, places.values(), strict=True)]
    if isinstance(metrics, Mapping) and not is_serialized(metrics):
        return {key: _renamed(m, places.get(key, key), used) for key, m in metrics.items()}
    return metrics


def _renamed(metric: Any, output: str, used: set[str]) -> Any:
    if isinstance(metric, list):
        return [_renamed(item, output, used) for item in metric]
    config = metric["config"] if is_serialized(metric) else None
    if not isinstance(config, Mapping) or not isinstance(config.get("name"), str):
        return metric
    name = config["name"]
    begun = f"{output}_{name}" if f"{output}_{name}" not in used else f"{output}_weighted_{name}"
    used.add(begun)
    return {**metric, "config": {**config, "name": begun}}


def _is_nested(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or (
        isinstance(value, Mapping) and not is_serialized(value)
    )


def _every(value: Any, outputs: Outputs) -> Any:
    """One value for each output."""
    if len(outputs.names) < 2:
        return value
    return dict.fromkeys(outputs.keys, value) if outputs.keys else [value] * len(outputs.names)


def _told(value: Any, outputs: Outputs) -> Any:
    """Losses or their weights."""
    if not outputs.names or not _is_nested(value):
        return value
    if len(outputs.names) == 1:
        return _only(value, outputs)
    if not isinstance(value, Mapping):
        return by_key(list(value), outputs)
    if outputs.keys:
        return {key: value.get(key) for key in outputs.keys}
    return [value.get(name) for name in outputs.names]


def _only(value: Any, outputs: Outputs) -> Any:
    """What is told of a single output."""
    items = list(value.values()) if isinstance(value, Mapping) else list(value)
    if outputs.keys or len(items) != 1:
        return value
    return items[0]


def _metrics(value: Any, outputs: Outputs) -> Any:
    if value is None or not outputs.names:
        return value
    listed = value if _is_nested(value) else [value]
    if len(outputs.names) == 1:
        return _of_one(listed)
    if isinstance(listed, Mapping):
        told = _told(listed, outputs)
        return (
            {key: _list(item) for key, item in told.items()}
            if isinstance(told, Mapping)
            else [_list(item) for item in told]
        )
    if any(_is_nested(item) for item in listed):
        return by_key([_list(item) for item in listed], outputs)
    return _every(list(listed), outputs)


def _of_one(value: Any) -> Any:
    """A single output's metrics, a flat list of them."""
    items: Sequence[Any] = list(value.values()) if isinstance(value, Mapping) else value
    flat: list[Any] = []
    for item in items:
        flat += item if isinstance(item, (list, tuple)) else [item]
    return [item for item in flat if item is not None]


def _list(value: Any) -> Any:
    """One output's metrics; None for none."""
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    return [item for item in items if item is not None] or None
