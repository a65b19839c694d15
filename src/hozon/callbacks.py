"""Keras callbacks that write every format."""

from __future__ import annotations

import os
from typing import Any

import keras

from hozon import api

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """Keras' `ModelCheckpoint` for paths of every format: a SavedModel directory, H5, ``.keras``.

    Each save is whole or absent. Arguments are Keras' own.

    Example:
        >>> model.fit(x, y, callbacks=[hozon.callbacks.ModelCheckpoint("ckpt/{epoch}")])
    """

    def __init__(
        self, filepath: str | os.PathLike[str], *args: Any, save_weights_only: bool = False,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        # Keras takes only its own suffixes; the path is put in place afterwards.
        accepted = "x.weights.h5" if save_weights_only else "x.keras"
        super().__init__(accepted, *args, save_weights_only=save_weights_only, **kwargs)
        self.filepath = os.fspath(filepath)

    def _save_model(self, epoch: int, batch: int | None, logs: dict[str, Any] | None) -> None:
        filepath = self._get_file_path(epoch, batch, logs)
        folder = os.path.dirname(filepath)
        if folder:
            os.makedirs(folder, exist_ok=True)
        try:
            if not self._should_save_model(epoch, batch, logs, filepath):
                return
            save = api.save_weights if self.save_weights_only else api.save_model
            save(self.model, filepath, overwrite=True)
        finally:
            self.epochs_since_last_save = 0
