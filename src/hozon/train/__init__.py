"""TensorFlow's checkpoints: `Checkpoint`, `CheckpointManager`, and readers."""

import hozon.models  # noqa: F401 - checks Keras' backend before Keras is imported
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
