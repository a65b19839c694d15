"""Compile information of a SavedModel: loss, metrics, optimizer and its state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras

from hozon.config.training import compile_arguments
from hozon.config.upgrade import OUTPUT_NAMES
from hozon.errors import FormatError, HozonError, MismatchError, UnsafeError
from hozon.keras_private.compiled import name_logs
from hozon.models.assignment import Assignment, apply, close_account
from hozon.models.assignment.optimizer import pair_optimizer
from hozon.models.lookups import lookups_trained_otherwise
from hozon.models.outputs import compiled_outputs
from hozon.models.savedmodel.load.objects import NATIVE, KerasNode, KerasObjects
from hozon.models.savedmodel.load.optimizers import SavedOptimizer
from hozon.models.savedmodel.load.own_optimizers import pair_own
from hozon.models.savedmodel.load.weights import Assigner, is_state
from hozon.reports import warn

NO_CONFIG = (
    "No training configuration found in the save file, so the model was *not* compiled. "
    "Compile it manually."
)
NOT_COMPILED = "The model was not compiled: {}. Compile it manually."


def restore_training(
    model: keras.Model,
    objects: KerasObjects,
    assigner: Assigner,
    custom_objects: Mapping[str, object],
) -> None:
    """Compile the model as it was compiled when saved.

    A part that needs an object nobody supplied leaves the model uncompiled and says so.
    """
    root = objects.root
    config = root.metadata.get("training_config") if root is not None else None
    if root is None or config is None:
        warn(NO_CONFIG)
        return
    report = assigner.report
    try:
        arguments = compile_arguments(
            config,
            custom_objects=dict(custom_objects),
            report=report.converted,
            outputs=compiled_outputs(model, of_keras3=_is_of_keras3(root)),
            dialect="keras2",
        )
        model.compile(**arguments)
        name_logs(model)
        report.converted.extend(lookups_trained_otherwise(model))
    except (FormatError, UnsafeError):
        raise
    except (HozonError, ValueError, TypeError) as error:
        report.lost.append(f"training configuration: {error}")
        warn(NOT_COMPILED.format(error))


def _is_of_keras3(root: KerasNode) -> bool:
    """Whether a model's outputs have no names of Keras 2: it is one of Keras 3 that Hozon wrote."""
    native = root.metadata.get(NATIVE)
    return isinstance(native, Mapping) and OUTPUT_NAMES not in native


def finish(
    model: keras.Model,
    objects: KerasObjects,
    assigner: Assigner,
    layers: Mapping[int, keras.Layer],
) -> None:
    """Give a model's optimizers what was saved of them, and close the account of the load.

    `layers` are the live layers and models by node.

    Raises:
        FormatError: a stored value is damaged.
        MismatchError: a weight of the model or of the file has no counterpart.
        InternalError: a variable or a tensor was forgotten.
    """
    assignment = Assignment(report=assigner.report)
    stored = {t.key: node for node, ts in objects.artifact.stored.items() for t in ts}
    for node, variable in assigner.variables.items():
        keys = [tensor.key for tensor in objects.artifact.stored.get(node, ())]
        assignment.variables.add(id(variable))
        assignment.tensors.update(keys)
    _optimizer(model, objects, assigner, assignment)
    pair_own(objects, layers.items(), assigner, assignment)
    apply(assignment, str(objects.artifact.path))
    _rest(objects, stored, assignment)
    for variable in model.weights:
        if id(variable) in assignment.variables:
            continue
        if is_state(model, variable):
            assignment.keep(f"{variable.path}: a stateful layer begins anew", variable)
        else:
            assignment.miss(str(variable.path), variable)
    report = assignment.report
    if report.missing or report.unexpected:
        raise MismatchError(
            "not all weights found their place",
            mismatches=[
                *(f"no stored value for {name}" for name in dict.fromkeys(report.missing)),
                *(f"no variable for the stored {name}" for name in report.unexpected),
            ],
            file=str(objects.artifact.path),
        )
    close_account(assignment, stored, model)


def _optimizer(
    model: keras.Model, objects: KerasObjects, assigner: Assigner, assignment: Assignment
) -> None:
    node = objects.children(0).get("optimizer")
    optimizer = getattr(model, "optimizer", None)
    if node is not None:
        saved = SavedOptimizer(objects, node, assigner.variables)
        if optimizer is not None:
            pair_optimizer(model, saved.state(optimizer), assignment)
        else:
            assignment.leave("the optimizer's state: the model is not compiled", *saved.keys())
    elif optimizer is not None:
        for variable in optimizer.variables:
            assignment.keep(f"optimizer/{variable.name}: not in the file", variable)


def _rest(objects: KerasObjects, stored: Mapping[str, int], assignment: Assignment) -> None:
    """What no variable of the model is, nor of its optimizer."""
    metrics, learned = _below(objects, _is_metric), _below(objects, _is_learned)
    weights = set(objects.weights(0)) - learned
    for key, node in stored.items():
        if key in assignment.tensors:
            continue
        if node in metrics:
            assignment.leave(f"{key}: metrics begin anew", key)
        elif node in learned:
            assignment.leave(f"{key}: taken up as what its layer learned", key)
        elif node in weights:
            assignment.surplus(key)
        else:
            assignment.leave(f"{key}: no Keras variable; saved functions may use it", key)


def _is_metric(node: KerasNode) -> bool:
    return node.identifier.startswith("_tf_keras_metric")


def _is_learned(node: KerasNode) -> bool:
    return node.class_name.rpartition(">")[2] in LEARNED


#: Layers whose stored state is no variable in Keras 3.
LEARNED = (
    "TextVectorization",
    "StringLookup",
    "IntegerLookup",
    "IndexLookup",
    "Discretization",
    "CategoryEncoding",
)


def _below(objects: KerasObjects, wanted: Callable[[KerasNode], bool]) -> set[int]:
    """The nodes of objects of a kind, and all that only hangs on them."""
    found: set[int] = set()
    waiting = [at for at, node in objects.nodes.items() if wanted(node)]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(objects.children(node).values())
    return found
