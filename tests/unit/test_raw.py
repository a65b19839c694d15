"""Cursor, checksum, snappy and guessing what a file is."""

from __future__ import annotations

import google_crc32c
import numpy as np
import pytest

from hozon.errors import FormatError
from hozon.limits import Limits
from hozon.raw.checksum import crc32c, mask, masked_crc32c, unmask
from hozon.raw.cursor import Cursor
from hozon.raw.location import Location
from hozon.raw.snappy import decompress
from hozon.raw.sniff import looks_like

WHERE = Location("file.bin", "record", 40)


def test_a_cursor_reads_in_order() -> None:
    cursor = Cursor(b"\x05\x01\0\0\0\x02\0\0\0\0\0\0\0\xac\x02end", WHERE)
    assert (cursor.byte(), cursor.u32(), cursor.u64(), cursor.varint()) == (5, 1, 2, 300)
    assert (cursor.remaining, cursor.take(3), cursor.remaining) == (3, b"end", 0)


@pytest.mark.parametrize("count", [4, -1, 1 << 70])
def test_a_cursor_stays_inside(count: int) -> None:
    cursor = Cursor(b"abc", WHERE)
    with pytest.raises(FormatError, match="past the end") as caught:
        cursor.take(count)
    assert (caught.value.offset, caught.value.found) == (40, f"{count} bytes")
    assert cursor.position == 0


def test_crc32c() -> None:
    # The check value of CRC-32C, and the vectors of RFC 3720 B.4.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"6789", crc32c(b"12345")) == 0xE3069283
    assert crc32c(b"") == 0


def test_the_checksum_of_an_array_is_that_of_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.arange(1000, dtype=np.float32).reshape(10, 100)
    monkeypatch.setattr("hozon.raw.checksum._CHUNK", 64)
    assert crc32c(array) == google_crc32c.value(array.tobytes())


def test_the_mask() -> None:
    # tensorflow/core/lib/hash/crc32c_test.cc: masking changes it, unmasking restores it.
    crc = crc32c(b"foo")
    assert mask(crc) != crc
    assert mask(mask(crc)) != crc
    assert unmask(mask(crc)) == crc
    assert mask(0) == 0xA282EAD8
    assert masked_crc32c(b"foo") == mask(crc)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x00", b""),
        (b"\x03\x08abc", b"abc"),
        (b"\x0a\x00a\x15\x01", b"a" * 10),  # one-byte offset, length 9
        (b"\x09\x08abc\x16\x03\x00", b"abcabcabc"),  # two-byte offset, length 6, overlapping
        (b"\x06\x04ab\x0f\x02\x00\x00\x00", b"ababab"),  # four-byte offset, length 4
        (b"\x46\xf0\x45" + b"x" * 70, b"x" * 70),  # a literal whose length takes a byte
    ],
)
def test_snappy(data: bytes, text: bytes) -> None:
    assert decompress(data, WHERE) == text


def test_snappy_keeps_to_the_limit() -> None:
    data = b"\x46\xf0\x45" + b"x" * 70
    with pytest.raises(FormatError, match="declares more"):
        decompress(data, WHERE, Limits(block_bytes=69))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"", "an empty file"),
        (bytes(10), "zeros"),
        (b"\x89HDF\r\n\x1a\n...", "an HDF5 file"),
        (b"\x10\0\0\0\0\0\0\0{}..", "a safetensors file"),
        (b" \n{}", "JSON text"),
        (b"<!DOCTYPE html>", "HTML or XML text"),
        ("naïve".encode(), "text"),
        ("cut naï".encode()[:-1], "text"),
        (b"\x01\x02\x03", "unknown binary data"),
        (bytes(range(128, 250)), "unknown binary data"),
    ],
)
def test_what_a_file_looks_like(head: bytes, name: str) -> None:
    assert looks_like(head) == name
