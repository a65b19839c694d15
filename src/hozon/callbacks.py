"""Keras callbacks that write every format."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from hozon import api
from hozon import arguments as check
from hozon.containers.keraszip import write_weights
from hozon.errors import HozonError
from hozon.forms import form_of, form_to_write
from hozon.forms.form import check_before_load
from hozon.graphs.processes import collective
from hozon.keras_private import keras
from hozon.keras_private.callbacks import ComesLast, skip_batches
from hozon.keras_private.layers import layers_of, seed_generators_of
from hozon.keras_private.training import begin_with
from hozon.models.keras3 import describe_weights, load_weights
from hozon.models.keras_backups import KerasBackup, keras_backups, remove_keras_backups
from hozon.models.resumption import Training, random_state, split, with_training
from hozon.raw.stores import (
    join,
    make_folders,
    names,
    parent_and_name,
    place,
    remove_file,
    remove_folders,
)
from hozon.reports import SaveReport
from hozon.train import Checkpoint

__all__ = ["BackupAndRestore", "ModelCheckpoint"]


class ModelCheckpoint(keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """Keras' `ModelCheckpoint` for paths of every format: a SavedModel directory, H5, ``.keras``.

    Each save is whole or absent. Arguments are Keras' own, and one more.

    Args:
        filepath: where to; ``{epoch}`` and the names of logs in it are filled in.
        asynchronous: whether training goes on while a save is written; the end of training waits
            for it. What went wrong is raised at the next save or there.

    Example:
        >>> model.fit(x, y, callbacks=[hozon.callbacks.ModelCheckpoint("ckpt/{epoch}")])
    """

    @check.checked(
        filepath=check.path_to_write, save_weights_only=check.flag, asynchronous=check.flag
    )
    def __init__(
        self,
        filepath: str | os.PathLike[str],
        *args: Any,
        save_weights_only: bool = False,
        asynchronous: bool = False,
        **kwargs: Any,
    ) -> None:
        # Keras takes only its own suffixes; the path is put in place afterwards.
        accepted = "x.weights.h5" if save_weights_only else "x.keras"
        given = {"save_weights_only": save_weights_only, **kwargs}
        check.require_known(keras.callbacks.ModelCheckpoint, accepted, *args, **given)
        super().__init__(accepted, *args, save_weights_only=save_weights_only, **kwargs)
        self.filepath = place(filepath)
        # What its end means is refused now, not after an epoch.
        form_to_write("weights" if save_weights_only else "a model", self.filepath, None)
        self.asynchronous = asynchronous
        self._pending: list[SaveReport] = []

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Wait for what is being written."""
        super().on_train_end(logs)
        self._settle(everything=True)

    def _save_model(self, epoch: int, batch: int | None, logs: dict[str, Any] | None) -> None:
        self._settle(everything=False)
        filepath = self._get_file_path(epoch, batch, logs)
        make_folders(parent_and_name(filepath)[0])
        try:
            if not self._should_save_model(epoch, batch, logs, filepath):
                return
            save = api.save_weights if self.save_weights_only else api.save_model
            blocking = not self.asynchronous
            self._pending.append(save(self.model, filepath, overwrite=True, blocking=blocking))
        finally:
            self.epochs_since_last_save = 0

    def _settle(self, *, everything: bool) -> None:
        """Raise what a save in the background ran into; `everything` waits for those going on."""
        over = [report for report in self._pending if everything or report.done]
        self._pending = [report for report in self._pending if report not in over]
        for report in over:
            report.wait()


class BackupAndRestore(ComesLast, keras.callbacks.Callback):  # type: ignore[misc]
    """Back up the state of training, so that a `fit` that was interrupted goes on where it was.

    A backup is one file that is whole or absent: weights, optimizer, the states of random layers,
    metrics, of NumPy's and Python's random numbers, by which data are shuffled, and what Keras'
    `EarlyStopping`, `ReduceLROnPlateau` and `ModelCheckpoint` remember. The next ``fit`` of the
    same model goes on with the batch after it, and ends with the very weights of an uninterrupted
    one, where the data set gives the same batches again. It is called after all other callbacks.
    A folder of Keras' own callback of this name, Keras 3's or tf_keras', is gone on with too, given
    the same `save_freq`: weights, optimizer, epoch and batch, which is all that it holds.

    Args:
        backup_dir: a folder for the backups alone.
        save_freq: ``"epoch"``, or after how many batches to back up; the batches of an epoch that
            come before the last backup are taken from the data set then, not trained on again.
        double_checkpoint: whether to keep the backup before the last too, and to use it when the
            last one is damaged.
        delete_checkpoint: whether to remove the backups when training has ended.

    Raises:
        FormatError: the backup is damaged.
        MismatchError: it is another model's.

    Example:
        >>> model.fit(x, y, epochs=9, callbacks=[hozon.callbacks.BackupAndRestore("backup")])
    """

    _NAME = re.compile(r"backup-(\d+)-(\d+)\.weights\.h5")

    @check.checked(
        backup_dir=check.path_to_write,
        double_checkpoint=check.flag,
        delete_checkpoint=check.flag,
    )
    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if save_freq != "epoch" and (type(save_freq) is not int or save_freq < 1):
            raise check.wrong("save_freq", save_freq, "'epoch' or a whole number above 0")
        self.backup_dir = place(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._epoch = 0
        self._seen = 0
        self._skipped = 0
        self._found: Training | None = None
        self._drawn = random_state()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Go on with the last backup, if there is one."""
        found: list[tuple[int, Callable[[], Training]]] = [
            (epoch, partial(self._restored, file)) for epoch, _, file in self._backups()
        ]
        found = found or [(b.epoch, partial(self._restored_of_keras, b)) for b in self._of_keras()]
        for i, (epoch, restored) in enumerate(found):
            try:
                training = restored()
            except HozonError:
                if i == len(found) - 1:
                    raise
                continue
            training.hand_to(self.beside)
            self._found = training
            begin_with(self.model, epoch)
            return

    def _of_keras(self) -> list[KerasBackup]:
        steps = (self.params or {}).get("steps")
        by_batch = self.save_freq != "epoch"
        return keras_backups(self.backup_dir, by_batch=by_batch, steps=steps)

    def _restored_of_keras(self, backup: KerasBackup) -> Training:
        if backup.is_checkpoint:
            Checkpoint(model=self.model).read(backup.path)
        else:
            api.load_weights(self.model, backup.path)
        drawing = [layer.name for layer in layers_of(self.model) if seed_generators_of(layer)]
        if drawing:
            told = f"{backup.path} does not say how far the random numbers of layers were; others "
            warnings.warn(f"{told}are drawn by {', '.join(drawing)}", stacklevel=2)
        return Training(backup.path, {}, backup.batch)

    def _restored(self, file: str) -> Training:
        form = form_of(file)
        check_before_load(form, file)
        weights, training = split(form.read(file))
        load_weights(self.model, weights)
        return training

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note which one it is; the first one after an interruption begins where it was."""
        self._epoch, self._skipped = epoch, 0
        found, self._found = self._found, None
        if found is not None:
            found.begin_epoch(self.model)
        self._drawn = random_state()
        if found is not None and found.batch:
            self._skipped = found.batch
            skip_batches(self.model, found.batch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Back up after so many batches."""
        if batch < self._skipped:
            return
        self._seen += 1
        if self.save_freq != "epoch" and self._seen >= int(self.save_freq):
            self._seen = 0
            self._save(self._epoch, batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Back up after each epoch."""
        if self.save_freq == "epoch":
            self._drawn = random_state()
            self._save(epoch + 1, 0)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Remove the backups."""
        begin_with(self.model, None)
        if self.delete_checkpoint:
            self._keep(0)
            remove_keras_backups(self.backup_dir)
            remove_folders([self.backup_dir])

    @collective
    def _save(self, epoch: int, batch: int) -> None:
        make_folders(self.backup_dir)
        file = join(self.backup_dir, f"backup-{epoch:06}-{batch:08}.weights.h5")
        record, _ = describe_weights(self.model)
        whole = with_training(record, self.model, self.beside, self._drawn, batch)
        # A power cut must not take it once the one before it is gone.
        write_weights(whole, file, durable=True)
        self._keep(2 if self.double_checkpoint else 1)

    def _keep(self, count: int) -> None:
        for _, _, file in self._backups()[count:]:
            remove_file(file)

    def _backups(self) -> list[tuple[int, int, str]]:
        """Epoch, batch and file of each backup, the last one first."""
        there = names(self.backup_dir)
        matches = [match for name in there if (match := self._NAME.fullmatch(name))]
        found = [(int(m[1]), int(m[2]), join(self.backup_dir, m[0])) for m in matches]
        return sorted(found, reverse=True)
