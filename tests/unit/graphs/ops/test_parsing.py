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
from tests.unit.graphs.ops.harness import Case, answers, check, ids, kernel

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
def sequence(context, **lists):
    def many(rows):
        return tf.train.FeatureList(feature=[feature(r) for r in rows])
    def feature(values):
        if not values:
            return tf.train.Feature()
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    context = tf.train.Features(feature={k: feature(v) for k, v in context.items()})
    lists = tf.train.FeatureLists(feature_list={k: many(v) for k, v in lists.items()})
    return tf.train.SequenceExample(context=context, feature_lists=lists).SerializeToString()
out["sequences"] = [
    sequence({"c": [1, 2], "d": [1.5]}, s=[[b"a"], [b"b", b"c"]], t=[[1.0, 2.0], [3.0, 4.0]]),
    sequence({"d": [2.5], "e": [7, 8]}, s=[[], [b"z"]], t=[]),
    sequence({"c": [3]}, s=[[b"q"]], t=[[5.0, 6.0]], u=[[1], [2, 3]]),
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
    v1 = {"sparse_types": ["string", "int64"], "dense_shapes": [[2], [None, 2]]}
    v2 = {
        "num_sparse": 1,
        "sparse_types": ["string"],
        "ragged_value_types": ["float32"],
        "ragged_split_types": ["int64"],
        "dense_shapes": [[2], []],
    }
    v2_inputs = [
        objects([b"s"]),
        objects([b"f", b"i"]),
        objects([b"v"]),
        [np.zeros(0, "f4"), np.array(0, "i8")],
    ]
    empty = np.empty(0, object)
    raw = objects([b"\x01\x02\x03\x04", b"\x05\x06\x07\x08"])
    rows = objects([b'1,2.5,"x,y"', b"3,,z"])
    return [
        Case("ParseExample", [records, empty, keys, dense, defaults], v1, traced=()),
        Case("ParseExampleV2", [records, empty, *v2_inputs], v2, traced=()),
        Case(
            "ParseExampleV2",
            [scalar(made["records"][0]), empty, *v2_inputs],
            v2,
            traced=(),
            note="scalar",
        ),
        Case(
            "ParseSingleExample",
            [scalar(made["records"][0]), [defaults[0], defaults[0]]],
            {
                "num_sparse": 1,
                "sparse_keys": ["s"],
                "dense_keys": ["f", "v"],
                "sparse_types": ["string"],
                "dense_shapes": [[2], [2, 2]],
            },
            traced=(),
        ),
        Case(
            "ParseExample",
            [objects([b"\xff\xff"]), empty, keys, dense, defaults],
            v1,
            traced=(),
            fails=True,
        ),
        *(
            Case("DecodeRaw", [raw], {"out_type": t, "little_endian": e})
            for t in ("uint8", "int16", "float32", "int32")
            for e in (True, False)
        ),
        Case("DecodeRaw", [objects([b"123"])], {"out_type": "int16"}, fails=True),
        Case(
            "DecodeCSV",
            [rows, [np.zeros(0, "i4"), np.array([9.0], "f4"), objects([b""])]],
            traced=(),
        ),
        Case("ParseTensor", [scalar(made["tensor"])], {"out_type": "float64"}),
        Case(
            "DecodeCompressed",
            [objects([zlib.compress(b"hello" * 9)])],
            {"compression_type": "ZLIB"},
        ),
        Case(
            "DecodeCompressed",
            [objects([gzip.compress(b"hello", mtime=0)])],
            {"compression_type": "GZIP"},
        ),
    ]


def without_unset(outputs: list[Any]) -> list[Any]:
    """Outputs of a scalar record, less the row splits that TensorFlow leaves uninitialized."""
    return [x for i, x in enumerate(outputs) if i not in (5, 12)]


def sequence_cases(made: Any) -> list[Case]:
    records, empty = objects(made["sequences"]), np.empty(0, object)
    default = [np.array([9.0], "f4")]
    types = {
        "context_sparse_types": ["int64"],
        "context_dense_shapes": [[1]],
        "feature_list_sparse_types": ["string"],
        "feature_list_dense_types": ["float32"],
        "feature_list_dense_shapes": [[2]],
        "Nfeature_list_dense": 1,
    }
    v1 = {
        **types,
        "Ncontext_sparse": 1,
        "Nfeature_list_sparse": 1,
        "Ncontext_dense": 1,
        "context_sparse_keys": [b"c"],
        "context_dense_keys": [b"d"],
        "feature_list_sparse_keys": [b"s"],
        "feature_list_dense_keys": [b"t"],
        "feature_list_dense_missing_assumed_empty": [],
    }
    v2 = {
        **types,
        "Ncontext_sparse": 1,
        "Nfeature_list_sparse": 1,
        "context_ragged_value_types": ["int64"],
        "context_ragged_split_types": ["int64"],
        "feature_list_ragged_value_types": ["int64"],
        "feature_list_ragged_split_types": ["int32"],
    }
    keys = [
        objects([b"c"]),
        objects([b"d"]),
        objects([b"e"]),
        objects([b"s"]),
        objects([b"t"]),
        objects([b"u"]),
        np.array([False]),
    ]
    missing = [*keys[:4], objects([b"nothing"]), keys[5]]
    single = [[scalar(b"c")], [scalar(b"d")], [scalar(b"s")], [scalar(b"t")], default, scalar(b"")]
    v3 = {k: v for k, v in types.items() if k != "Nfeature_list_dense"}
    return [
        Case("ParseSequenceExample", [records, empty, default], v1, traced=()),
        Case("ParseSequenceExampleV2", [records, empty, *keys, default], v2, traced=()),
        *(
            Case(
                "ParseSequenceExampleV2",
                [scalar(made["sequences"][i]), empty, *keys, default],
                v2,
                traced=(),
                note=f"scalar{i}",
                canonical=without_unset,
            )
            for i in (0, 2)
        ),
        Case(
            "ParseSequenceExampleV2",
            [records, empty, *missing, np.array([True]), default],
            v2,
            traced=(),
        ),
        Case(
            "ParseSequenceExampleV2",
            [records, empty, *missing, np.array([False]), default],
            v2,
            traced=(),
            fails=True,
        ),
        *(
            Case(
                "ParseSingleSequenceExample",
                [scalar(made["sequences"][i]), empty, *single],
                v3,
                traced=(),
                note=f"{i}",
            )
            for i in range(3)
        ),
    ]


def padded_cases() -> list[Case]:
    texts = objects([b"abc", b"", b"12345678"])
    return [
        *(
            Case(
                "DecodePaddedRaw",
                [texts, np.array(4, "i4")],
                {"out_type": t, "little_endian": e},
                traced=(),
            )
            for t in ("uint8", "int16", "float32")
            for e in (True, False)
        ),
        Case("DecodePaddedRaw", [texts, np.array(3, "i4")], {"out_type": "int16"}, fails=True),
    ]


def test_parsing(oracle: Oracle) -> None:
    made = oracle.python(MAKE)
    listed = [*cases(made), *sequence_cases(made), *padded_cases()]
    told = answers(oracle, listed)
    assert len(told) == len(ids(listed))
    for case, answer in told.values():
        check(case, answer)


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\xff", b"\x0b", b"\x0a\x03\x0a\x05x"])
def test_damaged_records_are_named(data: bytes) -> None:
    with pytest.raises(FormatError, match="record 0"):
        parse_example(data, Location("node 'parse'", "record 0"))


def test_unicode_normalization() -> None:
    texts = objects([b"\xef\xbc\xa1\xcc\x8a", "stra\u00dfe".encode(), b"\xff"])
    assert kernel("NormalizeUTF8")(texts).tolist() == [
        "\u00c5".encode(),
        texts[1],
        "\ufffd".encode(),
    ]
    decomposed = kernel("NormalizeUTF8", normalization_form=b"NFKD")(texts)
    assert decomposed[0] == "A\u030a".encode()
    assert kernel("CaseFoldUTF8")(texts)[1] == b"strasse"
