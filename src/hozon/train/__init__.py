"""TensorFlow's checkpoints: `Checkpoint`, `CheckpointManager`, and readers.

Looking into a checkpoint needs neither Keras nor JAX, so each name is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hozon.train.checkpoint import Checkpoint, Counter
    from hozon.train.manager import CheckpointManager
    from hozon.train.reader import (
        CheckpointReader,
        list_variables,
        load_checkpoint,
        load_variable,
    )
    from hozon.train.state import CheckpointState, get_checkpoint_state, latest_checkpoint
    from hozon.train.status import InitializationOnlyStatus, LoadStatus
    from hozon.train.weights import load_weights, save_weights

_MODULES = {
    "checkpoint": ("Checkpoint", "Counter"),
    "manager": ("CheckpointManager",),
    "reader": ("CheckpointReader", "list_variables", "load_checkpoint", "load_variable"),
    "state": ("CheckpointState", "get_checkpoint_state", "latest_checkpoint"),
    "status": ("InitializationOnlyStatus", "LoadStatus"),
    "weights": ("load_weights", "save_weights"),
}
_LAZY = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Checkpoint",
    "CheckpointManager",
    "CheckpointReader",
    "CheckpointState",
    "Counter",
    "InitializationOnlyStatus",
    "LoadStatus",
    "get_checkpoint_state",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "load_weights",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"hozon.train.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
