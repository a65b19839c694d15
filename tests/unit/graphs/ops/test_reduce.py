"""Reductions, running sums, bins and ranks against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.unit.graphs.ops.harness import Case, answers, check, ids, kernel, traced_once

RNG = np.random.default_rng(2)
NUMBERS = ("Sum", "Prod", "Mean", "Max", "Min", "EuclideanNorm")


def normal(shape: Any, dtype: str = "float32") -> Any:
    """Random numbers."""
    if "int" in dtype:
        return RNG.integers(-9 if dtype[0] != "u" else 0, 9, shape).astype(dtype)
    values = RNG.normal(size=shape)
    return (values + 1j * RNG.normal(size=shape) if "complex" in dtype else values).astype(dtype)


def axes(*wanted: int, dtype: str = "int32") -> Any:
    """A vector of axes."""
    return np.array(wanted, dtype)


def reductions() -> Iterator[Case]:
    for op in NUMBERS:
        for wanted in (
            axes(0),
            axes(-1),
            axes(0, 2),
            axes(dtype="int64"),
            axes(1, -1),
            axes(0, 1, 2),
        ):
            for keep in (False, True):
                x, planned = normal((2, 3, 4)), keep or len(wanted) != 1
                yield Case(op, [x, wanted], {"keep_dims": keep}, traced=[0], planned=planned)
        yield Case(op, [normal((2, 3)), np.array(1, "i4")], traced=[0], gradient=op != "Prod")
        yield Case(op, [normal(()), axes()], traced=[0])
        yield Case(op, [normal((0, 3)), axes(0)], traced=[0])
        yield Case(op, [normal((0, 3)), axes(1)], traced=[0])
        yield Case(op, [np.array([[1, np.nan], [np.inf, 2]], "f4"), axes(0)], traced=[0])
        yield Case(op, [normal((3, 5)), axes(0)], known_shapes=False, traced=[0])
        for dtype in ("float64", "float16", "int32", "int64", "complex64", "int8", "uint8"):
            if dtype == "complex64" and op in ("Max", "Min"):
                continue
            small = op in ("EuclideanNorm", "Prod") and dtype in ("int8", "uint8")
            x = np.ones((3, 4), dtype) if small else normal((3, 4), dtype)
            loose = {"rtol": 4e-3, "atol": 4e-3} if dtype == "float16" else {}
            yield Case(op, [x, axes(0)], traced=[0], **loose)
    yield Case("Max", [np.array([[1, 1, 0], [2, 3, 3]], "f4"), axes(1)], traced=[0], gradient=True)
    yield Case("Max", [np.zeros((0, 2), "i4"), axes(0)], traced=[0])
    yield Case("Min", [np.zeros((0, 2), "i4"), axes(0)], traced=[0])
    yield Case("Mean", [np.array([[-7, 2], [2, 2]], "i4"), axes(1)], traced=[0])
    yield Case("Prod", [np.array([[0, 2, 3], [1, 2, 3]], "f4"), axes(1)], traced=[0], gradient=True)
    for op in ("All", "Any"):
        for wanted in (axes(0), axes(-1), axes(0, 1), axes()):
            x = np.array([[True, False, True], [True, True, True]])
            yield Case(op, [x, wanted], {"keep_dims": len(wanted) == 1}, traced=[0])
        yield Case(op, [np.zeros((0, 2), bool), axes(0)], traced=[0])
    yield Case("Sum", [normal((2, 3)), axes(2)], fails=True, known_shapes=False)
    for op in ("ArgMax", "ArgMin"):
        for axis in (0, 1, -1):
            for dtype in ("float32", "int32", "uint8", "float64"):
                yield Case(op, [normal((3, 4), dtype), np.array(axis, "i4")], traced=[0])
        ties = np.array([[1, 3, 3], [2, 2, 2]], "f4")
        yield Case(op, [ties, np.array(1, "i4")], {"output_type": "int32"}, traced=[0])
        yield Case(op, [normal((5,)), np.array(0, "i8")], traced=[0])
        holes = np.array([[np.nan, 1, 2], [1, np.nan, 2], [3, np.nan, 2], [np.nan] * 3], "f4")
        yield Case(op, [holes, np.array(1, "i4")], traced=[0])


def running() -> Iterator[Case]:
    for op in ("Cumsum", "Cumprod", "CumulativeLogsumexp"):
        for axis in (0, -1):
            for exclusive in (False, True):
                for reverse in (False, True):
                    attrs = {"exclusive": exclusive, "reverse": reverse}
                    x = normal((3, 4))
                    yield Case(
                        op,
                        [x, np.array(axis, "i4")],
                        attrs,
                        traced=[0],
                        gradient=op != "CumulativeLogsumexp",
                    )
        yield Case(op, [normal((0,)), np.array(0, "i4")], {"exclusive": True}, traced=[0])
        if op != "CumulativeLogsumexp":
            for dtype in ("int32", "int64", "int8", "complex64", "float64", "float16"):
                loose = {"rtol": 5e-3, "atol": 4e-3} if dtype == "float16" else {}
                x = normal((2, 4), dtype)
                yield Case(op, [x, np.array(1, "i8")], {"exclusive": True}, traced=[0], **loose)
    yield Case("CumulativeLogsumexp", [normal((5,)), np.array(0, "i4")], traced=[0], gradient=True)


def bins() -> Iterator[Case]:
    values = np.array([1, 3, 3, 0, 7, 2], "i4")
    none = np.zeros(0, "f4")
    size = np.array(5, "i4")
    weights = normal((6,))
    yield Case("Bincount", [values, size, none], traced=[0])
    yield Case("Bincount", [values, size, weights], traced=[0, 2])
    yield Case("Bincount", [values.reshape(2, 3), size, weights.reshape(2, 3)], traced=[0, 2])
    yield Case("Bincount", [values, size, normal((6,), "int64")], traced=[0, 2])
    for dtype in ("int32", "int64"):
        for shape in ((6,), (2, 3)):
            for binary in (False, True):
                x = values.astype(dtype).reshape(shape)
                count = np.array(5, dtype)
                for w in (none, weights.reshape(shape), np.zeros(0, "i4")):
                    attrs = {"binary_output": binary}
                    yield Case("DenseBincount", [x, count, w], attrs, traced=[0])
    yield Case("DenseBincount", [np.zeros((0,), "i4"), size, none], traced=[0])
    x = np.array([-1, 0, 0.2, 1.5, 4.99, 5, 15], "f4")
    for output in ("int32", "int64"):
        attrs = {"dtype": output}
        inputs = [x, np.array([0, 5], "f4"), np.array(5, "i4")]
        yield Case("HistogramFixedWidth", inputs, attrs, traced=[0, 1])
    inputs = [normal((40,), "float64"), np.array([-1, 1], "f8"), np.array(7, "i4")]
    yield Case("HistogramFixedWidth", inputs, traced=[0])
    inputs = [normal((4, 5), "int32"), np.array([-5, 5], "i4"), np.array(3, "i4")]
    yield Case("HistogramFixedWidth", inputs, traced=[0])
    edges = {"boundaries": [-1.0, 0.1, 2.0]}
    for dtype in ("float32", "float64", "int32", "int64"):
        yield Case("Bucketize", [normal((3, 4), dtype)], edges)
    yield Case("Bucketize", [np.array([-1, 0.1, 2, np.inf, -np.inf], "f4")], edges)


def bfloat16() -> Iterator[Case]:
    for op in ("Sum", "Mean", "Max", "Min", "Prod"):
        x = normal((3, 4)).astype(ml_dtypes.bfloat16)
        yield Case(op, [x, axes(0)], traced=[0], rtol=2e-2, atol=2e-2)
    for op in ("ArgMax", "Cumsum"):
        yield Case(op, [x, np.array(0, "i4")], traced=[0], rtol=2e-2, atol=3e-2)


def ranks() -> Iterator[Case]:
    for dtype in ("float32", "float64", "int32", "int64", "uint8", "float16", "int8"):
        yield Case("TopKV2", [normal((3, 7), dtype), np.array(3, "i4")], traced=[0])
    yield Case("TopKV2", [normal((2, 2, 5)), np.array(5, "i4")], traced=[0], gradient=True)
    yield Case("TopKV2", [normal((5,)), np.array(0, "i4")], traced=[0])
    yield Case("TopKV2", [np.array([1, 3, 3, 3, 2], "f4"), np.array(2, "i4")], traced=[0])
    yield Case("TopKV2", [normal((5,)), np.array(2, "i4")], {"index_type": "int64"}, traced=[0])
    for reverse in (False, True):
        inputs = [normal((3, 7)), np.array(2, "i4")]
        yield Case("NthElement", inputs, {"reverse": reverse}, traced=[0])
    yield Case("NthElement", [normal((7,), "int32"), np.array(0, "i4")], traced=[0])
    tied = np.array([[1, 1, 1, 0], [1, 2, 3, 3], [5, 1, 2, 1.5], [2, 2, 3, 3]], "f4")
    for x in (tied, normal((2, 9)), normal((3, 2, 5)), normal((2, 0)), normal((0, 4))):
        yield Case("IsotonicRegression", [x], gradient=x.ndim == 2 and x.size > 0)
    yield Case("IsotonicRegression", [normal((2, 6), "int8")])
    scores = np.array([[0.1, 0.9, 0.5], [0.3, 0.3, 0.3], [1, np.nan, 0], [np.inf, 1, 0]], "f4")
    for target in ([1, 0, 0, 0], [2, 2, 2, 1], [0, 5, -1, 2]):
        for dtype in ("int32", "int64"):
            for k in (1, 2):
                inputs = [scores, np.array(target, dtype)]
                yield Case("InTopK", inputs, {"k": k})
                yield Case("InTopKV2", [*inputs, np.array(k, dtype)])


CASES = traced_once([*reductions(), *running(), *bins(), *ranks(), *bfloat16()])


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_reduce(name: str, told: Any) -> None:
    check(*told[name])


def test_top_k_of_tensorflow_1() -> None:
    values, where = kernel("TopK", k=2)(np.array([[3, 9, 9, 1]], "f4"))
    np.testing.assert_array_equal(values, [[9, 9]])
    np.testing.assert_array_equal(where, [[1, 2]])
    assert where.dtype == np.int32


@pytest.mark.parametrize("largest", [True, False])
def test_approx_top_k_is_exact(largest: bool) -> None:
    x = normal((2, 9))
    find = kernel("ApproxTopK", k=3, is_max_k=largest, aggregate_to_topk=True)
    values, where = find(x)
    expected = np.sort(x, axis=-1)[:, ::-1][:, :3] if largest else np.sort(x, axis=-1)[:, :3]
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(np.take_along_axis(x, where, -1), expected)


def test_buckets_of_boosted_trees() -> None:
    """The op is of TensorFlow 2.0 to 2.11; a value above the last boundary is in its bucket."""
    edges = np.array([-1, 0, 0.5, 2], "f4")
    values = np.array([-3, -1, -0.5, 0.5, 1, 2, 7], "f4")
    find = kernel("BoostedTreesBucketize", num_features=2)
    first, second = find(values, values[:2], edges, edges[:1])
    np.testing.assert_array_equal(first, np.array([0, 0, 1, 2, 3, 3, 3], "i4"))
    np.testing.assert_array_equal(second, np.array([0, 0], "i4"))
