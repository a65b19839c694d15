"""Orbax checkpoints, as Keras' callback writes them; they are read, not written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hozon.audit import Audit
from hozon.forms.form import BuildOptions, Form, LoadOptions
from hozon.record import ModelRecord

if TYPE_CHECKING:
    import keras

    from hozon.models.report import LoadReport


class _StepForm(Form):
    """What a step of the callback's holds, or the latest step of a folder."""

    naming = "variables"
    written = False

    def read(self, path: str) -> ModelRecord:
        """The variables by their paths, and the model where there is one."""
        from hozon.containers.orbax import read

        return read(path)

    def files(self, path: str) -> tuple[str, ...]:  # noqa: ARG002
        """None: Hozon writes no such files."""
        return ()

    def audit(self, path: str, audit: Audit) -> None:
        """The lists of leaves, every array, the config."""
        from hozon.containers.orbax import audit as audit_step

        audit_step(path, audit)

    def load(self, model: keras.Layer, path: str, options: LoadOptions) -> LoadReport:
        """The weights, by the paths of variables."""
        from hozon.models.by_variable import load_weights

        return load_weights(model, self.read(path), **options.given())


class OrbaxForm(_StepForm):
    """A checkpoint of ``OrbaxCheckpoint``: a step, or a folder of steps."""

    name = format = "orbax"
    label = "Orbax checkpoint"
    holds = "a model"
    optimizer = True

    def detect(self, path: str) -> bool:
        """Whether the latest step, or the step itself, has variables and a config."""
        from hozon.containers.orbax import detect

        return detect(path) == "model"

    def build(self, path: str, options: BuildOptions) -> keras.Model:
        """The model by its config."""
        from hozon.models.by_variable import revive_record

        return revive_record(self.read(path), options.custom_objects, options.compile)


class OrbaxWeightsForm(_StepForm):
    """A checkpoint of ``OrbaxCheckpoint(save_weights_only=True)``."""

    name = format = "orbax_weights"
    label = "Orbax weights"
    holds = "weights"
    optimizer = False

    def detect(self, path: str) -> bool:
        """Whether the latest step, or the step itself, has variables and no config."""
        from hozon.containers.orbax import detect

        return detect(path) == "weights"
