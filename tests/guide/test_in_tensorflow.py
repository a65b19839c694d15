"""What a script after the guide writes here opens in TensorFlow, and has the guide's keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import hozon
from hozon.errors import HozonError
from tests.oracle.client import Oracle

X = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)

READ = """
def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)

for name in ("whole", "whole.h5"):
    model = keras.models.load_model(f"{folder}/{name}")
    close(model.predict(x, verbose=0), y)
    out[name] = int(model.optimizer.iterations)

again = keras.models.model_from_json(text)
for name in ("parts", "parts.h5"):
    again.set_weights([np.zeros_like(w) for w in again.get_weights()])
    status = again.load_weights(f"{folder}/{name}")
    close(again.predict(x, verbose=0), y)
status = again.load_weights(f"{folder}/parts")
status.assert_existing_objects_matched()

first = keras.layers.Dense(5)
first.build((None, 6))
tf.train.Checkpoint(layer=first).read(f"{folder}/layer").assert_consumed()
out["first"] = [w.numpy() for w in first.weights]
out["keys"] = sorted(dict(tf.train.list_variables(f"{folder}/layer")))
"""


def test_everything_that_a_script_writes(keras: Any, oracle: Oracle, tmp_path: Path) -> None:
    from hozon import tf

    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5, activation="relu"), keras.layers.Dense(2)]
    )
    model.compile("adam", "mse")
    model.fit(X, X[:, :2], verbose=0, batch_size=4)
    model.save(tmp_path / "whole")
    model.save(tmp_path / "whole.h5")
    model.save_weights(tmp_path / "parts")
    model.save_weights(tmp_path / "parts.h5")
    tf.train.Checkpoint(layer=model.layers[0]).write(str(tmp_path / "layer"))
    text = hozon.model_to_json(model, dialect="keras2")
    seen = oracle.python(READ, folder=str(tmp_path), x=X, y=model.predict(X, verbose=0), text=text)
    assert seen["whole.h5"] == 2  # of a SavedModel, tf_keras never restores the optimizer
    for have, want in zip(seen["first"], model.layers[0].weights, strict=True):
        np.testing.assert_array_equal(have, np.asarray(want))
    assert seen["keys"] == [
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        "layer/bias/.ATTRIBUTES/VARIABLE_VALUE",
        "layer/kernel/.ATTRIBUTES/VARIABLE_VALUE",
    ]


def test_the_keys_of_a_custom_layer_are_its_attributes(keras: Any, tmp_path: Path) -> None:
    class Outer(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.scale = keras.Variable(2.0, name="anything")
            self.parts = [keras.layers.Dense(1)]

        def call(self, x: Any) -> Any:
            return self.parts[0](x) * self.scale

    model = keras.Sequential([keras.Input((6,)), Outer()])
    model.save_weights(tmp_path / "w")
    names = {name for name, _ in hozon.train.list_variables(tmp_path / "w")}
    value = "/.ATTRIBUTES/VARIABLE_VALUE"
    assert f"layer_with_weights-0/scale{value}" in names
    assert f"layer_with_weights-0/parts/0/kernel{value}" in names


def test_the_traps_of_transfer_are_caught(keras: Any, tmp_path: Path) -> None:
    """A backbone's weights in a larger model, and in one with another head."""
    source = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5, name="body"), keras.layers.Dense(2, name="head")]
    )
    source.save_weights(tmp_path / "w")
    wider = keras.Sequential([keras.Input((6,)), *source.layers[:1], keras.layers.Dense(3)])
    before = [np.asarray(w) for w in wider.weights]
    for options in ({}, {"by_name": True}):
        try:
            wider.load_weights(tmp_path / "w", **options).assert_consumed()
        except (HozonError, AssertionError) as error:
            assert "head" in str(error) or "layer_with_weights-1" in str(error)  # noqa: PT017
        else:
            raise AssertionError("the head of another width went unnoticed")
    for old, new in zip(before, wider.weights, strict=True):
        np.testing.assert_array_equal(old, np.asarray(new))
    backbone = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, name="body")])
    status = backbone.load_weights(tmp_path / "w")
    status.assert_existing_objects_matched()
    np.testing.assert_array_equal(np.asarray(backbone.weights[0]), np.asarray(source.weights[0]))
