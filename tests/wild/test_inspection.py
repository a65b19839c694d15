"""What `inspect` says of models from the wild, against TensorFlow's own account of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import hozon
from hozon.inspection import ArtifactInfo, TensorSummary
from tests.wild.recorded import Recorded, models

KINDS = ("savedmodel_tf1", "savedmodel_tf2", "savedmodel_keras")
SAVED_MODELS = [model for kind in KINDS for model in models(kind)[:6]]
NAMES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}
CHECKPOINTS = models("tf_checkpoint")[:6]

pytestmark = pytest.mark.skipif(not SAVED_MODELS, reason="the shared folder is missing")


def dtype_and_shape(tensor: TensorSummary) -> list[Any]:
    return [tensor.dtype, None if tensor.shape is None else list(tensor.shape)]


def by_name(tensors: tuple[TensorSummary, ...]) -> Mapping[str, Any]:
    return {t.name: dtype_and_shape(t) for t in tensors}


def declared(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    """Inputs or outputs as TensorFlow's enum names and -1 say them, in our words."""
    return {
        name: [
            NAMES.get(t["dtype"], t["dtype"].removeprefix("DT_").lower()),
            None if t["shape"] is None else [None if n == -1 else n for n in t["shape"]],
        ]
        for name, t in tensors.items()
    }


def stored(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        name: [t["dtype"], t["shape"]]
        for name, t in tensors.items()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }


@pytest.mark.parametrize("model", SAVED_MODELS, ids=lambda m: m.slug)
def test_saved_models(model: Recorded) -> None:
    info: ArtifactInfo = hozon.inspect(model.path)
    described = model.description
    assert info.format == "SavedModel"
    assert [list(tags) for tags in info.tags] == described["meta_graphs"]
    assert described["tf_version"] in info.producer
    assert all(version in info.producer for version in described["keras_version"])
    assert len(info.functions) == described["functions"]
    assert info.ops == described["ops"]
    assert list(info.assets) == described["asset_files"]
    wanted = {n: s for n, s in described["signatures"].items() if not n.startswith("__saved_model")}
    assert {s.name for s in info.signatures} == set(wanted)
    for signature in info.signatures:
        assert signature.method == wanted[signature.name]["method"]
        for side in ("inputs", "outputs"):
            assert by_name(getattr(signature, side)) == declared(wanted[signature.name][side])
    assert by_name(info.variables) == stored(described.get("variables", {}).get("tensors", {}))
    assert info.nbytes == sum(v.nbytes for v in info.variables)
    classes = Counter(layer.class_name for layer in info.layers)
    assert all(classes[name] >= 1 for name in described["layers"])
    assert json.loads(info.to_json())["ops"] == described["ops"]


@pytest.mark.parametrize("model", CHECKPOINTS, ids=lambda m: m.slug)
def test_checkpoints(model: Recorded) -> None:
    info = hozon.inspect(model.path)
    assert info.format.startswith("TensorFlow checkpoint")
    assert by_name(info.variables) == stored(model.description["tensors"])
    assert info.signatures == ()


def test_what_is_nothing(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(hozon.FormatError, match=path.name):
            hozon.inspect(path)
