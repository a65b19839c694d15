"""Whole models in Keras' H5 files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hozon.forms.background import Write
from hozon.forms.form import BuildOptions, SaveOptions, check_file, write_later
from hozon.forms.h5_weights import LayersForm

if TYPE_CHECKING:
    import keras


class H5Form(LayersForm):
    """The H5 file of a model, of Keras 1, 2 or 3."""

    name = format = "h5"
    label = "Keras H5"
    holds = "a model"
    optimizer = True
    dialects = ("keras2", "keras3")

    def detect(self, path: str) -> bool:
        """Whether there is a model's config in an HDF5 file."""
        from hozon.containers.h5 import detect

        return detect(path) == "h5"

    def build(self, path: str, options: BuildOptions) -> keras.Model:
        """The model by its config."""
        from hozon.models.h5 import revive_record

        return revive_record(self.read(path), options.custom_objects, options.compile)

    def prepare(self, model: keras.Layer, path: str, options: SaveOptions) -> Write:
        """The model's config, and what writes it and its values."""
        from hozon.models.h5 import describe_h5

        check_file(self, path, options)
        record, lost = describe_h5(model, options.dialect, options.include_optimizer)
        return write_later(self, record, lost, path, options)
