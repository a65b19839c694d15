"""What stands on a page, gathered from the record of an artifact; plain data for the template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hozon.forms import form_of
from hozon.inspection import ArtifactInfo, inspect
from hozon.page.calls import Call, calls_of
from hozon.page.cautions import cautions
from hozon.page.layers import Block, tree
from hozon.page.pictures import Pictures
from hozon.page.statistics import Statistics, statistics_of
from hozon.record import LayerInfo, ModelRecord
from hozon.stored.lazy import LazyTensor
from hozon.verification import VerifyReport, verify

#: Rows of a table that a page has at most.
MOST_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Row:
    """A tensor in the table."""

    name: str
    dtype: str
    shape: str
    elements: int
    nbytes: int
    told: Statistics


@dataclass(frozen=True, slots=True)
class Look:
    """What is in an artifact, no value of it read."""

    info: ArtifactInfo
    record: ModelRecord
    named: Mapping[str, LazyTensor]
    model: Block | None
    whole: bool

    @property
    def parameters(self) -> int:
        """How many numbers the weights are, the optimizer's left out."""
        return sum(tensor.size for group in self.record.state for tensor in group.tensors.values())

    @property
    def layers(self) -> int:
        """How many layers it has."""
        return len(self.info.layers) if self.model is None else sum(1 for _ in self.model.walk())


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a page tells of one artifact."""

    look: Look
    checks: VerifyReport
    warnings: list[tuple[str, str]]
    layers: list[LayerInfo]
    tensors: list[Row]
    more_tensors: int
    calls: list[Call]
    pictures: Pictures


def look_at(where: str, prefix: str = "layer") -> Look:
    """Look at an artifact; `prefix` begins the anchors of its layers."""
    form = form_of(where)
    record = form.look(where)
    named = form.named(record)
    model = tree(record, named, prefix)
    return Look(inspect(where), record, named, model, form.holds == "a model")


def gather(where: str) -> Facts:
    """Look at an artifact and all its values.

    Raises:
        FormatError: it is so damaged that nothing can be told.
    """
    look, checks = look_at(where), verify(where)
    rows = [_row(name, tensor) for name, tensor in list(look.named.items())[:MOST_ROWS]]
    odd = [row.name for row in rows if row.told.odd]
    return Facts(
        look=look,
        checks=checks,
        warnings=list(cautions(look.record, look.info.ops, checks, odd)),
        layers=[] if look.model is not None else list(look.info.layers),
        tensors=rows,
        more_tensors=len(look.named) - len(rows),
        calls=calls_of(look.record, where, look.info.signatures, whole=look.whole),
        pictures=pictures_of(look),
    )


def pictures_of(look: Look, marks: Mapping[str, str] | None = None) -> Pictures:
    """The layers, and what runs where there are functions."""
    made = Pictures()
    if look.model is not None and len(look.model.inside) > 1:
        made.add_layers(look.model, look.model.name, marks)
    if look.record.graph is not None and marks is None:
        made.add_graph(look.record.graph)
    return made


def _row(name: str, tensor: LazyTensor) -> Row:
    told = statistics_of(tensor)
    return Row(name, tensor.dtype.name, shape(tensor.shape), tensor.size, tensor.nbytes, told)


def shape(sizes: Iterable[Any]) -> str:
    """A shape in brackets."""
    return "[" + ", ".join(map(str, sizes)) + "]"


def by_count(ops: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """Most frequent first."""
    return sorted(ops.items(), key=lambda item: (-item[1], item[0]))
