"""Models that Hozon saved, built again from Keras 3's own config.

Their metadata holds that config beside the one for tf_keras, and the object graph is the one that
tracking the new model gives again, so every variable finds its value by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras

from hozon.config.build import build_model
from hozon.config.layers import Compiled
from hozon.config.outputs import outputs_of
from hozon.config.training import compile_arguments
from hozon.containers.checkpoint.audit import object_graph
from hozon.containers.savedmodel.read import SavedModel
from hozon.errors import FormatError, HozonError, MismatchError, UnsafeError
from hozon.keras_private.compiled import name_logs
from hozon.keras_private.graph import functional_of
from hozon.keras_private.keras2_training import freeze_inside, freezes_variables_alone
from hozon.keras_private.layers import layers_of
from hozon.keras_private.optimizers import thawed_variables, trained_by, wrapped
from hozon.keras_private.values import deferred_initializers
from hozon.models.assignment import Assignment, apply, close_account, finalize_layers
from hozon.models.assignment.momenta import follow_product
from hozon.models.assignment.optimizer import (
    ITERATIONS,
    RATE,
    SCALE,
    SCALING,
    STEPS,
    OptimizerState,
    Stored,
    named,
    numbered,
    pair_optimizer,
    roles_of,
)
from hozon.models.built import build_as_recorded
from hozon.models.inner import compile_inner
from hozon.models.keras3.optimizer import keras2_leaves
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.adapted import AdaptedState
from hozon.models.savedmodel.load.assigning import set_trainable
from hozon.models.savedmodel.load.graph_layers import SavedCall
from hozon.models.savedmodel.load.objects import NATIVE, KerasObjects
from hozon.models.savedmodel.load.own_class import build, is_own, note_saved_call
from hozon.models.savedmodel.load.own_optimizers import is_optimizer_of_root, wait_for_own
from hozon.models.savedmodel.load.training import NO_CONFIG, NOT_COMPILED
from hozon.models.savedmodel.save.functions import variables_of
from hozon.models.savedmodel.save.nodes import UNTRACKED, track_for_savedmodel
from hozon.models.slots import SCALARS, known_name
from hozon.models.tracking.optimizers import describe_optimizer
from hozon.objects.keys import ATTRIBUTES, OBJECT_GRAPH_KEY
from hozon.objects.tracking import TrackedGraph
from hozon.reports import warn
from hozon.typing import ConfigEntry, CustomObjects

OPTIMIZER = "optimizer/"
WRAPPERS_RATE = (f"{SCALING}_learning_rate", 0)
#: What an optimizer numbers: its slots, as the counter of steps has a shorter name.
NUMBERED = "_variables/"
#: What an optimizer keeps besides slots, by the edges that lead there.
SCALAR_ROLES = {
    "_iterations": ITERATIONS,
    "_learning_rate": RATE,
    "loss_scale/current_loss_scale": SCALE,
    "loss_scale/good_steps": STEPS,
}
VALUE = ".ATTRIBUTES/VARIABLE_VALUE"


def revive_native(
    artifact: SavedModel,
    objects: KerasObjects,
    custom_objects: CustomObjects,
    report: LoadReport,
    saved_call: Callable[[], SavedCall],
    adapted: AdaptedState,
    *,
    compiled: bool,
) -> keras.Model | None:
    """The very model that was saved, None where it cannot be built from its config.

    None as well for a SavedModel that Keras 2 wrote. A model that Keras cannot build by what the
    config records, is built as it was called: `saved_call` gives the root's, `adapted` what layers
    in it look up.

    Raises:
        FormatError: it is damaged.
        UnsafeError: it asks for code to be run or files to be opened.
    """
    root = objects.root
    native = None if root is None else root.metadata.get(NATIVE)
    if not isinstance(native, Mapping) or not isinstance(native.get("config"), Mapping):
        return None
    before = report.copy()
    try:
        return _revived(
            artifact,
            objects,
            native,
            custom_objects,
            report,
            saved_call,
            adapted,
            compiled=compiled,
        )
    except (FormatError, UnsafeError):
        raise
    except MismatchError as error:
        warn(
            f"{artifact.path}: the model built from its config is not the one that was saved, so "
            f"it runs its saved functions where it must: {error}"
        )
        reason: Exception = error
    except (HozonError, ValueError, TypeError) as error:
        reason = error
    report.restore(before)
    report.converted.append(f"root: not built from Keras 3's config: {reason}")
    return None


def _revived(
    artifact: SavedModel,
    objects: KerasObjects,
    native: Mapping[str, Any],
    custom_objects: CustomObjects,
    report: LoadReport,
    saved_call: Callable[[], SavedCall],
    adapted: AdaptedState,
    *,
    compiled: bool,
) -> keras.Model:
    training = native.get("compile_config") if compiled else None
    inner: list[Compiled] = []
    with deferred_initializers() as deferred:
        model = build_model(
            native["config"],
            custom_objects=custom_objects,
            dialect="keras3",
            report=report.converted,
            inner=inner,
        )
        if objects.root is not None:
            adapted.restore_vocabularies(objects.root, model)
        shapes = native["config"].get("build_config")
        if shapes:
            build_as_recorded(model, shapes)
        if not model.built and objects.root is not None:
            build(model, objects.root, saved_call(), objects.batch_of_states)
        if objects.root is not None and functional_of(model) is None:
            note_saved_call(model, objects.root, saved_call())
        _freeze(model, objects)
        if compiled:
            compile_inner(inner, custom_objects, report)
        if isinstance(training, Mapping):
            _compile(model, training, custom_objects, report)
        assignment = Assignment(report=report)
        stored = [] if artifact.bundle is None else [*artifact.bundle]
        fits = _build_optimizer(model, artifact, stored, assignment)
        tracked = track_for_savedmodel(model, variables_of(model), optimizer=fits)
        if _share_optimizer(model, artifact, tracked):
            tracked = track_for_savedmodel(model, variables_of(model), optimizer=fits)
        inside = _inner_models(tracked, model)
        for place, part in inside.items():
            _pair_inner(part, place, artifact, stored, assignment)
        _pair(artifact, tracked, assignment, tuple(inside))
        wait_for_own(artifact, tracked, stored, assignment)
        _leave(assignment, stored, str(artifact.path))
        if fits and getattr(model, "optimizer", None) is not None:
            assignment.then.append(partial(follow_product, model.optimizer))
        apply(assignment, str(artifact.path))
        deferred.finish()
        finalize_layers(model)
    if fits:
        for role, variable in roles_of(model.optimizer).items():
            if role == WRAPPERS_RATE:
                assignment.keep("optimizer/learning_rate: that of a wrapper is not used", variable)
    close_account(assignment, (key for key in stored if key != OBJECT_GRAPH_KEY), model)
    if compiled and training is None:
        warn(NO_CONFIG)
    return model


def _freeze(model: keras.Model, objects: KerasObjects) -> None:
    """Freeze what was frozen: the config of a class of the caller's does not say what it holds."""
    saved = {node.path: node for node in objects.nodes.values()}
    if all(node.metadata.get("trainable") is not False for node in saved.values()):
        return
    alone = [layer for layer in layers_of(model) if freezes_variables_alone(layer)]
    for node in track_for_savedmodel(model, variables_of(model), optimizer=False).nodes:
        found = saved.get(".".join(("root", *node.path)))
        if found is not None and isinstance(node.target, keras.Layer):
            set_trainable(found, node.target)
    for layer in alone:
        freeze_inside(layer)


def _compile(
    model: keras.Model,
    config: ConfigEntry,
    custom_objects: CustomObjects,
    report: LoadReport,
) -> None:
    """Compile the model as it was compiled; leave it uncompiled, and say so, where that fails."""
    try:
        model.compile(
            **compile_arguments(
                config,
                custom_objects=custom_objects,
                report=report.converted,
                outputs=outputs_of(model),
                dialect="keras3",
            )
        )
    except (FormatError, UnsafeError):
        raise
    except (HozonError, ValueError, TypeError) as error:
        report.lost.append(f"training configuration: {error}")
        warn(NOT_COMPILED.format(error))
        return
    name_logs(model)


def _build_optimizer(
    model: keras.Model, artifact: SavedModel, stored: list[str], assignment: Assignment
) -> bool:
    """Build the optimizer if it was; whether it numbers its slots as the file does.

    One whose layers are all frozen by now is built for what it trained. Where some are, the
    numbers of slots may be those of other variables, so the state is given to it here.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not model.built:
        return optimizer is not None
    wanted = {key.split("/")[2] for key in stored if key.startswith(OPTIMIZER + NUMBERED)}
    if not any(key.startswith(OPTIMIZER) and key.split("/")[2] != ATTRIBUTES for key in stored):
        return True
    optimizer.build(list(model.trainable_variables) or thawed_variables(model))
    described = describe_optimizer(optimizer, trained_by(optimizer))
    found = described.children["_variables"].trackable.children
    frozen = len(thawed_variables(model)) > len(model.trainable_variables)
    if not wanted or (not frozen and len(found) - 1 == len(wanted)):
        return True
    pair_optimizer(model, _state_by_number(model, OPTIMIZER, artifact, stored), assignment)
    return False


def _share_optimizer(model: Any, artifact: SavedModel, tracked: TrackedGraph) -> bool:
    """Give the models inside that were compiled with the outer one's optimizer the same again."""
    optimizer, shared = getattr(model, "optimizer", None), False
    for node in tracked.nodes[1:]:
        compiled = isinstance(node.target, keras.Model) and node.target.compiled
        if compiled and optimizer is not None and is_optimizer_of_root(artifact, node.path):
            node.target.optimizer, shared = optimizer, True
    return shared


def _inner_models(tracked: TrackedGraph, model: Any) -> dict[str, Any]:
    """The models inside a model, by where their optimizers are stored; with ones of their own."""
    optimizer = getattr(model, "optimizer", None)
    return {
        f"{node.text}/{OPTIMIZER}": node.target
        for node in tracked.nodes[1:]
        if isinstance(node.target, keras.Model)
        if optimizer is None or getattr(node.target, "optimizer", None) is not optimizer
    }


def _pair_inner(
    model: keras.Model, place: str, artifact: SavedModel, stored: list[str], assignment: Assignment
) -> None:
    """The state of an optimizer that a model inside was compiled with."""
    if getattr(model, "optimizer", None) is not None:
        state = _state_by_number(model, place, artifact, stored)
        pair_optimizer(model, state, assignment, place.rstrip("/"))
        return
    for key in stored:
        if key.startswith(place):
            assignment.leave(f"{key}: the model inside is not compiled", key)


def _state_by_number(
    model: keras.Model, place: str, artifact: SavedModel, stored: list[str]
) -> OptimizerState:
    """The state of an optimizer that may have been built before some layers were frozen."""
    bundle: Any = artifact.bundle
    values = {k: Stored(bundle[k], (k,)) for k in stored if k.startswith(place)}
    roles = {f"{place}{edge}/{VALUE}": role for edge, role in SCALAR_ROLES.items()}
    for attribute, edges in SCALARS.get(known_name(type(wrapped(model.optimizer))), ()):
        roles |= {f"{place}{edge}/{VALUE}": (attribute, 0) for edge in edges}
    scalars = {roles[key]: values[key] for key in values if key in roles}
    numbers = {key: _number(key, place) for key in values if key.startswith(place + NUMBERED)}
    slots = sorted(numbers, key=lambda key: numbers[key])
    counted = [value for role, value in scalars.items() if role == ITERATIONS]
    names, file = _full_names(artifact), str(artifact.path)
    state = named(model, {names.get(key, key): values[key] for key in slots}) or numbered(
        model, [*counted, *(values[k] for k in slots)], partial(keras2_leaves, model), file
    )
    if state.reason:
        state.unknown += [n for r, v in scalars.items() if r != ITERATIONS for n in v.names]
    else:
        state.values |= scalars
    state.unknown += [key for key in values if key not in roles and key not in slots]
    return state


def _full_names(artifact: SavedModel) -> dict[str, str]:
    """The names of variables by their keys."""
    stored: Any = artifact.bundle or {}
    graph = object_graph(stored[OBJECT_GRAPH_KEY], str(artifact.path))
    return {tensor.key: tensor.full_name for node in graph.nodes for tensor in node.tensors}


def _number(key: str, place: str) -> int:
    return int(key.removeprefix(place + NUMBERED).split("/")[0])


def _pair(
    artifact: SavedModel, tracked: TrackedGraph, assignment: Assignment, aside: tuple[str, ...]
) -> None:
    """Every value of the model with the stored tensor of the same key, but those below `aside`.

    Raises MismatchError for one that the file lacks.
    """
    stored: Any = artifact.bundle or {}
    for node in tracked.nodes:
        path = ".".join(("root", *node.path))
        if isinstance(node.target, keras.Layer):
            rung = "custom class" if is_own(node.target) else "built-in class"
            assignment.report.add_object(path, type(node.target).__name__, rung)
        for key, leaf in () if node.text.startswith(aside) else node.leaves:
            tensor = stored.get(key)
            if tensor is None:
                raise MismatchError(f"the checkpoint holds no {key}", file=str(artifact.path))
            assignment.pair(leaf, tensor, path)


def _leave(assignment: Assignment, stored: list[str], file: str) -> None:
    """What the file holds and the model as it was built does not take.

    Raises MismatchError for more than an optimizer's state and running metrics.
    """
    rest = [key for key in stored if key not in assignment.tensors and key != OBJECT_GRAPH_KEY]
    for key in rest:
        if key.startswith(OPTIMIZER):
            assignment.leave(f"{key}: the model is not compiled", key)
        elif key.startswith(f"{UNTRACKED}/"):
            assignment.leave(f"{key}: metrics begin anew", key)
    unknown = [key for key in rest if key not in assignment.tensors]
    if unknown:
        raise MismatchError(
            "the file holds values that the model built from its config does not have",
            mismatches=[f"no variable for the stored {key}" for key in unknown],
            file=file,
        )
