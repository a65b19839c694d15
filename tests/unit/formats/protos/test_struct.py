"""Structured values as TensorFlow writes them."""

from __future__ import annotations

from typing import Any

import pytest

from hozon.formats.protos import struct_pb2 as pb
from hozon.formats.protos.struct import (
    BoundedTensorSpec,
    Empty,
    NamedTuple,
    TensorSpec,
    TypeSpec,
    decode_structure,
)
from hozon.formats.protos.tensor import Shape, TypeNumber
from hozon.formats.protos.tensorproto import to_numpy
from tests.oracle.client import Oracle

ENCODE = """
from tensorflow.python.saved_model import nested_structure_coder as coder
from tensorflow.python.framework import tensor_spec
import collections
Pair = collections.namedtuple("Pair", ["b", "a"])
values = {
    "none": None, "float": 1.5, "int": -7, "big": -(1 << 40), "str": "é", "bool": True,
    "list": [1, [2.0, None]], "tuple": (1, ("a",)), "dict": {"x": {"y": [3]}, "a": 1},
    "named": Pair(1, (2,)), "empty": ((), {}),
    "shape": tf.TensorShape([None, 3]), "unknown": tf.TensorShape(None), "dtype": tf.int64,
    "spec": tf.TensorSpec([None, 2], tf.float32, "x"),
    "bounded": tensor_spec.BoundedTensorSpec([2], tf.int32, 1, 5, "y"),
    "ragged": tf.RaggedTensorSpec([None, None], tf.string, 1, tf.int32),
    "sparse": tf.SparseTensorSpec([None, 5], tf.float32),
    "dataset": tf.data.DatasetSpec(tf.TensorSpec([], tf.int64)),
    "slices": tf.IndexedSlicesSpec([2], tf.float32),
}
out.update({key: coder.encode_structure(v).SerializeToString() for key, v in values.items()})
"""


def shape(*dims: int | None) -> Shape:
    return Shape(dims)


@pytest.fixture(scope="module")
def decoded(oracle: Oracle) -> dict[str, Any]:
    answers = oracle.python(ENCODE)
    return {
        key: decode_structure(pb.StructuredValue.FromString(data)) for key, data in answers.items()
    }


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("none", None),
        ("float", 1.5),
        ("int", -7),
        ("big", -(1 << 40)),
        ("str", "é"),
        ("bool", True),
        ("list", [1, [2.0, None]]),
        ("tuple", (1, ("a",))),
        ("dict", {"a": 1, "x": {"y": [3]}}),
        ("named", NamedTuple("Pair", {"b": 1, "a": (2,)})),
        ("empty", ((), {})),
        ("shape", shape(None, 3)),
        ("unknown", Shape(None)),
        ("dtype", TypeNumber(9)),
        ("spec", TensorSpec(shape(None, 2), TypeNumber(1), "x")),
        (
            "ragged",
            TypeSpec(
                "ragged_tensor",
                "RaggedTensorSpec",
                (shape(None, None), TypeNumber(7), 1, TypeNumber(3)),
                2,
            ),
        ),
        (
            "sparse",
            TypeSpec("sparse_tensor", "SparseTensorSpec", (shape(None, 5), TypeNumber(1)), 3),
        ),
    ],
)
def test_structure(decoded: dict[str, Any], key: str, wanted: Any) -> None:
    assert decoded[key] == wanted
    assert type(decoded[key]) is type(wanted)


def test_dictionaries_are_in_sorted_order(decoded: dict[str, Any]) -> None:
    assert list(decoded["dict"]) == ["a", "x"]


def test_bounded_spec(decoded: dict[str, Any]) -> None:
    spec = decoded["bounded"]
    assert isinstance(spec, BoundedTensorSpec)
    assert (spec.shape, spec.dtype, spec.name) == (shape(2), TypeNumber(3), "y")
    assert (to_numpy(spec.minimum).tolist(), to_numpy(spec.maximum).tolist()) == (1, 5)


def test_other_specs_name_their_kind(decoded: dict[str, Any]) -> None:
    assert decoded["dataset"].kind == "dataset"
    assert decoded["slices"].kind == "indexed_slices"


def test_a_value_without_a_kind_is_told_apart_from_none() -> None:
    assert decode_structure(pb.StructuredValue()) == Empty()
