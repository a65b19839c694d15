"""Each way in which an object of a SavedModel comes back, against what tf_keras answers."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.keras_private import values
from tests.oracle.client import Oracle

#: Per model: its code, which leaves `model`, `x`, `y` and `compile` (arguments as a dictionary).
MODELS = {
    "custom": """
class Scale(layers.Layer):
    def __init__(self, by, **kwargs):
        super().__init__(**kwargs)
        self.by = by
    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=(shape[-1],), initializer="ones")
    def call(self, x):
        return x * self.factor * self.by
    def get_config(self):
        return {**super().get_config(), "by": self.by}
model = keras.Sequential([layers.Input((3,)), layers.Dense(4), Scale(2.0), layers.Dense(1)])
x, y = floats(8, 3), floats(8, 1)
""",
    "loss_in_call": """
class Penalty(layers.Layer):
    def call(self, x):
        self.add_loss(0.1 * tf.reduce_mean(tf.square(x)))
        return x
model = keras.Sequential([layers.Input((3,)), layers.Dense(4), Penalty(), layers.Dense(1)])
x, y = floats(8, 3), floats(8, 1)
""",
    "code": """
model = keras.Sequential([layers.Input((3,)), layers.Dense(4),
                          layers.Lambda(lambda t: tf.nn.relu(t) * 3.0), layers.Dense(1)])
x, y = floats(8, 3), floats(8, 1)
""",
    "dictionaries": """
a, b = layers.Input((3,), name="a"), layers.Input((2,), name="b")
h = layers.Concatenate()([a, b])
model = keras.Model({"a": a, "b": b}, {"p": layers.Dense(1, name="p")(h),
                                       "q": layers.Dense(2, name="q")(h)})
x = {"a": floats(8, 3), "b": floats(8, 2)}
y = {"p": floats(8, 1), "q": floats(8, 2)}
compile = {"loss": {"p": "mse", "q": "mae"}, "loss_weights": {"p": 1.0, "q": 0.5}}
""",
    "outputs": """
a = layers.Input((3,))
h = layers.Dense(4, "relu")(a)
model = keras.Model(a, [layers.Dense(1, name="p")(h), layers.Dense(2, name="q")(h)])
x, y = floats(8, 3), [floats(8, 1), floats(8, 2)]
compile = {"loss": {"p": "mse", "q": "huber"}, "metrics": {"p": ["mae"], "q": ["mse"]}}
""",
    "half": """
keras.mixed_precision.set_global_policy("mixed_bfloat16")
model = keras.Sequential([layers.Input((3,)), layers.Dense(4),
                          layers.Dense(1, dtype="float32")])
keras.mixed_precision.set_global_policy("float32")
x, y = floats(8, 3), floats(8, 1)
""",
    "masks": """
class Twice(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
    def call(self, x):
        return 2 * x
class Mean(layers.Layer):
    def call(self, x, mask=None):
        mask = tf.cast(mask, x.dtype)[..., None]
        return tf.reduce_sum(x * mask, 1) / tf.reduce_sum(mask, 1)
model = keras.Sequential([layers.Input((4,), dtype="int32"),
                          layers.Embedding(5, 3, mask_zero=True), Twice(), Mean(),
                          layers.Dense(1)])
x, y = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [4, 4, 4, 1]] * 2, "int32"), floats(6, 1)
""",
    "adapted": """
scale, cut = layers.Normalization(), layers.Discretization(num_bins=3)
scale.adapt(np.arange(12.0).reshape(4, 3))
cut.adapt(np.arange(20.0)[:, None])
known = layers.IntegerLookup()
known.adapt(np.array([5, 6, 6, 7]))
i, f, g = (layers.Input((1,), dtype="int64", name="i"), layers.Input((1,), name="f"),
           layers.Input((3,), name="g"))
parts = [layers.CategoryEncoding(6, output_mode="one_hot")(known(i)),
         layers.Flatten()(layers.Embedding(4, 2)(cut(f))), scale(g),
         layers.CategoryEncoding(5, output_mode="multi_hot")(layers.Hashing(5)(i))]
model = keras.Model([i, f, g], layers.Dense(1)(layers.Concatenate()(parts)))
x = [np.array([[5], [7], [9], [-1]]), np.array([[0.0], [9.0], [22.0], [-3.0]], "float32"),
     floats(4, 3)]
y = floats(4, 1)
""",
    "words": """
one, many = layers.StringLookup(vocabulary=["x", "y", "z"], output_mode="one_hot"), (
    layers.StringLookup(output_mode="multi_hot"))
many.adapt(np.array([["p", "q"], ["q", "r"]]))
listed = layers.StringLookup(vocabulary=vocabulary, mask_token="")
a, b, c, d = (layers.Input((1,), dtype="string", name="a"),
              layers.Input((2,), dtype="string", name="b"), layers.Input((3,), name="c"),
              layers.Input((1,), dtype="string", name="d"))
h = layers.Flatten()(layers.Embedding(6, 2)(listed(d)))
model = keras.Model({"a": a, "b": b, "c": c, "d": d},
                    layers.Dense(2)(layers.Concatenate()([one(a), many(b), c, h])))
x = {"a": np.array([["x"], ["?"]], object), "b": np.array([["p", "r"], ["n", "q"]], object),
     "c": floats(2, 3), "d": np.array([["two"], [""]], object)}
y = floats(2, 2)
""",
    "weighted": """
text = layers.TextVectorization(output_mode="tf_idf")
text.adapt(["a b c", "hello world", "world of a"])
model = keras.Sequential([layers.Input((1,), dtype="string"), text, layers.Dense(1)])
x, y = np.array([["a world"], ["b c c"], ["none"]], object), floats(3, 1)
""",
    "varying": """
text = layers.TextVectorization()
text.adapt(["a b c", "hello world", "world of a"])
model = keras.Sequential([layers.Input((1,), dtype="string"), text, layers.Embedding(9, 2),
                          layers.GlobalAveragePooling1D(), layers.Dense(1)])
x, y = np.array([["a world"], ["b c c"], ["none"]], object), floats(3, 1)
""",
    "own_text": """
def clean(text):
    return tf.strings.regex_replace(tf.strings.lower(text), "<br>", " ")
text = layers.TextVectorization(standardize=clean, output_sequence_length=4)
text.adapt(["a b c", "hello world", "world of a"])
model = keras.Sequential([layers.Input((1,), dtype="string"), text, layers.Embedding(9, 2),
                          layers.GlobalAveragePooling1D(), layers.Dense(1)])
x, y = np.array([["A<br>world"], ["b c c"], ["none"]], object), floats(3, 1)
""",
}
WRITE = """
import os
layers = keras.layers
rng = np.random.RandomState(0)
def floats(*shape):
    return rng.rand(*shape).astype("float32")
def tensors(value):
    return tf.nest.map_structure(tf.constant, value)
with open(os.path.join(folder, "vocabulary.txt"), "w") as file:
    file.write("one\\ntwo\\nthree\\n")
for name, source in models.items():
    keras.utils.set_random_seed(7)
    scope = {"keras": keras, "layers": layers, "tf": tf, "np": np, "floats": floats,
             "vocabulary": os.path.join(folder, "vocabulary.txt"), "compile": {"loss": "mse"}}
    exec(source, scope)
    model, x, y = scope["model"], scope["x"], scope["y"]
    model.compile("adam", **scope["compile"])
    def fit():
        model.fit(tensors(x), tensors(y), batch_size=2, shuffle=False, verbose=0)
    fit()
    model.save(os.path.join(folder, name), save_format="tf")
    answers = {"x": x, "y": y}
    outputs = model(tensors(x), training=False)
    answers["outputs"] = tf.nest.map_structure(lambda t: t.numpy(), outputs)
    answers["evaluated"] = model.evaluate(tensors(x), tensors(y), verbose=0)
    fit()
    answers["stepped"] = [w.numpy() for w in model.trainable_weights]
    out[name] = answers
class Odd(layers.Layer):
    def build(self, shape):
        self.k = self.add_weight(name="k", shape=(shape[-1],))
    def call(self, x):
        return x * self.k
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.d = layers.Dense(2)
    def call(self, x):
        return self.d(x)
model = keras.Sequential([layers.Input((3,)), Odd(), layers.Dense(2)])
model.save(os.path.join(folder, "no_traces"), save_format="tf", save_traces=False)
model = Net()
model(np.ones((1, 3), "float32"))
model.save(os.path.join(folder, "no_config"), save_format="tf", save_traces=False)
"""
#: Models whose strings become numbers before the first weight, the rest of which is compiled.
SPLIT = ("words", "weighted", "varying")


class Scale(keras.layers.Layer):  # type: ignore[misc]
    """The same as the saved one."""

    def __init__(self, by: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.by = by

    def build(self, shape: Any) -> None:
        self.factor = self.add_weight(name="factor", shape=(shape[-1],), initializer="ones")

    def call(self, x: Any) -> Any:
        return x * self.factor * self.by

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "by": self.by}


@pytest.fixture(scope="module")
def saved(oracle: Oracle) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The folder of all models, and tf_keras' answers."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder), oracle.python(WRITE, folder=folder, models=MODELS)


Saved = tuple[Path, Mapping[str, Any]]


def load(saved: Saved, name: str, **arguments: Any) -> keras.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return hozon.load_model(saved[0] / name, **arguments)


def goes_on(
    model: keras.Model, told: Mapping[str, Any], rtol: float = 1e-4, atol: float = 1e-5
) -> None:
    """Outputs by call and predict, evaluation and the next epoch are those of the saved model."""
    x, y = told["x"], told["y"]
    for outputs in (model(x, training=False), model.predict(x, batch_size=64, verbose=0)):
        flat, wanted = keras.tree.flatten(outputs), keras.tree.flatten(told["outputs"])
        assert len(flat) == len(wanted)
        for have, want in zip(flat, wanted, strict=True):
            assert have.shape == want.shape
            assert np.asarray(have).dtype == want.dtype
            np.testing.assert_allclose(np.asarray(have), want, rtol=rtol, atol=atol)
    np.testing.assert_allclose(
        model.evaluate(x, y, verbose=0), told["evaluated"], rtol=rtol, atol=atol
    )
    model.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    for have, want in zip(model.trainable_weights, told["stepped"], strict=True):
        np.testing.assert_allclose(np.asarray(have), want, rtol=rtol, atol=atol)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")  # JAX, of such inputs
@pytest.mark.parametrize("name", [name for name in MODELS if name != "half"])
def test_models_go_on_where_they_were(saved: Saved, name: str) -> None:
    model = load(saved, name)
    assert not model.load_report.lost
    goes_on(model, saved[1][name])
    assert getattr(model, "split", None) is None or name in SPLIT
    assert model.jit_compile is (name != "own_text")


def test_mixed_precision_goes_on_in_its_own_precision(saved: Saved) -> None:
    model = load(saved, "half")
    assert [layer.dtype_policy.name for layer in model.layers] == ["mixed_bfloat16", "float32"]
    goes_on(model, saved[1]["half"], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("registered", [False, True])
def test_supplied_classes_are_used(saved: Saved, registered: bool) -> None:
    if registered:
        with keras.saving.custom_object_scope({"Scale": Scale}):
            model = load(saved, "custom")
    else:
        model = load(saved, "custom", custom_objects={"Scale": Scale})
    assert type(model.layers[1]) is Scale
    goes_on(model, saved[1]["custom"])


def test_absent_classes_are_made_and_named_in_the_report(saved: Saved) -> None:
    model = load(saved, "custom")
    rungs = {o.class_name: o.rung for o in model.load_report.objects}
    assert rungs == {
        "Sequential": "built-in class",
        "Dense": "built-in class",
        "Scale": "saved functions",
    }
    assert type(model.layers[1]).__name__ == "Scale"
    assert model.layers[1].get_config()["by"] == 2.0


@pytest.mark.parametrize("name", SPLIT)
def test_text_models_stay_one_model(saved: Saved, name: str) -> None:
    model = load(saved, name)
    assert model.split is not None
    assert not model.run_eagerly
    shown: list[str] = []
    model.summary(print_fn=lambda line, **_: shown.append(line))
    for layer in model.get_config()["layers"]:
        assert any(layer["config"]["name"][:20] in line for line in shown) or (
            layer["class_name"] == "InputLayer"
        )


def test_batches_of_texts(saved: Saved) -> None:
    model, x, y = load(saved, "varying"), *(saved[1]["varying"][k] for k in "xy")
    model.train_on_batch(x, y)
    model.test_on_batch(x, y)
    assert model.predict_on_batch(x).shape == (3, 1)
    history = model.fit(x.tolist(), y, validation_data=(x, y), epochs=2, verbose=0).history
    assert len(history["val_loss"]) == 2


def test_no_initializer_runs(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    for kind in (
        keras.initializers.GlorotUniform,
        keras.initializers.RandomUniform,
        keras.initializers.Zeros,
        keras.initializers.Ones,
    ):
        monkeypatch.setattr(kind, "__call__", lambda self, *a, **k: ran.append(self))
    finished = values.Deferred.finish
    left: list[Any] = []
    monkeypatch.setattr(values.Deferred, "finish", lambda self: left.extend(finished(self)))
    model = load(saved, "dictionaries", compile=False)
    assert model.load_report.matched
    assert not ran
    assert not left


def test_what_no_class_and_no_function_is_left_of(saved: Saved) -> None:
    with pytest.raises(hozon.MissingObjectError, match=r"custom_objects=\{'Odd': ...\}"):
        hozon.load_model(saved[0] / "no_traces")
    with pytest.raises(hozon.UnsupportedError, match="'Net' has no config"):
        hozon.load_model(saved[0] / "no_config")


def wrong_paths(folder: Path) -> dict[str, tuple[Path, str]]:
    (folder / "empty").mkdir()
    (folder / "parent" / "1").mkdir(parents=True)
    (folder / "parent" / "1" / "saved_model.pb").write_bytes(b"")
    (folder / "m.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(32))
    (folder / "m.keras").write_bytes(b"PK\x03\x04" + bytes(32))
    (folder / "notes.txt").write_text("no model here\n")
    (folder / "frozen.pb").write_bytes(b"\x22\x00")
    return {
        "missing": (folder / "nowhere", "does not exist"),
        "empty": (folder / "empty", "holds no saved_model.pb"),
        "parent": (folder / "parent", r"SavedModel in .*1"),
        "h5": (folder / "m.h5", "HDF5 file"),
        "keras": (folder / "m.keras", "zip archive"),
        "text": (folder / "notes.txt", "give the directory"),
        "graph": (folder / "frozen.pb", "give the directory"),
    }


@pytest.mark.parametrize("kind", ["missing", "empty", "parent", "h5", "keras", "text", "graph"])
def test_wrong_paths_say_what_to_do(tmp_path: Path, kind: str) -> None:
    path, text = wrong_paths(tmp_path)[kind]
    with pytest.raises(hozon.FormatError, match=text) as caught:
        hozon.load_model(path)
    assert str(path) in str(caught.value)
