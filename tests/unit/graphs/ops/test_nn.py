"""Activations, softmaxes, losses and biases against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hozon.errors import HozonError
from tests.unit.graphs.ops.harness import Case, answers, check, ids, kernel, planned_once

RNG = np.random.default_rng(5)
TOLERANCES = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-5, "float64": 1e-12}
DTYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}


def close(dtype: str) -> dict[str, float]:
    return {"rtol": TOLERANCES[dtype], "atol": TOLERANCES[dtype]}


def normal(*shape: int, dtype: str = "float32") -> Any:
    return RNG.normal(size=shape).astype(DTYPES[dtype])


def edges(dtype: str) -> Any:
    """Zero of both signs, small and large numbers, what overflows, and no numbers."""
    listed = [
        0.0,
        -0.0,
        0.5,
        -0.5,
        3.0,
        -3.0,
        6.0,
        7.5,
        -20.0,
        20.0,
        -150.0,
        150.0,
        1000.0,
        -1000.0,
        1e-7,
        -1e-7,
        np.inf,
        -np.inf,
        np.nan,
    ]
    return np.array(listed).astype(DTYPES[dtype])


#: op: whether integers are among its types
ACTIVATIONS = {
    "Relu": True,
    "Relu6": True,
    "Sigmoid": False,
    "Tanh": False,
    "Elu": False,
    "Selu": False,
    "Softplus": False,
    "Softsign": False,
    "LeakyRelu": False,
}
SMOOTH = (*ACTIVATIONS, "Softmax", "LogSoftmax")
#: op: whether the second operand is the result (not the input) of the activation
ACTIVATION_GRADIENTS = {
    "ReluGrad": False,
    "Relu6Grad": False,
    "EluGrad": True,
    "SeluGrad": True,
    "SoftplusGrad": False,
    "SoftsignGrad": False,
    "LeakyReluGrad": False,
}


def activations() -> Iterator[Case]:
    for op, integers in ACTIVATIONS.items():
        yield Case(op, [normal(2, 3)], gradient=True)
        for dtype in DTYPES:
            yield Case(op, [edges(dtype)], **close(dtype))
        yield Case(op, [normal(0, 3)])
        yield Case(op, [np.float32(-2)])
        for dtype in ("int8", "uint8", "int32", "int64") if integers else ():
            yield Case(op, [np.arange(-9, 10).astype(dtype)])
    for alpha in (0.0, 0.5, 1.0, 1.5, -0.5):
        yield Case("LeakyRelu", [edges("float32")], {"alpha": alpha})
        yield Case("LeakyReluGrad", [normal(9), normal(9)], {"alpha": alpha})


def activation_gradients() -> Iterator[Case]:
    for op, of_result in ACTIVATION_GRADIENTS.items():
        for dtype in DTYPES:
            x = np.abs(edges(dtype)) - 1 if of_result else edges(dtype)
            yield Case(op, [normal(x.size, dtype=dtype), x], **close(dtype))
        yield Case(op, [normal(0, 3), normal(0, 3)])
        yield Case(op, [normal(2, 3), normal(2, 3)])


def softmaxes() -> Iterator[Case]:
    for op in ("Softmax", "LogSoftmax"):
        yield Case(op, [normal(2, 3, 4)], gradient=True)
        for dtype in DTYPES:
            yield Case(op, [normal(3, 5, dtype=dtype)], **close(dtype))
            yield Case(
                op, [np.array([[-900, 0, 800], [9, 9, 9]]).astype(DTYPES[dtype])], **close(dtype)
            )
        infinite = np.array([[0, -np.inf], [-np.inf, 0], [-np.inf, -np.inf]], "f4")
        yield Case(op, [infinite])
        for shape in ((5,), (0, 3), (3, 0), (3, 1)):
            yield Case(op, [normal(*shape)])


def losses() -> Iterator[Case]:
    op = "SoftmaxCrossEntropyWithLogits"
    yield Case(op, [normal(3, 4), normal(3, 4)], gradient=True)
    for dtype in DTYPES:
        yield Case(
            op, [normal(3, 4, dtype=dtype) * 5, np.abs(normal(3, 4, dtype=dtype))], **close(dtype)
        )
    for first, second in (
        ((1, 4), (3, 4)),
        ((3, 4), (1, 4)),
        ((3, 1), (3, 4)),
        ((0, 4), (0, 4)),
        ((3, 0), (3, 0)),
    ):
        yield Case(op, [normal(*first), normal(*second)])
    op = "SparseSoftmaxCrossEntropyWithLogits"
    for dtype in DTYPES:
        for index in ("int32", "int64"):
            yield Case(
                op,
                [normal(3, 4, dtype=dtype) * 5, np.array([0, 3, 1], index)],
                gradient=dtype == "float64",
                **close(dtype),
            )
    yield Case(op, [normal(0, 4), np.zeros(0, "i4")])
    for dtype in DTYPES:
        yield Case(
            "L2Loss", [normal(3, 5, dtype=dtype)], gradient=dtype == "float32", **close(dtype)
        )
    yield Case("L2Loss", [normal(0)])
    yield Case("L2Loss", [np.float32(3)])


def biases() -> Iterator[Case]:
    for dtype in (*DTYPES, "int32"):
        for rank in (2, 3, 4, 5):
            for layout in ("NHWC", "NCHW")[: rank - 1]:
                shape = (2, 3, 4, 5, 3)[:rank]
                channels = shape[1] if layout == "NCHW" and rank > 2 else shape[-1]
                kind: Any = DTYPES.get(dtype, dtype)
                x, b = ((RNG.normal(size=s) * 9).astype(kind) for s in (shape, (channels,)))
                wide = {} if dtype == "int32" else close(dtype)
                gradient = dtype == "float64"
                yield Case("BiasAdd", [x, b], {"data_format": layout}, gradient=gradient, **wide)
                rough = {"atol": 0.2, "rtol": 0.06} if "16" in dtype else wide
                yield Case("BiasAddGrad", [x], {"data_format": layout}, **rough)
    yield Case("BiasAdd", [normal(0, 3), normal(3)])
    yield Case("BiasAdd", [normal(2, 3), normal(4)], fails=True, known_shapes=False)
    yield Case("BiasAdd", [normal(3), normal(3)], fails=True, known_shapes=False)
    yield Case("BiasAddGrad", [normal(0, 3)])
    yield Case("BiasAddV1", [normal(2, 4, 3), normal(3)])


def responses() -> Iterator[Case]:
    for attrs in (
        {},
        {"depth_radius": 1, "bias": 2.0, "alpha": 0.5, "beta": 0.75},
        {"depth_radius": 3, "alpha": 0.1, "beta": -1.5},
        {"depth_radius": 0, "beta": 1.0},
    ):
        yield Case("LRN", [normal(2, 3, 2, 5)], attrs, gradient=attrs.get("depth_radius") == 1)
        g, x = normal(2, 3, 2, 5), normal(2, 3, 2, 5)
        yield Case("LRNGrad", [g, x, normalized(x, **attrs)], attrs, rtol=1e-4, atol=1e-5)
    yield Case("LRN", [normal(1, 2, 2, 4, dtype="float16")], {"alpha": 0.3}, **close("float16"))
    yield Case("LRN", [normal(0, 3, 2, 5)])


def normalized(
    x: Any, depth_radius: int = 5, bias: float = 1, alpha: float = 1, beta: float = 0.5
) -> Any:
    near = [
        np.square(x[..., max(0, d - depth_radius) : d + depth_radius + 1]).sum(-1)
        for d in range(x.shape[-1])
    ]
    return (x / (bias + alpha * np.stack(near, -1)) ** beta).astype(x.dtype)


def sequences() -> Iterator[Case]:
    inputs = normal(6, 3, 5)
    lengths = np.array([6, 0, 4], "i4")
    repeated = np.eye(4, dtype="f4")[[[0], [0], [3], [0], [1], [1], [3]]]
    for attrs in ({}, {"merge_repeated": True}, {"blank_index": 0}, {"blank_index": -2}):
        yield Case("CTCGreedyDecoder", [inputs, lengths], attrs, traced=())
        yield Case("CTCGreedyDecoder", [repeated, np.array([7], "i4")], attrs, traced=())
    yield Case("CTCGreedyDecoder", [inputs.astype("f8"), lengths], traced=())
    for width, paths, merge in ((4, 2, False), (1, 1, False), (8, 3, True), (30, 5, False)):
        attrs = {"beam_width": width, "top_paths": paths, "merge_repeated": merge}
        for x in (inputs * 2, inputs * 0.3, inputs.astype("f8")):
            full = np.array([6, 3, 4], "i4")
            yield Case("CTCBeamSearchDecoder", [x, full], attrs, traced=(), rtol=1e-4)
        distinct = repeated * 3 + normal(7, 1, 4) * 0.1  # what is level comes in any order
        yield Case("CTCBeamSearchDecoder", [distinct, np.array([7], "i4")], attrs, traced=())
    attrs = {"beam_width": 3, "top_paths": 1}
    yield Case("CTCBeamSearchDecoder", [inputs, lengths], attrs, traced=())
    yield Case("CTCBeamSearchDecoder", [inputs, lengths], attrs | {"top_paths": 2}, fails=True)
    yield Case("CTCGreedyDecoder", [inputs, np.array([7, 0, 4], "i4")], fails=True)


CASES = planned_once(
    [
        *activations(),
        *activation_gradients(),
        *softmaxes(),
        *losses(),
        *biases(),
        *responses(),
        *sequences(),
    ]
)


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_nn(name: str, told: Any) -> None:
    check(*told[name])


def test_a_class_out_of_range_has_no_loss() -> None:
    """As on TensorFlow's GPUs; its CPU kernel refuses."""
    loss, gradient = kernel("SparseSoftmaxCrossEntropyWithLogits")(normal(2, 3), np.array([3, 1]))
    assert np.isnan(loss).tolist() == [True, False]
    assert np.isnan(gradient).all(1).tolist() == [True, False]


def test_a_masked_class_adds_no_loss() -> None:
    """As on TensorFlow's XLA devices; its CPU kernel gives NaN."""
    loss, _ = kernel("SoftmaxCrossEntropyWithLogits")(
        np.array([[0, -np.inf]], "f4"), np.array([[1, 0]], "f4")
    )
    assert loss.tolist() == [0]


def test_operands_that_do_not_fit_are_refused() -> None:
    with pytest.raises((HozonError, ValueError)):
        kernel("SoftmaxCrossEntropyWithLogits")(normal(2, 3), normal(2, 4))
