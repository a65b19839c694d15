"""Compile information of a SavedModel: loss, metrics, optimizer and its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from hozon.config.training import compile_arguments
from hozon.errors import HozonError
from hozon.keras_private.values import deferred_initializers
from hozon.models.savedmodel.load.objects import KerasObjects
from hozon.models.savedmodel.load.optimizers import OptimizerState
from hozon.models.savedmodel.load.weights import Assigner
from hozon.reports import warn

NO_CONFIG = (
    "No training configuration found in the save file, so the model was *not* compiled. "
    "Compile it manually."
)


def restore_training(
    model: keras.Model,
    objects: KerasObjects,
    assigner: Assigner,
    custom_objects: Mapping[str, Any],
) -> None:
    """Compile the model as it was compiled when saved and restore its optimizer.

    A part that needs an object nobody supplied leaves the model uncompiled and says so.
    """
    root = objects.root
    config = root.metadata.get("training_config") if root is not None else None
    if config is None:
        warn(NO_CONFIG)
        return
    report = assigner.report
    try:
        arguments = compile_arguments(
            config,
            custom_objects=dict(custom_objects),
            report=report.converted,
            output_names=getattr(model, "output_names", ()) or (),
        )
        model.compile(**arguments)
        restore_optimizer(model, objects, assigner)
    except (HozonError, ValueError, TypeError) as error:
        report.lost.append(f"training configuration: {error}")
        warn(f"The model was not compiled: {error}. Compile it manually.")


def restore_optimizer(model: keras.Model, objects: KerasObjects, assigner: Assigner) -> None:
    """Build the optimizer for the model's variables and restore what was saved of it."""
    children = objects.children(0)
    if "optimizer" not in children or model.optimizer is None:
        return
    variables = model.trainable_variables
    with deferred_initializers() as deferred:
        model.optimizer.build(variables)
        OptimizerState(objects, assigner).restore(children["optimizer"], model.optimizer, variables)
        deferred.finish()
