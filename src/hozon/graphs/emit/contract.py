"""The rule for dot_general: MatMul, BatchMatMulV2 where the layout fits, else Einsum."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.rules import Equation, Rules
from hozon.graphs.emit.values import Dim, Tensor

CONTRACT = Rules("contract")

#: Dtypes that all matrix products of TensorFlow take.
_DIRECT = frozenset(
    {"int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128"}
)


@dataclass(frozen=True, slots=True)
class Contraction:
    """Dimensions of the two sides that are summed over, and those that run in parallel."""

    lhs: tuple[int, ...]
    rhs: tuple[int, ...]
    lhs_batch: tuple[int, ...]
    rhs_batch: tuple[int, ...]

    @classmethod
    def of(cls, dimension_numbers: Any) -> Contraction:
        """From the parameter of dot_general."""
        (lhs, rhs), (lhs_batch, rhs_batch) = dimension_numbers
        groups = (lhs, rhs, lhs_batch, rhs_batch)
        return cls(*(tuple(int(i) for i in group) for group in groups))

    def is_plain_batch(self, lhs_rank: int, rhs_rank: int) -> bool:
        """Whether it is a product of matrices in the last two dimensions."""
        count = len(self.lhs_batch)
        leading = tuple(range(count))
        return (
            self.lhs_batch == self.rhs_batch == leading
            and len(self.lhs) == 1
            and lhs_rank == rhs_rank == count + 2
        )

    def is_dense(self, lhs_rank: int, rhs_rank: int) -> bool:
        """Whether rows of any arrangement meet one matrix."""
        return not self.lhs_batch and rhs_rank == 2 and self.lhs == (lhs_rank - 1,) and lhs_rank > 0


@CONTRACT.rule("dot_general")
def dot_general(body: Body, eqn: Equation, lhs: Tensor, rhs: Tensor) -> Tensor:
    """Products of any two arrays."""
    out = eqn.out_avals[0]
    dtype = _computing_dtype(out.dtype)
    lhs, rhs = steps.cast(body, lhs, dtype), steps.cast(body, rhs, dtype)
    result = _product(body, Contraction.of(eqn.params["dimension_numbers"]), lhs, rhs)
    return steps.cast(body, result, out.dtype)


def _computing_dtype(dtype: Any) -> np.dtype[Any]:
    wanted: np.dtype[Any] = np.dtype(dtype)
    if wanted.name in _DIRECT:
        return wanted
    return np.dtype(np.int64) if wanted.itemsize == 8 else np.dtype(np.int32)


def _product(body: Body, how: Contraction, lhs: Tensor, rhs: Tensor) -> Tensor:
    ranks = (len(lhs.shape), len(rhs.shape))
    if how.is_plain_batch(*ranks):
        return matrix_product(body, lhs, rhs, how.lhs[0] < ranks[0] - 1, how.rhs[0] == ranks[1] - 1)
    if how.is_dense(*ranks):
        return _dense(body, how, lhs, rhs)
    return _einsum(body, how, lhs, rhs)


def matrix_product(
    body: Body, lhs: Tensor, rhs: Tensor, transpose_lhs: bool = False, transpose_rhs: bool = False
) -> Tensor:
    """Products of the matrices in the last two dimensions; the others are equal."""
    rows = lhs.shape[-1] if transpose_lhs else lhs.shape[-2]
    columns = rhs.shape[-2] if transpose_rhs else rhs.shape[-1]
    if len(lhs.shape) == 2:
        flags = {"transpose_a": transpose_lhs, "transpose_b": transpose_rhs}
        return steps.op(body, "MatMul", [lhs, rhs], lhs, (rows, columns), **flags)
    if lhs.dtype.kind == "c":  # adjoints would conjugate
        lhs = swap_last(body, lhs) if transpose_lhs else lhs
        rhs = swap_last(body, rhs) if transpose_rhs else rhs
        transpose_lhs = transpose_rhs = False
    flags = {"adj_x": transpose_lhs, "adj_y": transpose_rhs}
    dims = (*lhs.shape[:-2], rows, columns)
    return steps.op(body, "BatchMatMulV2", [lhs, rhs], lhs, dims, **flags)


def swap_last(body: Body, x: Tensor) -> Tensor:
    """The matrices in the last two dimensions, transposed."""
    rank = len(x.shape)
    return steps.transpose(body, x, [*range(rank - 2), rank - 1, rank - 2])


def _dense(body: Body, how: Contraction, lhs: Tensor, rhs: Tensor) -> Tensor:
    size = rhs.shape[how.rhs[0]]
    rows = steps.reshape(body, lhs, (steps.product(lhs.shape[:-1]), size))
    result = matrix_product(body, rows, rhs, transpose_rhs=how.rhs[0] == 1)
    return steps.reshape(body, result, (*lhs.shape[:-1], rhs.shape[1 - how.rhs[0]]))


def _einsum(body: Body, how: Contraction, lhs: Tensor, rhs: Tensor) -> Tensor:
    """The equation names shared dimensions alike; free ones keep their order, left side first."""
    names = iter(string.ascii_letters)
    left = [next(names) for _ in lhs.shape]
    right = [next(names) for _ in rhs.shape]
    shared = (*zip(how.lhs, how.rhs, strict=True), *zip(how.lhs_batch, how.rhs_batch, strict=True))
    for i, j in shared:
        right[j] = left[i]
    sizes: dict[str, Dim] = dict(zip(left + right, (*lhs.shape, *rhs.shape), strict=True))
    out = [left[i] for i in how.lhs_batch]
    out += [left[i] for i in range(len(left)) if i not in (*how.lhs, *how.lhs_batch)]
    out += [right[j] for j in range(len(right)) if j not in (*how.rhs, *how.rhs_batch)]
    equation = f"{''.join(left)},{''.join(right)}->{''.join(out)}".encode()
    dims = [sizes[name] for name in out]
    return steps.op(body, "Einsum", [[lhs, rhs]], lhs, dims, equation=equation)
