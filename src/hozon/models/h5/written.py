"""Training configurations and optimizer state in the form that H5 readers take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.config.legacy.optimizers import Nadam as OldNadam
from hozon.config.to_keras2_training import metric_of_name
from hozon.keras_private.optimizers import momentum_product_of, trained_by
from hozon.models.assignment.layers import name_of, owners, unique, weights_of
from hozon.models.h5.names import different
from hozon.models.slots import AVERAGE
from hozon.models.tracking.layers import trainable_order
from hozon.models.tracking.optimizers import Optimizer
from hozon.objects.tracking import Virtual
from hozon.raw.team import on_host
from hozon.record import Dialect, StateGroup
from hozon.stored.lazy import LazyTensor, lazy_array
from hozon.typing import Config, ConfigEntry

#: Losses whose short names Keras 3's own H5 reader does not know.
LONG_NAMES: Mapping[str, str] = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "kld": "kl_divergence",
    "bce": "binary_crossentropy",
}

#: What TensorFlow's Keras itself does not take up from H5 files.
STARTS_FRESH: Mapping[type, str] = {
    keras.optimizers.LossScaleOptimizer: "TensorFlow's Keras starts a LossScaleOptimizer fresh",
    keras.optimizers.Nadam: "TensorFlow's Keras starts Nadam's product of momenta from 1",
}


def shared_training(training: ConfigEntry) -> Config:
    """A training config with names that Keras 2 and Keras 3 both know."""
    made = dict(training)
    made["loss"] = long_names(made.get("loss"))
    for key in ("metrics", "weighted_metrics"):
        made[key] = long_names(made.get(key), metric_of_name)
    optimizer = made.get("optimizer_config")
    if isinstance(optimizer, Mapping) and str(optimizer.get("class_name")).startswith("Custom>"):
        made["optimizer_config"] = _renamed(optimizer)
    return made


def _renamed(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """Keras 3's reader of H5 files knows Keras 2's optimizers only by the name of the class."""
    name = str(optimizer["class_name"]).removeprefix("Custom>")
    return {**optimizer, "config": {**optimizer["config"], "name": name}}


def _long_name(name: str) -> str:
    return LONG_NAMES.get(name.lower(), name)


def long_names(value: Any, written: Callable[[str], Any] = _long_name) -> Any:
    """Losses or metrics in any structure, short names written out."""
    if isinstance(value, str):
        return written(value)
    if isinstance(value, (list, tuple)):
        return [long_names(item, written) for item in value]
    if isinstance(value, Mapping) and "class_name" not in value:
        return {key: long_names(item, written) for key, item in value.items()}
    return _reduced(value)


def _reduced(value: Any) -> Any:
    """Keras 2's "auto" reduction by the name that Keras 3 has for it, too."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        if value["config"].get("reduction") == "auto":
            return {**value, "config": {**value["config"], "reduction": "sum_over_batch_size"}}
    return value


def optimizer_group(model: keras.Model, dialect: Dialect, lines: list[str]) -> StateGroup | None:
    """The optimizer's variables in the order of the dialect's reader, which goes by order."""
    optimizer = model.optimizer
    if optimizer is None or not optimizer.built:
        return None
    if dialect == "keras3":
        lines.append(
            "Keras 3's own reader of H5 files does not take up optimizer state: it begins anew"
        )
        named = [(str(v.path), v.value) for v in optimizer.variables]
    else:
        lines.append(
            "Keras 3's own reader of H5 files does not take up optimizer state; there the model "
            "trains once it is compiled again"
        )
        lines.extend(line for kind, line in STARTS_FRESH.items() if type(optimizer) is kind)
        named = _keras2(model)
    names = different([name for name, _ in named])
    end = ":0" if dialect == "keras2" else ""
    tensors = {
        f"{name}{end}": _tensor(f"{name}{end}", value)
        for name, (_, value) in zip(names, named, strict=True)
    }
    return StateGroup("optimizer_weights", tensors)


def _tensor(name: str, value: Any) -> LazyTensor:
    return lazy_array(name, on_host(value))


def _keras2(model: keras.Model) -> list[tuple[str, Any]]:
    """Iterations, then slots, as TensorFlow 2.11 and later order and name them."""
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    own = {id(v) for v in trained_by(inner)}
    order = unique(v for v in trainable_order(model, thawed=True, filed=True) if id(v) in own)
    described = Optimizer(inner, (inner,), order)
    lists = described.slot_lists()
    edges = {row.edge: row.names[1] for row in (*described.rows, AVERAGE)}
    names = _variable_names(model)
    titles = {
        id(item): f"{type(inner).__name__}/{edges.get(edge, edge)}/{names[id(variable)]}"
        for edge, items in lists.items()
        for item, variable in zip(items, order, strict=True)
    }
    made = [("iteration", _value(described.iterations))]
    if isinstance(inner, OldNadam):
        made.append((f"{type(inner).__name__}/momentum_cache", momentum_product_of(inner).value))
        return made + [
            (titles[id(item)], _value(item)) for items in lists.values() for item in items
        ]
    made += [
        (titles.get(id(item), f"{type(inner).__name__}/{i}"), _value(item))
        for i, item in enumerate(described.ordered(lists))
    ]
    return made


def _variable_names(model: keras.Model) -> dict[int, str]:
    return {
        id(v): name_of(owner, v) for owner in (model, *owners(model)) for v in weights_of(owner)
    }


def _value(item: Any) -> Any:
    """The value of a Keras variable, or of what stands for one."""
    if not isinstance(item, Virtual):
        return item.value
    leaf = item.trackable.leaf
    assert leaf is not None
    return leaf.read()
