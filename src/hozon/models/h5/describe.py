"""From a live model to a record for an H5 file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import keras

from hozon.config.added import without_added
from hozon.config.completed import beyond_keras3, shared_layers, thawed, with_generation
from hozon.config.constructors import made_by_keras
from hozon.config.dialects.to_keras2 import UNLISTED
from hozon.config.downgrade import to_keras2
from hozon.config.frozen import thawed_by_reading
from hozon.config.keras2_order import layer_orders
from hozon.config.namesakes import namesakes, namesakes_in
from hozon.config.outputs import METRICS, outputs_of
from hozon.config.own_graphs import defaults_only
from hozon.config.serialization import serialize
from hozon.config.text_layers import TEXT_LAYERS
from hozon.config.text_layers.public import in_keras_words
from hozon.config.to_keras2_training import newer_arguments, training_to_keras2
from hozon.containers.h5.layout import TOP_LEVEL
from hozon.errors import UnsupportedError
from hozon.keras_private.graph import functional_of, writing_in_order
from hozon.keras_private.layers import layers_of, losses_of, metrics_of
from hozon.keras_private.training import compile_config
from hozon.models.assignment.account import optimizers_of
from hozon.models.assignment.layers import own_weights, weights_in, written_layers
from hozon.models.assignment.learned import learned_name, learned_value, not_in_weights
from hozon.models.assignment.momenta import marks_of
from hozon.models.built import require_built
from hozon.models.h5.elsewhere import unread_by_keras3
from hozon.models.h5.names import stored_names
from hozon.models.h5.portable import portable
from hozon.models.h5.revive import pair_weights
from hozon.models.h5.written import optimizer_group, shared_training
from hozon.models.lookups import lazy_rows_lost
from hozon.models.readable import held_by_own, require_readable
from hozon.models.savedmodel.load.graph_layers import require_classes
from hozon.raw.team import on_host
from hozon.record import Dialect, ModelRecord, StateGroup
from hozon.stored.dtypes import dtype_of_name
from hozon.stored.lazy import LazyTensor, lazy_array
from hozon.typing import ConfigEntry

PRODUCERS: Mapping[Dialect, str] = {"keras2": "keras 2.15.0", "keras3": "keras 3.15.1"}
Lines = list[str]


def describe_h5(
    model: keras.Model,
    dialect: Dialect | None = None,
    include_optimizer: bool = True,
    optimizer_state: bool = True,
) -> tuple[ModelRecord, Lines]:
    """A whole model as a record, and what an H5 file cannot hold of it.

    Args:
        model: Sequential, Functional, or of a class with a config.
        dialect: "keras2" or "keras3"; None for Keras 2, which tf_keras and Keras 3 open, where it
            can say all of the model, else Keras 3.
        include_optimizer: whether to keep loss, metrics, optimizer and the optimizer's state.
        optimizer_state: whether the form has a place for the last.

    Raises:
        UnsupportedError: the model has no config, or `dialect` cannot say it.
    """
    require_classes(model, "an H5 file")
    with without_added(model) as lost:
        record, lines = _whole(model, dialect, include_optimizer, optimizer_state)
    return record, [*lost, *lines]


def _whole(
    model: keras.Model, dialect: Dialect | None, include_optimizer: bool, optimizer_state: bool
) -> tuple[ModelRecord, Lines]:
    lines: Lines = []
    config, chosen = _config(model, dialect, lines)
    with writing_in_order(layer_orders(model, config) if chosen == "keras2" else {}):
        return _in_order(model, dialect, chosen, config, include_optimizer, optimizer_state, lines)


def _in_order(
    model: keras.Model,
    dialect: Dialect | None,
    chosen: Dialect,
    config: ConfigEntry,
    include_optimizer: bool,
    optimizer_state: bool,
    lines: Lines,
) -> tuple[ModelRecord, Lines]:
    training, optimizer, speaks = None, None, chosen
    if include_optimizer and model.compiled:
        training, speaks = _training(model, chosen, lines, final=dialect == "keras2")
        if training is not None and optimizer_state:
            optimizer = optimizer_group(model, speaks, lines)
    record = ModelRecord(
        form="h5",
        path="",
        dialect=chosen,
        naming="layers",
        producer=PRODUCERS[chosen],
        backend=_backend(chosen),
        config=config,
        training=training,
        trained_in=None if speaks == chosen else speaks,
        state=_state(model, chosen, whole=True),
        optimizer=optimizer,
        metadata=marks_of(model.optimizer) if optimizer is not None else {},
    )
    state = partial(_state, dialect=chosen, whole=True)
    require_readable(model, record, state, pair_weights, "an H5 file")
    if dialect is None and chosen == "keras2":
        lines.extend(unread_by_keras3(config))
    return record, [*lines, *_not_held(model), *_not_found(model, record), *_untold(model, record)]


def describe_h5_weights(
    model: keras.Model, dialect: Dialect = "keras2"
) -> tuple[ModelRecord, Lines]:
    """The weights of a model or layer as a record.

    Raises:
        UnsupportedError: it is not built.
    """
    require_built(model, "weights to save")
    with writing_in_order({}):
        state = _state(model, dialect)
    record = ModelRecord(
        form="h5_weights",
        path="",
        dialect=dialect,
        naming="layers",
        producer=PRODUCERS[dialect],
        backend=_backend(dialect),
        state=state,
    )
    return record, not_in_weights(model, summaries=dialect == "keras2")


def _backend(dialect: Dialect) -> str:
    return "tensorflow" if dialect == "keras2" else str(keras.config.backend())


def _config(
    model: keras.Model, dialect: Dialect | None, lines: Lines
) -> tuple[ConfigEntry, Dialect]:
    _require_config(model)
    try:
        made = in_keras_words(serialize(model), TEXT_LAYERS)
    except NotImplementedError as error:
        raise _no_config(model, f": {error}") from error
    made.pop("compile_config", None)
    if dialect == "keras3":
        lines.extend(beyond_keras3(model, made))
        return made, "keras3"
    changes: Lines = []
    try:
        written = with_generation(to_keras2(made, report=changes), made)
    except UnsupportedError as error:
        if dialect == "keras2":
            raise
        lines.append(f"written for Keras 3 only, as Keras 2 cannot say all of it: {error}")
        lines.extend(beyond_keras3(model, made))
        return made, "keras3"
    lines.extend(changes)
    lines.extend(thawed(made, "TensorFlow's own reader of H5 files"))
    shared = shared_layers(model, made)
    if shared:
        lines.append(
            f"TensorFlow's own reader of H5 files makes {', '.join(shared)} anew in each model "
            "that shares it"
        )
    if functional_of(model) is None and made.get("build_config"):
        written = {**written, "build_config": made["build_config"]}
    return portable(written), "keras2"


def _require_config(model: keras.Model) -> None:
    own = type(model).get_config is not keras.Model.get_config
    if functional_of(model) is None and not isinstance(model, keras.Sequential) and not own:
        raise _no_config(model)


def _no_config(model: keras.Model, reason: str = "") -> UnsupportedError:
    name = type(model).__name__
    return UnsupportedError(
        f"an H5 file keeps a model by its config, which {name} does not have{reason}",
        feature=name,
        instead="a SavedModel, or hozon.save_weights and the model's own code",
    )


def _training(
    model: keras.Model, dialect: Dialect, lines: Lines, *, final: bool
) -> tuple[ConfigEntry | None, Dialect]:
    """The training configuration, and which Keras it speaks for: 3 where 2 cannot say it."""
    live = compile_config(model)
    if live is None:
        lines.append("the training configuration: the model's class keeps none")
        return None, dialect
    lines.extend(namesakes(live))
    compiled = {key: serialize(value) for key, value in live.items()}
    in_keras3 = {**compiled, "optimizer_config": compiled["optimizer"]}
    if dialect == "keras3":
        return shared_training(in_keras3), dialect
    lines.extend(lazy_rows_lost(model))
    outputs = outputs_of(model)
    if not final and len(outputs.names) > 1 and any(compiled.get(key) for key in METRICS):
        lines.append(
            "TensorFlow's Keras shows the metrics without the names of their outputs; with "
            "dialect='keras2' it shows them, and Keras 3 shows them twice"
        )
    try:
        if not final:
            _require_keras2(compiled["optimizer"])
        made = training_to_keras2(compiled, report=lines, outputs=outputs, final=final)
    except UnsupportedError as error:
        lines.append(f"the training configuration, for Keras' own readers: {error}")
        return in_keras3, "keras3"
    return shared_training(made), dialect


def _require_keras2(optimizer: Any) -> None:
    newer = newer_arguments(optimizer)
    if newer:
        raise UnsupportedError(
            f"Keras 2's optimizers have no {', '.join(newer)}", feature=", ".join(newer)
        )


def _state(model: keras.Model, dialect: Dialect, whole: bool = False) -> tuple[StateGroup, ...]:
    """The groups of layers; `whole`: beside a config, which has the boundaries of bins."""
    groups = [_layer_group(layer, dialect, whole) for layer in written_layers(model)]
    return (*groups, _group(TOP_LEVEL, model, own_weights(model), dialect))


def _layer_group(layer: keras.Layer, dialect: Dialect, whole: bool) -> StateGroup:
    told = whole and isinstance(layer, keras.layers.Discretization) and layer.bin_boundaries
    learned = learned_value(layer) if dialect == "keras2" and not told else None
    if learned is not None:
        name = f"{learned_name(layer)}:0"
        return StateGroup(layer.name, {name: lazy_array(name, learned)})
    thawed = thawed_by_reading(layer) if whole else set()
    variables = weights_in(layer, thawed, keras3=dialect == "keras3")
    return _group(layer.name, layer, variables, dialect)


def _group(
    name: str, layer: keras.Layer, variables: list[keras.Variable], dialect: Dialect
) -> StateGroup:
    names = stored_names(layer, variables, dialect)
    return StateGroup(
        name, {key: lazy_variable(key, v) for key, v in zip(names, variables, strict=True)}
    )


def lazy_variable(name: str, variable: keras.Variable) -> LazyTensor:
    """A variable as a tensor whose value leaves the device when it is read."""
    return LazyTensor(
        name,
        tuple(variable.shape),
        dtype_of_name(variable.dtype),
        dtype_of_name(variable.dtype).itemsize * int(variable.value.size),
        VariableSource(variable),
    )


class VariableSource:
    """The value of a variable, read before training goes on: a step may free the device's copy."""

    __slots__ = ("_value",)

    def __init__(self, variable: keras.Variable) -> None:
        self._value = variable.value

    def read_tensor(self, tensor: LazyTensor, verify: bool) -> Any:
        """The value as an array on the host, of the variable's type.

        JAX without 64-bit types keeps a float64 variable's value as float32.
        """
        array = on_host(self._value).astype(tensor.dtype.numpy, copy=False)
        made = lazy_array(tensor.name, array)
        return made.source.read_tensor(made, verify)

    def read_extents(self, tensor: LazyTensor, extents: Any, verify: bool) -> Any:
        """A part of the value."""
        return self.read_tensor(tensor, verify)[
            tuple(slice(start, start + length) for start, length in extents)
        ]


def _not_held(model: keras.Model) -> Lines:
    """What no H5 file keeps: what was added from outside, code, optimizers beside the model's."""
    lines = []
    if losses_of(model):
        lines.append("losses added with add_loss() are not kept; add them again after loading")
    if any(metric.name for metric in metrics_of(model)):
        names = ", ".join(sorted(metric.name for metric in metrics_of(model)))
        lines.append(f"metrics that the model holds itself are not kept: {names}")
    custom = sorted({type(layer).__name__ for layer in _all_layers(model) if _is_custom(layer)})
    if custom:
        lines.append(
            f"the code of custom classes is not kept: {', '.join(custom)}; loading needs "
            "custom_objects"
        )
    aside = [
        f"{layer.name}.{name}" if layer is not model else name
        for layer in layers_of(model)
        for name, optimizer in optimizers_of(layer)
        if optimizer is not getattr(model, "optimizer", None)
    ]
    if aside:
        lines.append(f"only the compiled optimizer's state is kept, not that of {', '.join(aside)}")
    return lines


def _untold(model: keras.Model, record: ModelRecord) -> Lines:
    """What the file does not say of users' classes, to one reader or the other."""
    return [*namesakes_in(model), *defaults_only(model), *made_by_keras(model, record.dialect)]


def _not_found(model: keras.Model, record: ModelRecord) -> Lines:
    """What the Kerases' own readers of H5 files cannot open."""
    lines, dialect = [], record.dialect
    held = {owner for owner, _ in held_by_own(record.config)} if dialect == "keras2" else set()
    if held:
        lines.append(
            f"TensorFlow's own reader of H5 files makes the layers in the configs of "
            f"{', '.join(sorted(held))} by keras.layers.deserialize() alone, not by "
            "keras.saving.deserialize_keras_object()"
        )
    if functional_of(model) is None and not isinstance(model, keras.Sequential):
        lines.append("Keras 3's own reader of H5 files cannot open subclassed models")
        if dialect == "keras2":
            lines.append("TensorFlow's own reader of H5 files cannot open subclassed models")
    names = {type(layer).__name__ for layer in _all_layers(model)} if dialect == "keras2" else set()
    return [
        *(
            f"TensorFlow's own reader of H5 files does not know {name}"
            for name in sorted(names & UNLISTED)
        ),
        *lines,
    ]


def _all_layers(model: keras.Model) -> list[keras.Layer]:
    return layers_of(model)


def _is_custom(layer: keras.Layer) -> bool:
    return not type(layer).__module__.startswith(("keras.", "hozon."))
