"""When a model of Keras 2 compares what it made with what it should have: losses and metrics."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import keras
from keras.src.backend.common.masking import get_keras_mask
from keras.src.losses.loss import apply_mask
from keras.src.trainers.compile_utils import MetricsList

from hozon.keras_private.bends import asked, bend
from hozon.keras_private.training import enters_model

_AS_KERAS2: ContextVar[bool] = ContextVar("a model of Keras 2 compares", default=False)


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


def _masking(original: Callable[..., Any]) -> Callable[..., Any]:
    """Weigh samples by the mask in all metrics, where in Keras 3 means of a function alone do."""

    def update_state(
        metrics: MetricsList, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        mask = get_keras_mask(y_pred)
        if mask is None or not compares_as_keras2():
            return original(metrics, y_true, y_pred, sample_weight=sample_weight)
        for metric in metrics.metrics:
            weight = sample_weight
            if not isinstance(metric, keras.metrics.MeanMetricWrapper):
                weight = apply_mask(sample_weight, mask, dtype=metric.dtype, reduction="sum")
            metric.update_state(y_true, y_pred, sample_weight=weight)
        return None

    return update_state


for _name in ("compute_loss", "compute_metrics"):
    bend(keras.Model, _name, _comparing)
bend(MetricsList, "update_state", _masking)
