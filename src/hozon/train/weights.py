"""`save_weights` and `load_weights` in TensorFlow's checkpoint format."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from hozon.arguments import (
    checked,
    flag,
    flag_or_none,
    path_to_read,
    prefix_to_write,
    renaming,
    wrong,
)
from hozon.errors import SaveError
from hozon.formats.bundle import is_bundle
from hozon.graphs.processes import collective
from hozon.keras_private import keras
from hozon.models.assignment.by_name import Rename
from hozon.models.assignment.learned import INSTEAD, unsaved_vocabularies
from hozon.models.tracking import Describer
from hozon.models.tracking.check import awaits_build
from hozon.models.tracking.containers import contains
from hozon.objects.tracking import track
from hozon.raw.stores import parent_and_name, require_writable
from hozon.train.checkpoint import HELD, Checkpoint, note_latest
from hozon.train.reader import open_checkpoint
from hozon.train.state import check_state_file
from hozon.train.status import LoadStatus


@checked(path=prefix_to_write, overwrite=flag, durable=flag_or_none)
@collective
def save_weights(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = True,
    durable: bool | None = None,
) -> str:
    """Write a model's or layer's weights, and its optimizer's if it is compiled, as Keras 2 did.

    The state file ``checkpoint`` beside names it as the latest.

    Args:
        model: the model or layer.
        path: prefix of the files. Missing folders are made.
        overwrite: False refuses to replace a checkpoint of this prefix.
        durable: whether to wait for the disk; None waits where a checkpoint is replaced.

    Returns:
        The prefix.

    Raises:
        SaveError: the model was never built, or it cannot be written. Nothing has changed.
        MismatchError: two variables would have one name.
    """
    return prepare_weights(model, path, overwrite=overwrite, durable=durable)()


def prepare_weights(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = True,
    durable: bool | None = None,
    hold: bool = False,
) -> Callable[[], str]:
    """What `save_weights` does, in two steps: all that can be refused is, then a function writes.

    With `hold` the values are copied, so that the model may change before that.
    """
    require_held("model", model)
    where = require_writable(path)
    checkpoint = Checkpoint(model)
    _require_built(model, where)
    if not overwrite and is_bundle(where):
        raise SaveError(
            f"{where} exists already",
            file=where,
            errno=errno.EEXIST,
            instead="overwrite=True, or another path",
        )
    check_state_file(parent_and_name(where)[0])
    write = checkpoint.prepare(where, durable=durable, hold=hold)

    def written() -> str:
        prefix = write()
        note_latest(prefix, durable=durable)
        return prefix

    return written


@checked(path=path_to_read, by_name=flag, rename=renaming, skip_mismatch=flag)
def load_weights(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    by_name: bool = False,
    rename: Rename = None,
    skip_mismatch: bool = False,
) -> LoadStatus:
    """Load weights from a checkpoint into a model or layer; it may be built later.

    Args:
        model: the model or layer.
        path: a prefix, or a folder, whose latest checkpoint is meant.
        by_name: match variables by their names, ``dense_1/kernel``, not by where they stand in the
            model. Only what exists now is loaded then.
        rename: what stored variables are called in the model; see `hozon.load_weights`.
        skip_mismatch: leave out values of other shapes instead of raising.

    Raises:
        MismatchError: nothing matches, or shapes differ; nothing was assigned.
        FormatError: there is no checkpoint, or it is damaged; nothing was assigned.
    """
    require_held("model", model)
    return Checkpoint(model)._read(  # noqa: SLF001 - one of this module's
        open_checkpoint(path), skip_mismatch=skip_mismatch, by_name=by_name, rename=rename
    )


def require_held(name: str, value: Any) -> None:
    """Raise ArgumentError for what a checkpoint cannot hold, and for what holds nothing at all."""
    if not contains(value, arrays=True):
        raise wrong(name, value, f"a Keras model or layer; a checkpoint holds {HELD}")


def left_out(model: keras.Model) -> list[str]:
    """What a checkpoint of a model does not hold: vocabularies that layers learned."""
    nodes = track(model, Describer(model)).nodes
    return [
        f"layer {name!r}: its vocabulary, which checkpoints never hold; {INSTEAD}"
        for name in unsaved_vocabularies([node.target for node in nodes])
    ]


def _require_built(model: Any, path: str | os.PathLike[str]) -> None:
    if isinstance(model, keras.Layer) and awaits_build(model):
        raise SaveError(
            f"{model.name!r} was never built, so it has no weights to save",
            file=path,
            instead="call it on data, or build() it with the shape of its inputs, first",
        )
