"""From a record of a ``.keras`` file to a live model: by its config, weights and training given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import keras

from hozon.config.shared import with_all_shared
from hozon.errors import HozonError, MismatchError
from hozon.models.assignment import (
    Assignment,
    apply,
    close_account,
    finalize_layers,
    stored_names,
)
from hozon.models.assignment.by_path import by_path
from hozon.models.built import build_as_recorded
from hozon.models.keras3.assets import give_assets
from hozon.models.keras3.load import weights_missing
from hozon.models.keras3.optimizer import pair_optimizers, share_with_inner
from hozon.models.recorded import revive
from hozon.models.report import LoadReport
from hozon.record import ModelRecord
from hozon.typing import CustomObjects


def revive_record(
    record: ModelRecord, custom_objects: CustomObjects | None = None, compiled: bool = True
) -> keras.Model:
    """The live model of a record with naming ``"attributes"``; see `hozon.models.recorded`.

    tf_keras keeps the weights of a layer that several models hold at one place of its archive, and
    does not say in the config that it is one. Where weights are missing, layers that the config
    says the same of are one layer, if each variable and each stored value finds its place then.
    """
    try:
        return revive(record, custom_objects, compiled, _give)
    except MismatchError as error:
        config = with_all_shared(record.config or {}) if record.dialect == "keras2" else None
        if config is None:
            raise
        try:
            whole = replace(record, config=config)
            return revive(whole, custom_objects, compiled, partial(_give, whole=True))
        except HozonError:
            raise error from None


def _give(
    model: keras.Model, record: ModelRecord, whole: bool = False
) -> tuple[LoadReport, Callable[[keras.Model], None]]:
    _build(model, record)
    give_assets(model, record)
    assignment = _paired(model, record, whole)
    apply(assignment, record.path)
    finalize_layers(model)

    def finish(live: keras.Model) -> None:
        pair_optimizers(live, share_with_inner(live, record, assignment), assignment)
        apply(assignment, record.path)
        close_account(assignment, stored_names(record), live)

    return assignment.report, finish


def pair_weights(model: keras.Model, record: ModelRecord) -> Assignment:
    """The assignment of all weights of a model that was made of a record's config, and no others.

    Raises MismatchError if one is missing or left over, or does not fit.
    """
    _build(model, record)
    return _paired(model, record, whole=True)


def _paired(model: keras.Model, record: ModelRecord, whole: bool = False) -> Assignment:
    """All weights of a model that is built. `whole`: nothing else is stored."""
    assignment = by_path(model, record)
    whole = whole or record.dialect == "keras3" or not model.built
    problems = weights_missing(assignment.report, whole=whole)
    if problems:
        raise MismatchError(
            "the file lacks weights of its own model", mismatches=problems, file=record.path
        )
    return assignment


def _build(model: keras.Model, record: ModelRecord) -> None:
    """Build a model of a class of its own for the shapes that were saved with it.

    What layers in it give may depend on what they look up.
    """
    shapes = (record.config or {}).get("build_config")
    if shapes:
        give_assets(model, record)
        build_as_recorded(model, shapes)
