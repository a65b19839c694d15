"""The calls of functional models in every form they were written in."""

from __future__ import annotations

from typing import Any

import pytest

from hozon.config.nodes import first_nodes, keys_in, upgraded_call, upgraded_ends
from hozon.errors import FormatError

NAMES = frozenset({"a", "b"})


def same(key: Any) -> Any:
    return key


def ref(name: str, node: int = 0, tensor: int = 0) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, node, tensor]}}


@pytest.mark.parametrize(
    ("call", "args", "kwargs"),
    [
        ([["a", 0, 0, {}]], [ref("a")], {}),
        ([["a", 0, 0]], [ref("a")], {}),  # Keras 1
        (["a", 0, 0, {"axis": 1}], [ref("a")], {"axis": 1}),
        ([["a", 0, 0, {}], ["b", 1, 2, {}]], [[ref("a"), ref("b", 1, 2)]], {}),
        (
            [["a", 0, 0, {"value": ["b", 0, 0], "use": True}]],
            [ref("a")],
            {"value": ref("b"), "use": True},
        ),
        (
            [["a", 0, 0, {"initial_state": [["b", 0, 0], ["b", 0, 1]]}]],
            [ref("a")],
            {"initial_state": [ref("b"), ref("b", 0, 1)]},
        ),
        (["_CONSTANT_VALUE", -1, 2.5, {"y": ["a", 0, 0]}], [2.5], {"y": ref("a")}),
        ([["a", 0, 0, {"y": ["_CONSTANT_VALUE", -1, [1, 2], None]}]], [ref("a")], {"y": [1, 2]}),
        ({"x": ["a", 0, 0, {}], "z": ["b", 0, 0, {}]}, [{"x": ref("a"), "z": ref("b")}], {}),
        ([["a", 0, 0, {"perm": ["c", 0, 0]}]], [ref("a")], {"perm": ["c", 0, 0]}),
        ([["a", 0, 0, {"mask": None}]], [ref("a")], {}),
        ({"args": [ref("a"), 3], "kwargs": {"k": ref("b")}}, [ref("a"), 3], {"k": ref("b")}),
    ],
)
def test_call_forms(call: Any, args: Any, kwargs: Any) -> None:
    assert upgraded_call(call, NAMES, same) == {"args": args, "kwargs": kwargs}


def test_unknown_layer_is_an_error() -> None:
    with pytest.raises(FormatError, match="'nobody'"):
        upgraded_call([["nobody", 0, 0, {}]], NAMES, same)


def test_text_where_a_tensor_belongs_is_an_error() -> None:
    with pytest.raises(FormatError, match="where a tensor belongs"):
        upgraded_call([["a", 0, 0, {}], "b"], NAMES, same)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (["a", 0, 0], ["a", 0, 0]),
        ([["a", 0, 0], ["b", 1, 0]], [["a", 0, 0], ["b", 1, 0]]),
        ({"x": ["a", 0, 0]}, {"x": ["a", 0, 0]}),
    ],
)
def test_ends(ends: Any, expected: Any) -> None:
    assert upgraded_ends(ends, same) == expected


def test_model_used_as_a_layer_starts_at_node_1() -> None:
    entries = [
        {"name": "x", "inbound_nodes": []},
        {"name": "inner", "inbound_nodes": [[["x", 0, 0, {}]], [["x", 0, 0, {}]]]},
        {"name": "sum", "inbound_nodes": [[["inner", 1, 0, {}], ["inner", 2, 0, {}]]]},
    ]
    config = {"input_layers": [["x", 0, 0]], "output_layers": [["sum", 0, 0]]}
    assert first_nodes(entries, config) == {"x": 0, "inner": 1, "sum": 0}


def test_keys_are_found_in_kwargs_too() -> None:
    assert list(keys_in([["a", 0, 0, {"y": ["b", 1, 2]}]])) == [("a", 0, 0), ("b", 1, 2)]
