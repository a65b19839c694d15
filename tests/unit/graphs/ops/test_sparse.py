"""Sparse tensors against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hozon.formats.protos.tensor import TypeNumber
from hozon.graphs.ir import Node
from hozon.graphs.ops import OPS
from hozon.graphs.table import NodeView
from tests.unit.graphs.ops.harness import Case, answers, check, ids

RNG = np.random.default_rng(5)


def normal(*shape: int, dtype: str = "float32") -> Any:
    """Random numbers."""
    return (RNG.normal(size=shape) * 5).astype(dtype)


def i4(*values: Any) -> Any:
    return np.asarray(values, np.int32)


def i8(*values: Any) -> Any:
    return np.asarray(values, np.int64)


def text(*values: bytes) -> Any:
    return np.array(values, object)


PLACES, SHAPE = i8([0, 1], [0, 3], [2, 0], [2, 2]), i8(4, 5)
CUBE, CUBE_SHAPE = i8([0, 0, 1], [0, 1, 1], [1, 0, 0], [1, 0, 2]), i8(2, 2, 3)
WORDS = text(b"a", b"bb", b"", b"d")


def dense() -> Iterator[Case]:
    op = "SparseToDense"
    for dtype in ("float32", "int64"):
        inputs = [PLACES, SHAPE, normal(4, dtype=dtype), np.asarray(-1, dtype)]
        yield Case(op, inputs, traced=[0, 2, 3])
        yield Case(op, inputs, traced=[2])
    yield Case(op, [PLACES, SHAPE, np.float32(2), np.float32(0)], traced=[0, 2])
    yield Case(op, [i4(1, 3), i4(5), normal(2), np.float32(0)], traced=[0, 2])
    yield Case(op, [np.int32(2), i4(5), np.float32(3), np.float32(0)], traced=[0, 2])
    yield Case(op, [PLACES, SHAPE, WORDS, np.array(b"?", object)], traced=())
    yield Case(op, [PLACES[:0], SHAPE, normal(0), np.float32(1)], traced=[0, 2])
    yield Case(op, [PLACES, i8(2, 5), normal(4), np.float32(1)], fails=True)


def structure() -> Iterator[Case]:
    for values, default in ((normal(4), np.float32(7)), (WORDS, np.array(b"?", object))):
        yield Case("SparseFillEmptyRows", [PLACES, values, SHAPE, default], traced=())
        yield Case("SparseFillEmptyRows", [PLACES[:0], values[:0], SHAPE, default], traced=())
        mixed = PLACES[[2, 0, 3, 1]]
        yield Case("SparseFillEmptyRows", [mixed, values, SHAPE, default], traced=())
        yield Case("SparseReorder", [mixed, values, SHAPE], traced=())
        yield Case("SparseSlice", [PLACES, values, SHAPE, i8(0, 1), i8(3, 9)], traced=())
        other = [i8([1, 0], [3, 1]), values[:2], i8(4, 2)]
        for axis in (1, -1):
            inputs = [[PLACES, other[0]], [values, other[1]], [SHAPE, other[2]]]
            yield Case("SparseConcat", inputs, {"concat_dim": axis}, traced=())
        for axis, number in ((0, 2), (1, 2), (1, 3)):
            inputs = [np.int64(axis), PLACES, values, SHAPE]
            yield Case("SparseSplit", inputs, {"num_split": number}, traced=())
    yield Case("SparseFillEmptyRows", [PLACES, normal(4), i8(2, 5), np.float32(1)], fails=True)
    yield Case("SparseFillEmptyRowsGrad", [i8(0, 2, 3), normal(5)], traced=[1])
    for shape in (i8(2, 10), i8(-1), i8(2, -1, 5)):
        yield Case("SparseReshape", [PLACES, SHAPE, shape], traced=())
    yield Case("SparseReshape", [PLACES[:0], i8(0, 5), i8(-1, 5)], traced=())
    yield Case("SparseReshape", [PLACES, SHAPE, i8(3, -1)], fails=True)
    kept = PLACES[1:3] - i8(0, 0)
    yield Case("SparseSliceGrad", [normal(2), PLACES, i8(0, 0), kept], traced=[0])


def products() -> Iterator[Case]:
    for a, b in ((False, False), (True, False), (False, True), (True, True)):
        inner, columns = (4 if a else 5), 3
        matrix = normal(*((columns, inner) if b else (inner, columns)))
        attrs = {"adjoint_a": a, "adjoint_b": b}
        inputs = [PLACES, normal(4), SHAPE, matrix]
        yield Case("SparseTensorDenseMatMul", inputs, attrs, traced=[0, 1, 3], gradient=True)
    yield Case(
        "SparseTensorDenseMatMul",
        [PLACES.astype("i4"), normal(4, dtype="float64"), SHAPE, normal(5, 2, dtype="float64")],
        traced=[1, 3],
    )
    yield Case("SparseTensorDenseAdd", [PLACES, normal(4), SHAPE, normal(4, 5)], traced=[0, 1, 3])
    for kind in ("Add", "Mul", "Div"):
        for dtype in ("float32", "int32"):
            given = [PLACES, normal(4, dtype=dtype), SHAPE]
            for shape in ((4, 5), (5,), (4, 1)):
                factor = np.abs(normal(*shape, dtype=dtype)) + np.asarray(1, dtype)
                op = f"SparseDenseCwise{kind}"
                gradient = dtype == "float32" and kind != "Add" and shape == (4, 5)
                yield Case(op, [*given, factor], traced=[1, 3], gradient=gradient)


def sums() -> Iterator[Case]:
    first = [PLACES, np.array([1, 2, 3, 4], np.float32), SHAPE]
    second = [i8([0, 1], [1, 1], [2, 2]), np.array([-1.5, 0.1, 5], np.float32), SHAPE]
    for thresh in (0.0, 0.7, 20.0):
        yield Case("SparseAdd", [*first, *second, np.float32(thresh)], traced=())
    yield Case(
        "SparseAddGrad",
        [normal(5), first[0], second[0], i8([0, 1], [0, 3], [1, 1], [2, 0], [2, 2])],
        traced=[0],
    )
    for op in ("SparseSparseMaximum", "SparseSparseMinimum"):
        yield Case(op, [*first, *second], traced=[1, 4])


def reductions() -> Iterator[Case]:
    for op in (
        "SparseReduceSum",
        "SparseReduceMax",
        "SparseReduceSumSparse",
        "SparseReduceMaxSparse",
    ):
        for axes in (i4(0), i4(-1), i4(0, 2), i4()):
            for keep in (True, False):
                inputs = [CUBE, normal(4) - 3, CUBE_SHAPE, axes.astype(np.int32)]
                yield Case(op, inputs, {"keep_dims": keep}, traced=[1])
    inputs = [CUBE, normal(4), CUBE_SHAPE, i4(1)]
    yield Case("SparseReduceSum", inputs, traced=[1], gradient=True)
    yield Case("SparseSoftmax", [CUBE, normal(4), CUBE_SHAPE], traced=[1], gradient=True)


def counts() -> Iterator[Case]:
    for values in (i4(1, 3, 1, 5), i8(2, 2, 2, 9)):
        size = np.asarray(6, values.dtype)
        weights = normal(4)
        for binary in (True, False):
            attrs = {"binary_output": binary}
            for places, shape in ((PLACES, SHAPE), (PLACES[:, 1:], SHAPE[1:])):
                given = weights[:0] if binary else weights
                inputs = [places, values, shape, size, given]
                yield Case("SparseBincount", inputs, attrs, traced=())
                for least, most in ((-1, -1), (8, -1), (-1, 3)):
                    limits = {**attrs, "minlength": least, "maxlength": most}
                    inputs = [places, values, shape, given]
                    yield Case("SparseCountSparseOutput", inputs, limits, traced=())
            for table in (values, values.reshape(2, 2)):
                given = np.zeros(0, np.int64)
                yield Case("DenseCountSparseOutput", [table, given], attrs, traced=())
                attrs_ = {**attrs, "maxlength": 4}
                yield Case("DenseCountSparseOutput", [table, given], attrs_, traced=())


def crosses() -> Iterator[Case]:
    places, shape, table = i8([0, 0], [0, 1], [2, 0]), i8(3, 2), i8([1, 2], [3, 4], [5, 6])
    long = text(b"a", b"bcd", b"xyz" * 30)
    for values in (i8(5, -7, 9), long):
        given: list[Any] = [[places], [values], [shape], [table]]
        for buckets in (0, 100):
            attrs = {
                "hashed_output": True,
                "num_buckets": buckets,
                "hash_key": 956888297470,
                "out_type": "int64",
                "internal_type": "int64",
            }
            yield Case("SparseCross", given, attrs, traced=())
            settings = [np.int64(buckets), np.bool_(False), i8(3, 12)]
            yield Case("SparseCrossHashed", [*given, *settings], traced=())
        attrs = {
            "hashed_output": False,
            "num_buckets": 0,
            "hash_key": 0,
            "out_type": "string",
            "internal_type": "int64",
        }
        yield Case("SparseCross", given, attrs, traced=())
        yield Case("SparseCrossV2", [*given, np.array(b"-", object)], traced=())
        for hashed in (True, False):
            attrs = {
                "input_order": "DRS",
                "hashed_output": hashed,
                "num_buckets": 100,
                "hash_key": 7,
                "out_values_type": "int64" if hashed else "string",
                "out_row_splits_type": "int64",
            }
            ragged: list[Any] = [[values], [i8(0, 1, 1, 3)]]
            yield Case("RaggedCross", [*ragged, *given], attrs, traced=())


CASES = [*crosses(), *dense(), *structure(), *products(), *sums(), *reductions(), *counts()]


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_sparse(name: str, told: Any) -> None:
    check(*told[name])


PACKED = """
a = tf.sparse.from_dense(np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]], "f4"))
b = tf.sparse.from_dense(np.array([[0, 5, 6]]))
out["strings"] = tf.io.serialize_sparse(a).numpy()
out["many"] = tf.io.serialize_many_sparse(a).numpy()
back = tf.io.deserialize_many_sparse(out["many"], tf.float32)
out["back"] = [back.indices.numpy(), back.values.numpy(), back.dense_shape.numpy()]
out["a"] = [a.indices.numpy(), a.values.numpy(), a.dense_shape.numpy()]
"""


def test_packed(oracle: Any) -> None:
    """Strings that TensorFlow made are read; variants, which never leave a graph, go round."""
    answer = oracle.python(PACKED)
    unpack = kernel("DeserializeSparse", dtype=TypeNumber(1))
    many = kernel("DeserializeManySparse", dtype=TypeNumber(1))
    for found, want in zip(unpack(answer["strings"]), answer["a"], strict=True):
        assert found.dtype == want.dtype
        np.testing.assert_array_equal(found, want)
    for found, want in zip(many(answer["many"]), answer["back"], strict=True):
        assert found.dtype == want.dtype
        np.testing.assert_array_equal(found, want)
    variant = TypeNumber(21)
    alone = unpack(kernel("SerializeSparse", out_type=variant)(*answer["a"]))
    rows = many(kernel("SerializeManySparse", out_type=variant)(*answer["a"]))
    for found, want in zip((*alone, *rows), (*answer["a"], *answer["back"]), strict=True):
        assert found.dtype == want.dtype
        np.testing.assert_array_equal(found, want)


def kernel(op: str, **attrs: Any) -> Any:
    return OPS[op].handler(NodeView(Node("n", op, (), (), attrs)))
