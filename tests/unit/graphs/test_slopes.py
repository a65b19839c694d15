"""Derivatives at kinks, ties, poles and infinities: those of ``tf.gradients``, op by op."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hozon.graphs.ops import OPS
from tests.oracle.client import Oracle
from tests.unit.graphs.ops.harness import (
    Answer,
    Case,
    answers,
    compare_gradients,
    ids,
    prepared,
)

NAN, INF = np.nan, np.inf
#: Zeros of both signs, the kinks and bounds of activations, ordinary numbers, large ones.
POINTS = np.array([0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 6, 3, -3, 20, -20, 100, -100], np.float32)
ENDS = np.array([INF, -INF], np.float32)
#: All pairs of a few, so that every tie is there.
FEW = np.array([0.0, -0.0, 1, -1, 2, 0.5, 30], np.float32)
LEFT, RIGHT = (np.ascontiguousarray(x.reshape(-1)) for x in np.meshgrid(FEW, FEW))

ONE = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BesselI0e", "BesselI1e", "Ceil",
    "Cos", "Cosh", "Digamma", "Elu", "Erf", "Erfc", "Exp", "Expm1", "Floor", "Inv", "L2Loss",
    "LeakyRelu", "Lgamma", "Log", "Log1p", "LogSoftmax", "Neg", "Reciprocal", "Relu", "Relu6",
    "Rint", "Round", "Rsqrt", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus",
    "Softsign", "Sqrt", "Square", "Tan", "Tanh",
)  # fmt: skip
TWO = (
    "AddV2", "Atan2", "Div", "DivNoNan", "FloorDiv", "FloorMod", "Maximum", "Minimum", "Mul",
    "MulNoNan", "NextAfter", "Pow", "RealDiv", "SquaredDifference", "Sub", "Xdivy", "Xlog1py",
    "Xlogy",
)  # fmt: skip
TIED = np.array([[1, 2, 2, 0], [3, 3, 3, 3], [0, -0.0, 0, -1], [1, 0, 0, 5]], np.float32)
AXIS = np.array([1], np.int32)
REDUCING = ("Max", "Min", "Prod", "Sum", "Mean", "EuclideanNorm")
IMAGE = np.array([0, 1, 1, 0, 2, 2, 0, 2, 1, 1, 1, 1, 0, 0, 0, 0], np.float32).reshape(1, 4, 4, 1)
#: TensorFlow reads the lower triangle, and gives it all of the gradient.
HERMITIAN = np.array([[4, 9, 9], [1, 3, 9], [0.5, 0.2, 1]], np.float32)
TURNED = np.array([[1, 0.1, 0.3, 0, 0.9, 0.2, 0, 0.01]], np.float32)
SIDES = np.array([5, 3], np.int32)
WINDOW = {"ksize": [1, 2, 2, 1], "strides": [1, 1, 1, 1], "padding": "VALID"}
SEGMENTS = np.array([0, 0, 1, 1], np.int32)
QUANTIZED = np.array([-7, -6, -3.1, 0, 0.01, 2, 5.99, 6, 6.1], np.float32)


def case(op: str, *inputs: Any, note: str = "", **attrs: Any) -> Case:
    return Case(op, inputs, attrs, gradient=True, note=note)


CASES = [
    *(case(op, POINTS) for op in ONE),
    *(case(op, ENDS) for op in ("Elu", "Relu", "Relu6", "Selu", "Softplus", "Softsign", "Tanh")),
    *(case(op, LEFT, RIGHT) for op in TWO),
    *(case(op, FEW[:, None], FEW[None]) for op in ("Maximum", "Minimum", "Pow")),
    case("ClipByValue", POINTS, np.float32(-1), np.float32(6)),
    *(case(op, TIED, AXIS, keep_dims=False) for op in REDUCING),
    *(case(op, TIED, AXIS[0]) for op in ("Cumsum", "Cumprod", "CumulativeLogsumexp")),
    *(case(f"Segment{name}", TIED, SEGMENTS) for name in ("Max", "Min", "Mean", "Prod", "Sum")),
    *(
        case(f"UnsortedSegment{name}", TIED, SEGMENTS, np.int32(3))
        for name in ("Max", "Min", "Prod", "Sum")
    ),
    case("SelfAdjointEigV2", HERMITIAN, compute_v=False),
    *(
        case("ImageProjectiveTransformV3", IMAGE, TURNED, SIDES, np.float32(2), **how)
        for how in (
            {"interpolation": "BILINEAR", "fill_mode": "REFLECT"},
            {"interpolation": "NEAREST", "fill_mode": "CONSTANT"},
        )
    ),
    case("MaxPool", IMAGE, **WINDOW),
    case("MaxPoolV2", IMAGE, WINDOW["ksize"], WINDOW["strides"], padding="VALID"),
    case("MaxPoolWithArgmax", IMAGE, **WINDOW),
    case("MaxPool3D", IMAGE[..., None], ksize=[1, 2, 2, 1, 1], strides=[1] * 5, padding="VALID"),
    case("TopKV2", TIED, np.int32(2)),
    case("SelectV2", POINTS > 0, POINTS, POINTS * 2),
    case("FakeQuantWithMinMaxArgs", QUANTIZED, min=-6.0, max=6.0),
    case("FakeQuantWithMinMaxVars", QUANTIZED, np.float32(-6), np.float32(6)),
    case("FakeQuantWithMinMaxVarsPerChannel", TIED, -np.ones(4, np.float32), 2 * np.ones(4, "f4")),
    case("QuantizeAndDequantizeV4", QUANTIZED, np.float32(-6), np.float32(6), range_given=True),
]  # fmt: skip

#: What is not TensorFlow's yet, and why.
GAPS: dict[str, str] = {}


@pytest.fixture(scope="module")
def answered(oracle: Oracle) -> dict[str, tuple[Case, Answer]]:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_derivatives_are_tensorflows(answered: dict[str, tuple[Case, Answer]], name: str) -> None:
    case, answer = answered[name]
    assert not answer.error
    library, function = prepared(answer)
    if case.op not in GAPS:
        compare_gradients(case, answer, library, function)
        return
    with pytest.raises((AssertionError, NotImplementedError)):
        compare_gradients(case, answer, library, function)


def test_every_gap_is_an_op_that_is_checked() -> None:
    assert set(GAPS) <= {case.op for case in CASES} <= set(OPS)
