"""Messages written from records: a real file decoded and encoded again says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hozon.formats.protos import graph_pb2, keras_metadata_pb2, saved_model_pb2
from hozon.formats.protos.fingerprint import decode_fingerprint, encode_fingerprint
from hozon.formats.protos.keras_metadata import decode_keras_metadata, encode_keras_metadata
from hozon.formats.protos.saved_model import decode_saved_model, encode_saved_model
from hozon.formats.protos.struct import decode_structure, encode_structure
from hozon.formats.protos.tensor import Shape, TypeNumber, encode_tensor, parse_tensor
from hozon.formats.protos.tensorproto import from_numpy, to_numpy
from hozon.formats.protos.trackable import decode_trackable_graph, encode_trackable_graph
from tests.oracle.client import Oracle
from tests.wild.recorded import models

SIZE_LIMIT = 3_000_000
SMALL = [
    path
    for path in (recorded.path for recorded in models("savedmodel_keras", "savedmodel_tf2"))
    if (path / "saved_model.pb").is_file() and (path / "saved_model.pb").stat().st_size < SIZE_LIMIT
]


def without_unread_fields(message: saved_model_pb2.SavedModel) -> saved_model_pb2.SavedModel:
    """The message without what records leave out: collections, op lists, typed signatures."""
    message.DiscardUnknownFields()
    for meta_graph in message.meta_graphs:
        meta_graph.collection_def.clear()
        meta_graph.meta_info_def.meta_graph_version = ""
        meta_graph.saver_def.max_to_keep = 0
        meta_graph.saver_def.keep_checkpoint_every_n_hours = 0
        for function in meta_graph.graph_def.library.function:
            _spell_out(function)
    return message


def _spell_out(function: graph_pb2.FunctionDef) -> None:
    del function.signature.attr[:]
    function.signature.control_output.sort()


@pytest.mark.parametrize("path", SMALL, ids=lambda p: p.name)
def test_a_saved_model_says_the_same_again(path: Path) -> None:
    data = (path / "saved_model.pb").read_bytes()
    record = decode_saved_model(data)
    if not any(m.object_graph for m in record.meta_graphs):
        pytest.skip("written by TensorFlow 1: collections and typed signatures are not written")
    expected = without_unread_fields(saved_model_pb2.SavedModel.FromString(data))
    found = saved_model_pb2.SavedModel.FromString(encode_saved_model(record))
    assert found == expected


@pytest.mark.parametrize("path", SMALL, ids=lambda p: p.name)
def test_metadata_and_fingerprint_say_the_same_again(path: Path) -> None:
    metadata, fingerprint = path / "keras_metadata.pb", path / "fingerprint.pb"
    if not metadata.is_file() and not fingerprint.is_file():
        pytest.skip("neither file is there")
    if metadata.is_file():
        data = metadata.read_bytes()
        again = encode_keras_metadata(decode_keras_metadata(data))
        parse = keras_metadata_pb2.KerasMetadata.FromString
        assert parse(again) == parse(data)
    if fingerprint.is_file():
        data = fingerprint.read_bytes()
        parse = saved_model_pb2.FingerprintDef.FromString
        assert parse(encode_fingerprint(decode_fingerprint(data))) == parse(data)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array(3, np.int64),
        np.zeros((0, 4), np.float16),
        np.array([b"a", b"", b"\xff"], object),
        np.array([True, False]),
        np.array([1 + 2j], np.complex64),
    ],
    ids=lambda a: f"{a.dtype}{list(a.shape)}",
)
def test_tensorflow_reads_the_tensors(array: np.ndarray, oracle: Oracle) -> None:
    data = encode_tensor(from_numpy(array)).SerializeToString()
    again = to_numpy(parse_tensor(data))
    np.testing.assert_array_equal(again, array)
    code = """
from tensorflow.core.framework.tensor_pb2 import TensorProto
out["array"] = tf.make_ndarray(TensorProto.FromString(data))"""
    told = oracle.python(code, data=data)["array"]
    assert np.asarray(told).shape == array.shape
    np.testing.assert_array_equal(np.asarray(told), array)


def test_structures_come_back() -> None:
    value = {"a": [1, 2.5, True, None, "x"], "b": (TypeNumber(1), Shape((None, 3)), Shape(None))}
    assert decode_structure(encode_structure(value)) == value


def test_a_trackable_graph_comes_back() -> None:
    path = next((p for p in SMALL if (p / "variables" / "variables.index").is_file()), None)
    if path is None:
        pytest.skip("shared/wild is not there")
    from hozon.containers.savedmodel.read import SavedModel

    graph = SavedModel.read(path).trackable_graph
    if graph is None:
        pytest.skip("the checkpoint has no object graph")
    again = decode_trackable_graph(encode_trackable_graph(graph))
    assert list(again.nodes) == list(graph.nodes)
