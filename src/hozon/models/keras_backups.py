"""Backups of training that Keras' own `BackupAndRestore` left, to go on with.

Keras 3 keeps ``latest.weights.h5`` and ``training_metadata.json`` with an epoch and a batch, the
ones before them with ``.bkp`` behind their names. tf_keras keeps checkpoints in ``chief``, with
``ckpt_saved_epoch`` and ``ckpt_saved_batch`` beside the model
(tf_keras/src/distribute/worker_training_state.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hozon.containers.checkpoint.read import find_prefix, read
from hozon.errors import FormatError
from hozon.objects.keys import tensor_key
from hozon.raw.stores import is_file, join, names, read_bytes, remove_file, remove_folders

_WEIGHTS, _METADATA, _BEFORE = "latest.weights.h5", "training_metadata.json", ".bkp"
_CHIEF = "chief"
_CHECKPOINT = re.compile(r"ckpt-\d+\.(index|data-\d{5}-of-\d{5})|checkpoint")
_EPOCH, _BATCH = "ckpt_saved_epoch", "ckpt_saved_batch"


@dataclass(frozen=True, slots=True)
class KerasBackup:
    """Where training stood, and what holds the model.

    Attributes:
        path: a file of weights, or the prefix of a checkpoint.
        epoch: the epoch to go on with.
        batch: how many of its batches are over.
    """

    path: str
    epoch: int
    batch: int

    @property
    def is_checkpoint(self) -> bool:
        """Whether tf_keras wrote it."""
        return not self.path.endswith((_WEIGHTS, _BEFORE))


def keras_backups(folder: str, *, by_batch: bool, steps: int | None) -> list[KerasBackup]:
    """The backups of Keras in a folder, the last one first.

    Args:
        folder: what its callback was given as `backup_dir`.
        by_batch: whether it made them after batches, not after epochs; the files do not tell.
        steps: batches of an epoch, where that is known.

    Raises:
        FormatError: one says nothing of where training stood.
    """
    return [
        KerasBackup(path, *_next(epoch, batch, steps if by_batch else 0))
        for path, epoch, batch in (*_of_keras3(folder, by_batch), *_of_keras2(folder))
    ]


def _next(epoch: int, batch: int, steps: int | None) -> tuple[int, int]:
    """What comes after a batch, which is an epoch's last where it has 0 or `batch + 1` steps."""
    return (epoch + 1, 0) if steps in (0, batch + 1) else (epoch, batch + 1)


def _of_keras3(folder: str, by_batch: bool) -> Iterator[tuple[str, int, int]]:
    for end in ("", _BEFORE):
        file = join(folder, _METADATA + end)
        if is_file(join(folder, _WEIGHTS + end)) and is_file(file):
            epoch, batch = _numbers(file)
            # After an epoch it is the next one's number that stands there.
            yield join(folder, _WEIGHTS + end), epoch if by_batch else epoch - 1, batch


def _numbers(file: str) -> tuple[int, int]:
    try:
        found = json.loads(read_bytes(file))
        epoch, batch = found["epoch"], found["batch"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise FormatError(f"{file} does not say where training stood", file=file) from error
    if type(epoch) is not int or type(batch) is not int or min(epoch, batch) < 0:
        raise FormatError(f"{file} does not say where training stood", file=file, found=found)
    return epoch, batch


def _of_keras2(folder: str) -> Iterator[tuple[str, int, int]]:
    prefix = find_prefix(join(folder, _CHIEF)) if _CHIEF in names(folder) else None
    if prefix is None:
        return
    bundle = read(prefix)
    found = [bundle.get(tensor_key((name,))) for name in (_EPOCH, _BATCH)]
    if any(tensor is None or tensor.shape for tensor in found):
        raise FormatError(f"{prefix} does not say where training stood", file=prefix)
    epoch, batch = (int(tensor.read()) for tensor in found)
    if min(epoch, batch) >= 0:
        yield prefix, epoch, batch


def remove_keras_backups(folder: str) -> None:
    """Remove what Keras keeps there, and nothing else."""
    there = {*names(folder)}
    ours = [name + end for name in (_WEIGHTS, _METADATA) for end in ("", _BEFORE)]
    for name in ours:
        if name in there:
            remove_file(join(folder, name))
    chief = join(folder, _CHIEF)
    for name in names(chief) if _CHIEF in there else ():
        if _CHECKPOINT.fullmatch(name):
            remove_file(join(chief, name))
    remove_folders([chief])
