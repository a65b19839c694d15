"""Segment reductions against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.graphs.ops.harness import Case, answers, check, ids, kernel, traced_once

RNG = np.random.default_rng(3)


def normal(shape: Any, dtype: str = "float32") -> Any:
    """Random numbers."""
    if "int" in dtype:
        return RNG.integers(-9, 9, shape).astype(dtype)
    return RNG.normal(size=shape).astype(dtype)


def in_order() -> Iterator[Case]:
    gaps = np.array([0, 0, 2, 3, 3], "i4")
    for kind in ("Sum", "Mean", "Prod", "Max", "Min"):
        for dtype in ("float32", "float64", "int32", "int64", "float16"):
            loose = {"rtol": 4e-3, "atol": 4e-3} if dtype == "float16" else {}
            yield Case(f"Segment{kind}", [normal((5, 2), dtype), gaps], traced=[0], **loose)
        yield Case(
            f"Segment{kind}", [normal((5,)), gaps.astype("i8")], known_shapes=False, traced=[0]
        )
        yield Case(f"Segment{kind}", [normal((0, 3)), gaps[:0]], traced=[0])
        yield Case(
            f"Segment{kind}",
            [normal((5, 2)), gaps],
            traced=[0],
            gradient=kind in ("Sum", "Mean", "Max"),
        )


def numbered() -> Iterator[Case]:
    ids_ = np.array([3, 0, -1, 3, 1], "i4")
    for kind in ("Sum", "Prod", "Max", "Min"):
        for dtype in ("float32", "float64", "int32", "int64"):
            inputs = [normal((5, 2), dtype), ids_, np.array(5, "i4")]
            yield Case(f"UnsortedSegment{kind}", inputs, traced=[0, 1])
        inputs = [normal((2, 3)), np.array([[1, 0, 1], [2, 2, 0]], "i8"), np.array(4, "i8")]
        yield Case(f"UnsortedSegment{kind}", inputs, traced=[0, 1])
        inputs = [normal((0, 2)), ids_[:0], np.array(3, "i4")]
        yield Case(f"UnsortedSegment{kind}", inputs, traced=[0, 1])
        inputs = [normal((5, 2)), ids_, np.array(5, "i4")]
        yield Case(
            f"UnsortedSegment{kind}", inputs, traced=[0], gradient=kind in ("Sum", "Max", "Min")
        )


def selected() -> Iterator[Case]:
    data = normal((6, 3))
    indices, ids_ = np.array([1, 5, 0, 1], "i4"), np.array([0, 0, 2, 2], "i4")
    for kind in ("Sum", "Mean", "SqrtN"):
        op = f"SparseSegment{kind}"
        yield Case(op, [data, indices, ids_], traced=[0, 1])
        yield Case(op, [data.astype("f8"), indices.astype("i8"), ids_.astype("i8")], traced=[0])
        yield Case(op, [data, indices[:0], ids_[:0]], traced=[0])
        yield Case(op, [data, indices, ids_], gradient=True, known_shapes=False, traced=[0])
        count = np.array(5, "i4")
        yield Case(f"{op}WithNumSegments", [data, indices, ids_, count], traced=[0, 1, 2])
        grad = normal((3, 3))
        rows = np.array(6, "i4")
        yield Case(f"{op}Grad", [grad, indices, ids_, rows], traced=[0, 1, 2])
        yield Case(f"{op}GradV2", [grad, indices, ids_, rows], traced=())


CASES = traced_once([*in_order(), *numbered(), *selected()])


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_segment(name: str, told: Any) -> None:
    check(*told[name])


LEAST = np.finfo("f4").min
KINDS = [("Sum", 5, 0), ("Prod", 6, 1), ("Max", 3, LEAST), ("Min", 2, -LEAST)]


@pytest.mark.parametrize(("kind", "first", "empty"), KINDS)
def test_numbered_segments_of_xla(kind: str, first: float, empty: float) -> None:
    """SegmentSumV2 and its like have no CPU kernel in TensorFlow."""
    data, ids_ = np.array([2, 3, 4], "f4"), np.array([0, 0, 2], "i4")
    total = kernel(f"Segment{kind}V2")(data, ids_, np.array(4, "i4"))
    np.testing.assert_array_equal(total, np.array([first, empty, 4, empty], "f4"))
