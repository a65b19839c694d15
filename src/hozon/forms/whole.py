"""Forms that hold a whole model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hozon.errors import SaveError, UnsupportedError
from hozon.forms.background import Write, in_background, in_turn
from hozon.forms.choice import choose, unknown_file
from hozon.raw.places import is_file
from hozon.record import Dialect, ModelRecord
from hozon.reports import SaveReport

if TYPE_CHECKING:
    import keras

Location = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """How a whole model is to be saved; see `hozon.save_model`."""

    overwrite: bool = True
    include_optimizer: bool = True
    dialect: Dialect | None = None
    signatures: Mapping[str, Any] | None = None
    native_ops_only: bool = False
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class ModelForm:
    """One form: its name, the suffixes that mean it when saving, and what can be done with it."""

    name: str
    suffixes: tuple[str, ...]
    detect: Callable[[Location], bool]
    load: Callable[[Location, Mapping[str, Any] | None, bool], keras.Model]
    prepare: Callable[[keras.Model, Location, SaveOptions], Write]

    def save(self, model: keras.Model, path: Location, options: SaveOptions) -> SaveReport:
        """Write a model; in the background, unless `options` say to block."""
        prepare = partial(self.prepare, model, path, options)
        if options.blocking:
            return in_turn(prepare)
        return in_background(os.fspath(path), self.name, prepare)


def _is_savedmodel(path: Location) -> bool:
    from hozon.containers.savedmodel.read import detect

    return detect(path)


def _load_savedmodel(
    path: Location, custom_objects: Mapping[str, Any] | None, compiled: bool
) -> keras.Model:
    from hozon.containers.savedmodel.read import SavedModel
    from hozon.models.savedmodel.load.revive import revive

    return revive(SavedModel.read(path), custom_objects, compiled=compiled)


def _prepare_savedmodel(model: keras.Model, path: Location, options: SaveOptions) -> Write:
    from hozon.containers.savedmodel.content import ready
    from hozon.containers.savedmodel.write import check_target, write
    from hozon.models.savedmodel.save.content import Description

    if options.dialect == "keras3":
        raise UnsupportedError(
            "a SavedModel speaks Keras 2's dialect to TensorFlow; Keras 3's own config is always "
            "beside it",
            feature="dialect='keras3' in a SavedModel",
            instead="leave dialect out",
        )
    check_target(path, overwrite=options.overwrite)
    made = Description(
        model,
        include_optimizer=options.include_optimizer,
        signatures=options.signatures,
        native_only=options.native_ops_only,
    )
    draft = made if options.blocking else ready(made)

    def written() -> SaveReport:
        nbytes = write(draft, path, overwrite=options.overwrite)
        return SaveReport(
            os.fspath(path), "savedmodel", nbytes, made.converted, made.lost, made.fallbacks
        )

    return written


def _is_h5(path: Location) -> bool:
    from hozon.containers.h5 import detect

    return is_file(os.fspath(path)) and detect(path) == "h5"


def _load_h5(
    path: Location, custom_objects: Mapping[str, Any] | None, compiled: bool
) -> keras.Model:
    from hozon.containers.h5 import read
    from hozon.models.h5 import revive_record

    return revive_record(read(path), custom_objects, compiled)


def _prepare_h5(model: keras.Model, path: Location, options: SaveOptions) -> Write:
    from hozon.containers.h5 import write
    from hozon.models.h5 import describe_h5

    _refuse_signatures("H5", options)
    check_file(path, overwrite=options.overwrite)
    record, lost = describe_h5(model, options.dialect, options.include_optimizer)
    record = record if options.blocking else record.held()
    return writing("h5", record, lost, path, partial(write, overwrite=options.overwrite))


def _is_keras(path: Location) -> bool:
    from hozon.containers.keraszip import detect

    return is_file(os.fspath(path)) and detect(path) == "keras"


def _load_keras(
    path: Location, custom_objects: Mapping[str, Any] | None, compiled: bool
) -> keras.Model:
    from hozon.containers.keraszip import read
    from hozon.models.keras3 import revive_record

    return revive_record(read(path), custom_objects, compiled)


def _prepare_keras(model: keras.Model, path: Location, options: SaveOptions) -> Write:
    from hozon.containers.keraszip import write
    from hozon.models.keras3 import describe

    _refuse_signatures(".keras", options)
    check_file(path, overwrite=options.overwrite)
    record, lost = describe(model, options.dialect, options.include_optimizer)
    record = record if options.blocking else record.held()
    return writing("keras", record, lost, path, partial(write, overwrite=options.overwrite))


def writing(
    form: str,
    record: ModelRecord,
    lost: list[str],
    path: Location,
    write: Callable[[ModelRecord, Location], None],
) -> Write:
    """What writes a record into one file."""

    def written() -> SaveReport:
        write(record, path)
        return SaveReport(os.fspath(path), form, os.path.getsize(path), lost=lost)

    return written


#: All forms, in the order in which they are asked whether a path is theirs.
MODEL_FORMS = (
    ModelForm("savedmodel", (), _is_savedmodel, _load_savedmodel, _prepare_savedmodel),
    ModelForm("h5", (".h5", ".hdf5"), _is_h5, _load_h5, _prepare_h5),
    ModelForm("keras", (".keras",), _is_keras, _load_keras, _prepare_keras),
)
#: Other names of forms.
ALIASES = {"tf": "savedmodel"}


def model_form(path: str) -> ModelForm:
    """The form of what is at a path.

    Raises:
        MissingFileError: there is nothing.
        ForeignFileError: there is nothing that is known.
        UnsupportedError: there are weights without a model.
    """
    for form in MODEL_FORMS:
        if form.detect(path):
            return form
    _refuse_weights(path)
    raise unknown_file(path)


def _refuse_weights(path: str) -> None:
    from hozon.containers import h5, keraszip, safetensors, shards
    from hozon.containers.checkpoint.read import detect as is_checkpoint

    forms = (h5, keraszip, shards, safetensors)
    if is_checkpoint(path) or (is_file(path) and any(form.detect(path) for form in forms)):
        raise UnsupportedError(
            f"{path} holds weights without a model",
            feature="weights as a model",
            file=path,
            instead="make the model by its own code, then hozon.load_weights(model, path)",
        )


def chosen_form(path: str, name: str | None) -> ModelForm:
    """The form to write: by its name, or by the suffix of the path; a SavedModel for no suffix."""
    return choose("a model", MODEL_FORMS, path, name, ALIASES)


def check_file(path: Location, *, overwrite: bool) -> None:
    """Raise SaveError if a file cannot be put here: before anything costs time."""
    target = Path(path)
    if target.is_dir():
        raise SaveError(
            f"{target} is a directory; this form is a file",
            file=target,
            instead="another path, or format='savedmodel'",
        )
    if target.exists() and not overwrite:
        raise SaveError(
            f"{target} exists already", file=target, instead="overwrite=True, or another path"
        )


def _refuse_signatures(form: str, options: SaveOptions) -> None:
    if options.signatures or options.native_ops_only:
        raise UnsupportedError(
            f"{form} files hold no functions, so neither signatures nor native_ops_only say "
            "anything here",
            feature=f"signatures in {form}",
            instead="format='savedmodel'",
        )


__all__ = [
    "MODEL_FORMS",
    "ModelForm",
    "SaveOptions",
    "check_file",
    "chosen_form",
    "model_form",
    "writing",
]
