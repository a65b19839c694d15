"""`save_weights` and `load_weights` in TensorFlow's checkpoint format."""

from __future__ import annotations

import os
from typing import Any

from hozon.train.checkpoint import Checkpoint, note_latest
from hozon.train.reader import open_checkpoint
from hozon.train.status import LoadStatus


def save_weights(model: Any, path: str | os.PathLike[str]) -> str:
    """Write a model's or layer's weights, and its optimizer's if it is compiled, as Keras 2 did.

    The state file ``checkpoint`` beside names it as the latest. Returns the prefix.
    """
    prefix = Checkpoint(model).write(path)
    note_latest(prefix)
    return prefix


def load_weights(
    model: Any, path: str | os.PathLike[str], *, skip_mismatch: bool = False
) -> LoadStatus:
    """Load weights from a checkpoint into a model or layer; it may be built later.

    Args:
        model: the model or layer.
        path: a prefix, or a folder, whose latest checkpoint is meant.
        skip_mismatch: leave out values of other shapes instead of raising.

    Raises:
        MismatchError: nothing matches, or shapes differ; nothing was assigned.
        FormatError: there is no checkpoint, or it is damaged.
    """
    return Checkpoint(model)._read(  # noqa: SLF001 - one of this module's
        open_checkpoint(path), skip_mismatch=skip_mismatch
    )
