"""What a saved_model.pb may hold beyond what the recorded ones do."""

from __future__ import annotations

from typing import Any

import pytest

from hozon.errors import FormatError
from hozon.formats.protos import saved_model_pb2 as pb
from hozon.formats.protos.collection import Collection, SaveSlice, VariableDef
from hozon.formats.protos.fingerprint import decode_fingerprint
from hozon.formats.protos.saved_model import (
    MetaGraph,
    decode_saved_model,
    decode_saved_model_text,
    parse_meta_graph,
)
from hozon.formats.protos.tensor import Shape, TensorRecord, TypeNumber
from tests.oracle.client import Oracle

TEXT = """
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2
message = saved_model_pb2.SavedModel()
message.ParseFromString(data)
out["text"] = text_format.MessageToString(message).encode()
"""
SAVE = """
import tempfile, os
class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.v = tf.Variable([1.0, 2.0], name="v")
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(["a"], [1]), -1)
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def __call__(self, x):
        return {"y": x * self.v[0], "n": self.table.size()}
folder = tempfile.mkdtemp()
module = Module()
tf.saved_model.save(module, folder, module.__call__)
out["data"] = open(os.path.join(folder, "saved_model.pb"), "rb").read()
out["fingerprint"] = open(os.path.join(folder, "fingerprint.pb"), "rb").read()
"""


def meta_graph(**fields: Any) -> MetaGraph:
    message = pb.SavedModel(saved_model_schema_version=1, meta_graphs=[fields])
    return decode_saved_model(message.SerializeToString()).meta_graphs[0]


@pytest.fixture(scope="module")
def saved(oracle: Oracle) -> dict[str, Any]:
    return oracle.python(SAVE)


def test_text_form_equals_binary_form(oracle: Oracle, saved: dict[str, Any]) -> None:
    """TensorFlow's own text of a SavedModel, with all the fields that Hozon does not know."""
    text = oracle.python(TEXT, data=saved["data"])["text"]
    record, again = decode_saved_model(saved["data"]), decode_saved_model_text(text)
    assert record.meta_graphs[0].graph.nodes
    assert again == record


def test_fingerprint(saved: dict[str, Any]) -> None:
    found = decode_fingerprint(saved["fingerprint"])
    assert found.uuid
    assert found.producer > 0
    assert 0 not in (found.graph, found.checkpoint, found.saved_model)


def test_no_meta_graph() -> None:
    with pytest.raises(FormatError, match="no meta graph"):
        decode_saved_model(pb.SavedModel(saved_model_schema_version=1).SerializeToString())


def test_several_meta_graphs() -> None:
    tags = [{"meta_info_def": {"tags": ["serve"]}}, {"meta_info_def": {"tags": ["serve", "tpu"]}}]
    message = pb.SavedModel(saved_model_schema_version=1, meta_graphs=tags)
    record = decode_saved_model(message.SerializeToString())
    assert [meta.tags for meta in record.meta_graphs] == [("serve",), ("serve", "tpu")]


def test_absent_parts_are_none() -> None:
    meta = meta_graph(graph_def={})
    assert meta.saver is None
    assert meta.object_graph is None
    assert meta_graph(object_graph_def={}).object_graph is not None


def test_collections() -> None:
    variable = pb.VariableDef(
        variable_name="v:0",
        initial_value_name="i:0",
        initializer_name="v/Assign",
        snapshot_name="v/read:0",
        trainable=True,
        save_slice_info_def={
            "full_name": "v",
            "full_shape": [4],
            "var_offset": [2],
            "var_shape": [2],
        },
    )
    found = meta_graph(
        collection_def={
            "variables": {"bytes_list": {"value": [variable.SerializeToString()]}},
            "ops": {"node_list": {"value": ["a", "b"]}},
            "bytes": {"bytes_list": {"value": [b"x"]}},
            "ints": {"int64_list": {"value": [1]}},
            "floats": {"float_list": {"value": [0.5]}},
            "saved_model_assets": {"any_list": {"value": [{"type_url": "u", "value": b"v"}]}},
            "none": {},
        }
    ).collections
    whole = VariableDef(
        "v:0", "i:0", "v/Assign", "v/read:0", False, True, SaveSlice("v", (4,), (2,), (2,))
    )
    assert found == {
        "bytes": Collection("bytes", (b"x",)),
        "floats": Collection("floats", (0.5,)),
        "ints": Collection("ints", (1,)),
        "none": Collection("", ()),
        "ops": Collection("nodes", ("a", "b")),
        "saved_model_assets": Collection("protos", (("u", b"v"),)),
        "variables": Collection("variables", (whole,)),
    }


def test_composite_and_sparse_inputs() -> None:
    sparse = {
        "values_tensor_name": "v:0",
        "indices_tensor_name": "i:0",
        "dense_shape_tensor_name": "s:0",
    }
    ragged = {
        "type_spec": {"type_spec_class": 3, "type_state": {"none_value": {}}},
        "components": [{"name": "a:0", "dtype": 1}, {"name": "b:0", "dtype": 9}],
    }
    signature = meta_graph(
        signature_def={
            "f": {
                "inputs": {
                    "s": {"coo_sparse": sparse, "dtype": 1},
                    "r": {"composite_tensor": ragged},
                    "d": {"name": "d:0", "dtype": 3, "tensor_shape": {"unknown_rank": True}},
                },
                "defaults": {"d": {"dtype": 3, "int_val": [4]}},
            }
        }
    ).signatures["f"]
    assert signature.inputs["s"].sparse is not None
    assert signature.inputs["s"].sparse.indices == "i:0"
    composite = signature.inputs["r"].composite
    assert composite is not None
    assert composite.type_spec.kind == "ragged_tensor"
    assert [part.name for part in composite.components] == ["a:0", "b:0"]
    assert signature.inputs["d"].shape == Shape(None)
    assert signature.defaults == {"d": TensorRecord(TypeNumber(3), Shape(()), b"", (4,))}


def test_assets_and_aliases() -> None:
    meta = meta_graph(
        asset_file_def=[{"filename": "vocab.txt", "tensor_info": {"name": "Const:0"}}],
        meta_info_def={"function_aliases": {"__inference_f_1": "f"}},
    )
    assert [(a.filename, a.tensor.name) for a in meta.assets] == [("vocab.txt", "Const:0")]
    assert meta.function_aliases == {"__inference_f_1": "f"}


def test_meta_file_of_a_checkpoint() -> None:
    message = pb.MetaGraphDef(meta_info_def={"tensorflow_version": "1.4.0"}, saver_def={})
    meta = parse_meta_graph(message.SerializeToString())
    assert meta.tensorflow_version == "1.4.0"
    assert meta.saver is not None
