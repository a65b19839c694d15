"""Ways to change a file that know how it is built, so that a reader gets far into it.

Messages, archives, tables and JSON are taken apart, changed inside and put together again, with the
checksums that belong to it; any file is changed as plain bytes too.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from hozon.formats.sstable.reader import read_table
from hozon.formats.sstable.writer import encode_table
from hozon.raw.own_checksum import COMMENT, JSON_HEAD, SAFETENSORS_HEAD, TRAILER
from hozon.raw.sources import MemorySource

#: Numbers at which programs go wrong.
EDGES = (
    0,
    1,
    -1,
    127,
    128,
    255,
    256,
    2**15,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**33,
    2**62,
    2**63,
    2**64 - 1,
)
#: Values that no writer of JSON puts there.
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    1e308,
    "",
    "\0",
    "a" * 300,
    "../x",
    [],
    {},
    [[]],
)
OPENED = 4 << 20
#: What taking a file apart raises where an earlier change took its structure.
BROKEN = (
    ValueError,
    LookupError,
    NotImplementedError,
    EOFError,
    OverflowError,
    RecursionError,
    OSError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
Mutation = Callable[[random.Random, bytes], bytes]


def mutated(draw: random.Random, data: bytes) -> bytes:
    """The file after one change, or a few."""
    change = _structured(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        wanted = change if change is not None and draw.random() < 0.75 else as_bytes
        try:
            data = wanted(draw, data)
        except BROKEN:
            data = as_bytes(draw, data)
    return _sealed(data) if draw.random() < 0.9 else data


def _structured(data: bytes) -> Mutation | None:
    """What takes such a file apart; None where nothing is known of it."""
    if data.startswith(b"PK\3\4"):
        return in_archive
    if data.lstrip()[:1] in (b"{", b"["):
        return in_json
    if data[-8:] == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb":
        return in_table
    if data.startswith(b"\x89HDF"):
        return in_hdf5
    if len(data) > 16 and data[8:9] == b"{" and struct.unpack("<Q", data[:8])[0] < len(data):
        return in_safetensors
    return in_message if _fields(data) is not None else None


def as_bytes(draw: random.Random, data: bytes) -> bytes:
    """Bits, runs, numbers: whatever the format."""
    if not data:
        return bytes(draw.randrange(256) for _ in range(draw.randrange(40)))
    at, length = (
        draw.randrange(len(data)),
        1 + min(draw.randrange(64), draw.randrange(1 + len(data))),
    )
    kind = draw.randrange(7)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + data[at + length :]
    if kind == 3:
        return data[:at] + data[at : at + length] * draw.choice((2, 3, 100)) + data[at + length :]
    if kind == 4:
        new = bytes(draw.randrange(256) for _ in range(length))
        return data[:at] + new + data[at + length :]
    if kind == 5:
        number = draw.choice(EDGES) & 2**64 - 1
        packed = number.to_bytes(8, draw.choice(("little", "big")))[-draw.choice((1, 2, 4, 8)) :]
        return data[:at] + packed + data[at + len(packed) :]
    other = draw.randrange(len(data))
    return data[:at] + data[other : other + length] + data[at + length :]


def in_archive(draw: random.Random, data: bytes) -> bytes:
    """A member is changed, renamed, doubled or left out."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
        comment = archive.comment
    at = draw.randrange(len(members))
    name, content = members[at]
    kind = draw.randrange(10)
    if kind == 0:
        del members[at]
    elif kind == 1:
        members[at] = (
            draw.choice((name.upper(), "../" + name, name + "/", "config.json")),
            content,
        )
    else:
        members[at] = (name, mutated(draw, content))
    made = io.BytesIO()
    how = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(made, "w", how) as archive:
        archive.comment = comment
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name.replace("\0", "")), content, how)
    return made.getvalue()


def in_json(draw: random.Random, data: bytes) -> bytes:
    """A value somewhere inside is another; a config inside a string is opened too."""
    document = json.loads(data)
    places = list(_places(document))
    holder, key = draw.choice(places)
    value = holder[key]
    kind = draw.randrange(8)
    if kind == 0 and isinstance(holder, dict):
        del holder[key]
    elif kind == 1:
        other, name = draw.choice(places)
        holder[key] = json.loads(json.dumps(other[name]))
    elif kind == 2:
        holder[key] = {"class_name": value, "config": {key if isinstance(key, str) else "x": value}}
    elif kind == 3 and isinstance(value, (int, float)):
        holder[key] = draw.choice(EDGES)
    elif kind == 4 and isinstance(value, list):
        holder[key] = value * draw.choice((0, 2, 50))
    elif isinstance(value, str) and value[:1] in ("{", "["):
        holder[key] = in_json(draw, value.encode()).decode()
    else:
        holder[key] = draw.choice(ODD)
    text = json.dumps(document)
    return text.replace('"hozon_crc32c": "', '"hozon_crc32c" : "').encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container in a document, with each of its keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from _places(inner)


def in_table(draw: random.Random, data: bytes) -> bytes:
    """A key or a value of an index table is another; its blocks have their checksums."""
    rows = list(read_table(MemorySource("", data)))
    at = draw.randrange(len(rows))
    key, value = rows[at]
    kind = draw.randrange(8)
    if kind == 0:
        del rows[at]
    elif kind == 1:
        rows[at] = (as_bytes(draw, key), value)
    elif kind == 2:
        rows.append((key + b"x", draw.choice(rows)[1]))
    else:
        rows[at] = (key, in_message(draw, value) if _fields(value) else as_bytes(draw, value))
    return encode_table(sorted(dict(rows).items()))


def in_safetensors(draw: random.Random, data: bytes) -> bytes:
    """The header is changed as JSON."""
    (length,) = struct.unpack("<Q", data[:8])
    header = in_json(draw, data[8 : 8 + length])
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def in_hdf5(draw: random.Random, data: bytes) -> bytes:
    """A JSON attribute is changed in place, to a text as long; else a few bytes of the metadata."""
    start = data.find(b'{"')
    if start < 0 or draw.random() < 0.5:
        return as_bytes(draw, data)
    end = data.find(b"\0", start)
    text = data[start:end]
    changed = in_json(draw, text)
    if len(changed) > len(text):
        return data[:start] + changed[: len(text)] + data[end:]
    return data[:start] + changed.ljust(len(text)) + data[end:]


Field = tuple[int, int, Any]


def in_message(draw: random.Random, data: bytes) -> bytes:
    """A field of a protocol buffer, at any depth, is another, doubled or gone."""
    fields = _fields(data)
    if not fields:
        return as_bytes(draw, data)
    at = draw.randrange(len(fields))
    number, wire, value = fields[at]
    kind = draw.randrange(12)
    if wire == 2 and kind > 2 and _fields(value):
        fields[at] = (number, wire, in_message(draw, value))
    elif kind == 0:
        del fields[at]
    elif kind == 1:
        fields += [fields[at]] * draw.choice((1, 2, 50))
    elif kind == 2:
        fields[at] = (draw.choice((1, 2, 3, 4, 5, 9, 15, 16, number + 1)), wire, value)
    elif wire == 0:
        fields[at] = (number, wire, draw.choice(EDGES) & 2**64 - 1)
    elif wire == 2:
        fields[at] = (number, wire, as_bytes(draw, value) if kind % 2 else draw.choice(fields)[2])
        if not isinstance(fields[at][2], bytes):
            fields[at] = (number, wire, b"")
    else:
        fields[at] = (number, wire, as_bytes(draw, value)[: len(value)].ljust(len(value)))
    return b"".join(map(_encoded, fields))


def _fields(data: bytes) -> list[Field] | None:
    """The fields of a message; None where the bytes are none."""
    found: list[Field] = []
    at = 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            number, wire = tag >> 3, tag & 7
            if not 0 < number < 1 << 20:
                return None
            if wire == 0:
                value, at = _varint(data, at)
                found.append((number, wire, value))
                continue
            if wire == 2:
                size, at = _varint(data, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                return None
            if at + size > len(data):
                return None
            found.append((number, wire, data[at : at + size]))
            at += size
    except IndexError:
        return None
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise IndexError("no varint")


def _encoded(field: Field) -> bytes:
    number, wire, value = field
    head = _as_varint(number << 3 | wire)
    if wire == 0:
        return head + _as_varint(value)
    return head + (_as_varint(len(value)) + value if wire == 2 else value)


def _as_varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def _sealed(data: bytes) -> bytes:
    """Without the checksum that Hozon's files hold of themselves, so that it hides nothing."""
    for mark in (TRAILER, COMMENT):
        if data[-len(mark) - 8 : -8] == mark:
            return data[: -len(mark) - 8] + b"\0" * (len(mark) + 8 if mark == TRAILER else 0)
    for mark in (JSON_HEAD, SAFETENSORS_HEAD):
        at = data.find(mark, 0, 64)
        if at >= 0:
            return (
                data[:at] + mark.replace(b"hozon_crc32c", b"nobody_reads") + data[at + len(mark) :]
            )
    return data
