"""From a record of an H5 file to a live model: built by its config, weights and training given."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import keras

from hozon.containers.h5.layout import TOP_LEVEL
from hozon.errors import MismatchError
from hozon.keras_private.sharing import sharing
from hozon.models.assignment import (
    Assignment,
    apply,
    close_account,
    finalize_layers,
    names_in,
    stored_names,
)
from hozon.models.assignment.by_layer import by_layer, valid
from hozon.models.assignment.layers import top_layers, weights_of
from hozon.models.assignment.optimizer import pair_optimizer
from hozon.models.built import build_as_recorded
from hozon.models.h5.optimizer import stored_state
from hozon.models.h5.shared import is_chain, with_shared_layers
from hozon.models.recorded import revive
from hozon.models.report import LoadReport
from hozon.record import ModelRecord, StateGroup
from hozon.typing import CustomObjects


def revive_record(
    record: ModelRecord, custom_objects: CustomObjects | None = None, compiled: bool = True
) -> keras.Model:
    """The live model of a record with naming ``"layers"``; see `hozon.models.recorded.revive`."""
    told, unknown = with_shared_layers(record, custom_objects, pair_weights)
    marked = told is not record and is_chain(told.config or {})
    with sharing() if marked else nullcontext():
        model = revive(told, custom_objects, compiled, _give)
    model.load_report.lost.extend(unknown)
    return model


def _give(
    model: keras.Model, record: ModelRecord
) -> tuple[LoadReport, Callable[[keras.Model], None]]:
    assignment = pair_weights(model, record)
    apply(assignment, record.path)
    finalize_layers(model)

    def finish(live: keras.Model) -> None:
        _pair_optimizer(live, record, assignment)
        apply(assignment, record.path)
        close_account(assignment, stored_names(record), live)

    return assignment.report, finish


def _pair_optimizer(model: keras.Model, record: ModelRecord, assignment: Assignment) -> None:
    optimizer, group = getattr(model, "optimizer", None), record.optimizer
    if optimizer is not None and group is not None:
        pair_optimizer(model, stored_state(model, record, assignment.given), assignment)
    elif optimizer is not None:
        for variable in optimizer.variables:
            assignment.keep(f"optimizer/{variable.name}: it had made no step", variable)
    elif group is not None:
        assignment.leave("the optimizer's state: not compiled", *names_in(group))


def pair_weights(model: keras.Model, record: ModelRecord) -> Assignment:
    """The assignment of all weights of a model that was made of a record's config.

    Raises MismatchError if one is missing, which would be silently wrong, or does not fit.
    """
    shapes = (record.config or {}).get("build_config")
    if shapes:
        build_as_recorded(model, shapes)
    if not model.built and not model.weights and not any(g.tensors for g in record.state):
        return Assignment()
    kept, dropped = _split(model, record)
    assignment = by_layer(model, replace(record, state=kept))
    for group in dropped:
        assignment.surplus(*names_in(group))
    missing = assignment.report.missing
    if missing:
        raise MismatchError(
            "the file lacks weights of its own model",
            file=record.path,
            mismatches=[f"no stored value for {name}" for name in missing],
        )
    return assignment


def _split(model: keras.Model, record: ModelRecord) -> tuple[list[StateGroup], list[StateGroup]]:
    """The groups of the model's layers, and those of layers that lead to no output.

    Keras 2 kept the latter in the model, for the sake of losses and metrics added to it.
    """
    live = {layer.name for layer in top_layers(model)}
    names = {valid(group.name) for group in record.state if group.tensors}
    if not {layer.name for layer in top_layers(model) if weights_of(layer)} <= names:
        return list(record.state), []
    kept = {*live, TOP_LEVEL}
    dropped = [g for g in record.state if g.tensors and valid(g.name) not in kept]
    return [group for group in record.state if group not in dropped], dropped
