"""From a record of a ``.keras`` file to a live model: by its config, weights and training given."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras

from hozon.config.build import build_model
from hozon.config.training import compile_arguments
from hozon.errors import HozonError, MismatchError, UnsupportedError
from hozon.models._keras import deferred_initializers, functional_of
from hozon.models.adapted import finish
from hozon.models.pathed.assets import give_assets
from hozon.models.pathed.load import plan_of
from hozon.models.pathed.optimizer import restore
from hozon.models.report import LoadReport
from hozon.models.strings import with_strings
from hozon.models.training import NO_CONFIG
from hozon.record import ModelRecord


def revive_record(
    record: ModelRecord, custom_objects: Mapping[str, Any] | None = None, compiled: bool = True
) -> keras.Model:
    """The live model of a record with naming ``"attributes"``; it carries ``load_report``.

    Raises:
        MissingObjectError: names all classes and functions that must be supplied.
        MismatchError: the weights are those of another model.
        UnsupportedError: the record has no config, or holds what Keras 3 does not have.
        UnsafeError: the config asks for code to be run or files to be opened.
        FormatError: the config contradicts itself.
    """
    if record.config is None:
        raise UnsupportedError(
            f"{record.path} holds weights without a model", file=record.path,
            instead="make the model by its own code, then hozon.load_weights(model, path)",
        )  # fmt: skip
    changes: list[str] = []
    with deferred_initializers() as deferred:
        model = build_model(record.config, custom_objects=custom_objects, report=changes,
                            dialect=record.dialect)  # fmt: skip
        _build(model, record.config)
        give_assets(model, record)
        report = _give_weights(model, record)
        deferred.finish()
    report.converted.extend(changes)
    custom = type(model).__name__ in (custom_objects or {})
    rung = "custom class" if custom else "built-in class"
    report.add_object("root", type(model).__name__, rung)
    functional = functional_of(model)
    if functional is not None and any(t.dtype == "string" for t in functional.inputs):
        model = with_strings(model)
    if compiled:
        _restore_training(model, record, report, custom_objects)
    model.load_report = report
    return model


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


def _restore_training(
    model: Any, record: ModelRecord, report: LoadReport, custom_objects: Mapping[str, Any] | None
) -> None:
    """Compile the model as it was compiled and restore its optimizer.

    A part that needs an object nobody supplied leaves the model uncompiled and says so.
    """
    if record.training is None:
        warnings.warn(NO_CONFIG, stacklevel=5)
        return
    try:
        model.compile(
            **compile_arguments(
                record.training, custom_objects=dict(custom_objects or {}),
                report=report.converted, output_names=getattr(model, "output_names", ()) or (),
            )
        )  # fmt: skip
    except (HozonError, ValueError, TypeError) as error:
        report.lost.append(f"training configuration: {error}")
        warnings.warn(f"The model was not compiled: {error}. Compile it manually.", stacklevel=5)
        return
    if model.optimizer is not None and model.built:
        restore(model, record, report)
