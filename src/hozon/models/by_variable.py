"""Records whose weights are named by the paths of variables (Orbax) -> live models."""

from __future__ import annotations

from collections.abc import Callable

import keras

from hozon.containers.orbax import METRICS
from hozon.errors import MismatchError
from hozon.keras_private.optimizers import thawed_variables
from hozon.models.assignment import (
    Assignment,
    apply,
    close_account,
    finalize_layers,
    stored_names,
)
from hozon.models.assignment.by_name import Rename
from hozon.models.assignment.by_variable import by_variable
from hozon.models.assignment.optimizer import (
    OptimizerState,
    Stored,
    named,
    pair_optimizer,
)
from hozon.models.built import build_as_recorded, require_built
from hozon.models.keras3.assets import give_assets
from hozon.models.keras3.load import weights_missing
from hozon.models.keras3.optimizer import other_class
from hozon.models.recorded import revive
from hozon.models.report import LoadReport
from hozon.record import ModelRecord
from hozon.typing import CustomObjects


def revive_record(
    record: ModelRecord, custom_objects: CustomObjects | None = None, compiled: bool = True
) -> keras.Model:
    """The live model of a record with naming ``"variables"``; see `hozon.models.recorded`."""
    return revive(record, custom_objects, compiled, _give)


def _give(
    model: keras.Model, record: ModelRecord
) -> tuple[LoadReport, Callable[[keras.Model], None]]:
    shapes = (record.config or {}).get("build_config")
    if shapes:
        build_as_recorded(model, shapes)
    give_assets(model, record)
    assignment, names = by_variable(model, record, METRICS)
    _require_all(assignment, record, partial=False, skip_mismatch=False)
    apply(assignment, record.path)
    finalize_layers(model)

    def finish(live: keras.Model) -> None:
        _pair_optimizer(live, record, assignment, names, compare=False)
        apply(assignment, record.path)
        close_account(assignment, stored_names(record), live)

    return assignment.report, finish


def load_weights(
    model: keras.Model,
    record: ModelRecord,
    *,
    by_name: bool = False,
    rename: Rename = None,
    skip_mismatch: bool = False,
) -> LoadReport:
    """Give a model or layer the weights of a record with naming ``"variables"``.

    Args:
        model: a built model or layer.
        record: what is stored.
        by_name: what one side lacks is left as it is.
        rename: what stored values are called in the model; see `hozon.load_weights`.
        skip_mismatch: values of other shapes are left out.

    Raises:
        MismatchError: file and model disagree, or nothing matches; the model is as it was.
        UnsupportedError: the model is not built.
    """
    require_built(model, "variables to load into")
    assignment, names = by_variable(
        model, record, METRICS, by_name=by_name, rename=rename, skip_mismatch=skip_mismatch
    )
    partial = by_name or rename is not None
    _require_all(assignment, record, partial=partial, skip_mismatch=skip_mismatch)
    _pair_optimizer(model, record, assignment, names, compare=True)
    apply(assignment, record.path)
    finalize_layers(model)
    close_account(assignment, stored_names(record), model)
    return assignment.report


def _require_all(
    assignment: Assignment, record: ModelRecord, *, partial: bool, skip_mismatch: bool
) -> None:
    """Raise MismatchError where a value is missing, left over, or has another shape."""
    differing = [pair for pair in assignment.pairs if pair.difference is not None]
    problems = [str(pair.difference) for pair in differing]
    if not partial:
        problems += weights_missing(assignment.report, whole=True)
    if problems and not skip_mismatch:
        raise MismatchError("file and model do not match", mismatches=problems, file=record.path)
    for pair in differing:
        assignment.drop(pair)


def _pair_optimizer(
    model: keras.Model,
    record: ModelRecord,
    assignment: Assignment,
    names: dict[int, str],
    *,
    compare: bool,
) -> None:
    """The optimizer's values, which have the names of the variables that they are of."""
    group = record.optimizer
    stored = (
        {}
        if group is None
        else {name: Stored(t, (f"{group.name}/{name}",)) for name, t in group.tensors.items()}
    )
    every = [name for value in stored.values() for name in value.names]
    if getattr(model, "optimizer", None) is None:
        if stored:
            assignment.leave("the optimizer's state: the model is not compiled", *every)
        return
    if not stored:
        for variable in model.optimizer.variables:
            assignment.keep(f"{variable.path}: the file holds no optimizer", variable)
        return
    scopes = {name.partition("/")[0] for name in stored}
    others = [other_class(model.optimizer, scope) for scope in scopes] if compare else []
    if any(others) and len(scopes) == 1:
        reason = f"the file holds that of {others[0]}"
        pair_optimizer(model, OptimizerState(unknown=every, reason=reason), assignment)
        return
    called = {id(v): names.get(id(v), str(v.path)) for v in thawed_variables(model)}
    state = named(model, stored, called) or OptimizerState(
        unknown=every, reason="its names are not those of this optimizer's values"
    )
    pair_optimizer(model, state, assignment)
