"""From a read SavedModel to a live Keras model: the ladder.

For each saved Keras object the first rung that holds: a custom class given or registered, by its
config; a built-in class, by its config through the dialect tables; else a class made on the fly
that has the saved name and runs the saved functions. A model that was saved without a config, a
subclass nobody supplied, runs its saved functions over sublayers that come back by their own
rungs and share their variables with it. A SavedModel without Keras objects becomes a model
around its signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras

from hozon.config.added import has_metrics
from hozon.config.build import build_layer, build_model, unbuildable_layers
from hozon.config.followed import let_follow
from hozon.config.registry import Registry, objects_by_name
from hozon.config.upgrade import is_model_config, short_name
from hozon.containers.savedmodel.read import SavedModel
from hozon.errors import HozonError, MismatchError, MissingObjectError, UnsupportedError
from hozon.graph_level.loader import LoadedObject, ObjectGraphLoader
from hozon.graphs.resources import Variable as GraphVariable
from hozon.graphs.values import Cell, is_traced
from hozon.keras_private.backend import require_jax
from hozon.keras_private.graph import functional_of
from hozon.keras_private.layers import keep_states, layers_of, states_of, take_anything
from hozon.keras_private.training import hand_training_on
from hozon.keras_private.values import deferred_initializers
from hozon.models.assignment import finalize_layers
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.adapted import AdaptedState
from hozon.models.savedmodel.load.agreement import agrees
from hozon.models.savedmodel.load.call_metrics import CallCell, CallMetrics
from hozon.models.savedmodel.load.cells import KerasCell
from hozon.models.savedmodel.load.composites import with_composites
from hozon.models.savedmodel.load.configs import config_of, without_classes
from hozon.models.savedmodel.load.graph_layers import (
    GraphLayer,
    GraphModel,
    SavedCall,
    SavedPenalty,
    graph_class,
)
from hozon.models.savedmodel.load.masks import passes_mask
from hozon.models.savedmodel.load.native import revive_native
from hozon.models.savedmodel.load.objects import NATIVE, KerasNode, KerasObjects
from hozon.models.savedmodel.load.own_class import (
    REFUSALS,
    NoConfigError,
    build,
    is_own,
    layers_of_model,
    make_without_config,
    pair,
)
from hozon.models.savedmodel.load.signature_model import signature_model
from hozon.models.savedmodel.load.training import finish as finish_training
from hozon.models.savedmodel.load.training import restore_training
from hozon.models.savedmodel.load.weights import Assigner
from hozon.models.text.strings import with_strings
from hozon.stored.dtypes import STRING


class GivenClassError(Exception):
    """A class that the caller passed does not take what the file says of it."""

    def __init__(self, reason: HozonError) -> None:
        super().__init__(str(reason))
        self.reason = reason


#: Attributes by which Keras' wrappers hold layers.
WRAPPED = ("layer", "forward_layer", "backward_layer")
CONFIG_MODELS = ("Sequential", "Functional", "Model")


class Revival:
    """One load: the objects of a file on their way to live ones."""

    def __init__(self, artifact: SavedModel, custom_objects: Mapping[str, Any] | None) -> None:
        self.artifact = artifact
        self.objects = KerasObjects(artifact)
        self.custom_objects = objects_by_name(custom_objects)
        self.registry = Registry(custom_objects)
        self.report = LoadReport()
        self.assigner = Assigner(self.objects, self.report)
        self.adapted = AdaptedState(self.objects, lambda: self.loader)
        self.layers: dict[int, keras.layers.Layer] = {}
        self._needed: MissingObjectError | None = None
        self._loader: ObjectGraphLoader | None = None
        self._cells: dict[int, Any] = {}
        self._adapted: set[int] = set()
        self._adapted_nodes: set[int] = set()
        self.metrics = CallMetrics(self.objects)

    @property
    def loader(self) -> ObjectGraphLoader:
        """The graph-level objects, made when a saved function is first needed."""
        if self._loader is None:
            self._loader = ObjectGraphLoader(self.artifact, self._cell)
        return self._loader

    def model(self, root: KerasNode) -> keras.Model:
        """The live model of the root object."""
        try:
            model = self._by_class(root)
            if model is None:
                model = self._by_config(root)
            if model is None:
                model = self._by_functions(root)
        except GivenClassError as error:
            raise error.reason from error
        if self.metrics.cells or has_metrics(model):
            let_follow(model)
        return model

    # Made by a class of the caller's

    def _class_of(self, node: KerasNode) -> Any:
        """The caller's or a registered layer class for an object, None without one."""
        found = self.registry.custom_class(node.class_name)
        layer = isinstance(found, type) and issubclass(found, keras.Layer)
        return found if layer else None

    def _by_class(self, node: KerasNode) -> Any:
        """An object of a class whose code, not its config, says what is in it.

        None without such a class.

        Raises:
            MismatchError: the class has other variables, or another call, than the file.
            UnsupportedError: the class does not take the saved config.
        """
        found = self._class_of(node)
        if found is None or is_model_config(node.config):
            return None
        before = self._state()
        try:
            with deferred_initializers() as deferred:
                made = self._made(found, node)
                self._assign_own(node, made)
                deferred.finish()
        except NoConfigError as error:
            self._fall(node, before, error)
            return None
        except HozonError as error:
            if self._is_given(node.class_name):
                raise GivenClassError(error) from error
            self._fall(node, before, error)
            return None
        if node.node == 0 and isinstance(made, keras.Model) and NATIVE not in node.metadata:
            hand_training_on(made)
        return made

    def _made(self, found: type, node: KerasNode) -> Any:
        if node.config is None:
            return make_without_config(found, node)
        return build_layer(
            config_of(self.objects, node),
            custom_objects=self.custom_objects,
            report=self.report.converted,
            dialect="keras2",
        )

    def _is_given(self, class_name: str) -> bool:
        """Whether the caller passed a class for a saved one, and did not only register it."""
        return short_name(class_name) in self.registry.given or class_name in self.registry.given

    def _assign_own(self, node: KerasNode, layer: Any) -> None:
        """The variables of an object of the caller's class, by the object graph."""
        if not layer.built:
            build(layer, node, self._saved_call(node))
        found = pair(self.objects, node, layer)
        for saved, live in found.layers:
            self._set_trainable(saved, live)
        for saved, live in found.layers:
            if not is_own(live):
                self._assign_object(saved, live)
            elif saved.node not in self.layers:
                self._add_object(saved, live)
        for at, variable in found.variables:
            if at not in self.assigner.variables:
                self.assigner.assign(at, variable, node.path)
        self._require_own(node, layer)

    def _require_own(self, node: KerasNode, layer: Any) -> None:
        """Every variable of a class of the caller's has its value, every stored one its place."""
        left = [
            f"stored {saved.name} {saved.shape.dims} has no place in it"
            for at in self.objects.weights(node.node)
            if at not in self.assigner.variables
            and at not in self._adapted_nodes
            and (saved := self.objects.variable(at))
        ]
        left += self._without_value(layer)
        if left:
            reason = MismatchError(
                f"{node.path}: the class {type(layer).__name__} does not fit what is stored of "
                f"{node.class_name}",
                file=str(self.artifact.path),
                mismatches=left,
            )
            raise GivenClassError(reason) if self._is_given(node.class_name) else reason

    def _without_value(self, layer: Any) -> list[str]:
        """The weights of a layer or model that were given none."""
        given = {id(v) for v in self.assigner.variables.values()} | self._adapted
        return [
            f"nothing is stored for its {v.path} {tuple(v.shape)}"
            for v in layer.weights
            if id(v) not in given
        ]

    def _state(self) -> tuple[LoadReport, dict[int, Any], dict[int, Any]]:
        """What a rung that fails must leave as it was."""
        return self.report.copy(), dict(self.assigner.variables), dict(self.layers)

    def _fall(self, node: KerasNode, before: tuple[Any, Any, Any], error: Exception) -> None:
        """Go down a rung: as if it had not been tried, but said."""
        report, self.assigner.variables, self.layers = before
        self.report.restore(report)
        self.report.converted.append(f"{node.path}: not built by its class or config: {error}")

    # Built from config

    def _by_config(self, root: KerasNode) -> keras.Model | None:
        config = self._config_of(root)
        if config is None:
            return None
        config, absent = without_classes(config, self._is_known)
        before = self._state()
        try:
            with deferred_initializers() as deferred:
                model = self._build(config)
                if root.node == 0:
                    self._require_text_inputs(root, model)
                self._assign_model(root, model)
                self._require_all(model)
                deferred.finish()
            if absent or self._passes_masks():
                self._require_agreement(root, model, absent)
        except (HozonError, *REFUSALS) as error:
            self._fall(root, before, error)
            return None
        return model

    def _build(self, config: dict[str, Any]) -> keras.Model:
        """Build by config; where classes are missing, layers that run their saved functions."""
        arguments: dict[str, Any] = {"custom_objects": self.custom_objects, "dialect": "keras2"}
        changes: list[str] = []
        try:
            model = build_model(config, report=changes, **arguments)
        except HozonError as error:
            changes = []
            missing = unbuildable_layers(config, **arguments)
            if isinstance(error, MissingObjectError):
                self._needed = error
            if any(self._is_given(name) for name in missing.values()):
                raise GivenClassError(error) from error
            factories = self._factories(missing)
            if not factories:
                raise
            model = build_model(config, report=changes, factories=factories, **arguments)
        self.report.converted.extend(changes)
        return model

    def _is_known(self, class_name: str) -> bool:
        return self.registry.custom_class(class_name) is not None

    def _require_agreement(
        self, root: KerasNode, model: keras.Model, absent: Sequence[str]
    ) -> None:
        """Classes that nobody has may compute more, or other masks, than the config says."""
        names = ", ".join(map(repr, absent))
        if not agrees(model, self._saved_call(root)):
            what = f"{names}, a class that nobody gave, has" if absent else "layers have"
            raise UnsupportedError(f"{what} a call or mask of its own that no config tells of")
        if absent:
            self.report.lost.append(
                f"{root.path}: {names} was not given, so training is that of keras.Model: a "
                "train_step, test_step or compute_loss of its own is lost "
                f"(custom_objects={{{absent[0]!r}: ...}} has it)"
            )

    def _passes_masks(self) -> bool:
        """Whether a layer without its class hands masks on, which is guessed from those behind."""
        return any(getattr(layer, "passes_mask", False) for layer in self.layers.values())

    def _require_text_inputs(self, root: KerasNode, model: keras.Model) -> None:
        """Strings enter a model built from its config by inputs that are declared as strings."""
        functional = functional_of(model)
        inputs = () if functional is None else functional.inputs
        if takes_strings(self.artifact, root) and not any(t.dtype == "string" for t in inputs):
            raise UnsupportedError("it takes strings, but its config declares no input for them")

    def _require_all(self, model: keras.Model) -> None:
        """A model of which a variable found no place would be silently wrong."""
        report = self.report
        left = [*report.mismatched, *(f"{name} found no place" for name in report.unexpected)]
        left += self._without_value(model)
        if left:
            raise UnsupportedError(f"its variables do not fit: {'; '.join(left[:3])}")

    def _config_of(self, root: KerasNode) -> dict[str, Any] | None:
        """The config of a model that says all of it."""
        if not root.is_model or not isinstance((root.config or {}).get("layers"), list):
            return None
        if root.class_name not in CONFIG_MODELS and not is_model_config(root.config):
            return None
        return config_of(self.objects, root)

    def _factories(self, missing: Mapping[str, str]) -> dict[str, Callable[..., Any]]:
        """For each layer that no class can be found for, what makes it from saved functions.

        None at all if one of them has no saved functions.
        """
        factories: dict[str, Callable[..., Any]] = {}
        for name in missing:
            node_id = self.objects.by_name.get(name)
            if node_id is None or not self._saved_call(self.objects.nodes[node_id]).exists:
                return {}
            factories[name] = self._factory(self.objects.nodes[node_id])
        return factories

    def _factory(self, node: KerasNode) -> Callable[..., Any]:
        return lambda config: self._graph_object(node, GraphLayer)

    def _assign_model(self, root: KerasNode, model: keras.Model) -> None:
        if is_own(model):
            self._assign_own(root, model)
            return
        self._add_object(root, model)
        for node, layer in layers_of_model(self.objects, root.node, model):
            if layer is None:
                self.report.lost.append(f"{node.path}: no layer {node.name!r} in the model")
                continue
            self._assign_object(node, layer)

    def _assign_object(self, node: KerasNode, layer: keras.layers.Layer) -> None:
        """Weights of a built layer, sublayers of nested models one by one."""
        if node.node in self.layers:
            return
        if isinstance(layer, keras.Model) and node.is_model and any(self.objects.layers(node.node)):
            self._assign_model(node, layer)
            return
        if is_own(layer):
            self._assign_own(node, layer)
            return
        self._build_for(node, layer)
        self._add_object(node, layer)
        if self.adapted.restore(node.node, layer):
            self._adapted |= {id(v) for v in layer.weights}
            self._adapted_nodes.update(self.objects.weights(node.node))
        else:
            self.assigner.assign_layer(node.node, layer, node.path)
            self._assign_states(node.node, layer, node.path)
            finalize_layers(layer)

    def _assign_states(self, at: int, layer: Any, path: str) -> None:
        """What stateful RNNs had kept from the last call, those inside of wrappers too."""
        for name, child in self.objects.children(at).items():
            inside = getattr(layer, name, None) if name in WRAPPED else None
            if isinstance(inside, keras.layers.Layer):
                self._assign_states(child, inside, f"{path}.{name}")
        for node, state in zip(self.objects.states(at), states_of(layer), strict=False):
            self.assigner.assign(node, state, path)
        keep_states(layer)

    def _add_object(self, node: KerasNode, layer: keras.layers.Layer) -> None:
        self.layers[node.node] = layer
        rung = "custom class" if is_own(layer) else "built-in class"
        self.report.add_object(node.path, node.class_name, rung)

    @staticmethod
    def _set_trainable(node: KerasNode, layer: keras.layers.Layer) -> None:
        """Freeze or thaw a layer as it was; one that holds others hands it on to them."""
        trainable = node.metadata.get("trainable")
        if isinstance(trainable, bool) and layer.trainable is not trainable:
            layer.trainable = trainable

    @staticmethod
    def _build_for(node: KerasNode, layer: keras.layers.Layer) -> None:
        """Build a layer for the input shape that was saved with it."""
        shape = node.metadata.get("build_input_shape")
        if shape is not None and not layer.built:
            layer.build(_shape(shape))

    # Running saved functions

    def _saved_call(self, node: KerasNode) -> SavedCall:
        loaded = self.loader.object(node.node)
        functions = dict(loaded.__dict__) if isinstance(loaded, LoadedObject) else {}
        api = functions.get("keras_api")
        if isinstance(api, LoadedObject):
            functions = {**api.__dict__, **functions}
        return SavedCall(node.name, functions)

    def _by_functions(self, root: KerasNode) -> keras.Model:
        call = self._saved_call(root)
        if not call.exists:
            self._require_signature(root)
            return signature_model(self.artifact, root.name, self.report)
        base = GraphModel if root.is_model else GraphLayer
        return with_composites(self._graph_object(root, base), call.input_specs())

    def _require_signature(self, root: KerasNode) -> None:
        """A model without functions and classes is only its signatures, where it has some."""
        init = "__saved_model_init_op"
        if any(name != init for name in self.artifact.meta_graph.signatures):
            return
        if self._needed is not None:
            raise MissingObjectError(
                f"{self.artifact.path} was saved without the functions of its model, so it needs "
                "the classes",
                names=self._needed.names,
            )
        raise UnsupportedError(
            f"{self.artifact.path} was saved without the functions of its model, and its class "
            f"{root.class_name!r} has no config to build it from; make the model by its own code "
            "and load the weights"
        )

    def _graph_object(self, node: KerasNode, base: type) -> Any:
        """A layer or model that runs its saved functions and owns its variables."""
        made = graph_class(base, node.class_name)(name=_valid_name(node.name))
        made.saved_call = self._saved_call(node)
        made.call_metrics = self.metrics
        made.saved_config = node.config
        made.supports_masking = True
        made.passes_mask = passes_mask(
            self.objects, node, lambda other: self._saved_call(other).takes_mask
        )
        if made.saved_call.takes_strings:
            take_anything(made)
        self.layers[node.node] = made
        self.report.add_object(node.path, node.class_name, "saved functions")
        self._add_sublayers(node, made)
        self._add_variables(node, made)
        self._add_metrics(node, made)
        self._add_penalties(node)
        self._tell_constraints(node)
        self._freeze(made)
        made.built = True
        return made

    def _freeze(self, made: Any) -> None:
        """Freeze a layer and those in it as they were, outer ones first."""
        below = {id(layer): node for node, layer in self.layers.items()}
        for layer in layers_of(made):
            node = self.objects.nodes.get(below.get(id(layer), -1))
            if node is not None:
                self._set_trainable(node, layer)

    def _add_sublayers(self, node: KerasNode, made: Any) -> None:
        for name, child in self.objects.attributes(node.node).items():
            value = self._attribute(child)
            if value is not None:
                _set_attribute(made, name, value)

    def _attribute(self, node_id: int) -> Any:
        """A sublayer, or a list or dictionary of them, as a live attribute; None for the rest."""
        node = self.objects.nodes.get(node_id)
        if node is not None and node.is_layer:
            return self.layers.get(node_id) or self._sublayer(node)
        if node is None and self.objects.is_list(node_id):
            items = [self._attribute(item) for item in self.objects.items(node_id)]
            return [item for item in items if item is not None] or None
        return None

    def _sublayer(self, node: KerasNode) -> Any:
        built = self._by_class(node)
        if built is None:
            built = self._built_sublayer(node)
        if built is not None:
            return built
        if not self._saved_call(node).exists and not self.objects.weights(node.node):
            return None
        return self._graph_object(node, GraphModel if node.is_model else GraphLayer)

    def _built_sublayer(self, node: KerasNode) -> Any:
        """A sublayer by config, built for the input shape that was saved with it."""
        if node.config is None:
            return None
        if self._config_of(node) is not None:
            return self._by_config(node)
        config = config_of(self.objects, node)
        try:
            with deferred_initializers() as deferred:
                layer = build_layer(config, custom_objects=self.custom_objects, dialect="keras2")
                self._build_for(node, layer)
                if len(layer.weights) != len(self.objects.weights(node.node)):
                    return None
                self._assign_object(node, layer)
                deferred.finish()
        except (HozonError, ValueError, TypeError):
            return None
        return layer

    def _add_variables(self, node: KerasNode, made: Any) -> None:
        """Keras variables for the saved ones that no sublayer has taken."""
        weights = self.objects.weights(node.node)
        for node_id in weights:
            if node_id not in self.assigner.variables:
                self._new_variable(node_id, made, node.path)

    def _add_penalties(self, node: KerasNode) -> None:
        """The penalties of a layer's own weights, which no config makes."""
        for variable, function in self.objects.penalties(node.node):
            live = self.assigner.variables.get(variable)
            if live is not None and live.regularizer is None:
                live.regularizer = SavedPenalty(self.loader.object(function))

    def _tell_constraints(self, node: KerasNode) -> None:
        """A constraint is in no saved function: without its class it is lost."""
        for key, value in (node.config or {}).items():
            if key.endswith("_constraint") and value is not None:
                self.report.lost.append(f"{node.path}: {key} is not applied without its class")

    def _add_metrics(self, node: KerasNode, made: Any) -> None:
        """Live metrics for those that the object's own call updates."""
        for name, metric in self.metrics.of(node.node).items():
            _set_attribute(made, f"metric_{name}", metric)

    def _new_variable(self, node_id: int, owner: Any, path: str) -> None:
        saved = self.objects.variable(node_id)
        stored = None if saved is None else self.artifact.variable_value(node_id, saved)
        if saved is None or stored is None:
            return
        with deferred_initializers():
            variable = owner.add_weight(
                shape=stored.shape,
                dtype=stored.dtype.name,
                initializer="zeros",
                trainable=saved.trainable,
                name=_last(saved.name),
                autocast=False,
            )
        self.assigner.assign(node_id, variable, path)

    def _cell(self, node_id: int, variable: GraphVariable) -> Any:
        """What graph functions use for a variable node: the Keras variable once there is one."""
        return LateCell(self, node_id, variable)


class LateCell(Cell):
    """A variable node of the graph, bound to its Keras variable when first used."""

    trainable = True

    def __init__(self, revival: Revival, node_id: int, variable: GraphVariable) -> None:
        self._revival = revival
        self._node_id = node_id
        self._variable = variable
        self.name = variable.name
        self.shape = variable.shape
        self.dtype = variable.dtype

    @property
    def _target(self) -> Any:
        live = self._revival.assigner.variables.get(self._node_id)
        if live is not None:
            return KerasCell(live, self.dtype)
        return self._revival.metrics.cells.get(self._node_id, self._variable)

    @property
    def initialized(self) -> bool:
        """Whether there is a value to read."""
        return bool(getattr(self._target, "initialized", True))

    def read(self) -> Any:
        """The current value."""
        return self._target.read()

    def peek(self) -> Any:
        """The current value if a Keras variable holds it, so that it may be traced."""
        target = self._target
        return target.read() if isinstance(target, (KerasCell, CallCell)) else None

    def assign(self, value: Any) -> None:
        """Replace the value; a variable that no Keras object has does not take traced ones."""
        target = self._target
        if isinstance(target, (KerasCell, CallCell)) or not is_traced(value):
            target.assign(value)


def revive(
    artifact: SavedModel,
    custom_objects: Mapping[str, Any] | None,
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
        native := revive_native(artifact, root, revival.custom_objects, report, compiled=compiled)
    ) is not None:
        model = with_strings(native) if text else native
    else:
        model = revival.model(root)
        model = with_strings(model) if text else model
        if compiled:
            restore_training(model, revival.objects, revival.assigner, revival.custom_objects)
        finish_training(model, revival.objects, revival.assigner)
    model.load_report = report
    return model


def _revival(artifact: SavedModel, custom_objects: Mapping[str, Any] | None) -> Revival | None:
    """None for a SavedModel that holds no Keras model."""
    if artifact.meta_graph.object_graph is None or 0 not in artifact.keras_metadata:
        return None
    return Revival(artifact, custom_objects)


def takes_strings(artifact: SavedModel, root: KerasNode) -> bool:
    """Whether a model is called on strings; a signature beside it may take some all the same."""
    signatures = artifact.meta_graph.signatures.values()
    served = any(
        int(info.dtype) == STRING.number
        for signature in signatures
        for info in signature.inputs.values()
    )
    spec = root.metadata.get("full_save_spec") or root.metadata.get("save_spec")
    if not served or spec is None:
        return served and not _has_numeric_inputs(root)
    return STRING.name in set(_dtypes(spec))


def _has_numeric_inputs(root: KerasNode) -> bool:
    """Whether the config of a model declares its inputs, none of them as strings."""
    layers = (root.config or {}).get("layers")
    entries = [e for e in layers if isinstance(e, dict)] if isinstance(layers, list) else []
    inputs = [e["config"] for e in entries if e.get("class_name") == "InputLayer"]
    return bool(inputs) and not any(config.get("dtype") == STRING.name for config in inputs)


def _dtypes(spec: Any) -> Iterator[str]:
    """The dtypes of a saved structure of type specs: ``[shape, dtype, ...]`` each."""
    if isinstance(spec, Mapping) and spec.get("class_name") == "TypeSpec":
        yield str(spec["serialized"][1])
    elif isinstance(spec, Mapping):
        yield from (dtype for item in spec.values() for dtype in _dtypes(item))
    elif isinstance(spec, (list, tuple)):
        yield from (dtype for item in spec for dtype in _dtypes(item))


def _set_attribute(target: Any, name: str, value: Any) -> None:
    """Set an attribute under its saved name, unless Keras uses that name itself."""
    if not name.isidentifier() or hasattr(type(target), name):
        name = f"saved_{name}"
    if name.isidentifier():
        setattr(target, name, value)


def _valid_name(name: str) -> str | None:
    return name.replace("/", "_") or None


def _last(name: str) -> str:
    return name.split(":")[0].rsplit("/", 1)[-1] or "variable"


def _shape(value: Any) -> Any:
    """A saved input shape: a list of sizes, or a structure of such lists."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list) and any(isinstance(item, (list, dict)) for item in value):
        return [_shape(item) for item in value]
    return tuple(value)
