"""A Keras model around saved functions, for SavedModels that Keras did not write.

Its variables are Keras variables, which the functions read and assign: it trains, its weights are
saved and loaded, and it can be a layer of other models.
"""

from __future__ import annotations

from typing import Any

import keras

from hozon.containers.savedmodel.read import SavedModel
from hozon.errors import UnsupportedError
from hozon.formats.protos.struct import TensorSpec
from hozon.graph_level.endpoints import Endpoint, choose
from hozon.graph_level.loader import LoadedModel
from hozon.graph_level.structures import flatten, map_structure
from hozon.graphs.emit.trace import ArgumentSpec
from hozon.keras_private.assigned import KeepsAssignments
from hozon.keras_private.layers import take_anything
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.composites import with_composites
from hozon.models.savedmodel.load.eager import eager
from hozon.models.savedmodel.load.module import read_module
from hozon.models.savedmodel.load.module_variables import Planting
from hozon.models.text.strings import with_strings
from hozon.stored.dtypes import STRING, dtype_of_number
from hozon.typing import Config

#: Attribute of a SavedModel made to be used again: functions of no arguments.
REGULARIZATION = "regularization_losses"


class SignatureModel(KeepsAssignments, keras.Model):  # type: ignore[misc]
    """A model whose call is a saved function or signature.

    Inputs are given as the function takes them: one array, a list in the function's order, a
    dictionary by name, several arguments, keywords. What it gives has the function's structure; a
    signature that gives one array gives it without its name.

    Attributes:
        endpoint: what a call runs.
        loaded: the graph-level object; its functions and signatures run on the model's variables.
        stored_types: the types of variables in files, by name, where they are not their own.
    """

    def __init__(self, endpoint: Endpoint, loaded: LoadedModel, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        take_anything(self)
        self.endpoint = endpoint
        self.loaded = loaded
        self.stored_types: dict[str, str] = {}

    def call(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Run the function; see the class."""
        outputs = self.endpoint(args, kwargs, training)
        for loss in self.loaded.__dict__.get(REGULARIZATION) or ():
            self.add_loss(loss())
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes of the outputs: those saved with the function, where it knew them."""
        specs = self.endpoint.outputs
        known = [
            isinstance(leaf, TensorSpec) and leaf.shape.dims is not None for leaf in flatten(specs)
        ]
        if not all(known):
            return super().compute_output_spec(*args, **kwargs)
        return map_structure(_symbolic, specs)

    @property
    def saved_inputs(self) -> Any:
        """What the first argument of a call may be, as a structure of `ArgumentSpec`; None where
        the file does not tell its shapes."""
        structure = self.endpoint.structure
        leaves = list(flatten(structure))
        known = [isinstance(s, TensorSpec) and s.shape.dims is not None for s in leaves]
        return map_structure(_argument, structure) if leaves and all(known) else None

    def get_config(self) -> Config:
        """There is none: the model is its saved functions."""
        raise UnsupportedError(
            f"{self.name!r} was not written by Keras, so it has no config",
            feature="a model of saved functions without a config",
            instead="save it as a SavedModel, or its weights by hozon.save_weights",
        )


def _symbolic(spec: TensorSpec) -> keras.KerasTensor:
    return keras.KerasTensor(spec.shape.dims, dtype_of_number(int(spec.dtype)).name)


def _argument(spec: TensorSpec) -> ArgumentSpec:
    return ArgumentSpec(spec.shape.dims or (), dtype_of_number(int(spec.dtype)).name, spec.name)


def signature_model(
    artifact: SavedModel, name: str, report: LoadReport, signature: str | None = None
) -> keras.Model:
    """A model around a signature, or around the root's ``__call__`` where there is none.

    Raises MismatchError where there is no `signature` of that name, UnsupportedError where nothing
    says which of several is meant.
    """
    module = read_module(artifact, report)
    endpoint = choose(module.loaded, signature, artifact.path)
    model = SignatureModel(endpoint, module.loaded, name=name.replace("/", "_") or None)
    Planting(report).fill(model, module.variables)
    model.built = True
    report.add_object("root", "SavedModel", "signature", f"runs {endpoint.name!r}")
    if endpoint.takes_training and not endpoint.trains:
        report.converted.append(
            f"root: {endpoint.name!r} was never traced for training: it trains as it predicts"
        )
    model = with_composites(model, endpoint.structure)
    if _takes_strings(endpoint):
        return with_strings(model)
    return eager(model) if endpoint.needs_host else model


def _takes_strings(endpoint: Endpoint) -> bool:
    """Whether a call takes text."""
    return any(
        isinstance(spec, TensorSpec) and int(spec.dtype) == STRING.number
        for spec in endpoint.inputs
    )
