"""`TensorRecord` to NumPy, against TensorFlow's own reading of the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hozon.errors import FormatError, HozonError, UnsupportedError
from hozon.formats.protos import tensor_pb2 as pb
from hozon.formats.protos.tensor import (
    Shape,
    TensorRecord,
    TypeNumber,
    VariantRecord,
    parse_tensor,
)
from hozon.formats.protos.tensorproto import handles, to_numpy
from hozon.stored.dtypes import VALUE_TYPES, DType, dtype_of_name
from tests.oracle.client import Oracle

NUMERIC = [dtype for dtype in VALUE_TYPES if dtype.fixed]
FIELDS = {
    **dict.fromkeys(("float16", "bfloat16"), ("half_val", [15360, -1, 65535])),
    "float32": ("float_val", [1.5, -0.0, float("nan")]),
    "float64": ("double_val", [1.5, -0.0, float("inf")]),
    "complex64": ("scomplex_val", [1.0, 2.0, 3.0, -4.0, 0.5, 0.25]),
    "complex128": ("dcomplex_val", [1.0, 2.0, 3.0, -4.0, 0.5, 0.25]),
    "int64": ("int64_val", [1, -2, 1 << 62]),
    "uint32": ("uint32_val", [1, 2, (1 << 32) - 1]),
    "uint64": ("uint64_val", [1, 2, (1 << 64) - 1]),
    "bool": ("bool_val", [True, False, True]),
    "string": ("string_val", [b"a", b"", b"\xff\x00"]),
}
SHAPES = [(3,), (), (1,), (2,), (7,), (2, 3), (0,), (3, 0, 2)]


def tensor(dtype: str, shape: Any, **fields: Any) -> bytes:
    message = pb.TensorProto(dtype=dtype_of_name(dtype).number, **fields)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    encoded: bytes = message.SerializeToString()
    return encoded


def field_cases() -> list[tuple[str, bytes]]:
    """Every dtype with no value, one, too few, enough and too many for several shapes."""
    cases = []
    for dtype in ("string", *(d.name for d in NUMERIC)):
        default = ("int_val", [1, -2, 100])
        if dtype.startswith("float8") or dtype == "float4_e2m1fn":
            default = ("float8_val", b"\x01\x02\x05")  # type: ignore[assignment]
        name, values = FIELDS.get(dtype, default)
        step = 2 if dtype.startswith("complex") else 1
        for shape in SHAPES:
            for count in (0, 1, 2, 3):
                kept = values[: count * step]  # type: ignore[index]
                cases.append((dtype, tensor(dtype, shape, **{name: kept})))
    return cases


PARSE = """
import tensorflow as tf
def ask(dtype, data):
    try:
        value = tf.io.parse_tensor(data, getattr(tf, dtype, None) or tf.as_dtype(number(dtype)))
    except Exception as error:
        return type(error).__name__
    array = value.numpy()
    if dtype == "string":
        return ("string", np.asarray(array, object).tolist(), list(value.shape))
    return (dtype, array.tobytes(), list(value.shape))
number = dict(numbers).get
out["answers"] = [ask(dtype, data) for dtype, data in cases]
"""


def compare(oracle: Oracle, cases: list[tuple[str, bytes]]) -> int:
    """Compare each case with the oracle; returns how many TensorFlow could read."""
    numbers = {d.name: d.number for d in VALUE_TYPES}
    answers = oracle.python(PARSE, cases=cases, numbers=list(numbers.items()))["answers"]
    assert len(answers) == len(cases)
    read = 0
    for (dtype, data), answer in zip(cases, answers, strict=True):
        if isinstance(answer, str):
            continue
        read += 1
        array = to_numpy(parse_tensor(data))
        assert list(array.shape) == answer[2], dtype
        assert array.dtype == dtype_of_name(dtype).numpy
        if dtype == "string":
            assert array.tolist() == answer[1]
        else:
            assert array.tobytes() == canonical(answer[1], array.dtype), (dtype, array)
    return read


def canonical(data: bytes, dtype: np.dtype[Any]) -> bytes:
    """Bytes of elements with those bits cleared that a type below 8 bits does not use."""
    bits = dtype_of_name(dtype.name).bits
    if bits >= 8:
        return data
    return (np.frombuffer(data, np.uint8) & ((1 << bits) - 1)).astype(np.uint8).tobytes()


def test_value_lists_as_tensorflow_reads_them(oracle: Oracle) -> None:
    cases = field_cases()
    assert compare(oracle, cases) > 0.8 * len(cases)


def test_contents_as_tensorflow_reads_them(oracle: Oracle) -> None:
    rng = np.random.default_rng(0)
    cases = []
    for dtype in NUMERIC:
        high = 2 if dtype.name == "bool" else 1 << min(dtype.bits, 8)
        content = rng.integers(0, high, 6 * dtype.itemsize, np.uint8).tobytes()
        cases += [
            (dtype.name, tensor(dtype.name, shape, tensor_content=content))
            for shape in ((6,), (2, 3), (1, 6, 1))
        ]
    cases += [("string", tensor("string", (3,), tensor_content=b"\x01\x00\x02abc"))]
    long = b"\xac\x02" + b"x" * 300
    cases += [("string", tensor("string", (1,), tensor_content=long))]
    assert compare(oracle, cases) >= 0.8 * len(cases)


MAKE = """
for name, array in arrays.items():
    value = tf.constant(array)
    out[name] = (
        tf.make_tensor_proto(array).SerializeToString(),
        tf.io.serialize_tensor(value).numpy(),
    )
"""


def test_tensors_that_tensorflow_writes(oracle: Oracle) -> None:
    rng = np.random.default_rng(1)
    arrays: dict[str, Any] = {
        "float32": rng.normal(size=(3, 4)).astype(np.float32),
        "float16": rng.normal(size=(5,)).astype(np.float16),
        "int64": rng.integers(-9, 9, (2, 2)),
        "bool": np.array([[True, False]]),
        "complex64": (rng.normal(size=3) + 1j).astype(np.complex64),
        "string": np.array([[b"x", b"yy"], [b"", b"\x00"]], object),
        "splat": np.full((100, 50), 7, np.int32),
        "scalar": np.float64(3.25),
        "empty": np.zeros((0, 3), np.float32),
    }
    answers = oracle.python(MAKE, arrays=arrays)
    assert set(answers) == set(arrays)
    for name, encodings in answers.items():
        for data in encodings:
            found = to_numpy(parse_tensor(data))
            wanted = np.asarray(arrays[name])
            assert found.dtype == wanted.dtype
            assert found.shape == wanted.shape
            assert found.tolist() == wanted.tolist()


def record(dtype: str, dims: Any, content: bytes = b"", values: Any = ()) -> TensorRecord:
    return TensorRecord(
        TypeNumber(dtype_of_name(dtype).number), Shape(dims), content, tuple(values)
    )


def test_a_splat_takes_no_memory() -> None:
    array = to_numpy(record("float32", (1 << 14, 1 << 14), values=[2.5]))
    assert array.shape == (1 << 14, 1 << 14)
    assert array.strides == (0, 0)
    assert array[5, 7] == np.float32(2.5)


def test_reference_types_read_as_their_values() -> None:
    assert to_numpy(record("float32_ref", (2,), values=[1.0, 2.0])).tolist() == [1.0, 2.0]


def test_variants_stay_opaque() -> None:
    variant = VariantRecord("tensorflow::TensorList", b"\x00", ())
    assert handles(record("variant", (), values=[variant])) == (variant,)


@pytest.mark.parametrize(
    "bad",
    [
        record("float32", (1 << 40,), values=[1.0]),
        record("float32", (1 << 20, 1 << 20), values=[1.0]),
        record("string", (1 << 40,), values=[b""]),
        record("float32", (3,), content=b"1234"),
        record("float32", (), content=b"12345"),
        record("float32", None, values=[1.0]),
        record("float32", (None, 2), values=[1.0]),
        record("complex64", (1,), values=[1.0]),
        record("string", (3,), content=b"\x01\x01\x05abc"),
        record("string", (2,), content=b"\xff\xff\xff\xff\xff\xff"),
        record("string", (1000,), content=b"\x00"),
        record("resource", (1,)),
        record("invalid", (1,)),
        record("variant", (2,)),
        record("float32", (1,) * 300, values=[1.0]),
    ],
    ids=lambda r: f"{int(r.dtype)}-{len(r.content)}-{len(r.values)}",
)
def test_what_does_not_fit_is_refused(bad: TensorRecord) -> None:
    with pytest.raises(FormatError):
        to_numpy(bad)


def test_unknown_types_are_refused() -> None:
    with pytest.raises(UnsupportedError):
        to_numpy(TensorRecord(TypeNumber(77), Shape(()), b"", ()))
    with pytest.raises(HozonError):
        to_numpy(record("variant", (1,), content=b"abc"))


def test_every_numeric_type_has_a_value_list() -> None:
    def read(dtype: DType) -> Any:
        return to_numpy(record(dtype.name, (2,), values=[1, 1, 1, 1]))

    for dtype in NUMERIC:
        assert read(dtype).dtype == dtype.numpy
