"""Text as TensorFlow ops: strings apart, tokens to numbers, numbers to vectors.

All functions add nodes to `body`. Tokens of texts lie one after the other (`Ragged`), as
TensorFlow's ragged tensors do; what is looked up is int64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.formats.protos.tensorproto import from_numpy
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.steps import cast, expand, integers, op, reshape, scalar, typed
from hozon.graphs.emit.values import TEXT, Dim, Tensor

LONG: np.dtype[Any] = np.dtype(np.int64)
#: A size that only running tells and that nobody asks for.
UNKNOWN: Dim = -1
#: The key of ``tf.sparse.cross_hashed`` where none is given (sparse_ops.py).
CROSS_KEY = 0xDECAFCAFFE
#: Types that DenseBincount and RaggedBincount count in.
COUNTED = (np.float32, np.float64, np.int32, np.int64)


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different lengths: row i is ``values[splits[i]:splits[i + 1]]``."""

    values: Tensor
    splits: Tensor
    rows: Dim


def strings(body: Body, items: Sequence[bytes], shape: Sequence[int] | None = None) -> Tensor:
    """A constant of strings: a vector, or of another shape."""
    array = np.empty(len(items), object)
    array[:] = items
    record = from_numpy(array if shape is None else array.reshape(tuple(shape)))
    attrs = {"value": record, "dtype": record.dtype}
    return body.add("Const", [], attrs=attrs, shape=record.shape.dims or (), dtype=TEXT)


def string(body: Body, text: bytes) -> Tensor:
    """One string."""
    return strings(body, [text], ())


def constant(body: Body, value: Any, dtype: np.dtype[Any]) -> Tensor:
    """A scalar: a string or a number."""
    return string(body, value) if dtype == TEXT else scalar(body, value, dtype)


# Texts to tokens


def lower(body: Body, texts: Tensor) -> Tensor:
    """ASCII letters in lower case."""
    return op(body, "StringLower", [texts], texts, encoding="")


def without(body: Body, texts: Tensor, pattern: str) -> Tensor:
    """Texts without what a regular expression matches."""
    return op(
        body, "StaticRegexReplace", [texts], texts, pattern=pattern, rewrite="", replace_global=True
    )


def split_at_space(body: Body, texts: Tensor) -> Ragged:
    """The words of texts of one dimension."""
    (rows,) = texts.shape
    places, words, _ = body.add(
        "StringSplitV2",
        [texts, string(body, b"")],
        attrs={"maxsplit": -1},
        shape=((UNKNOWN, 2), (UNKNOWN,), (2,)),
        dtype=(LONG, TEXT, LONG),
    )
    ones = op(body, "OnesLike", [row := _column(body, places)], row)
    counts = typed(body, "UnsortedSegmentSum", [ones, row, body.dim(rows)], LONG, (rows,))
    return Ragged(words, _splits(body, counts), rows)


def split_characters(body: Body, texts: Tensor) -> Ragged:
    """The characters of UTF-8 texts of one dimension, what is none replaced."""
    (rows,) = texts.shape
    decoding = {
        "input_encoding": "UTF-8",
        "errors": "replace",
        "replacement_char": 65533,
        "replace_control_characters": False,
        "Tsplits": LONG,
    }
    splits, points = body.add(
        "UnicodeDecode",
        [texts],
        attrs=decoding,
        shape=((UNKNOWN,), (UNKNOWN,)),
        dtype=(LONG, np.dtype(np.int32)),
    )
    encoding = {"errors": "replace", "output_encoding": "UTF-8", "replacement_char": 65533}
    each = _numbered(body, points)
    values = typed(body, "UnicodeEncode", [points, each], TEXT, (UNKNOWN,), **encoding)
    return Ragged(values, splits, rows)


def split_columns(body: Body, texts: Tensor) -> Ragged:
    """Texts of two dimensions as rows, all equally long."""
    rows, columns = texts.shape
    counts = _filled(body, [rows], columns)
    return Ragged(reshape(body, texts, (rows * columns,)), _splits(body, counts), rows)


def combined(body: Body, rows: Ragged, widths: Sequence[int]) -> Ragged:
    """Every run of neighbours of each width, joined by spaces."""
    attrs = {
        "separator": " ",
        "ngram_widths": tuple(widths),
        "left_pad": "",
        "right_pad": "",
        "pad_width": 0,
        "preserve_short_sequences": False,
    }
    values, splits = body.add(
        "StringNGrams",
        [rows.values, rows.splits],
        attrs=attrs,
        shape=((UNKNOWN,), (UNKNOWN,)),
        dtype=(TEXT, LONG),
    )
    return Ragged(values, splits, rows.rows)


def padded(body: Body, rows: Ragged, width: int | None, shape: Sequence[Dim]) -> Tensor:
    """Rows cut to `width` or filled up with zeros; to the longest one's length without a width."""
    wanted = body.constant(np.asarray([-1, -1 if width is None else width], np.int64))
    zero = scalar(body, 0, rows.values.dtype)
    attrs = {"row_partition_types": ("ROW_SPLITS",)}
    return body.add(
        "RaggedTensorToTensor",
        [wanted, rows.values, zero, [rows.splits]],
        attrs=attrs,
        shape=tuple(shape),
        dtype=rows.values.dtype,
    )


# Tokens to numbers


def found(body: Body, table: Tensor, keys: Tensor, default: Any, dtype: np.dtype[Any]) -> Tensor:
    """What a table holds for keys, `default` for the others."""
    inputs = [table, keys, constant(body, default, dtype)]
    return typed(body, "LookupTableFindV2", inputs, dtype, keys.shape)


def equal(body: Body, x: Tensor, value: Any) -> Tensor:
    """Where `x` has a value."""
    other = constant(body, value, x.dtype)
    return typed(body, "Equal", [x, other], np.bool_, x.shape, incompatible_shape_error=True)


def chosen(body: Body, where: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """`one` where it holds, else `other`; scalars are repeated."""
    return op(body, "SelectV2", [where, one, other], other, where.shape)


def plus(body: Body, x: Tensor, number: int) -> Tensor:
    """A number more."""
    return op(body, "AddV2", [x, scalar(body, number, x.dtype)], x) if number else x


def modulo(body: Body, x: Tensor, number: int) -> Tensor:
    """The remainder, which is not negative."""
    return op(body, "FloorMod", [x, scalar(body, number, x.dtype)], x)


def buckets(body: Body, texts: Tensor, count: int, key: Sequence[int] | None = None) -> Tensor:
    """Hashes of strings modulo `count`: Fingerprint64, or SipHash with a key of two numbers."""
    if key is None:
        return typed(body, "StringToHashBucketFast", [texts], LONG, texts.shape, num_buckets=count)
    return typed(
        body,
        "StringToHashBucketStrong",
        [texts],
        LONG,
        texts.shape,
        num_buckets=count,
        key=tuple(map(_signed, key)),
    )


def crossed(body: Body, columns: Sequence[Tensor], count: int, shape: Sequence[Dim]) -> Tensor:
    """Hashes of combinations modulo `count`; columns are strings or integers, all of `shape`."""
    (rows,) = shape[:1] or (1,)
    given = [
        reshape(body, x if x.dtype == TEXT else cast(body, x, LONG), (rows, 1)) for x in columns
    ]
    within = TEXT if all(x.dtype == TEXT for x in given) else LONG
    attrs = {
        "hashed_output": True,
        "num_buckets": count,
        "hash_key": CROSS_KEY,
        "out_type": LONG,
        "internal_type": within,
    }
    _, values, _ = body.add(
        "SparseCross",
        [[], [], [], given],
        attrs={**attrs, "sparse_types": ()},
        shape=((rows, 2), (rows,), (2,)),
        dtype=(LONG, LONG, LONG),
    )
    return reshape(body, values, shape)


def decimal(body: Body, x: Tensor) -> Tensor:
    """Integers as text."""
    return typed(body, "AsString", [x], TEXT, x.shape)


def all_known(body: Body, indices: Tensor, keys: Tensor, message: str) -> Tensor:
    """`indices`, after a check at run time that none is -1, whose key the message ends with."""
    unknown = equal(body, indices, -1)
    known = typed(body, "LogicalNot", [unknown], np.bool_, unknown.shape)
    axes = integers(body, range(len(known.shape)))
    passed = typed(body, "All", [known, axes], np.bool_, (), keep_dims=False)
    body.add("Assert", [passed, [string(body, message.encode()), keys]], shape=(), dtype=())
    check = body.nodes[-1].name
    return body.add(
        "Identity", [indices], shape=indices.shape, dtype=indices.dtype, controls=[check]
    )


# Numbers to vectors


def counts(
    body: Body,
    indices: Tensor | Ragged,
    depth: int,
    dtype: Any,
    shape: Sequence[Dim],
    *,
    binary: bool,
) -> Tensor:
    """How often each number below `depth` is in each row, or whether it is."""
    wanted = np.dtype(dtype)
    counted = wanted if wanted.type in COUNTED else np.dtype(np.float32)
    size = scalar(body, depth, LONG)
    weights = body.constant(np.zeros(0, counted))
    if isinstance(indices, Ragged):
        name, inputs = "RaggedBincount", [indices.splits, indices.values, size, weights]
    else:
        name, inputs = "DenseBincount", [indices, size, weights]
    made = typed(body, name, inputs, counted, shape, binary_output=binary)
    return cast(body, made, wanted)


def times(body: Body, x: Tensor, weights: Any) -> Tensor:
    """`x` times a vector, row by row."""
    return op(body, "Mul", [x, body.constant(np.asarray(weights, x.dtype))], x)


def with_last(body: Body, x: Tensor) -> Tensor:
    """A last dimension of size 1 more."""
    return expand(body, x, len(x.shape))


def _column(body: Body, places: Tensor) -> Tensor:
    """The first column of a matrix."""
    inputs = [places, integers(body, [0, 0]), integers(body, [0, 1]), integers(body, [1, 1])]
    return typed(
        body, "StridedSlice", inputs, LONG, (UNKNOWN,), begin_mask=1, end_mask=1, shrink_axis_mask=2
    )


def _splits(body: Body, lengths: Tensor) -> Tensor:
    """Where each row begins and the last one ends."""
    ends = op(
        body,
        "Cumsum",
        [lengths, scalar(body, 0, np.int32)],
        lengths,
        exclusive=False,
        reverse=False,
    )
    zero = body.constant(np.zeros(1, np.int64))
    return typed(body, "ConcatV2", [[zero, ends], scalar(body, 0, np.int32)], LONG, (UNKNOWN,))


def _numbered(body: Body, x: Tensor) -> Tensor:
    """The numbers from 0 to the length of a vector."""
    length = typed(body, "Size", [x], LONG, (), out_type=LONG)
    limit = plus(body, length, 1)
    zero, one = scalar(body, 0, LONG), scalar(body, 1, LONG)
    return typed(body, "Range", [zero, limit, one], LONG, (UNKNOWN,))


def _filled(body: Body, dims: Sequence[Dim], value: Dim) -> Tensor:
    filling = cast(body, body.dim(value), LONG)
    return typed(body, "Fill", [body.shape(dims), filling], LONG, dims)


def _signed(number: int) -> int:
    """A number of 64 bits as attributes hold it."""
    number &= (1 << 64) - 1
    return number - (1 << 64) if number >> 63 else number
