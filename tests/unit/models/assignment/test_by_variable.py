"""Models that `keras.callbacks.OrbaxCheckpoint` wrote, against the live ones that it wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from hozon.errors import MismatchError
from hozon.models.assignment.by_variable import COUNTED

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = X[:, :1]


@keras.saving.register_keras_serializable("by_variable")
class OfNumberedLayers(layers.Layer):
    """Holds layers that Keras numbers together with all others of their classes."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.first, self.second = layers.Dense(units, activation="relu"), layers.Dense(units)
        self.drop = layers.Dropout(0.3)

    def build(self, shape: Any) -> None:
        self.first.build(shape)
        self.second.build((*shape[:-1], self.units))
        self.scale = self.add_weight(shape=(self.units,), name="scale", initializer="ones")

    def call(self, x: Any, training: bool = False) -> Any:
        return self.drop(self.second(self.first(x)), training=training) * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("by_variable")
class OfLayersInLists(keras.Model):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first = layers.Dense(3)
        self.stack = keras.Sequential([layers.Dense(2), layers.Dropout(0.5)])
        self.rest = [layers.Dense(2), layers.Dense(1)]

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.stack(self.first(x), training=training)
        for layer in self.rest:
            x = layer(x)
        return x


def functional(call: Callable[[Any], Any]) -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, call(inputs))


def two(name: str) -> keras.Model:
    stack = [layers.Dense(4, name="dense"), layers.Dense(4, name="out")]
    return keras.Sequential([keras.Input((4,)), *stack], name=name)


def within() -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(4, name="dense")(inputs), name="inner")


def shared() -> keras.Model:
    layer, inputs = layers.Dense(4), keras.Input((4,))
    inner = keras.Model(inputs, layer(inputs))
    return functional(lambda x: layers.Dense(1)(inner(x) + layer(x)))


def frozen() -> keras.Model:
    model = functional(lambda x: layers.Dense(1)(layers.Dense(3)(x)))
    model.layers[1].trainable = False
    return model


def adapted() -> keras.Model:
    layer = layers.Normalization()
    layer.adapt(X)
    return functional(lambda x: layers.Dense(1)(layer(x)))


def quantized() -> keras.Model:
    model = functional(lambda x: layers.Dense(1, name="last")(layers.Dense(4, name="first")(x)))
    model.get_layer("first").quantize("int8")
    return model


def adapters() -> keras.Model:
    model = functional(lambda x: layers.Dense(1)(layers.Dense(3, name="first")(x)))
    model.get_layer("first").enable_lora(2)
    return model


def recurrent(x: Any) -> Any:
    x = layers.TimeDistributed(layers.Dense(2))(layers.Reshape((4, 1))(x))
    return layers.Dense(1)(layers.Bidirectional(layers.LSTM(3, dropout=0.2))(x))


def attention(x: Any) -> Any:
    x = two("a")(x)[:, None, :]
    return layers.Dense(1)(layers.Flatten()(layers.MultiHeadAttention(2, 2)(x, x)))


MODELS: dict[str, Callable[[], keras.Model]] = {
    "twelve of a class": lambda: keras.Sequential([layers.Dense(4) for _ in range(12)]),
    "names in two models": lambda: functional(
        lambda x: layers.Dense(1, name="dense")(two("b")(two("a")(x)))
    ),
    "a name in a model and in one inside": lambda: keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="dense"), within(), layers.Dense(1)]
    ),
    "layers in layers": lambda: functional(
        lambda x: layers.Dense(1)(OfNumberedLayers(4)(OfNumberedLayers(4)(OfNumberedLayers(4)(x))))
    ),
    "subclassed": OfLayersInLists,
    "recurrent": lambda: functional(recurrent),
    "attention": lambda: functional(attention),
    "shared": shared,
    "frozen": frozen,
    "adapted": adapted,
    "spectral": lambda: functional(
        lambda x: layers.Dense(1)(layers.SpectralNormalization(layers.Dense(4))(x))
    ),
    "int8": quantized,
    "lora": adapters,
    "bfloat16": lambda: functional(lambda x: layers.Dense(1, dtype="bfloat16")(x)),
}
OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "sgd": keras.optimizers.SGD,
    "momentum": lambda: keras.optimizers.SGD(momentum=0.9),
    "nadam": keras.optimizers.Nadam,
    "rmsprop": lambda: keras.optimizers.RMSprop(momentum=0.1, centered=True),
    "amsgrad": lambda: keras.optimizers.Adam(amsgrad=True, name="mine"),
    "accumulated": lambda: keras.optimizers.Adam(gradient_accumulation_steps=2),
    "schedule": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    ),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
    "scaled sgd": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
}


def dense() -> keras.Model:
    return keras.Sequential([layers.Dense(3), layers.Dense(1)])


def trained(model: keras.Model, optimizer: Any, folder: Path, **options: Any) -> keras.Model:
    model.compile(optimizer, "mse")
    callback = keras.callbacks.OrbaxCheckpoint(folder, save_on_background=False, **options)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    return model


def state(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


def same(found: keras.Model, expected: keras.Model) -> None:
    for new, old in zip(state(found), state(expected), strict=True):
        np.testing.assert_array_equal(new, old)
    losses = [
        model.fit(X, Y, epochs=2, shuffle=False, verbose=0).history["loss"]
        for model in (found, expected)
    ]
    assert losses[0] == losses[1]


@pytest.mark.filterwarnings("ignore:.build\\(\\). was called on layer:UserWarning")
@pytest.mark.parametrize("kind", MODELS)
def test_models_come_back_and_train_on(kind: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = trained(MODELS[kind](), "adam", tmp_path / "run")
    again = hozon.load_model(tmp_path / "run")
    report = again.load_report
    assert (report.missing, report.unexpected, report.mismatched, report.lost) == ([], [], [], [])
    same(again, model)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_optimizers_go_on(kind: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = trained(dense(), OPTIMIZERS[kind](), tmp_path / "run")
    again = hozon.load_model(tmp_path / "run")
    assert again.load_report.lost == []
    same(again, model)


@pytest.mark.parametrize("weights_only", [False, True])
@pytest.mark.parametrize("kind", ["twelve of a class", "layers in layers", "attention", "shared"])
def test_weights_go_into_a_model_that_is_made_again(
    kind: str, weights_only: bool, tmp_path: Path
) -> None:
    """Keras has numbered its layers anew by then."""
    model = trained(MODELS[kind](), "adam", tmp_path / "run", save_weights_only=weights_only)
    other = MODELS[kind]()
    other.build((None, 4))
    report = hozon.load_weights(other, tmp_path / "run").assert_consumed()
    assert all(line == COUNTED for line in report.converted if "random" not in line)
    for new, old in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    trained(dense(), "adam", tmp_path / "run")
    for other in (within(), functional(lambda x: layers.Dense(1, name="else")(x))):
        before = [np.asarray(v) for v in other.weights]
        with pytest.raises(MismatchError):
            hozon.load_weights(other, tmp_path / "run")
        for new, old in zip(other.weights, before, strict=True):
            np.testing.assert_array_equal(np.asarray(new), old)


def test_another_shape_is_refused_or_left_out(tmp_path: Path) -> None:
    named = lambda units: keras.Sequential(
        [keras.Input((4,)), layers.Dense(units, name="a"), layers.Dense(1, name="b")], name="m"
    )
    model = trained(named(3), "adam", tmp_path / "run")
    with pytest.raises(MismatchError, match="shape"):
        hozon.load_weights(named(5), tmp_path / "run")
    other = named(5)
    report = hozon.load_weights(other, tmp_path / "run", skip_mismatch=True)
    assert len(report.mismatched) == 3
    np.testing.assert_array_equal(
        np.asarray(other.get_layer("b").bias), np.asarray(model.get_layer("b").bias)
    )


def test_names_of_the_file_may_be_given(tmp_path: Path) -> None:
    model = trained(functional(lambda x: layers.Dense(1, name="old")(x)), "adam", tmp_path / "run")
    other = functional(lambda x: layers.Dense(1, name="new")(x))
    hozon.load_weights(other, tmp_path / "run", rename={"old": "new"})
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


def test_random_numbers_whose_order_is_a_guess_are_told(tmp_path: Path) -> None:
    drop = lambda x: layers.GaussianNoise(0.1)(layers.Dropout(0.1)(x))
    trained(functional(lambda x: layers.Dense(1)(drop(x))), "adam", tmp_path / "run")
    (line,) = hozon.load_model(tmp_path / "run").load_report.converted
    assert "states of random numbers are taken in the order" in line
