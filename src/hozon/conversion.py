"""From any artifact to any form that can hold it.

A whole model goes through a live model, as only its objects know how each form names them. Weights
alone go straight from file to file where both forms name them alike, without Keras or JAX.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

from hozon import arguments as check
from hozon.containers.foreign import describe_foreign
from hozon.errors import ForeignFileError, FormatError, SaveError, UnsupportedError
from hozon.forms import (
    FORMS,
    BuildOptions,
    Form,
    SaveOptions,
    by_suffix,
    check_options,
    form_named,
    form_of,
    form_to_write,
    names,
    other_kind,
    save,
    that_hold,
)
from hozon.forms.form import check_before_load, check_file
from hozon.graphs.processes import collective
from hozon.raw.stores import is_file, place, size, size_on_disk
from hozon.record import Dialect, ModelRecord
from hozon.reports import SaveReport
from hozon.stored.meter import Progress, metered

__all__ = ["convert"]

#: What the keys of an optimizer's state hold, where variables are named by objects.
OPTIMIZER = re.compile(r"^optimizer/|/\.OPTIMIZER_SLOT/")
#: Dialects of files whose weights can be copied as they are, by how they are named.
COPIED = {"layers": ("keras2", "keras3"), "attributes": ("keras3",)}
#: Why weights named in one way cannot be named in another without the model.
WHY_NOT = {
    ("layers", "objects"): "an H5 file does not say which object of a layer holds a variable",
    ("layers", "attributes"): "a path is made of the classes of layers, which an H5 file of "
    "weights does not name",
    ("objects", "attributes"): "a path is made of the classes of layers, which a checkpoint does "
    "not name",
    ("attributes", "layers"): "these paths tell neither the layers' order nor the names of their "
    "variables",
    ("attributes", "objects"): "these paths do not tell the layers' order, by which a checkpoint "
    "names them",
    **{
        ("variables", naming): "the names of variables do not tell the layers' classes and order"
        for naming in ("layers", "attributes", "objects")
    },
}


@check.checked(
    source=check.path_to_read,
    target=check.path_to_write,
    format=check.text_or_none,
    dialect=check.dialect,
    custom_objects=check.objects_or_none,
    overwrite=check.flag,
    include_optimizer=check.flag,
    card=check.flag,
    progress=check.progress,
)
@collective
def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: str | None = None,
    dialect: Dialect | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    overwrite: bool = True,
    include_optimizer: bool = True,
    card: bool = False,
    progress: Progress = None,
) -> SaveReport:
    """Convert a saved model, or saved weights, into another form.

    Args:
        source: any artifact, told by what is in it.
        target: where to; an artifact that is there is replaced, anything else is kept.
        format: ``"savedmodel"``, ``"h5"``, ``"keras"`` for a whole model, ``"json"`` for its
            architecture, ``"tf_checkpoint"``, ``"h5_weights"``, ``"weights.h5"``,
            ``"weights.json"`` or ``"safetensors"`` for its weights; None goes by the suffix of
            `target`.
        dialect: ``"keras2"`` or ``"keras3"``, where the form has both.
        custom_objects: classes and functions of the model by name.
        overwrite: False refuses to replace what is there.
        include_optimizer: False leaves out how the model was compiled, and the optimizer's state.
        card: of a form that is a folder: also write a ``README.md`` that says what is in it.
        progress: True for a bar on a terminal, or a function of the bytes read and in all.

    Returns:
        What was written, and what the new form, or the way there, could not keep.

    Raises:
        UnsupportedError: the new form cannot hold it, and why.
        FormatError: the source is damaged or of no known form.
        MissingObjectError: classes and functions that must be supplied.
        SaveError: the target cannot be written, or holds something that is no model or weights.
            Nothing has changed.

    Example:
        >>> hozon.convert("old_savedmodel", "model.keras")
        >>> hozon.convert("model.keras", "for_tf_keras.h5", dialect="keras2")
    """
    with metered(progress, lambda: size_on_disk(source), f"converting {source}"):
        options = SaveOptions(
            overwrite=overwrite, dialect=dialect, include_optimizer=include_optimizer, card=card
        )
        return _converted(place(source), place(target), format, options, custom_objects)


def _converted(
    source: str,
    target: str,
    format: str | None,
    options: SaveOptions,
    custom_objects: Mapping[str, Any] | None,
) -> SaveReport:
    found = form_of(source)
    wanted = form_to_convert(found, target, format)
    check_options(wanted, options)
    _check_target(wanted, target, options)
    check_before_load(found, source)
    if found.holds == "weights":
        return _only_weights(found, source, wanted, target, options)
    if found.holds == "an architecture" and wanted.holds != found.holds:
        raise found.no_model(source)
    read = cache(partial(found.read, source))
    copied = _copied(found, read, wanted, target, options)
    if copied is not None:
        return copied
    trained = wanted.optimizer or wanted.holds == "a model"
    asked = trained and options.include_optimizer
    # A model that was never compiled is none to warn of here.
    compiled = asked and read().training is not None
    from hozon.keras_private.values import drawing_for_file

    with drawing_for_file():
        model = found.build(source, BuildOptions(custom_objects, compile=compiled))
    report = save(wanted, model, target, options)
    if wanted.holds == "weights" and not wanted.optimizer:
        report.lost += _optimizer_lost(read(), wanted)
    loaded = getattr(model, "load_report", None)
    if loaded is not None:
        report.converted[:0] = loaded.converted
        report.lost[:0] = loaded.lost
    return report


def form_to_convert(found: Form, target: str, format: str | None) -> Form:
    """The form that a name or the end of a path means.

    Without either it is the form without a suffix of what the source holds. An end that several
    forms have, such as ``.h5``, means the one that holds the same.

    Raises:
        UnknownFormatError: the name is none, or the suffix means another kind of file.
    """
    if format is not None:
        known = {**names("a model"), **{form.name: form for form in FORMS if form.written}}
        return form_named(format, known, "what it converts")
    meant, suffix = by_suffix(target, that_hold(found.holds))
    if meant is None and suffix is not None:
        meant, _ = by_suffix(target, FORMS)
    if meant is None and suffix is not None:
        raise other_kind(found.holds, target, suffix)
    return meant or form_to_write(found.holds, target, None)


def _check_target(wanted: Form, target: str, options: SaveOptions) -> None:
    """Raise SaveError where what is there may not be replaced, or is no artifact at all."""
    if wanted.suffixes:
        check_file(wanted, target, options)
    if not is_file(target) or size(target) == 0:
        return
    try:
        form_of(target)
    except ForeignFileError as error:
        raise SaveError(
            f"{target} is no model and no weights, so it is kept: {describe_foreign(target)}",
            file=target,
            instead="another path, or remove what is there",
        ) from error
    except FormatError:  # a damaged one
        return


def _copied(
    found: Form,
    read: Callable[[], ModelRecord],
    wanted: Form,
    target: str,
    options: SaveOptions,
) -> SaveReport | None:
    """The weights of a whole model, from file to file; None where only the model can name them."""
    if wanted.holds != "weights" or found.naming != wanted.naming or found.naming not in COPIED:
        return None
    record = read()
    if record.dialect not in COPIED[found.naming]:
        return None
    return _written(record, wanted, target, options)


def _only_weights(
    found: Form, source: str, wanted: Form, target: str, options: SaveOptions
) -> SaveReport:
    """Weights without a model: from file to file, where both forms name them alike."""
    if wanted.holds != "weights":
        raise UnsupportedError(
            f"{source} holds weights without a model, so no {wanted.label} can be made of it",
            feature=f"{found.label} as {wanted.label}",
            file=source,
            instead="make the model by its own code, hozon.load_weights(model, source), and "
            "hozon.save_model(model, target)",
        )
    why = WHY_NOT.get((found.naming, wanted.naming))
    record = None if why is not None else found.read_named(source, wanted.naming)
    if record is None:
        raise UnsupportedError(
            f"{found.label} cannot become {wanted.label} without the model: "
            f"{why or 'they name their tensors in other ways'}",
            feature=f"{found.label} as {wanted.label}",
            file=source,
            instead="make the model by its own code, hozon.load_weights(model, source), and "
            "hozon.save_weights(model, target)",
        )
    return _written(record, wanted, target, options)


def _written(record: ModelRecord, wanted: Form, target: str, options: SaveOptions) -> SaveReport:
    if not options.include_optimizer:
        record = _without_optimizer(record, wanted)
    report = wanted.write(record, target, options)
    left = Counter(key.partition("/")[0] for key in record.metadata.get("left_out", ()))
    report.lost += [
        f"{name}: {wanted.label} has no place for its {count} tensors"
        for name, count in left.items()
    ]
    report.lost += _optimizer_lost(record, wanted)
    return report


def _without_optimizer(record: ModelRecord, wanted: Form) -> ModelRecord:
    """The weights alone.

    Raises:
        UnsupportedError: they are those of a checkpoint, whose object graph names the optimizer.
    """
    slots = (name for group in record.state for name in group.tensors if OPTIMIZER.search(name))
    if record.naming == "objects" and any(slots):
        raise UnsupportedError(
            f"{record.path} names its optimizer among its objects",
            feature="include_optimizer=False for a checkpoint",
            file=record.path,
            instead=f"make the model by its own code, load the weights, and save {wanted.label}",
        )
    return replace(record, optimizer=None)


def _optimizer_lost(record: ModelRecord, wanted: Form) -> list[str]:
    """The line of a report for an optimizer's state that has no place."""
    slots = (name for group in record.state for name in group.tensors if OPTIMIZER.search(name))
    held = record.optimizer is not None or (record.naming == "objects" and any(slots))
    lost = held and not wanted.optimizer
    return [wanted.without_optimizer()] if lost else []
