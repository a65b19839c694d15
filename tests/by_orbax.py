"""What `keras.callbacks.OrbaxCheckpoint` writes at the end of an epoch, of any compiled model."""

from __future__ import annotations

from pathlib import Path

import keras


def write(model: keras.Model, path: Path, *, weights_only: bool = False) -> None:
    """Write the first step of a run."""
    callback = keras.callbacks.OrbaxCheckpoint(
        path, save_on_background=False, save_weights_only=weights_only
    )
    callback.set_model(model)
    callback.on_epoch_end(0)
    callback.on_train_end()
