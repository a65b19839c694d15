"""What a saved form is: one home for all that the rest of Hozon asks of it.

A form says its names and what it holds, tells its files by what is in them, reads them as a record
and writes a record or a live model. One that cannot do a step inherits the refusal of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from hozon.audit import Audit
from hozon.containers.agreement import audit_record
from hozon.containers.own_checksums import audit_whole
from hozon.errors import SaveError, UnsupportedError
from hozon.forms.background import Write
from hozon.raw.own_checksum import check_own
from hozon.raw.stores import exists, is_directory, is_remote, open_source, size, size_on_disk
from hozon.record import Dialect, ModelRecord, Naming, named_tensors
from hozon.reports import SaveReport
from hozon.stored.lazy import LazyTensor
from hozon.stored.parts import read_parts

if TYPE_CHECKING:
    import keras

    from hozon.models.assignment.by_name import Rename
    from hozon.models.report import LoadReport

__all__ = ["BuildOptions", "Form", "Holds", "LoadOptions", "SaveOptions"]

#: A whole model, the weights of one, or how one is built.
Holds = Literal["a model", "weights", "an architecture"]


#: What a form lacks to be a model, and how to get one all the same.
WITHOUT: Mapping[Holds, tuple[str, str]] = {
    "weights": (
        "a model",
        "make the model by its own code, then hozon.load_weights(model, path)",
    ),
    "an architecture": (
        "weights",
        "hozon.model_from_json(text), then hozon.load_weights(model, path)",
    ),
}


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """How something is to be saved; see `hozon.save_model` and `hozon.save_weights`."""

    overwrite: bool = True
    include_optimizer: bool = True
    dialect: Dialect | None = None
    signatures: Mapping[str, Any] | None = None
    native_ops_only: bool = False
    card: bool = False
    max_shard_size: float | None = None
    blocking: bool = True

    def copied(self, record: ModelRecord) -> ModelRecord:
        """What is to be written of a record: itself, or copies if the caller goes on."""
        return record if self.blocking else record.copied_to_memory()


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a model is to be built; see `hozon.load_model`."""

    custom_objects: Mapping[str, Any] | None = None
    compile: bool = True
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How weights are to be found; see `hozon.load_weights`."""

    by_name: bool = False
    rename: Rename = None
    skip_mismatch: bool = False

    def given(self) -> dict[str, Any]:
        """All of it by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Form(Protocol):
    """A saved form.

    Attributes:
        name: its own name, which no other form has.
        label: what people call it.
        format: what the argument `format` calls it among forms that hold the same.
        aliases: other values of `format`.
        suffixes: ends of paths that mean it; none where it is what a path without an end means.
        holds: what is in it.
        naming: how its tensors find their objects.
        optimizer: whether it has a place for the optimizer's state.
        functions: whether it has a place for signatures.
        dialects: which Kerases it can speak to; none where it has no configs.
        shards: whether it is several files, whose size can be chosen.
        cards: whether it is a folder, which has a place for a model card.
        written: whether Hozon writes it.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    format: ClassVar[str]
    holds: ClassVar[Holds]
    naming: ClassVar[Naming]
    optimizer: ClassVar[bool]
    suffixes: ClassVar[tuple[str, ...]] = ()
    aliases: ClassVar[tuple[str, ...]] = ()
    dialects: ClassVar[tuple[Dialect, ...]] = ()
    functions: ClassVar[bool] = False
    shards: ClassVar[bool] = False
    cards: ClassVar[bool] = False
    written: ClassVar[bool] = True

    def of_folders(self) -> bool:
        """Whether folders can be of this form: those of one without a suffix are."""
        return not self.suffixes

    def detect(self, path: str) -> bool:
        """Whether a path is of this form, by what is there.

        Raises:
            FormatError: it is, and so damaged that more cannot be said.
        """

    def read(self, path: str) -> ModelRecord:
        """What is there as a record; its tensors are read when used. Neither Keras nor JAX."""

    def look(self, path: str) -> ModelRecord:
        """The same without a look at values: no checksum of them is compared."""
        return self.read(path)

    def named(self, record: ModelRecord) -> Mapping[str, LazyTensor]:
        """The tensors of a record by the names that people know them by, each of its own."""
        return named_tensors(record)

    def tensors(self, path: str) -> Mapping[str, LazyTensor]:
        """All tensors that are there, by name; no values are read, and no checksum of them."""
        return self.named(self.look(path))

    def read_named(self, path: str, naming: Naming) -> ModelRecord | None:
        """The weights as a record of this naming; None where only the model could name them so."""
        return self.read(path) if naming == self.naming else None

    def check(self, path: str) -> bool:
        """Compare the checksums that files of Hozon's hold of themselves; whether all do.

        Tensors that have checksums of their own are compared when they are read.

        Raises:
            FormatError: one differs.
        """
        held = [check_own(open_source(file)) for file in self.files(path)]
        return bool(held) and all(held)

    def files(self, path: str) -> Sequence[str]:
        """The files that may hold a checksum of themselves."""
        return () if is_directory(path) else (path,)

    def audit(self, path: str, audit: Audit) -> None:
        """Check all that is there: checksums, references, shapes. Neither Keras nor JAX.

        A form that knows nothing better reads its record and each tensor.
        """
        audit.nbytes += size_on_disk(path)
        with audit.checking("records", file=path):
            record = self.read(path)
            audit_record(record, audit)
            for name, tensor in self.named(record).items():
                with audit.checking("tensors", name, path):
                    for part in read_parts(tensor):
                        del part
        if not audit_whole(lambda: self.check(path), path, size_on_disk(path), audit):
            audit.leave(f"{self.label} has no checksum", size_on_disk(path))

    def build(self, path: str, options: BuildOptions) -> keras.Model:
        """The live model; it carries ``load_report`` where it has weights."""
        raise self.no_model(path)

    def no_model(self, path: str) -> UnsupportedError:
        """The error to raise where a model with its weights is wanted."""
        without, instead = WITHOUT[self.holds]
        return UnsupportedError(
            f"{path} holds {self.holds} without {without}",
            feature=f"{self.holds} as a model",
            file=path,
            instead=instead,
        )

    def require_owner(self, name: str, model: object) -> None:
        """Raise ArgumentError for an argument that such weights cannot be of, or go into."""
        from hozon.models.built import require_layer

        require_layer(name, model)

    def load(self, model: keras.Layer, path: str, options: LoadOptions) -> LoadReport:
        """Give a live model or layer the weights that are there."""
        raise UnsupportedError(
            f"{path} holds {self.holds} without weights",
            feature=f"weights of {self.label}",
            file=path,
            instead="give a file that holds weights",
        )

    def prepare(self, model: keras.Layer, path: str, options: SaveOptions) -> Write:
        """Refuse what can be refused, and give back what writes the rest."""
        raise self.not_written(path)

    def optimizer_lost(self, model: keras.Layer) -> list[str]:
        """What to tell of the steps of a model's optimizer, where they have no place."""
        optimizer = getattr(model, "optimizer", None)
        if (
            self.optimizer
            or optimizer is None
            or not optimizer.built
            or not int(optimizer.iterations)
        ):
            return []
        return [self.without_optimizer()]

    def without_optimizer(self) -> str:
        """The line of a report for an optimizer's state that has no place."""
        return f"the optimizer's state: {self.label} has no place for it"

    def write(self, record: ModelRecord, path: str, options: SaveOptions) -> SaveReport:
        """Write a record, whole or not at all."""
        raise self.not_written(path)

    def not_written(self, path: str) -> UnsupportedError:
        """The error to raise where there is no writer."""
        return UnsupportedError(
            f"{self.label} is read, not written", feature=f"writing {self.label}", file=path
        )


def write_later(
    form: Form, record: ModelRecord, lost: list[str], path: str, options: SaveOptions
) -> Write:
    """What writes a record as its form does; the report says also what the record cannot hold."""
    return partial(_write, form, options.copied(record), lost, path, options)


def _write(
    form: Form, record: ModelRecord, lost: list[str], path: str, options: SaveOptions
) -> SaveReport:
    report = form.write(record, path, options)
    report.lost += lost
    return report


def check_before_load(form: Form, path: str) -> None:
    """Raise FormatError for files that are not what was saved; far ones would be fetched whole."""
    if not is_remote(path):
        form.check(path)


def report_of_file(form: Form, path: str) -> SaveReport:
    """What is said of a form that is one file, which was written."""
    return SaveReport(path, form.format, size(path))


def check_file(form: Form, path: str, options: SaveOptions) -> None:
    """Raise SaveError if a file cannot be put here: before anything costs time."""
    if is_directory(path):
        raise SaveError(
            f"{path} is a directory; {form.label} is a file",
            file=path,
            instead="another path, or format='savedmodel'",
        )
    _check_absent(path, options)


def check_folder(form: Form, path: str, options: SaveOptions) -> None:
    """Raise SaveError if a folder cannot be put here: before anything costs time."""
    if exists(path) and not is_directory(path):
        raise SaveError(
            f"{path} is a file; {form.label} is a folder", file=path, instead="another path"
        )
    _check_absent(path, options)


def _check_absent(path: str, options: SaveOptions) -> None:
    if exists(path) and not options.overwrite:
        raise SaveError(
            f"{path} exists already", file=path, instead="overwrite=True, or another path"
        )
