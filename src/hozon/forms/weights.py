"""Forms that hold weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from hozon.errors import UnsupportedError
from hozon.forms.background import Write, in_background, in_turn
from hozon.forms.choice import choose, unknown_file
from hozon.forms.whole import Location, check_file, writing
from hozon.raw.places import is_file
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

    def require(self, name: str, model: Any) -> None:
        """Raise ArgumentError for what this form cannot hold."""
        if self.naming == "objects":
            from hozon.train.weights import require_held as require
        else:
            from hozon.models.built import require_layer as require
        require(name, model)

    def save(self, model: keras.Layer, path: Location, options: SaveWeights) -> SaveReport:
        """Write weights; in the background, unless `options` say to block."""
        prepare = partial(self.prepare, model, path, options)
        if options.blocking:
            return in_turn(prepare)
        return in_background(os.fspath(path), self.name, prepare)


def _is_checkpoint(path: Location) -> bool:
    from hozon.containers.checkpoint.read import detect as is_prefix
    from hozon.containers.savedmodel.read import detect as is_savedmodel

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

    return is_file(os.fspath(path)) and detect(path) is not None


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

    return is_file(os.fspath(path)) and detect(path) is not None


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

    return is_file(os.fspath(path)) and detect(path) is not None


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

    return is_file(os.fspath(path)) and detect(path) is not None


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


def weight_form(path: str) -> WeightForm:
    """The form of the weights at a path.

    Raises:
        MissingFileError: there is nothing.
        ForeignFileError: there is nothing that is known.
    """
    for form in WEIGHT_FORMS:
        if form.detect(path):
            return form
    raise unknown_file(path)


def chosen_form(path: str, name: str | None) -> WeightForm:
    """The form to write: by its name, or by the suffix of the path; a checkpoint for no suffix."""
    return choose("weights", WEIGHT_FORMS, path, name, {"keras": "weights.h5"})


__all__ = ["SHARDED", "WEIGHT_FORMS", "SaveWeights", "WeightForm", "chosen_form", "weight_form"]
