"""What differs between two artifacts or models of any two forms."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hozon.alignment import Placed, align, placed
from hozon.architecture import Change, compare_layers, compare_training
from hozon.arguments import checked, path_to_read, wrong
from hozon.errors import UnsupportedError
from hozon.forms import form_of
from hozon.raw.sources import forget
from hozon.raw.stores import place
from hozon.record import ModelRecord, named_tensors
from hozon.reports import Report
from hozon.stored.extents import Extents
from hozon.stored.lazy import CheckedTensors, LazyTensor
from hozon.stored.parts import PART_BYTES, parts_of

if TYPE_CHECKING:
    import keras

__all__ = ["Change", "DiffReport", "TensorDiff", "diff"]

SHOWN = 20


@dataclass(frozen=True, slots=True)
class TensorDiff:
    """How far one tensor is from another.

    Attributes:
        name: its name in the first artifact.
        other: its name in the second.
        shapes: both shapes.
        dtypes: both types.
        equal: whether type, shape and every bit are the same.
        close: whether every element is within the tolerance.
        max_change: the largest absolute difference of two elements.
        relative_change: the norm of the difference by the norm of the first; infinite where that is
            0, or where a value is no number on one side alone.
        cosine: of the angle between the two; 1 where they point the same way.
        changed: how many elements differ.
    """

    name: str
    other: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    dtypes: tuple[str, str]
    equal: bool
    close: bool
    max_change: float = 0.0
    relative_change: float = 0.0
    cosine: float = 1.0
    changed: int = 0

    def __str__(self) -> str:
        name = self.name if self.name == self.other else f"{self.name} = {self.other}"
        if self.shapes[0] != self.shapes[1]:
            return f"{name}: shape {list(self.shapes[0])} is {list(self.shapes[1])}"
        kind = "" if self.dtypes[0] == self.dtypes[1] else f"{self.dtypes[0]} is {self.dtypes[1]}, "
        return (
            f"{name}: {kind}moved by {self.relative_change:.3g} of its norm, at most "
            f"{self.max_change:.3g}, cosine {self.cosine:.6f}"
        )


@dataclass(frozen=True, slots=True, repr=False)
class DiffReport(Report):
    """What differs.

    Attributes:
        a: the first artifact.
        b: the second.
        same: whether nothing differs that both forms have a place for, tensors to the tolerance.
        added: layers that only the second has.
        removed: layers that only the first has.
        changed: layers that both have, and which of their arguments differ.
        training: what differs in how both were compiled.
        tensors: every tensor that both have, what moved most first.
        only_a: tensors of the first that the second does not have, or does not name so that it can
            be told which they are.
        only_b: those of the second.
        not_compared: what one of the forms has no place for, or no name that the other could know.
    """

    kind: ClassVar[str] = "diff"

    a: str
    b: str
    same: bool
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()
    training: tuple[Change, ...] = ()
    tensors: tuple[TensorDiff, ...] = ()
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text()

    def text(self, most: int = SHOWN) -> str:
        """What differs, of each kind at most so many."""
        equal = sum(tensor.equal for tensor in self.tensors)
        state = "the same" if self.same else "they differ"
        counted = f"{equal} of {len(self.tensors)} tensors equal to the bit"
        lines = [f"{self.a} and {self.b}: {state}; {counted}"]
        lines += _listed("layer added", self.added, most)
        lines += _listed("layer removed", self.removed, most)
        lines += _listed("layer changed", self.changed, most)
        lines += _listed("training", self.training, most)
        lines += _listed("tensor moved", [t for t in self.tensors if not t.equal], most)
        lines += _listed("only in the first", self.only_a, most)
        lines += _listed("only in the second", self.only_b, most)
        lines += _listed("not compared", self.not_compared, most)
        return "\n".join(lines)


def _listed(title: str, items: Sequence[object], most: int) -> list[str]:
    more = len(items) - most
    last = [f"{title}: ... and {more} more"] if more > 0 else []
    return [*(f"{title}: {item}" for item in items[:most]), *last]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: what it is called, its record, and its tensors by name."""

    title: str
    record: ModelRecord
    named: Mapping[str, LazyTensor] = field(repr=False)


def _artifact(name: str, value: Any) -> Any:
    """A path or URL as text, or a live model."""
    if isinstance(value, (str, os.PathLike)):
        return path_to_read(name, value)
    if hasattr(value, "get_config") and hasattr(value, "weights"):
        return value
    raise wrong(name, value, "a path or URL, as str or os.PathLike, or a Keras model")


def _tolerance(name: str, value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and value >= 0 and math.isfinite(value):
        return float(value)
    raise wrong(name, value, "a number, 0 or more")


@checked(a=_artifact, b=_artifact, rtol=_tolerance, atol=_tolerance)
def diff(
    a: str | os.PathLike[str] | keras.Model,
    b: str | os.PathLike[str] | keras.Model,
    *,
    rtol: float = 0,
    atol: float = 0,
) -> DiffReport:
    """Compare two artifacts, or models, of any two forms.

    Layers are compared by name, argument by argument; tensors by what their names tell, also across
    forms, a few megabytes of each at a time. Between paths neither Keras nor JAX is started.

    Args:
        a: a path or URL of any artifact, or a live model.
        b: another.
        rtol: how far an element may move, of the value in `b`.
        atol: how far it may move whatever its value; a move of both together is none.

    Returns:
        Layers added, removed and changed, training, and how far each tensor moved, most first.

    Raises:
        MissingFileError: there is nothing at one path.
        ForeignFileError: it is no artifact.
        FormatError: it is damaged.

    Example:
        >>> report = hozon.diff("before.keras", "after")
        >>> report.same, report.tensors[0].name
    """
    first, second = _side("a", a), _side("b", b)
    layers = compare_layers(first.record, second.record)
    training = compare_training(first.record, second.record)
    found = align(
        placed(first.record, first.named),
        placed(second.record, second.named, layers.renamed),
        alike=first.record.naming == second.record.naming,
        of_an_age=first.record.dialect == second.record.dialect,
    )
    pairs = [_compared(x, y, rtol, atol) for x, y in found.pairs]
    pairs.sort(key=lambda t: (t.shapes[0] == t.shapes[1], -t.relative_change, t.name))
    notes = [*layers.notes, *training.notes]
    if found.beside_a or found.beside_b:
        counts = f"{len(found.beside_a)} and {len(found.beside_b)} tensors"
        notes.append(f"state of optimizers, metrics and seeds that only one names so: {counts}")
    differing = (*layers.added, *layers.removed, *layers.changed, *training.changed)
    only = (*found.only_a, *found.only_b)
    return DiffReport(
        a=first.title,
        b=second.title,
        same=not differing and not only and all(pair.close for pair in pairs),
        added=tuple(layers.added),
        removed=tuple(layers.removed),
        changed=tuple(layers.changed),
        training=tuple(training.changed),
        tensors=tuple(pairs),
        only_a=tuple(item.name for item in found.only_a),
        only_b=tuple(item.name for item in found.only_b),
        not_compared=tuple(notes),
    )


def _side(name: str, value: Any) -> Side:
    if isinstance(value, str):
        where = place(value)
        form = form_of(where)
        record = form.read(where)
        return Side(where, record, form.named(record))
    from hozon.models.built import require_model
    from hozon.models.keras3 import describe, describe_weights

    require_model(name, value)
    try:
        record = describe(value)[0]
    except (UnsupportedError, TypeError, ValueError):  # a model without a config
        record = describe_weights(value)[0]
    return Side(f"model {value.name!r}", record, named_tensors(record))


# Tensors


@dataclass(slots=True)
class Sums:
    """What is added up over the parts of two tensors."""

    equal: bool = True
    close: bool = True
    changed: int = 0
    largest: float = 0.0
    difference: float = 0.0
    first: float = 0.0
    second: float = 0.0
    product: float = 0.0

    def add(self, x: Any, y: Any, rtol: float, atol: float) -> None:
        """Two parts of the same shape."""
        if x.dtype == y.dtype and x.tobytes() == y.tobytes():
            if x.dtype.kind in "biu":
                x = x.astype("float64")
            square = _square(x)
            self.first += square
            self.second += square
            self.product += square
            return
        self.equal = False
        with np.errstate(all="ignore"):
            x, y = _wide(x), _wide(y)
            same = (x == y) | (np.isnan(x) & np.isnan(y))
            gap = np.where(same, 0.0, np.abs(x - y))
            gap = np.where(np.isnan(gap), np.inf, gap)
            self.close &= bool(np.all(same | (gap <= atol + rtol * np.abs(y))))
            self.changed += int(same.size - np.count_nonzero(same))
            self.largest = max(self.largest, float(gap.max(initial=0.0)))
            self.difference += float(np.sum(gap * gap))
            self.first += _square(x)
            self.second += _square(y)
            self.product += float(np.nansum((x * np.conj(y)).real))

    def relative(self) -> float:
        """The norm of the difference by the norm of the first."""
        if not self.difference:
            return 0.0
        return math.sqrt(self.difference / self.first) if self.first else math.inf

    def cosine(self) -> float:
        """Of the angle between the two; 1 for two that are zero, 0 for one."""
        norm = math.sqrt(self.first) * math.sqrt(self.second)
        if not norm or not math.isfinite(norm):
            return 1.0 if not self.changed else 0.0
        return max(-1.0, min(1.0, self.product / norm))


def _wide(array: Any) -> Any:
    """Numbers in a type that holds them all."""
    return array.astype("complex128" if array.dtype.kind == "c" else "float64")


def _square(array: Any) -> float:
    with np.errstate(all="ignore"):
        wide = _wide(array).reshape(-1)
        total = np.vdot(wide, wide).real
        return float(total) if math.isfinite(total) else float(np.nansum(np.abs(wide) ** 2))


def _compared(a: Placed, b: Placed, rtol: float, atol: float) -> TensorDiff:
    x, y = a.tensor, b.tensor
    made: Callable[..., TensorDiff] = lambda *rest, **known: TensorDiff(
        a.name, b.name, (x.shape, y.shape), (x.dtype.name, y.dtype.name), *rest, **known
    )
    if x.shape != y.shape or x.dtype.fixed != y.dtype.fixed:
        return made(False, False, math.inf, math.inf, 0.0)
    if not x.dtype.fixed:
        same = int(np.count_nonzero(x.read() == y.read()))
        changed = x.size - same
        far = math.inf if changed else 0.0
        return made(not changed, not changed, far, far, float(not changed), changed)
    sums = Sums()
    for one, two in _parts(x, y):
        sums.add(one, two, rtol, atol)
    return made(
        sums.equal and x.dtype == y.dtype,
        sums.close,
        sums.largest,
        sums.relative(),
        sums.cosine(),
        sums.changed,
    )


def _parts(x: LazyTensor, y: LazyTensor) -> Iterator[tuple[Any, Any]]:
    """Both tensors a part at a time, the same part of each; each file's checksum is compared."""
    for tensor in (x, y):
        if tensor.nbytes > PART_BYTES and isinstance(tensor.source, CheckedTensors):
            tensor.source.check(tensor)
    itemsize = max(x.dtype.numpy.itemsize, y.dtype.numpy.itemsize)
    for extents in parts_of(x.shape, itemsize):
        parts = [_part(tensor, extents) for tensor in (x, y)]
        yield parts[0], parts[1]
        for part in parts:
            forget(part)


def _part(tensor: LazyTensor, extents: Extents) -> Any:
    whole = all(pair == (0, n) for pair, n in zip(extents, tensor.shape, strict=True))
    if whole:
        return tensor.read()
    return tensor.source.read_extents(tensor, extents, False)
