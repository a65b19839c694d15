"""Weights of a record into a live model: everything is checked before anything is assigned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hozon.keras_private.layers import layers_of
from hozon.models.assignment import (
    Assignment,
    apply,
    close_account,
    finalize_layers,
    names_in,
    optimizers_of,
    stored_names,
)
from hozon.models.assignment.by_layer import by_layer, names_by_layer
from hozon.models.assignment.by_name import Rename, nothing_matches, pair_by_names, suggestion
from hozon.models.assignment.layers import top_layers
from hozon.models.report import LoadReport
from hozon.record import ModelRecord

if TYPE_CHECKING:
    import keras


def load_h5_weights(
    model: keras.Model,
    record: ModelRecord,
    *,
    by_name: bool = False,
    rename: Rename = None,
    skip_mismatch: bool = False,
) -> LoadReport:
    """Give a model, or a layer, the weights of an H5 file; see `hozon.load_weights`.

    Args:
        model: a built model or layer.
        record: of an H5 file: weights, or a whole model.
        by_name: whether only layers of the same name are matched, and others left as they are.
        rename: what stored variables are called in the model.
        skip_mismatch: whether layers whose variables differ in number or shape are left as they
            are, and reported.

    Raises:
        MismatchError: file and model disagree, or nothing matches; the model is as it was.
        UnsupportedError: the model is not built.
    """
    if rename is None:
        assignment = by_layer(model, record, by_name=by_name, skip_mismatch=skip_mismatch)
    else:
        assignment = Assignment()
        live, stored = names_by_layer(model, record)
        pair_by_names(
            live,
            stored,
            assignment,
            record.path,
            rename=rename,
            partial=by_name,
            skip_mismatch=skip_mismatch,
        )
    report = assignment.report
    if not assignment.pairs and (report.unexpected or report.missing):
        held = [group.name for group in record.state if group.tensors]
        wanted = [str(layer.name) for layer in top_layers(model)]
        fits = suggestion(*names_by_layer(model, record))
        raise nothing_matches(held, wanted, record.path, report.mismatched, fits)
    _leave_optimizer(model, record, assignment)
    apply(assignment, record.path)
    finalize_layers(model)
    close_account(assignment, stored_names(record), model)
    return report


def _leave_optimizer(model: keras.Model, record: ModelRecord, assignment: Assignment) -> None:
    """Weights of H5 files come without the optimizer, as in Keras."""
    if record.optimizer is not None:
        assignment.leave(
            "the optimizer's state: load_weights takes none from H5 files",
            *names_in(record.optimizer),
        )
    for name, optimizer in (found for x in layers_of(model) for found in optimizers_of(x)):
        for variable in optimizer.variables:
            assignment.keep(f"{name}/{variable.name}: not of this file", variable)
