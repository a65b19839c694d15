"""Ragged tensors against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.graphs.ops.harness import Case, answers, check, ids

RNG = np.random.default_rng(4)


def normal(*shape: int, dtype: str = "float32") -> Any:
    """Random numbers."""
    return (RNG.normal(size=shape) * 5).astype(dtype)


def i4(*values: Any) -> Any:
    return np.asarray(values, np.int32)


def i8(*values: Any) -> Any:
    return np.asarray(values, np.int64)


def text(*values: bytes) -> Any:
    return np.array(values, object)


def to_dense() -> Iterator[Case]:
    op = "RaggedTensorToTensor"
    splits, rows = i8(0, 2, 2, 5, 6), i8(0, 0, 2, 2, 2, 3)
    values, zero = normal(6), np.float32(-1)
    kinds = {"row_partition_types": ["ROW_SPLITS"]}
    for shape in (np.int64(-1), i8(-1, -1), i8(3, 2), i8(6, 4), i8(-1, 1)):
        known = shape.ndim > 0
        yield Case(op, [shape, values, zero, [splits]], kinds, traced=[1, 2], known_shapes=known)
    kinds_by_id = {"row_partition_types": ["FIRST_DIM_SIZE", "VALUE_ROWIDS"]}
    for shape in (i8(-1, -1), i4(2, 2)):
        first = np.asarray(5, rows.dtype)
        inputs = [shape, values, zero, [first, rows]]
        yield Case(op, inputs, kinds_by_id, traced=[1], gradient=True)
    inputs = [i8(-1, -1, 2), normal(6, 2), normal(2), [splits]]
    yield Case(op, inputs, kinds, traced=[1, 2], gradient=True)
    inputs = [np.int64(-1), normal(6, 2), zero, [splits]]
    yield Case(op, inputs, kinds, traced=[1, 2], known_shapes=False)
    outer = i8(0, 1, 4)
    nested = {"row_partition_types": ["ROW_SPLITS", "ROW_SPLITS"]}
    for shape in (i8(-1, -1, -1), i8(3, 2, 2), i8(1, 4, 4)):
        yield Case(op, [shape, values, zero, [outer, splits]], nested, traced=[1])
    nested = {"row_partition_types": ["FIRST_DIM_SIZE", "VALUE_ROWIDS", "ROW_SPLITS"]}
    inputs = [i8(-1, -1, -1), values, zero, [np.int64(3), i8(0, 0, 2, 2), splits]]
    yield Case(op, inputs, nested, traced=[1])
    words = text(*b"abcdef".split(b"!"), b"a", b"b", b"c", b"d", b"")
    inputs = [i8(-1, -1), words, np.array(b"?", object), [splits.astype(np.int32)]]
    yield Case(op, inputs, kinds, traced=())
    inputs = [np.int64(-1), values[:0], zero, [i8(0, 0, 0)]]
    yield Case(op, inputs, kinds, traced=[1], known_shapes=False)
    inputs = [np.int64(-1), values[:0], zero, [i8(0)]]
    yield Case(op, inputs, kinds, traced=[1], known_shapes=False)


def to_sparse() -> Iterator[Case]:
    for values in (normal(5), normal(5, 2), text(b"a", b"b", b"c", b"d", b"e")):
        traced = () if values.dtype == object else [1]
        yield Case("RaggedTensorToSparse", [[i8(0, 2, 2, 5)], values], traced=traced)
    nested = [i4(0, 1, 3), i4(0, 2, 2, 5)]
    yield Case("RaggedTensorToSparse", [nested, normal(5)], traced=[2])


def ranges() -> Iterator[Case]:
    yield Case("RaggedRange", [i4(0, 5, 8), i4(3, 5, 2), i4(1, 1, -2)], traced=())
    yield Case(
        "RaggedRange", [np.int32(0), i4(3, 0, 2), np.int32(1)], {"Tsplits": "int32"}, traced=()
    )
    floats = [np.array(v, np.float32) for v in ([0, 1], [0.9, -1], [0.3, -0.25])]
    yield Case("RaggedRange", floats, traced=())
    yield Case("RaggedRange", [i8(0, 4), i8(3, 0), i8(2, 1)], traced=())
    yield Case("RaggedRange", [i4(0), i4(3), i4(0)], fails=True)


def gathers() -> Iterator[Case]:
    splits, values = i8(0, 2, 2, 5), normal(5)
    for indices in (i4(2, 0, 2), i8(1), i4([2, 1], [0, 0])):
        rank = indices.ndim
        yield Case(
            "RaggedGather", [[splits], values, indices], {"OUTPUT_RAGGED_RANK": rank}, traced=[1]
        )
    nested = [i8(0, 1, 3), splits]
    yield Case(
        "RaggedGather", [nested, normal(5, 2), i4(1, 0)], {"OUTPUT_RAGGED_RANK": 2}, traced=[2]
    )
    words = text(b"a", b"b", b"c", b"d", b"e")
    yield Case("RaggedGather", [[splits], words, i4(2, 0)], {"OUTPUT_RAGGED_RANK": 1}, traced=())
    yield Case("RaggedGather", [[splits], values, i4(3)], {"OUTPUT_RAGGED_RANK": 1}, fails=True)


def filled() -> Iterator[Case]:
    ids_ = i8(0, 0, 2, 5)
    for values, default in (
        (normal(4), np.float32(9)),
        (text(b"a", b"b", b"c", b"d"), np.array(b"x", object)),
    ):
        yield Case("RaggedFillEmptyRows", [ids_, values, np.int64(7), default], traced=())
    yield Case("RaggedFillEmptyRows", [i8(0, 1), normal(2), np.int64(2), np.float32(0)], traced=())
    yield Case("RaggedFillEmptyRowsGrad", [i8(0, 2, 3), normal(5)], traced=[1])


def counts() -> Iterator[Case]:
    splits = i8(0, 3, 3, 5)
    for values in (i4(1, 3, 1, 5, 0), i8(2, 2, 2, 0, 9)):
        weights = normal(5)
        size = np.asarray(6, values.dtype)
        for binary in (True, False):
            attrs = {"binary_output": binary}
            yield Case("RaggedBincount", [splits, values, size, weights[:0]], attrs, traced=())
            inputs = [splits, values, size, weights]
            yield Case("RaggedBincount", inputs, attrs, traced=())
            for least, most in ((-1, -1), (8, -1), (-1, 3), (4, 4)):
                limits = {**attrs, "minlength": least, "maxlength": most}
                given = weights[:0] if binary else weights
                inputs = [splits, values, given]
                yield Case("RaggedCountSparseOutput", inputs, limits, traced=())
    yield Case(
        "RaggedCountSparseOutput",
        [splits, i8(1, 1, 1, 2, 3), i8()],
        {"binary_output": False},
        traced=(),
    )


CASES = [*to_dense(), *to_sparse(), *ranges(), *gathers(), *filled(), *counts()]


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_ragged(name: str, told: Any) -> None:
    check(*told[name])
