"""From a record to a live model: what all forms that keep a model by its config have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from hozon.config.build import build_model
from hozon.config.frozen import Frozen, freeze
from hozon.config.layers import Compiled
from hozon.config.learned_sizes import with_learned_sizes
from hozon.config.outputs import Outputs, outputs_of
from hozon.config.own_graphs import defaults_only
from hozon.config.training import compile_arguments
from hozon.config.upgrade import TRAINS_AS
from hozon.errors import HozonError, UnsupportedError
from hozon.keras_private.compiled import name_logs
from hozon.keras_private.values import deferred_initializers
from hozon.models.inner import compile_inner
from hozon.models.lookups import lookups_trained_otherwise
from hozon.models.outputs import compiled_outputs
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.training import NO_CONFIG, NOT_COMPILED
from hozon.models.text import made as made  # lets models that are yet to be built take strings
from hozon.models.text.strings import ready_for_text
from hozon.record import ModelRecord
from hozon.reports import warn
from hozon.typing import CustomObjects

#: What gives a model its weights, and returns the report and what is to be done once the model is
#: compiled, or is not to be: its optimizer's state, and the account of all that is in the record.
LoadWeights = Callable[[keras.Model, ModelRecord], tuple[LoadReport, Callable[[keras.Model], None]]]


def revive(
    record: ModelRecord,
    custom_objects: CustomObjects | None,
    compiled: bool,
    load_weights: LoadWeights,
) -> keras.Model:
    """The live model of a record; it carries ``load_report``.

    Args:
        record: of a whole model.
        custom_objects: classes and functions by name.
        compiled: whether to compile it as it was, the optimizer's state included.
        load_weights: what finds the weights.

    Raises:
        MissingObjectError: names all classes and functions that must be supplied.
        MismatchError: the weights, or the optimizer's, are those of another model.
        UnsupportedError: the record has no config, or holds what Keras 3 does not have.
        UnsafeError: the config asks for code to be run or files to be opened.
        FormatError: the config contradicts itself.
    """
    if record.config is None:
        raise UnsupportedError(
            f"{record.path} holds weights without a model",
            file=record.path,
            instead="make the model by its own code, then hozon.load_weights(model, path)",
        )
    changes: list[str] = []
    inner: list[Compiled] = []
    frozen: list[Frozen] = []
    notes = LoadReport()
    with deferred_initializers() as deferred:
        model = build_model(
            _sized(record),
            custom_objects=custom_objects,
            report=changes,
            inner=inner,
            frozen=frozen,
            dialect=record.dialect,
        )
        if compiled and record.naming == "attributes":  # others hold no state of theirs
            compile_inner(inner, dict(custom_objects or {}), notes)
        report, finish = load_weights(model, record)
        deferred.finish()
    freeze(frozen, changes)
    report.converted.extend([*changes, *notes.converted])
    report.lost.extend([*notes.lost, *defaults_only(model)])
    custom = type(model).__name__ in (custom_objects or {})
    rung = "custom class" if custom else "built-in class"
    report.add_object("root", type(model).__name__, rung)
    model = ready_for_text(model)
    if compiled:
        _compile(model, record, report, custom_objects)
    finish(model)
    model.load_report = report
    return model


def _sized(record: ModelRecord) -> Mapping[str, Any]:
    """The config of a record, with sizes that only what a layer has learned says."""
    config: Mapping[str, Any] = record.config or {}
    if record.dialect != "keras2":
        return config
    means = {
        group.name: tensor.shape
        for group in record.state
        for name, tensor in group.tensors.items()
        if name.rpartition("/")[2].partition(":")[0] == "mean"
    }
    made: Mapping[str, Any] = with_learned_sizes(config, means)
    return made


def _outputs(model: keras.Model, record: ModelRecord) -> Outputs:
    """The outputs that the training configuration is told by."""
    if record.training_dialect == "keras3":
        return outputs_of(model)
    return compiled_outputs(model, of_keras3=(record.config or {}).get(TRAINS_AS) == "keras3")


def _compile(
    model: keras.Model,
    record: ModelRecord,
    report: LoadReport,
    custom_objects: CustomObjects | None,
) -> None:
    """Compile the model as it was compiled.

    A part that needs an object nobody supplied leaves the model uncompiled and says so.
    """
    if record.training is None:
        warn(NO_CONFIG)
        return
    dialect = record.training_dialect
    try:
        arguments = compile_arguments(
            record.training,
            custom_objects=dict(custom_objects or {}),
            report=report.converted,
            outputs=_outputs(model, record),
            dialect=dialect,
        )
        model.compile(**arguments)
        name_logs(model)
        if record.dialect != "keras3":
            report.converted.extend(lookups_trained_otherwise(model))
    except (HozonError, ValueError, TypeError) as error:
        report.lost.append(f"training configuration: {error}")
        warn(NOT_COMPILED.format(error))
