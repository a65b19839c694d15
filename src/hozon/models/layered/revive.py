"""From a record of an H5 file to a live model: built by its config, weights and training given."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from hozon.config.build import build_model
from hozon.config.training import compile_arguments
from hozon.containers.h5.layout import TOP_LEVEL
from hozon.errors import HozonError, MismatchError, UnsupportedError
from hozon.models._keras import deferred_initializers, functional_of
from hozon.models.layered.load import Plan, plan_of, valid
from hozon.models.layered.optimizer import restore_optimizer
from hozon.models.layered.owners import top_layers, weights_of
from hozon.models.report import LoadReport
from hozon.models.strings import with_strings
from hozon.models.training import NO_CONFIG
from hozon.record import ModelRecord, StateGroup


def revive_record(
    record: ModelRecord, custom_objects: Mapping[str, Any] | None = None, compiled: bool = True
) -> keras.Model:
    """The live model of a record with naming ``"layers"``; it carries ``load_report``.

    Args:
        record: of a whole model.
        custom_objects: classes and functions by name.
        compiled: whether to compile it as it was, the optimizer's state included.

    Raises:
        MissingObjectError: names all classes and functions that must be supplied.
        MismatchError: the weights, or the optimizer's, are those of another model.
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
        plan = _plan(model, record)
        plan.run()
        deferred.finish()
    report = plan.report
    report.converted.extend(changes)
    report.add_object("root", type(model).__name__, _rung(model, custom_objects))
    if _takes_strings(model):
        model = with_strings(model)
    if compiled:
        restore_training(model, record, plan, custom_objects)
    model.load_report = report
    return model


def _plan(model: Any, record: ModelRecord) -> Plan:
    """The plan for all of a model's weights; one that is missing would be silently wrong."""
    if not model.built and not model.weights and not any(g.tensors for g in record.state):
        return Plan()
    kept, dropped = _split(model, record)
    plan = plan_of(model, replace(record, state=kept))
    plan.report.unexpected.extend(f"{g.name}/{name}" for g in dropped for name in g.tensors)
    if plan.report.missing:
        raise MismatchError(
            "the file lacks weights of its own model", file=record.path,
            mismatches=[f"no stored value for {name}" for name in plan.report.missing],
        )  # fmt: skip
    return plan


def _split(model: Any, record: ModelRecord) -> tuple[list[StateGroup], list[StateGroup]]:
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


def _rung(model: Any, custom_objects: Mapping[str, Any] | None) -> str:
    custom = type(model).__name__ in (custom_objects or {})
    return "custom class" if custom else "built-in class"


def _takes_strings(model: Any) -> bool:
    functional = functional_of(model)
    return functional is not None and any(t.dtype == "string" for t in functional.inputs)


def restore_training(
    model: Any, record: ModelRecord, plan: Plan, custom_objects: Mapping[str, Any] | None
) -> None:
    """Compile the model as it was compiled and restore its optimizer.

    A part that needs an object nobody supplied leaves the model uncompiled and says so.

    Raises:
        MismatchError: the optimizer's state is that of another model.
    """
    if record.training is None:
        warnings.warn(NO_CONFIG, stacklevel=4)
        return
    report: LoadReport = plan.report
    try:
        arguments = compile_arguments(
            record.training, custom_objects=dict(custom_objects or {}), report=report.converted,
            output_names=getattr(model, "output_names", ()) or (),
        )  # fmt: skip
        model.compile(**arguments)
    except (HozonError, ValueError, TypeError) as error:
        report.lost.append(f"training configuration: {error}")
        warnings.warn(f"The model was not compiled: {error}. Compile it manually.", stacklevel=4)
        return
    if record.optimizer is not None and model.optimizer is not None:
        restore_optimizer(model, record, plan)
