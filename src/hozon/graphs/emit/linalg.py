"""Rules for matrix decompositions, triangular systems and Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.contract import Contraction, swap_last
from hozon.graphs.emit.reduce import take_last
from hozon.graphs.emit.rules import Equation, NoRule, Rules
from hozon.graphs.emit.values import Dim, Tensor

LINALG = Rules("linalg")

#: The largest matrix whose row swaps are written out one by one.
_MOST_PIVOTS = 64


def _ops(
    body: Body,
    name: str,
    inputs: list[Any],
    outs: list[tuple[Any, tuple[Dim, ...]]],
    **attrs: Any,
) -> tuple[Tensor, ...]:
    """A node of several results, each with its dtype and shape."""
    return body.add(
        name,
        inputs,
        attrs=attrs,
        shape=tuple(dims for _, dims in outs),
        dtype=tuple(np.dtype(dtype) for dtype, _ in outs),
    )


def _adjoint(body: Body, x: Tensor) -> Tensor:
    flipped = swap_last(body, x)
    return steps.op(body, "Conj", [flipped], flipped) if x.dtype.kind == "c" else flipped


def _triangle(body: Body, x: Tensor, lower: bool) -> Tensor:
    """`x` with zeros on the other side of the diagonal."""
    below, above = (-1, 0) if lower else (0, -1)
    bounds = [steps.scalar(body, below, np.int32), steps.scalar(body, above, np.int32)]
    return steps.op(body, "MatrixBandPart", [x, *bounds], x)


@LINALG.rule("cholesky")
def cholesky(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """Lower factors; JAX takes the mean of the matrix and its adjoint when it was told to."""
    if eqn.params.get("symmetrize_input", False):
        total = steps.op(body, "AddV2", [x, _adjoint(body, x)], x)
        x = steps.op(body, "Mul", [total, steps.scalar(body, 0.5, x.dtype)], x)
    return steps.op(body, "Cholesky", [x], x)


@LINALG.rule("triangular_solve")
def triangular_solve(body: Body, eqn: Equation, a: Tensor, b: Tensor) -> Tensor:
    """X of A X = B, or of X A = B, which is the first for the transposed matrices."""
    params = eqn.params
    lower, left = bool(params["lower"]), bool(params["left_side"])
    transposed, conjugated = bool(params["transpose_a"]), bool(params["conjugate_a"])
    if params["unit_diagonal"]:
        a = _with_unit_diagonal(body, a)
    if a.dtype.kind == "c" and conjugated:
        a = steps.op(body, "Conj", [a], a)
    if not left:
        transposed, b = not transposed, swap_last(body, b)
    if transposed and a.dtype.kind == "c":  # the op's adjoint would conjugate
        a, lower, transposed = swap_last(body, a), not lower, False
    result = steps.op(body, "MatrixTriangularSolve", [a, b], b, lower=lower, adjoint=transposed)
    return result if left else swap_last(body, result)


def _with_unit_diagonal(body: Body, a: Tensor) -> Tensor:
    one = steps.scalar(body, 1, a.dtype)
    diagonal = steps.broadcast(body, one, a.shape[:-1])
    return steps.op(body, "MatrixSetDiag", [a, diagonal], a)


@LINALG.rule("lu")
def lu(body: Body, eqn: Equation, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Both factors in one matrix, the row swaps in order, and the permutation they amount to."""
    rows, columns = x.shape[-2:]
    if not steps.same_dims([rows], [columns]):
        raise NoRule(eqn.primitive)
    outs: list[Any] = [(x.dtype, x.shape), (np.int32, x.shape[:-1])]
    factors, order = _ops(body, "Lu", [x], outs, output_idx_type=np.dtype(np.int32))
    return factors, _pivots(body, eqn, order), order


def _pivots(body: Body, eqn: Equation, order: Tensor) -> Tensor:
    """The swaps that lead to `order`: step i swaps row i with the place where its row now is."""
    size = order.shape[-1]
    if not steps.is_known([size]) or int(size) > _MOST_PIVOTS:
        raise NoRule(eqn.primitive)
    count, axis = int(size), len(order.shape) - 1
    numbers = steps.iota(body, count)
    current = steps.broadcast(body, numbers, order.shape)
    column = (*order.shape[:-1], 1)
    swaps = []
    for i in range(count):
        begin = [0] * axis + [i]
        wanted, held = (steps.cut(body, x, begin, column) for x in (order, current))
        here = steps.typed(body, "Equal", [current, wanted], np.bool_, order.shape)
        place = steps.typed(
            body,
            "ArgMax",
            [here, steps.scalar(body, axis, np.int32)],
            np.int32,
            order.shape[:-1],
            output_type=np.dtype(np.int32),
        )
        swaps.append(steps.reshape(body, place, column))
        current = steps.op(body, "SelectV2", [here, held, current], current)
        first = body.constant(np.arange(count) == i)
        current = steps.op(body, "SelectV2", [first, wanted, current], current)
    return steps.concat(body, swaps, axis)


@LINALG.rule("lu_pivots_to_permutation")
def lu_pivots_to_permutation(body: Body, eqn: Equation, pivots: Tensor) -> Tensor:
    """The order of rows after the swaps."""
    count, size = pivots.shape[-1], eqn.params["permutation_size"]
    if not steps.is_known([count, size]) or int(count) > _MOST_PIVOTS:
        raise NoRule(eqn.primitive)
    axis = len(pivots.shape) - 1
    numbers = steps.iota(body, int(size))
    dims = (*pivots.shape[:-1], int(size))
    current = steps.broadcast(body, numbers, dims)
    column = (*pivots.shape[:-1], 1)
    for i in range(int(count)):
        place = steps.cut(body, pivots, [0] * axis + [i], column)
        held = steps.cut(body, current, [0] * axis + [i], column)
        other = take_last(body, current, place)
        there = steps.typed(body, "Equal", [numbers, place], np.bool_, dims)
        current = steps.op(body, "SelectV2", [there, held, current], current)
        here = body.constant(np.arange(int(size)) == i)
        current = steps.op(body, "SelectV2", [here, other, current], current)
    return current


@LINALG.rule("qr")
def qr(body: Body, eqn: Equation, x: Tensor) -> tuple[Tensor, ...]:
    """An orthonormal and an upper triangular factor."""
    if eqn.params.get("pivoting", False):
        raise NoRule(eqn.primitive)
    outs = [(a.dtype, tuple(a.shape)) for a in eqn.out_avals]
    return _ops(body, "Qr", [x], outs, full_matrices=bool(eqn.params["full_matrices"]))


@LINALG.rule("eigh")
def eigh(body: Body, eqn: Equation, x: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvectors and eigenvalues, in ascending order, of what one triangle says."""
    if eqn.params.get("subset_by_index") not in (None, (0, x.shape[-1])):
        raise NoRule(eqn.primitive)
    if not eqn.params["lower"]:
        x = _adjoint(body, x)
    vectors, values = eqn.out_avals
    outs = [(x.dtype, tuple(values.shape)), (x.dtype, tuple(vectors.shape))]
    found, directions = _ops(body, "SelfAdjointEigV2", [x], outs, compute_v=True)
    return directions, _real(body, found, values.dtype)


def _real(body: Body, x: Tensor, dtype: Any) -> Tensor:
    if x.dtype.kind != "c":
        return x
    wanted = np.dtype(dtype)
    return steps.typed(body, "Real", [x], wanted, x.shape, Tout=wanted)


@LINALG.rule("eig")
def eig(body: Body, eqn: Equation, x: Tensor) -> tuple[Tensor, ...]:
    """Eigenvalues and right eigenvectors, both complex, in the order in which they are found."""
    if eqn.params["compute_left_eigenvectors"]:
        raise NoRule(eqn.primitive)
    dtype, with_vectors = np.dtype(eqn.out_avals[0].dtype), len(eqn.out_avals) == 2
    outs = [(dtype, tuple(x.shape[:-1])), (dtype, tuple(x.shape))]
    found = _ops(body, "Eig", [x], outs, compute_v=with_vectors, Tout=dtype)
    return found if with_vectors else found[:1]


@LINALG.rule("svd")
def svd(body: Body, eqn: Equation, x: Tensor) -> tuple[Tensor, ...]:
    """Singular values, left vectors, and the adjoint of the right ones."""
    params, out = eqn.params, eqn.out_avals
    if params.get("subset_by_index") is not None:
        raise NoRule(eqn.primitive)
    values: Any = (out[0].dtype, tuple(out[0].shape))
    if not params["compute_uv"]:
        empty = (x.dtype, (0,))
        outs = [(x.dtype, values[1]), empty, empty]
        found = _ops(body, "Svd", [x], outs, compute_uv=False, full_matrices=False)
        return (_real(body, found[0], values[0]),)
    right = tuple(out[2].shape)
    sizes = [values[1], tuple(out[1].shape), (*right[:-2], right[-1], right[-2])]
    outs = [(x.dtype, dims) for dims in sizes]
    full = bool(params["full_matrices"])
    s, u, v = _ops(body, "Svd", [x], outs, compute_uv=True, full_matrices=full)
    return _real(body, s, values[0]), u, _adjoint(body, v)


@LINALG.rule("custom_linear_solve")
def custom_linear_solve(body: Body, eqn: Equation, *inputs: Tensor) -> tuple[Tensor, ...]:
    """MatrixSolve where it is A X = B, since it has a gradient; else its maker's way."""
    system = _matrix_system(eqn, inputs)
    if system is not None:
        matrix, side, by_rows = system
        return (_solved(body, matrix, side, by_rows),)
    lengths, jaxprs = eqn.params["const_lengths"], eqn.params["jaxprs"]
    before = lengths.matvec + lengths.vecmat
    constants = inputs[before : before + lengths.solve]
    sides = inputs[before + lengths.solve + lengths.transpose_solve :]
    return body.inline(jaxprs.solve, [*constants, *sides])


def _matrix_system(eqn: Equation, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor, bool] | None:
    """The matrices, the right-hand side, and whether its vectors are rows, if one can tell.

    The product of the system must be a dot_general of one constant, over its last dimension.
    """
    closed, lengths = eqn.params["jaxprs"].matvec, eqn.params["const_lengths"]
    jaxpr = closed.jaxpr
    dots = [e for e in jaxpr.eqns if e.primitive.name == "dot_general"]
    others = {e.primitive.name for e in jaxpr.eqns} - {"dot_general", "transpose"}
    if lengths.matvec != 1 or len(jaxpr.invars) != 2 or len(dots) != 1 or others:
        return None
    if list(dots[0].invars) != list(jaxpr.invars):
        return None
    how = Contraction.of(dots[0].params["dimension_numbers"])
    matrix, side = inputs[0], inputs[-1]
    count = len(matrix.shape) - 2
    batch = tuple(range(count))
    plain = how.lhs == (count + 1,) and how.lhs_batch == how.rhs_batch == batch
    if not plain or len(side.shape) != count + 2:
        return None
    return matrix, side, how.rhs == (count + 1,)


def _solved(body: Body, matrix: Tensor, side: Tensor, by_rows: bool) -> Tensor:
    columns = swap_last(body, side) if by_rows else side
    found = steps.op(body, "MatrixSolve", [matrix, columns], columns, adjoint=False)
    return swap_last(body, found) if by_rows else found


#: Ops by kind of transform and number of dimensions.
_FOURIER = {
    "FFT": ("FFT", "FFT2D", "FFT3D"),
    "IFFT": ("IFFT", "IFFT2D", "IFFT3D"),
    "RFFT": ("RFFT", "RFFT2D", "RFFT3D"),
    "IRFFT": ("IRFFT", "IRFFT2D", "IRFFT3D"),
}


@LINALG.rule("fft")
def fft(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """Discrete Fourier transforms over the last one to three dimensions."""
    lengths, kind = eqn.params["fft_lengths"], eqn.params["fft_type"].name
    if not 1 <= len(lengths) <= 3:
        raise NoRule(eqn.primitive)
    name, out = _FOURIER[kind][len(lengths) - 1], eqn.out_avals[0]
    inputs = [x, body.shape(tuple(lengths))] if "R" in kind else [x]
    return steps.typed(body, name, inputs, out.dtype, tuple(out.shape))
