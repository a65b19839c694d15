"""TensorFlow.js' layers models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hozon.forms.background import Write
from hozon.forms.form import (
    BuildOptions,
    Form,
    LoadOptions,
    SaveOptions,
    check_folder,
    write_later,
)
from hozon.record import ModelRecord
from hozon.reports import SaveReport

if TYPE_CHECKING:
    import keras

    from hozon.models.report import LoadReport


class TfjsForm(Form):
    """A folder with a ``model.json`` and the shards of its weights."""

    name = format = "tfjs"
    label = "TensorFlow.js layers model"
    holds = "a model"
    naming = "layers"
    optimizer = False
    cards = True
    dialects = ("keras2",)

    def detect(self, path: str) -> bool:
        """Whether there are a topology and a manifest in a JSON file, or in a folder's."""
        from hozon.containers.tfjs import detect

        return detect(path)

    def read(self, path: str) -> ModelRecord:
        """The model's config and its weights by layer."""
        from hozon.containers.tfjs import read

        return read(path)

    def check(self, path: str) -> bool:
        """The model's own checksum, and those of its shards."""
        from hozon.containers.tfjs import check

        return check(path)

    def build(self, path: str, options: BuildOptions) -> keras.Model:
        """The model by its config."""
        from hozon.models.h5 import revive_record

        return revive_record(self.read(path), options.custom_objects, options.compile)

    def load(self, model: keras.Layer, path: str, options: LoadOptions) -> LoadReport:
        """The weights, by layer."""
        from hozon.models.h5 import load_h5_weights

        return load_h5_weights(model, self.read(path), **options.given())

    def prepare(self, model: keras.Layer, path: str, options: SaveOptions) -> Write:
        """The model's config, and what writes it and its values."""
        from hozon.config.tfjs import to_tfjs
        from hozon.models.h5 import describe_h5

        check_folder(self, path, options)
        record, lost = describe_h5(model, "keras2", options.include_optimizer, self.optimizer)
        to_tfjs(record.config or {})
        if record.trained_in is not None:
            lost.append("the training configuration: this form holds that of Keras 2 only")
        if options.include_optimizer:
            lost += self.optimizer_lost(model)
        return write_later(self, record, lost, path, options)

    def write(self, record: ModelRecord, path: str, options: SaveOptions) -> SaveReport:
        """A record of a model in Keras 2's dialect."""
        from hozon.containers.tfjs import write

        check_folder(self, path, options)
        nbytes, converted = write(record, path, card=options.card)
        return SaveReport(path, self.format, nbytes, converted=converted)
