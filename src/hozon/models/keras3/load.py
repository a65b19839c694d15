"""Weights of a record into a live model, by the paths of attributes or by names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hozon.errors import MismatchError
from hozon.models.assignment import (
    Assignment,
    apply,
    close_account,
    finalize_layers,
    stored_names,
)
from hozon.models.assignment.by_name import Rename, nothing_matches, pair_by_names, suggestion
from hozon.models.assignment.by_path import (
    by_layer_names,
    by_path,
    miss_the_rest,
    names_by_path,
)
from hozon.models.built import require_built
from hozon.models.keras3.optimizer import pair_optimizers
from hozon.models.report import LoadReport
from hozon.record import ModelRecord

if TYPE_CHECKING:
    import keras


def load_weights(
    model: keras.Model,
    record: ModelRecord,
    *,
    by_name: bool = False,
    rename: Rename = None,
    skip_mismatch: bool = False,
) -> LoadReport:
    """Give a model or layer the weights of a record with naming ``"attributes"``.

    Args:
        model: a built model or layer.
        record: what is stored.
        by_name: match objects by the names of layers, not by paths; those that one side lacks are
            left as they are.
        rename: what stored values are called in the model; see `hozon.load_weights`.
        skip_mismatch: objects whose variables differ in number or shape are left as they are.

    Raises:
        MismatchError: file and model disagree, or nothing matches; the model is as it was.
        UnsupportedError: the model is not built, or the file does not name its layers.
    """
    require_built(model, "variables to load into")
    if rename is not None:
        assignment = Assignment()
        live, stored = names_by_path(model, record, assignment)
        pair_by_names(
            live,
            stored,
            assignment,
            record.path,
            rename=rename,
            partial=by_name,
            skip_mismatch=skip_mismatch,
        )
        miss_the_rest(model, assignment)
    else:
        assignment = by_layer_names(model, record) if by_name else by_path(model, record)
        _require_match(model, record, assignment, partial=by_name, skip_mismatch=skip_mismatch)
    pair_optimizers(model, record, assignment, compare=True)
    apply(assignment, record.path)
    finalize_layers(model)
    close_account(assignment, stored_names(record), model)
    return assignment.report


def _require_match(
    model: keras.Model,
    record: ModelRecord,
    assignment: Assignment,
    *,
    partial: bool,
    skip_mismatch: bool,
) -> None:
    report = assignment.report
    if record.state and not assignment.pairs and not assignment.bundles:
        live, stored = names_by_path(model, record, Assignment())
        held = [item.title if partial else item.own for item in stored]
        wanted = [item.title if partial else item.label for item in live]
        fits = suggestion(live, stored)
        raise nothing_matches(held, wanted, record.path, report.mismatched, fits)
    problems = list(report.mismatched)
    if not partial:
        problems += [
            *(f"no stored value for {name}" for name in report.missing),
            *(f"no variable for the stored {name}" for name in report.unexpected),
        ]
    if problems and not skip_mismatch:
        raise MismatchError("file and model do not match", mismatches=problems, file=record.path)


def weights_missing(report: LoadReport, *, whole: bool) -> list[str]:
    """Why weights of a whole model are not whole: what disagrees, is missing, or is left over.

    What Keras 2 stores may be more than Keras 3 has variables for, unless it is known to be
    `whole`: nothing else is stored.
    """
    lacking = [*report.mismatched, *(f"no stored value for {name}" for name in report.missing)]
    left = [f"no variable for the stored {name}" for name in report.unexpected]
    return [*lacking, *left] if lacking or whole else []
