"""Matrix products, solvers, decompositions and diagonals against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hozon.formats.protos.tensor import TypeNumber
from hozon.graphs.ops import OPS
from tests.unit.graphs.ops.harness import Case, answers, check, ids, kernel, traced_once

RNG = np.random.default_rng(4)
LOOSE = {"rtol": 2e-3, "atol": 2e-4}


def normal(shape: Any, dtype: str = "float32") -> Any:
    """Random numbers."""
    if "int" in dtype:
        return RNG.integers(-9, 9, shape).astype(dtype)
    values = RNG.normal(size=shape)
    return (values + 1j * RNG.normal(size=shape) if "complex" in dtype else values).astype(dtype)


def regular(shape: Any, dtype: str = "float32") -> Any:
    """Square matrices far from singular."""
    return (normal(shape, dtype) + 4 * np.eye(shape[-1])).astype(dtype)


def positive(shape: Any, dtype: str = "float32") -> Any:
    """Positive definite matrices."""
    x = normal(shape, dtype)
    return (x @ np.conj(np.swapaxes(x, -1, -2)) + 2 * np.eye(shape[-1])).astype(dtype)


def products() -> Iterator[Case]:
    for flip_a in (False, True):
        for flip_b in (False, True):
            a = normal((4, 3) if flip_a else (3, 4))
            b = normal((2, 4) if flip_b else (4, 2))
            attrs = {"transpose_a": flip_a, "transpose_b": flip_b}
            yield Case("MatMul", [a, b], attrs, gradient=True)
            yield Case("SparseMatMul", [a, b], attrs)
            a, b = np.stack([a, a + 1]).astype("c8"), np.stack([b, 1j - b]).astype("c8")
            attrs = {"adj_x": flip_a, "adj_y": flip_b}
            for op in ("BatchMatMul", "BatchMatMulV2"):
                yield Case(op, [a, b], attrs)
            yield Case("BatchMatMulV3", [a.real, b.real], {**attrs, "Tout": "float32"})
    for dtype in ("float64", "int32", "int64", "complex64", "float16"):
        loose = {"rtol": 5e-3, "atol": 1e-2} if dtype == "float16" else {}
        yield Case("MatMul", [normal((3, 4), dtype), normal((4, 2), dtype)], **loose)
    yield Case("MatMul", [normal((0, 4)), normal((4, 2))])
    yield Case("MatMul", [normal((3, 0)), normal((0, 2))])
    yield Case("BatchMatMulV2", [normal((2, 1, 3, 4)), normal((5, 4, 2))], gradient=True)
    yield Case("BatchMatMulV2", [normal((3, 4)), normal((5, 4, 2))], known_shapes=False)
    bytes_ = [RNG.integers(-128, 127, (2, 2, 3)).astype("i1") for _ in range(2)]
    yield Case("BatchMatMulV3", [bytes_[0], np.swapaxes(bytes_[1], 1, 2)], {"Tout": "int32"})
    for equation, shapes in {
        "ij,jk->ik": ((2, 3), (3, 4)),
        "ij->ji": ((2, 3),),
        "ii->i": ((3, 3),),
        "ij->": ((2, 3),),
        "bij,bjk->bik": ((2, 3, 4), (2, 4, 5)),
        "...ij,...jk->...ik": ((2, 1, 3, 4), (5, 4, 2)),
        "abc,cde->abde": ((2, 3, 4), (4, 2, 3)),
        "i,j->ij": ((2,), (3,)),
        "ii->": ((3, 3),),
        "b...i,ij->b...j": ((2, 3, 4), (4, 5)),
        "ij,ij->i": ((2, 3), (2, 3)),
    }.items():
        arrays = [normal(shape) for shape in shapes]
        yield Case("Einsum", [arrays], {"equation": equation}, gradient=len(shapes) == 2)
    yield Case(
        "Einsum", [[normal((2, 3), "int32"), normal((3,), "int32")]], {"equation": "ij,j->i"}
    )


def solvers() -> Iterator[Case]:
    for flip in (False, True):
        attrs = {"adjoint": flip}
        for dtype in ("float32", "float64", "complex64"):
            yield Case("MatrixInverse", [regular((2, 3, 3), dtype)], attrs, **LOOSE)
            inputs = [regular((2, 3, 3), dtype), normal((2, 3, 2), dtype)]
            yield Case("MatrixSolve", inputs, attrs, **LOOSE)
            for lower in (False, True):
                for batch in ((2, 3, 2), (3, 2)):
                    inputs = [regular((2, 3, 3), dtype), normal(batch, dtype)]
                    triangle = {**attrs, "lower": lower}
                    yield Case("MatrixTriangularSolve", inputs, triangle, **LOOSE)
        for lower in (False, True):
            bands = normal((2, 2, 4)) + 4
            inputs = [bands, normal((2, 4, 3))]
            yield Case("BandedTriangularSolve", inputs, {"lower": lower, **attrs}, **LOOSE)
    yield Case("MatrixInverse", [regular((3, 3), "float64")], gradient=True)
    yield Case("MatrixInverse", [np.zeros((0, 3, 3), "f4")])
    yield Case(
        "MatrixSolve", [regular((3, 3), "float64"), normal((3, 2), "float64")], gradient=True
    )
    for shape in ((5, 3), (3, 5), (2, 4, 3)):
        for fast in (True, False):
            a, b = normal(shape, "float64"), normal((*shape[:-1], 2), "float64")
            regularizer = np.array(0.1 if fast else 0.0)
            yield Case("MatrixSolveLs", [a, b, regularizer], {"fast": fast}, **LOOSE)
    diagonals = normal((2, 3, 4)) + np.array([[0], [4], [0]], "f4")
    for pivoting in (True, False):
        inputs = [diagonals, normal((2, 4, 3))]
        yield Case("TridiagonalSolve", inputs, {"partial_pivoting": pivoting}, **LOOSE)
    rows = [normal((2, 1, 4)) for _ in range(3)]
    yield Case("TridiagonalMatMul", [*rows, normal((2, 4, 3))], gradient=True)


def same_columns(outputs: list[Any]) -> list[Any]:
    """The absolute values: vectors are free up to a factor of size one."""
    return [np.abs(x) for x in outputs if x.ndim]


def same_product(outputs: list[Any]) -> list[Any]:
    """The matrix that an LU decomposition stands for: pivots are chosen freely."""
    factors, permutation = outputs
    lower = np.tril(factors, -1) + np.eye(factors.shape[-1], dtype=factors.dtype)
    rows = lower @ np.triu(factors)
    inverse = np.argsort(permutation, axis=-1)
    return [np.take_along_axis(rows, inverse[..., np.newaxis], axis=-2)]


def same_spectrum(outputs: list[Any]) -> list[Any]:
    """Eigenvalues in order; vectors by size, in the same order."""
    values, vectors = outputs
    order = np.lexsort((values.imag.round(3), values.real.round(3)))
    if not vectors.ndim:
        return [values[order]]
    return [values[order], np.abs(vectors)[:, order]]


def decompositions() -> Iterator[Case]:
    for dtype in ("float32", "float64", "complex64"):
        x = positive((2, 3, 3), dtype)
        yield Case("Cholesky", [np.tril(x)], **LOOSE)
        for full in (False, True):
            for shape in ((4, 3), (2, 3, 4)):
                attrs = {"full_matrices": full}
                yield Case("Qr", [normal(shape, dtype)], attrs, canonical=same_columns, **LOOSE)
        for attrs in ({}, {"full_matrices": True}, {"compute_uv": False}):
            shape = (2, 3, 3) if attrs else (4, 3)
            yield Case("Svd", [normal(shape, dtype)], attrs, canonical=same_columns, **LOOSE)
        for vectors in (True, False):
            attrs = {"compute_v": vectors}
            yield Case("SelfAdjointEigV2", [x], attrs, canonical=same_columns, **LOOSE)
        output = {"float32": "complex64", "float64": "complex128"}.get(dtype, dtype)
        for vectors in (True, False):
            attrs = {"compute_v": vectors, "Tout": output}
            yield Case("Eig", [normal((3, 3), dtype)], attrs, canonical=same_spectrum, **LOOSE)
        yield Case("Lu", [normal((2, 4, 4), dtype)], canonical=same_product, **LOOSE)
        yield Case("MatrixDeterminant", [normal((2, 3, 3), dtype)], **LOOSE)
        yield Case("LogMatrixDeterminant", [normal((2, 3, 3), dtype)], **LOOSE)
    yield Case("Lu", [normal((4, 4))], {"output_idx_type": "int64"}, **LOOSE)
    yield Case("Cholesky", [positive((3, 3), "float64")], gradient=True)
    yield Case(
        "CholeskyGrad", [np.tril(regular((2, 3, 3), "float64")), normal((2, 3, 3), "float64")]
    )
    yield Case("MatrixDeterminant", [regular((3, 3), "float64")], gradient=True)
    yield Case("MatrixDeterminant", [np.zeros((2, 0, 0), "f4")])
    yield Case("MatrixLogarithm", [positive((2, 3, 3), "complex64")], traced=(), **LOOSE)
    yield Case("MatrixSquareRoot", [positive((2, 3, 3), "complex64")], **LOOSE)
    yield Case("MatrixSquareRoot", [positive((3, 3))], gradient=True, **LOOSE)


ALIGNMENTS = ("LEFT_LEFT", "LEFT_RIGHT", "RIGHT_LEFT", "RIGHT_RIGHT")
RANGES = ((0, 0), (1, 1), (-1, -1), (-1, 1), (0, 2), (-2, 0), (-2, -1), (1, 2))


def band_width(low: int, high: int, rows: int, columns: int) -> int:
    """The length of the longest diagonal."""
    return min(rows + min(high, 0), columns - max(low, 0))


def diagonals() -> Iterator[Case]:
    for op, inputs in {
        "MatrixDiag": [normal((2, 3))],
        "MatrixDiagPart": [normal((2, 3, 4))],
        "MatrixSetDiag": [normal((2, 3, 4)), normal((2, 3))],
        "Diag": [normal((2, 3))],
        "DiagPart": [normal((2, 3, 2, 3))],
    }.items():
        yield Case(op, inputs, gradient=True)
        yield Case(op, [x.astype("i4") for x in inputs])
    yield Case("MatrixDiag", [normal((0, 3))])
    yield Case("MatrixDiag", [np.array([True, False])])
    for low, high in RANGES:
        for align in ALIGNMENTS:
            for rows, columns in ((3, 4), (4, 3)):
                k = np.array([low, high] if low != high else low, "i4")
                width = band_width(low, high, rows, columns)
                count = () if low == high else (high - low + 1,)
                packed, full = normal((2, *count, width)), normal((2, rows, columns))
                fill = np.array(9, "f4")
                attrs = {"align": align}
                planned = (align, rows) == ("RIGHT_LEFT", 3)
                size = [np.array(rows, "i4"), np.array(columns, "i4")]
                yield Case(
                    "MatrixDiagV3", [packed, k, *size, fill], attrs, traced=(), planned=planned
                )
                yield Case("MatrixDiagPartV3", [full, k, fill], attrs, traced=(), planned=planned)
                yield Case("MatrixSetDiagV3", [full, packed, k], attrs, traced=(), planned=planned)
        free = [np.array(-1, "i4"), np.array(-1, "i4")]
        yield Case("MatrixDiagV2", [packed, k, *free, fill], traced=[0])
        yield Case("MatrixDiagPartV2", [full, k, fill], traced=[0])
        yield Case("MatrixSetDiagV2", [full, packed, k], traced=[0])
        yield Case("MatrixDiagV3", [packed, k, *free, fill], traced=[0])
    for lower in (-1, 0, 1):
        for upper in (-1, 0, 2):
            band = [np.array(lower, "i8"), np.array(upper, "i8")]
            yield Case("MatrixBandPart", [normal((2, 3, 4)), *band])
    yield Case("MatrixBandPart", [normal((3, 4), "int32"), *band])


CASES = traced_once([*products(), *solvers(), *decompositions(), *diagonals()])


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_linalg(name: str, told: Any) -> None:
    check(*told[name])


def test_ops_of_old_graphs() -> None:
    """TensorFlow itself has no kernel for these any more."""
    x = positive((3, 3), "float64")
    values, vectors = np.linalg.eigh(x)
    together = np.asarray(kernel("SelfAdjointEig")(x))
    np.testing.assert_allclose(together[0], values, rtol=1e-5)
    np.testing.assert_allclose(np.abs(together[1:]), np.abs(vectors), rtol=1e-4)
    exponential = vectors @ np.diag(np.exp(values)) @ vectors.T
    np.testing.assert_allclose(kernel("MatrixExponential")(x), exponential, rtol=1e-4)


EIGENVALUES = """
def loss(x, vectors):
    values, columns = tf.linalg.eig(x) if vectors else (tf.linalg.eigvals(x), None)
    total = tf.reduce_sum(tf.math.real(values * tf.math.conj(values)) * tf.math.real(values))
    return total + (tf.reduce_sum(tf.abs(columns) ** 3) if vectors else 0.)
for vectors in (True, False):
    with tf.GradientTape() as tape:
        tape.watch(x := tf.constant(data))
        y = loss(x, vectors)
    out[vectors] = tape.gradient(y, x)
"""


def test_gradients_of_eigenvalues_and_vectors(oracle: Any) -> None:
    data = normal((2, 4, 4), "float64")
    for vectors, told in oracle.python(EIGENVALUES, data=data).items():
        decompose = kernel("Eig", compute_v=vectors, Tout=TypeNumber(18))

        def loss(x: Any, decompose: Any = decompose, vectors: bool = vectors) -> Any:
            values, columns = decompose(x)
            total = jnp.sum(jnp.abs(values) ** 2 * values.real)
            return total + (jnp.sum(jnp.abs(columns) ** 3) if vectors else 0)

        with jax.enable_x64(True):
            for slope in (jax.grad(loss), jax.grad(jax.jit(loss))):
                np.testing.assert_allclose(slope(data), told, rtol=1e-6)


@pytest.mark.parametrize("op", sorted(op for op in OPS if f"Batch{op}" in OPS and op != "MatMul"))
def test_batch_ops_of_tensorflow_1(op: str) -> None:
    """``BatchX`` is what ``X`` was called for stacks of matrices."""
    assert OPS[f"Batch{op}"].handler is OPS[op].handler or "FFT" in op
