"""When a model of Keras 2 compares what it made with what it should have: losses and metrics."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import keras
from keras.src.backend.common.masking import get_keras_mask
from keras.src.losses.loss import apply_mask
from keras.src.trainers.compile_utils import CompileLoss, MetricsList

from hozon.keras_private.bends import asked, bend
from hozon.keras_private.training import enters_model

_AS_KERAS2: ContextVar[bool] = ContextVar("a model of Keras 2 compares", default=False)
#: Whether the next loss that is called is one that such a model was compiled with.
_COMPILED: ContextVar[bool] = ContextVar("a loss of the model itself", default=False)


def compares_as_keras2() -> bool:
    """Whether the thread is inside of losses or metrics of such a model."""
    return _AS_KERAS2.get()


def _comparing(original: Callable[..., Any]) -> Callable[..., Any]:
    def compute(model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        if not enters_model(model):
            return original(model, *args, **kwargs)
        with asked(_AS_KERAS2, True):
            return original(model, *args, **kwargs)

    return compute


def _column(values: Any, outputs: Any) -> Any:
    """One value for each sample as a column, where outputs are rows.

    So Keras 2 hands targets to losses and metrics. Without that, ``y_true - y_pred`` in the class
    of a user is a matrix of all pairs of samples.
    """
    ranks = [len(getattr(value, "shape", ())) for value in (values, outputs)]
    return keras.ops.expand_dims(values, -1) if ranks == [1, 2] else values


def _telling(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(loss: CompileLoss, *args: Any, **kwargs: Any) -> Any:
        with asked(_COMPILED, compares_as_keras2()):
            return original(loss, *args, **kwargs)

    return call


def _fitting(original: Callable[..., Any]) -> Callable[..., Any]:
    """Give targets that fit to losses of the model itself; those that these call get their own."""

    def call(loss: keras.Loss, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if not _COMPILED.get():
            return original(loss, y_true, y_pred, sample_weight)
        with asked(_COMPILED, False):
            return original(loss, _column(y_true, y_pred), y_pred, sample_weight)

    return call


def _weighing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Have metrics get targets that fit, and weigh samples by the mask.

    In Keras 3 means of a function alone do that.
    """

    def update_state(
        metrics: MetricsList, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        if not compares_as_keras2():
            return original(metrics, y_true, y_pred, sample_weight=sample_weight)
        y_true, mask = _column(y_true, y_pred), get_keras_mask(y_pred)
        for metric in metrics.metrics:
            weight = sample_weight
            if mask is not None and not isinstance(metric, keras.metrics.MeanMetricWrapper):
                weight = apply_mask(sample_weight, mask, dtype=metric.dtype, reduction="sum")
            if not type(metric).__module__.startswith(("keras.", "hozon.")):
                weight = _column(weight, y_pred)
            metric.update_state(y_true, y_pred, sample_weight=weight)
        return None

    return update_state


# Those of a class of the user's own are asked by the private ones; only JAX has the last.
for _name in ("compute_loss", "compute_metrics", "_compute_loss", "_update_metrics_variables"):
    if hasattr(keras.Model, _name):
        bend(keras.Model, _name, _comparing)
bend(MetricsList, "update_state", _weighing)
bend(CompileLoss, "call", _telling)
bend(keras.Loss, "__call__", _fitting)
