from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hozon.errors import FormatError
from hozon.raw.location import Location
from hozon.raw.varint import from_zigzag, read_varint, to_signed, to_zigzag, write_varint

WHERE = Location("file.bin", "field", 100)
U64 = st.integers(0, (1 << 64) - 1)
I64 = st.integers(-(1 << 63), (1 << 63) - 1)


@given(U64, st.binary(max_size=3), st.binary(max_size=3))
def test_what_is_written_is_read(value: int, before: bytes, after: bytes) -> None:
    data = before + write_varint(value) + after
    assert read_varint(data, len(before), WHERE) == (value, len(data) - len(after))


@pytest.mark.parametrize(
    ("data", "value"), [(b"\x00", 0), (b"\x7f", 127), (b"\x80\x01", 128), (b"\xac\x02", 300)]
)
def test_known_values(data: bytes, value: int) -> None:
    assert write_varint(value) == data
    assert read_varint(data, 0, WHERE) == (value, len(data))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 9])
def test_an_end_inside(data: bytes) -> None:
    with pytest.raises(FormatError, match="end inside") as caught:
        read_varint(b"x" + data, 1, WHERE)
    assert (caught.value.file, caught.value.record, caught.value.offset) == (
        "file.bin",
        "field",
        101,
    )


@pytest.mark.parametrize("data", [b"\xff" * 9 + b"\x02", b"\x80" * 10, b"\xff" * 11])
def test_more_than_64_bits(data: bytes) -> None:
    with pytest.raises(FormatError, match="64 bits"):
        read_varint(data, 0, WHERE)


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_writing_refuses_other_integers(value: int) -> None:
    with pytest.raises(ValueError, match="64-bit"):
        write_varint(value)


def test_signed() -> None:
    assert [to_signed(v) for v in (0, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)] == [
        0,
        (1 << 63) - 1,
        -(1 << 63),
        -1,
    ]


@given(I64)
def test_zigzag(value: int) -> None:
    assert from_zigzag(to_zigzag(value)) == value
    assert [to_zigzag(v) for v in (0, -1, 1, -2, 2)] == [0, 1, 2, 3, 4]
