"""What the configs of losses and metrics leave out."""

from __future__ import annotations

from typing import Any

import keras


def forgotten_arguments(obj: Any) -> dict[str, Any]:
    """Arguments of a loss or metric that its own config leaves out (Huber's ``delta``, say)."""
    if not isinstance(obj, (keras.losses.Loss, keras.metrics.Metric)):
        return {}
    config = obj.get_config()
    given: dict[str, Any] = getattr(obj, "_fn_kwargs", None) or {}
    return {
        key: value
        for key, value in given.items()
        if key not in config and isinstance(value, (bool, int, float, str))
    }
