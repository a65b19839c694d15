"""Forms that hold weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hozon.errors import FormatError, UnsupportedError
from hozon.forms.background import Write, in_background, in_turn
from hozon.forms.whole import Location, check_file, writing
from hozon.raw.places import is_remote, place
from hozon.record import ModelRecord, Naming
from hozon.reports import SaveReport

if TYPE_CHECKING:
    import keras

    from hozon.models.report import LoadReport

#: Several files with an index, and the only form whose files have a largest size.
SHARDED = "weights.json"


@dataclass(frozen=True, slots=True)
class SaveWeights:
    """How weights are to be saved; see `hozon.save_weights`."""

    overwrite: bool = True
    max_shard_size: float | None = None
    blocking: bool = True

    def record(self, record: ModelRecord) -> ModelRecord:
        """What is to be written of a record: itself, or copies if the caller goes on."""
        return record if self.blocking else record.held()


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
    prepare: Callable[[keras.Layer, Location, SaveWeights], Write]
    restate: Callable[[Location], ModelRecord] | None = None
    take: Callable[[ModelRecord, Location], SaveReport] | None = None

    def save(self, model: keras.Layer, path: Location, options: SaveWeights) -> SaveReport:
        """Write weights; in the background, unless `options` say to block."""
        prepare = partial(self.prepare, model, path, options)
        if options.blocking:
            return in_turn(prepare)
        return in_background(os.fspath(path), self.name, prepare)


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


def _prepare_checkpoint(model: Any, path: Location, options: SaveWeights) -> Write:
    from hozon.train import weights

    lost = weights.left_out(model)
    write = weights.prepare_weights(
        model, path, overwrite=options.overwrite, hold=not options.blocking
    )

    def written() -> SaveReport:
        prefix = write()
        return SaveReport(prefix, "tf", weights.saved_bytes(prefix), lost=lost)

    return written


def _read_by_layer(path: Location) -> ModelRecord:
    from hozon.containers.checkpoint.layers import read_by_layer

    return read_by_layer(path)


def _is_h5(path: Location) -> bool:
    from hozon.containers.h5 import detect

    return Path(path).is_file() and detect(path) is not None


def _load_h5(model: Any, path: Location, *, by_name: bool, skip_mismatch: bool) -> LoadReport:
    from hozon.containers.h5 import read
    from hozon.models.h5 import load_h5_weights

    return load_h5_weights(model, read(path), by_name=by_name, skip_mismatch=skip_mismatch)


def _prepare_h5(model: Any, path: Location, options: SaveWeights) -> Write:
    from hozon.containers.h5 import write
    from hozon.models.h5 import describe_h5_weights

    check_file(path, overwrite=options.overwrite)
    record, lost = describe_h5_weights(model)
    put = partial(write, overwrite=options.overwrite)
    return writing("h5", options.record(record), lost, path, put)


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
    from hozon.models.keras3 import load_weights

    return load_weights(model, read(path), by_name=by_name, skip_mismatch=skip_mismatch)


def _prepare_paths(model: Any, path: Location, options: SaveWeights) -> Write:
    from hozon.containers.keraszip import write_weights
    from hozon.models.keras3 import describe_weights

    check_file(path, overwrite=options.overwrite)
    record, lost = describe_weights(model)
    return writing("weights.h5", options.record(record), lost, path, write_weights)


def _read_paths(path: Location) -> ModelRecord:
    from hozon.containers.keraszip import read

    return read(path)


def _take_paths(record: ModelRecord, path: Location) -> SaveReport:
    from hozon.containers.keraszip import write_weights

    write_weights(record, path)
    return SaveReport(os.fspath(path), "weights.h5", os.path.getsize(path))


def _is_safetensors(path: Location) -> bool:
    from hozon.containers.safetensors import detect

    return Path(path).is_file() and detect(path) is not None


def _load_safetensors(
    model: Any, path: Location, *, by_name: bool, skip_mismatch: bool
) -> LoadReport:
    from hozon.models.keras3 import load_weights

    record = _read_safetensors(path)
    return load_weights(model, record, by_name=by_name, skip_mismatch=skip_mismatch)


def _prepare_safetensors(model: Any, path: Location, options: SaveWeights) -> Write:
    from hozon.containers.safetensors import write
    from hozon.models.keras3 import describe, describe_weights

    check_file(path, overwrite=options.overwrite)
    try:
        record, lost = describe(model)
    except (UnsupportedError, TypeError, ValueError):  # a layer, or a model without a config
        record, lost = describe_weights(model)
    return writing("safetensors", options.record(record), lost, path, write)


def _read_safetensors(path: Location) -> ModelRecord:
    from hozon.containers.safetensors import read

    return read(path)


def _take_safetensors(record: ModelRecord, path: Location) -> SaveReport:
    from hozon.containers.safetensors import write

    write(record, path)
    return SaveReport(os.fspath(path), "safetensors", os.path.getsize(path))


def _is_sharded(path: Location) -> bool:
    from hozon.containers.shards import detect

    return Path(path).is_file() and detect(path) is not None


def _load_sharded(model: Any, path: Location, *, by_name: bool, skip_mismatch: bool) -> LoadReport:
    from hozon.models.keras3 import load_weights

    record = _read_sharded(path)
    return load_weights(model, record, by_name=by_name, skip_mismatch=skip_mismatch)


def _prepare_sharded(model: Any, path: Location, options: SaveWeights) -> Write:
    from hozon.containers.shards import DEFAULT_SHARD, GIB, write
    from hozon.models.keras3 import describe_weights

    check_file(path, overwrite=options.overwrite)
    size = options.max_shard_size
    limit = DEFAULT_SHARD if size is None else int(size * GIB)
    record, lost = describe_weights(model)
    record = options.record(record)

    def written() -> SaveReport:
        nbytes = write(record, path, options.overwrite, limit)
        return SaveReport(os.fspath(path), SHARDED, nbytes, lost=lost)

    return written


def _read_sharded(path: Location) -> ModelRecord:
    from hozon.containers.shards import read

    return read(path)


def _take_sharded(record: ModelRecord, path: Location) -> SaveReport:
    from hozon.containers.shards import write

    return SaveReport(os.fspath(path), SHARDED, write(record, path))


#: All forms, in the order in which they are asked whether a path is theirs. Where several suffixes
#: end a path, the longest counts.
WEIGHT_FORMS = (
    WeightForm(
        "tf",
        (),
        "objects",
        _is_checkpoint,
        _load_checkpoint,
        _prepare_checkpoint,
        _read_by_layer,
    ),
    WeightForm("h5", (".h5", ".hdf5"), "layers", _is_h5, _load_h5, _prepare_h5, _read_h5, _take_h5),
    WeightForm(
        "weights.h5",
        (".weights.h5",),
        "attributes",
        _is_paths,
        _load_paths,
        _prepare_paths,
        _read_paths,
        _take_paths,
    ),
    WeightForm(
        SHARDED,
        (".weights.json",),
        "attributes",
        _is_sharded,
        _load_sharded,
        _prepare_sharded,
        _read_sharded,
        _take_sharded,
    ),
    WeightForm(
        "safetensors",
        (".safetensors",),
        "attributes",
        _is_safetensors,
        _load_safetensors,
        _prepare_safetensors,
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
        feature="the format of this file",
        file=text,
    )


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
                feature=f"the format {name!r}",
                file=os.fspath(path),
                instead='format="tf"',
            )
        return form
    text = os.fspath(path).lower()
    ends = [(s, f) for f in WEIGHT_FORMS for s in f.suffixes if text.endswith(s)]
    return max(ends, key=lambda end: len(end[0]))[1] if ends else WEIGHT_FORMS[0]


__all__ = ["SHARDED", "WEIGHT_FORMS", "SaveWeights", "WeightForm", "chosen_form", "weight_form"]
