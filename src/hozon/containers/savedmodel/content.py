"""What a SavedModel is written from: plain records, and values read as they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from hozon.formats.protos.graph import FunctionDef
from hozon.formats.protos.keras_metadata import KerasObject
from hozon.formats.protos.object_graph import SavedObjectGraph
from hozon.stored.meter import count


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that a SavedModel directory holds.

    Attributes:
        objects: the object graph and its concrete functions. Node numbers below are its positions.
        functions: the function library.
        signatures: for each signature, its concrete function: keywords in, a dictionary out.
        initializers: functions without arguments that a server runs once after loading, with the
            nodes that they are bound to.
        keys: the checkpoint key of each variable node.
        metadata: Keras' description of its objects; none for a model without Keras.
        gradients: the function of each registered gradient, by its ``_gradient_op_type``.
        assets: contents of the files in ``assets/`` by name, in the order of asset numbers.
    """

    objects: SavedObjectGraph
    functions: Sequence[FunctionDef]
    signatures: Mapping[str, str]
    keys: Mapping[int, str]
    metadata: Sequence[KerasObject] = ()
    initializers: Sequence[str] = ()
    assets: Mapping[str, bytes] = field(default_factory=dict)
    gradients: Mapping[str, str] = field(default_factory=dict)


class Draft(Protocol):
    """A SavedModel whose functions are yet to be made, which can take as long as writing values."""

    def tensors(self) -> Iterable[tuple[str, Any]]:
        """Checkpoint keys and values, in the order in which their bytes are to lie."""
        ...

    def content(self) -> Content:
        """All the rest."""
        ...


@dataclass(frozen=True, slots=True)
class Ready:
    """A draft that has been made, with copies of its values."""

    made: Content
    values: Sequence[tuple[str, Any]]

    def tensors(self) -> Iterable[tuple[str, Any]]:
        """The values of that moment."""
        return self.values

    def content(self) -> Content:
        """What has been made."""
        return self.made


def ready(draft: Draft) -> Ready:
    """Make a draft now, so that what it is about may change before it is written."""
    values = []
    for key, value in draft.tensors():
        values.append((key, np.array(value, copy=True)))
        count(values[-1][1].nbytes)
    return Ready(draft.content(), values)
