"""Files number weights by a model's layers, whose order depends on how calls were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

#: Layers alike that a call takes by name, in an order that is not the alphabet's.
WRITE = """
layers = keras.layers

class Mix(layers.Layer):
    "Takes three tensors."
    def call(self, x, b=None, a=None):
        return x + 2.0 * b + 3.0 * a

def model(last, by_name):
    x = layers.Input((5, 4))
    first, second, third = (layers.Dense(4)(x) for _ in range(3))
    if by_name:
        names = ("value", "key") if isinstance(last, layers.MultiHeadAttention) else ("b", "a")
        y = last(first, **dict(zip(names, (second, third))))
    else:
        y = last(first, second, third)
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(y)))

BUILDS = {
    "attention": lambda: model(layers.MultiHeadAttention(2, 3), False),
    "attention by name": lambda: model(layers.MultiHeadAttention(2, 3), True),
    "own": lambda: model(Mix(), False),
    "own by name": lambda: model(Mix(), True),
}
for name, build in BUILDS.items():
    keras.utils.set_random_seed(3)
    net = build()
    rng = np.random.RandomState(0)
    x, y = rng.rand(8, 5, 4).astype("float32"), rng.rand(8, 2).astype("float32")
    net.compile("adam", "mse")
    net.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for suffix in ("", ".h5", ".keras"):
        net.save(f"{path}/{name}{suffix}", **({} if suffix else {"save_format": "tf"}))
    told = {"x": x, "y": y, "outputs": net.predict(x, verbose=0)}
    told["losses"] = net.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"]
    out[name] = told
"""
READ = """
class Mix(keras.layers.Layer):
    def call(self, x, b=None, a=None):
        return x + 2.0 * b + 3.0 * a

net = keras.models.load_model(path, custom_objects={"Mix": Mix})
out["outputs"] = net.predict(x, verbose=0)
out["losses"] = net.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"]
"""
READ_BY_NAME = """
net = keras.models.load_model(path)
out["losses"] = net.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"]
"""


class Mix(keras.layers.Layer):  # type: ignore[misc]
    """Takes three tensors."""

    def call(self, x: Any, b: Any = None, a: Any = None) -> Any:
        return x + 2.0 * b + 3.0 * a


NAMES = ["attention", "attention by name", "own", "own by name"]
OBJECTS = {"Mix": Mix}


@pytest.fixture(scope="module")
def written(
    oracle: Oracle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("order")
    return path, oracle.python(WRITE, path=str(path))


def agree(model: keras.Model, told: dict[str, Any]) -> None:
    np.testing.assert_allclose(model.predict(told["x"], verbose=0), told["outputs"], atol=2e-6)
    history = model.fit(told["x"], told["y"], epochs=2, verbose=0, shuffle=False)
    np.testing.assert_allclose(history.history["loss"], told["losses"], rtol=2e-5)


@pytest.mark.parametrize("end", ["", ".h5", ".keras"])
@pytest.mark.parametrize("name", NAMES)
def test_every_layer_has_its_own_weights_and_slots(
    written: tuple[Path, dict[str, Any]], name: str, end: str
) -> None:
    agree(hozon.load_model(written[0] / f"{name}{end}", custom_objects=OBJECTS), written[1][name])


@pytest.mark.parametrize("end", ["again.h5", "again.keras"])
@pytest.mark.parametrize("name", NAMES)
def test_saved_again_for_tf_keras(
    written: tuple[Path, dict[str, Any]], oracle: Oracle, name: str, end: str, tmp_path: Path
) -> None:
    path, told = written[0], written[1][name]
    model = hozon.load_model(path / f"{name}.keras", custom_objects=OBJECTS)
    hozon.save_model(model, tmp_path / end, dialect="keras2")
    answer = oracle.python(READ, path=str(tmp_path / end), x=told["x"], y=told["y"])
    np.testing.assert_allclose(answer["outputs"], told["outputs"], atol=2e-6)
    np.testing.assert_allclose(answer["losses"], told["losses"], rtol=2e-5)
    agree(hozon.load_model(tmp_path / end, custom_objects=OBJECTS), told)


@pytest.mark.parametrize("name", ["attention", "own by name"])
def test_saved_again_for_keras_3(
    written: tuple[Path, dict[str, Any]], name: str, tmp_path: Path
) -> None:
    path, told = written[0], written[1][name]
    model = hozon.load_model(path / f"{name}.keras", custom_objects=OBJECTS)
    hozon.save_model(model, tmp_path / "again.keras")
    agree(hozon.load_model(tmp_path / "again.keras", custom_objects=OBJECTS), told)
    read = keras.models.load_model(tmp_path / "again.keras", custom_objects=OBJECTS)
    agree(read, told)


def like_layers(last: keras.Layer, names: tuple[str, ...]) -> keras.Model:
    """Three layers alike, which `last` takes by names where there are any, inside of a model."""
    x = keras.layers.Input((5, 4))
    parts = [keras.layers.Dense(4)(x) for _ in range(3)]
    given = dict(zip(names, parts[3 - len(names) :], strict=True))
    inner = keras.Model(x, last(*parts[: 3 - len(names)], **given))
    return keras.Sequential([keras.layers.Input((5, 4)), inner, keras.layers.Flatten()])


@pytest.mark.parametrize("end", ["m.h5", "m.keras"])
@pytest.mark.parametrize("names", [("query", "key", "value"), ("value", "key"), ()])
def test_keras_2_has_the_order_that_its_reader_sees(
    oracle: Oracle, end: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    model = like_layers(keras.layers.MultiHeadAttention(2, 3), names)
    rng = np.random.default_rng(0)
    x, y = rng.random((8, 5, 4), "float32"), rng.random((8, 20), "float32")
    for net, file in ((model, f"outer_{end}"), (model.layers[0], end)):
        target = y.reshape(net(x).shape)
        net.compile("adam", "mse")
        net.fit(x, target, verbose=0, shuffle=False)
        hozon.save_model(net, tmp_path / file, dialect="keras2")
        told = {"x": x, "y": target, "outputs": net.predict(x, verbose=0)}
        answer = oracle.python(READ, path=str(tmp_path / file), x=x, y=target)
        np.testing.assert_allclose(answer["outputs"], told["outputs"], atol=2e-6)
        told["losses"] = answer["losses"]
        agree(hozon.load_model(tmp_path / file), told)


def by_name(order: str) -> keras.Model:
    """Outputs in a dictionary whose keys are written in some order, each of layers alike."""
    x = keras.layers.Input((4,))
    heads = {name: keras.layers.Dense(3, name=name)(x) for name in order}
    return keras.Model(x, {name: keras.layers.Dense(3)(heads[name]) for name in order})


@pytest.mark.parametrize("end", ["m.h5", "m.keras"])
def test_outputs_by_name_are_met_in_the_order_of_their_names(
    oracle: Oracle, end: str, tmp_path: Path
) -> None:
    model = by_name("bca")
    rng = np.random.default_rng(0)
    x = rng.random((8, 4), "float32")
    y = {name: rng.random((8, 3), "float32") for name in "abc"}
    model.compile("adam", dict.fromkeys("abc", "mse"))
    model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    hozon.save_model(model, tmp_path / end, dialect="keras2")
    losses = model.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"]
    answer = oracle.python(READ_BY_NAME, path=str(tmp_path / end), x=x, y=y)
    np.testing.assert_allclose(answer["losses"], losses, rtol=2e-5)
    again = hozon.load_model(tmp_path / end)
    history = again.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"]
    np.testing.assert_allclose(history, losses, rtol=2e-5)
