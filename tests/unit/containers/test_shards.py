"""Weights in several files with an index: both ways with Keras, damage, saves that break off."""

from __future__ import annotations

import importlib
import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import hozon
from hozon.containers import shards
from hozon.errors import FormatError, MismatchError, SaveError, UnsafeError, UnsupportedError
from hozon.models.keras3 import describe_weights

#: The package has a function of this name.
writing = importlib.import_module("hozon.containers.shards.write")
GIB = 1024**3
SMALL = 600 / GIB  # two kernels of this model do not fit into one shard


def model() -> Any:
    made = keras.Sequential(
        [keras.Input((10,)), keras.layers.Dense(10), keras.layers.Dense(12), keras.layers.Dense(3)]
    )
    made.compile("adam", "mse")
    made.fit(np.ones((4, 10)), np.ones((4, 3)), verbose=0)
    return made


def same(a: Any, b: Any) -> None:
    for x, y in zip(a.weights, b.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def zeroed(source: Any) -> Any:
    copy = keras.models.clone_model(source)
    copy.set_weights([np.zeros_like(w) for w in copy.get_weights()])
    return copy


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_keras_opens_what_is_written(tmp_path: Path) -> None:
    source = model()
    report = hozon.save_weights(source, tmp_path / "w.weights.json", max_shard_size=SMALL)
    assert len(files(tmp_path)) > 3
    assert report.nbytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    copy = zeroed(source)
    copy.load_weights(tmp_path / "w.weights.json")
    same(copy, source)


def test_what_keras_writes_opens(tmp_path: Path) -> None:
    source = model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source.save_weights(tmp_path / "w.weights.json", max_shard_size=SMALL)
    copy = zeroed(source)
    report = hozon.load_weights(copy, tmp_path / "w.weights.json")
    assert report.missing == []
    same(copy, source)
    found = hozon.inspect(tmp_path / "w.weights.json")
    assert sum(v.nbytes for v in found.variables) == found.nbytes > 2000
    assert found.format == "sharded weights (.weights.json)"
    with pytest.raises(UnsupportedError, match="without a model"):
        hozon.load_model(tmp_path / "w.weights.json")


@pytest.mark.parametrize("times", [2, 3])
def test_saving_again_replaces_the_set(times: int, tmp_path: Path) -> None:
    source = model()
    for number in range(times):
        source.set_weights([np.full_like(w, number) for w in source.get_weights()])
        hozon.save_weights(source, tmp_path / "w.weights.json", max_shard_size=SMALL)
    index = json.loads((tmp_path / "w.weights.json").read_text())
    named = {n for v in index["weight_map"].values() for n in ([v] if isinstance(v, str) else v)}
    assert set(files(tmp_path)) == named | {"w.weights.json", "w_00000.weights.h5"}
    for load in (hozon.load_weights, lambda m, p: m.load_weights(p)):
        copy = zeroed(source)
        load(copy, tmp_path / "w.weights.json")
        same(copy, source)


def test_a_save_that_breaks_off_leaves_the_old_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = model()
    path = tmp_path / "w.weights.json"
    hozon.save_weights(source, path, max_shard_size=SMALL)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}

    def full(*arguments: Any) -> None:
        raise SaveError("the disk is full")

    monkeypatch.setattr(writing, "_write_index", full)
    changed = zeroed(source)
    with pytest.raises(SaveError, match="full"):
        hozon.save_weights(changed, path, max_shard_size=SMALL)
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


def test_limits_of_the_size(tmp_path: Path) -> None:
    source = model()
    with pytest.raises(SaveError, match="larger max_shard_size"):
        hozon.save_weights(source, tmp_path / "w.weights.json", max_shard_size=100 / GIB)
    with pytest.raises(ValueError, match="max_shard_size"):
        hozon.save_weights(source, tmp_path / "w.weights.h5", max_shard_size=1)
    hozon.save_weights(source, tmp_path / "w.weights.json")
    with pytest.raises(SaveError, match="exists"):
        hozon.save_weights(source, tmp_path / "w.weights.json", overwrite=False)


def change_index(folder: Path, change: Any) -> Path:
    path = folder / "w.weights.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))
    return path


@pytest.mark.parametrize("name", ["../w_00000.weights.h5", "/etc/x.h5", "a\\b.h5", ".hidden.h5"])
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    source = model()
    hozon.save_weights(source, tmp_path / "w.weights.json", max_shard_size=SMALL)
    path = change_index(tmp_path, lambda i: i["weight_map"].update({"/layers/dense/vars": name}))
    with pytest.raises((UnsafeError, FormatError)):
        shards.read(path)


def test_damage_is_named(tmp_path: Path) -> None:
    source = model()
    hozon.save_weights(source, tmp_path / "w.weights.json", max_shard_size=SMALL)
    path = change_index(
        tmp_path, lambda i: i["weight_map"].update({"/layers/nope/vars": "w_00000.weights.h5"})
    )
    copy = zeroed(source)
    with pytest.raises(FormatError, match="nope"):
        hozon.load_weights(copy, path)
    change_index(tmp_path, lambda i: i["weight_map"].pop("/layers/nope/vars"))
    (tmp_path / "w_00001.weights.h5").unlink()
    with pytest.raises(FormatError, match=r"w_00001\.weights\.h5' of .* is missing"):
        hozon.load_weights(copy, path)
    for weight in copy.weights:
        assert not np.asarray(weight).any()
    other = keras.Sequential([keras.Input((10,)), keras.layers.Dense(4)])
    hozon.save_weights(source, path)
    with pytest.raises(MismatchError):
        hozon.load_weights(other, path)


def test_conversion_from_one_file_and_back(tmp_path: Path) -> None:
    source = model()
    hozon.save_weights(source, tmp_path / "a.weights.h5")
    hozon.convert(tmp_path / "a.weights.h5", tmp_path / "b.weights.json")
    hozon.convert(tmp_path / "b.weights.json", tmp_path / "c.weights.h5")
    assert (tmp_path / "a.weights.h5").read_bytes() == (tmp_path / "c.weights.h5").read_bytes()


def test_shards_of_safetensors_are_read(tmp_path: Path) -> None:
    source = model()
    hozon.save_weights(source, tmp_path / "whole.safetensors")
    tensors = load_file(tmp_path / "whole.safetensors")
    names = sorted(tensors)
    shards_of = {name: f"m-0000{1 + (name > names[3])}-of-00002.safetensors" for name in names}
    for file in set(shards_of.values()):
        part = {name: tensors[name] for name in names if shards_of[name] == file}
        save_file(part, tmp_path / file)
    path = tmp_path / "m.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": shards_of}))
    copy = zeroed(source)
    hozon.load_weights(copy, path).assert_consumed()
    same(copy, source)
    hozon.convert(path, tmp_path / "again.safetensors")
    again = load_file(tmp_path / "again.safetensors")
    assert sorted(again) == names
    path.write_text(json.dumps({"weight_map": {**shards_of, "layers/nope/vars/0": file}}))
    with pytest.raises(FormatError, match="nope"):
        hozon.load_weights(copy, path)


@pytest.mark.parametrize("suffix", [".weights.json", ".safetensors.index.json"])
def test_a_set_is_replaced_by_another(suffix: str, tmp_path: Path) -> None:
    first, path = model(), tmp_path / f"w{suffix}"
    hozon.save_weights(first, path, max_shard_size=SMALL)
    before = files(tmp_path)
    second = zeroed(first)
    hozon.save_weights(second, path, max_shard_size=SMALL)
    again = model()
    hozon.load_weights(again, path)
    same(again, second)
    assert len(files(tmp_path)) - len(before) in (0, 1)  # the one that Keras opens first
    hozon.save_weights(first, path, max_shard_size=SMALL)
    assert files(tmp_path) == before


def test_sets_of_safetensors_are_written(tmp_path: Path) -> None:
    source, path = model(), tmp_path / "m.safetensors.index.json"
    report = hozon.save_weights(source, path, max_shard_size=SMALL)
    assert report.format == "safetensors.index.json"
    index = json.loads(path.read_text())
    shards_of = sorted(set(index["weight_map"].values()))
    count = len(shards_of)
    assert shards_of == [f"m-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    assert files(tmp_path) == sorted([*shards_of, path.name])
    held = {name: t for shard in shards_of for name, t in load_file(tmp_path / shard).items()}
    assert held.keys() == index["weight_map"].keys() == hozon.tensors(path).keys()
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in held.values())
    copy = zeroed(source)
    hozon.load_weights(copy, path).assert_consumed()
    same(copy, source)


def test_links_of_the_hugging_face_cache_are_followed(tmp_path: Path) -> None:
    source = model()
    blobs, snapshot = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b/snapshots/1f"
    for folder in (blobs, snapshot, tmp_path / "plain"):
        folder.mkdir(parents=True)
    hozon.save_weights(source, tmp_path / "m.safetensors.index.json", max_shard_size=SMALL)
    for number, name in enumerate(files(tmp_path)):
        if name.startswith("m."):
            (tmp_path / name).rename(snapshot / name)
        elif name.startswith("m-"):
            (tmp_path / name).rename(blobs / f"{number}")
            (snapshot / name).symlink_to(f"../../blobs/{number}")
    copy = zeroed(source)
    hozon.load_weights(copy, snapshot / "m.safetensors.index.json").assert_consumed()
    same(copy, source)
    link = next(path for path in snapshot.iterdir() if path.is_symlink())
    os.replace(link.resolve(), tmp_path / "elsewhere")
    link.unlink()
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeError, match="link"):
        hozon.load_weights(copy, snapshot / "m.safetensors.index.json")


def test_writers_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, first = tmp_path / "w.weights.json", model()
    second = zeroed(first)
    write_index = writing._write_index
    others: list[Thread] = []

    def while_another_begins(*arguments: Any) -> None:
        if not others:
            others.append(Thread(target=hozon.save_weights, args=(second, file)))
            others[0].start()
            others[0].join(0.5)
            assert others[0].is_alive(), "the second writer did not wait"
        write_index(*arguments)

    monkeypatch.setattr(writing, "_write_index", while_another_begins)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(shards.write, describe_weights(first)[0], file).result()
    others[0].join()
    again = model()
    hozon.load_weights(again, file)
    same(again, second)
