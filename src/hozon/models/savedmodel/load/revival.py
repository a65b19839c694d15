"""One load of a SavedModel that Keras 2 wrote: what its rungs share."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from hozon.config.registry import Registry, objects_by_name
from hozon.config.upgrade import short_name
from hozon.containers.savedmodel.read import SavedModel
from hozon.errors import HozonError, MissingObjectError, UnsupportedError
from hozon.graph_level.functions import ConcreteFunction
from hozon.graph_level.loader import LoadedObject, ObjectGraphLoader
from hozon.graphs.resources import Variable as GraphVariable
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.adapted import AdaptedState
from hozon.models.savedmodel.load.call_metrics import CallMetrics
from hozon.models.savedmodel.load.cells import LateCell
from hozon.models.savedmodel.load.graph_layers import SavedCall
from hozon.models.savedmodel.load.objects import KerasNode, KerasObjects
from hozon.models.savedmodel.load.own_class import is_own
from hozon.models.savedmodel.load.weights import Assigner
from hozon.reports import warn
from hozon.typing import CustomObjects

#: Objects that came back by a lower rung which one warning names.
MOST_TOLD = 5


class GivenClassError(Exception):
    """A class that the caller passed does not take what the file says of it."""

    def __init__(self, reason: HozonError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class NotToldError(UnsupportedError):
    """A file says too little to build an object; its saved functions say the rest."""


@dataclass(frozen=True, slots=True)
class Before:
    """What a rung that fails must leave as it was."""

    report: LoadReport
    variables: dict[int, keras.Variable]
    layers: dict[int, keras.layers.Layer]
    fallen: list[str]


class Revival:
    """One load: the objects of a file on their way to live ones.

    Attributes:
        artifact: the file.
        objects: its Keras objects.
        custom_objects: the caller's classes and functions, by name.
        registry: these and what is registered.
        report: what the load did so far.
        assigner: the variables that have a live one.
        adapted: what `adapt` had learned.
        metrics: those that saved functions update.
        layers: the live layers and models by node.
        taken: variables that layers took up by code of their own, by identity.
        learned: the nodes that such state came from.
        needed: the classes that a config asks for, where nobody has them.
        fallen: the objects that came back by a lower rung than their class or config is, and why.
    """

    def __init__(self, artifact: SavedModel, custom_objects: CustomObjects | None) -> None:
        self.artifact = artifact
        self.objects = KerasObjects(artifact)
        self.custom_objects = objects_by_name(custom_objects)
        self.registry = Registry(custom_objects)
        self.report = LoadReport()
        self.assigner = Assigner(self.objects, self.report)
        self.adapted = AdaptedState(self.objects, lambda: self.loader)
        self.metrics = CallMetrics(self.objects)
        self.layers: dict[int, keras.layers.Layer] = {}
        self.taken: set[int] = set()
        self.learned: set[int] = set()
        self.needed: MissingObjectError | None = None
        self.fallen: list[str] = []
        self._loader: ObjectGraphLoader | None = None

    @property
    def loader(self) -> ObjectGraphLoader:
        """The graph-level objects, made when a saved function is first needed."""
        if self._loader is None:
            self._loader = ObjectGraphLoader(self.artifact, self._cell)
        return self._loader

    def _cell(self, node: int, variable: GraphVariable) -> LateCell:
        return LateCell(node, variable, self.assigner, self.metrics)

    def saved_call(self, node: KerasNode) -> SavedCall:
        """The saved call functions of an object."""
        loaded = self.loader.object(node.node)
        functions = dict(loaded.__dict__) if isinstance(loaded, LoadedObject) else {}
        api = functions.get("keras_api")
        if isinstance(api, LoadedObject):
            functions = {**api.__dict__, **functions}
        return SavedCall(node.name, functions)

    def run_functions(self) -> list[ConcreteFunction]:
        """The saved functions that live layers and models run."""
        calls = [getattr(layer, "saved_call", None) for layer in self.layers.values()]
        return [trace for call in calls if call is not None for trace in call.all_traces()]

    # Classes

    def is_known(self, class_name: str) -> bool:
        """Whether a class is given or registered."""
        return self.registry.custom_class(class_name) is not None

    def is_given(self, class_name: str) -> bool:
        """Whether the caller passed a class for a saved one, and did not only register it."""
        return short_name(class_name) in self.registry.given or class_name in self.registry.given

    # Rungs

    def add_object(self, node: KerasNode, layer: keras.layers.Layer) -> None:
        """Note the live layer of an object that has a class."""
        self.layers[node.node] = layer
        rung = "custom class" if is_own(layer) else "built-in class"
        self.report.add_object(node.path, node.class_name, rung)

    def before(self) -> Before:
        """What a rung that fails must leave as it was."""
        return Before(
            self.report.copy(), dict(self.assigner.variables), dict(self.layers), list(self.fallen)
        )

    def undo(self, before: Before) -> None:
        """As if nothing had been tried since."""
        self.assigner.variables, self.layers = dict(before.variables), dict(before.layers)
        self.fallen = list(before.fallen)
        self.report.restore(before.report)

    def fall(self, node: KerasNode, before: Before, error: Exception) -> None:
        """Go down a rung: as if it had not been tried, but said.

        Where nobody has the class, or the file does not tell how to build it, saved functions are
        how it is meant to come back: that is in the report alone.
        """
        self.undo(before)
        line = f"{node.path}: not built by its class or config: {error}"
        self.report.converted.append(line)
        if not isinstance(error, (MissingObjectError, NotToldError)):
            self.fallen.append(line)

    def tell(self) -> None:
        """Warn of the objects that came back by a lower rung."""
        if self.fallen:
            more = len(self.fallen) - MOST_TOLD
            lines = self.fallen[:MOST_TOLD] + ([f"and {more} more"] if more > 0 else [])
            warn(
                f"{self.artifact.path}: what follows runs the saved functions instead, "
                f"see load_report: {'; '.join(lines)}"
            )
