"""Connectionist temporal classification: the likeliest texts, by a beam search.

A beam is a text that may have been read so far, with the probabilities that it ended in its last
label or in a blank (tensorflow/core/util/ctc/ctc_beam_search.h; Graves and Jaitly, 2014). Of texts
that are as likely the one that was found first is kept, where TensorFlow leaves it to its heap.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, static

CTC_BEAM = OpTable("ctc_beam")

Array = np.ndarray[Any, Any]
#: The logarithm of a probability that is zero.
NEVER = -np.inf


@dataclass(slots=True)
class _Chance:
    """The logarithms of a text's probabilities: ending in its last label, in a blank, of both."""

    label: Any = NEVER
    blank: Any = NEVER
    total: Any = NEVER


@dataclass(slots=True, eq=False)
class _Beam:
    """A text: one label after what is read by another beam. `now` is nothing for one left out."""

    label: int = -1
    before: _Beam | None = None
    old: _Chance = field(default_factory=_Chance)
    now: _Chance = field(default_factory=_Chance)
    after: dict[int, _Beam] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it is in the search."""
        return bool(self.now.total != NEVER)

    def text(self, merged: bool) -> list[int]:
        """Its labels; with `merged` without those that are equal to the next one."""
        labels, beam = list[int](), self
        while beam.before is not None:
            labels.append(beam.label)
            beam = beam.before
        if merged:
            labels = [x for i, x in enumerate(labels) if not i or x != labels[i - 1]]
        return labels[::-1]


@CTC_BEAM.op("CTCBeamSearchDecoder", host=True)
def ctc_beam_search_decoder(node: NodeView) -> Kernel:
    """The likeliest texts of each sequence as sparse tensors, and their log probabilities."""
    width, paths = int(node.attr("beam_width")), int(node.attr("top_paths"))
    merged = bool(node.attr("merge_repeated"))

    def kernel(inputs: Value, lengths: Value) -> tuple[Any, ...]:
        inputs, lengths = (
            static(inputs, "the likeliest path"),
            static(lengths, "the likeliest path"),
        )
        steps, batch, _ = inputs.shape
        if (lengths > steps).any():
            raise node.refuse(f"sequences of {lengths.tolist()} steps in {steps}")
        found = [_search(inputs[: lengths[b], b], width) for b in range(batch)]
        if any(len(beams) < paths for beams in found):
            raise node.refuse(f"{paths} paths, of a beam that has fewer")
        texts = [[beams[path].text(merged) for beams in found] for path in range(paths)]
        chances = [[beam.now.total for beam in beams[:paths]] for beams in found]
        parts = zip(*map(_sparse, texts), strict=True)
        likely = np.array(chances, inputs.dtype).reshape(batch, paths)
        return (*(part for column in parts for part in column), likely)

    return kernel


def _sparse(texts: list[list[int]]) -> tuple[Array, Array, Array]:
    """Rows of labels as indices, values and shape."""
    indices = [(row, i) for row, text in enumerate(texts) for i in range(len(text))]
    values = [label for text in texts for label in text]
    shape = [len(texts), max(map(len, texts), default=0)]
    return (
        np.array(indices, np.int64).reshape(-1, 2),
        np.array(values, np.int64),
        np.array(shape, np.int64),
    )


def _search(scores: Array, width: int) -> list[_Beam]:
    """The beams after all steps, the likeliest first."""
    root = _Beam()
    root.now.blank = root.now.total = scores.dtype.type(0)
    beams = [root]
    for row in scores:
        most = row.max()
        beams = _step(beams, row - (most + np.log(np.exp(row - most).sum())), width)
    return beams


def _step(beams: list[_Beam], row: Array, width: int) -> list[_Beam]:
    """The beams one step on; `row`: the logarithms of the labels' probabilities, the blank last."""
    for beam in beams:
        beam.old = beam.now
    for beam in beams:
        _stay(beam, row)
    kept = sorted(beams, key=_unlikeliness)
    for beam in beams:
        least = kept[-1].now.total if len(kept) == width else NEVER
        if not beam.old.total > least:
            continue
        hopeful = beam.old.total + row[:-1] > least
        for label in range(len(hopeful)):
            if hopeful[label]:
                beam.after.setdefault(label, _Beam(label, beam))
            child = beam.after.get(label)
            if child is not None and not child.active:
                _admit(child, _grown(beam, label, row), kept, width)
    return kept


def _unlikeliness(beam: _Beam) -> Any:
    return -beam.now.total


def _stay(beam: _Beam, row: Array) -> None:
    """A beam that reads its last label or a blank once more, or that the one before grows to be."""
    label, before = beam.now.label, beam.before
    if before is not None:
        if before.active:
            grown = before.old.blank if beam.label == before.label else before.old.total
            label = np.logaddexp(label, grown)
        label = label + row[beam.label]
    blank = beam.old.total + row[-1]
    beam.now = _Chance(label, blank, np.logaddexp(blank, label))


def _grown(beam: _Beam, label: int, row: Array) -> Any:
    """How likely a beam has one label more; between equal ones is a blank."""
    return (beam.old.blank if label == beam.label else beam.old.total) + row[label]


def _admit(child: _Beam, chance: Any, kept: list[_Beam], width: int) -> None:
    """Put a text into the search, where it is likelier than what is in it or there is room.

    One that finds no place grows to nothing in this step, also where it was in the search before.
    """
    if chance == NEVER or (len(kept) == width and not chance > kept[-1].now.total):
        child.old = _Chance()
        return
    if len(kept) == width:
        kept.pop().now = _Chance()
    child.now = _Chance(chance, NEVER, chance)
    insort(kept, child, key=_unlikeliness)
