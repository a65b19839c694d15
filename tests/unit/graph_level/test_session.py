"""TensorFlow 1 exports: meta graphs, tables, partitioned and reference variables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import hozon.saved_model
from hozon.errors import FormatError, MismatchError, UnsafeError
from hozon.graph_level.structures import SparseTensor
from tests.oracle.client import Oracle

SIMPLE = """
v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as s:
    x = v1.placeholder(tf.float32, [None, 4], name="x")
    with v1.variable_scope("part", partitioner=v1.fixed_size_partitioner(3)):
        w = v1.get_variable("w", shape=[4, 5], initializer=v1.random_normal_initializer(seed=1),
                            use_resource=RESOURCE)
    b = v1.get_variable("b", initializer=[1., 2., 3., 4., 5.], use_resource=RESOURCE)
    half = v1.get_variable("h", initializer=tf.constant([1.5], tf.float64), use_resource=RESOURCE)
    y = tf.matmul(x, tf.convert_to_tensor(w)) + b
    z = tf.reduce_sum(tf.cast(y, tf.float64)) * half
    s.run(v1.global_variables_initializer())
    v1.saved_model.simple_save(s, path, {"x": x}, {"y": y, "z": z, "x": x})
    data = np.ones((2, 4), "float32")
    out["y"], out["z"], out["w"] = s.run([y, z, tf.convert_to_tensor(w)], {x: data})
"""
TABLES = """
import os
v1 = tf.compat.v1
os.makedirs(path + "-src")
file = path + "-src/words.txt"
open(file, "w").write("red\\ngreen\\nblue\\n")
with tf.Graph().as_default(), v1.Session() as s:
    words = v1.placeholder(tf.string, [None], name="words")
    table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(file, tf.string,
        tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER), -1)
    ids = table.lookup(words)
    v = v1.get_variable("v", initializer=tf.constant([10, 20, 30, 40], tf.int64))
    y = tf.gather(v, ids + 1)
    s.run([v1.global_variables_initializer(), v1.tables_initializer()])
    b = v1.saved_model.Builder(path)
    info = v1.saved_model.build_tensor_info
    signature = v1.saved_model.build_signature_def({"words": info(words)}, {"y": info(y)}, "look")
    b.add_meta_graph_and_variables(s, ["serve"], {"serving_default": signature},
        assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
        **{HOW: v1.tables_initializer()})
    b.save()
    out["y"] = s.run(y, {words: ["blue", "red", "pink"]})
os.remove(file)
"""
SEVERAL = """
v1 = tf.compat.v1
info = v1.saved_model.build_tensor_info
b = v1.saved_model.Builder(path)
for i, tags in enumerate([["train"], ["serve", "gpu"], ["serve"]]):
    with tf.Graph().as_default(), v1.Session() as s:
        x = v1.placeholder(tf.float32, [], name="x")
        v = v1.get_variable("v", initializer=3.)
        y = x * v + float(i)
        s.run(v1.global_variables_initializer())
        signature = v1.saved_model.build_signature_def({"x": info(x)}, {"y": info(y)}, "m")
        if i == 0:
            b.add_meta_graph_and_variables(s, tags, {"f": signature})
        else:
            b.add_meta_graph(tags, {"f": signature})
b.save(as_text=TEXT)
"""
SPARSE = """
v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as s:
    x = v1.sparse_placeholder(tf.float32, [None, 4], name="x")
    k = v1.placeholder_with_default(tf.constant(2.), [], name="k")
    y = tf.sparse.to_dense(x) * k
    n = tf.sparse.map_values(tf.negative, x)
    v1.saved_model.simple_save(s, path, {"x": x, "k": k}, {"y": y, "n": n})
    value = v1.SparseTensorValue(np.array([[0, 1], [1, 3]]), np.array([1., 2.], "float32"), [2, 4])
    out["y"], out["n"] = s.run([y, n.values], {x: value, k: 3.})
"""


def save(oracle: Oracle, path: Path, source: str, **names: Any) -> tuple[Any, Mapping[str, Any]]:
    answers = oracle.python(source, path=str(path), **names)
    return hozon.saved_model.load(path), answers


@pytest.mark.parametrize("resource", [False, True])
def test_partitioned_variables(oracle: Oracle, tmp_path: Path, resource: bool) -> None:
    loaded, answers = save(oracle, tmp_path / "m", SIMPLE, RESOURCE=resource)
    signature = loaded.signatures["serving_default"]
    data = np.ones((2, 4), "float32")
    outputs = signature(x=data)
    assert sorted(outputs) == ["x", "y", "z"]
    for name in ("y", "z"):
        have = np.asarray(outputs[name])
        assert (have.dtype, have.shape) == (answers[name].dtype, answers[name].shape)
        np.testing.assert_allclose(have, answers[name], rtol=1e-6)
    np.testing.assert_array_equal(outputs["x"], data)
    by_name = {v.name: v.numpy() for v in loaded.variables}
    assert sorted(a.shape for a in by_name.values()) == [(1,), (1, 5), (1, 5), (2, 5), (5,)]
    assert signature.method == "tensorflow/serving/predict"


def test_transformations_of_a_signature(oracle: Oracle, tmp_path: Path) -> None:
    loaded, answers = save(oracle, tmp_path / "m", SIMPLE, RESOURCE=True)
    signature = loaded.signatures["serving_default"]
    data = np.ones((2, 4), "float32")
    np.testing.assert_allclose(jax.jit(signature)(x=data)["y"], answers["y"], rtol=1e-6)
    slope = jax.grad(lambda x: signature(x=x)["y"].sum())(data)
    columns = answers["w"].sum(1)
    np.testing.assert_allclose(slope, np.stack([columns, columns]), rtol=1e-5)


@pytest.mark.parametrize("how", ["main_op", "legacy_init_op"])
def test_tables_are_filled_from_assets(oracle: Oracle, tmp_path: Path, how: str) -> None:
    source = TABLES.replace("HOW", repr(how))
    loaded, answers = save(oracle, tmp_path / "m", source)
    outputs = loaded.signatures["serving_default"](words=["blue", "red", "pink"])
    np.testing.assert_array_equal(outputs["y"], answers["y"])
    assert np.asarray(outputs["y"]).dtype == answers["y"].dtype


@pytest.mark.parametrize("text", [False, True])
def test_several_meta_graphs(oracle: Oracle, tmp_path: Path, text: bool) -> None:
    loaded, _ = save(oracle, tmp_path / "m", SEVERAL, TEXT=text)
    suffix = "pbtxt" if text else "pb"
    assert (tmp_path / "m" / f"saved_model.{suffix}").exists()
    assert float(loaded.signatures["f"](x=2.0)["y"]) == 8.0
    for offset, tags in enumerate((["train"], ["gpu", "serve"], "serve")):
        chosen = hozon.saved_model.load(tmp_path / "m", tags)
        assert float(chosen.signatures["f"](x=2.0)["y"]) == 6.0 + offset
    with pytest.raises(FormatError, match=r"\{gpu, serve\}"):
        hozon.saved_model.load(tmp_path / "m", ["gpu"])


CONTROLLED = """
v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as s:
    x = v1.placeholder(tf.float32, [None], name="x")
    _, mean = v1.metrics.mean(x)
    s.run(v1.local_variables_initializer())
    v1.saved_model.simple_save(s, path, {"x": x}, {"y": mean})
served = tf.saved_model.load(path).signatures["serving_default"]
out["y"] = [served(x=tf.constant(data))["y"] for data in ([1., 4.], [8.])]
"""


def test_a_control_dependency_on_an_input(oracle: Oracle, tmp_path: Path) -> None:
    """What waits for a placeholder that is fed has nothing to wait for."""
    loaded, answers = save(oracle, tmp_path / "m", CONTROLLED)
    served = loaded.signatures["serving_default"]
    found = [served(x=np.float32(data))["y"] for data in ([1, 4], [8])]
    np.testing.assert_allclose(found, answers["y"], rtol=1e-6)


READ = """
import os
v1 = tf.compat.v1
file = path + "-source.txt"
open(file, "w").write("red")
with tf.Graph().as_default(), v1.Session() as s:
    x = v1.placeholder(tf.string, [], name="x")
    name = tf.constant(file)
    v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, name)
    read, given = tf.io.read_file(name), tf.io.read_file(x)
    info = v1.saved_model.predict_signature_def
    builder = v1.saved_model.Builder(path)
    builder.add_meta_graph_and_variables(
        s, ["serve"],
        {"own": info({"x": x}, {"y": tf.strings.join([x, read])}),
         "any": info({"x": x}, {"y": given})},
        assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS))
    builder.save()
out["y"] = tf.saved_model.load(path).signatures["own"](x=tf.constant("a"))["y"]
os.remove(file)
"""


def test_an_asset_is_read_by_the_path_that_it_had(oracle: Oracle, tmp_path: Path) -> None:
    """In the artifact, where the file is now; no other path is opened."""
    loaded, answers = save(oracle, tmp_path / "m", READ)
    assert np.asarray(loaded.signatures["own"](x="a")["y"]).item() == answers["y"] == b"ared"
    other = str(tmp_path / "m" / "saved_model.pb")
    with pytest.raises(UnsafeError, match="not one of its assets"):
        loaded.signatures["any"](x=other)


def test_sparse_inputs_and_outputs(oracle: Oracle, tmp_path: Path) -> None:
    loaded, answers = save(oracle, tmp_path / "m", SPARSE)
    signature = loaded.signatures["serving_default"]
    given = SparseTensor(
        np.array([[0, 1], [1, 3]]), np.array([1.0, 2.0], "float32"), np.array([2, 4])
    )
    outputs = signature(x=given, k=3.0)
    np.testing.assert_array_equal(outputs["y"], answers["y"])
    np.testing.assert_array_equal(outputs["n"].values, answers["n"])
    assert np.asarray(outputs["n"].indices).tolist() == [[0, 1], [1, 3]]
    with pytest.raises(MismatchError, match="must be a SparseTensor"):
        signature(x=answers["y"], k=3.0)


def test_inputs_with_default_values(oracle: Oracle, tmp_path: Path) -> None:
    source = """
v1 = tf.compat.v1
from tensorflow.core.protobuf import saved_model_pb2
with tf.Graph().as_default(), v1.Session() as s:
    x = v1.placeholder(tf.float32, [], name="x"); k = v1.placeholder(tf.float32, [], name="k")
    v1.saved_model.simple_save(s, path, {"x": x, "k": k}, {"y": x * k})
pb = saved_model_pb2.SavedModel(); pb.ParseFromString(open(path + "/saved_model.pb", "rb").read())
signature = pb.meta_graphs[0].signature_def["serving_default"]
signature.defaults["k"].CopyFrom(tf.make_tensor_proto(5., tf.float32))
open(path + "/saved_model.pb", "wb").write(pb.SerializeToString())
"""
    loaded, _ = save(oracle, tmp_path / "m", source)
    signature = loaded.signatures["serving_default"]
    assert float(signature(x=2.0)["y"]) == 10.0
    assert float(signature(x=2.0, k=3.0)["y"]) == 6.0
    with pytest.raises(MismatchError, match="missing: x"):
        signature(k=3.0)


NO_INIT = """
v1 = tf.compat.v1
G = v1.GraphKeys
WORDS = tf.lookup.TextFileIndex.WHOLE_LINE
def words():
    file = path + ".txt"
    open(file, "w").write("red\\ngreen\\nblue\\n")
    return tf.lookup.TextFileInitializer(
        file, tf.string, WORDS, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
def dense():
    return tf.lookup.experimental.DenseHashTable(
        tf.int64, tf.float32, default_value=-7., empty_key=-1, deleted_key=-2)
def build(what):
    if what in ("local", "reference"):
        x = v1.placeholder(tf.float32, [None])
        with v1.variable_scope("part", use_resource=what == "local"):
            return x, x * v1.get_local_variable("v", initializer=tf.constant([2.]) * 3.)
    if what == "vocabulary":
        x = v1.placeholder(tf.string, [None])
        return x, tf.lookup.StaticVocabularyTable(words(), 2).lookup(x)
    if what == "table":
        x = v1.placeholder(tf.string, [None])
        pairs = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([-1, 2], tf.int64))
        return x, tf.lookup.StaticHashTable(pairs, -5).lookup(x)
    if what == "dense":
        x = v1.placeholder(tf.int64, [None])
        table, keys = dense(), tf.constant([-5, 3], tf.int64)
        v1.add_to_collection(G.TABLE_INITIALIZERS, table.insert(keys, tf.constant([1., 2.])))
        return x, table.lookup(x)
with tf.Graph().as_default(), v1.Session() as s:
    x, y = build(WHAT)
    y = tf.cast(y, tf.float32) + v1.get_variable("w", [1], initializer=v1.ones_initializer())
    s.run([v1.global_variables_initializer(), v1.local_variables_initializer(),
           v1.tables_initializer()])
    if SAVED:
        v1.get_default_graph().clear_collection(G.TABLE_INITIALIZERS)
    builder = v1.saved_model.Builder(path)
    builder.add_meta_graph_and_variables(
        s, ["serve"], {"serving_default": v1.saved_model.predict_signature_def({"x": x}, {"y": y})},
        assets_collection=v1.get_collection(G.ASSET_FILEPATHS))
    builder.save()
data = tf.constant(DATA)
out["y"] = tf.saved_model.load(path).signatures["serving_default"](data)["y"]
"""


@pytest.mark.parametrize(
    ("what", "data", "saved"),
    [
        ("local", np.float32([1, 3]), False),
        ("reference", np.float32([1, 3]), False),
        ("vocabulary", np.array([b"blue", b"pink", b"red", b""], object), False),
        ("table", np.array([b"b", b"z", b"a"], object), False),
        ("dense", np.int64([-5, 3, 9, -6]), False),
        ("dense", np.int64([-5, 3, 9, -6]), True),
    ],
    ids=["local", "reference", "vocabulary", "table", "dense", "dense-saved"],
)
def test_what_starts_without_an_init_op(
    oracle: Oracle, tmp_path: Path, what: str, data: Any, saved: bool
) -> None:
    """As TensorFlow 2's loader does: local variables and tables start by their initializers."""
    loaded, answers = save(oracle, tmp_path / "m", NO_INIT, WHAT=what, DATA=data, SAVED=saved)
    np.testing.assert_allclose(loaded.signatures["serving_default"](x=data)["y"], answers["y"])


@pytest.mark.parametrize(
    ("shape", "lie"), [(None, "shape.Clear()"), ([None, 2], "shape.dim[0].size = 1")]
)
def test_a_signature_that_declares_another_shape_than_its_graph(
    oracle: Oracle, tmp_path: Path, shape: Any, lie: str
) -> None:
    source = """
v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as s:
    x = v1.placeholder(tf.float32, SHAPE, name="x")
    y = x * v1.get_variable("w", [], initializer=v1.constant_initializer(3.))
    s.run(v1.global_variables_initializer())
    x, y = map(v1.saved_model.build_tensor_info, (x, y))
    for shape in (x.tensor_shape, y.tensor_shape):
        LIE
    builder = v1.saved_model.Builder(path)
    builder.add_meta_graph_and_variables(s, ["serve"], {
        "serving_default": v1.saved_model.build_signature_def({"x": x}, {"y": y}, "predict")})
    builder.save()
out["y"] = tf.saved_model.load(path).signatures["serving_default"](tf.ones([3, 2]))["y"]
"""
    loaded, answers = save(oracle, tmp_path / "m", source.replace("LIE", lie), SHAPE=shape)
    signature = loaded.signatures["serving_default"]
    np.testing.assert_array_equal(signature(x=np.ones((3, 2), "float32"))["y"], answers["y"])
    if shape is not None:
        with pytest.raises(MismatchError, match=r"has shape \[3\] where \[None, 2\]"):
            signature(x=np.ones(3, "float32"))


def test_gradients_to_the_variables_of_a_signature(oracle: Oracle, tmp_path: Path) -> None:
    loaded, _ = save(oracle, tmp_path / "m", SIMPLE, RESOURCE=True)
    signature = loaded.signatures["serving_default"]
    values = [v.read() for v in signature.variables]
    data = np.ones((2, 4), "float32")

    def loss(values: Any) -> Any:
        outputs, new = signature.stateless_call(values, x=data)
        assert len(new) == len(values)
        return outputs["y"].sum()

    by_name = {v.name: g for v, g in zip(signature.variables, jax.grad(loss)(values), strict=True)}
    np.testing.assert_array_equal(by_name["b"], np.full(5, 2.0))
    np.testing.assert_array_equal(by_name["part/w/part_0"], np.full((2, 5), 2.0))
    assert not by_name["h"].any()
    (args, keywords), outputs = signature.structured_input_signature, signature.structured_outputs
    assert (args, keywords["x"].shape, keywords["x"].dtype) == ((), (None, 4), "float32")
    assert {name: spec.dtype for name, spec in outputs.items()} == {
        "x": "float32",
        "y": "float32",
        "z": "float64",
    }
