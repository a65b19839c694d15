"""From a read SavedModel to a live Keras model: the ladder.

For each saved Keras object the first rung that holds: a custom class given or registered, by its
config; a built-in class, by its config through the dialect tables; else a class made on the fly
that has the saved name and runs the saved functions. A model that was saved without a config, a
subclass nobody supplied, runs its saved functions over sublayers that come back by their own
rungs and share their variables with it. A SavedModel without Keras objects becomes a model
around its signature.
"""

from __future__ import annotations

from functools import partial

import keras

from hozon.config.added import has_metrics
from hozon.config.followed import let_follow
from hozon.containers.savedmodel.read import SavedModel
from hozon.errors import UnsupportedError
from hozon.keras_private.backend import require_jax
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.agreement import require_told
from hozon.models.savedmodel.load.by_class import by_class
from hozon.models.savedmodel.load.by_config import (
    has_graph,
    layer_by_config,
    model_by_config,
    tell_training_of,
)
from hozon.models.savedmodel.load.by_functions import (
    does_nothing,
    graph_object,
    model_by_functions,
)
from hozon.models.savedmodel.load.native import revive_native
from hozon.models.savedmodel.load.objects import KerasNode
from hozon.models.savedmodel.load.plain import plain_derivatives
from hozon.models.savedmodel.load.revival import GivenClassError, Revival
from hozon.models.savedmodel.load.signature_model import signature_model
from hozon.models.savedmodel.load.strings import takes_strings
from hozon.models.savedmodel.load.training import finish as finish_training
from hozon.models.savedmodel.load.training import restore_training
from hozon.models.text.strings import with_strings
from hozon.typing import CustomObjects


class Ladder:
    """The rungs in their order, for the root and for each object below it."""

    def __init__(self, revival: Revival) -> None:
        self.revival = revival

    def model(self, root: KerasNode) -> keras.Model:
        """The live model of the root object."""
        try:
            model = by_class(self.revival, root)
            if model is None:
                model = model_by_config(self.revival, root, self._from_functions)
            if model is None:
                self._require_given(root)
                model = model_by_functions(self.revival, root, self._sublayer)
                tell_training_of(self.revival, root)
        except GivenClassError as error:
            raise error.reason from error
        if self.revival.metrics.cells or has_metrics(model):
            let_follow(model)
        return model

    def _require_given(self, root: KerasNode) -> None:
        """Raise GivenClassError for a class that was passed and does not fit what is stored.

        Saved functions would run without it, which is not what the caller asked for.
        """
        before = self.revival.before()
        for node in [*self.revival.objects.nodes.values()]:
            if node is not root and self.revival.is_given(node.class_name):
                by_class(self.revival, node)
        self.revival.undo(before)

    def _sublayer(self, node: KerasNode) -> keras.Layer | None:
        """The live layer of an object below one that runs its functions."""
        built = by_class(self.revival, node)
        if built is None and has_graph(node):
            built = model_by_config(self.revival, node, self._from_functions)
        elif built is None:
            built = layer_by_config(self.revival, node)
        if built is None and not does_nothing(self.revival, node):
            built = self._from_functions(node)
        return built

    def _from_functions(self, node: KerasNode) -> keras.Layer:
        return graph_object(self.revival, node, self._sublayer)


def revive(
    artifact: SavedModel,
    custom_objects: CustomObjects | None,
    *,
    compiled: bool = True,
    signature: str | None = None,
) -> keras.Model:
    """The live model of a SavedModel, with its load report.

    `signature`: what a model calls that Keras did not write; see `hozon.load_model`.
    """
    require_jax("running a SavedModel")
    revival = _revival(artifact, custom_objects)
    root = None if revival is None else revival.objects.root
    text = root is not None and takes_strings(artifact, root)
    report = LoadReport() if revival is None else revival.report
    if signature is not None and root is not None:
        raise UnsupportedError(
            f"{artifact.path} holds a Keras model, which is called as itself",
            feature=f"signature={signature!r} of a Keras model",
            instead="leave signature out, or use hozon.saved_model.load for its signatures",
        )
    if revival is None or root is None:
        model = signature_model(artifact, artifact.name, report, signature)
    elif (
        native := revive_native(
            artifact,
            revival.objects,
            revival.custom_objects,
            report,
            partial(revival.saved_call, root),
            revival.adapted,
            compiled=compiled,
        )
    ) is not None:
        model = with_strings(native) if text else native
    else:
        model = Ladder(revival).model(root)
        model = with_strings(model) if text else model
        if compiled:
            restore_training(model, revival.objects, revival.assigner, revival.custom_objects)
        finish_training(model, revival.objects, revival.assigner, revival.layers)
        report.lost += plain_derivatives(artifact, revival.run_functions())
        revival.tell()
    if revival is not None and root is not None:
        report.lost += require_told(model, partial(revival.saved_call, root))
    model.load_report = report
    return model


def _revival(artifact: SavedModel, custom_objects: CustomObjects | None) -> Revival | None:
    """None for a SavedModel that holds no Keras model."""
    if artifact.meta_graph.object_graph is None or 0 not in artifact.keras_metadata:
        return None
    return Revival(artifact, custom_objects)
