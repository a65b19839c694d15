"""Functions and classes of the caller in configs of Keras 2: as tf_keras trains with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle
from tests.training import losses_of

WRITE = """
def halves(shape, dtype=None):
    return 0.5 * tf.ones(shape, dtype or "float32")

def squared(w):
    return 0.1 * tf.reduce_sum(tf.square(w))

def clipped(w):
    return tf.clip_by_value(w, -0.2, 0.2)

class Plain(keras.optimizers.SGD):
    "As it is."

class Given(keras.optimizers.Adam):
    "With an argument of its own."
    def __init__(self, speed=1.0, **kwargs):
        super().__init__(**kwargs)
        self.speed = speed
    def get_config(self):
        return {**super().get_config(), "speed": self.speed}

ExponentialDecay = keras.optimizers.schedules.ExponentialDecay
dense, SGD = keras.layers.Dense, keras.optimizers.SGD
BUILDS = {
    "initializer": lambda: (dense(3, kernel_initializer=halves), SGD(0.05)),
    "regularizer": lambda: (dense(3, kernel_regularizer=squared), SGD(0.05)),
    "activity": lambda: (dense(3, activity_regularizer=squared), SGD(0.05)),
    "constraint": lambda: (dense(3, kernel_constraint=clipped), SGD(0.05)),
    "optimizer": lambda: (dense(3), Plain(0.07, momentum=0.9)),
    "scheduled": lambda: (dense(3), Plain(ExponentialDecay(0.1, 2, 0.5))),
    "own argument": lambda: (dense(3), Given(speed=2.0, learning_rate=0.02, clipnorm=1.0)),
}
for name, build in BUILDS.items():
    keras.utils.set_random_seed(3)
    layer, optimizer = build()
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    model.compile(optimizer, "mse")
    rng = np.random.RandomState(0)
    x, y = rng.rand(8, 4).astype("float32"), rng.rand(8, 3).astype("float32")
    model.fit(x, y, epochs=1, verbose=0, shuffle=False)
    for suffix in ("", ".h5", ".keras"):
        model.save(f"{path}/{name}{suffix}", **({} if suffix else {"save_format": "tf"}))
    out[name] = {"x": x, "y": y, "losses": model.fit(
        x, y, epochs=2, verbose=0, shuffle=False).history["loss"]}
"""


def halves(shape: Any, dtype: Any = None) -> Any:
    return 0.5 * keras.ops.ones(shape, dtype or "float32")


def squared(w: Any) -> Any:
    return 0.1 * keras.ops.sum(keras.ops.square(w))


def clipped(w: Any) -> Any:
    return keras.ops.clip(w, -0.2, 0.2)


class Plain(keras.optimizers.SGD):  # type: ignore[misc]
    """As it is."""


class Given(keras.optimizers.Adam):  # type: ignore[misc]
    """With an argument of its own."""

    def __init__(self, speed: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.speed = speed

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "speed": self.speed}


OBJECTS = {f.__name__: f for f in (halves, squared, clipped, Plain, Given)}
NAMES = [
    "initializer",
    "regularizer",
    "activity",
    "constraint",
    "optimizer",
    "scheduled",
    "own argument",
]


@pytest.fixture(scope="module")
def written(
    oracle: Oracle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("callers")
    return path, oracle.python(WRITE, path=str(path))


@pytest.mark.parametrize("end", ["", ".h5", ".keras"])
@pytest.mark.parametrize("name", NAMES)
def test_they_train_as_in_tf_keras(
    written: tuple[Path, dict[str, Any]], name: str, end: str
) -> None:
    path, told = written[0], written[1][name]
    model = hozon.load_model(path / f"{name}{end}", custom_objects=OBJECTS)
    np.testing.assert_allclose(losses_of(model, told), told["losses"], rtol=2e-5)


def test_an_argument_of_its_own_comes_back(written: tuple[Path, dict[str, Any]]) -> None:
    model = hozon.load_model(written[0] / "own argument.h5", custom_objects=OBJECTS)
    assert model.optimizer.speed == 2.0


@pytest.mark.parametrize("name", NAMES[:4])
@pytest.mark.parametrize(("end", "dialect"), [(".h5", "keras2"), (".keras", "keras2"), ("", None)])
def test_saved_again_they_are_the_same(
    written: tuple[Path, dict[str, Any]], name: str, end: str, dialect: Any, tmp_path: Path
) -> None:
    path, told = written[0], written[1][name]
    model = hozon.load_model(path / f"{name}.h5", custom_objects=OBJECTS)
    hozon.save_model(model, tmp_path / f"again{end}", dialect=dialect)
    again = hozon.load_model(tmp_path / f"again{end}", custom_objects=OBJECTS)
    np.testing.assert_allclose(losses_of(again, told), told["losses"], rtol=2e-5)
