"""From a live model to a record for a ``.keras`` or ``.weights.h5`` file, or safetensors."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import keras

from hozon.config.added import without_added
from hozon.config.completed import beyond_keras3, shared_layers, thawed, with_generation
from hozon.config.constructors import made_by_keras
from hozon.config.downgrade import to_keras2
from hozon.config.keras2_order import layer_orders
from hozon.config.namesakes import namesakes, namesakes_in
from hozon.config.outputs import outputs_of
from hozon.config.own_graphs import defaults_only
from hozon.config.serialization import serialize
from hozon.config.text_layers import TEXT_LAYERS
from hozon.config.text_layers.public import in_keras_words
from hozon.config.text_layers.vectorization import TextVectorization
from hozon.config.to_keras2_training import compile_to_keras2
from hozon.errors import UnsupportedError
from hozon.keras_private.graph import writing_in_order
from hozon.keras_private.layers import layers_of
from hozon.keras_private.training import compile_config
from hozon.models.assignment.learned import not_in_weights
from hozon.models.assignment.momenta import marks_of
from hozon.models.assignment.object_names import object_paths
from hozon.models.assignment.owners import Owner, keras2_paths, owners
from hozon.models.built import require_built
from hozon.models.h5.describe import lazy_variable
from hozon.models.keras3.assets import assets_of
from hozon.models.keras3.optimizer import begins_scaled, keras2_group
from hozon.models.keras3.revive import pair_weights
from hozon.models.lookups import lazy_rows_lost
from hozon.models.readable import require_readable
from hozon.models.savedmodel.load.graph_layers import require_classes
from hozon.raw.team import on_host
from hozon.record import Dialect, ModelRecord, StateGroup
from hozon.stored.lazy import lazy_array
from hozon.typing import ConfigEntry

Lines = list[str]
OPTIMIZER = "optimizer"


def describe(
    model: keras.Model, dialect: Dialect | None = None, include_optimizer: bool = True
) -> tuple[ModelRecord, Lines]:
    """A whole model as a record, and what the file cannot hold of it.

    Args:
        model: Sequential, Functional, or of a class with a config.
        dialect: "keras3", or "keras2" for tf_keras; None is Keras 3.
        include_optimizer: whether to keep loss, metrics, optimizer and the optimizer's state.

    Raises:
        UnsupportedError: the model has no config, or `dialect` cannot say it.
    """
    require_classes(model, "a .keras file")
    trained = len(model.trainable_variables)
    with without_added(model) as lost:
        record, lines = _whole(model, dialect or "keras3", include_optimizer)
        state = partial(_state, keras2=record.dialect == "keras2")
        require_readable(model, record, state, pair_weights, "a .keras file")
        if record.optimizer is not None and len(model.trainable_variables) < trained:
            lines.append("the optimizer's state, as weights that only an added loss uses are lost")
            record = replace(record, optimizer=None)
    return record, [*lost, *lines, *_merged(model), *_untold(model, record)]


def _untold(model: keras.Model, record: ModelRecord) -> Lines:
    """What the file does not say of users' classes, to one reader or the other."""
    return [*namesakes_in(model), *defaults_only(model), *made_by_keras(model, record.dialect)]


def _merged(model: keras.Model) -> Lines:
    """Quantized layers under LoRA: Keras' format holds one kernel for both, rounded anew."""
    return [
        f"{layer.name}: its LoRA is merged into the quantized kernel, as in Keras' own files, "
        "which rounds the kernel anew (a SavedModel holds both)"
        for layer in layers_of(model)
        if getattr(layer, "lora_enabled", False) and getattr(layer, "quantization_mode", None)
    ]


def _whole(
    model: keras.Model, chosen: Dialect, include_optimizer: bool
) -> tuple[ModelRecord, Lines]:
    lines: Lines = []
    config = _config(model, chosen, lines)
    with writing_in_order(layer_orders(model, config) if chosen == "keras2" else {}):
        return _in_order(model, chosen, config, include_optimizer, lines), lines


def _in_order(
    model: keras.Model,
    chosen: Dialect,
    config: ConfigEntry,
    include_optimizer: bool,
    lines: Lines,
) -> ModelRecord:
    groups = _state(model, include_optimizer, keras2=chosen == "keras2")
    return ModelRecord(
        form="keras",
        path="",
        dialect=chosen,
        naming="attributes",
        config=config,
        training=_training(model, chosen, lines) if include_optimizer else None,
        state=tuple(g for g in groups if g.name.partition("/")[0] != OPTIMIZER),
        optimizer=_optimizer(model, chosen, groups, include_optimizer),
        assets=assets_of(model),
        names={} if chosen == "keras2" else dict(object_paths(model)),
        metadata=marks_of(getattr(model, "optimizer", None)) if include_optimizer else {},
    )


def _optimizer(
    model: keras.Model, dialect: Dialect, groups: list[StateGroup], included: bool
) -> StateGroup | None:
    found = next((g for g in groups if g.name == OPTIMIZER), None)
    written = found is not None or (included and begins_scaled(model))
    return keras2_group(model) if written and dialect == "keras2" else found


def describe_weights(model: keras.Model) -> tuple[ModelRecord, Lines]:
    """The weights of a model or layer as a record.

    Raises UnsupportedError when it is not built.
    """
    require_built(model, "weights to save")
    groups = _groups(model, optimizer=True)
    return ModelRecord(
        form="weights.h5",
        path="",
        dialect="keras3",
        naming="attributes",
        state=tuple(g for g in groups if g.name.partition("/")[0] != OPTIMIZER),
        optimizer=next((g for g in groups if g.name == OPTIMIZER), None),
        names=dict(object_paths(model)),
    ), not_in_weights(model, summaries=False)


def _config(model: keras.Model, dialect: Dialect, lines: Lines) -> ConfigEntry:
    try:
        made = dict(in_keras_words(serialize(model), TEXT_LAYERS))
    except NotImplementedError as error:
        name = type(model).__name__
        raise UnsupportedError(
            f"a .keras file keeps a model by its config, which {name} does not have: {error}",
            feature=name,
            instead="a SavedModel, or hozon.save_weights and the model's own code",
        ) from error
    made.pop("compile_config", None)
    if dialect == "keras3":
        lines.extend(beyond_keras3(model, made))
        return made
    shared = shared_layers(model, made)
    if shared:
        raise UnsupportedError(
            f"TensorFlow's Keras cannot read .keras files of models that share layers between "
            f"nested ones, as this one does {', '.join(shared)}",
            feature="layers shared between nested models",
            instead="a SavedModel, an H5 file, or dialect='keras3'",
        )
    for layer in layers_of(model):
        if isinstance(layer, TextVectorization):
            _require_one_width(layer)
    lines.extend(thawed(made, "TensorFlow's Keras"))
    return with_generation(to_keras2(made, report=lines, tags=True), made)


def _require_one_width(layer: TextVectorization) -> None:
    """Raise UnsupportedError for n-grams of several widths that no number says."""
    widths = layer.widths() or ()
    if sorted(widths) != list(range(1, len(widths) + 1)):
        raise UnsupportedError(
            f"TensorFlow's Keras cannot read ngrams={widths} of layer {layer.name!r} from a .keras "
            "file",
            feature=f"ngrams={widths}",
            record=layer.name,
            instead="a SavedModel, an H5 file, or dialect='keras3'",
        )


def _training(model: keras.Model, dialect: Dialect, lines: Lines) -> ConfigEntry | None:
    compiled = compile_config(model)
    if compiled is None:
        return None
    lines.extend(namesakes(compiled))
    raw = {key: serialize(value) for key, value in compiled.items()}
    if dialect == "keras3":
        return raw
    lines.extend(lazy_rows_lost(model))
    try:
        return compile_to_keras2(raw, report=lines, outputs=outputs_of(model))
    except UnsupportedError as error:
        lines.append(f"the training configuration: {error}")
        return None


def _state(model: keras.Model, optimizer: bool = False, keras2: bool = False) -> list[StateGroup]:
    """What a file of one dialect or the other holds of a model's or layer's values."""
    groups = _groups(model, optimizer, keras2)
    if not keras2:
        return groups
    named = keras2_paths(model)
    return [replace(group, name=named(group.name)) for group in groups]


def _groups(model: keras.Model, optimizer: bool, keras2: bool = False) -> list[StateGroup]:
    found = owners(model, optimizer=optimizer, keras2=keras2)
    return [_group(owner) for owner in found if owner.variables]


def _group(owner: Owner) -> StateGroup:
    return StateGroup(
        owner.path,
        {
            name: lazy_variable(name, value)
            if isinstance(value, keras.Variable)
            else lazy_array(name, on_host(value))
            for name, value in owner.variables.items()
        },
    )
