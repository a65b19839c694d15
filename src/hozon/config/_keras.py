"""The one place in this room that touches parts of Keras which are not public.

Functional models of Keras 3 hold operations (``x + y``, ``keras.ops.max(x)``) as nodes beside
layers. Their classes have no public names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.ops import core, image, linalg, math, nn, numpy

#: Operations whose construction takes functions or modules.
NOT_BUILT = frozenset({"Map", "Scan", "AssociativeScan", "WhileLoop", "ForiLoop", "Cond", "Switch",
                       "Vectorize", "CustomGradient"})  # fmt: skip

#: Classes of Keras' operations by name.
OPERATIONS: Mapping[str, type] = {
    name: value
    for module in (core, image, linalg, math, nn, numpy)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, keras.Operation)
    and value is not keras.Operation and name not in NOT_BUILT
}  # fmt: skip


def scoped_objects() -> dict[str, Any]:
    """Objects of the ``custom_object_scope`` that this thread is in, by name."""
    return dict(global_state.get_global_attribute("custom_objects_scope_dict", {}) or {})


def forgotten_arguments(obj: Any) -> dict[str, Any]:
    """Arguments of a loss or metric that its own config leaves out (Huber's ``delta``, say)."""
    if not isinstance(obj, (keras.losses.Loss, keras.metrics.Metric)):
        return {}
    config = obj.get_config()
    given: dict[str, Any] = getattr(obj, "_fn_kwargs", None) or {}
    return {key: value for key, value in given.items()
            if key not in config and isinstance(value, (bool, int, float, str))}  # fmt: skip


def complete(obj: Any) -> None:
    """Give a layer whose class never called ``super().__init__()`` what serializing asks for."""
    if isinstance(obj, keras.Layer) and "_build_shapes_dict" not in vars(obj):
        object.__setattr__(obj, "_build_shapes_dict", None)
