"""Random ops with a seed or a state of their own against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from hozon.formats.protos.graph import parse_graph
from hozon.graphs.build import function_from_graph
from hozon.graphs.execute import call
from hozon.graphs.library import Library
from tests.oracle.client import Oracle
from tests.unit.graphs.ops.harness import Case, answers, check, ids, kernel, planned_once

SEED = np.array([2**40 + 17, -5], "i8")
KEY, COUNTER = np.array([2**63 + 12345], "u8"), np.array([2**64 - 2, 9], "u8")
PHILOX = np.array(1, "i4")
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


def shape(*sizes: int) -> Any:
    return np.array(sizes, "i4")


def floats() -> Iterator[Case]:
    for op in ("StatelessRandomUniform", "StatelessRandomNormal", "StatelessTruncatedNormal"):
        for dtype, rtol in (("float32", 2e-5), ("float64", 1e-9), ("half", 2e-3)):
            yield Case(op, [shape(7, 3), SEED], {"dtype": dtype}, traced=[1], rtol=rtol)
            yield Case(
                f"{op}V2",
                [shape(33), KEY, COUNTER, PHILOX],
                {"dtype": dtype},
                traced=[1, 2],
                rtol=rtol,
            )
        yield Case(op, [shape(5), np.array([1, 2], "i4")], traced=[1], **CLOSE)
        yield Case(op, [shape(), SEED], traced=[1], **CLOSE)
        yield Case(op, [shape(0, 2), SEED], traced=[1])
        yield Case(f"{op}V2", [shape(3), KEY, COUNTER, np.array(3, "i4")], traced=[1], **CLOSE)
    yield Case("StatelessRandomUniform", [shape(9), SEED], {"dtype": "bfloat16"}, traced=[1])
    yield Case("StatelessRandomUniformV2", [shape(3), KEY, COUNTER, np.array(2, "i4")], fails=True)


def integers() -> Iterator[Case]:
    for dtype in ("int32", "int64"):
        limits = [np.array(-3, dtype), np.array(1000, dtype)]
        yield Case("StatelessRandomUniformInt", [shape(5, 3), SEED, *limits], traced=[1])
        yield Case(
            "StatelessRandomUniformIntV2", [shape(9), KEY, COUNTER, PHILOX, *limits], traced=[1, 2]
        )
    for dtype in ("int32", "int64", "uint32", "uint64"):
        yield Case(
            "StatelessRandomUniformFullInt", [shape(5, 3), SEED], {"dtype": dtype}, traced=[1]
        )
        yield Case(
            "StatelessRandomUniformFullIntV2",
            [shape(5), KEY, COUNTER, PHILOX],
            {"dtype": dtype},
            traced=[1],
        )
    for op in ("StatelessRandomGetKeyCounter", "StatelessRandomGetKeyCounterAlg"):
        yield Case(op, [SEED])
    yield Case("StatelessRandomGetAlg", [], traced=())
    logits = np.random.default_rng(1).normal(size=(3, 5)).astype("f4")
    logits[1, 2] = -np.inf
    yield Case("StatelessMultinomial", [logits, np.array(8, "i4"), SEED], traced=[0, 2])
    yield Case(
        "StatelessMultinomial",
        [logits[:1], np.array(50, "i4"), SEED],
        {"output_dtype": "int32"},
        traced=(),
    )


CASES = planned_once([*floats(), *integers()])


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_stateless(name: str, told: Any) -> None:
    check(*told[name])


DISTRIBUTIONS = [
    ("StatelessRandomGammaV2", [np.array(3.0, "f4")], 3.0, 3.0),
    ("StatelessRandomPoisson", [np.array(4.0, "f4")], 4.0, 4.0),
    ("StatelessRandomBinomial", [np.array(10.0, "f4"), np.array(0.3, "f4")], 3.0, 2.1),
    (
        "StatelessParameterizedTruncatedNormal",
        [np.array(v, "f4") for v in (1.0, 2.0, -50.0, 50.0)],
        1.0,
        4.0,
    ),
]


@pytest.mark.parametrize(("op", "parameters", "mean", "variance"), DISTRIBUTIONS)
def test_distribution(op: str, parameters: Any, mean: float, variance: float) -> None:
    run = kernel(op, dtype=1)
    first = np.asarray(run(shape(8000), SEED, *parameters))
    assert first.dtype == np.float32
    assert first.shape == (8000,)
    np.testing.assert_allclose(first.mean(), mean, atol=0.1)
    np.testing.assert_allclose(first.var(), variance, rtol=0.1)
    np.testing.assert_array_equal(run(shape(8000), SEED, *parameters), first)
    assert (np.asarray(run(shape(8000), SEED + 1, *parameters)) != first).any()


def test_gamma_from_key_and_counter() -> None:
    inputs = [shape(4000, 2), KEY, COUNTER, PHILOX, np.array([1.0, 9.0], "f4")]
    drawn = np.asarray(kernel("StatelessRandomGammaV3", dtype=1)(*inputs))
    np.testing.assert_allclose(drawn.mean(0), [1, 9], rtol=0.1)
    np.testing.assert_allclose(drawn.var(0), [1, 9], rtol=0.15)


def test_shuffle_keeps_the_rows() -> None:
    rows = np.arange(40, dtype="i4").reshape(20, 2)
    shuffled = np.asarray(kernel("StatelessShuffle")(rows, KEY, COUNTER, PHILOX))
    assert (shuffled != rows).any()
    np.testing.assert_array_equal(shuffled[np.argsort(shuffled[:, 0])], rows)


def test_binomial_from_a_generator() -> None:
    states = [np.array([1, 2, 3], "i8")]
    context = SimpleNamespace(
        read=lambda cell: states[-1],
        assign=lambda cell, value: states.append(np.asarray(value)),
    )
    draw = kernel("StatefulRandomBinomial", dtype=3)
    drawn = np.asarray(draw(context, None, PHILOX, shape(4000), np.float32(10), np.float32(0.3)))
    assert drawn.dtype == np.int32
    assert states[-1].tolist() == [1 + 256 * 4000, 2, 3]
    np.testing.assert_allclose([drawn.mean(), drawn.var()], [3, 2.1], rtol=0.1)


GENERATOR = """
with tf.Graph().as_default() as graph:
    state = tf.Variable([2**62, 3, -7], dtype=tf.int64, use_resource=True, name="state")
    ops = tf.raw_ops
    handle, shape = state.handle, tf.constant([5, 3], tf.int64)
    drawn = []
    def then(make):
        with tf.control_dependencies(drawn[-1:]):
            drawn.append(make())
    for dtype in (tf.float32, tf.float64):
        for draw in (ops.StatefulUniform, ops.StatefulStandardNormalV2,
                     ops.StatefulTruncatedNormal):
            then(lambda: draw(resource=handle, algorithm=1, shape=shape, dtype=dtype))
    then(lambda: ops.StatefulUniformFullInt(resource=handle, algorithm=1, shape=shape,
                                            dtype=tf.uint32))
    then(lambda: ops.StatefulUniformInt(resource=handle, algorithm=1, shape=shape,
                                        minval=tf.constant(-5, tf.int64),
                                        maxval=tf.constant(5, tf.int64)))
    then(lambda: ops.RngReadAndSkip(resource=handle, alg=1, delta=tf.constant(2**60, tf.uint64)))
    def skip():
        with tf.control_dependencies([ops.RngSkip(resource=handle, algorithm=1,
                                                  delta=tf.constant(10, tf.int64))]):
            return state.read_value()
    then(skip)
    with tf.compat.v1.Session() as session:
        initializer = tf.compat.v1.global_variables_initializer()
        session.run(initializer)
        out["values"] = session.run(drawn)
    out["initializer"] = initializer.name
    out["names"] = [x.name for x in drawn]
    out["graph"] = graph.as_graph_def().SerializeToString()
"""


def test_generator(oracle: Oracle) -> None:
    told = oracle.python(GENERATOR)
    graph = parse_graph(told["graph"])
    library = Library({})
    call(library, function_from_graph("init", graph.nodes, {}, {}, {}, [told["initializer"]]), [])
    fetches = {f"y{i}": name for i, name in enumerate(told["names"])}
    function = function_from_graph("draw", graph.nodes, {}, fetches, {})
    with jax.enable_x64(True):
        drawn = call(library, function, [])
    for have, want in zip(drawn, told["values"], strict=True):
        assert np.asarray(have).dtype == want.dtype
        np.testing.assert_allclose(np.asarray(have), want, rtol=2e-5, atol=2e-6)
