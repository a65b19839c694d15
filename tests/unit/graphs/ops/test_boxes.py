"""Choosing among boxes against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.graphs.ops.harness import Case, answers, check, ids

RNG = np.random.default_rng(11)


def some(count: int) -> tuple[Any, Any]:
    corners = RNG.random((count, 2)) * 0.6
    boxes = np.concatenate([corners, corners + 0.1 + RNG.random((count, 2)) * 0.4], 1)
    boxes[::3] = boxes[::3][:, [2, 1, 0, 3]]
    return boxes.astype("f4"), RNG.random(count).astype("f4")


def number(value: float, dtype: str = "f4") -> Any:
    return np.array(value, dtype)


def cases() -> Iterator[Case]:
    boxes, scores = some(30)
    most = number(8, "i4")
    yield Case("NonMaxSuppression", [boxes, scores, most], traced=())
    yield Case("NonMaxSuppressionV2", [boxes, scores, most, number(0.3)], traced=())
    for count in (0, 3, 50):
        for least in (0.0, 0.6):
            yield Case(
                "NonMaxSuppressionV3",
                [boxes, scores, number(count, "i4"), number(0.4), number(least)],
                traced=(),
            )
    for pad in (True, False):
        yield Case(
            "NonMaxSuppressionV4",
            [boxes, scores, number(40, "i4"), number(0.3), number(0.2)],
            {"pad_to_max_output_size": pad},
            traced=(),
        )
        for sigma in (0.0, 0.5):
            yield Case(
                "NonMaxSuppressionV5",
                [boxes, scores, number(20, "i4"), number(0.6), number(0.1), number(sigma)],
                {"pad_to_max_output_size": pad},
                traced=(),
            )
    yield Case(
        "NonMaxSuppressionV3", [boxes[:0], scores[:0], most, number(0.4), number(0.1)], traced=()
    )
    yield Case(
        "NonMaxSuppressionWithOverlaps",
        [RNG.random((9, 9)).astype("f4"), scores[:9], most, number(0.5), number(0.1)],
        traced=(),
    )
    for shared in (1, 3):
        batch = np.stack([some(12)[0] for _ in range(2 * shared)]).reshape(2, shared, 12, 4)
        inputs = [
            batch.transpose(0, 2, 1, 3) * 1.2,
            RNG.random((2, 12, 3)).astype("f4"),
            number(4, "i4"),
            number(15, "i4"),
            number(0.3),
            number(0.2),
        ]
        for attrs in ({}, {"pad_per_class": True}, {"clip_boxes": False}):
            yield Case("CombinedNonMaxSuppression", inputs, attrs, traced=())


CASES = list(cases())


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_boxes(name: str, told: Any) -> None:
    check(*told[name])
