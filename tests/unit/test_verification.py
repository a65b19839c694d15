"""`hozon.verify`: which record is damaged, what refers to nothing, what no checksum covers."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import hozon
from hozon.formats.bundle import write_bundle
from tests.oracle.client import Oracle
from tests.wild.recorded import models


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((6,), name="x")
    y = keras.layers.Dense(5, name="first")(x)
    made = keras.Model(x, keras.layers.Dense(2, name="last")(y))
    made.compile("adam", "mse")
    made.optimizer.build(made.trainable_variables)
    return made


@pytest.fixture
def saved(model: keras.Model, tmp_path: Path) -> Path:
    hozon.save_model(model, tmp_path / "m")
    hozon.save_model(model, tmp_path / "m.h5")
    hozon.save_model(model, tmp_path / "m.keras")
    return tmp_path


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.unlink()
    path.write_bytes(data)


def records(report: Any) -> list[str]:
    return [item.record for item in report.damage]


def test_each_damaged_tensor_is_named(tmp_path: Path) -> None:
    values = {name: np.full(100, number, "float64") for number, name in enumerate("abcd")}
    write_bundle(tmp_path / "c", values)
    for number in (1, 3):
        flip(tmp_path / "c.data-00000-of-00001", 800 * number + 5)
    report = hozon.verify(tmp_path / "c")
    assert records(report) == ["b", "d"]
    first = report.damage[0]
    assert (first.file, first.offset) == (str(tmp_path / "c.data-00000-of-00001"), 800)
    assert "checksum" in first.problem
    assert first.expected != first.found
    assert "damaged in 2 places" in str(report)
    assert report.checked["tensor checksums"] == 4


def test_every_bit_of_the_graph_is_covered(saved: Path) -> None:
    """In what Hozon wrote; TensorFlow's fingerprint says less."""
    graph = saved / "m" / "saved_model.pb"
    size = graph.stat().st_size
    for at in range(11, size, size // 60):
        flip(graph, at)
        assert not hozon.verify(saved / "m").ok, at
        flip(graph, at)
    assert hozon.verify(saved / "m").ok


def test_the_variables_of_another_save(saved: Path, model: keras.Model) -> None:
    shutil.rmtree(saved / "m" / "variables")
    assert any("missing" in item.problem for item in hozon.verify(saved / "m").damage)
    (saved / "m" / "variables").mkdir()
    hozon.save_weights(
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]),
        saved / "m" / "variables" / "variables",
    )
    assert not hozon.verify(saved / "m").ok


def test_each_damaged_member_of_an_archive_is_named(saved: Path) -> None:
    with zipfile.ZipFile(saved / "m.keras") as archive:
        infos = {info.filename: info for info in archive.infolist()}
    for name in ("config.json", "model.weights.h5"):
        flip(saved / "m.keras", infos[name].header_offset + 30 + len(name) + 140)
    report = hozon.verify(saved / "m.keras")
    assert sorted(records(report)) == ["config.json", "model.weights.h5"]


def change_config(path: Path, change: Any) -> None:
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)


def test_a_call_of_a_layer_that_is_not_there(saved: Path) -> None:
    def change(layers: Any) -> None:
        layers[1]["config"]["name"] = layers[1]["name"] = "other"

    change_config(saved / "m.h5", change)
    told = str(hozon.verify(saved / "m.h5"))
    assert "'last' is called on 'first', which does not exist" in told
    assert "first: weights are stored of a layer that the config does not have" in told


def test_a_weight_of_another_shape_than_its_layer(saved: Path) -> None:
    change_config(saved / "m.h5", lambda layers: layers[2]["config"].update(units=3))
    report = hozon.verify(saved / "m.h5")
    assert records(report) == ["last/last/kernel:0", "last/last/bias:0"]
    assert (report.damage[0].expected, report.damage[0].found) == ("[?, 3]", "[5, 2]")


def test_weights_that_are_named_and_missing(saved: Path) -> None:
    with h5py.File(saved / "m.h5", "r+") as file:
        del file["model_weights/last/last/bias:0"]
    assert any("last/bias:0" in item.record for item in hozon.verify(saved / "m.h5").damage)


def test_a_damaged_compressed_chunk(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, 50))
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"d"]
        group = file.create_group("d")
        group.attrs["weight_names"] = [b"k"]
        data = group.create_dataset("k", data=values, compression="gzip", chunks=(25, 50))
        chunk = data.id.get_chunk_info(1)
    assert hozon.verify(tmp_path / "w.h5").covered > 10_000
    flip(tmp_path / "w.h5", chunk.byte_offset + chunk.size // 2)
    assert "d/k" in records(hozon.verify(tmp_path / "w.h5"))


def test_a_shard_that_is_gone_or_another_set_s(tmp_path: Path, model: keras.Model) -> None:
    path = tmp_path / "w.weights.json"
    hozon.save_weights(model, path, max_shard_size=2e-7)
    shards = sorted(tmp_path.glob("*.h5"))
    assert len(shards) > 1
    index = json.loads(path.read_text())
    index["metadata"]["total_size"] += 4
    path.write_text(json.dumps(index))
    assert records(hozon.verify(path)) == ["total_size"]
    shards[0].unlink()
    assert shards[0].name in records(hozon.verify(path))


@pytest.mark.oracle
def test_what_tensorflow_wrote_is_sound(oracle: Oracle, tmp_path: Path) -> None:
    oracle.python(
        """
m = tf.Module()
m.v = tf.Variable(tf.random.normal([20, 30]), name="v")
m.t = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1]), 0)
m.d = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
open(path + "/words.txt", "w").write("a\\nb")
m.w = tf.lookup.StaticVocabularyTable(tf.lookup.TextFileInitializer(
    path + "/words.txt", tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
    tf.lookup.TextFileIndex.LINE_NUMBER), 1)
m.f = tf.function(lambda x: (x @ m.v, m.t.lookup(tf.constant(["a"]))),
                  autograph=False, input_signature=[tf.TensorSpec([None, 20], tf.float32)])
tf.saved_model.save(m, path + "/m")
tf.train.Checkpoint(m=m).write(path + "/c")
""",
        path=str(tmp_path),
    )
    for name in ("m", "c"):
        report = hozon.verify(tmp_path / name)
        assert report.ok, str(report)
    (tmp_path / "m" / "assets" / "words.txt").unlink()
    assert records(hozon.verify(tmp_path / "m")) == ["words.txt"]
    flip(tmp_path / "m" / "variables" / "variables.index", 30)
    assert len(hozon.verify(tmp_path / "m").damage) > 1


WILD = [m for kind in ("savedmodel_keras", "savedmodel_tf1", "tf_checkpoint") for m in models(kind)]


@pytest.mark.skipif(not WILD, reason="the shared folder is missing")
def test_models_from_the_wild_are_sound() -> None:
    """No false alarm; `tests/wild` loads what is in them."""
    for found in WILD[::3]:
        report = hozon.verify(found.path)
        assert report.ok, str(report)


BIG = """
import resource, sys, time
import hozon
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
hozon.verify(sys.argv[2])
loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
assert hozon.verify(sys.argv[1]).ok
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - loaded) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes there")
def test_memory_is_that_of_a_part_of_a_tensor(tmp_path: Path) -> None:
    assert resource.RUSAGE_SELF == 0
    write_bundle(tmp_path / "small", {"a": np.ones(3)})
    write_bundle(tmp_path / "big", {"a": np.ones((200, 1 << 17)), "b": np.ones(3)})
    done = subprocess.run(
        [sys.executable, "-c", BIG, str(tmp_path / "big"), str(tmp_path / "small")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 40  # of 200 MB


#: What may stand in a config where something else should.
ODD: list[Any] = [None, True, 3, "x", "", [], {}, [["a", 0, 0]], {"class_name": 3}, {"config": []}]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_config_in_which_anything_is_something_else(
    odd: Any, model: keras.Model, tmp_path: Path
) -> None:
    """Every door that only looks answers, or says by one of our errors why not."""
    whole = json.loads(hozon.model_to_json(model))
    path = tmp_path / "m.json"

    def places(value: Any, at: tuple[Any, ...] = ()) -> Any:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield (*at, key)
            if isinstance(item, (dict, list)):
                yield from places(item, (*at, key))

    for place in list(places(whole))[ODD.index(odd) % 3 :: 3]:
        config = json.loads(json.dumps(whole))
        around = config
        for key in place[:-1]:
            around = around[key]
        around[place[-1]] = odd
        path.write_text(json.dumps(config))
        for door in (hozon.inspect, hozon.tensors, hozon.verify, lambda p: hozon.diff(p, model)):
            with contextlib.suppress(hozon.HozonError):
                str(door(path))
