"""Models that take strings, written as SavedModels and opened by TensorFlow, tf_keras and Hozon."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from hozon.config.text_layers import StringLookup, TextVectorization
from hozon.errors import UnsupportedError
from hozon.models.text.strings import with_strings
from tests.across.written import text_models
from tests.oracle.client import Oracle

ASK = """
import tf_keras

def flat(value):
    return [np.asarray(v) for v in tf.nest.flatten(value)]

def fitting(value, spec):
    return tf.nest.map_structure(lambda v, s: tf.constant(v.tolist(), s.dtype), value, spec)

def first(value, count):
    return tf.nest.map_structure(lambda v: v[:count], value)

def loaded(path, x):
    model = tf.saved_model.load(path)
    function = model.__call__.concrete_functions[0]
    given = fitting(x, function.structured_input_signature[0][0])
    found = {"call": flat(model(given)), "three": flat(model(first(given, 3))),
             "one": flat(model(first(given, 1)))}
    names = [s.name for s in tf.nest.flatten(function.structured_input_signature)
             if isinstance(s, tf.TensorSpec)]
    signature = model.signatures["serving_default"]
    feeds = dict(zip(names, tf.nest.flatten(given)))
    found["signature"] = {k: np.asarray(v) for k, v in signature(**feeds).items()}
    found["session"] = in_session(path, feeds)
    if "classify" in model.signatures:
        found["classified"] = np.asarray(model.signatures["classify"](text=given)["probabilities"])
    return found, given

def in_session(path, feeds):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], path)
        signature = graph.signature_def["serving_default"]
        return session.run({k: v.name for k, v in signature.outputs.items()},
                           {v.name: np.asarray(feeds[k]) for k, v in signature.inputs.items()})

def tuned(path, given, y):
    model = tf.saved_model.load(path)
    embeddings = next(v for v in model.trainable_variables if "embeddings" in v.name)
    losses = []
    for _ in range(3):
        with tf.GradientTape() as tape:
            made = tf.gather(model(given), y, axis=1, batch_dims=1)
            loss = -tf.reduce_mean(tf.math.log(made))
        slope = tf.convert_to_tensor(tape.gradient(loss, embeddings))
        embeddings.assign_sub(slope)
        losses.append(float(loss))
    return {"losses": losses, "slope": np.asarray(slope)}

def revived(path, given, y):
    model = tf_keras.models.load_model(path)
    found = {"class": type(model).__name__, "call": flat(model(given)),
             "layers": [type(l).__module__.split(".")[1] for l in model.layers]}
    if y is not None:
        found["evaluate"] = model.evaluate(given, y, verbose=0)
        model.fit(given, y, verbose=0)
        after = flat(model(given))
        model.save(path + "_again")
        again = tf_keras.models.load_model(path + "_again")
        found["fitted"], found["again"] = after, flat(again(given))
    return found

for name, (path, x, y) in cases.items():
    out[name] = answer = {}
    try:
        answer["loaded"], given = loaded(path, x)
        answer["revived"] = revived(path, given, y)
        if y is not None:
            answer["tuned"] = tuned(path, given, y)
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {error}"[:3000]
"""
#: What Keras says of int64 on JAX where a model is called.
pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype")
NAMES = ["every_layer", "classifier", "recurrent", "nested", "tokens", "outside_tensorflow"]
#: Signatures besides the model's own.
SIGNATURES = {
    "classifier": lambda model: {
        "classify": (lambda text: {"probabilities": model(text)}, {"text": ((None, 1), "string")})
    }
}
TARGETS = np.arange(len(text_models.LINES)) % 2


def no_signatures(model: keras.Model) -> dict[str, Any]:
    return {}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Each model, its inputs, its outputs, where it lies and what was reported."""
    made = {}
    for name in NAMES:
        keras.utils.set_random_seed(2)
        model, x = getattr(text_models, name)()
        if name == "classifier":
            model.fit(x, TARGETS, verbose=0)
        path = tmp_path_factory.mktemp("text") / name
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Explicitly requested dtype")
            given = SIGNATURES.get(name, no_signatures)(model)
            report = hozon.save_model(model, path, signatures=given)
        outputs = text_models.expected(model, x) if name == "every_layer" else model(x)
        made[name] = (model, x, outputs, path, report)
    return made


@pytest.fixture(scope="module")
def answers(cases: dict[str, Any], oracle: Oracle) -> dict[str, Any]:
    asked = {
        name: (str(path), x, TARGETS if name == "classifier" else None)
        for name, (_, x, _, path, _) in cases.items()
    }
    return oracle.python(ASK, cases=asked)


def flat(value: Any) -> list[np.ndarray]:
    return [np.asarray(v) for v in keras.tree.flatten(value)]


def same(found: list[Any], expected: list[Any], dtypes: bool = True) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype or not dtypes
        if b.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        else:
            assert a.tolist() == b.tolist()


def answer(answers: dict[str, Any], name: str) -> Any:
    assert "error" not in answers[name], answers[name]["error"]
    return answers[name]


@pytest.mark.parametrize("name", NAMES)
def test_tensorflow_gives_the_same(
    cases: dict[str, Any], answers: dict[str, Any], name: str
) -> None:
    found, outputs = answer(answers, name)["loaded"], cases[name][2]
    same(found["call"], flat(outputs))
    named = sorted(outputs) if isinstance(outputs, dict) else list(found["signature"])
    same([found["signature"][k] for k in named], flat(outputs))
    same([found["session"][k] for k in named], flat(outputs))


@pytest.mark.parametrize("name", [n for n in NAMES if n != "every_layer"])
def test_any_number_of_texts(cases: dict[str, Any], answers: dict[str, Any], name: str) -> None:
    model, x, *_ = cases[name]
    for size, key in ((3, "three"), (1, "one")):
        part = keras.tree.map_structure(lambda v: v[:size], x)  # noqa: B023 - used at once
        same(answer(answers, name)["loaded"][key], flat(model(part)))


@pytest.mark.parametrize("name", NAMES)
def test_tf_keras_builds_the_layers(
    cases: dict[str, Any], answers: dict[str, Any], name: str
) -> None:
    found = answer(answers, name)["revived"]
    same(found["call"], flat(cases[name][2]))
    if name != "outside_tensorflow":
        assert set(found["layers"]) <= {"src"}
        assert found["class"] == type(cases[name][0]).__name__


def test_given_signatures_take_strings(cases: dict[str, Any], answers: dict[str, Any]) -> None:
    found = answer(answers, "classifier")["loaded"]["classified"]
    same([found], flat(cases["classifier"][2]))


def test_tf_keras_goes_on_training(cases: dict[str, Any], answers: dict[str, Any]) -> None:
    model, x, outputs, *_ = cases["classifier"]
    found = answer(answers, "classifier")["revived"]
    expected = model.evaluate(x, TARGETS, verbose=0)
    np.testing.assert_allclose(found["evaluate"], expected, rtol=1e-5)
    assert np.any(found["fitted"][0] != flat(outputs)[0])
    same(found["again"], found["fitted"])


def test_tensorflow_tunes_the_embedding(answers: dict[str, Any], cases: dict[str, Any]) -> None:
    found = answer(answers, "classifier")["tuned"]
    first, *_, last = found["losses"]
    assert last < first
    used = {
        int(i)
        for row in cases["classifier"][0].layers[0](text_models.column(text_models.LINES))
        for i in row
    }
    reached = set(np.flatnonzero(np.abs(found["slope"]).sum(axis=1)).tolist())
    assert reached == used


@pytest.mark.parametrize("name", NAMES)
def test_the_very_same_model(cases: dict[str, Any], name: str) -> None:
    model, x, outputs, path, _ = cases[name]
    back = hozon.load_model(path, compile=model.compiled)
    assert type(back).__name__ == type(model).__name__
    assert json.dumps(back.get_config()) == json.dumps(model.get_config())
    again = text_models.expected(back, x) if name == "every_layer" else back(x)
    for a, b in zip(flat(again), flat(outputs), strict=True):
        np.testing.assert_array_equal(a, b)
    back.load_report.assert_consumed()
    assert back.load_report.lost == []


@pytest.mark.parametrize("name", ["every_layer", "tokens"])
def test_hozon_runs_the_functions(cases: dict[str, Any], name: str) -> None:
    _, x, outputs, path, _ = cases[name]
    loaded = hozon.saved_model.load(path)
    same(flat(loaded(x)), flat(outputs), dtypes=False)


def test_ops_are_native(cases: dict[str, Any]) -> None:
    for name in NAMES:
        primitives = {p for found in cases[name][4].fallbacks.values() for p in found}
        assert primitives == ({"reduce"} if name == "outside_tensorflow" else set())


@pytest.mark.parametrize("argument", ["standardize", "split"])
def test_python_functions_are_refused(tmp_path: Path, argument: str) -> None:
    def shout(texts: Any) -> Any:
        return texts

    line = keras.Input((1,), dtype="string")
    layer = TextVectorization(vocabulary=["a"], output_sequence_length=2, **{argument: shout})
    with pytest.raises(UnsupportedError, match=f"{argument}, 'shout'") as caught:
        hozon.save_model(with_strings(keras.Model(line, layer(line))), tmp_path / "m")
    assert f"{argument}=None" in str(caught.value)
    assert not (tmp_path / "m").exists()


def test_unknown_keys_are_refused_where_the_layer_refuses_them(
    tmp_path: Path, oracle: Oracle
) -> None:
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            StringLookup(vocabulary=["a", "b"], num_oov_indices=0),
            layers.Embedding(2, 2),
        ]
    )
    hozon.save_model(model, tmp_path / "m")  # which nobody has made take strings
    ask = """
model = tf.saved_model.load(path)
out["known"] = model(tf.constant([["b"]])).shape.as_list()
try:
    model(tf.constant([["b"], ["c"]]))
except tf.errors.InvalidArgumentError as error:
    out["error"] = str(error)
"""
    told = oracle.python(ask, path=str(tmp_path / "m"))
    assert told["known"] == [1, 1, 2]
    assert "num_oov_indices=0" in told["error"]
