"""Losses and metrics that are added from outside of a model, or in the call of its layers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hozon
from hozon.errors import UnsupportedError
from tests.oracle.client import Oracle

X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
Y = X[:, :1]


def fitted(model: Any, epochs: int = 2) -> dict[str, list[float]]:
    history: dict[str, list[float]] = model.fit(
        X, Y, epochs=epochs, verbose=0, shuffle=False
    ).history
    return history


def close(a: dict[str, list[float]], b: dict[str, list[float]]) -> None:
    assert sorted(a) == sorted(b)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-5, err_msg=name)


def with_added(keras: Any) -> Any:
    """A functional model; the loss has a layer of its own."""
    x = keras.Input((4,))
    hidden = keras.layers.Dense(3, activation="tanh")(x)
    aside = keras.layers.Dense(2, name="aside")(hidden)
    model = keras.Model(x, keras.layers.Dense(1)(hidden))
    model.add_loss(0.1 * keras.ops.mean(aside**2))
    model.add_metric(keras.ops.mean(hidden), name="activity")
    model.compile("adam", "mse")
    return model


def with_calls(keras: Any) -> Any:
    """A model whose layers add both in their calls, of classes that nobody can find later."""

    class Penalized(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x: Any) -> Any:
            y = self.dense(x)
            self.add_loss(keras.ops.mean(y**2))
            self.add_metric(keras.ops.mean(y), name="inner")
            return y

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = Penalized(), keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            y = self.first(x)
            self.add_metric(y, name="outer")
            return self.last(y)

    model = Own()
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("make", [with_added, with_calls])
def test_they_survive_a_saved_model(make: Any, keras: Any, oracle: Oracle, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = make(keras)
    first = fitted(model)
    assert {"activity"} <= first.keys() or {"inner", "outer"} <= first.keys()
    report = model.save(tmp_path / "m")
    assert report.lost == []
    again = keras.models.load_model(tmp_path / "m")
    uninterrupted = fitted(model)
    close(fitted(again), uninterrupted)
    close(_in_tensorflow(oracle, tmp_path / "m"), uninterrupted)


def _in_tensorflow(oracle: Oracle, path: Path) -> dict[str, list[float]]:
    source = """
model = keras.models.load_model(path)
out["history"] = model.fit(x, y, epochs=2, verbose=0, shuffle=False).history
"""
    history: dict[str, list[float]] = oracle.python(source, path=str(path), x=X, y=Y)["history"]
    return history


WRITTEN = """
def functional():
    x = keras.Input((4,))
    hidden = keras.layers.Dense(3, activation="tanh")(x)
    aside = keras.layers.Dense(2, name="aside")(hidden)
    model = keras.Model(x, keras.layers.Dense(1)(hidden))
    model.add_loss(0.1 * tf.reduce_mean(aside**2))
    model.add_metric(tf.reduce_mean(hidden), name="activity")
    return model

class Penalized(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)
    def call(self, x):
        y = self.dense(x)
        self.add_loss(tf.reduce_mean(y**2))
        self.add_metric(tf.reduce_mean(y), name="inner")
        return y

class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = Penalized(), keras.layers.Dense(1)
    def call(self, x):
        y = self.first(x)
        self.add_metric(y, name="outer", aggregation="mean")
        return self.last(y)

for name, model in (("added", functional()), ("calls", Own())):
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0, shuffle=False)
    model.save(f"{folder}/{name}")
    out[name] = model.fit(x, y, epochs=2, verbose=0, shuffle=False).history
"""

# In a process of its own: there nobody has opted in.
OPENED = """
import sys, json, numpy as np, hozon
data = np.load(sys.argv[1] + "/data.npz")
out = {}
for name in ("added", "calls"):
    model = hozon.load_model(f"{sys.argv[1]}/{name}")
    out[name] = model.fit(data["x"], data["y"], epochs=2, verbose=0, shuffle=False).history
print(json.dumps(out))
"""


def test_those_of_tensorflow_go_on_here(oracle: Oracle, tmp_path: Path) -> None:
    import json

    expected = oracle.python(WRITTEN, x=X, y=Y, folder=str(tmp_path))
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OPENED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    have = json.loads(done.stdout.splitlines()[-1])
    for name in ("added", "calls"):
        close(have[name], expected[name])


@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
def test_files_that_cannot_hold_them_say_so(keras: Any, name: str, tmp_path: Path) -> None:
    model = with_added(keras)
    fitted(model)
    layers, weights = [layer.name for layer in model.layers], len(model.weights)
    report = model.save(tmp_path / name)
    assert any("add_loss()" in line for line in report.lost)
    assert any("'activity'" in line for line in report.lost)
    assert ([layer.name for layer in model.layers], len(model.weights)) == (layers, weights)
    again = keras.models.load_model(tmp_path / name)
    assert sorted(fitted(again)) == ["loss"]
    np.testing.assert_array_equal(
        hozon.load_model(tmp_path / name).predict(X, verbose=0), model.predict(X, verbose=0)
    )


def test_copies_have_them_and_json_has_not(keras: Any) -> None:
    model = with_added(keras)
    copy = keras.models.clone_model(model)
    copy.compile("adam", "mse")
    assert sorted(fitted(copy)) == ["activity", "loss"]
    bare = keras.models.model_from_json(model.to_json())
    bare.compile("adam", "mse")
    assert sorted(fitted(bare)) == ["loss"]


def test_a_model_within_a_model_keeps_its_own(keras: Any, tmp_path: Path) -> None:
    inner = with_added(keras)
    x = keras.Input((4,))
    outer = keras.Model(x, keras.layers.Dense(1)(inner(x)))
    outer.compile("adam", "mse")
    assert sorted(fitted(outer)) == ["activity", "loss"]
    outer.save(tmp_path / "m")
    again = keras.models.load_model(tmp_path / "m")
    close(fitted(again), fitted(outer))
    report = outer.save(tmp_path / "m.keras")
    assert any("'activity'" in line for line in report.lost)


def test_wrong_uses_name_the_argument(keras: Any) -> None:
    model = with_added(keras)
    with pytest.raises(ValueError, match="scalar"):
        model.add_loss(model.output)
    with pytest.raises(ValueError, match="name="):
        model.add_metric(keras.ops.mean(model.output))
    with pytest.raises(ValueError, match="has a metric of this name"):
        model.add_metric(keras.ops.mean(model.output), name="activity")
    with pytest.raises(ValueError, match="aggregation"):
        model.add_metric(keras.ops.mean(model.output), name="m", aggregation="sum")
    with pytest.raises(ValueError, match="does not come from the inputs"):
        model.add_loss(keras.ops.mean(keras.Input((4,))))
    assert len(model.layers) == 6
    chain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    with pytest.raises((UnsupportedError, ValueError), match="add_metric"):
        chain.add_metric(keras.ops.mean(chain.outputs[0]), name="m")
