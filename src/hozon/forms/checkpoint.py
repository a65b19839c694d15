"""TensorFlow checkpoints, object-based and name-based."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hozon.audit import Audit
from hozon.forms.background import Write
from hozon.forms.form import Form, LoadOptions, SaveOptions
from hozon.record import ModelRecord, Naming
from hozon.reports import SaveReport
from hozon.stored.lazy import LazyTensor

if TYPE_CHECKING:
    import keras

    from hozon.models.report import LoadReport


class CheckpointForm(Form):
    """A checkpoint, named by its prefix, one of its files or its folder."""

    name = "tf_checkpoint"
    format = "tf"
    label = "TensorFlow checkpoint"
    holds = "weights"
    naming = "objects"
    optimizer = True

    def detect(self, path: str) -> bool:
        """Whether there is an index."""
        from hozon.containers.checkpoint.read import detect

        return detect(path)

    def read(self, path: str) -> ModelRecord:
        """All tensors, by their keys."""
        from hozon.containers.checkpoint.read import read_record

        return read_record(path)

    def tensors(self, path: str) -> Mapping[str, LazyTensor]:
        """All tensors, that of the object graph too."""
        from hozon.containers.checkpoint.read import read

        return read(path)

    def files(self, path: str) -> tuple[str, ...]:  # noqa: ARG002
        """None: every tensor and every block of the index has a checksum."""
        return ()

    def audit(self, path: str, audit: Audit) -> None:
        """The blocks of the index, every tensor's checksum, the object graph."""
        from hozon.containers.checkpoint.audit import audit_checkpoint

        audit_checkpoint(path, audit)

    def read_named(self, path: str, naming: Naming) -> ModelRecord | None:
        """By layer too, where the object graph tells layers and the order of their weights."""
        from hozon.containers.checkpoint.layers import read_by_layer

        return read_by_layer(path) if naming == "layers" else super().read_named(path, naming)

    def require_owner(self, name: str, model: object) -> None:
        """A checkpoint holds more than layers."""
        from hozon.train.weights import require_held

        require_held(name, model)

    def load(self, model: keras.Layer, path: str, options: LoadOptions) -> LoadReport:
        """The weights, by the object graph; what is created later gets its value then."""
        from hozon.train.weights import load_weights

        return load_weights(model, path, **options.given())

    def prepare(self, model: keras.Layer, path: str, options: SaveOptions) -> Write:
        """The object graph of the model; what writes it and its values."""
        from hozon.containers.checkpoint.write import saved_bytes
        from hozon.train.weights import left_out, prepare_weights

        lost = left_out(model)
        write = prepare_weights(model, path, overwrite=options.overwrite, hold=not options.blocking)

        def written() -> SaveReport:
            prefix = write()
            return SaveReport(prefix, self.format, saved_bytes(prefix), lost=lost)

        return written

    def write(self, record: ModelRecord, path: str, options: SaveOptions) -> SaveReport:
        """All tensors of another checkpoint under another prefix."""
        from hozon.containers.checkpoint.write import write

        return SaveReport(path, self.format, write(record, path, overwrite=options.overwrite))
