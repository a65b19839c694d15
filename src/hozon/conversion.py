"""From any artifact to any form that can hold it.

A whole model goes through a live model, as only its objects know how each form names them. Weights
alone go straight from file to file where both forms name them alike, without Keras or JAX.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hozon import arguments as check
from hozon.errors import UnsupportedError
from hozon.forms import weights, whole
from hozon.forms.choice import unknown_name
from hozon.raw.commit import replacing_file
from hozon.raw.places import place, size_on_disk
from hozon.record import Dialect
from hozon.reports import SaveReport
from hozon.tensors.meter import Progress, metered

if TYPE_CHECKING:
    import keras

__all__ = ["convert"]

JSON = "json"
#: Names of forms that hold weights, as `convert` takes them: a checkpoint is not a SavedModel.
WEIGHTS = {
    "tf_checkpoint": "tf",
    "h5_weights": "h5",
    "weights.h5": "weights.h5",
    "weights.json": "weights.json",
    "safetensors": "safetensors",
}

#: Forms without a place for the optimizer's state.
WITHOUT_OPTIMIZER = frozenset({JSON, "h5_weights", "safetensors"})
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
}


@check.checked(
    source=check.path_to_read,
    target=check.path_to_write,
    format=check.text_or_none,
    dialect=check.dialect,
    custom_objects=check.objects_or_none,
    progress=check.progress,
)
def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: str | None = None,
    dialect: Dialect | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    progress: Progress = None,
) -> SaveReport:
    """Convert a saved model, or saved weights, into another form.

    Args:
        source: any artifact, told by what is in it.
        target: where to; what is there is replaced.
        format: ``"savedmodel"``, ``"h5"``, ``"keras"`` for a whole model, ``"json"`` for its
            architecture, ``"tf_checkpoint"``, ``"h5_weights"``, ``"weights.h5"``,
            ``"weights.json"`` or ``"safetensors"`` for its weights; None goes by the suffix of
            `target`.
        dialect: ``"keras2"`` or ``"keras3"``, where the form has both.
        custom_objects: classes and functions of the model by name.
        progress: True for a bar on a terminal, or a function of the bytes read and in all.

    Returns:
        What was written, and what the new form, or the way there, could not keep.

    Raises:
        UnsupportedError: the new form cannot hold it, and why.
        FormatError: the source is damaged or of no known form.
        MissingObjectError: classes and functions that must be supplied.
        SaveError: the target cannot be written. Nothing has changed.

    Example:
        >>> hozon.convert("old_savedmodel", "model.keras")
        >>> hozon.convert("model.keras", "for_tf_keras.h5", dialect="keras2")
    """
    with metered(progress, lambda: size_on_disk(source), f"converting {source}"):
        return _converted(place(source), place(target), format, dialect, custom_objects)


def _converted(
    source: str,
    target: str,
    format: str | None,
    dialect: Dialect | None,
    custom_objects: Mapping[str, Any] | None,
) -> SaveReport:
    has_model = _holds_model(source)
    if not has_model:
        weights.weight_form(source)
    chosen = format or form_of(target, has_model)
    known = [*(f.name for f in whole.MODEL_FORMS), JSON, *WEIGHTS]
    if chosen not in {*known, *whole.ALIASES}:
        raise unknown_name("an artifact", [*known, *whole.ALIASES], chosen)
    if not has_model:
        return _only_weights(source, target, chosen)
    copied = _copied(source, target, chosen)
    if copied is not None:
        return copied
    compiled = chosen not in WITHOUT_OPTIMIZER
    model = whole.model_form(source).load(source, custom_objects, compiled)
    report = _written(model, target, chosen, dialect)
    report.converted[:0] = model.load_report.converted
    report.lost[:0] = model.load_report.lost
    return report


def form_of(target: str, has_model: bool = True) -> str:
    """The form that the end of a path means; where it means none, a SavedModel or a checkpoint."""
    name = target.lower()
    of_weights = name.endswith((".weights.h5", ".weights.json", ".safetensors"))
    if of_weights or not (has_model or name.endswith((".keras", JSON))):
        found = weights.chosen_form(target, None).name
        return next(form for form, known in WEIGHTS.items() if known == found)
    if name.endswith(".json"):
        return JSON
    return whole.chosen_form(target, None).name


def _holds_model(source: str) -> bool:
    return any(form.detect(source) for form in whole.MODEL_FORMS)


def _written(model: keras.Model, target: str, chosen: str, dialect: Dialect | None) -> SaveReport:
    if chosen == JSON:
        return _json(model, target, dialect)
    if chosen in WEIGHTS:
        return weights.chosen_form(target, WEIGHTS[chosen]).save(
            model, target, weights.SaveWeights()
        )
    options = whole.SaveOptions(dialect=dialect)
    return whole.chosen_form(target, chosen).save(model, target, options)


def _json(model: keras.Model, target: str, dialect: Dialect | None) -> SaveReport:
    from hozon.config.serialization import model_to_json

    text = model_to_json(model, dialect=dialect or "keras3")
    with replacing_file(target) as fresh:
        Path(fresh).write_text(text)
    lost = ["weights, compile information and optimizer: JSON holds the architecture alone"]
    return SaveReport(os.fspath(target), JSON, os.path.getsize(target), lost=lost)


def _copied(source: str, target: str, chosen: str) -> SaveReport | None:
    """The weights of a whole model, from file to file; None where only the model can name them."""
    if chosen not in WEIGHTS:
        return None
    wanted = weights.chosen_form(target, WEIGHTS[chosen])
    found = weights.weight_form(source)
    if found.restate is None or wanted.take is None or found.naming != wanted.naming:
        return None
    record = found.restate(source)
    if record.dialect not in COPIED[found.naming]:
        return None
    report = wanted.take(record, target)
    if record.optimizer is not None and chosen in WITHOUT_OPTIMIZER:
        report.lost.append(f"the optimizer's state: {chosen} has no place for it")
    return report


def _only_weights(source: str, target: str, chosen: str) -> SaveReport:
    """Weights without a model: from file to file, where both forms name them alike."""
    found = weights.weight_form(source)
    wanted = weights.chosen_form(target, WEIGHTS[chosen]) if chosen in WEIGHTS else None
    if wanted is None:
        raise UnsupportedError(
            f"{os.fspath(source)} holds weights without a model, so no {chosen} can be made of it",
            feature=f"{found.name} weights as {chosen}",
            file=os.fspath(source),
            instead="make the model by its own code, hozon.load_weights(model, source), and "
            "hozon.save_model(model, target)",
        )
    if found.name == wanted.name == "tf":
        return _copied_checkpoint(source, target)
    why = WHY_NOT.get((found.naming, wanted.naming))
    if found.restate is None or wanted.take is None or why is not None:
        raise UnsupportedError(
            f"{found.name} weights cannot become {wanted.name} weights without the model: {why}",
            feature=f"{found.name} weights as {wanted.name}",
            file=os.fspath(source),
            instead="make the model by its own code, hozon.load_weights(model, source), and "
            "hozon.save_weights(model, target)",
        )
    record = found.restate(source)
    report = wanted.take(record, target)
    left = Counter(key.partition("/")[0] for key in record.metadata.get("left_out", ()))
    report.lost += [
        f"{name}: H5 weights have no place for its {count} tensors" for name, count in left.items()
    ]
    if record.optimizer is not None and chosen in WITHOUT_OPTIMIZER:
        report.lost.append(f"the optimizer's state: {chosen} has no place for it")
    return report


def _copied_checkpoint(source: str, target: str) -> SaveReport:
    """All tensors of a checkpoint under another prefix."""
    from hozon.containers.checkpoint.read import read
    from hozon.formats.bundle import write_bundle

    write_bundle(target, read(source).items())
    nbytes = sum(path.stat().st_size for path in Path(target).parent.glob(f"{Path(target).name}.*"))
    return SaveReport(os.fspath(target), "tf", nbytes)
