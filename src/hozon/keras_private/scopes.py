"""The scopes that a thread is in."""

from __future__ import annotations

from typing import Any

from keras.src.backend.common import global_state, stateless_scope


def scoped_objects() -> dict[str, Any]:
    """Objects of the ``custom_object_scope`` that this thread is in, by name."""
    return dict(global_state.get_global_attribute("custom_objects_scope_dict", {}) or {})


def scope_of_call() -> Any:
    """The `keras.StatelessScope` that this thread is in; None outside of any."""
    return stateless_scope.get_stateless_scope() if stateless_scope.in_stateless_scope() else None
