"""Every recorded SavedModel against what TensorFlow said about it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hozon.formats.protos.keras_metadata import decode_keras_metadata
from hozon.formats.protos.object_graph import SavedNode, UserObject
from hozon.formats.protos.saved_model import MetaGraph, SavedModelRecord, decode_saved_model
from hozon.formats.protos.signatures import TensorInfo
from hozon.stored.dtypes import dtype_of_number
from tests.conftest import shared_folder

WILD = shared_folder() / "wild"
SLUGS = sorted(path.parent.name for path in WILD.glob("models/*/saved_model.pb"))
#: Not signatures: how TensorFlow names an op to run (tensorflow/core/.../constants.py).
OPS_AS_SIGNATURES = {"__saved_model_init_op", "__saved_model_train_op"}


def model_bytes(slug: str) -> bytes:
    return (WILD / "models" / slug / "saved_model.pb").read_bytes()


def expected(slug: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((WILD / "expected" / f"{slug}.json").read_text())
    return answer


@pytest.mark.skipif(not SLUGS, reason=f"no recorded SavedModels in {WILD}")
def test_there_are_saved_models() -> None:
    assert len(SLUGS) > 40


@pytest.mark.parametrize("slug", SLUGS)
def test_saved_model(slug: str) -> None:
    record, answer = decode_saved_model(model_bytes(slug), file=slug), expected(slug)
    meta = record.meta_graphs[0]
    assert [list(graph.tags) for graph in record.meta_graphs] == answer["meta_graphs"]
    assert meta.tensorflow_version == answer["tf_version"]
    assert meta.graph.producer == answer["graph_producer"]
    assert meta.stripped_default_attrs == answer["stripped_default_attrs"]
    assert len(meta.graph.library) == answer["functions"]
    assert sorted(meta.collections) == answer["collections"]
    assert sorted(asset.filename for asset in meta.assets) == sorted(answer["asset_files"])
    assert (meta.saver.version if meta.saver else 0) == answer["saver_version"]
    assert op_counts(record) == answer["ops"]
    assert objects(meta) == (answer["object_kinds"], answer["user_objects"])
    assert {
        key: {
            "method": signature.method_name,
            "inputs": infos(signature.inputs),
            "outputs": infos(signature.outputs),
        }
        for key, signature in meta.signatures.items()
        if key not in OPS_AS_SIGNATURES
    } == {
        key: {name: told[name] for name in ("method", "inputs", "outputs")}
        for key, told in answer["signatures"].items()
    }


def op_counts(record: SavedModelRecord) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for meta in record.meta_graphs:
        counts.update(node.op for node in meta.graph.nodes)
        for function in meta.graph.library.values():
            counts.update(node.op for node in function.nodes)
    return dict(counts)


def objects(meta: MetaGraph) -> tuple[dict[str, int], dict[str, int]]:
    nodes: list[SavedNode] = list(meta.object_graph.nodes) if meta.object_graph else []
    users = (n.payload.identifier for n in nodes if isinstance(n.payload, UserObject))
    return dict(Counter(node.kind for node in nodes)), dict(Counter(users))


def infos(tensors: Any) -> dict[str, Any]:
    return {name: told(info) for name, info in tensors.items()}


def told(info: TensorInfo) -> dict[str, Any]:
    dims = info.shape.dims
    return {
        "dtype": dtype_of_number(info.dtype).enum,
        "shape": None if dims is None else [-1 if size is None else size for size in dims],
        "tensor": info.name,
    }


@pytest.mark.parametrize("slug", SLUGS)
def test_everything_decodes(slug: str) -> None:
    """Every attribute, function and object, and edges that lead to something."""
    record = decode_saved_model(model_bytes(slug), file=slug)
    for meta in record.meta_graphs:
        for function in meta.graph.library.values():
            names = {arg.name for arg in function.inputs} | {n.name for n in function.nodes}
            assert {value.split(":")[0] for value in function.ret.values()} <= names
            assert set(function.control_ret.values()) <= names
        for nodes in (meta.graph.nodes, *(f.nodes for f in meta.graph.library.values())):
            assert all(value is not None for node in nodes for value in node.attrs.values())
        if meta.object_graph:
            for concrete in meta.object_graph.concrete_functions:
                assert concrete in meta.graph.library


@pytest.mark.parametrize("path", sorted(WILD.glob("models/*/keras_metadata.pb")), ids=str)
def test_keras_metadata(path: Path) -> None:
    found = decode_keras_metadata(path.read_bytes(), file=str(path))
    meta = decode_saved_model(model_bytes(path.parent.name)).meta_graphs[0]
    assert meta.object_graph is not None
    assert (
        dict(Counter(item.identifier for item in found))
        == expected(path.parent.name)["keras_nodes"]
    )
    for item in found:
        payload = meta.object_graph.nodes[item.node].payload
        assert isinstance(payload, UserObject)
        assert payload.identifier == item.identifier
        assert item.path.startswith("root")
        assert isinstance(json.loads(item.metadata), dict)
