"""``tf.train.Example`` records (tensorflow/core/example/{example,feature}.proto).

Example  { features: 1 }      Features { feature: 1, a map entry { key: 1, value: 2 } }
Feature  { bytes_list: 1, float_list: 2, int64_list: 3 }, each list { value: 1, maybe packed }
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hozon.raw.cursor import Cursor
from hozon.raw.location import Location
from hozon.raw.varint import to_signed

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
KINDS = {1: "bytes", 2: "float", 3: "int64"}


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: `kind` is "bytes", "float", "int64", or "" for an empty one."""

    kind: str
    values: Sequence[Any]


def fields(data: bytes, where: Location) -> Iterator[tuple[int, int, Any]]:
    """The fields of a message: number, wire type, and bytes or an unsigned integer."""
    cursor = Cursor(data, where)
    while cursor.remaining:
        key = cursor.varint()
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            yield number, wire, cursor.varint()
        elif wire == LENGTH:
            yield number, wire, cursor.take(cursor.varint())
        elif wire == FIXED32:
            yield number, wire, cursor.take(4)
        elif wire == FIXED64:
            yield number, wire, cursor.take(8)
        else:
            raise where.damaged(f"wire type {wire} in a tf.train.Example")


def parse_example(data: bytes, where: Location) -> Mapping[bytes, Feature]:
    """The features of a serialized ``tf.train.Example`` by name.

    Raises FormatError for bytes that are none.
    """
    features: dict[bytes, Feature] = {}
    for number, wire, message in fields(data, where):
        if number == 1 and wire == LENGTH:
            features.update(parse_features(message, where))
    return features


def parse_features(data: bytes, where: Location) -> Iterator[tuple[bytes, Feature]]:
    """The entries of a ``Features`` message."""
    for number, wire, entry in fields(data, where):
        if number == 1 and wire == LENGTH:
            name, feature = b"", Feature("", ())
            for part, part_wire, value in fields(entry, where):
                if part == 1 and part_wire == LENGTH:
                    name = value
                elif part == 2 and part_wire == LENGTH:
                    feature = parse_feature(value, where)
            yield name, feature


def parse_feature(data: bytes, where: Location) -> Feature:
    """One ``Feature`` message; of several lists the last wins."""
    feature = Feature("", ())
    for number, wire, message in fields(data, where):
        if number in KINDS and wire == LENGTH:
            kind = KINDS[number]
            feature = Feature(kind, list(_values(kind, message, where)))
    return feature


def _values(kind: str, data: bytes, where: Location) -> Iterator[Any]:
    for number, wire, value in fields(data, where):
        if number != 1:
            continue
        if kind == "bytes" and wire == LENGTH:
            yield value
        elif kind == "float" and wire in (LENGTH, FIXED32):
            yield from _floats(value, where)
        elif kind == "int64" and wire == VARINT:
            yield to_signed(value)
        elif kind == "int64" and wire == LENGTH:
            cursor = Cursor(value, where)
            while cursor.remaining:
                yield to_signed(cursor.varint())
        else:
            raise where.damaged(f"wire type {wire} in a list of {kind} values")


def _floats(data: bytes, where: Location) -> Sequence[float]:
    if len(data) % 4:
        raise where.damaged("a list of floats ends within a number")
    return struct.unpack(f"<{len(data) // 4}f", data)


def parse_feature_lists(data: bytes, where: Location) -> Mapping[bytes, Sequence[Feature]]:
    """The feature lists of a serialized ``tf.train.SequenceExample`` (field 2) by name."""
    lists: dict[bytes, Sequence[Feature]] = {}
    for number, wire, message in fields(data, where):
        if number == 2 and wire == LENGTH:
            for part, part_wire, entry in fields(message, where):
                if part == 1 and part_wire == LENGTH:
                    name, values = b"", b""
                    for piece, piece_wire, value in fields(entry, where):
                        if piece_wire == LENGTH and piece in (1, 2):
                            name, values = (value, values) if piece == 1 else (name, value)
                    lists[name] = [
                        parse_feature(v, where)
                        for n, w, v in fields(values, where)
                        if n == 1 and w == LENGTH
                    ]
    return lists
