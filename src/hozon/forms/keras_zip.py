"""``.keras`` archives, and folders of their members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hozon.audit import Audit
from hozon.forms.background import Write
from hozon.forms.form import BuildOptions, SaveOptions, check_file, report_of_file, write_later
from hozon.forms.weights_h5 import PathsForm
from hozon.record import ModelRecord
from hozon.reports import SaveReport

if TYPE_CHECKING:
    import keras


class KerasZipForm(PathsForm):
    """The ``.keras`` file of tf_keras 2.12 on and Keras 3."""

    name = format = "keras"
    label = ".keras"
    suffixes = (".keras",)
    holds = "a model"
    dialects = ("keras2", "keras3")

    def of_folders(self) -> bool:
        """The members of an archive may lie in a folder too."""
        return True

    def detect(self, path: str) -> bool:
        """Whether there is a config in a zip archive, or beside weights in a folder."""
        from hozon.containers.keraszip import detect

        return detect(path) == "keras"

    def read(self, path: str) -> ModelRecord:
        """The model, its weights by paths of attributes."""
        from hozon.containers.keraszip import read

        return read(path)

    def look(self, path: str) -> ModelRecord:
        """The model; the archive's checksum is compared when a tensor is read whole."""
        from hozon.containers.keraszip import read

        return read(path, check=False)

    def files(self, path: str) -> tuple[str, ...]:  # noqa: ARG002
        """None: the members have checksums, which are compared when they are read."""
        return ()

    def audit(self, path: str, audit: Audit) -> None:
        """Every member's checksum, the config, the weights."""
        from hozon.containers.keraszip.audit import audit_archive

        audit_archive(path, audit)

    def build(self, path: str, options: BuildOptions) -> keras.Model:
        """The model by its config."""
        from hozon.models.keras3 import revive_record

        return revive_record(self.read(path), options.custom_objects, options.compile)

    def prepare(self, model: keras.Layer, path: str, options: SaveOptions) -> Write:
        """The model's config, and what writes it and its values."""
        from hozon.models.keras3 import describe

        check_file(self, path, options)
        record, lost = describe(model, options.dialect, options.include_optimizer)
        return write_later(self, record, lost, path, options)

    def write(self, record: ModelRecord, path: str, options: SaveOptions) -> SaveReport:
        """A record with a config."""
        from hozon.containers.keraszip import write

        write(record, path, overwrite=options.overwrite)
        return report_of_file(self, path)
