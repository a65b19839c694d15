"""Walking and matching object graphs."""

from __future__ import annotations

from typing import Any

from hozon.formats.protos.trackable import Edge, SavedTensor, SlotVariable, TrackableNode
from hozon.objects.graph import (
    children,
    follow,
    match,
    path_names,
    paths,
    slots,
    tensor_owners,
)


def node(*edges: tuple[str, int], slots: Any = (), tensors: Any = ()) -> TrackableNode:
    return TrackableNode(
        tuple(Edge(*edge) for edge in edges),
        tuple(SavedTensor(key.split("/")[-1], "", key) for key in tensors),
        tuple(SlotVariable(*slot) for slot in slots),
        None,
        None,
    )


DIAMOND = [node(("a", 1), ("b", 2)), node(("x", 3)), node(("x", 3), ("c", 0)), node(), node()]


def test_paths_are_the_shortest_and_the_first() -> None:
    assert paths(DIAMOND) == {0: (), 1: ("a",), 2: ("b",), 3: ("a", "x")}
    assert list(paths(DIAMOND)) == [0, 1, 2, 3]
    assert paths(DIAMOND, 2) == {2: (), 3: ("x",), 0: ("c",), 1: ("c", "a")}
    assert paths([]) == {}


def test_path_names_are_escaped() -> None:
    assert path_names([node(("a/b.c", 1)), node()]) == {0: "", 1: "a.Sb..c"}


def test_follow() -> None:
    assert follow(DIAMOND, ("b", "c", "a", "x")) == 3
    assert follow(DIAMOND, ()) == 0
    assert follow(DIAMOND, ("a", "no", "x")) is None
    assert follow([], ()) is None
    assert children(DIAMOND[2]) == {"x": 3, "c": 0}


def test_match_goes_by_names_and_ignores_what_is_not_in_both() -> None:
    ours = [node(("b", 1), ("mine", 3)), node(("x", 2)), node(), node()]
    assert match(ours, DIAMOND) == {0: 0, 1: 2, 2: 3}
    assert match([], DIAMOND) == {}


def test_match_pairs_slot_variables() -> None:
    ours = [node(("opt", 1), ("v", 2)), node(slots=[(2, "m", 3)]), node(), node()]
    theirs = [
        node(("v", 1), ("opt", 2)),
        node(),
        node(slots=[(1, "v", 3), (1, "m", 4)]),
        node(),
        node(),
    ]
    assert match(ours, theirs) == {0: 0, 1: 2, 2: 1, 3: 4}
    assert [(i, s.name) for i, s in slots(theirs)] == [(2, "v"), (2, "m")]


def test_tensors_of_a_group_belong_to_the_object_that_saved_it() -> None:
    stored = [
        node(tensors=["a/.ATTRIBUTES/VARIABLE_VALUE"]),
        node(tensors=["t/.ATTRIBUTES/table"]),
        node(tensors=["u/.ATTRIBUTES/"]),
    ]
    keys = [
        "a/.ATTRIBUTES/VARIABLE_VALUE",
        "t/.ATTRIBUTES/table-keys",
        "u/.ATTRIBUTES/table-keys",
        "b/.ATTRIBUTES/VARIABLE_VALUE",
        "global_step",
    ]
    assert tensor_owners(stored, keys) == {keys[0]: 0, keys[1]: 1, keys[2]: 2}
