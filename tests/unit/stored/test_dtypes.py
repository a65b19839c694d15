"""The table of tensor types, against TensorFlow's own enumeration."""

from __future__ import annotations

import numpy as np
import pytest

from hozon.errors import UnsupportedError
from hozon.stored import dtypes
from hozon.stored.dtypes import ALL_TYPES, BFLOAT16, COMPLEX64, FLOAT32, INT8, STRING, VALUE_TYPES
from tests.oracle.client import Oracle

ENUMERATE = """
from tensorflow.core.framework import types_pb2
out["numbers"] = dict(types_pb2.DataType.items())
out["names"] = {n: tf.dtypes.as_dtype(n).name for n in range(1, 34)}
out["sizes"] = {n: np.dtype(tf.dtypes.as_dtype(n).as_numpy_dtype).itemsize
                for n in range(1, 34) if n not in (7, 20, 21)}
"""


def test_numbers_names_and_sizes_are_those_of_tensorflow(oracle: Oracle) -> None:
    theirs = oracle.python(ENUMERATE)
    assert {dtype.enum: dtype.number for dtype in ALL_TYPES} == theirs["numbers"]
    assert {d.number: d.name for d in VALUE_TYPES if d.number} == theirs["names"]
    assert {d.number: d.itemsize for d in VALUE_TYPES if d.fixed} == theirs["sizes"]


def test_numpy_agrees_with_the_table() -> None:
    for dtype in VALUE_TYPES:
        assert dtype.itemsize == (dtype.numpy.itemsize if dtype.fixed else 0)
        if dtype.fixed and not dtype.quantized:
            assert dtype.numpy.name == dtype.name
            assert dtypes.dtype_of_numpy(dtype.numpy) is dtype


@pytest.mark.parametrize("dtype", ALL_TYPES, ids=str)
def test_lookups(dtype: dtypes.DType) -> None:
    assert dtypes.dtype_of_number(dtype.number) is dtype
    assert dtypes.dtype_of_name(dtype.name) is dtype
    assert dtypes.dtype_of_name(dtype.enum) is dtype
    assert dtype.base.number == dtype.number % dtypes.REF_OFFSET
    if dtype.safetensors:
        assert dtypes.dtype_of_safetensors(dtype.safetensors) is dtype


def test_other_spellings() -> None:
    assert dtypes.dtype_of_name("half").name == "float16"
    assert dtypes.dtype_of_numpy(np.dtype(">f4")) is FLOAT32
    assert dtypes.dtype_of_numpy(np.int8) is INT8
    for text in (np.dtype(object), np.dtype("S3"), np.dtype("U3")):
        assert dtypes.dtype_of_numpy(text) is STRING
    assert (BFLOAT16.safetensors, COMPLEX64.swap_unit) == ("BF16", 4)


def test_unknown_types() -> None:
    for ask in (
        lambda: dtypes.dtype_of_number(34),
        lambda: dtypes.dtype_of_name("float31"),
        lambda: dtypes.dtype_of_safetensors("F31"),
        lambda: dtypes.dtype_of_numpy(np.dtype("M8[s]")),
    ):
        with pytest.raises(UnsupportedError, match="no tensor type"):
            ask()
