"""Matrix products, solvers and decompositions, over any leading batch axes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from hozon.graphs.ops.reduce import NARROW
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_static, is_traced, ns

LINALG = OpTable("linalg")


def transposed(x: Value) -> Value:
    """`x` with its last two axes exchanged."""
    return ns(x).swapaxes(x, -1, -2)


def adjoint(x: Value) -> Value:
    """The conjugate transpose of the last two axes."""
    return transposed(ns(x).conj(x))


# Products


def product(x: Value, y: Value, dtype: Any) -> Value:
    """The matrix product in `dtype`; narrow floats are summed in a wider one."""
    if is_static(x) and is_static(y) and np.dtype(dtype).name not in NARROW:
        return np.matmul(x.astype(dtype), y.astype(dtype))
    return jnp.matmul(x, y, preferred_element_type=dtype)


@LINALG.op("MatMul")
def mat_mul(node: NodeView) -> Kernel:
    flip_x, flip_y = bool(node.attr("transpose_a")), bool(node.attr("transpose_b"))
    node.attr("grad_a")
    node.attr("grad_b")
    dtype = node.dtype().numpy
    return lambda x, y: product(
        transposed(x) if flip_x else x, transposed(y) if flip_y else y, dtype
    )


def _batch_mat_mul(node: NodeView, output: str) -> Kernel:
    flip_x, flip_y = bool(node.attr("adj_x")), bool(node.attr("adj_y"))
    dtype = node.dtype(output).numpy
    return lambda x, y: product(adjoint(x) if flip_x else x, adjoint(y) if flip_y else y, dtype)


@LINALG.op("BatchMatMul", "BatchMatMulV2")
def batch_mat_mul(node: NodeView) -> Kernel:
    return _batch_mat_mul(node, "T")


@LINALG.op("BatchMatMulV3")
def batch_mat_mul_v3(node: NodeView) -> Kernel:
    return _batch_mat_mul(node, "Tout")


@LINALG.op("SparseMatMul")
def sparse_mat_mul(node: NodeView) -> Kernel:
    """A product of dense matrices that may hold many zeros; the result is float32."""
    flip_x, flip_y = bool(node.attr("transpose_a")), bool(node.attr("transpose_b"))
    node.attr("a_is_sparse")
    node.attr("b_is_sparse")

    def multiply(x: Value, y: Value) -> Value:
        x, y = x.astype(np.float32), y.astype(np.float32)
        return product(transposed(x) if flip_x else x, transposed(y) if flip_y else y, np.float32)

    return multiply


@LINALG.op("Einsum")
def einsum(node: NodeView) -> Kernel:
    node.attr("N")
    equation = node.text("equation").replace(" ", "")

    def multiply(*operands: Value) -> Value:
        narrow = operands[0].dtype.name in NARROW
        if narrow or not all(map(is_static, operands)):
            return jnp.einsum(equation, *operands, preferred_element_type=operands[0].dtype)
        return np.asarray(np.einsum(equation, *operands), operands[0].dtype)

    return multiply


# Solvers


def _batched(x: Value, y: Value) -> tuple[Value, Value]:
    """Two stacks of matrices with the same leading axes."""
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x, y = jnp.asarray(x), jnp.asarray(y)
    return (
        jnp.broadcast_to(x, batch + x.shape[-2:]),
        jnp.broadcast_to(y, batch + y.shape[-2:]),
    )


@LINALG.op("MatrixInverse", "BatchMatrixInverse")
def matrix_inverse(node: NodeView) -> Kernel:
    flip = bool(node.attr("adjoint"))
    return lambda x: jnp.linalg.inv(adjoint(x) if flip else x)


@LINALG.op("MatrixSolve", "BatchMatrixSolve")
def matrix_solve(node: NodeView) -> Kernel:
    flip = bool(node.attr("adjoint"))
    return lambda a, b: jnp.linalg.solve(*_batched(adjoint(a) if flip else a, b))


@LINALG.op("MatrixTriangularSolve", "BatchMatrixTriangularSolve")
def matrix_triangular_solve(node: NodeView) -> Kernel:
    lower, flip = bool(node.attr("lower")), bool(node.attr("adjoint"))
    return lambda a, b: solve_triangular(a, b, lower, flip)


def solve_triangular(a: Value, b: Value, lower: bool, flip: bool) -> Value:
    """The solution of ``a x = b``, or of ``adjoint(a) x = b``, with one triangle of `a`."""
    a, b = _batched(a, b)
    return jax.lax.linalg.triangular_solve(
        a, b, left_side=True, lower=lower, transpose_a=flip, conjugate_a=flip
    )


@LINALG.op("BandedTriangularSolve")
def banded_triangular_solve(node: NodeView) -> Kernel:
    """A triangular matrix given by its bands, the diagonal first (lower) or last (upper)."""
    lower, flip = bool(node.attr("lower")), bool(node.attr("adjoint"))

    def solve(bands: Value, b: Value) -> Value:
        count, size = bands.shape[-2:]
        row, column = np.indices((size, size))
        band = row - column if lower else column - row
        inside = (band >= 0) & (band < count)
        source = np.where(inside, band if lower else count - 1 - band, 0)
        a = jnp.where(inside, jnp.asarray(bands)[..., source, row], 0)
        return solve_triangular(a, b, lower, flip)

    return solve


@LINALG.op("MatrixSolveLs", "BatchMatrixSolveLs")
def matrix_solve_ls(node: NodeView) -> Kernel:
    """Least squares: by regularized normal equations when fast, else of the least norm."""
    fast = bool(node.attr("fast"))

    def solve(a: Value, b: Value, regularizer: Value) -> Value:
        a, b = _batched(a, b)
        if not fast:
            return jnp.matmul(jnp.linalg.pinv(a), b)
        rows, columns = a.shape[-2:]
        weight = jnp.asarray(regularizer).astype(a.dtype)
        if rows >= columns:
            gram = adjoint(a) @ a + weight * jnp.eye(columns, dtype=a.dtype)
            return _solve_positive(gram, adjoint(a) @ b)
        gram = a @ adjoint(a) + weight * jnp.eye(rows, dtype=a.dtype)
        return adjoint(a) @ _solve_positive(gram, b)

    return solve


def _solve_positive(a: Value, b: Value) -> Value:
    """The solution of ``a x = b`` for a positive definite `a`."""
    factor = jax.lax.linalg.cholesky(a, symmetrize_input=False)
    return solve_triangular(factor, solve_triangular(factor, b, True, False), True, True)


def _bands_to_dense(upper: Value, main: Value, lower: Value) -> Value:
    """Tridiagonal matrices; the last of `upper` and the first of `lower` are not used."""
    size = main.shape[-1]
    row, column = np.indices((size, size))
    xp = ns(upper, main, lower)
    zero = xp.zeros_like(main[..., :, np.newaxis])
    dense = xp.where(column == row, main[..., :, np.newaxis], zero)
    dense = xp.where(column == row + 1, upper[..., :, np.newaxis], dense)
    return xp.where(column == row - 1, lower[..., :, np.newaxis], dense)


@LINALG.op("TridiagonalSolve")
def tridiagonal_solve(node: NodeView) -> Kernel:
    """With the superdiagonal, the diagonal and the subdiagonal as rows 0, 1, 2.

    Both attributes steer only how singular matrices are met: solving here always pivots.
    """
    node.attr("partial_pivoting")
    node.attr("perturb_singular")

    def solve(diagonals: Value, b: Value) -> Value:
        upper, main, lower = (diagonals[..., i, :] for i in range(3))
        return jnp.linalg.solve(*_batched(_bands_to_dense(upper, main, lower), b))

    return solve


@LINALG.kernel("TridiagonalMatMul")
def tridiagonal_mat_mul(upper: Value, main: Value, lower: Value, x: Value) -> Value:
    """Each diagonal is a row vector ``[..., 1, m]``, so transposed a column that scales rows."""
    xp = ns(upper, main, lower, x)
    padding = xp.zeros_like(x[..., :1, :])
    following = xp.concatenate([x[..., 1:, :], padding], axis=-2)
    previous = xp.concatenate([padding, x[..., :-1, :]], axis=-2)
    return transposed(main) * x + transposed(upper) * following + transposed(lower) * previous


# Decompositions

#: What stands for vectors that were not asked for: TensorFlow gives a scalar without meaning.
NOTHING = np.zeros(())


@LINALG.kernel("Cholesky", "BatchCholesky")
def cholesky(x: Value) -> Value:
    """The lower factor, read from the lower triangle only; the gradient is symmetric."""
    x = jnp.asarray(x)
    symmetric = (x + adjoint(x)) / 2
    lower = jax.lax.stop_gradient(jnp.tril(x) - jnp.tril(symmetric))
    return jax.lax.linalg.cholesky(symmetric + lower, symmetrize_input=False)


@LINALG.kernel("CholeskyGrad", "BatchCholeskyGrad")
def cholesky_grad(factor: Value, grad: Value) -> Value:
    """The gradient for the decomposed matrix (Murray 2016, arXiv 1602.07527, equation 10)."""
    middle = adjoint(factor) @ jnp.asarray(grad)
    half = jnp.tril(middle) - 0.5 * middle * jnp.eye(middle.shape[-1], dtype=middle.dtype)
    inner = solve_triangular(factor, half + adjoint(half), True, True)
    outer = solve_triangular(factor, adjoint(inner), True, True)
    return 0.5 * adjoint(outer)


@LINALG.op("Qr")
def qr(node: NodeView) -> Kernel:
    mode = "complete" if node.attr("full_matrices") else "reduced"

    def decompose(x: Value) -> tuple[Value, Value]:
        q, r = jnp.linalg.qr(jnp.asarray(x), mode=mode)
        return q, r

    return decompose


@LINALG.op("Svd", "BatchSvd")
def svd(node: NodeView) -> Kernel:
    """Singular values in falling order, left vectors, right vectors (not transposed)."""
    vectors, full = bool(node.attr("compute_uv")), bool(node.attr("full_matrices"))

    def decompose(x: Value) -> tuple[Value, Value, Value]:
        x = jnp.asarray(x)
        if not vectors:
            values = jnp.linalg.svd(x, compute_uv=False).astype(x.dtype)
            return values, NOTHING.astype(x.dtype), NOTHING.astype(x.dtype)
        u, s, vh = jnp.linalg.svd(x, full_matrices=full)
        return s.astype(x.dtype), u, adjoint(vh)

    return decompose


def _of_lower(x: Value) -> Value:
    """The Hermitian matrix of a lower triangle: all gradients go to that, as in TensorFlow."""
    return jnp.tril(x) + jnp.conj(jnp.swapaxes(jnp.tril(x, -1), -1, -2))


@LINALG.op("SelfAdjointEigV2", "BatchSelfAdjointEigV2")
def self_adjoint_eig(node: NodeView) -> Kernel:
    """Eigenvalues in rising order and eigenvectors, from the lower triangle."""
    vectors = bool(node.attr("compute_v"))

    def decompose(x: Value) -> tuple[Value, Value]:
        values, columns = jnp.linalg.eigh(_of_lower(jnp.asarray(x)))
        return values.astype(x.dtype), columns if vectors else NOTHING.astype(x.dtype)

    return decompose


@LINALG.kernel("SelfAdjointEig", "BatchSelfAdjointEig")
def self_adjoint_eig_v1(x: Value) -> Value:
    """Eigenvalues as the first row, eigenvectors below."""
    values, columns = jnp.linalg.eigh(_of_lower(jnp.asarray(x)))
    return jnp.concatenate([values.astype(x.dtype)[..., np.newaxis, :], columns], axis=-2)


@LINALG.op("Eig")
def eig(node: NodeView) -> Kernel:
    vectors, dtype = bool(node.attr("compute_v")), node.dtype("Tout").numpy

    def decompose(x: Value) -> tuple[Value, Value]:
        values, columns = _eig(jnp.asarray(x))
        return values.astype(dtype), (columns if vectors else NOTHING).astype(dtype)

    return decompose


@jax.custom_jvp
def _eig(x: Value) -> tuple[Value, Value]:
    """Eigenvalues, and eigenvectors of length one."""
    values, columns = jnp.linalg.eig(x)
    return values, columns


@_eig.defjvp
def _eig_slope(inputs: tuple[Value], tangents: tuple[Value]) -> Any:
    """JAX has none for the vectors; here they keep length and phase, as in TensorFlow's gradient
    (linalg_grad.py), and vectors of one value do not turn into each other."""
    values, columns = _eig(inputs[0])
    moved = jnp.linalg.solve(columns, tangents[0].astype(columns.dtype) @ columns)
    apart = values[..., np.newaxis, :] - values[..., :, np.newaxis]
    same = apart == 0
    turned = columns @ jnp.where(same, 0, moved / jnp.where(same, 1, apart))
    longer = jnp.sum(jnp.conj(columns) * turned, axis=-2, keepdims=True).real
    slopes = jnp.diagonal(moved, axis1=-2, axis2=-1), turned - columns * longer
    return (values, columns), slopes


@LINALG.op("Lu")
def lu(node: NodeView) -> Kernel:
    """Both factors in one matrix, and the permutation of its rows."""
    index = node.dtype("output_idx_type").numpy

    def decompose(x: Value) -> tuple[Value, Value]:
        factors, _, permutation = jax.lax.linalg.lu(jnp.asarray(x))
        return factors, permutation.astype(index)

    return decompose


@LINALG.kernel("MatrixDeterminant", "BatchMatrixDeterminant")
def matrix_determinant(x: Value) -> Value:
    return jnp.linalg.det(jnp.asarray(x))


@LINALG.kernel("LogMatrixDeterminant")
def log_matrix_determinant(x: Value) -> tuple[Value, Value]:
    """The sign and the logarithm of the absolute value."""
    sign, logarithm = jnp.linalg.slogdet(jnp.asarray(x))
    return sign.astype(x.dtype), logarithm.astype(x.dtype)


@LINALG.kernel("MatrixExponential")
def matrix_exponential(x: Value) -> Value:
    return jax.scipy.linalg.expm(jnp.asarray(x))


def _per_matrix(function: Any) -> Kernel:
    """A function of SciPy on each matrix of a stack, in double precision."""

    def compute(x: Value) -> Value:
        x = np.asarray(x)
        wide = x.astype(np.promote_types(x.dtype, np.float64))
        flat = wide.reshape((-1, *x.shape[-2:])) if x.size else wide[:0]
        stack = [np.asarray(function(matrix), x.dtype) for matrix in flat]
        return np.stack(stack).reshape(x.shape) if stack else x

    return compute


def _on_host(compute: Kernel) -> Kernel:
    """`compute` on NumPy arrays, called back from a program that is compiled."""

    def kernel(x: Value) -> Value:
        if not is_traced(x):
            return compute(x)
        like = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.pure_callback(compute, like, x, vmap_method="expand_dims")

    return kernel


LINALG.kernels(
    {
        # Named when called: SciPy loads a part of itself when that is first asked for.
        "MatrixLogarithm": _on_host(_per_matrix(lambda x: scipy.linalg.logm(x))),
    }
)


_square_root: Any = jax.custom_jvp(_on_host(_per_matrix(lambda x: scipy.linalg.sqrtm(x))))


@_square_root.defjvp  # type: ignore[untyped-decorator]
def _square_root_jvp(primals: tuple[Value], tangents: tuple[Value]) -> tuple[Value, Value]:
    """The root's derivative R' solves R R' + R' R = A' (Sylvester's equation)."""
    root, (tangent,) = _square_root(*primals), tangents
    one = jnp.eye(root.shape[-1], dtype=root.dtype)
    left = jnp.einsum("...ij,kl->...ikjl", root, one)
    right = jnp.einsum("ij,...lk->...ikjl", one, root)
    *batch, n, _ = tangent.shape
    equations = (left + right).reshape(*batch, n * n, n * n)
    solved = jnp.linalg.solve(equations, tangent.reshape(*batch, n * n, 1))
    return root, solved.reshape(tangent.shape)


@LINALG.kernel("MatrixSquareRoot")
def matrix_square_root(x: Value) -> Value:
    return _square_root(jnp.asarray(x))
