"""Models that Hozon saved, built again from Keras 3's own config.

Their metadata holds that config beside the one for tf_keras, and the object graph is the one that
tracking the new model gives again, so every variable finds its value by its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from hozon.config.build import build_model
from hozon.config.training import compile_arguments
from hozon.containers.savedmodel.read import SavedModel
from hozon.errors import HozonError, UnsupportedError
from hozon.keras_private.values import deferred_initializers
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.objects import NATIVE, KerasNode
from hozon.models.savedmodel.load.training import NO_CONFIG
from hozon.models.savedmodel.save.functions import variables_of
from hozon.models.savedmodel.save.nodes import track_for_savedmodel
from hozon.objects.tracking import TrackedGraph
from hozon.reports import warn


def revive_native(
    artifact: SavedModel,
    root: KerasNode,
    custom_objects: Mapping[str, Any],
    report: LoadReport,
    *,
    compiled: bool,
) -> keras.Model | None:
    """The very model that was saved, None where it needs a class that is not at hand.

    None as well for a SavedModel that Keras 2 wrote.
    """
    native = root.metadata.get(NATIVE)
    if not isinstance(native, Mapping) or not isinstance(native.get("config"), Mapping):
        return None
    try:
        with deferred_initializers() as deferred:
            model = _built(native["config"], custom_objects, report)
            training = native.get("compile_config") if compiled else None
            if isinstance(training, Mapping):
                _compile(model, training, custom_objects, report)
            tracked = track_for_savedmodel(
                model, variables_of(model), optimizer=training is not None
            )
            values = _values(artifact, tracked)
            _assign(tracked, values, report)
            deferred.finish()
        if compiled and training is None:
            warn(NO_CONFIG)
    except (HozonError, ValueError, TypeError) as error:
        report.converted.append(f"root: not built from Keras 3's config: {error}")
        return None
    return model


def _built(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any], report: LoadReport
) -> keras.Model:
    model = build_model(
        config, custom_objects=custom_objects, dialect="keras3", report=report.converted
    )
    shapes = config.get("build_config")
    if not model.built and shapes:
        model.build_from_config(shapes)
    return model


def _compile(
    model: keras.Model,
    config: Mapping[str, Any],
    custom_objects: Mapping[str, Any],
    report: LoadReport,
) -> None:
    names = getattr(model, "output_names", ()) or ()
    model.compile(
        **compile_arguments(
            config, custom_objects=custom_objects, report=report.converted, output_names=names
        )
    )
    if model.optimizer is not None and model.built:
        model.optimizer.build(model.trainable_variables)


def _values(artifact: SavedModel, tracked: TrackedGraph) -> dict[str, Any]:
    """The stored tensor of each variable; all are looked at before any is assigned."""
    stored: Any = artifact.bundle or {}
    found = {}
    for key, leaf in tracked.leaves():
        tensor = stored.get(key)
        if tensor is None:
            raise UnsupportedError(f"the checkpoint holds no {key}")
        if leaf.shape is not None and tuple(tensor.shape) != tuple(leaf.shape):
            raise UnsupportedError(f"{key} has shape {tensor.shape}, not {leaf.shape}")
        found[key] = tensor
    return found


def _assign(tracked: TrackedGraph, values: Mapping[str, Any], report: LoadReport) -> None:
    for node in tracked.nodes:
        path = ".".join(("root", *node.path))
        if isinstance(node.target, keras.Layer):
            own = type(node.target).__module__.startswith("keras.")
            rung = "built-in class" if own else "custom class"
            report.add_object(path, type(node.target).__name__, rung)
        leaf = node.trackable.leaf
        if leaf is not None:
            leaf.assign(values[node.key].read())
            report.matched.append(path)
