"""Graphs, attributes and functions."""

from __future__ import annotations

from typing import Any

import pytest

from hozon.errors import FormatError
from hozon.formats.protos import graph_pb2 as pb
from hozon.formats.protos.graph import (
    AttrPlaceholder,
    FunctionRef,
    GraphDef,
    Shape,
    TensorRecord,
    TypeNumber,
    decode_attr,
    decode_function,
    decode_graph,
    parse_graph,
)


def attr(**fields: Any) -> Any:
    return decode_attr(pb.AttrValue(**fields))


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"s": b"x"}, b"x"),
        ({"i": -1}, -1),
        ({"f": 0.5}, 0.5),
        ({"b": False}, False),
        ({"type": 9}, TypeNumber(9)),
        ({"type": 1234}, TypeNumber(1234)),
        ({"shape": {"dim": [{"size": -1}, {"size": 2}]}}, Shape((None, 2))),
        ({"shape": {}}, Shape(())),
        ({"shape": {"unknown_rank": True}}, Shape(None)),
        ({"placeholder": "T"}, AttrPlaceholder("T")),
        ({"func": {"name": "f"}}, FunctionRef("f", {})),
        ({"list": {}}, ()),
        ({"list": {"i": [1, 2]}}, (1, 2)),
        ({"list": {"type": [1]}}, (TypeNumber(1),)),
        ({"list": {"func": [{"name": "f"}]}}, (FunctionRef("f", {}),)),
        (
            {"tensor": {"dtype": 3, "int_val": [4]}},
            TensorRecord(TypeNumber(3), Shape(()), b"", (4,)),
        ),
        ({}, None),
    ],
    ids=str,
)
def test_attributes(fields: dict[str, Any], wanted: Any) -> None:
    value = attr(**fields)
    assert value == wanted
    assert type(value) is type(wanted)


def test_types_in_lists_are_told_apart_from_integers() -> None:
    assert isinstance(attr(list={"type": [1]})[0], TypeNumber)
    assert not isinstance(attr(list={"i": [1]})[0], TypeNumber)


def test_negative_sizes_are_refused() -> None:
    with pytest.raises(FormatError, match="negative"):
        attr(shape={"dim": [{"size": -2}]})


FUNCTION: dict[str, Any] = {
    "signature": {
        "name": "f",
        "input_arg": [
            {"name": "x", "type_attr": "T"},
            {"name": "v", "type": 20, "handle_data": [{"dtype": 1, "shape": {}}]},
        ],
        "output_arg": [{"name": "y", "type": 1}],
        "control_output": ["done"],
    },
    "node_def": [{"name": "n", "op": "Neg", "input": ["x", "^m"], "attr": {"T": {"type": 1}}}],
    "ret": {"y": "n:y:0"},
    "control_ret": {"done": "n"},
    "attr": {"T": {"type": 1}},
    "arg_attr": {0: {"attr": {"_user_specified_name": {"s": b"x"}}}},
    "resource_arg_unique_id": {1: 0},
}


def graph(*functions: dict[str, Any], **fields: Any) -> GraphDef:
    return decode_graph(pb.GraphDef(library={"function": functions, **fields}), "g.pb")


def test_function() -> None:
    function = graph(FUNCTION).library["f"]
    assert [(a.name, a.type) for a in function.inputs] == [("x", 1), ("v", 20)]
    assert function.inputs[1].handle_data == ((TypeNumber(1), Shape(())),)
    assert function.nodes[0].inputs == ("x", "^m")
    assert function.nodes[-1].attrs == {"T": TypeNumber(1)}
    assert function.ret == {"y": "n:y:0"}
    assert function.control_ret == {"done": "n"}
    assert function.arg_attrs[0]["_user_specified_name"] == b"x"
    assert function.resource_arg_unique_ids == {1: 0}


def test_looking_for_an_attribute_does_not_make_it() -> None:
    attrs = graph(FUNCTION).library["f"].nodes[0].attrs
    assert "no" not in attrs
    assert attrs.get("no") is None
    with pytest.raises(KeyError):
        attrs["no"]
    assert list(attrs) == ["T"]


def test_gradients() -> None:
    found = graph(
        gradient=[{"function_name": "f", "gradient_func": "g"}],
        registered_gradients=[{"gradient_func": "h", "registered_op_type": "Custom-1"}],
    ).library
    assert found.gradients == {"f": "g"}
    assert found.registered_gradients == {"Custom-1": "h"}


def test_two_different_functions_of_one_name_are_refused() -> None:
    with pytest.raises(FormatError, match="twice") as caught:
        graph(FUNCTION, {**FUNCTION, "ret": {"y": "n:y:1"}})
    assert (caught.value.file, caught.value.record) == ("g.pb", "f")


def test_a_function_may_be_repeated() -> None:
    assert list(graph(FUNCTION, FUNCTION).library) == ["f"]


def test_a_result_without_a_value_is_refused_with_its_file() -> None:
    library = graph({**FUNCTION, "ret": {}}).library
    with pytest.raises(FormatError, match="'y'") as caught:
        library["f"]
    assert (caught.value.file, caught.value.record) == ("g.pb", "f")
    with pytest.raises(FormatError):
        decode_function(pb.FunctionDef(**{**FUNCTION, "ret": {}}))


def test_old_graphs_state_their_version_in_another_field() -> None:
    assert decode_graph(pb.GraphDef(version=12)).producer == 12
    assert decode_graph(pb.GraphDef(version=12, versions={"producer": 24})).producer == 24


def test_parse_graph() -> None:
    data = pb.GraphDef(node=[{"name": "a", "op": "NoOp"}]).SerializeToString()
    assert parse_graph(data).nodes[0].op == "NoOp"
    with pytest.raises(FormatError):
        parse_graph(data[:-1])
