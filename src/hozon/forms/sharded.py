"""Weights in several files with an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hozon.audit import Audit
from hozon.forms.background import Write
from hozon.forms.form import SaveOptions, check_file, write_later
from hozon.forms.weights_h5 import PathsForm
from hozon.record import ModelRecord
from hozon.reports import SaveReport

if TYPE_CHECKING:
    import keras


class ShardedForm(PathsForm):
    """Keras 3's set of ``.weights.h5`` files."""

    name = format = "weights.json"
    label = "sharded weights (.weights.json)"
    suffixes = (".weights.json",)
    holds = "weights"
    shards = True

    def detect(self, path: str) -> bool:
        """Whether there is a map from variables to files in a JSON file."""
        from hozon.containers.shards import detect

        return detect(path) == self.suffixes[0]

    def read(self, path: str) -> ModelRecord:
        """The weights of all files."""
        from hozon.containers.shards import read

        return read(path)

    def files(self, path: str) -> list[str]:
        """The index and the files of the set."""
        from hozon.containers.shards import files_of

        return files_of(path)

    def audit(self, path: str, audit: Audit) -> None:
        """The index, every file of the set, and that they are all there."""
        from hozon.containers import shards

        shards.audit(path, audit)

    def prepare(self, model: keras.Layer, path: str, options: SaveOptions) -> Write:
        """What writes the weights of a model or layer."""
        from hozon.models.keras3 import describe_weights

        check_file(self, path, options)
        record, lost = describe_weights(model)
        return write_later(self, record, lost + self.optimizer_lost(model), path, options)

    def write(self, record: ModelRecord, path: str, options: SaveOptions) -> SaveReport:
        """A record of weights by path."""
        from hozon.containers.shards import DEFAULT_SHARD, GIB, write

        size = options.max_shard_size
        limit = DEFAULT_SHARD if size is None else int(size * GIB)
        return SaveReport(path, self.format, write(record, path, options.overwrite, limit))


class SafetensorsSetForm(ShardedForm):
    """A set of safetensors files, as the Hugging Face Hub has them."""

    name = format = "safetensors.index.json"
    label = "sharded safetensors"
    suffixes = (".safetensors.index.json",)
    optimizer = False
