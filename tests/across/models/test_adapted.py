"""Layers that `adapt` taught something: each form either brings it back or says what is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.config.text_layers import TEXT_LAYERS
from hozon.errors import MismatchError, MissingObjectError, SaveError
from hozon.layers import IntegerLookup, StringLookup, TextVectorization
from tests.oracle.client import Oracle

FLOATS = np.float32([[0.5, 3.0], [1.5, -2.0], [9.0, 4.0], [100.0, 0.1]])
TEXTS = np.array([["the quick fox"], ["a the"], ["unheard of"]], object)
TOKENS = np.array([["the", "fox"], ["zebra", "fox"], ["the", "the"]], object)


def bins(mode: str = "int") -> keras.Model:
    layer = keras.layers.Discretization(num_bins=4, output_mode=mode, name="bins")
    layer.update_state(np.random.default_rng(0).normal(size=(60, 2)).astype("float32") * 4)
    layer.finalize_state()
    return keras.Sequential([keras.Input((2,)), layer])


READ = """
for path in paths:
    made = keras.models.load_model(path, compile=False)
    out[path] = made.predict(tf.constant(x), verbose=0)
"""


@pytest.mark.parametrize("mode", ["int", "multi_hot", "count"])
def test_tf_keras_reads_learned_bins(oracle: Oracle, tmp_path: Path, mode: str) -> None:
    model = bins(mode)
    paths = [str(tmp_path / name) for name in ("m", "m.h5", "m.keras")]
    for path in paths:
        report = hozon.save_model(model, path, dialect="keras2" if "." in path else None)
        assert any("num_bins=4" in line for line in (*report.lost, *report.converted))
    told: dict[str, Any] = oracle.python(READ, paths=paths, x=FLOATS)
    for path in paths:
        np.testing.assert_array_equal(told[path], model.predict(FLOATS, verbose=0))
        again = hozon.load_model(path, compile=False)
        np.testing.assert_array_equal(again.predict(FLOATS, verbose=0), told[path])


@pytest.mark.parametrize("name", ["w.weights.h5", "w.weights.json", "w.safetensors", "w.h5"])
def test_weights_tell_what_they_do_not_hold(tmp_path: Path, name: str) -> None:
    text = TextVectorization(name="text")
    text.adapt(TEXTS[:, 0])
    texts = keras.Input((1,), dtype="string")
    numbers = keras.Input((2,))
    outputs = [text(texts), bins().layers[-1](numbers)]
    report = hozon.save_weights(keras.Model([texts, numbers], outputs), tmp_path / name)
    found = sorted(line.split(":")[0] for line in report.lost)
    assert found == (["layer 'text'"] if name == "w.h5" else ["layer 'bins'", "layer 'text'"])


IDF = """
import importlib
K = keras if tf_keras else importlib.import_module("keras")
L = K.layers
def model(layer, shape, data):
    layer.adapt(tf.constant(data))
    made = K.Sequential([K.Input(shape, dtype="string"), layer])
    made.save(f"{folder}/{layer.name}.keras")
    made.save_weights(f"{folder}/{layer.name}.weights.h5")
    out[layer.name] = np.asarray(made(tf.constant(data)))
model(L.TextVectorization(output_mode="tf_idf", name="text"), (1,), texts)
model(L.StringLookup(output_mode="tf_idf", max_tokens=9, pad_to_max_tokens=True, name="words"),
      (1,), tokens)
"""


@pytest.mark.filterwarnings("ignore:No training configuration:UserWarning")
@pytest.mark.parametrize("tf_keras", [True, False], ids=["Keras 2", "Keras 3"])
def test_weights_of_tokens_in_keras_files(oracle: Oracle, tmp_path: Path, tf_keras: bool) -> None:
    told: dict[str, Any] = oracle.python(
        IDF, folder=str(tmp_path), tf_keras=tf_keras, texts=TEXTS, tokens=TOKENS[:, :1]
    )
    fresh = {
        "text": TextVectorization(output_mode="tf_idf", name="text"),
        "words": StringLookup(
            output_mode="tf_idf", max_tokens=9, pad_to_max_tokens=True, name="words"
        ),
    }
    for name, data in (("text", TEXTS), ("words", TOKENS[:, :1])):
        model = hozon.load_model(tmp_path / f"{name}.keras")
        np.testing.assert_allclose(model.predict(data, verbose=0), told[name], rtol=1e-6)
        tokens = model.layers[-1].get_vocabulary()[1:]
        fresh[name].set_vocabulary(tokens, np.ones(len(tokens)))
        other = keras.Sequential([keras.Input(data.shape[1:], dtype="string"), fresh[name]])
        hozon.load_weights(other, tmp_path / f"{name}.weights.h5").assert_consumed()
        np.testing.assert_allclose(other.predict(data, verbose=0), told[name], rtol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        StringLookup(),
        StringLookup(output_mode="multi_hot"),
        TextVectorization(),
        TextVectorization(output_mode="tf_idf"),
    ],
    ids=lambda layer: f"{layer.name}-{layer.output_mode}",
)
def test_without_a_vocabulary_there_is_no_answer(layer: Any, tmp_path: Path) -> None:
    """All unknown would be a wrong one."""
    shape = (1,) if isinstance(layer, TextVectorization) else (2,)
    model = keras.Sequential([keras.Input(shape, dtype="string"), layer])
    with pytest.raises(MismatchError, match=f"{layer.name}.*no vocabulary yet"):
        model.predict(TOKENS[:, : shape[0]], verbose=0)
    with pytest.raises(hozon.HozonError, match="no vocabulary yet"):
        hozon.save_model(model, tmp_path / "m")


def test_integers_without_a_vocabulary(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((2,), dtype="int32"), IntegerLookup(output_mode="count", name="ids")]
    )
    with pytest.raises(MismatchError, match=r"ids.*no vocabulary yet"):
        model.predict(np.ones((2, 2), np.int32), verbose=0)


BARE = """
words = keras.layers.StringLookup(name="words")
words.adapt(tf.constant(tokens))
model = keras.Sequential([words])
out["y"] = np.asarray(words(tf.constant(tokens)))
model.save(folder + "/m", save_format="tf")
model.save(folder + "/m.keras")
"""


@pytest.mark.filterwarnings("ignore:No training configuration:UserWarning")
def test_a_model_that_begins_with_a_lookup_takes_text(oracle: Oracle, tmp_path: Path) -> None:
    """The input that Keras 2 makes has the type of what the layer gives."""
    told: dict[str, Any] = oracle.python(BARE, tokens=TOKENS[:, :1], folder=str(tmp_path))
    for path in ("m", "m.keras"):
        model = hozon.load_model(tmp_path / path)
        np.testing.assert_array_equal(model.predict(TOKENS[:, :1], verbose=0), told["y"])


def begins_with_text(output_mode: str = "int") -> keras.Model:
    layer = TextVectorization(output_sequence_length=3, name="text")
    layer.adapt(TEXTS[:, 0])
    return keras.Sequential(
        [layer, keras.layers.Embedding(9, 2), keras.layers.Flatten(), keras.layers.Dense(2)]
    )


@pytest.mark.filterwarnings("ignore:No training configuration:UserWarning")
def test_a_model_that_began_with_text_declares_it_in_every_form(
    oracle: Oracle, tmp_path: Path
) -> None:
    model = begins_with_text()
    wanted = model.predict(TEXTS, verbose=0)
    paths = [str(tmp_path / name) for name in ("m", "m.h5", "m.keras")]
    for path in paths:
        hozon.save_model(model, path, dialect="keras2" if "." in path else None)
        again = hozon.load_model(path)
        np.testing.assert_allclose(again.predict(TEXTS, verbose=0), wanted, rtol=1e-5)
    told: dict[str, Any] = oracle.python(READ, paths=paths, x=TEXTS)
    for path in paths:
        np.testing.assert_allclose(told[path], wanted, rtol=1e-5)


def test_saving_builds_nothing(tmp_path: Path) -> None:
    model = begins_with_text()
    with pytest.raises(SaveError, match="never been built"):
        hozon.save_model(model, tmp_path / "m")
    assert not model.weights
    assert np.isfinite(model.predict(TEXTS, verbose=0)).all()


NEVER_CALLED = """
import importlib
K = importlib.import_module("keras")
layer = K.layers.Normalization()
layer.adapt(x)
K.Sequential([layer]).save(path)
out["y"] = np.asarray(layer(x))
"""


@pytest.mark.filterwarnings("ignore:No training configuration:UserWarning")
def test_adapted_layers_of_a_model_that_was_never_called(oracle: Oracle, tmp_path: Path) -> None:
    path = str(tmp_path / "m.keras")
    told: dict[str, Any] = oracle.python(NEVER_CALLED, x=FLOATS, path=path)
    found = hozon.load_model(path).predict(FLOATS, verbose=0)
    np.testing.assert_allclose(found, told["y"], rtol=1e-5)


UNKNOWN = """
import importlib
import json
L = importlib.import_module("keras").layers
layer = getattr(L, name)(**config)
out["y"] = np.asarray(layer(tf.constant(x)))
plain = lambda v: v.item() if isinstance(v, np.generic) else list(v)
out["config"] = json.dumps({k: v for k, v in layer.get_config().items() if k != "dtype"},
                           default=plain)
"""
NUMBERS = np.int64([[12, 1138], [42, 1000], [-1, -42]])


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("StringLookup", {"num_oov_indices": 3, "oov_method": "floormod"}),
        ("StringLookup", {"num_oov_indices": 3, "salt": [133, 137]}),
        ("StringLookup", {"num_oov_indices": 5, "salt": 7, "mask_token": ""}),
        ("IntegerLookup", {"num_oov_indices": 3, "oov_method": "floormod"}),
        ("IntegerLookup", {"num_oov_indices": 5, "oov_method": "farmhash"}),
        ("IntegerLookup", {"num_oov_indices": 5, "oov_method": "farmhash", "salt": [3, 4]}),
    ],
)
def test_unknown_tokens_as_keras_3_spreads_them(
    oracle: Oracle, tmp_path: Path, name: str, config: dict[str, Any]
) -> None:
    text = name == "StringLookup"
    x: Any = TOKENS if text else NUMBERS
    config = {**config, "vocabulary": ["the"] if text else [12]}
    told: dict[str, Any] = oracle.python(
        UNKNOWN,
        name=name,
        x=x,
        config={k: v for k, v in config.items() if k != "oov_method"} if text else config,
    )
    layer = TEXT_LAYERS[name].from_config({**json.loads(told["config"]), "name": "words"})
    np.testing.assert_array_equal(layer(x), told["y"])
    inputs = keras.Input((2,), dtype="string" if text else "int64")
    model = keras.Model(inputs, layer(inputs))
    hozon.save_model(model, tmp_path / "m")
    served: dict[str, Any] = oracle.python(
        "f = tf.saved_model.load(path).signatures['serving_default']\n"
        "out['y'] = list(f(tf.constant(x)).values())[0]",
        path=str(tmp_path / "m"),
        x=x,
    )
    np.testing.assert_array_equal(served["y"], told["y"])
    if config.get("salt") or config.get("oov_method") == "farmhash":
        with pytest.raises(hozon.UnsupportedError, match="Keras 2"):
            hozon.save_model(model, tmp_path / "m.h5", dialect="keras2")


@pytest.mark.parametrize("form", ["w", "w.weights.h5", "w.h5"])
def test_a_model_that_predicted_before_it_got_its_statistics(tmp_path: Path, form: str) -> None:
    def model() -> keras.Model:
        return keras.Sequential([keras.Input((2,)), keras.layers.Normalization()])

    saved, other = model(), model()
    saved.layers[-1].adapt(FLOATS)
    hozon.save_weights(saved, tmp_path / form)
    other.predict(FLOATS, verbose=0)
    hozon.load_weights(other, tmp_path / form)
    np.testing.assert_allclose(
        other.predict(FLOATS, verbose=0), saved.predict(FLOATS, verbose=0), rtol=1e-6
    )


COLUMNS = """
from tf_keras.src.feature_column.dense_features import DenseFeatures
fc = tf.feature_column
words = fc.categorical_column_with_vocabulary_list("c", ["x", "y"])
hashed = fc.categorical_column_with_hash_bucket("d", 5)
numbers = fc.categorical_column_with_identity("e", 4)
columns = [
    fc.numeric_column("a"),
    fc.bucketized_column(fc.numeric_column("b"), [0.0, 1.0]),
    fc.indicator_column(words),
    fc.embedding_column(hashed, 3),
    fc.indicator_column(numbers),
    fc.indicator_column(fc.crossed_column(["c", "d"], 6)),
]
kinds = dict(a="float32", b="float32", c="string", d="string", e="int64")
inputs = {name: keras.Input((1,), name=name, dtype=kind) for name, kind in kinds.items()}
model = keras.Model(inputs, keras.layers.Dense(2)(DenseFeatures(columns)(inputs)))
out["y"] = model.predict({k: tf.constant(v) for k, v in x.items()}, verbose=0)
for name in ("m", "m.h5", "m.keras"):
    model.save(f"{folder}/{name}")
"""
FEATURES: dict[str, Any] = {
    "a": np.float32([[0.5], [2]]),
    "b": np.float32([[-1], [0.5]]),
    "c": np.array([["x"], ["z"]], object),
    "d": np.array([["p"], ["q"]], object),
    "e": np.int64([[1], [3]]),
}


@pytest.mark.filterwarnings("ignore:No training configuration:UserWarning")
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")
def test_feature_columns_run_as_saved_functions(oracle: Oracle, tmp_path: Path) -> None:
    told: dict[str, Any] = oracle.python(COLUMNS, x=FEATURES, folder=str(tmp_path))
    model = hozon.load_model(tmp_path / "m")
    np.testing.assert_allclose(model.predict(FEATURES, verbose=0), told["y"], rtol=1e-5)
    for name in ("m.h5", "m.keras"):
        with pytest.raises(MissingObjectError, match="save the model as a SavedModel") as raised:
            hozon.load_model(tmp_path / name)
        assert raised.value.names == ("DenseFeatures",)
