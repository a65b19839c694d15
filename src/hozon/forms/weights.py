"""Forms that hold weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hozon.errors import FormatError, UnsupportedError
from hozon.forms.whole import Location, check_file
from hozon.raw.places import is_remote, place
from hozon.record import ModelRecord, Naming
from hozon.reports import SaveReport

if TYPE_CHECKING:
    import keras

    from hozon.models.report import LoadReport


@dataclass(frozen=True, slots=True)
class WeightForm:
    """One form: its name, the suffixes that mean it when saving, and what can be done with it.

    Forms of one `naming` convert into each other without the model: `restate` reads a record,
    `take` writes one.
    """

    name: str
    suffixes: tuple[str, ...]
    naming: Naming
    detect: Callable[[Location], bool]
    load: Callable[..., LoadReport]
    save: Callable[[keras.Layer, Location, bool], SaveReport]
    restate: Callable[[Location], ModelRecord] | None = None
    take: Callable[[ModelRecord, Location], SaveReport] | None = None


def _is_checkpoint(path: Location) -> bool:
    from hozon.containers.checkpoint.read import detect as is_prefix
    from hozon.containers.savedmodel.read import detect as is_savedmodel

    if is_remote(place(path)) or not os.path.lexists(path):
        return True
    return is_prefix(path) or is_savedmodel(path)


def _load_checkpoint(
    model: Any, path: Location, *, by_name: bool, skip_mismatch: bool
) -> LoadReport:
    from hozon.train import weights

    return weights.load_weights(model, path, by_name=by_name, skip_mismatch=skip_mismatch)


def _save_checkpoint(model: Any, path: Location, overwrite: bool) -> SaveReport:
    from hozon.train import weights

    lost = weights.left_out(model)
    prefix = weights.save_weights(model, path, overwrite=overwrite)
    return SaveReport(prefix, "tf", weights.saved_bytes(prefix), lost=lost)


def _is_h5(path: Location) -> bool:
    from hozon.containers.h5 import detect

    return Path(path).is_file() and detect(path) is not None


def _load_h5(model: Any, path: Location, *, by_name: bool, skip_mismatch: bool) -> LoadReport:
    from hozon.containers.h5 import read
    from hozon.models.layered import load_h5_weights

    return load_h5_weights(model, read(path), by_name=by_name, skip_mismatch=skip_mismatch)


def _save_h5(model: Any, path: Location, overwrite: bool) -> SaveReport:
    from hozon.containers.h5 import write
    from hozon.models.layered import describe_h5_weights

    check_file(path, overwrite=overwrite)
    record, lost = describe_h5_weights(model)
    write(record, path, overwrite=overwrite)
    return SaveReport(os.fspath(path), "h5", os.path.getsize(path), lost=lost)


def _read_h5(path: Location) -> ModelRecord:
    from hozon.containers.h5 import read

    return read(path)


def _take_h5(record: ModelRecord, path: Location) -> SaveReport:
    from hozon.containers.h5 import write

    write(record, path)
    return SaveReport(os.fspath(path), "h5", os.path.getsize(path))


def _is_paths(path: Location) -> bool:
    from hozon.containers.keraszip import detect

    return Path(path).is_file() and detect(path) is not None


def _load_paths(model: Any, path: Location, *, by_name: bool, skip_mismatch: bool) -> LoadReport:
    from hozon.containers.keraszip import read
    from hozon.models.pathed import load_weights

    return load_weights(model, read(path), by_name=by_name, skip_mismatch=skip_mismatch)


def _save_paths(model: Any, path: Location, overwrite: bool) -> SaveReport:
    from hozon.models.pathed import describe_weights

    check_file(path, overwrite=overwrite)
    record, lost = describe_weights(model)
    return replace(_take_paths(record, path), lost=lost)


def _read_paths(path: Location) -> ModelRecord:
    from hozon.containers.keraszip import read

    return read(path)


def _take_paths(record: ModelRecord, path: Location) -> SaveReport:
    from hozon.containers.keraszip import write_weights

    write_weights(record, path)
    return SaveReport(os.fspath(path), "weights.h5", os.path.getsize(path))


def _is_safetensors(path: Location) -> bool:
    from hozon.containers.tensors import detect

    return Path(path).is_file() and detect(path) is not None


def _load_safetensors(
    model: Any, path: Location, *, by_name: bool, skip_mismatch: bool
) -> LoadReport:
    from hozon.models.pathed import load_weights

    record = _read_safetensors(path)
    return load_weights(model, record, by_name=by_name, skip_mismatch=skip_mismatch)


def _save_safetensors(model: Any, path: Location, overwrite: bool) -> SaveReport:
    from hozon.models.pathed import describe, describe_weights

    check_file(path, overwrite=overwrite)
    try:
        record, lost = describe(model)
    except (UnsupportedError, TypeError, ValueError):  # a layer, or a model without a config
        record, lost = describe_weights(model)
    return replace(_take_safetensors(record, path), lost=lost)


def _read_safetensors(path: Location) -> ModelRecord:
    from hozon.containers.tensors import read

    return read(path)


def _take_safetensors(record: ModelRecord, path: Location) -> SaveReport:
    from hozon.containers.tensors import write

    write(record, path)
    return SaveReport(os.fspath(path), "safetensors", os.path.getsize(path))


def _is_sharded(path: Location) -> bool:
    from hozon.containers.shards import detect

    return Path(path).is_file() and detect(path) is not None


def _load_sharded(model: Any, path: Location, *, by_name: bool, skip_mismatch: bool) -> LoadReport:
    from hozon.models.pathed import load_weights

    record = _read_sharded(path)
    return load_weights(model, record, by_name=by_name, skip_mismatch=skip_mismatch)


def _save_sharded(model: Any, path: Location, overwrite: bool) -> SaveReport:
    return save_shards(model, path, overwrite=overwrite)


def save_shards(
    model: Any, path: Location, *, overwrite: bool = True, max_shard_size: float | None = None
) -> SaveReport:
    """Save weights as a set of files of at most `max_shard_size` GiB each; None is 5."""
    from hozon.containers.shards import DEFAULT_SHARD, GIB, write
    from hozon.models.pathed import describe_weights

    limit = DEFAULT_SHARD if max_shard_size is None else int(max_shard_size * GIB)
    record, lost = describe_weights(model)
    nbytes = write(record, path, overwrite, limit)
    return SaveReport(os.fspath(path), "weights.json", nbytes, lost=lost)


def _read_sharded(path: Location) -> ModelRecord:
    from hozon.containers.shards import read

    return read(path)


def _take_sharded(record: ModelRecord, path: Location) -> SaveReport:
    from hozon.containers.shards import write

    return SaveReport(os.fspath(path), "weights.json", write(record, path))


#: All forms, in the order in which they are asked whether a path is theirs. Where several suffixes
#: end a path, the longest counts.
WEIGHT_FORMS = (
    WeightForm("tf", (), "objects", _is_checkpoint, _load_checkpoint, _save_checkpoint),
    WeightForm("h5", (".h5", ".hdf5"), "layers", _is_h5, _load_h5, _save_h5, _read_h5, _take_h5),
    WeightForm(
        "weights.h5",
        (".weights.h5",),
        "attributes",
        _is_paths,
        _load_paths,
        _save_paths,
        _read_paths,
        _take_paths,
    ),
    WeightForm(
        "weights.json",
        (".weights.json",),
        "attributes",
        _is_sharded,
        _load_sharded,
        _save_sharded,
        _read_sharded,
        _take_sharded,
    ),
    WeightForm(
        "safetensors",
        (".safetensors",),
        "attributes",
        _is_safetensors,
        _load_safetensors,
        _save_safetensors,
        _read_safetensors,
        _take_safetensors,
    ),
)


def weight_form(path: Location) -> WeightForm:
    """The form of the weights at a path; a missing path may be a checkpoint's prefix.

    Raises:
        FormatError: there is no such file, and its name is none of a checkpoint.
        UnsupportedError: it is of no form that is known.
    """
    text = os.fspath(path)
    _require_file(text)
    for form in WEIGHT_FORMS:
        if form.detect(path):
            return form
    names = ", ".join(form.name for form in WEIGHT_FORMS)
    raise UnsupportedError(
        f"{text} holds no weights in a known form: {names} (a TensorFlow checkpoint is named by "
        "the prefix before .index, or by its folder)",
        feature="the format of this file", file=text,
    )  # fmt: skip


def _require_file(text: str) -> None:
    """A path whose end means a file is a checkpoint's prefix only if there is such a checkpoint."""
    from hozon.containers.checkpoint.read import detect as is_prefix

    missing = not is_remote(place(text)) and not os.path.lexists(place(text))
    if missing and chosen_form(text, None).suffixes and not is_prefix(text):
        raise FormatError(f"{text} does not exist", file=text)


def chosen_form(path: Location, name: str | None) -> WeightForm:
    """The form to write: by its name, or by the suffix of the path; a checkpoint for no suffix."""
    if name is not None:
        form = next((f for f in WEIGHT_FORMS if f.name == name), None)
        if form is None:
            known = ", ".join(repr(f.name) for f in WEIGHT_FORMS)
            raise UnsupportedError(
                f"weights cannot be saved as {name!r}; the formats are {known}",
                feature=f"the format {name!r}", file=os.fspath(path), instead='format="tf"',
            )  # fmt: skip
        return form
    text = os.fspath(path).lower()
    ends = [(s, f) for f in WEIGHT_FORMS for s in f.suffixes if text.endswith(s)]
    return max(ends, key=lambda end: len(end[0]))[1] if ends else WEIGHT_FORMS[0]


__all__ = ["WEIGHT_FORMS", "WeightForm", "chosen_form", "weight_form"]
