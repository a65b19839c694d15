"""Elementwise primitives in TensorFlow: for every dtype, and where XLA's meaning is its own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax import lax

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats, written

F32, I32 = "float32", "int32"
INTEGERS = ("int8", "int16", "int32", "uint8", "uint16", "uint32")
NARROW = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}

_UNIT = [lax.acos, lax.asin, lax.atanh, lax.erf_inv]
_ANY = [
    lax.abs,
    lax.asinh,
    lax.atan,
    lax.cbrt,
    lax.ceil,
    lax.cos,
    lax.erf,
    lax.erfc,
    lax.exp,
    lax.exp2,
    lax.expm1,
    lax.floor,
    lax.is_finite,
    lax.logistic,
    lax.neg,
    lax.sign,
    lax.sin,
    lax.sinh,
    lax.square,
    lax.tan,
    lax.tanh,
    lax.cosh,
    lambda x: lax.integer_pow(x, 5),
    lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN),
    lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO),
]
_POSITIVE = [
    lax.acosh,
    lax.log,
    lax.log1p,
    lax.rsqrt,
    lax.sqrt,
    lambda x: lax.integer_pow(x, -2),
    lambda x: lax.integer_pow(x, 0),
]
_TWO = [
    lax.add,
    lax.atan2,
    lax.div,
    lax.max,
    lax.min,
    lax.mul,
    lax.rem,
    lax.sub,
    lax.eq,
    lax.ne,
    lax.lt,
    lax.le,
    lax.gt,
    lax.ge,
    lambda x, y: lax.pow(lax.abs(x), y),
]
_COMPLEX = [
    lax.abs,
    lax.conj,
    lax.real,
    lax.imag,
    lax.neg,
    lax.exp,
    lax.log,
    lax.sin,
    lax.cos,
    lax.tanh,
    lax.sqrt,
    lax.sign,
    lax.square,
    lambda x: x / (x + 1),
    lambda x: lax.eq(x, x * 1),
]


def real(x: Any) -> Any:
    """All functions of one or two real numbers."""
    inside, above = x / 8, lax.abs(x) + 1
    other = x[::-1] + 0.25
    return (
        [function(inside) for function in _UNIT],
        [function(x) for function in _ANY],
        [function(above) for function in _POSITIVE],
        [function(x, other) for function in _TWO],
    )


def whole(x: Any, y: Any) -> Any:
    """All functions of integers."""
    two = [
        lax.add,
        lax.sub,
        lax.mul,
        lax.div,
        lax.rem,
        lax.max,
        lax.min,
        lax.bitwise_and,
        lax.bitwise_or,
        lax.bitwise_xor,
        lax.shift_left,
        lax.shift_right_arithmetic,
        lax.shift_right_logical,
        lax.lt,
        lax.ge,
        lax.eq,
    ]
    one = [jnp.abs, lax.sign, lax.bitwise_not, lax.population_count, lax.clz, lax.square, lax.neg]
    powers = [lax.integer_pow(x, 3)]
    return [function(x, y) for function in two], [function(x) for function in one], powers


def truths(x: Any, y: Any) -> Any:
    two = [
        lax.bitwise_and,
        lax.bitwise_or,
        lax.bitwise_xor,
        lax.eq,
        lax.ne,
        lax.max,
        lax.min,
        lax.lt,
        lax.ge,
    ]
    return [function(x, y) for function in two], ~x, x.astype(F32), x.astype(jnp.int8)


def extremes(dtype: str) -> list[Any]:
    """Integers that are hard to divide and to shift by."""
    limits = np.iinfo(dtype)
    minus = limits.min if limits.min else limits.max
    x = [limits.min, limits.min, limits.max, 7, minus, 0, 100, 5, 1, limits.max - 2, 3]
    y = [minus if limits.min == 0 else -1, 0, 0, 2, 3, 0, 7, 3, limits.bits, limits.bits - 1, 200]
    bits = f"uint{limits.bits}"
    return [np.array([v % 2**limits.bits for v in side], bits).view(dtype) for side in (x, y)]


_HARD = np.array(
    [np.nan, np.inf, -np.inf, 3e9, -3e9, 300, -300, 1e20, -1e20, 1.9, -1.9, -5, 2**31, -(2**31)],
    np.float32,
)
_ORDERED = np.array([-np.nan, -np.inf, -1, -0.0, 0.0, 1, np.inf, np.nan], np.float32)
CASES = [
    Case("real", real, [("b", F32)], [[floats(9) * 3], [floats(4)]], tolerance=1e-4),
    *(
        Case(name, real, [("b", name)], [[np.linspace(-3, 3, 8).astype(dtype)]], tolerance=2e-2)
        for name, dtype in NARROW.items()
    ),
    Case(
        "differentiable",
        lambda x, y: (
            [function(x) for function in (lax.exp, lax.tanh, lax.logistic, lax.erf, lax.sin)],
            [function(lax.abs(x) + 1) for function in (lax.log, lax.sqrt, lax.rsqrt, lax.exp2)],
            [lax.mul(x, y), lax.div(x, 3 + y * y), lax.max(x, y), lax.integer_pow(x, 3)],
            jnp.where(x > y, x, jax.nn.relu(y)),
            jnp.clip(x, -1, 1),
            lax.stop_gradient(x) * y,
        ),
        [("b, 1", F32), ("1, 4", F32)],
        [[floats(3, 1), floats(1, 4)], [floats(1, 1), floats(1, 4)]],
        gradient=True,
    ),
    *(Case(dtype, whole, [("b", dtype)] * 2, [extremes(dtype)]) for dtype in INTEGERS),
    Case(
        "truths",
        truths,
        [("b", "bool")] * 2,
        [[np.array([True, True, False, False]), np.array([True, False, True, False])]],
    ),
    Case(
        "complex",
        lambda x, y: [function(lax.complex(x, y)) for function in _COMPLEX],
        [("b", F32)] * 2,
        [[floats(5), floats(5)]],
        tolerance=1e-4,
    ),
    Case(
        "not a number",
        lambda x: (
            lax.max(x, 0.0),
            lax.min(x, 1.0),
            lax.max(1.0, x),
            lax.sign(x),
            lax.clamp(-1.0, x, 1.0),
            lax.is_finite(x),
        ),
        [("14", F32)],
        [[_HARD]],
    ),
    Case(
        "conversions to integers",
        lambda x: [x.astype(dtype) for dtype in (*INTEGERS, "bool")],
        [("b", F32)],
        [[_HARD]],
    ),
    *(
        Case(
            f"conversions to integers of {name}",
            lambda x: [x.astype(kind) for kind in ("int8", "int32", "uint16", "float32")],
            [("b", name)],
            [[np.clip(_HARD, -60000, 60000).astype(dtype)]],
        )
        for name, dtype in NARROW.items()
    ),
    Case(
        "conversions of integers",
        lambda x: [x.astype(kind) for kind in (*INTEGERS, F32, "float16", "bfloat16", "complex64")],
        [("b", I32)],
        [[np.array([0, 1, -1, 127, 128, 255, 256, -129, 40000, 70000], np.int32)]],
    ),
    Case(
        "bits",
        lambda x, y: (
            lax.bitcast_convert_type(x, jnp.int32),
            lax.bitcast_convert_type(x, jnp.uint8),
            lax.bitcast_convert_type(y, jnp.float32),
            lax.reduce_precision(x, 5, 10),
            lax.reduce_precision(x, 8, 7),
            lax.nextafter(x, x + 1),
        ),
        [("b, 3", F32), ("b, 4", "uint8")],
        [[floats(2, 3), np.arange(8, dtype=np.uint8).reshape(2, 4)]],
    ),
    Case(
        "cases",
        lambda i, p, x: (
            lax.select_n(i, x, x + 1, x * 2),
            lax.select_n(p, x, -x),
            lax.select_n(p[0], x, -x),
            lax.clamp(-jnp.abs(x), x * 2, 0.5 + x * x),
        ),
        [("b", I32), ("b", "bool"), ("b", F32)],
        [[np.array([0, 1, 2, 1], np.int32), np.array([True, False, True, False]), floats(4)]],
        constraints=["b >= 1"],
    ),
    Case(
        "in the order of the bits",
        lambda x, y: [
            order.bind(x[:, None], y[None]) for order in (lax.eq_to_p, lax.lt_to_p, lax.le_to_p)
        ],
        [("b", F32), ("b", F32)],
        [[_ORDERED, _ORDERED]],
    ),
    Case(
        "unchanged",
        lambda x: (
            lax.optimization_barrier((x, x + 1)),
            jnp.copy(x),
            jax.device_put(x),
            lax.composite(jnp.copy, name="own.copy")(x),
        ),
        [("b", F32)],
        [[floats(4)]],
    ),
]
#: The same where JAX computes in 64 bits.
DOUBLE = [
    *(Case(dtype, whole, [("b", dtype)] * 2, [extremes(dtype)]) for dtype in ("int64", "uint64")),
    Case("float64", real, [("b", "float64")], [[np.linspace(-3, 3, 8)]], tolerance=1e-9),
    Case(
        "conversions",
        lambda x: [x.astype(kind) for kind in ("int8", "int32", "int64", "uint32", "uint64")],
        [("b", "float64")],
        [[np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9, -5.0, 1.9e19, 2.0**63, 1.5])]],
    ),
]


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return ask(oracle, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_tensorflow_computes_what_jax_computes(case: Case, answers: dict[str, Any]) -> None:
    check(case, answers[case.name])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hozon_runs_it_alike(case: Case) -> None:
    check_own(case)


def test_doubles_and_long_integers(oracle: Oracle) -> None:
    with jax.enable_x64(True):
        answers = ask(oracle, DOUBLE)
        for case in DOUBLE:
            check(case, answers[case.name])
            check_own(case)


def test_an_op_takes_what_a_broadcast_repeats() -> None:
    """No BroadcastTo for a bias, nor for a number."""
    case = Case("bias", lambda x, y: jax.nn.relu(x + y) * 2, [("b, 4", F32), ("4", F32)], [])
    assert [node.op for node in written(case, "f")[0].nodes] == ["AddV2", "Relu", "Const", "Mul"]
