"""Simulated quantization against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
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

RNG = np.random.default_rng(12)


def reals(*shape: int) -> Any:
    return (RNG.normal(size=shape) * 3).astype("f4")


def scalar(value: float) -> Any:
    return np.array(value, "f4")


def fakes() -> Iterator[Case]:
    for low, high in ((-2.0, 3.0), (0.0, 4.0), (-5.0, -1.0), (1.0, 2.0)):
        for attrs in ({}, {"num_bits": 4, "narrow_range": True}):
            yield Case("FakeQuantWithMinMaxArgs", [reals(4, 3)], {"min": low, "max": high, **attrs})
            yield Case(
                "FakeQuantWithMinMaxArgsGradient",
                [reals(4, 3), reals(4, 3)],
                {"min": low, "max": high, **attrs},
            )
            ends = [scalar(low), scalar(high)]
            yield Case("FakeQuantWithMinMaxVars", [reals(4, 3), *ends], attrs, gradient=not attrs)
            yield Case("FakeQuantWithMinMaxVarsGradient", [reals(4, 3), reals(4, 3), *ends], attrs)
    yield Case("FakeQuantWithMinMaxVars", [reals(3), scalar(0), scalar(0)])
    ends = [np.array([-1, 0, -3], "f4"), np.array([2, 1, 0], "f4")]
    yield Case("FakeQuantWithMinMaxVarsPerChannel", [reals(2, 4, 3), *ends], gradient=True)
    yield Case("FakeQuantWithMinMaxVarsPerChannel", [reals(3), *ends])
    yield Case("FakeQuantWithMinMaxVarsPerChannelGradient", [reals(2, 4, 3), reals(2, 4, 3), *ends])


def rounded() -> Iterator[Case]:
    ends = [scalar(-2.0), scalar(3.0)]
    columns = [np.array([-1, -2, -3], "f4"), np.array([2, 1, 0.5], "f4")]
    for op in ("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4"):
        for attrs in (
            {},
            {"range_given": True},
            {"signed_input": False, "range_given": True},
            {"num_bits": 4, "narrow_range": True, "round_mode": "HALF_UP"},
        ):
            yield Case(op, [reals(5, 3), *ends], attrs)
        yield Case(op, [reals(5, 3), *columns], {"axis": 1})
    yield Case("QuantizeAndDequantizeV3", [reals(5, 3), *ends, np.array(6, "i4")], traced=[0])
    yield Case("QuantizeAndDequantizeV4Grad", [reals(5, 3), reals(5, 3), *ends])
    yield Case("QuantizeAndDequantizeV4Grad", [reals(5, 3), reals(5, 3), *columns], {"axis": 1})
    ends = [np.array([-2], "f4"), np.array([3], "f4")]  # its kernel takes one element too
    yield Case("QuantizeV2", [reals(5), *ends], {"T": "quint8"}, known_shapes=False)


CASES = planned_once([*fakes(), *rounded()])


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_quantize(name: str, told: Any) -> None:
    check(*told[name])


ROUND_TRIP = """
with tf.Graph().as_default() as graph:
    x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
    names = []
    for i, (dtype, attrs, low, high) in enumerate(forms):
        narrow = {"narrow_range": attrs.get("narrow_range", False)}
        q = tf.raw_ops.QuantizeV2(input=x, min_range=low, max_range=high, T=getattr(tf, dtype),
                                  **attrs)
        y = tf.raw_ops.Dequantize(input=q.output, min_range=q.output_min, max_range=q.output_max,
                                  mode=attrs["mode"], **narrow)
        names += [y.name, q.output_min.name, q.output_max.name]
    with tf.compat.v1.Session() as session:
        out["values"] = session.run(names, {x: data})
    out["names"] = names
    out["graph"] = graph.as_graph_def().SerializeToString()
"""


def test_real_quantization_there_and_back(oracle: Oracle) -> None:
    forms = [
        (dtype, {"mode": mode, **attrs}, low, high)
        for dtype in ("qint8", "quint8")
        for mode, attrs in (
            ("MIN_COMBINED", {}),
            ("SCALED", {}),
            ("SCALED", {"narrow_range": True, "round_mode": "HALF_TO_EVEN"}),
        )
        for low, high in ((-2.0, 3.0), (0.5, 4.0), (0.0, 1e-9))
    ]
    data = reals(50)
    told = oracle.python(ROUND_TRIP, forms=forms, data=data)
    graph = parse_graph(told["graph"])
    fetches = {f"y{i}": name for i, name in enumerate(told["names"])}
    function = function_from_graph("there", graph.nodes, {"x": "x:0"}, fetches, {})
    for have, want in zip(call(Library({}), function, [data]), told["values"], strict=True):
        assert np.asarray(have).dtype == want.dtype
        np.testing.assert_allclose(np.asarray(have), want, rtol=1e-5, atol=1e-6)


RANGES = [(-3, 3), (0, 6), (-0.5, 0.7), (0.1, 5.3), (0, 1)]

FAKES = """
out["y"] = [
    [tf.quantization.fake_quant_with_min_max_vars(x, a, b),
     tf.quantization.fake_quant_with_min_max_args(x, a, b),
     tf.quantization.fake_quant_with_min_max_vars_per_channel(x[:, None], [a], [b])[:, 0]]
    for a, b in ranges]
"""


def test_compiled_fake_quantization_takes_no_other_step(oracle: Oracle) -> None:
    """Numbers between two steps, and pixels: nothing is rounded otherwise under ``jax.jit``."""
    halves = (np.arange(-300, 300) + np.float32(0.5)) * np.float32(6 / 255)
    x = np.concatenate([halves, np.arange(256) / np.float32(255)]).astype(np.float32)
    optimized = partial(jax.jit, compiler_options={"xla_backend_optimization_level": "3"})
    answer = oracle.python(FAKES, x=x, ranges=[(float(a), float(b)) for a, b in RANGES])["y"]
    for (low, high), told in zip(RANGES, answer, strict=True):
        ends = np.float32(low), np.float32(high)
        form: dict[str, Any] = {"num_bits": 8, "narrow_range": False}
        by_variables = kernel("FakeQuantWithMinMaxVars", **form)
        by_numbers = kernel("FakeQuantWithMinMaxArgs", min=low, max=high, **form)
        by_channel = kernel("FakeQuantWithMinMaxVarsPerChannel", **form)
        np.testing.assert_array_equal(optimized(by_variables)(x, *ends), told[0])
        np.testing.assert_array_equal(optimized(by_numbers)(x), told[1])
        columns = [np.full(1, end) for end in ends]
        np.testing.assert_array_equal(optimized(by_channel)(x[:, None], *columns)[:, 0], told[2])
