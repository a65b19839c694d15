"""Graphs and configs of a few kilobytes that ask for more than any machine has: refused first."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import keras
import pytest

import hozon
from hozon import limits
from hozon.errors import MismatchError, UnsafeError, UnsupportedError
from tests.oracle.client import Oracle

SOURCE = """
def doubled(depth):
    if not depth:
        return tf.function(lambda x: x + 1.0, autograph=False)
    inner = doubled(depth - 1)
    return tf.function(lambda x: inner(x) + inner(x + 1.0), autograph=False)

class M(tf.Module):
    def __init__(self):
        super().__init__()
        self.deep = doubled(8)
    @tf.function(input_signature=[])
    def random(self):
        return {"y": tf.reduce_sum(tf.random.uniform([100, 100]))}
    @tf.function(input_signature=[])
    def stateless(self):
        return {"y": tf.reduce_sum(tf.random.stateless_normal([100, 100], [1, 2]))}
    @tf.function(input_signature=[])
    def counted(self):
        return {"y": tf.reduce_sum(tf.range(tf.constant(10**4, tf.int64)))}
    @tf.function(input_signature=[])
    def one_hot(self):
        return {"y": tf.reduce_sum(tf.one_hot([1, 2, 3], 4 * 10**3))}
    @tf.function(input_signature=[])
    def tiled(self):
        return {"y": tf.reduce_sum(tf.tile(tf.zeros([100]), [100]))}
    @tf.function(input_signature=[])
    def filled(self):
        return {"y": tf.reduce_sum(tf.fill([100, 100], 2.0))}
    @tf.function(input_signature=[])
    def spaced(self):
        return {"y": tf.reduce_sum(tf.linspace(0.0, 1.0, 10**4))}
m = M()
deep = m.deep.get_concrete_function(tf.TensorSpec([], tf.float32))
names = ("random", "stateless", "counted", "one_hot", "tiled", "filled", "spaced")
signatures = {name: getattr(m, name) for name in names}
signatures["deep"] = tf.function(lambda x: {"y": m.deep(x)},
                                 input_signature=[tf.TensorSpec([], tf.float32, name="x")])
tf.saved_model.save(m, path, signatures=signatures)
"""


@pytest.fixture(scope="module")
def bombs(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bombs") / "model"
    oracle.python(SOURCE, path=str(path))
    return path


NAMES = ("random", "stateless", "counted", "one_hot", "tiled", "filled", "spaced")


@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_that_nothing_justifies(bombs: Path, name: str) -> None:
    """Here at a lower limit: what the real one is for would take all of a machine."""
    function = hozon.saved_model.load(bombs).signatures[name]
    told = r"[0-9,]+ elements.*limits\.allowing"
    with limits.allowing(elements=5_000), pytest.raises(UnsupportedError, match=told):
        function()
    assert float(function()["y"]) == float(function()["y"]) or name == "random"


def test_functions_that_double(bombs: Path) -> None:
    def call() -> float:
        return float(hozon.saved_model.load(bombs).signatures["deep"](x=1.0)["y"])

    with limits.allowing(steps=1_000), pytest.raises(UnsupportedError, match=r"run [0-9,]+ nodes"):
        call()
    assert call() == 256 * (1.0 + 4.0 + 1.0)


def architecture(units: int) -> dict[str, Any]:
    """300 bytes of config, which ask for 120 bytes for each unit."""
    given = {"class_name": "InputLayer", "config": {"batch_shape": [None, 29]}}
    dense = {"class_name": "Dense", "config": {"units": units}}
    config = {"name": "s", "layers": [given, dense]}
    return {"class_name": "Sequential", "module": "keras", "config": config}


#: Ways to a live model of an architecture alone.
BY_CONFIG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "model_from_json": lambda config: hozon.model_from_json(json.dumps(config)),
    "deserialize": hozon.deserialize,
}


@pytest.mark.parametrize("door", BY_CONFIG)
def test_weights_that_no_file_holds(door: str) -> None:
    build, told = BY_CONFIG[door], r"23,200,000,000 bytes of fresh weights.*limits\.allowing"
    with pytest.raises(UnsafeError, match=told):
        build(architecture(200_000_000))
    with limits.allowing(fresh_bytes=1_000), pytest.raises(UnsafeError, match=r"dense.*/kernel"):
        build(architecture(9))
    with limits.allowing(fresh_bytes=9 * 120):
        made = build(architecture(9))
    with limits.allowing(fresh_bytes=1_000):  # which is the caller's own model, and no file's
        copy = hozon.clone_model(made)
        assert keras.layers.Dense(9).build((None, 29)) is None
    assert copy.count_params() == made.count_params() == 9 * 30


@pytest.mark.parametrize("door", ["load_model", "convert"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_an_archive_without_the_weights_of_its_config(
    door: str, suffix: str, tmp_path: Path
) -> None:
    """They are missed before any is drawn."""
    path = tmp_path / f"m{suffix}"
    hozon.save_model(hozon.model_from_json(json.dumps(architecture(9))), path)
    if suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = json.dumps(architecture(200_000_000))
    else:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["config.json"] = json.dumps(architecture(200_000_000)).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    to_convert = partial(hozon.convert, target=tmp_path / "n")
    doors = {"load_model": hozon.load_model, "convert": to_convert}
    with pytest.raises(MismatchError, match=r"200000000"):
        doors[door](path)


def test_the_limits_hold_in_one_thread() -> None:
    assert limits.allowed() is limits.LIMITS
    with limits.allowing(steps=1):
        assert (limits.allowed().steps, limits.allowed().elements) == (1, limits.LIMITS.elements)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(limits.allowed).result() is limits.LIMITS
    assert limits.allowed() is limits.LIMITS
