"""A Keras model around a serving signature, for SavedModels that Keras did not write."""

from __future__ import annotations

from typing import Any

import keras

from hozon.containers.savedmodel.read import SavedModel
from hozon.errors import UnsupportedError
from hozon.graph_level.functions import SignatureFunction
from hozon.graph_level.loader import load_artifact
from hozon.models.report import LoadReport

DEFAULT = "serving_default"


class SignatureModel(keras.Model):  # type: ignore[misc]
    """A model whose call is a signature: inputs by name (or the only one), outputs by name.

    Attributes:
        signature: the signature that a call runs.
        loaded: the graph-level object, with every other signature.
    """

    def __init__(self, signature: SignatureFunction, loaded: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.signature = signature
        self.loaded = loaded
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Run the signature; a single output comes without its name."""
        outputs = self.signature(**self._named(inputs))
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def _named(self, inputs: Any) -> dict[str, Any]:
        if isinstance(inputs, dict):
            return inputs
        values = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        return dict(zip(self.signature.inputs, values, strict=False))


def signature_model(artifact: SavedModel, name: str, report: LoadReport) -> keras.Model:
    """A model around ``serving_default`` or the only signature.

    Raises UnsupportedError when there is none to choose.
    """
    loaded = load_artifact(artifact)
    signatures = loaded.signatures
    if not signatures:
        raise UnsupportedError(
            f"{artifact.path} holds neither Keras objects nor signatures; "
            "hozon.saved_model.load gives its functions"
        )
    chosen = signatures.get(DEFAULT) or next(iter(signatures.values()))
    report.add_object("root", "SavedModel", "signature", f"runs the signature {chosen.name!r}")
    return SignatureModel(chosen, loaded, name=name.replace("/", "_") or None)
