"""Gathering, scattering and searching against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hozon.formats.protos.graph import decode_graph
from hozon.formats.protos.graph_pb2 import GraphDef
from hozon.graphs.build import function_from_graph
from hozon.graphs.execute import call
from hozon.graphs.library import Library
from tests.unit.graphs.ops.harness import (
    Case,
    answers,
    check,
    ids,
    prepared,
    run_static,
    run_traced,
)

RNG = np.random.default_rng(3)
WORDS = np.array([[b"a", b"bb", b"a"], [b"c", b"\xff\x00", b""]], object)


def normal(*shape: int, dtype: str = "float32") -> Any:
    """Random numbers."""
    return (RNG.normal(size=shape) * 5).astype(dtype)


def i4(*values: Any) -> Any:
    return np.asarray(values, np.int32)


def i8(*values: Any) -> Any:
    return np.asarray(values, np.int64)


def text(*values: bytes) -> Any:
    return np.array(values, object)


def gathered() -> Iterator[Case]:
    x = normal(3, 4, 5)
    yield Case("Gather", [x, i4([2, 0], [1, 1])])
    yield Case("Gather", [x, i4(3)], fails=True)
    for axis in (0, 1, 2, -1):
        inputs = [x, i8([0, 2], [1, 1], [2, 0]), np.int32(axis)]
        yield Case("GatherV2", inputs, traced=[0, 1], gradient=True)
    for axis, batch in ((1, 1), (2, 1), (-1, -2), (1, 0), (2, 2)):
        indices = RNG.integers(0, 4, (3, 4, 2) if batch == 2 else (3, 2)).astype("i4")
        attrs = {"batch_dims": batch}
        yield Case("GatherV2", [x, indices, np.int32(axis)], attrs, traced=[0, 1], gradient=True)
    yield Case("GatherV2", [x, np.int32(1), np.int32(1)], traced=[0, 1])
    yield Case("GatherV2", [x, np.zeros((0, 2), np.int32), np.int32(0)], traced=[0, 1])
    yield Case("GatherV2", [WORDS, i4(1, 0), np.int32(1)], traced=())
    yield Case("GatherV2", [WORDS, np.int32(1), np.int32(0)], traced=())
    yield Case("GatherV2", [WORDS[0], np.int32(1), np.int32(0)], traced=())
    yield Case("GatherV2", [x, i4(-1), np.int32(0)], traced=[0], fails=True)
    yield Case("GatherNd", [x, i4([0, 1], [2, 3])], gradient=True)
    yield Case("GatherNd", [x, i8([[2], [0]])])
    yield Case("GatherNd", [x, i4([0, 1, 4], [2, 3, 0])])
    yield Case("GatherNd", [x, np.zeros((2, 0), np.int32)])
    yield Case("GatherNd", [WORDS, i4([0, 1], [1, 1])], traced=())
    yield Case("GatherNd", [x, i4([0, 4])], fails=True)
    yield Case("GatherNd", [x, i4([0, 4], [1, 1])], {"bad_indices_policy": "IGNORE"})
    parts = i4([0, 2, 0], [1, 0, 2])
    yield Case("DynamicPartition", [normal(2, 3, 2), parts], {"num_partitions": 4}, traced=[0])
    yield Case("DynamicPartition", [WORDS, parts], {"num_partitions": 3}, traced=())
    yield Case("DynamicPartition", [x, i4(0, 5, 1)], {"num_partitions": 4}, fails=True)
    for op in ("DynamicStitch", "ParallelDynamicStitch"):
        data = [normal(2, 2), normal(2, 2, 2), normal(2)]
        places = [i4(5, 0), i4([1, 2], [6, 2]), np.int32(3)]
        yield Case(op, [places[:2], data[:2]], traced=[2, 3])
        full = [[i4(3, 0), i4([1, 2], [4, 2]), np.int32(5)], data]
        yield Case(op, full, traced=[3, 4, 5])
        full = [[i4(3, 0), i4([1, 2], [4, 6]), np.int32(5)], data]
        yield Case(op, full, traced=[3, 4, 5], gradient=True)


def scattered() -> Iterator[Case]:
    x = normal(4, 3)
    rows, cells = i4([2], [0], [2]), i8([0, 1], [3, 2], [0, 1])
    for dtype in ("float32", "int64", "float64"):
        inputs = [rows, normal(3, 3, dtype=dtype), i4(4, 3)]
        yield Case("ScatterNd", inputs, traced=[0, 1], gradient=dtype == "float32")
    yield Case("ScatterNd", [cells, normal(3), i8(4, 3)], traced=[0, 1])
    yield Case("ScatterNd", [i4([1], [0], [1]), np.array([True, True, False]), i4(3)], traced=[1])
    yield Case("ScatterNd", [i4([1], [0]), text(b"x", b"y"), i4(3)], traced=())
    yield Case("ScatterNd", [i4([4, 0]), normal(1), i4(4, 3)], fails=True)
    yield Case("ScatterNd", [np.zeros((0, 1), np.int32), normal(0, 3), i4(4, 3)], traced=[0, 1])
    yield Case("ScatterNdNonAliasingAdd", [x, cells, normal(3)], gradient=True)
    for kind in ("Add", "Sub", "Max", "Min"):
        yield Case(f"TensorScatter{kind}", [x, rows, normal(3, 3)])
        yield Case(f"TensorScatter{kind}", [x, cells, normal(3)])
        yield Case(f"TensorScatter{kind}", [x.astype("i4"), cells, normal(3, dtype="int32")])
        distinct = [x, i4([2], [0]), normal(2, 3)]
        yield Case(f"TensorScatter{kind}", distinct, gradient=kind in ("Add", "Sub"))
    yield Case("TensorScatterUpdate", [x, i4([2], [0]), normal(2, 3)], gradient=True)
    yield Case("TensorScatterUpdate", [WORDS, i4([0, 1]), text(b"new")], traced=())
    yield Case("TensorScatterUpdate", [x, i4([4]), normal(1, 3)], fails=True)


def narrow() -> Iterator[Case]:
    """Types that NumPy itself does not know, or only half."""
    for dtype in (ml_dtypes.bfloat16, np.float16, np.uint8, np.bool_, np.complex64):
        x = (normal(4, 3) + 20).astype(dtype)
        yield Case("GatherV2", [x, i4(3, 0), np.int32(0)], traced=[0, 1])
        yield Case("TensorScatterUpdate", [x, i4([2], [0]), x[:2]])
        yield Case("ConcatV2", [[x, x], np.int32(1)], traced=[0])
        yield Case("Pad", [x, i4([1, 0], [0, 2])], traced=[0])
        if dtype is not np.bool_:
            yield Case("ScatterNd", [i4([2], [0], [2]), x[:3], i4(4, 3)], traced=[0, 1])
        if dtype not in (np.bool_, np.complex64):
            yield Case("TensorScatterMax", [x, i4([2], [0]), x[1:3]])
            bounds = [i4(2, -1), i4(0, -9), i4(-1, -2)]
            yield Case("StridedSlice", [x, *bounds], traced=[0])


def searched() -> Iterator[Case]:
    yield Case("Where", [normal(3, 2) > 0], traced=())
    yield Case("Where", [i4([0, 2], [-1, 0])], traced=())
    yield Case("Where", [np.array([0.0, np.nan, 2.0], np.float32)], traced=())
    yield Case("Where", [np.zeros((0, 3), bool)], traced=())
    floats = np.array([2, -1, np.nan, 2, 0, np.nan], np.float32)
    for values in (i4(4, 1, 4, 0, 1), floats, WORDS.reshape(-1), np.zeros(0, np.int64)):
        for kind in ("int32", "int64"):
            for op in ("Unique", "UniqueWithCounts"):
                yield Case(op, [values], {"out_idx": kind}, traced=())
        axes = np.zeros(0, np.int64)
        yield Case("UniqueV2", [values, axes], traced=())
    table = i4([1, 0, 1], [2, 0, 2], [1, 0, 1])
    for axis in (0, 1, -1):
        for op in ("UniqueV2", "UniqueWithCountsV2"):
            yield Case(op, [table, i8(axis)], traced=())
    yield Case("ListDiff", [i4(1, 5, 2, 5, 3), i4(2, 1)], traced=())
    yield Case("ListDiff", [WORDS[0], text(b"bb")], {"out_idx": "int64"}, traced=())
    rows = np.sort(normal(2, 6), axis=1)
    for op in ("LowerBound", "UpperBound"):
        for kind in ("int32", "int64"):
            yield Case(op, [rows, np.hstack([rows[:, :2], normal(2, 2)])], {"out_type": kind})
    for normalize in (True, False):
        guess = [i8([0, 0], [0, 1], [1, 0], [2, 0]), text(b"a", b"b", b"c", b"d"), i8(4, 2)]
        truth = [
            i8([0, 0], [0, 1], [0, 2], [2, 0], [3, 0]),
            text(b"b", b"b", b"a", b"d", b"e"),
            i8(4, 3),
        ]
        yield Case("EditDistance", [*guess, *truth], {"normalize": normalize}, traced=())


def set_operations() -> Iterator[Case]:
    for name in ("a-b", "b-a", "intersection", "union"):
        attrs = {"set_operation": name}
        first, second = i8([[3, 1, 3], [2, 2, 2]]), i8([[1, 9], [2, 5]])
        yield Case("DenseToDenseSetOperation", [first, second], attrs, traced=())
        yield Case("DenseToDenseSetOperation", [WORDS, text(b"a", b"c")[:, None]], attrs, traced=())
        places = i8([0, 0], [0, 1], [1, 0])
        sparse = [places, i8(1, 4, 2), i8(2, 2)]
        yield Case("DenseToSparseSetOperation", [first[0], *sparse], attrs, traced=())
        other = [i8([0, 0], [1, 1]), i8(4, 7), i8(2, 3)]
        yield Case("SparseToSparseSetOperation", [*sparse, *other], attrs, traced=())
    yield Case("SetSize", [i8([0, 0], [0, 1], [1, 0]), i8(4, 4, 2), i8(3, 2)], traced=())


CASES = [*gathered(), *scattered(), *narrow(), *searched(), *set_operations()]


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_gather(name: str, told: Any) -> None:
    check(*told[name])


OUTSIDE = [
    (Case("GatherV2", [normal(3, 2), i4(1, -1, 3), np.int32(0)]), [0, 1], 0),
    (Case("GatherNd", [normal(3, 2), i4([1, 0], [0, -1], [3, 0])]), [0, 1], 0),
]


@pytest.mark.parametrize("position", range(len(OUTSIDE)))
def test_compiled_gather_gives_zeros_outside(position: int, oracle: Any) -> None:
    """TensorFlow on a CPU fails there, so its answer for indices inside is taken for the graph."""
    case, traced, fill = OUTSIDE[position]
    inside = Case(case.op, [case.inputs[0], case.inputs[1] * 0, *case.inputs[2:]])
    (_, answer), *_ = answers(oracle, [inside]).values()
    library, function = prepared(answer)
    expected = run_static(
        library, function, [case.inputs[0], case.inputs[1].clip(0, 1), *case.inputs[2:]]
    )[0]
    found = np.asarray(run_traced(library, function, case.flat, traced)[0])
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1:], np.full_like(found[1:], fill))


SCATTERS = """
def run(key, dtype, kind, build):
    with tf.Graph().as_default() as graph:
        start = (np.arange(1, 13).reshape(4, 3) * 7).astype(dtype)
        variable = tf.compat.v1.get_variable(
            "v", initializer=start, use_resource=kind == "resource")
        updates = tf.compat.v1.placeholder(dtype, [None, None], "updates")
        target = variable.handle if kind == "resource" else variable._ref()
        step = build("Resource" if kind == "resource" else "", target, updates)
        step = step if kind == "resource" else step.op
        with tf.control_dependencies([step]):
            value = tf.identity(variable.read_value(), name="value")
        with tf.compat.v1.Session() as session:
            session.run(variable.initializer)
            expected = session.run(value, {updates: deltas})
        out[key, dtype, kind] = graph.as_graph_def().SerializeToString(), expected, start

for kind in ("resource", "reference"):
    for dtype in ("float32", "int32"):
        for how in ("Update", "Add", "Sub", "Mul", "Div", "Max", "Min"):
            run(how, dtype, kind, lambda prefix, target, updates: getattr(
                tf.raw_ops, prefix + "Scatter" + how)(
                    indices=tf.constant(rows), updates=updates,
                    **{"resource" if prefix else "ref": target}))
        for how in ("Update", "Add", "Sub", "Max", "Min"):
            run("Nd" + how, dtype, kind, lambda prefix, target, updates: getattr(
                tf.raw_ops, prefix + "ScatterNd" + how)(
                    indices=tf.constant(rows[:, None]), updates=updates, ref=target))
        run("slice", dtype, kind, lambda prefix, target, updates: getattr(
            tf.raw_ops, prefix + "StridedSliceAssign")(
                begin=[0, 9], end=[3, -9], strides=[1, -1], value=updates, ref=target))
"""


def test_variable_scatters(oracle: Any) -> None:
    rows, deltas = i4(2, 0, 3), np.arange(-4, 5).reshape(3, 3) * 2 + 1
    results = oracle.python(SCATTERS, rows=rows, deltas=deltas)
    assert len(results) == 52
    for (how, dtype, kind), (data, expected, start) in results.items():
        graph = decode_graph(GraphDef.FromString(data))
        library = Library(graph.library)
        function = function_from_graph(
            "f", graph.nodes, {"u": "updates:0"}, {"y": "value:0"}, graph.library, ()
        )
        (cell,) = library.bound(function).cells
        cell.assign(start)
        (found,) = call(library, function, [deltas.astype(dtype)])
        where = f"{how} {dtype} {kind}"
        assert found.dtype == expected.dtype, where
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6, err_msg=where)
        np.testing.assert_allclose(cell.numpy(), expected, rtol=1e-6, err_msg=where)
