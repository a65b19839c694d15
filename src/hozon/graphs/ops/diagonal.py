"""Matrices by their diagonals.

Diagonal `d` of a matrix holds the entries with ``column - row == d``. Several diagonals
``low..high`` are packed as the rows of a matrix, the highest first, each shorter one padded at
its left or right end as `align` says (``array_ops.cc``, MatrixDiagV3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, static_count, static_ints

DIAGONAL = OpTable("diagonal")

#: How MatrixDiagV2 and its like align.
OLD_ALIGNMENT = "LEFT_LEFT"


@dataclass(frozen=True, slots=True)
class Bands:
    """The diagonals `low` to `high` of matrices of `rows` by `columns`, packed by `align`."""

    low: int
    high: int
    rows: int
    columns: int
    align: str

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise MismatchError(f"diagonals {self.low} to {self.high} are no range")

    @property
    def width(self) -> int:
        """The length of the longest diagonal."""
        return max(min(self.rows + min(self.high, 0), self.columns - max(self.low, 0)), 0)

    def length(self, diagonal: Any) -> Any:
        """The length of a diagonal (or of an array of them)."""
        return np.minimum(
            self.rows + np.minimum(diagonal, 0), self.columns - np.maximum(diagonal, 0)
        )

    def offset(self, diagonal: Any) -> Any:
        """How far the entries of a diagonal are moved right in its packed row."""
        above, below = (side == "RIGHT" for side in self.align.split("_"))
        moves = np.where(np.asarray(diagonal) >= 0, above, below)
        return np.where(moves, self.width - self.length(diagonal), 0)

    def packed_places(self) -> tuple[Any, Any, Any]:
        """For each matrix entry: packed row, packed column, and whether a diagonal holds it."""
        row, column = np.indices((self.rows, self.columns))
        diagonal = column - row
        held = (diagonal >= self.low) & (diagonal <= self.high)
        line = np.where(held, self.high - diagonal, 0)
        place = column - np.maximum(diagonal, 0) + self.offset(diagonal)
        return line, np.where(held, place, 0), held

    def matrix_places(self) -> tuple[Any, Any, Any]:
        """For each packed entry: row, column, and whether it stands for a matrix entry."""
        line, place = np.indices((self.high - self.low + 1, self.width))
        diagonal = self.high - line
        place = place - self.offset(diagonal)
        held = (place >= 0) & (place < self.length(diagonal))
        row = place + np.maximum(-diagonal, 0)
        column = place + np.maximum(diagonal, 0)
        return np.where(held, row, 0), np.where(held, column, 0), held


def _range(k: Value) -> tuple[int, int]:
    wanted = static_ints(k, "the range of diagonals")
    return wanted[0], wanted[-1]


def spread(packed: Value, bands: Bands, background: Value) -> Value:
    """Matrices with `packed` on their diagonals and `background` elsewhere."""
    line, place, held = bands.packed_places()
    xp = ns(packed, background)
    if packed.size == 0:
        shape = (*packed.shape[:-2], bands.rows, bands.columns)
        return xp.broadcast_to(xp.asarray(background, packed.dtype), shape)
    return xp.where(held, packed[..., line, place], background)


def collect(matrix: Value, bands: Bands, padding: Value) -> Value:
    """The packed diagonals of matrices, always with an axis for the diagonals."""
    row, column, held = bands.matrix_places()
    xp = ns(matrix, padding)
    if matrix.size == 0:
        shape = matrix.shape[:-2] + held.shape
        return xp.broadcast_to(xp.asarray(padding, matrix.dtype), shape)
    return xp.where(held, matrix[..., row, column], padding)


def _align(node: NodeView) -> str:
    return node.text("align") if node.op.endswith("V3") else OLD_ALIGNMENT


@DIAGONAL.op("MatrixDiag", "BatchMatrixDiag")
def matrix_diag(node: NodeView) -> Kernel:
    return lambda x: spread(
        x[..., np.newaxis, :],
        Bands(0, 0, x.shape[-1], x.shape[-1], OLD_ALIGNMENT),
        np.zeros((), x.dtype),
    )


@DIAGONAL.op("MatrixDiagV2", "MatrixDiagV3")
def matrix_diag_v2(node: NodeView) -> Kernel:
    align = _align(node)

    def build(x: Value, k: Value, rows: Value, columns: Value, padding: Value) -> Value:
        low, high = _range(k)
        size = _matrix_size(
            low,
            high,
            x.shape[-1],
            static_count(rows, "the number of rows"),
            static_count(columns, "the number of columns"),
        )
        packed = x[..., np.newaxis, :] if low == high else x
        return spread(packed, Bands(low, high, size[0], size[1], align), padding)

    return build


def _matrix_size(low: int, high: int, width: int, rows: int, columns: int) -> tuple[int, int]:
    """The size of matrices whose longest diagonal has `width` entries; -1 is not given.

    Where neither is given the matrix is square; else the missing one is as small as can be.
    """
    least_rows, least_columns = width - min(high, 0), width + max(low, 0)
    if rows == -1 and columns == -1:
        rows = columns = max(least_rows, least_columns)
    rows = least_rows if rows == -1 else rows
    columns = least_columns if columns == -1 else columns
    if rows < least_rows or columns < least_columns:
        raise MismatchError(
            f"diagonals {low} to {high} of length {width} do not fit {rows} rows and "
            f"{columns} columns"
        )
    return rows, columns


@DIAGONAL.op("MatrixDiagPart", "BatchMatrixDiagPart")
def matrix_diag_part(node: NodeView) -> Kernel:
    return lambda x: collect(
        x, Bands(0, 0, x.shape[-2], x.shape[-1], OLD_ALIGNMENT), np.zeros((), x.dtype)
    )[..., 0, :]


@DIAGONAL.op("MatrixDiagPartV2", "MatrixDiagPartV3")
def matrix_diag_part_v2(node: NodeView) -> Kernel:
    align = _align(node)

    def take(x: Value, k: Value, padding: Value) -> Value:
        low, high = _range(k)
        packed = collect(x, Bands(low, high, x.shape[-2], x.shape[-1], align), padding)
        return packed[..., 0, :] if low == high else packed

    return take


@DIAGONAL.op("MatrixSetDiag", "BatchMatrixSetDiag")
def matrix_set_diag(node: NodeView) -> Kernel:
    return lambda x, diagonal: spread(
        diagonal[..., np.newaxis, :], Bands(0, 0, x.shape[-2], x.shape[-1], OLD_ALIGNMENT), x
    )


@DIAGONAL.op("MatrixSetDiagV2", "MatrixSetDiagV3")
def matrix_set_diag_v2(node: NodeView) -> Kernel:
    align = _align(node)

    def replace(x: Value, diagonal: Value, k: Value) -> Value:
        low, high = _range(k)
        packed = diagonal[..., np.newaxis, :] if low == high else diagonal
        return spread(packed, Bands(low, high, x.shape[-2], x.shape[-1], align), x)

    return replace


@DIAGONAL.kernel("MatrixBandPart", "BatchMatrixBandPart")
def matrix_band_part(x: Value, lower: Value, upper: Value) -> Value:
    """Zero outside a band of `lower` subdiagonals and `upper` superdiagonals; below 0 is all."""
    row, column = np.indices(x.shape[-2:])
    xp = ns(x, lower, upper)
    held = ((lower < 0) | (row - column <= lower)) & ((upper < 0) | (column - row <= upper))
    return xp.where(held, x, xp.zeros_like(x))


@DIAGONAL.kernel("Diag")
def diag(x: Value) -> Value:
    """A tensor of twice the rank with `x` on its diagonal."""
    size = int(np.prod(x.shape, dtype=int))
    flat = ns(x).reshape(x, (1, size))
    matrix = spread(flat, Bands(0, 0, size, size, OLD_ALIGNMENT), np.zeros((), x.dtype))
    return ns(x).reshape(matrix, x.shape * 2)


@DIAGONAL.kernel("DiagPart")
def diag_part(x: Value) -> Value:
    """The diagonal of a tensor whose shape is one shape twice."""
    shape = x.shape[: x.ndim // 2]
    size = int(np.prod(shape, dtype=int))
    return ns(x).reshape(ns(x).diagonal(ns(x).reshape(x, (size, size))), shape)
