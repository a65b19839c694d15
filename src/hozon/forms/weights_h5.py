"""Weights by paths of attributes: Keras 3's ``.weights.h5``, and what it shares with others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hozon.audit import Audit
from hozon.forms.background import Write
from hozon.forms.form import Form, LoadOptions, SaveOptions, check_file, report_of_file, write_later
from hozon.record import ModelRecord
from hozon.reports import SaveReport
from hozon.stored.lazy import LazyTensor

if TYPE_CHECKING:
    import keras

    from hozon.models.report import LoadReport


class PathsForm(Form):
    """What all forms whose tensors are named by paths have in common."""

    naming = "attributes"
    optimizer = True

    def named(self, record: ModelRecord) -> Mapping[str, LazyTensor]:
        """The tensors by their places in the file, ``layers/dense/vars/0``."""
        optimizer = () if record.optimizer is None else (record.optimizer,)
        groups = (*record.state, *optimizer)
        return {tensor.name: tensor for group in groups for tensor in group.tensors.values()}

    def load(self, model: keras.Layer, path: str, options: LoadOptions) -> LoadReport:
        """The weights, by the paths of attributes."""
        from hozon.models.keras3 import load_weights

        return load_weights(model, self.read(path), **options.given())


class WeightsH5Form(PathsForm):
    """One HDF5 file, a group for each object."""

    name = format = "weights.h5"
    label = "Keras 3 weights (.weights.h5)"
    suffixes = (".weights.h5",)
    aliases = ("keras",)
    holds = "weights"

    def detect(self, path: str) -> bool:
        """Whether there are variables by path in an HDF5 file."""
        from hozon.containers.keraszip import detect

        return detect(path) == "weights.h5"

    def read(self, path: str) -> ModelRecord:
        """The weights and the optimizer's variables."""
        from hozon.containers.keraszip import read

        return read(path)

    def audit(self, path: str, audit: Audit) -> None:
        """The structures of the file."""
        from hozon.containers.keraszip.audit import audit_weights

        audit_weights(path, audit)

    def prepare(self, model: keras.Layer, path: str, options: SaveOptions) -> Write:
        """What writes the weights of a model or layer."""
        from hozon.models.keras3 import describe_weights

        check_file(self, path, options)
        record, lost = describe_weights(model)
        return write_later(self, record, lost, path, options)

    def write(self, record: ModelRecord, path: str, options: SaveOptions) -> SaveReport:
        """A record of weights by path."""
        from hozon.containers.keraszip import write_weights

        write_weights(record, path, overwrite=options.overwrite)
        return report_of_file(self, path)
