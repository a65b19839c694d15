"""Weights by layer: Keras 2's H5 files of weights, and what they share with those of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hozon.audit import Audit
from hozon.forms.background import Write
from hozon.forms.form import Form, LoadOptions, SaveOptions, check_file, report_of_file, write_later
from hozon.record import ModelRecord
from hozon.reports import SaveReport

if TYPE_CHECKING:
    import keras

    from hozon.models.report import LoadReport


class LayersForm(Form):
    """What H5 files of models and of weights have in common."""

    suffixes = (".h5", ".hdf5")
    naming = "layers"

    def read(self, path: str) -> ModelRecord:
        """The weights by layer, and the model if there is one."""
        from hozon.containers.h5 import read

        return read(path)

    def audit(self, path: str, audit: Audit) -> None:
        """The structures of the file, the config, and both together."""
        from hozon.containers.h5.audit import audit_h5

        audit_h5(path, audit)

    def load(self, model: keras.Layer, path: str, options: LoadOptions) -> LoadReport:
        """The weights, by layer and order or by name."""
        from hozon.models.h5 import load_h5_weights

        return load_h5_weights(model, self.read(path), **options.given())

    def write(self, record: ModelRecord, path: str, options: SaveOptions) -> SaveReport:
        """A record of weights by layer."""
        from hozon.containers.h5 import write

        write(record, path, overwrite=options.overwrite)
        return report_of_file(self, path)


class H5WeightsForm(LayersForm):
    """Weights without a model around them."""

    name = "h5_weights"
    format = "h5"
    label = "Keras H5 weights"
    holds = "weights"
    optimizer = False

    def detect(self, path: str) -> bool:
        """Whether there are layers' weights, and no config, in an HDF5 file."""
        from hozon.containers.h5 import detect

        return detect(path) == "h5_weights"

    def prepare(self, model: keras.Layer, path: str, options: SaveOptions) -> Write:
        """What writes the weights of a model or layer."""
        from hozon.models.h5 import describe_h5_weights

        check_file(self, path, options)
        record, lost = describe_h5_weights(model)
        return write_later(self, record, lost + self.optimizer_lost(model), path, options)
