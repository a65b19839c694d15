"""Arithmetic, comparison, bit, cast and special ops against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from hozon.errors import MismatchError
from hozon.graphs.interpreter import Context, inline
from hozon.graphs.library import Library
from tests.unit.graphs.ops.harness import Case, answers, check, ids, kernel

RNG = np.random.default_rng(1)
FLOATS = ("float32", "float64", "float16")
INTS = ("int32", "int64", "int8", "uint8", "int16")
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, -2.5, 1e-30, 3e30])
BINARY = ("AddV2", "Add", "Sub", "Mul", "Maximum", "Minimum", "SquaredDifference")
SHAPES = (((3, 4), (3, 4)), ((2, 1, 3), (4, 1)), ((), (3,)), ((0, 3), (1, 3)), ((), ()))


def normal(shape: Any, dtype: str = "float32", scale: float = 2.0) -> Any:
    """Random numbers."""
    if dtype.startswith("complex"):
        return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(dtype)
    if "int" in dtype:
        low = 0 if dtype.startswith("u") else -100
        return RNG.integers(low, 100, shape).astype(dtype)
    return (RNG.normal(size=shape) * scale).astype(dtype)


def half(dtype: str) -> dict[str, float]:
    """Tolerances for a dtype."""
    return {"rtol": 2e-3, "atol": 1e-3} if dtype == "float16" else {}


def binary() -> Iterator[Case]:
    for op in BINARY:
        for first, second in SHAPES:
            yield Case(op, [normal(first), normal(second)])
        for dtype in ("float64", "float16", "int32", "int64", "complex64"):
            if dtype == "complex64" and op in ("Maximum", "Minimum"):
                continue
            pair = [normal((3, 4), dtype), normal((4,), dtype)]
            yield Case(op, pair, known_shapes=False, **half(dtype))
        yield Case(op, [SPECIAL[:, None].astype("f4"), SPECIAL[None].astype("f4")])
        yield Case(op, [normal((3, 4)), normal((4,))], gradient=True)
    ties = np.array([1.0, 2, 3, 0], "f4")
    for op in ("Maximum", "Minimum"):
        yield Case(op, [ties, np.array([1.0, 3, 2, 1], "f4")], gradient=True)
    big = np.array([2**31 - 1, -(2**31)], "i4")
    yield Case("AddV2", [big, np.array([1, -1], "i4")])
    yield Case("Mul", [np.array([200, 3], "u1"), np.array([2, 100], "u1")])
    yield Case("AddV2", [normal((3,), "int8"), normal((3,), "int8")])
    yield Case("Add", [np.array([b"a", b"b"], object), np.array(b"c", object)])
    yield Case("Add", [np.array(b"a", object), np.array(b"c", object)])


def quotients() -> Iterator[Case]:
    x = np.array([7, -7, 7, -7, 0, 5], "i4")
    y = np.array([2, 2, -2, -2, 3, 5], "i4")
    for op in ("Div", "FloorDiv", "FloorMod", "TruncateDiv", "TruncateMod", "Mod"):
        for dtype in ("int32", "int64"):
            yield Case(op, [x.astype(dtype), y.astype(dtype)])
        yield Case(op, [normal((2, 3), "int32"), np.array(7, "i4")], known_shapes=False)
    yield Case("FloorDiv", [np.array([7, 250], "u1"), np.array([2, 3], "u1")])
    for op in ("Div", "RealDiv", "FloorDiv", "FloorMod", "DivNoNan", "MulNoNan", "Xdivy"):
        for dtype in ("float32", "float64"):
            yield Case(op, [normal((4, 3), dtype), normal((3,), dtype)], gradient=True)
        yield Case(op, [SPECIAL[:, None].astype("f4"), SPECIAL[None].astype("f4")])
    for op in ("Mod", "TruncateMod"):
        yield Case(op, [normal((4, 3)), normal((3,))])
    yield Case("FloorDiv", [np.array([1.0], "f4"), np.array([0.1], "f4")])
    yield Case("RealDiv", [normal((3,), "complex64"), normal((3,), "complex64")])
    for op in ("Xlogy", "Xlog1py", "Xdivy"):
        x = np.array([0, 0, 1, 2, 0], "f4")
        y = np.array([0, 1, 0, 3, -1], "f4")
        yield Case(op, [x, y])
        yield Case(op, [x, y + 2], gradient=True)
        yield Case(op, [normal((2, 3), "complex64"), normal((3,), "complex64")])
    zeros = np.array([0, 1, 2], "f4")
    yield Case("DivNoNan", [zeros, zeros], gradient=True)
    yield Case("MulNoNan", [np.array([np.nan, 1, np.inf], "f4"), zeros])
    yield Case("Pow", [np.abs(normal((3, 2))), normal((2,))], gradient=True, rtol=1e-4)
    yield Case("Pow", [np.array([-2, 0, 3, 2], "f4"), np.array([3, 0, -1, 2], "f4")])
    yield Case("Pow", [np.array([2, -3, 5, 7], "i4"), np.array([10, 3, 0, 1], "i4")])
    yield Case("Pow", [np.array([2, -3], "i8"), np.array([40, 3], "i8")])
    yield Case("Pow", [SPECIAL[:, None].astype("f4"), SPECIAL[None].astype("f4")])


UNARY = {
    "Neg": (-3, 3),
    "Abs": (-3, 3),
    "Sign": (-3, 3),
    "Exp": (-3, 3),
    "Expm1": (-3, 3),
    "Log": (0.1, 4),
    "Log1p": (-0.9, 4),
    "Sqrt": (0.1, 4),
    "Rsqrt": (0.1, 4),
    "Square": (-3, 3),
    "Reciprocal": (0.2, 3),
    "Inv": (0.2, 3),
    "Sin": (-3, 3),
    "Cos": (-3, 3),
    "Tan": (-1, 1),
    "Asin": (-0.9, 0.9),
    "Acos": (-0.9, 0.9),
    "Atan": (-3, 3),
    "Sinh": (-3, 3),
    "Cosh": (-3, 3),
    "Tanh": (-3, 3),
    "Asinh": (-3, 3),
    "Acosh": (1.1, 4),
    "Atanh": (-0.9, 0.9),
    "Ceil": (-3, 3),
    "Floor": (-3, 3),
    "Round": (-3, 3),
    "Rint": (-3, 3),
    "Erf": (-3, 3),
    "Erfc": (-3, 3),
    "Erfinv": (-0.9, 0.9),
    "Ndtri": (0.1, 0.9),
    "Lgamma": (0.2, 5),
    "Digamma": (0.2, 5),
    "BesselI0": (-3, 3),
    "BesselI0e": (-3, 3),
    "BesselI1": (-3, 3),
    "BesselI1e": (-3, 3),
    "BesselJ0": (0.5, 9),
    "BesselJ1": (0.5, 9),
    "BesselY0": (0.5, 9),
    "BesselY1": (0.5, 9),
    "BesselK0": (0.5, 9),
    "BesselK0e": (0.5, 9),
    "BesselK1": (0.5, 9),
    "BesselK1e": (0.5, 9),
    "Dawsn": (-3, 3),
    "Expint": (0.2, 3),
    "FresnelSin": (-3, 3),
    "FresnelCos": (-3, 3),
    "Spence": (0.2, 3),
}
NO_HALF = frozenset(
    {"Rint", "Erfinv", "Ndtri", "Dawsn", "Expint", "FresnelSin", "FresnelCos", "Spence"}
)
COMPLEX = (
    "Neg",
    "Exp",
    "Log",
    "Sqrt",
    "Square",
    "Reciprocal",
    "Sin",
    "Cos",
    "Tanh",
    "Sinh",
    "Cosh",
    "Rsqrt",
    "Sign",
    "Conj",
    "Expm1",
    "Log1p",
    "Tan",
    "Asinh",
    "Acosh",
    "Atanh",
    "Asin",
    "Acos",
    "Atan",
)


def unary() -> Iterator[Case]:
    for op, (low, high) in UNARY.items():
        for dtype in ("float32", "float64"):
            x = RNG.uniform(low, high, (3, 4)).astype(dtype)
            tight = {"rtol": 1e-4, "atol": 1e-5} if op not in BINARY else {}
            yield Case(op, [x], gradient=op != "Rint" and dtype == "float32", **tight)
        if op not in NO_HALF and not op.startswith("Bessel"):
            yield Case(op, [x.astype("f2")], **half("float16"))
        yield Case(op, [x[:0]], known_shapes=False, planned=False, traced=())
        if not op.startswith(("Bessel", "Fresnel", "Spence", "Dawsn", "Expint", "Ndtri")):
            yield Case(op, [SPECIAL.astype("f4")], rtol=1e-4)
    for op in COMPLEX:
        yield Case(op, [normal((3, 2), "complex64")], rtol=1e-4)
        yield Case(op, [normal((), "complex128")], planned=False)
    for op in ("Neg", "Abs", "Sign", "Square"):
        for dtype in ("int32", "int64"):
            yield Case(op, [np.array([-7, 0, 3], dtype)])
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], "f4")
    for op in ("Round", "Rint"):
        yield Case(op, [halves])
    yield Case("Erfinv", [np.array([-1, 1, 0, 2], "f4")])
    yield Case("Ndtri", [np.array([0, 1, 0.5], "f4")])


def special() -> Iterator[Case]:
    a, x = RNG.uniform(0.5, 4, (3, 1)).astype("f4"), RNG.uniform(0.5, 4, (4,)).astype("f4")
    loose = {"rtol": 1e-3, "atol": 1e-5}
    for op in ("Igamma", "Igammac"):
        yield Case(op, [a, x], gradient=op == "Igamma", **loose)
        yield Case(op, [a.astype("f8"), x.astype("f8")])
    yield Case("IgammaGradA", [a, x], **loose)
    part = RNG.uniform(0, 1, (3, 4)).astype("f4")
    yield Case("Betainc", [a + 0 * x, x + 0 * a, part], gradient=True, **loose)
    yield Case("Zeta", [a + 1, x], **loose)
    yield Case("Polygamma", [np.array([1, 2, 3], "f4"), RNG.uniform(1, 4, 3).astype("f4")], **loose)
    yield Case("Atan2", [normal((3, 4)), normal((4,))], gradient=True)
    yield Case("Atan2", [SPECIAL[:, None].astype("f4"), SPECIAL[None].astype("f4")])
    yield Case("NextAfter", [normal((4,)), normal((4,))], rtol=0, atol=0)
    yield Case("NextAfter", [normal((4,), "float64"), normal((4,), "float64")], rtol=0, atol=0)
    yield Case("Cross", [normal((2, 3)), normal((2, 3))], gradient=True)
    yield Case("Cross", [np.array([1, 2, 3], "i4"), np.array([4, 5, 6], "i4")])
    for count in (1, 2, 5):
        ends = [np.array(1.5, "f4"), np.array(-2, "f4")]
        yield Case("LinSpace", [*ends, np.array(count, "i4")], traced=[0, 1])
    yield Case("AddN", [[normal((2, 3)), normal((2, 3)), normal((2, 3))]], gradient=True)
    yield Case("AddN", [[normal((2,), "int64")]])
    arrays = [normal((2, 3)), normal((2, 3))]
    yield Case("AccumulateNV2", [arrays], {"shape": [2, 3]})
    low, high = np.array(-1, "f4"), np.array(1, "f4")
    yield Case("ClipByValue", [normal((3, 4)), low, high], gradient=True)
    yield Case("ClipByValue", [normal((3, 4), "int32"), np.array(-5, "i4"), np.array(5, "i4")])
    y, dy = RNG.uniform(0.2, 0.9, (3, 4)).astype("f4"), normal((3, 4))
    for op in ("SigmoidGrad", "TanhGrad", "SqrtGrad", "RsqrtGrad", "InvGrad", "ReciprocalGrad"):
        yield Case(op, [y, dy])
        yield Case(op, [y.astype("f2"), dy.astype("f2")], rtol=5e-3, atol=1e-2)
        yield Case(op, [y + 1j * dy, dy - 1j * y])


def comparisons() -> Iterator[Case]:
    small = np.array([[1, 2, 3], [3, 2, 1]])
    for op in ("Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual"):
        for dtype in (*INTS, *FLOATS):
            planned = dtype in ("float32", "int32", "uint8")
            yield Case(op, [small.astype(dtype), np.array([2, 2, 2], dtype)], planned=planned)
        yield Case(op, [SPECIAL[:, None].astype("f4"), SPECIAL[None].astype("f4")])
    words = np.array([[b"a", b"bc"], [b"", b"a"]], object)
    for op in ("Equal", "NotEqual"):
        yield Case(op, [words, np.array(b"a", object)])
        yield Case(op, [np.array(b"a", object), np.array(b"a", object)])
        yield Case(op, [words, np.array([b"a", b"a"], object)])
        yield Case(op, [small > 1, small > 2])
        yield Case(op, [normal((2,), "complex64")] * 2)
        strict = {"incompatible_shape_error": False}
        yield Case(op, [np.ones(2, "f4"), np.ones(3, "f4")], strict)
        yield Case(op, [np.ones(3, "f4"), np.ones(3, "f4")], strict)
    for op in ("LogicalAnd", "LogicalOr"):
        yield Case(op, [small > 1, np.array([True, False, True])])
    yield Case("LogicalNot", [small > 1])
    for op in ("IsNan", "IsInf", "IsFinite"):
        for dtype in ("float32", "float64"):
            yield Case(op, [SPECIAL.astype(dtype)])
        yield Case(op, [np.array([0, np.nan, np.inf, -np.inf], "f2")])
    yield Case("ApproximateEqual", [normal((9,)), normal((9,))], {"tolerance": 1.0})
    yield Case("ApproximateEqual", [normal((9,)), normal((9,))])
    x, y = normal((2, 3)), normal((2, 3))
    for condition in (np.array(True), np.array([True, False]), small > 1):
        yield Case("Select", [condition, x, y], gradient=True)
    yield Case(
        "Select", [np.array(True), np.array(b"a", object), np.array(b"b", object)], traced=()
    )
    yield Case("Select", [np.array([True, False]), words, words[::-1]], traced=())
    yield Case("SelectV2", [np.array([True, False, True]), x, np.array(3, "f4")], gradient=True)
    yield Case(
        "SelectV2", [np.array([[True], [False]]), normal((3,), "int32"), normal((), "int32")]
    )
    yield Case("SelectV2", [np.array([True, False]), words, np.array(b"zz", object)], traced=())
    yield Case("Assert", [np.array(True), [x, np.array(b"text", object)]], traced=[0])
    yield Case("Assert", [np.array(False), [np.array(b"text", object)]], fails=True)
    yield Case("Print", [x, [y, np.array(b"text", object)]], {"first_n": 2})
    yield Case("ToBool", [np.array(3, "i4")])
    yield Case("ToBool", [np.array(b"", object)])
    yield Case("ToBool", [np.zeros((0, 2), "f4")])


def bits() -> Iterator[Case]:
    for dtype in (*INTS, "uint16", "uint32", "uint64"):
        x, y = normal((6,), dtype), normal((6,), dtype)
        for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
            yield Case(op, [x, y])
        yield Case("Invert", [x])
        yield Case("PopulationCount", [x])
        count = np.array([0, 1, 2, 3, 4, 7], dtype)
        yield Case("LeftShift", [x, count])
        yield Case("RightShift", [x, count])
    x = np.array([-5, 5, 9], "i4")
    yield Case("RightShift", [x, np.array([40, 32, 31], "i4")])
    yield Case("LeftShift", [x, np.array([40, 32, 31], "i4")])
    # Conversions
    plain = np.array([0, 1.7, -1.7, 2.5, 100.2, -0.4])
    dtypes = (
        "float32",
        "float64",
        "float16",
        "int32",
        "int64",
        "int8",
        "uint8",
        "int16",
        "bool",
        "uint32",
        "uint64",
        "complex64",
    )
    for source in dtypes:
        values = np.abs(plain) if source.startswith("u") else plain
        for target in dtypes:
            fits = np.abs(values) if target.startswith("u") else values
            planned = source in ("float32", "int32", "bool") or target in ("uint8", "bool")
            array = fits.astype(source)
            yield Case("Cast", [array], {"DstT": target}, rtol=1e-3, planned=planned)
    wide = np.array([300.7, -1.5, -300, 70000.2, 3e9, -3e9, 1e19, 1e30, np.inf, -np.inf, np.nan])
    for target in ("int32", "int64", "int16", "uint16", "int8", "uint8"):
        for source in ("float32", "float64"):
            yield Case("Cast", [wide.astype(source)], {"DstT": target})
    yield Case("Cast", [np.array([300, -1, 2**40 + 5], "i8")], {"DstT": "int32"})
    yield Case("Cast", [np.array([300, -1], "i4")], {"DstT": "uint8"})
    thirds = (np.arange(1, 7) / 3).astype("f4")
    for target in ("bfloat16", "float16"):
        for truncate in (True, False):
            yield Case("Cast", [thirds], {"DstT": target, "Truncate": truncate})
    yield Case("Cast", [thirds.astype("f8")], {"DstT": "float32", "Truncate": True})
    yield Case("Cast", [thirds], {"DstT": "float64"}, gradient=True)
    words = RNG.integers(0, 255, (2, 4)).astype("u1")
    for target in ("int32", "uint8", "float32"):
        yield Case("Bitcast", [words], {"type": target})
    for target in ("uint8", "int32", "int16"):
        yield Case("Bitcast", [normal((2, 3))], {"type": target})
    yield Case("Bitcast", [normal((), "float64")], {"type": "int32"})
    yield Case("Bitcast", [normal((3, 2))], {"type": "complex64"})
    yield Case("Bitcast", [normal((3, 2), "complex64")], {"type": "float32"})
    yield Case("Bitcast", [normal((3, 2), "complex64")], {"type": "int64"})
    yield Case("Complex", [normal((3, 2)), normal((2,))])
    yield Case("Complex", [normal((2,), "float64"), normal((), "float64")], {"Tout": "complex128"})
    for op in ("Real", "Imag", "Angle", "ComplexAbs"):
        yield Case(op, [normal((2, 3), "complex64")])
        yield Case(op, [normal((2, 3), "complex128")], {"Tout": "float64"})
    yield Case("ComplexAbs", [np.zeros(2, "complex64")])


def bfloat16() -> Iterator[Case]:
    for op in ("Exp", "Log", "Sqrt", "Rsqrt", "Neg", "Abs", "Round", "Floor", "Sin", "Square"):
        x = RNG.uniform(0.2, 3, (3, 4)).astype(ml_dtypes.bfloat16)
        yield Case(op, [x], rtol=2e-2, atol=1e-2)
    for op in (*BINARY, "RealDiv", "DivNoNan", "Pow", "Less", "Equal", "FloorDiv"):
        yield Case(op, [x, x[:1] + x[1:2]], rtol=2e-2, atol=1e-2)
    for target in ("int32", "float32", "bool", "uint8", "float16"):
        yield Case("Cast", [x], {"DstT": target})
        yield Case("Cast", [np.arange(6).astype(target)], {"DstT": "bfloat16"})
    yield Case("SelectV2", [np.array(True), x, x])


def gradients_at_edges() -> Iterator[Case]:
    """Where a derivative jumps or is not finite."""
    zeros = np.array([0, 0, 1, -1], "f4")
    for op in ("Abs", "Sqrt", "Sign", "Square", "Floor", "Log1p", "Rsqrt"):
        yield Case(op, [np.abs(zeros)], gradient=True)
    yield Case("Pow", [np.array([0, 2, -2, 0], "f4"), np.array([2, 0, 2, 1], "f4")], gradient=True)
    yield Case("Pow", [zeros, np.array(3, "f4")], gradient=True)
    yield Case("Xlogy", [zeros, np.array([0, 1, 0.5, 2], "f4")])
    yield Case("SquaredDifference", [zeros, zeros], gradient=True)
    yield Case("Atan2", [np.array([0, 1, -1], "f4"), np.array([1, 0, -1], "f4")], gradient=True)


CASES = [
    *binary(),
    *quotients(),
    *unary(),
    *special(),
    *comparisons(),
    *bits(),
    *bfloat16(),
    *gradients_at_edges(),
]


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_math(name: str, told: Any) -> None:
    check(*told[name])


def test_assertions_in_branches_that_may_not_run() -> None:
    """A traced conditional computes both branches; only a run of the graph itself can fail."""
    run = kernel("Assert", T=(1,))
    outermost = Context(Library({}), inline, host=False)
    with pytest.raises(MismatchError, match="the reason"):
        run(outermost, np.array(False), np.array(b"the reason", object))
    assert run(outermost.child(), np.array(False)) == ()


def test_kernels_under_vmap() -> None:
    x, y = normal((5, 3)), normal((5, 3))
    for op in ("AddV2", "Maximum", "Select", "BesselK0", "FloorDiv", "DivNoNan"):
        run = kernel(op)
        values = (x > 0, x, y) if op == "Select" else (np.abs(x),) if "Bessel" in op else (x, y)
        found = jax.vmap(run)(*values)
        np.testing.assert_allclose(found, run(*map(jnp.asarray, values)), rtol=1e-5)
