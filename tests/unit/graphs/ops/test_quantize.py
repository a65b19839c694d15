"""Simulated quantization against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.graphs.ops.harness import Case, answers, check, ids, planned_once

RNG = np.random.default_rng(12)


def reals(*shape: int) -> Any:
    return (RNG.normal(size=shape) * 3).astype("f4")


def scalar(value: float) -> Any:
    return np.array(value, "f4")


def fakes() -> Iterator[Case]:
    for low, high in ((-2.0, 3.0), (0.0, 4.0), (-5.0, -1.0), (1.0, 2.0)):
        for attrs in ({}, {"num_bits": 4, "narrow_range": True}):
            yield Case("FakeQuantWithMinMaxArgs", [reals(4, 3)],
                       {"min": low, "max": high, **attrs})  # fmt: skip
            yield Case("FakeQuantWithMinMaxArgsGradient", [reals(4, 3), reals(4, 3)],
                       {"min": low, "max": high, **attrs})  # fmt: skip
            ends = [scalar(low), scalar(high)]
            yield Case("FakeQuantWithMinMaxVars", [reals(4, 3), *ends], attrs, gradient=not attrs)
            yield Case("FakeQuantWithMinMaxVarsGradient", [reals(4, 3), reals(4, 3), *ends], attrs)
    yield Case("FakeQuantWithMinMaxVars", [reals(3), scalar(0), scalar(0)])
    ends = [np.array([-1, 0, -3], "f4"), np.array([2, 1, 0], "f4")]
    yield Case("FakeQuantWithMinMaxVarsPerChannel", [reals(2, 4, 3), *ends], gradient=True)
    yield Case("FakeQuantWithMinMaxVarsPerChannel", [reals(3), *ends])
    yield Case("FakeQuantWithMinMaxVarsPerChannelGradient",
               [reals(2, 4, 3), reals(2, 4, 3), *ends])  # fmt: skip


def rounded() -> Iterator[Case]:
    ends = [scalar(-2.0), scalar(3.0)]
    columns = [np.array([-1, -2, -3], "f4"), np.array([2, 1, 0.5], "f4")]
    for op in ("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4"):
        for attrs in ({}, {"range_given": True}, {"signed_input": False, "range_given": True},
                      {"num_bits": 4, "narrow_range": True, "round_mode": "HALF_UP"}):  # fmt: skip
            yield Case(op, [reals(5, 3), *ends], attrs)
        yield Case(op, [reals(5, 3), *columns], {"axis": 1})
    yield Case("QuantizeAndDequantizeV3", [reals(5, 3), *ends, np.array(6, "i4")], traced=[0])
    yield Case("QuantizeAndDequantizeV4Grad", [reals(5, 3), reals(5, 3), *ends])
    yield Case("QuantizeAndDequantizeV4Grad", [reals(5, 3), reals(5, 3), *columns], {"axis": 1})


CASES = planned_once([*fakes(), *rounded()])


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_quantize(name: str, told: Any) -> None:
    check(*told[name])
