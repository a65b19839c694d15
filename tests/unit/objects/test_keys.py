"""Checkpoint keys as TensorFlow spells them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hozon.errors import FormatError
from hozon.objects.keys import Key, escape, parse_key, slot_key, tensor_key, unescape
from tests.oracle.client import Oracle

NAMES = st.text(st.sampled_from("ab./S_-0é"), min_size=1, max_size=8)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(tuple)
PATH_CASES = [("a",), ("a", "b"), ("a/b", "c.d"), (".", "S"), ("..S", "/"), ("layer-0", "é")]

ORACLE = """
from tensorflow.python.trackable import trackable_utils as t
from tensorflow.python.trackable.base import TrackableReference
def path(names):
    return t.object_path_to_string([TrackableReference(n, None) for n in names])
out["keys"] = [t.checkpoint_key(path(names), tensor) for names in cases for tensor in tensors]
slots = [t.slot_variable_key(path(names), path(("opt", "o/1")), "m/v") for names in cases]
out["slots"] = [t.checkpoint_key(slot, "VARIABLE_VALUE") for slot in slots]
"""


def test_keys_are_those_of_tensorflow(oracle: Oracle) -> None:
    tensors = ["VARIABLE_VALUE", "OBJECT_CONFIG_JSON", "table-keys", "a/b.c"]
    told = oracle.python(ORACLE, cases=PATH_CASES, tensors=tensors)
    assert told["keys"] == [tensor_key(path, tensor) for path in PATH_CASES for tensor in tensors]
    assert told["slots"] == [slot_key(path, ("opt", "o/1"), "m/v") for path in PATH_CASES]


@given(NAMES)
def test_escaping_is_undone(name: str) -> None:
    assert unescape(escape(name)) == name
    assert "/" not in escape(name)


@given(PATHS, NAMES)
def test_keys_are_taken_apart(path: Sequence[str], tensor: str) -> None:
    assert parse_key(tensor_key(path, tensor)) == Key(tuple(path), tensor)


@given(PATHS, PATHS, NAMES)
def test_slot_keys_are_taken_apart(
    variable: Sequence[str], optimizer: Sequence[str], slot: str
) -> None:
    key = parse_key(slot_key(variable, optimizer, slot))
    assert key == Key(tuple(variable), "VARIABLE_VALUE", tuple(optimizer), slot)
    assert key.text() == slot_key(variable, optimizer, slot)


def test_other_names_are_no_keys() -> None:
    assert parse_key("dense/kernel/Adam_1") is None
    assert parse_key("_CHECKPOINTABLE_OBJECT_GRAPH") is None


@pytest.mark.parametrize("text", ["a.x/.ATTRIBUTES/V", "a./.ATTRIBUTES/V"])
def test_stray_escapes_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_key(text)
