"""Models whose saved functions take ragged or sparse values.

Keras' JAX backend has no such tensors. They are called on `hozon.saved_model.RaggedTensor` and
`SparseTensor`; a dense array stands for rows of one length, or for its values that are not zero.
On dense arrays they train and predict as any model; what is ragged then comes out dense too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import keras
import numpy as np

from hozon.errors import UnsupportedError
from hozon.formats.protos.struct import NamedTuple, TypeSpec
from hozon.graph_level.structures import RaggedTensor, SparseTensor, flatten, map_structure
from hozon.graphs.values import is_static
from hozon.keras_private.extended import extend
from hozon.keras_private.layers import take_anything
from hozon.models.savedmodel.load.eager import eager

RAGGED, SPARSE = "ragged_tensor", "sparse_tensor"
COMPOSITE = (RaggedTensor, SparseTensor)


def kinds(structure: Any) -> set[str]:
    """Which composite values a structure of specs takes."""
    found = {leaf.kind for leaf in flatten(structure) if isinstance(leaf, TypeSpec)}
    return found & {RAGGED, SPARSE}


def composed(structure: Any, value: Any) -> Any:
    """`value` with dense arrays turned into what `structure` has in their places."""
    if isinstance(structure, TypeSpec):
        if isinstance(value, COMPOSITE):
            return value
        return _ragged(structure, value) if structure.kind == RAGGED else _sparse(value)
    if isinstance(structure, Mapping) and isinstance(value, Mapping):
        return {k: composed(structure[k], v) if k in structure else v for k, v in value.items()}
    items = list(structure.fields.values()) if isinstance(structure, NamedTuple) else structure
    if isinstance(items, (list, tuple)) and isinstance(value, (list, tuple)):
        if len(items) == len(value):
            return [composed(item, v) for item, v in zip(items, value, strict=True)]
    return value


def _ragged(spec: TypeSpec, value: Any) -> Any:
    """Rows of one length along each ragged axis; nested lists may differ in theirs."""
    rank = spec.components - 1
    if not hasattr(value, "shape"):
        return RaggedTensor.from_list(value, ragged_rank=rank) if isinstance(value, list) else value
    if len(value.shape) <= rank:
        return value  # which does not fit, and the function will say so
    sizes, splits, rows = value.shape[1 : rank + 1], [], value.shape[0]
    for size in sizes:
        splits.append(np.arange(rows + 1, dtype=np.int64) * size)
        rows *= size
    return RaggedTensor(value.reshape(rows, *value.shape[rank + 1 :]), tuple(splits))


def _sparse(value: Any) -> Any:
    if isinstance(value, jax.core.Tracer):
        raise UnsupportedError(
            "which values of an array are not zero is not known while JAX traces",
            feature="a dense array for a sparse input of a compiled model",
            instead="compile the model with run_eagerly=True",
        )
    return SparseTensor.from_dense(value) if hasattr(value, "shape") else value


def dense(outputs: Any) -> Any:
    """Outputs with ragged values of rows of one length as arrays."""
    return map_structure(
        lambda leaf: _dense(leaf) if isinstance(leaf, RaggedTensor) else leaf, outputs
    )


def _dense(value: RaggedTensor) -> Any:
    if not all(map(is_static, value.row_splits)):
        return value
    sizes: list[int] = []
    for splits in value.row_splits:
        lengths = set(np.diff(np.asarray(splits)).tolist())
        if len(lengths) > 1:
            return value
        sizes.append(lengths.pop() if lengths else 0)
    rows = len(np.asarray(value.row_splits[0])) - 1
    return value.values.reshape(rows, *sizes, *value.values.shape[1:])


class CompositeInputs:
    """Added to the class of a model that takes ragged or sparse values; see the module."""

    input_structure: Any

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The model's own call; dense arrays stand for ragged and sparse values."""
        given = composed(self.input_structure, inputs)
        outputs = super().call(given, *args, **kwargs)  # type: ignore[misc]
        return outputs if _holds(inputs) else dense(outputs)

    @property
    def saved_inputs(self) -> Any:
        """What a call takes, for writing its function anew; refused here."""
        raise UnsupportedError(
            "a model that takes ragged or sparse values is not written as a SavedModel",
            feature="writing functions of ragged and sparse values",
            instead="hozon.save_weights keeps its weights, and the file it came from its functions",
        )

    def predict(self, x: Any, **kwargs: Any) -> Any:
        """As ``keras.Model.predict``; ragged and sparse values are one batch."""
        if not _holds(x):
            return super().predict(x, **kwargs)  # type: ignore[misc]
        outputs = self(x, training=False)  # type: ignore[operator]
        return map_structure(lambda leaf: leaf if _holds(leaf) else np.asarray(leaf), outputs)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As ``keras.Model.fit``, on dense arrays."""
        _require_dense(x, "trained")
        return super().fit(x, *args, **kwargs)  # type: ignore[misc]

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As ``keras.Model.evaluate``, on dense arrays."""
        _require_dense(x, "evaluated")
        return super().evaluate(x, *args, **kwargs)  # type: ignore[misc]


def _holds(value: Any) -> bool:
    return any(isinstance(leaf, COMPOSITE) for leaf in flatten(value))


def _require_dense(x: Any, what: str) -> None:
    if _holds(x):
        raise UnsupportedError(
            f"a Keras model is {what} on dense arrays, not on ragged or sparse values",
            feature="ragged and sparse values in Keras' loops",
            instead="give dense arrays: rows of one length, batch by batch",
        )


def with_composites(model: keras.Model, structure: Any) -> keras.Model:
    """Make a model take ragged and sparse values where its functions do: its class is extended in
    place, its name kept.

    Args:
        model: the model.
        structure: the specs of its first argument.
    """
    if not kinds(structure):
        return model
    take_anything(model)
    extend(model, CompositeInputs)
    object.__setattr__(model, "input_structure", structure)
    return eager(model) if SPARSE in kinds(structure) else model
