"""From a record of a ``.keras`` file to a live model: by its config, weights and training given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.errors import MismatchError
from hozon.models.keras3.assets import give_assets
from hozon.models.keras3.load import plan_of
from hozon.models.keras3.optimizer import restore
from hozon.models.recorded import revive
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.adapted import finish
from hozon.record import ModelRecord


def revive_record(
    record: ModelRecord, custom_objects: Mapping[str, Any] | None = None, compiled: bool = True
) -> keras.Model:
    """The live model of a record with naming ``"attributes"``; see `hozon.models.recorded`."""
    return revive(record, custom_objects, compiled, _give)


def _give(
    model: keras.Model, record: ModelRecord
) -> tuple[LoadReport, Callable[[keras.Model], None]]:
    _build(model, record.config or {})
    give_assets(model, record)
    report = _give_weights(model, record)

    def restored(live: keras.Model) -> None:
        if live.built:
            restore(live, record, report)

    return report, restored


def _build(model: keras.Model, config: Mapping[str, Any]) -> None:
    """Build a model of a class of its own for the shapes that were saved with it."""
    shapes = config.get("build_config")
    if not model.built and shapes:
        model.build_from_config(shapes)


def _give_weights(model: keras.Model, record: ModelRecord) -> LoadReport:
    """All weights; one that is missing would be silently wrong."""
    plan = plan_of(model, record.state, optimizer=False)
    report = plan.report
    problems = [*report.mismatched, *(f"no stored value for {n}" for n in report.missing)]
    if problems:
        raise MismatchError(
            "the file lacks weights of its own model", mismatches=problems, file=record.path
        )
    plan.run()
    for layer in model._flatten_layers(include_self=False):
        finish(layer)
    return report
