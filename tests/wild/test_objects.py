"""The objects of every recorded SavedModel against the tensors of its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hozon.formats.bundle import open_bundle
from hozon.formats.protos.object_graph import SavedNode, SavedObjectGraph, Variable
from hozon.formats.protos.saved_model import decode_saved_model
from hozon.formats.protos.trackable import TrackableGraph, decode_trackable_graph
from hozon.objects.graph import paths, slots, tensor_owners, variable_keys
from hozon.objects.keys import OBJECT_GRAPH_KEY, VARIABLE_VALUE, parse_key, tensor_key
from hozon.stored.dtypes import dtype_of_number
from tests.conftest import shared_folder

WILD = shared_folder() / "wild"


def recorded_tensors(path: Path) -> dict[str, Any]:
    answer = json.loads((WILD / "expected" / f"{path.name}.json").read_text())
    tensors: dict[str, Any] = answer.get("variables", {}).get("tensors", {})
    return tensors


FOLDERS = [
    path.parent
    for path in sorted(WILD.glob("models/*/saved_model.pb"))
    if OBJECT_GRAPH_KEY in recorded_tensors(path.parent)
]


def graphs(folder: Path) -> tuple[SavedObjectGraph, TrackableGraph]:
    saved = decode_saved_model((folder / "saved_model.pb").read_bytes()).meta_graphs[0]
    assert saved.object_graph is not None
    tensor = open_bundle(folder / "variables" / "variables")[OBJECT_GRAPH_KEY].read()
    return saved.object_graph, decode_trackable_graph(tensor.item())


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def folder(request: pytest.FixtureRequest) -> Path:
    chosen: Path = request.param
    return chosen


def variables(saved: SavedObjectGraph) -> dict[int, SavedNode]:
    return {i: node for i, node in enumerate(saved.nodes) if isinstance(node.payload, Variable)}


def test_every_variable_has_its_tensor(folder: Path) -> None:
    saved, stored = graphs(folder)
    keys, tensors = variable_keys(saved.nodes, stored.nodes), recorded_tensors(folder)
    assert keys.keys() == variables(saved).keys()
    for index, node in variables(saved).items():
        told, payload = tensors[keys[index]], node.payload
        assert isinstance(payload, Variable)
        assert dtype_of_number(payload.dtype).name == told["dtype"]
        assert payload.shape.dims is None or all(
            ours in (None, theirs)
            for ours, theirs in zip(payload.shape.dims, told["shape"], strict=True)
        )


def test_every_object_based_key_is_in_the_graph(folder: Path) -> None:
    stored = graphs(folder)[1]
    keys = set(recorded_tensors(folder)) - {OBJECT_GRAPH_KEY}
    owners = tensor_owners(stored.nodes, keys)
    assert keys == owners.keys()
    assert set(owners.values()) == {i for i, node in enumerate(stored.nodes) if node.tensors}
    for key in keys:
        parsed = parse_key(key)
        assert parsed is not None
        assert parsed.text() == key


def test_keys_are_made_of_the_shortest_paths(folder: Path) -> None:
    stored = graphs(folder)[1]
    found = paths(stored.nodes)
    slot_nodes = {slot.slot for _, slot in slots(stored.nodes)}
    assert found.keys() | slot_nodes == set(range(len(stored.nodes)))
    for index, node in enumerate(stored.nodes):
        for tensor in node.tensors:
            if index not in slot_nodes and tensor.name == VARIABLE_VALUE:
                assert tensor.key == tensor_key(found[index])
