"""What stands on a page of two artifacts side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from hozon.comparison import DiffReport, TensorDiff, diff
from hozon.page.facts import Look, look_at, pictures_of, shape
from hozon.page.layers import Block
from hozon.page.pictures import Pictures
from hozon.page.statistics import Statistics, statistics_of

#: Tensors whose values are shown, those that moved most.
MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Beside:
    """A row of two layers: those of the same place in both, or one that only one side has."""

    a: Block | None
    b: Block | None
    mark: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A tensor of both, and the values of the two where they are shown."""

    tensor: TensorDiff
    shapes: tuple[str, str]
    told: tuple[Statistics, Statistics] | None


@dataclass(frozen=True, slots=True)
class Changes:
    """All that a page tells of two artifacts."""

    report: DiffReport
    a: Look
    b: Look
    layers: list[Beside]
    tensors: list[Moved]
    pictures: Pictures


def compare(a: str, b: str) -> Changes:
    """Look at two artifacts and at what differs.

    Raises:
        FormatError: one is so damaged that nothing can be told of it.
    """
    report = diff(a, b)
    first, second = look_at(a, "a"), look_at(b, "b")
    changed = dict.fromkeys((change.layer for change in report.changed), "changed_mark")
    marks_a = changed | dict.fromkeys(map(_path, report.removed), "removed_mark")
    marks_b = changed | dict.fromkeys(map(_path, report.added), "added_mark")
    pictures = pictures_of(first, marks_a)
    if pictures.pictures and second.model is not None and len(second.model.inside) > 1:
        pictures.add_layers(second.model, second.model.name, marks_b)
    return Changes(
        report=report,
        a=first,
        b=second,
        layers=list(_beside(first, second, marks_a | marks_b)),
        tensors=[_moved(tensor, first, second, n) for n, tensor in enumerate(report.tensors)],
        pictures=pictures,
    )


def _path(told: str) -> str:
    """The path of a layer that a diff tells as ``path (Class)``."""
    return told.rpartition(" (")[0]


def _beside(a: Look, b: Look, marks: Mapping[str, str]) -> Iterator[Beside]:
    ours, theirs = (list(look.model.walk()) if look.model else [] for look in (a, b))
    first, second = ([block.path for block in side] for side in (ours, theirs))
    pairs = SequenceMatcher(None, first, second, autojunk=False)
    for _, i, j, k, m in pairs.get_opcodes():
        yield from _rows(ours[i:j], theirs[k:m], marks)


def _rows(
    ours: Sequence[Block], theirs: Sequence[Block], marks: Mapping[str, str]
) -> Iterator[Beside]:
    if [block.path for block in ours] == [block.path for block in theirs]:
        for x, y in zip(ours, theirs, strict=True):
            yield Beside(x, y, marks.get(x.path, ""))
        return
    yield from (Beside(block, None, marks.get(block.path, "")) for block in ours)
    yield from (Beside(None, block, marks.get(block.path, "")) for block in theirs)


def _moved(tensor: TensorDiff, a: Look, b: Look, number: int) -> Moved:
    shapes = (shape(tensor.shapes[0]), shape(tensor.shapes[1]))
    if tensor.equal or number >= MOST_SHOWN:
        return Moved(tensor, shapes, None)
    told = (statistics_of(a.named[tensor.name]), statistics_of(b.named[tensor.other]))
    return Moved(tensor, shapes, told if not any(side.problem for side in told) else None)
