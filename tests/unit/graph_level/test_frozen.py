"""Frozen graphs and meta graphs with their checkpoints, as functions, against TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import hozon
from hozon.errors import FormatError, MismatchError, MissingFileError, UnsafeError, UnsupportedError
from tests.oracle.client import Oracle

SAVE = """
import os
v1 = tf.compat.v1
def build():
    x = v1.placeholder(tf.float32, [None, 3], name="images")
    k = v1.placeholder(tf.float32, [], name="scale")
    with v1.variable_scope("dense", use_resource=RESOURCE):
        w = v1.get_variable("kernel", [3, 2], initializer=v1.random_normal_initializer(seed=1))
        b = v1.get_variable("bias", [2], initializer=v1.ones_initializer())
    logits = tf.add(tf.matmul(x, w), b * k, name="logits")
    scores = tf.nn.softmax(logits, name="scores")
    return x, k, w, tf.argmax(scores, 1, name="classes"), scores
with tf.Graph().as_default() as graph, v1.Session() as s:
    x, k, w, classes, scores = build()
    s.run(v1.global_variables_initializer())
    data = np.arange(12, dtype="float32").reshape(4, 3) / 10
    out["classes"], out["scores"] = s.run([classes, scores], {x: data, k: 2.})
    out["logits"] = s.run("logits:0", {x: data, k: 2.})
    out["slope"] = s.run(tf.gradients(scores[:, 0], w)[0], {x: data, k: 2.})
    out["x"] = data
    v1.train.Saver().save(s, path + "/ckpt")
    frozen = v1.graph_util.convert_variables_to_constants(
        s, graph.as_graph_def(), ["classes", "scores"])
    tf.io.write_graph(frozen, path, "frozen.pb", as_text=False)
    tf.io.write_graph(frozen, path, "frozen.pbtxt", as_text=True)
    one = v1.graph_util.extract_sub_graph(frozen, ["logits"])
    tf.io.write_graph(one, path, "one.pb", as_text=False)
with tf.Graph().as_default() as graph:
    tf.io.read_file(v1.placeholder(tf.string, [], name="path"))
    tf.io.write_graph(graph.as_graph_def(), path, "reads.pb", as_text=False)
"""


@pytest.fixture(scope="module", params=[False, True], ids=["reference", "resource"])
def saved(
    request: pytest.FixtureRequest, oracle: Oracle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("frozen")
    return path, oracle.python(SAVE, path=str(path), RESOURCE=request.param)


@pytest.mark.parametrize("name", ["frozen.pb", "frozen.pbtxt", "ckpt.meta"])
def test_named_tensors(saved: tuple[Path, dict[str, Any]], name: str) -> None:
    path, want = saved
    x, scale = want["x"], np.float32(2)
    graph = hozon.saved_model.load_graph(
        path / name, ["images:0", "scale"], {"best": "classes", "all": ["scores:0", "logits"]}
    )
    for outputs in (graph(x, scale), graph(x, scale=scale), graph(images=x, scale=scale)):
        np.testing.assert_array_equal(outputs["best"], want["classes"])
        np.testing.assert_allclose(outputs["all"][0], want["scores"], rtol=1e-5)
        np.testing.assert_allclose(outputs["all"][1], want["logits"], rtol=1e-5)
    graph = hozon.saved_model.load_graph(path / name, {"a": "images", "b": "scale"}, "scores")
    np.testing.assert_allclose(jax.jit(graph)(b=scale, a=x), want["scores"], rtol=1e-5)
    inside = hozon.saved_model.load_graph(path / name, "logits", "scores")
    np.testing.assert_allclose(inside(want["logits"]), want["scores"], rtol=1e-5)
    for wrong in ((x,), (x, scale, x), (x, x)):
        with pytest.raises(MismatchError):
            graph(*wrong)


@pytest.mark.parametrize("name", ["frozen.pb", "frozen.pbtxt"])
def test_inputs_and_outputs_that_the_graph_tells(
    saved: tuple[Path, dict[str, Any]], name: str
) -> None:
    path, want = saved
    graph = hozon.saved_model.load_graph(path / name)
    assert graph.inputs == ("images", "scale")
    np.testing.assert_array_equal(graph(want["x"], np.float32(2)), want["classes"])
    assert graph.variables == []
    one = hozon.saved_model.load_graph(path / "one.pb")
    np.testing.assert_allclose(one(want["x"], np.float32(2)), want["logits"], rtol=1e-5)


def test_the_variables_of_a_meta_graph(saved: tuple[Path, dict[str, Any]]) -> None:
    path, want = saved
    graph = hozon.saved_model.load_graph(path / "ckpt.meta", outputs="scores")
    names = [v.name for v in graph.variables]
    assert sorted(names) == ["dense/bias", "dense/kernel"]
    values = [v.read() for v in graph.variables]

    def loss(values: Any) -> Any:
        return graph.stateless_call(values, want["x"], np.float32(2))[0][:, 0].sum()

    slope = dict(zip(names, jax.grad(loss)(values), strict=True))["dense/kernel"]
    np.testing.assert_allclose(slope, want["slope"], rtol=1e-4, atol=1e-6)


def test_what_is_not_there(saved: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    load, path = hozon.saved_model.load_graph, saved[0]
    with pytest.raises(MismatchError, match="no tensor 'score'; did you mean 'scores'"):
        load(path / "frozen.pb", outputs="score")
    with pytest.raises(MismatchError, match="no tensor 'imags'"):
        load(path / "frozen.pb", "imags")
    reads = load(path / "reads.pb")
    with pytest.raises(UnsafeError, match=r"ckpt\.meta"):
        reads(str(path / "ckpt.meta"))
    for name, data in (("empty.pb", b""), ("other.pb", b"\x08\x01"), ("bad.pb", b"\x0a\xff\xff")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises((FormatError, UnsupportedError)):
            load(tmp_path / name)
    for name in ("missing.pb", "empty.pb/missing.pb"):
        with pytest.raises(MissingFileError, match=r"missing\.pb does not exist"):
            load(tmp_path / name)
