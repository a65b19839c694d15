"""Weights as safetensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hozon.audit import Audit
from hozon.errors import UnsupportedError
from hozon.forms.background import Write
from hozon.forms.form import SaveOptions, check_file, report_of_file, write_later
from hozon.forms.weights_h5 import PathsForm
from hozon.record import ModelRecord
from hozon.reports import SaveReport

if TYPE_CHECKING:
    import keras


class SafetensorsForm(PathsForm):
    """One file of named tensors; a model's config stands in its metadata."""

    name = format = label = "safetensors"
    suffixes = (".safetensors",)
    holds = "weights"
    optimizer = False

    def detect(self, path: str) -> bool:
        """Whether the file begins with a table of tensors."""
        from hozon.containers.safetensors import detect

        return detect(path) is not None

    def read(self, path: str) -> ModelRecord:
        """The tensors."""
        from hozon.containers.safetensors import read

        return read(path)

    def audit(self, path: str, audit: Audit) -> None:
        """The header, and that the tensors fill the file."""
        from hozon.containers import safetensors

        safetensors.audit(path, audit)

    def prepare(self, model: keras.Layer, path: str, options: SaveOptions) -> Write:
        """What writes the weights of a model or layer, its config beside them if it has one."""
        from hozon.models.assignment.learned import not_in_weights
        from hozon.models.keras3 import describe, describe_weights

        check_file(self, path, options)
        try:
            record, lost = describe(model)
            lost = [*lost, *not_in_weights(model, summaries=False)]
        except (UnsupportedError, TypeError, ValueError):  # a layer, or a model without a config
            record, lost = describe_weights(model)
        return write_later(self, record, lost + self.optimizer_lost(model), path, options)

    def write(self, record: ModelRecord, path: str, options: SaveOptions) -> SaveReport:
        """A record of weights by path."""
        from hozon.containers.safetensors import write

        write(record, path, overwrite=options.overwrite)
        return report_of_file(self, path)
