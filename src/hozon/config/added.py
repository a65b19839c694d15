"""Losses and metrics given to a functional model from outside, by tensors of its graph.

As in Keras 2, each is a layer (AddLoss, AddMetric) that no output needs. Keras 3 runs only what
leads to an output, so the model is told to compute these too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import keras

from hozon.config.legacy.simple import AddLoss, AddMetric
from hozon.errors import UnsupportedError
from hozon.keras_private.graph import Functional, compute_also, operations_of_outputs
from hozon.keras_private.layers import layers_of
from hozon.keras_private.training import forget_compiled_steps

__all__ = ["Added", "add_loss", "add_metric", "added_to", "attach", "has_metrics", "without_added"]

Added = AddLoss | AddMetric


def add_loss(model: keras.Model, loss: keras.KerasTensor) -> None:
    """Add a scalar of a functional model's graph to what its training minimizes.

    Args:
        model: made of tensors, `keras.Model(inputs, outputs)`.
        loss: shape (), computed from the model's inputs.

    Raises:
        ValueError: the tensor is no scalar, or does not come from the model's inputs.
        UnsupportedError: the model is not functional.
    """
    if tuple(loss.shape):
        raise ValueError(
            f"add_loss() takes a scalar, this tensor has the shape {tuple(loss.shape)}: give its "
            "mean or sum"
        )
    _add(model, AddLoss(dtype=loss.dtype), loss, "add_loss")


def add_metric(model: keras.Model, value: keras.KerasTensor, name: str | None) -> None:
    """Follow the mean of a tensor of a functional model's graph as a metric.

    Args:
        model: made of tensors, `keras.Model(inputs, outputs)`.
        value: of any shape, computed from the model's inputs.
        name: of the metric.

    Raises:
        ValueError: there is no name, or the tensor does not come from the model's inputs.
        UnsupportedError: the model is not functional.
    """
    if not name:
        raise ValueError("add_metric() of a tensor needs a name=, under which it is reported")
    if name in {metric.name for metric in model.metrics}:
        raise ValueError(f"name={name!r}: the model has a metric of this name")
    _add(
        model,
        AddMetric(aggregation="mean", metric_name=name, dtype=value.dtype),
        value,
        "add_metric",
    )


def added_to(model: keras.Model) -> list[Added]:
    """The layers of a functional model that are there for training alone."""
    if not isinstance(model, Functional):
        return []
    candidates = [layer for layer in model.layers if isinstance(layer, Added)]
    if not candidates:
        return []
    needed = {id(operation) for operation in operations_of_outputs(model)}
    return [layer for layer in candidates if id(layer) not in needed]


def attach(model: keras.Model, layers: Iterable[Added]) -> None:
    """Make a functional model run layers that were called on its tensors."""
    ends = [layer.output for layer in (*added_to(model), *layers)]
    if ends:
        compute_also(model, ends)


def has_metrics(model: keras.Model) -> bool:
    """Whether a layer of a model follows a metric."""
    return any(isinstance(layer, AddMetric) for layer in layers_of(model))


@contextmanager
def without_added(model: keras.Model) -> Iterator[list[str]]:
    """The model, and those in it, without what was added, for forms that cannot hold it.

    Gives a line for each thing that is left out.
    """
    inside = (m for m in layers_of(model) if isinstance(m, Functional))
    found = [(m, layers) for m in inside if (layers := added_to(m))]
    for one, _ in found:
        compute_also(one, [])
    try:
        yield [_line(layer) for _, layers in found for layer in layers]
    finally:
        for one, layers in found:
            attach(one, layers)


def _add(model: keras.Model, layer: Added, tensor: keras.KerasTensor, what: str) -> None:
    if not isinstance(model, Functional):
        raise UnsupportedError(
            f"{what}() takes a symbolic tensor only on a model made of tensors, not on a "
            f"{type(model).__name__}",
            feature=f"{what} of a symbolic tensor",
            instead="keras.Model(inputs, outputs), or call it in the call() of a layer",
        )
    layer(tensor)
    try:
        attach(model, [layer])
    except ValueError as error:
        raise ValueError(
            f"{what}(): the tensor {tensor.name!r} does not come from the inputs of "
            f"{model.name!r}: {error}"
        ) from error
    forget_compiled_steps(model)


def _line(layer: Added) -> str:
    if isinstance(layer, AddLoss):
        return f"the loss {layer.name!r}, given by add_loss(); add it again after loading"
    name = layer.metric.name
    return f"the metric {name!r}, given by add_metric(); add it again after loading"
