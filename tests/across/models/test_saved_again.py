"""Models whose classes nobody has run their saved functions, and are saved again and again.

The functions are written for batches of any size each time, in training as in inference. The
truth is the model that the classes made, in Keras, and TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from tests.oracle.client import Oracle


class Chain(keras.Model):  # type: ignore[misc]
    """Layers one after the other."""

    def __init__(self, parts: Sequence[keras.Layer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = list(parts)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """The last one's output."""
        for part in self.parts:
            told = isinstance(part, (layers.BatchNormalization, layers.GaussianNoise))
            x = part(x, training=training) if told else part(x)
        return x


KINDS: dict[str, tuple[tuple[int, ...], Callable[[], list[keras.Layer]]]] = {
    "rows": (
        (8, 6),
        lambda: [
            layers.Dense(4),
            layers.BatchNormalization(),
            layers.GaussianNoise(1e-7),
            layers.Dense(1),
        ],
    ),
    "sequences": (
        (8, 5, 6),
        lambda: [
            layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True),
            layers.GroupNormalization(1),
            layers.GlobalAveragePooling1D(),
            layers.UnitNormalization(),
            layers.Dense(1),
        ],
    ),
}
READ = """
from tf_keras.models import load_model
for name in names:
    model = load_model(f"{folder}/{name}")
    out[name] = [model.predict(x, verbose=0), model.predict(x[:3], verbose=0)]
"""


@pytest.mark.parametrize("kind", KINDS)
def test_twice(kind: str, oracle: Oracle, tmp_path: Path) -> None:
    shape, make = KINDS[kind]
    r = np.random.default_rng(0)
    x, y = r.normal(size=shape).astype("f4"), r.normal(size=(shape[0], 1)).astype("f4")
    model = Chain(make())
    model.compile(keras.optimizers.SGD(1e-2, momentum=0.9), "mse")
    model.train_on_batch(x, y)
    assert hozon.save_model(model, tmp_path / "first").lost == []
    for before, after in (("first", "second"), ("second", "third")):
        again = hozon.load_model(tmp_path / before)
        assert again.load_report.rung("root") == "saved functions"
        lost = hozon.save_model(again, tmp_path / after).lost
        assert [line for line in lost if "derivative" not in line] == []
    predicted = model.predict(x, verbose=0)
    model.train_on_batch(x, y)
    last = hozon.load_model(tmp_path / "third")
    np.testing.assert_allclose(last.predict(x, verbose=0), predicted, rtol=1e-4, atol=1e-5)
    last.train_on_batch(x, y)
    for mine, true in zip(last.weights, model.weights, strict=True):
        np.testing.assert_allclose(mine, true, rtol=1e-3, atol=1e-5, err_msg=true.path)
    names = ["first", "third"]
    found = oracle.python(READ, x=x, folder=str(tmp_path), names=names)
    for name in names:
        whole, few = found[name]
        np.testing.assert_allclose(whole, predicted, rtol=1e-4, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(few, predicted[:3], rtol=1e-4, atol=1e-5, err_msg=name)


STATEFUL = """
class Remembering(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.layer = keras.layers.GRU(3, stateful=True)
        self.last = keras.layers.Dense(1)
    def call(self, x):
        return self.last(self.layer(x))
    def get_config(self):
        return {}
"""
WRITTEN = (
    STATEFUL
    + """
model = Remembering()
model(x[0])
model.save(folder)
out["y"] = [np.asarray(model(batch)) for batch in x[1:]]
"""
)


@pytest.mark.filterwarnings("ignore:No training configuration")
def test_what_a_class_remembers(oracle: Oracle, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(4, 2, 3, 4)).astype("f4")
    truth = np.stack(oracle.python(WRITTEN, x=x, folder=str(tmp_path / "m"))["y"])

    def run(model: keras.Model) -> Any:
        return np.stack([np.asarray(model(batch)) for batch in x[1:]])

    hozon.save_model(hozon.load_model(tmp_path / "m"), tmp_path / "again")
    np.testing.assert_allclose(run(hozon.load_model(tmp_path / "again")), truth, atol=1e-5)
    names: dict[str, Any] = {"keras": keras}
    exec(STATEFUL, names)  # the class of the file, in this Keras
    given = {"Remembering": names["Remembering"]}
    np.testing.assert_allclose(
        run(hozon.load_model(tmp_path / "m", custom_objects=given)), truth, atol=1e-5
    )
