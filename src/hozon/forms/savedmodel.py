"""SavedModel directories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hozon.audit import Audit
from hozon.forms.background import Write
from hozon.forms.checkpoint import CheckpointForm
from hozon.forms.form import BuildOptions, Form, LoadOptions, SaveOptions
from hozon.record import ModelRecord
from hozon.reports import SaveReport
from hozon.stored.lazy import LazyTensor

if TYPE_CHECKING:
    import keras

    from hozon.models.report import LoadReport


class SavedModelForm(Form):
    """TensorFlow's SavedModel; its weights are a checkpoint."""

    name = format = "savedmodel"
    label = "SavedModel"
    aliases = ("tf",)
    holds = "a model"
    naming = "objects"
    optimizer = True
    functions = True
    cards = True
    dialects = ("keras2",)  # to TensorFlow; Keras 3's own config is always beside it

    def detect(self, path: str) -> bool:
        """Whether there is a graph file in a folder."""
        from hozon.containers.savedmodel.read import detect

        return detect(path)

    def read(self, path: str) -> ModelRecord:
        """Its variables, signatures, functions and Keras' metadata."""
        from hozon.containers.savedmodel.describe import describe

        return describe(path)

    def tensors(self, path: str) -> Mapping[str, LazyTensor]:
        """The variables by their keys, without a look into the graph; none where there are none."""
        from hozon.containers.savedmodel.read import open_variables

        bundle = open_variables(path)
        return {} if bundle is None else dict(bundle.items())

    def check(self, path: str) -> bool:
        """The fingerprint, where it is Hozon's; the values have checksums of their own."""
        from hozon.containers.savedmodel.fingerprint import check

        return check(path)

    def audit(self, path: str, audit: Audit) -> None:
        """The graph, the variables, the objects and what they refer to, assets."""
        from hozon.containers.savedmodel.audit import audit_saved_model

        audit_saved_model(path, audit)

    def build(self, path: str, options: BuildOptions) -> keras.Model:
        """The model, each object by the best rung of the ladder."""
        from hozon.containers.savedmodel.read import SavedModel
        from hozon.models.savedmodel.load.revive import revive

        return revive(
            SavedModel.read(path),
            options.custom_objects,
            compiled=options.compile,
            signature=options.signature,
        )

    def require_owner(self, name: str, model: object) -> None:
        """Weights go into whatever a checkpoint can hold."""
        CHECKPOINT.require_owner(name, model)

    def load(self, model: keras.Layer, path: str, options: LoadOptions) -> LoadReport:
        """The weights, by the object graph."""
        return CHECKPOINT.load(model, path, options)

    def prepare(self, model: keras.Layer, path: str, options: SaveOptions) -> Write:
        """Trace the model's functions; what writes them and its values."""
        from hozon.containers.savedmodel.content import ready
        from hozon.containers.savedmodel.write import check_target, write
        from hozon.models.savedmodel.save.content import Description

        check_target(path, overwrite=options.overwrite)
        made = Description(
            model,
            include_optimizer=options.include_optimizer,
            signatures=options.signatures,
            native_only=options.native_ops_only,
        )
        draft = made if options.blocking else ready(made)

        def written() -> SaveReport:
            nbytes = write(draft, path, overwrite=options.overwrite, card=options.card)
            return SaveReport(path, self.format, nbytes, made.converted, made.lost, made.fallbacks)

        return written


CHECKPOINT = CheckpointForm()
