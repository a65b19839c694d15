"""Parsing ops against TensorFlow."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import numpy as np
import pytest

from hozon.errors import FormatError
from hozon.raw.example import parse_example
from hozon.raw.location import Location
from tests.oracle.client import Oracle
from tests.unit.graphs.ops.harness import Case, answers, check, ids

MAKE = """
def example(**features):
    def feature(values):
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    features = {k: feature(v) for k, v in features.items() if v}
    features = tf.train.Features(feature=features)
    return tf.train.Example(features=features).SerializeToString()
out["records"] = [
    example(f=[1.5, 2.5], i=[3], s=[b"a", b"bc"], v=[1.0, 2.0, 3.0, 4.0]),
    example(f=[-1.0, 0.0], i=[-(2**60)], s=[], v=[5.0, 6.0]),
    example(f=[7.0, 8.0], i=[9], s=[b""], extra=[b"unused"]),
]
tensor = tf.io.serialize_tensor(np.arange(6, dtype="float64").reshape(2, 3)).numpy()
out["tensor"] = tensor
"""


def objects(items: Any) -> Any:
    array = np.empty(len(items), object)
    array[:] = items
    return array


def scalar(value: bytes) -> Any:
    array = np.empty((), object)
    array[()] = value
    return array


def cases(made: Any) -> list[Case]:
    records = objects(made["records"])
    keys = [scalar(k) for k in (b"s", b"i")]
    dense = [scalar(k) for k in (b"f", b"v")]
    defaults = [np.zeros(0, "f4"), np.array([-1.0], "f4")]
    v1 = {"sparse_types": ["string", "int64"], "dense_shapes": [[2], [None, 2]]}  # fmt: skip
    v2 = {"num_sparse": 1, "sparse_types": ["string"],
          "ragged_value_types": ["float32"], "ragged_split_types": ["int64"],
          "dense_shapes": [[2], []]}  # fmt: skip
    v2_inputs = [
        objects([b"s"]), objects([b"f", b"i"]), objects([b"v"]),
        [np.zeros(0, "f4"), np.array(0, "i8")],
    ]  # fmt: skip
    empty = np.empty(0, object)
    raw = objects([b"\x01\x02\x03\x04", b"\x05\x06\x07\x08"])
    rows = objects([b'1,2.5,"x,y"', b"3,,z"])
    return [
        Case("ParseExample", [records, empty, keys, dense, defaults], v1, traced=()),
        Case("ParseExampleV2", [records, empty, *v2_inputs], v2, traced=()),
        Case("ParseExampleV2", [scalar(made["records"][0]), empty, *v2_inputs], v2, traced=(),
             note="scalar"),
        Case("ParseExample", [objects([b"\xff\xff"]), empty, keys, dense, defaults], v1, traced=(),
             fails=True),
        *(Case("DecodeRaw", [raw], {"out_type": t, "little_endian": e})
          for t in ("uint8", "int16", "float32", "int32") for e in (True, False)),
        Case("DecodeRaw", [objects([b"123"])], {"out_type": "int16"}, fails=True),
        Case("DecodeCSV", [rows, [np.zeros(0, "i4"), np.array([9.0], "f4"), objects([b""])]],
             traced=()),
        Case("ParseTensor", [scalar(made["tensor"])], {"out_type": "float64"}),
        Case("DecodeCompressed", [objects([zlib.compress(b"hello" * 9)])],
             {"compression_type": "ZLIB"}),
        Case("DecodeCompressed", [objects([gzip.compress(b"hello", mtime=0)])],
             {"compression_type": "GZIP"}),
    ]  # fmt: skip


def test_parsing(oracle: Oracle) -> None:
    listed = cases(oracle.python(MAKE))
    told = answers(oracle, listed)
    assert len(told) == len(ids(listed))
    for case, answer in told.values():
        check(case, answer)


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\xff", b"\x0b", b"\x0a\x03\x0a\x05x"])
def test_damaged_records_are_named(data: bytes) -> None:
    with pytest.raises(FormatError, match="record 0"):
        parse_example(data, Location("node 'parse'", "record 0"))
