"""Keras H5 files as records: what is read, what is refused, what is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hozon.containers.h5 import detect, read, write
from hozon.errors import FormatError, SaveError, UnsafeError, UnsupportedError
from hozon.record import ModelRecord, StateGroup
from hozon.stored.lazy import lazy_array

CONFIG = {"class_name": "Sequential", "config": {"name": "m", "layers": []}}


def group(name: str, **tensors: Any) -> StateGroup:
    """A layer's weights."""
    return StateGroup(name, {key: lazy_array(key, np.asarray(v)) for key, v in tensors.items()})


def record(**changes: Any) -> ModelRecord:
    """A small whole model."""
    state = (group("b/c", kernel=np.ones((2, 3), "f4")), group("a"), group("b", w=np.arange(3)))
    fields: dict[str, Any] = {
        "form": "h5",
        "path": "",
        "dialect": "keras2",
        "naming": "layers",
        "config": CONFIG,
        "producer": "keras 2.12.0",
        "backend": "tensorflow",
        "state": state,
        "training": {"loss": "mse"},
        "optimizer": group("optimizer_weights", iter=np.int64(3)),
    }
    return ModelRecord(**{**fields, **changes})


def contents(found: ModelRecord) -> list[tuple[str, dict[str, Any]]]:
    """Names and values of all weights in order."""
    return [(g.name, {n: t.read().tolist() for n, t in g.tensors.items()}) for g in found.state]


def test_a_record_comes_back(tmp_path: Path) -> None:
    given, path = record(), tmp_path / "m.h5"
    write(given, path)
    found = read(path)
    for name in ("form", "dialect", "naming", "config", "producer", "backend", "training"):
        assert getattr(found, name) == getattr(given, name), name
    assert contents(found) == contents(given)
    assert found.optimizer is not None
    assert found.optimizer.tensors["iter"].read() == 3
    assert found.path == str(path)


def test_weights_alone_lie_at_the_root(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    write(record(form="h5_weights", config=None), path)
    with h5py.File(path) as file:
        assert list(file.attrs["layer_names"]) == [b"b/c", b"a", b"b"]
        assert set(file) == {"a", "b"}
    found = read(path)
    assert (found.form, found.config, found.optimizer) == ("h5_weights", None, None)
    assert contents(found) == contents(record())


def test_the_same_record_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write(record(), tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    write(record(), path)
    before = path.read_bytes()
    with pytest.raises(SaveError):
        write(record(state=(group("a" * 70_000),)), path)
    with pytest.raises(FileExistsError):
        write(record(), path, overwrite=False)
    with pytest.raises(UnsupportedError, match="by layer"):
        write(record(naming="attributes"), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.h5"]


def test_many_layers_are_split_over_attributes(tmp_path: Path) -> None:
    state = [group(f"layer_{i:080}", **({"w": i} if i % 50 == 0 else {})) for i in range(1000)]
    write(record(state=state), tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert "layer_names0" in file["model_weights"].attrs
    assert contents(read(tmp_path / "m.h5")) == contents(record(state=state))


def made(path: Path, fill: Callable[[Any], None]) -> Path:
    """A file made by h5py."""
    with h5py.File(path / "m.h5", "w") as file:
        fill(file)
    return path / "m.h5"


def test_keras0_weights_are_numbered(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.attrs["nb_layers"] = 2
        file.create_group("layer_0").attrs["nb_params"] = 0
        layer = file.create_group("layer_1")
        layer.attrs["nb_params"] = 2
        layer["param_0"], layer["param_1"] = np.ones((2, 2)), np.zeros(2)

    path = made(tmp_path, fill)
    assert detect(path) == "h5_weights"
    found = read(path)
    assert found.dialect == "keras1"
    assert contents(found) == [
        ("layer_0", {}),
        ("layer_1", {"param_0": [[1, 1], [1, 1]], "param_1": [0, 0]}),
    ]


@pytest.mark.parametrize(
    ("version", "dialect"),
    [
        ("1.2.2", "keras1"),
        ("2.2.4-tf", "keras2"),
        ("3.4.1", "keras3"),
    ],
)
def test_the_version_tells_the_dialect(tmp_path: Path, version: str, dialect: str) -> None:
    def fill(file: Any) -> None:
        file.attrs["layer_names"], file.attrs["keras_version"] = [], version

    assert read(made(tmp_path, fill)).dialect == dialect


def test_detection_goes_by_content(tmp_path: Path) -> None:
    for name, given in {"a.keras": record(), "b": record(form="h5_weights", config=None)}.items():
        write(given, tmp_path / name)
    (tmp_path / "c.h5").write_bytes(b"PK\x03\x04")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["layers/dense/vars/0"] = np.arange(3)
    assert [detect(tmp_path / name) for name in ("a.keras", "b", "c.h5", "d.h5")] == [
        "h5",
        "h5_weights",
        None,
        None,
    ]
    assert detect(tmp_path) is None
    with pytest.raises(FileNotFoundError):
        detect(tmp_path / "absent.h5")


# What is refused


def model(file: Any, config: str = json.dumps(CONFIG)) -> Any:
    """A whole model with one layer; returns the layer's group."""
    file.attrs["model_config"] = config
    weights = file.create_group("model_weights")
    weights.attrs["layer_names"] = [b"a"]
    layer = weights.create_group("a")
    layer.attrs["weight_names"] = [b"w"]
    layer["w"] = np.arange(3)
    return layer


def no_json(file: Any) -> None:
    model(file, "{")


def no_object(file: Any) -> None:
    model(file, "[1]")


def number(file: Any) -> None:
    model(file)
    file.attrs["training_config"] = 3


def nested(file: Any) -> None:
    model(file, '{"config": ' + "[" * 10_000 + "]" * 10_000 + "}")


def nested_less(file: Any) -> None:
    model(file, '{"config": ' + "[" * 500 + "]" * 500 + "}")


def twice(file: Any) -> None:
    model(file).parent.attrs["layer_names"] = [b"a", b"a"]


def weight_twice(file: Any) -> None:
    model(file).attrs["weight_names"] = [b"w", b"w"]


def lost(file: Any) -> None:
    model(file).attrs["weight_names"] = [b"w", b"v"]


def a_group(file: Any) -> None:
    model(file).create_group("g")
    file["model_weights/a"].attrs["weight_names"] = [b"g"]


def negative(file: Any) -> None:
    file.attrs["nb_layers"] = -1


def other(file: Any) -> None:
    file["images"] = np.arange(3)


@pytest.mark.parametrize(
    "fill",
    [
        no_json,
        no_object,
        number,
        nested,
        nested_less,
        twice,
        weight_twice,
        lost,
        a_group,
        negative,
        other,
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, fill: Callable[[Any], None]) -> None:
    path = made(tmp_path, fill)
    with pytest.raises(FormatError) as caught:
        read(path)
    assert caught.value.file == str(path)


def outside(file: Any) -> None:
    layer = model(file)
    del layer["w"]
    layer["w"] = h5py.ExternalLink("secret.h5", "/w")


def test_links_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeError):
        read(made(tmp_path, outside))


def test_a_layer_without_its_group_is_told(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        model(file).parent.attrs["layer_names"] = [b"a", b"gone"]

    found = read(made(tmp_path, fill))
    assert [g.name for g in found.state] == ["a", "gone"]
    assert found.metadata == {"absent_layers": ["gone"]}
