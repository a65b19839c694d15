"""Choosing among boxes that overlap. How many are chosen depends on data, so it is done in NumPy.

A box is two opposite corners (y, x, y, x) in any order
(tensorflow/core/kernels/image/non_max_suppression_op.cc).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value

BOXES = OpTable("boxes")
Array = np.ndarray[Any, Any]

#: (position of a box, positions of others) -> how similar it is to each of them.
Similarity = Callable[[int, Array], Array]


def _overlap(boxes: Array) -> Similarity:
    """Intersection over union; a box without area overlaps nothing."""
    wide = boxes.astype(np.float32)
    low, high = np.minimum(wide[:, :2], wide[:, 2:]), np.maximum(wide[:, :2], wide[:, 2:])
    areas = np.prod(high - low, axis=1)

    def similarity(one: int, others: Array) -> Array:
        sides = np.minimum(high[one], high[others]) - np.maximum(low[one], low[others])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        union = areas[one] + areas[others] - shared
        real = (areas[one] > 0) & (areas[others] > 0)
        return np.where(real, shared / np.where(real, union, 1), 0).astype(np.float32)

    return similarity


@dataclass(frozen=True, slots=True)
class Choice:
    """When a box is kept. `sigma` above 0 lowers scores of similar boxes instead."""

    most: int
    similar: float
    least_score: float
    sigma: float = 0.0

    def of(self, scores: Array, similarity: Similarity) -> tuple[Array, Array]:
        """The chosen positions, the best first, and their scores."""
        wide = scores.astype(np.float32)
        queue = [(-wide[i], i, 0) for i in np.flatnonzero(wide > self.least_score).tolist()]
        heapq.heapify(queue)
        chosen: list[int] = []
        kept: list[Any] = []
        while queue and len(chosen) < self.most:
            negative, index, begin = heapq.heappop(queue)
            others = np.asarray(chosen[begin:], np.int64)
            score = self._lowered(-negative, similarity(index, others))
            if score == -negative:
                chosen.append(index)
                kept.append(score)
            elif score is not None and score > self.least_score:
                heapq.heappush(queue, (-score, index, len(chosen)))
        return np.asarray(chosen, np.int32), np.asarray(kept, scores.dtype)

    def _lowered(self, score: Any, similar: Array) -> Any:
        """The score beside boxes chosen before, None for one that is dropped."""
        if self.sigma <= 0:
            return None if (similar > self.similar).any() else score
        for value in similar[::-1]:
            weight = np.exp(np.float32(-0.5 / self.sigma) * value * value)
            score = np.float32(score * weight)
            if score <= self.least_score:
                return None
        return score


def _number(value: Value) -> float:
    return float(np.asarray(value))


def _padded(values: Array, length: int) -> Array:
    return np.pad(values, [(0, length - len(values)), *[(0, 0)] * (values.ndim - 1)])


@BOXES.op("NonMaxSuppression", host=True)
def suppress(node: NodeView) -> Kernel:
    threshold = float(node.attr("iou_threshold"))

    def kernel(boxes: Value, scores: Value, most: Value) -> Value:
        return Choice(int(most), threshold, -np.inf).of(scores, _overlap(boxes))[0]

    return kernel


@BOXES.op("NonMaxSuppressionV2", "NonMaxSuppressionV3", host=True)
def suppress_v3(node: NodeView) -> Kernel:
    def kernel(
        boxes: Value, scores: Value, most: Value, threshold: Value, least: Value = -np.inf
    ) -> Value:
        choice = Choice(int(most), _number(threshold), _number(least))
        return choice.of(scores, _overlap(boxes))[0]

    return kernel


@BOXES.op("NonMaxSuppressionV4", host=True)
def suppress_v4(node: NodeView) -> Kernel:
    pad = bool(node.attr("pad_to_max_output_size"))

    def kernel(
        boxes: Value, scores: Value, most: Value, threshold: Value, least: Value
    ) -> tuple[Value, Value]:
        choice = Choice(int(most), _number(threshold), _number(least))
        chosen, _ = choice.of(scores, _overlap(boxes))
        count = np.asarray(len(chosen), np.int32)
        return (_padded(chosen, int(most)) if pad else chosen), count

    return kernel


@BOXES.op("NonMaxSuppressionV5", host=True)
def suppress_v5(node: NodeView) -> Kernel:
    pad = bool(node.attr("pad_to_max_output_size"))

    def kernel(
        boxes: Value, scores: Value, most: Value, threshold: Value, least: Value, sigma: Value
    ) -> tuple[Value, ...]:
        choice = Choice(int(most), _number(threshold), _number(least), _number(sigma))
        chosen, kept = choice.of(scores, _overlap(boxes))
        count = np.asarray(len(chosen), np.int32)
        if pad:
            chosen, kept = _padded(chosen, int(most)), _padded(kept, int(most))
        return chosen, kept, count

    return kernel


@BOXES.op("NonMaxSuppressionWithOverlaps", host=True)
def suppress_with_overlaps(node: NodeView) -> Kernel:
    def kernel(
        overlaps: Value, scores: Value, most: Value, threshold: Value, least: Value
    ) -> Value:
        choice = Choice(int(most), _number(threshold), _number(least))
        return choice.of(scores, lambda one, others: overlaps[one, others])[0]

    return kernel


@BOXES.op("CombinedNonMaxSuppression", host=True)
def suppress_by_class(node: NodeView) -> Kernel:
    """Boxes of every class of every image; the best of all classes together."""
    pad_per_class, clip = bool(node.attr("pad_per_class")), bool(node.attr("clip_boxes"))

    def kernel(
        boxes: Value, scores: Value, per_class: Value, total: Value, threshold: Value, least: Value
    ) -> tuple[Value, ...]:
        classes, length = scores.shape[2], int(total)
        if pad_per_class:
            length = min(length, int(per_class) * classes)
        choice = Choice(int(per_class), _number(threshold), _number(least))
        rows = [_best(choice, b, s, length) for b, s in zip(boxes, scores, strict=True)]
        chosen = np.stack([_padded(row[0], length) for row in rows])
        return (
            np.clip(chosen, 0, 1) if clip else chosen,
            np.stack([_padded(row[1], length) for row in rows]),
            np.stack([_padded(row[2], length) for row in rows]),
            np.asarray([len(row[1]) for row in rows], np.int32),
        )

    return kernel


def _best(choice: Choice, boxes: Array, scores: Array, length: int) -> tuple[Array, Array, Array]:
    """Boxes, scores and classes of one image, the best first."""
    found: list[Array] = [np.empty((0, 6), np.float32)]
    for number in range(scores.shape[1]):
        own = boxes[:, number if boxes.shape[1] > 1 else 0]
        chosen, kept = choice.of(scores[:, number], _overlap(own))
        labels = np.full(len(kept), number, np.float32)
        found.append(np.column_stack([own[chosen], kept, labels]).astype(np.float32))
    rows = np.concatenate(found)
    rows = rows[np.argsort(-rows[:, 4], kind="stable")[:length]]
    return rows[:, :4], rows[:, 4], rows[:, 5]
