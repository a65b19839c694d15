"""What Hozon writes, through TensorFlow's command line, TFSMLayer, TF Lite, ONNX and OpenVINO."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.across.written.by_openvino import opened
from tests.across.written.conftest import Written
from tests.oracle.client import Oracle

TFLITE = """
def run(path, feeds):
    converter = tf.lite.TFLiteConverter.from_saved_model(path)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    converter._experimental_lower_tensor_list_ops = True
    data = converter.convert()
    interpreter = tf.lite.Interpreter(model_content=data)
    runner = interpreter.get_signature_runner("serving_default")
    return {k: np.asarray(v) for k, v in runner(**feeds).items()}

for name, (path, feeds) in cases.items():
    try:
        out[name] = run(path, feeds)
    except Exception as error:
        out[name] = f"{type(error).__name__}: {error}"[-2000:]
"""

ONNX = """
import onnxruntime
import tf2onnx

def run(path, feeds):
    loaded = tf.saved_model.load(path)
    signature = loaded.signatures["serving_default"]
    from tf2onnx import tf_loader
    from tf2onnx.tfonnx import process_tf_graph
    from tf2onnx import optimizer
    graph_def, inputs, outputs, *rest = tf_loader.from_saved_model(
        path, None, None, None, ["serving_default"], return_initialized_tables=True,
        return_tensors_to_rename=True)
    renames = rest[-1]
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with tf_loader.tf_session(graph=graph):
            made = process_tf_graph(graph, opset=17, input_names=inputs, output_names=outputs,
                                    tensors_to_rename=renames)
    model = optimizer.optimize_graph(made).make_model("hozon")
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))

for name, (path, feeds) in cases.items():
    try:
        out[name] = run(path, feeds)
    except Exception as error:
        out[name] = f"{type(error).__name__}: {error}"[-2000:]
"""

TFSM = """
import keras as keras3

for name, (path, feeds) in cases.items():
    layer = keras3.layers.TFSMLayer(path, call_endpoint="serving_default")
    (x,) = feeds.values()
    out[name] = {k: np.asarray(v) for k, v in layer(x).items()}
"""

CLI = """
import contextlib, io, os, tempfile
from tensorflow.python.tools import saved_model_cli

def told(*arguments):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        parsed = saved_model_cli.create_parser().parse_args(list(arguments))
        parsed.func()
    return text.getvalue()

with tempfile.TemporaryDirectory() as folder:
    saved_model_cli.smcli_flags = None
    np.savez(os.path.join(folder, "in.npz"), **feeds)
    out["shown"] = told("show", "--dir", path, "--all")
    given = ";".join(f"{k}={folder}/in.npz[{k}]" for k in feeds)
    told("run", "--dir", path, "--tag_set", "serve", "--signature_def", "serving_default",
         "--inputs", given, "--outdir", folder)
    out["made"] = {f[:-4]: np.load(os.path.join(folder, f)) for f in os.listdir(folder)
                   if f.endswith(".npy")}
"""

SESSION = """
for name, (path, feeds) in cases.items():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], path)
        signature = meta_graph.signature_def["serving_default"]
        fetches = {k: v.name for k, v in signature.outputs.items()}
        out[name] = session.run(fetches, {signature.inputs[k].name: v for k, v in feeds.items()})
"""


def feeds(written: Written) -> dict[str, Any]:
    """A case's inputs by the names of its signature, as NumPy arrays of the model's dtypes."""
    x = written.case.x
    model = written.case.model
    if isinstance(x, dict):
        return x
    values = x if isinstance(x, list) else [x]
    functional = getattr(model, "_functional", None) or model
    inputs = getattr(functional, "inputs", None)
    if not inputs:
        return {"inputs": np.asarray(x)}
    names = [tensor._keras_history.operation.name for tensor in inputs]
    dtypes = [tensor.dtype for tensor in inputs]
    return {n: np.asarray(v, d) for n, v, d in zip(names, values, dtypes, strict=True)}


@pytest.fixture(scope="module")
def asked(written: dict[str, Written]) -> dict[str, Any]:
    return {name: (str(one.path), feeds(one)) for name, one in written.items()}


#: A bfloat16 product, as tf_keras and TensorFlow export it: converters do not know it.
BFLOAT16 = """
import tempfile, tf_keras
path = tempfile.mkdtemp()
dense = tf_keras.layers.Dense(3, dtype="mixed_bfloat16")
model = tf_keras.Sequential([tf_keras.Input((4,)), dense])
tf.saved_model.save(model, path)
cases = {"own": (path, {"input_1": np.ones((2, 4), np.float32)})}
"""
UNKNOWN = "mixed_precision"


def check(
    answers: dict[str, Any], written: dict[str, Written], without: tuple[str, ...] = ()
) -> None:
    for name in without:
        assert isinstance(answers.pop(name), str)
    failed = {name: found for name, found in answers.items() if isinstance(found, str)}
    assert not failed, "\n\n".join(f"{name}: {text}" for name, text in failed.items())
    for name, found in answers.items():
        compare(found, written[name])


def compare(found: Any, written: Written, rtol: float = 1e-4) -> None:
    expected = sorted(keras.tree.flatten(written.outputs), key=lambda v: (v.shape, float(v.sum())))
    values = sorted(found.values(), key=lambda v: (v.shape, float(v.sum())))
    assert len(values) == len(expected)
    for a, b in zip(values, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-5)


def test_tensorflow_lite(
    written: dict[str, Written], asked: dict[str, Any], oracle: Oracle
) -> None:
    answers = oracle.python(TFLITE, cases=asked)
    check(answers, written, without=(UNKNOWN,))


def test_onnx(written: dict[str, Written], asked: dict[str, Any], oracle: Oracle) -> None:
    answers = oracle.python(ONNX, cases=asked)
    check(answers, written, without=(UNKNOWN,))


@pytest.mark.parametrize("convert", [TFLITE, ONNX], ids=["TF Lite", "ONNX"])
def test_what_converters_do_not_know_they_do_not_know_of_tensorflow(
    convert: str, oracle: Oracle
) -> None:
    assert isinstance(oracle.python(BFLOAT16 + convert)["own"], str)


def test_openvino(written: dict[str, Written], asked: dict[str, Any]) -> None:
    for name, (path, given) in asked.items():
        compiled = opened(path)
        found = compiled({port: given[port.get_any_name()] for port in compiled.inputs})
        answers = {str(number): value for number, value in enumerate(found.values())}
        # It computes in float32 what the model computes in a half.
        compare(answers, written[name], rtol=0.05 if name == UNKNOWN else 1e-4)


def test_tfsm_layer(written: dict[str, Written], asked: dict[str, Any], oracle: Oracle) -> None:
    single = {name: case for name, case in asked.items() if len(case[1]) == 1}
    answers = oracle.python(TFSM, cases=single)
    check(answers, written)


def test_a_session_as_servers_run_it(
    written: dict[str, Written], asked: dict[str, Any], oracle: Oracle
) -> None:
    check(oracle.python(SESSION, cases=asked), written)


def test_saved_model_cli(
    written: dict[str, Written], asked: dict[str, Any], oracle: Oracle
) -> None:
    name = "several_inputs_and_outputs"
    path, given = asked[name]
    answers = oracle.python(CLI, path=path, feeds=given)
    for word in ("serving_default", "inputs['a']", "inputs['b']", "__call__", "tensorflow/serving"):
        assert word in answers["shown"]
    compare(answers["made"], written[name])
