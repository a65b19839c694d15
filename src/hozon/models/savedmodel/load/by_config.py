"""The second rung: an object built from its saved config, through the dialect tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import keras

from hozon.config.build import build_layer, build_model, unbuildable_layers
from hozon.config.learned_sizes import with_learned_sizes
from hozon.config.upgrade import is_model_config
from hozon.errors import HozonError, MissingObjectError, UnsupportedError
from hozon.keras_private.graph import functional_of
from hozon.keras_private.sharing import sharing
from hozon.keras_private.values import deferred_initializers
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.agreement import agrees
from hozon.models.savedmodel.load.assigning import (
    assign_model,
    assign_object,
    build_for,
    without_value,
)
from hozon.models.savedmodel.load.composites import kinds
from hozon.models.savedmodel.load.configs import (
    config_of,
    with_shared_nodes,
    without_classes,
)
from hozon.models.savedmodel.load.objects import KerasNode
from hozon.models.savedmodel.load.own_class import REFUSALS, build
from hozon.models.savedmodel.load.revival import GivenClassError, NotToldError, Revival
from hozon.models.savedmodel.load.strings import takes_strings
from hozon.typing import Config

CONFIG_MODELS = ("Sequential", "Functional", "Model")

#: Makes a layer of its saved functions.
FromFunctions = Callable[[KerasNode], keras.Layer]


def has_graph(root: KerasNode) -> bool:
    """Whether an object is a model whose config says all of it."""
    if not root.is_model or not isinstance((root.config or {}).get("layers"), list):
        return False
    return root.class_name in CONFIG_MODELS or is_model_config(root.config)


def model_by_config(
    revival: Revival, root: KerasNode, from_functions: FromFunctions
) -> keras.Model | None:
    """A model by its config, layers without a class made by `from_functions`; None if it cannot."""
    if not has_graph(root):
        return None
    told = with_learned_sizes(config_of(revival.objects, root), _means(revival))
    by_nodes = with_shared_nodes(revival.objects, root, told)
    config, absent = without_classes(by_nodes or told, revival.is_known)
    before = revival.before()
    try:
        with deferred_initializers() as deferred, nullcontext() if by_nodes is None else sharing():
            model = _build(revival, config, from_functions)
            if root.node == 0:
                _require_text_inputs(revival, root, model)
            if not model.built and revival.objects.weights(root.node):
                build(model, root, revival.saved_call(root), revival.objects.batch_of_states)
            assign_model(revival, root, model)
            _require_all(revival, model, before.report)
            deferred.finish()
        if absent or _passes_masks(revival):
            _require_agreement(revival, root, model, absent)
    except (HozonError, *REFUSALS) as error:
        revival.fall(root, before, _reason(revival, root, error))
        return None
    return model


def _means(revival: Revival) -> dict[str, tuple[int, ...]]:
    """The shapes of the means that layers of a file have learned, by their names."""
    objects = revival.objects
    found = {
        node.name: objects.variable(objects.children(node.node).get("mean", node.node))
        for node in objects.nodes.values()
        if node.is_layer
    }
    shapes = {name: v.shape.dims or () for name, v in found.items() if v is not None}
    return {name: tuple(n for n in dims if n is not None) for name, dims in shapes.items()}


def _reason(revival: Revival, root: KerasNode, error: Exception) -> Exception:
    """Why a model was not built; only saved functions take ragged and sparse values here."""
    call = revival.saved_call(root)
    return NotToldError(str(error)) if call.exists and kinds(call.input_specs()) else error


def layer_by_config(revival: Revival, node: KerasNode) -> keras.Layer | None:
    """A layer by config, built for the input shape that was saved with it; None if it cannot."""
    if node.config is None:
        return None
    before = revival.before()
    try:
        with deferred_initializers() as deferred:
            layer = build_layer(
                config_of(revival.objects, node),
                custom_objects=revival.custom_objects,
                dialect="keras2",
            )
            build_for(revival, node, layer)
            if not layer.built and revival.objects.weights(node.node):
                raise NotToldError(f"the file does not tell what {node.class_name} was built for")
            assign_object(revival, node, layer)
            _require_all(revival, layer, before.report)
            deferred.finish()
    except (HozonError, *REFUSALS) as error:
        revival.fall(node, before, error)
        return None
    return layer


def _build(revival: Revival, config: Config, from_functions: FromFunctions) -> keras.Model:
    """Build by config; where classes are missing, layers that run their saved functions."""
    arguments: dict[str, Any] = {"custom_objects": revival.custom_objects, "dialect": "keras2"}
    changes: list[str] = []
    try:
        model = build_model(config, report=changes, **arguments)
    except HozonError as error:
        changes = []
        missing = unbuildable_layers(config, **arguments)
        if isinstance(error, MissingObjectError):
            revival.needed = error
        if any(revival.is_given(name) for name in missing.values()):
            raise GivenClassError(error) from error
        factories = _factories(revival, missing, from_functions)
        if not factories:
            raise
        model = build_model(config, report=changes, factories=factories, **arguments)
    revival.report.converted.extend(changes)
    return model


def _factories(
    revival: Revival, missing: Mapping[str, str], from_functions: FromFunctions
) -> dict[str, Callable[..., Any]]:
    """For each layer that no class can be found for, what makes it from saved functions.

    None at all if one of them has no saved functions.
    """
    factories: dict[str, Callable[..., Any]] = {}
    for name in missing:
        at = revival.objects.by_name.get(name)
        if at is None or not revival.saved_call(revival.objects.nodes[at]).exists:
            return {}
        factories[name] = _factory(revival.objects.nodes[at], from_functions)
    return factories


def _factory(node: KerasNode, from_functions: FromFunctions) -> Callable[..., Any]:
    return lambda config: from_functions(node)


# What must hold of a model that was built by its config


def _require_agreement(
    revival: Revival, root: KerasNode, model: keras.Model, absent: Sequence[str]
) -> None:
    """Classes that nobody has may compute more, or other masks, than the config says."""
    names = ", ".join(map(repr, absent))
    if not agrees(model, revival.saved_call(root)):
        what = f"{names}, a class that nobody gave, has" if absent else "layers have"
        raise NotToldError(f"{what} a call or mask of its own that no config tells of")
    _tell_training(revival, root, absent)


def tell_training_of(revival: Revival, root: KerasNode) -> None:
    """Say what a model of saved functions may have had beside the layers in its config."""
    if has_graph(root):
        _, absent = without_classes(config_of(revival.objects, root), revival.is_known)
        _tell_training(revival, root, absent)


def _tell_training(revival: Revival, root: KerasNode, absent: Sequence[str]) -> None:
    if absent:
        revival.report.lost.append(
            f"{root.path}: {', '.join(map(repr, absent))} was not given, so training is that of "
            "keras.Model: a train_step, test_step or compute_loss of its own is lost "
            f"(custom_objects={{{absent[0]!r}: ...}} has it)"
        )


def _passes_masks(revival: Revival) -> bool:
    """Whether a layer without its class hands masks on, which is guessed from those behind."""
    return any(getattr(layer, "passes_mask", False) for layer in revival.layers.values())


def _require_text_inputs(revival: Revival, root: KerasNode, model: keras.Model) -> None:
    """Strings enter a model built from its config by inputs that are declared as strings."""
    functional = functional_of(model)
    inputs = () if functional is None else functional.inputs
    if takes_strings(revival.artifact, root) and not any(t.dtype == "string" for t in inputs):
        raise NotToldError("it takes strings, but its config declares no input for them")


def _require_all(revival: Revival, layer: keras.layers.Layer, before: LoadReport) -> None:
    """A model or layer of which a variable found no place would be silently wrong."""
    report = revival.report
    left = report.mismatched[len(before.mismatched) :]
    left += [f"{name} found no place" for name in report.unexpected[len(before.unexpected) :]]
    left += without_value(revival, layer)
    if left:
        raise UnsupportedError(f"its variables do not fit: {'; '.join(left[:3])}")
