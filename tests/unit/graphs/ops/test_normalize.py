"""Batch normalization against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hozon.formats.protos.graph import TypeNumber
from tests.unit.graphs.ops.harness import (
    Case,
    answers,
    check,
    compare_values,
    ids,
    kernel,
    planned_once,
)

RNG = np.random.default_rng(7)
ROUGH = {"float16": 4e-3, "bfloat16": 4e-2}
KINDS = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32}


def without_reserve_3(outputs: list[Any]) -> list[Any]:
    """What else a forward op keeps for the backward one is between the two alone."""
    return outputs[:5]


def without_reserve(outputs: list[Any]) -> list[Any]:
    """Some of TensorFlow's kernels leave all reserved outputs zero."""
    return outputs[:3]


CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5, "canonical": without_reserve_3}

NARROW = {**CLOSE, "canonical": without_reserve}


def normal(*shape: int, dtype: str = "float32") -> Any:
    return RNG.normal(size=shape).astype(KINDS[dtype])


def positive(*shape: int) -> Any:
    return np.abs(normal(*shape)) + 0.5


def statistics(channels: int) -> list[Any]:
    """Scale, offset, mean, variance."""
    return [positive(channels), normal(channels), normal(channels), positive(channels)]


def forward() -> Iterator[Case]:
    for op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
        for training in (False, True):
            for epsilon in (1e-4, 0.1):
                for momentum in (1.0, 0.25):
                    attrs = {
                        "is_training": training,
                        "epsilon": epsilon,
                        "exponential_avg_factor": momentum,
                    }
                    given = statistics(4)
                    if training and momentum == 1:
                        given[2:] = [np.zeros(0, "f4")] * 2
                    yield Case(op, [normal(2, 3, 5, 4), *given], attrs, **CLOSE)
    for training in (False, True):
        attrs = {"is_training": training}
        given = statistics(3)
        if training:
            given[2:] = [np.zeros(0, "f4")] * 2
        v3 = "FusedBatchNormV3"
        yield Case(v3, [normal(2, 3, 4, 2, 3), *given], {**attrs, "data_format": "NDHWC"}, **NARROW)
        yield Case(v3, [normal(1, 1, 1, 3), *given], attrs, **NARROW)
        yield Case(v3, [normal(0, 2, 2, 3), *given], attrs, **NARROW)
        for dtype, error in ROUGH.items():
            yield Case(
                v3,
                [normal(2, 3, 5, 3, dtype=dtype), *given],
                attrs,
                rtol=error,
                atol=error,
                canonical=without_reserve,
            )
    for training in (False, True):
        given = statistics(3)
        if training:
            given[2:] = [np.zeros(0, "f4")] * 2
        yield Case(
            "FusedBatchNorm",
            [normal(2, 3, 3, 3), *given],
            {"is_training": training},
            gradient=True,
            note="differentiated",
            **CLOSE,
        )


def backward() -> Iterator[Case]:
    """The reserved values are statistics, but while training the moments of the batch."""
    for training in (False, True):
        for op in ("FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3"):
            yield gradient(op, normal(2, 3, 5, 4), training)
        yield gradient("FusedBatchNormGradV3", normal(2, 3, 2, 2, 4), training, "NDHWC")
        yield gradient("FusedBatchNormGradV3", normal(2, 3, 5, 4, dtype="float16"), training)


def gradient(op: str, x: Any, training: bool, layout: str = "NHWC") -> Case:
    axes = tuple(range(x.ndim - 1))
    wide = x.astype("f4")
    reserved = [wide.mean(axes), wide.var(axes)] if training else statistics(4)[2:]
    scale, g = positive(4), normal(*x.shape).astype(x.dtype)
    error = ROUGH.get(x.dtype.name, 1e-4)
    more = [np.zeros(0, "f4")] if op.endswith("V3") else []
    return Case(
        op,
        [g, x, scale, *reserved, *more],
        {"is_training": training, "epsilon": 0.01, "data_format": layout},
        rtol=error,
        atol=error,
        canonical=lambda outputs: outputs[:3],
    )


CASES = planned_once([*forward(), *backward()])


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_normalize(name: str, told: Any) -> None:
    check(*told[name])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("rank", [4, 5])
def test_channels_first_is_channels_last_turned(training: bool, rank: int) -> None:
    """TensorFlow's CPU normalizes over the last axis only; graphs made for GPUs over others."""
    last, first = ("NHWC", "NCHW") if rank == 4 else ("NDHWC", "NCDHW")
    x, given = normal(*(2, 3, 4, 5)[: rank - 1], 3), statistics(3)
    turned = np.moveaxis(x, -1, 1)
    want = batch_norm("FusedBatchNormV3", last, training)(x, *given)
    have = batch_norm("FusedBatchNormV3", first, training)(turned, *given)
    same(have[0], np.moveaxis(want[0], -1, 1))
    for a, b in zip(have[1:], want[1:], strict=True):
        same(a, b)
    reserved = want[3:5]
    g = normal(*x.shape)
    want = batch_norm("FusedBatchNormGradV3", last, training)(g, x, given[0], *reserved)
    have = batch_norm("FusedBatchNormGradV3", first, training)(
        np.moveaxis(g, -1, 1), turned, given[0], *reserved
    )
    same(have[0], np.moveaxis(want[0], -1, 1))
    for a, b in zip(have[1:], want[1:], strict=True):
        same(a, b)


@pytest.mark.parametrize("scaled", [False, True])
def test_global_normalization(scaled: bool) -> None:
    """Graphs from 2016 on may not hold it, so TensorFlow runs it no more."""
    x, (gamma, beta, mean, variance), g = normal(2, 3, 3, 4), statistics(4), normal(2, 3, 3, 4)
    attrs = {"variance_epsilon": 0.01, "scale_after_normalization": scaled, "T": TypeNumber(1)}
    factor = (gamma if scaled else 1) / np.sqrt(variance + 0.01)
    have = kernel("BatchNormWithGlobalNormalization", **attrs)(x, mean, variance, beta, gamma)
    same(have, ((x - mean) * factor + beta).astype("f4"))
    gradients = kernel("BatchNormWithGlobalNormalizationGrad", **attrs)(x, mean, variance, gamma, g)
    same(gradients[0], (g * factor).astype("f4"))
    same(gradients[1], -(g * factor).sum((0, 1, 2)).astype("f4"))
    rest = g * (x - mean)
    same(gradients[2], (rest * factor / (variance + 0.01) / -2).sum((0, 1, 2)).astype("f4"))
    same(gradients[3], g.sum((0, 1, 2)))
    of_gamma = rest / np.sqrt(variance + 0.01) if scaled else np.zeros_like(rest)
    same(gradients[4], of_gamma.sum((0, 1, 2)).astype("f4"))


def batch_norm(op: str, layout: str, training: bool) -> Any:
    return kernel(
        op, T=TypeNumber(1), U=TypeNumber(1), data_format=layout.encode(), is_training=training
    )


def same(have: Any, want: Any) -> None:
    have, want = np.asarray(have), np.asarray(want)
    assert have.dtype == want.dtype
    assert have.shape == want.shape
    compare_values(have, want, 1e-4, 1e-5, "channels first")
