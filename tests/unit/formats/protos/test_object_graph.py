"""The kinds of object in a SavedModel's and a checkpoint's object graph."""

from __future__ import annotations

from typing import Any

import pytest

from hozon.formats.protos import object_graph_pb2 as pb
from hozon.formats.protos import trackable_pb2
from hozon.formats.protos.object_graph import (
    Asset,
    BareConcreteFunction,
    CapturedTensor,
    Constant,
    Function,
    FunctionSpec,
    Resource,
    SaveableFunctions,
    SavedNode,
    UserObject,
    Variable,
    Version,
    decode_object_graph,
)
from hozon.formats.protos.struct import Empty
from hozon.formats.protos.tensor import Shape, TypeNumber
from hozon.formats.protos.trackable import (
    Edge,
    RegisteredSaver,
    SavedTensor,
    SlotVariable,
    decode_trackable_graph,
)


def node(**fields: Any) -> SavedNode:
    return decode_object_graph(pb.SavedObjectGraph(nodes=[fields, {}, {}])).nodes[0]


@pytest.mark.parametrize(
    ("fields", "payload"),
    [
        (
            {
                "user_object": {
                    "identifier": "_tf_keras_model",
                    "metadata": "{}",
                    "version": {"producer": 2, "min_consumer": 1},
                }
            },
            UserObject("_tf_keras_model", Version(2, 1), "{}"),
        ),
        ({"asset": {"asset_file_def_index": 3}}, Asset(3)),
        ({"function": {"concrete_functions": ["f", "g"]}}, Function(("f", "g"), None)),
        (
            {"function": {"function_spec": {"is_method": True, "jit_compile": 2}}},
            Function((), FunctionSpec(Empty(), True, Empty(), False)),
        ),
        (
            {
                "bare_concrete_function": {
                    "concrete_function_name": "f",
                    "argument_keywords": ["x"],
                    "allowed_positional_arguments": 1,
                }
            },
            BareConcreteFunction("f", ("x",), 1, None),
        ),
        (
            {
                "variable": {
                    "dtype": 14,
                    "shape": {"unknown_rank": True},
                    "name": "v",
                    "trainable": True,
                    "synchronization": 2,
                    "aggregation": 1,
                    "device": "d",
                    "experimental_distributed_variable_components": [{"name": "v/0"}],
                }
            },
            Variable(
                TypeNumber(14),
                Shape(None),
                True,
                2,
                1,
                "v",
                "d",
                (Variable(TypeNumber(0), Shape(()), False, 0, 0, "v/0", ""),),
            ),
        ),
        ({"constant": {"operation": "Const_1"}}, Constant("Const_1")),
        ({"resource": {"device": "/cpu:0"}}, Resource("/cpu:0")),
        ({"captured_tensor": {"name": "t", "concrete_function": "f"}}, CapturedTensor("t", "f")),
        ({}, None),
    ],
    ids=lambda value: next(iter(value), "none") if isinstance(value, dict) else "",
)
def test_payloads(fields: dict[str, Any], payload: Any) -> None:
    found = node(**fields)
    assert found.payload == payload
    assert found.kind == next(iter(fields), "")


def test_what_every_object_may_have() -> None:
    found = node(
        children=[{"node_id": 1, "local_name": "a"}],
        dependencies=[{"node_id": 2, "local_name": "b"}],
        slot_variables=[
            {"original_variable_node_id": 1, "slot_name": "m", "slot_variable_node_id": 2}
        ],
        saveable_objects={"s": {"save_function": 1, "restore_function": 2}},
        registered_name="Custom",
        registered_saver="saver",
        serialized_user_proto={"type_url": "u", "value": b"x"},
    )
    assert found.children == (Edge("a", 1),)
    assert found.dependencies == (Edge("b", 2),)
    assert found.slot_variables == (SlotVariable(1, "m", 2),)
    assert found.saveables == {"s": SaveableFunctions(1, 2)}
    assert (found.registered_name, found.registered_saver) == ("Custom", "saver")
    assert found.user_proto == ("u", b"x")


def test_checkpoint_graph() -> None:
    message = trackable_pb2.TrackableObjectGraph(
        nodes=[
            {
                "children": [{"node_id": 1, "local_name": "v"}],
                "has_checkpoint_values": {"value": True},
                "registered_saver": {"name": "n", "object_name": "o"},
            },
            {"attributes": [{"name": "VARIABLE_VALUE", "full_name": "v", "checkpoint_key": "k"}]},
        ]
    )
    root, variable = decode_trackable_graph(message.SerializeToString()).nodes
    assert root.children == (Edge("v", 1),)
    assert (root.has_values, variable.has_values) == (True, None)
    assert root.registered_saver == RegisteredSaver("n", "o")
    assert variable.tensors == (SavedTensor("VARIABLE_VALUE", "v", "k"),)
