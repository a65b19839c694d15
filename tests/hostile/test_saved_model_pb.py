"""Attacks on saved_model.pb: cut, flipped, foreign, nested too deep, pointing nowhere."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from hozon.errors import FormatError, HozonError, UnsupportedError
from hozon.formats.protos import saved_model_pb2 as pb
from hozon.formats.protos.graph import NodeDef, TensorRecord
from hozon.formats.protos.saved_model import (
    DECODERS,
    SavedModelRecord,
    decode_saved_model,
    decode_saved_model_text,
)
from hozon.formats.protos.tensorproto import to_numpy
from hozon.formats.protos.trackable import decode_trackable_graph
from hozon.objects.graph import match, paths
from tests.conftest import shared_folder

NODES: list[dict[str, Any]] = [
    {"name": "x", "op": "Placeholder", "attr": {"dtype": {"type": 1}, "shape": {"shape": {}}}},
    {
        "name": "c",
        "op": "Const",
        "attr": {
            "value": {
                "tensor": {
                    "dtype": 1,
                    "tensor_shape": {"dim": [{"size": 3}]},
                    "float_val": [1.0, 2.0],
                }
            }
        },
    },
    {
        "name": "y",
        "op": "PartitionedCall",
        "input": ["x", "^c"],
        "attr": {"f": {"func": {"name": "f"}}, "Tin": {"list": {"type": [1]}}},
    },
]
SPEC = {"tensor_spec_value": {"name": "x", "dtype": 1, "shape": {"dim": [{"size": -1}]}}}
OBJECTS: list[dict[str, Any]] = [
    {
        "children": [{"node_id": 1, "local_name": "v"}, {"node_id": 2, "local_name": "f"}],
        "user_object": {"identifier": "_tf_keras_layer", "metadata": "{}"},
    },
    {"variable": {"dtype": 1, "name": "v", "shape": {"dim": [{"size": 3}]}}},
    {
        "function": {
            "concrete_functions": ["f"],
            "function_spec": {"fullargspec": {"tuple_value": {"values": [SPEC]}}},
        }
    },
]


def model(**fields: Any) -> bytes:
    meta = {
        "meta_info_def": {"tags": ["serve"], "tensorflow_version": "2.15.0"},
        "graph_def": {
            "node": NODES,
            "versions": {"producer": 1645},
            "library": {
                "function": [
                    {
                        "signature": {"name": "f", "output_arg": [{"name": "o", "type": 1}]},
                        "node_def": NODES[:2],
                        "ret": {"o": "x:output:0"},
                    }
                ]
            },
        },
        "signature_def": {
            "serving_default": {
                "inputs": {"x": {"name": "x:0", "dtype": 1}},
                "method_name": "m",
            }
        },
        "object_graph_def": {
            "nodes": OBJECTS,
            "concrete_functions": {"f": {"bound_inputs": [1], "output_signature": SPEC}},
        },
        **fields,
    }
    message = pb.SavedModel(saved_model_schema_version=1, meta_graphs=[meta])
    encoded: bytes = message.SerializeToString()
    return encoded


def read_everything(record: SavedModelRecord) -> int:
    """Decode all that is lazy, constants too; returns how many attributes there were."""
    count = 0
    for meta in record.meta_graphs:
        graph = meta.object_graph
        if graph is not None:
            list(graph.nodes), list(graph.concrete_functions.values())
            paths(graph.nodes)
            match(graph.nodes, graph.nodes)
        for nodes in (meta.graph.nodes, *(f.nodes for f in meta.graph.library.values())):
            count += sum(map(read_attributes, nodes))
    return count


def read_attributes(node: NodeDef) -> int:
    for value in node.attrs.values():
        if isinstance(value, TensorRecord):
            to_numpy(value)
    return len(node.attrs)


def survives(data: bytes) -> bool:
    """Whether the bytes decode; they may also raise a HozonError, but nothing else."""
    try:
        read_everything(decode_saved_model(data))
    except HozonError:
        return False
    return True


def small_models() -> list[bytes]:
    """Ours, and the smallest recorded ones."""
    recorded = [p.read_bytes() for p in shared_folder().glob("wild/models/*/saved_model.pb")]
    return [model(), *sorted(recorded, key=len)[:4]]


def test_the_model_itself_is_sound() -> None:
    record = decode_saved_model(model())
    assert read_everything(record) == 8
    assert record.meta_graphs[0].signatures["serving_default"].inputs["x"].name == "x:0"


@pytest.mark.parametrize("length", [0, 1, 2, 3, 10, 100, -100, -2, -1])
def test_cut_short(length: int) -> None:
    with pytest.raises(FormatError) as caught:
        decode_saved_model(model()[:length], file="some/saved_model.pb")
    assert "some/saved_model.pb" in str(caught.value)


def test_flipped_bits_raise_nothing_but_our_errors() -> None:
    chance = random.Random(7)
    outcomes = []
    for data in small_models():
        for _ in range(250):
            damaged = bytearray(data)
            for _ in range(chance.randint(1, 4)):
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
            outcomes.append(survives(bytes(damaged)))
    assert not all(outcomes)
    assert any(outcomes)


def test_overwritten_stretches_raise_nothing_but_our_errors() -> None:
    chance = random.Random(8)
    for data in small_models():
        for _ in range(50):
            start = chance.randrange(len(data))
            stretch = chance.randbytes(chance.randint(1, 40))
            assert survives(data[:start] + stretch + data[start + len(stretch) :]) in (True, False)


FOREIGN: dict[str, tuple[bytes, str]] = {
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(200), "HDF5"),
    "zip": (b"PK\x03\x04" + bytes(200), "zip"),
    "gzip": (b"\x1f\x8b\x08" + bytes(50), "gzip"),
    "tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(200), "TensorFlow Lite"),
    "pickle": (b"\x80\x04\x95" + bytes(50), "pickle"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    "pbtxt": (b"saved_model_schema_version: 1\nmeta_graphs {\n}\n", "text form"),
    "json": (b'{"class_name": "Model"}', "JSON"),
    "html": (b"<!DOCTYPE html>\n<html></html>", "HTML"),
    "text": (b"hello, world\n", "text"),
    "zeros": (bytes(1000), "zeros"),
    "graph": (
        pb.MetaGraphDef(graph_def={"node": NODES}).graph_def.SerializeToString(),
        "GraphDef",
    ),
    "meta": (
        pb.MetaGraphDef(
            meta_info_def={"tensorflow_version": "1.4.0"}, graph_def={"node": NODES}
        ).SerializeToString(),
        "MetaGraphDef",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_named(name: str) -> None:
    data, word = FOREIGN[name]
    with pytest.raises(FormatError) as caught:
        decode_saved_model(data, file="model/saved_model.pb")
    assert word in str(caught.value)
    assert "model/saved_model.pb" in str(caught.value)


def test_random_bytes() -> None:
    chance = random.Random(9)
    for length in (1, 10, 100, 10_000):
        with pytest.raises(FormatError):
            decode_saved_model(chance.randbytes(length))


def wrapped(field: int, payload: bytes) -> bytes:
    """A length-delimited field: its tag, its length, its bytes."""
    length, size = [], len(payload)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    tag = field << 3 | 2
    head = bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])
    return head + bytes([*length, size]) + payload


@pytest.mark.parametrize("depth", [60, 10_000])
def test_nesting_too_deep(depth: int) -> None:
    """Lists within lists, in a function's output signature."""
    value = b""
    for _ in range(depth):
        value = wrapped(51, wrapped(1, value))
    function = wrapped(1, b"f") + wrapped(2, wrapped(4, value))
    graph = wrapped(7, wrapped(2, function))
    with pytest.raises(FormatError):
        read_everything(decode_saved_model(b"\x08\x01" + wrapped(2, graph)))


def test_nested_attribute_functions_too_deep() -> None:
    value = b""
    for _ in range(5000):
        value = wrapped(10, wrapped(2, wrapped(2, value)))
    node = wrapped(5, wrapped(1, b"f") + wrapped(2, value))
    with pytest.raises(FormatError):
        decode_saved_model(b"\x08\x01" + wrapped(2, wrapped(2, wrapped(1, node))))


@pytest.mark.parametrize("node", [-1, 3, 2**31 - 1])
@pytest.mark.parametrize(
    "place",
    [
        lambda n: {"children": [{"node_id": n, "local_name": "a"}]},
        lambda n: {"dependencies": [{"node_id": n, "local_name": "a"}]},
        lambda n: {"slot_variables": [{"original_variable_node_id": n}]},
        lambda n: {"slot_variables": [{"slot_variable_node_id": n}]},
        lambda n: {"saveable_objects": {"a": {"save_function": n}}},
        lambda n: {"saveable_objects": {"a": {"restore_function": n}}},
    ],
)
def test_objects_that_point_nowhere(place: Any, node: int) -> None:
    graph = {"nodes": [*OBJECTS[:2], place(node)]}
    record = decode_saved_model(model(object_graph_def=graph), file="m.pb")
    with pytest.raises(FormatError, match="does not exist") as caught:
        read_everything(record)
    assert caught.value.file == "m.pb"


def test_bound_inputs_that_point_nowhere() -> None:
    graph = {"nodes": OBJECTS, "concrete_functions": {"f": {"bound_inputs": [3]}}}
    with pytest.raises(FormatError, match="does not exist"):
        read_everything(decode_saved_model(model(object_graph_def=graph)))


def test_objects_in_a_circle() -> None:
    ring = [{"children": [{"node_id": (i + 1) % 500, "local_name": "n"}]} for i in range(500)]
    record = decode_saved_model(model(object_graph_def={"nodes": ring}))
    read_everything(record)
    assert record.meta_graphs[0].object_graph is not None
    assert len(paths(record.meta_graphs[0].object_graph.nodes)) == 500


def test_a_long_chain_of_objects_needs_no_recursion() -> None:
    chain = [{"children": [{"node_id": i + 1, "local_name": "n"}]} for i in range(2000)]
    record = decode_saved_model(model(object_graph_def={"nodes": [*chain, {}]}))
    assert record.meta_graphs[0].object_graph is not None
    assert len(paths(record.meta_graphs[0].object_graph.nodes)[2000]) == 2000


def test_a_huge_constant_takes_no_memory_before_it_is_refused() -> None:
    tensor = {"dtype": 1, "tensor_shape": {"dim": [{"size": 1 << 40}]}, "float_val": [1.0, 2.0]}
    node = {"name": "c", "op": "Const", "attr": {"value": {"tensor": tensor}}}
    record = decode_saved_model(model(graph_def={"node": [node]}))
    tracemalloc.start()
    with pytest.raises(FormatError):
        read_everything(record)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_declared_length_beyond_the_file() -> None:
    with pytest.raises(FormatError):
        decode_saved_model(b"\x08\x01\x12\xff\xff\xff\xff\x07" + b"abc")


def test_newer_schema_and_chunks_are_unsupported() -> None:
    message = pb.SavedModel.FromString(model())
    message.saved_model_schema_version = 2
    with pytest.raises(UnsupportedError, match="schema"):
        decode_saved_model(message.SerializeToString())
    with pytest.raises(UnsupportedError, match="chunks"):
        DECODERS["saved_model.cpb"](b"", file="saved_model.cpb")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"meta_graphs {",
        b"\xff\xfe",
        b"meta_graphs { meta_info_def { tags: 3 } }",
        b"meta_graphs { object_graph_def { nodes { " + b"children { " * 5000,
    ],
)
def test_bad_text(text: bytes) -> None:
    with pytest.raises(FormatError):
        decode_saved_model_text(text)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"\x0a\x02\x0a\x00\xff", struct.pack("<Q", 12345), model()[:50]],
    ids=range(5),
)
def test_checkpoint_object_graph(data: bytes) -> None:
    with pytest.raises(FormatError):
        list(decode_trackable_graph(data, file=str(Path("x.index"))).nodes)
