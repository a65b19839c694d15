"""Architectures alone, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hozon.audit import Audit
from hozon.forms.background import Write
from hozon.forms.form import BuildOptions, Form, SaveOptions, check_file
from hozon.record import ModelRecord
from hozon.reports import SaveReport

if TYPE_CHECKING:
    import keras

LOST = "weights, compile information and optimizer: JSON holds the architecture alone"


class ConfigJsonForm(Form):
    """What ``model.to_json()`` gives, in a file."""

    name = format = "json"
    label = "JSON config"
    suffixes = (".json",)
    holds = "an architecture"
    naming = "attributes"
    optimizer = False
    dialects = ("keras2", "keras3")

    def detect(self, path: str) -> bool:
        """Whether there is the config of a model in a JSON file."""
        from hozon.containers.config_json import detect

        return detect(path)

    def read(self, path: str) -> ModelRecord:
        """The config."""
        from hozon.containers.config_json import read

        return read(path)

    def audit(self, path: str, audit: Audit) -> None:
        """That it refers only to layers that it has."""
        from hozon.containers import config_json

        config_json.audit(path, audit)

    def build(self, path: str, options: BuildOptions) -> keras.Model:
        """The model with fresh weights."""
        from hozon.config.build import build_model

        return build_model(self.read(path).config or {}, custom_objects=options.custom_objects)

    def prepare(self, model: keras.Layer, path: str, options: SaveOptions) -> Write:
        """What writes the model's config."""
        from hozon.config.serialization import model_to_json

        check_file(self, path, options)
        text = model_to_json(model, dialect=options.dialect or "keras3")

        def written() -> SaveReport:
            from hozon.containers.config_json import write

            return SaveReport(path, self.format, write(text, path), lost=[LOST])

        return written
