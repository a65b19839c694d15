"""Small models of every kind that a SavedModel must hold, each with inputs and targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops


@dataclass(frozen=True)
class Case:
    """A compiled model that was trained a step, inputs, and targets where it can be fitted.

    `evaluates` is False where the class has metrics of its own, which only its class knows.
    """

    model: keras.Model
    x: Any
    y: Any = None
    evaluates: bool = True


MAKERS: dict[str, Callable[[], Case]] = {}


def case(maker: Callable[[], Case]) -> Callable[[], Case]:
    MAKERS[maker.__name__] = maker
    return maker


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def trained(model: keras.Model, x: Any, y: Any, **compiled: Any) -> Case:
    keras.utils.set_random_seed(3)
    model.compile(**{"optimizer": "adam", "loss": "mse", **compiled})
    model.fit(x, y, epochs=1, verbose=0)
    return Case(model, x, y)


@case
def sequential() -> Case:
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(2),
        ]
    )
    return trained(model, floats(8, 3), floats(8, 2), metrics=["mae"])


@case
def several_inputs_and_outputs() -> Case:
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(3, name="shared")
    joined = layers.Concatenate()([shared(a), shared(b)])
    one = layers.Dense(1, name="one")(joined)
    two = layers.Dense(2, name="two", activation="softmax")(layers.LayerNormalization()(joined))
    model = keras.Model([a, b], [one, two])
    y = [floats(6, 1), np.eye(2, dtype="float32")[[0, 1, 0, 1, 0, 1]]]
    return trained(
        model, [floats(6, 4), floats(6, 4) + 1], y, loss=["mse", "categorical_crossentropy"]
    )


@case
def dictionaries() -> Case:
    inputs = {"left": keras.Input((2,), name="left"), "right": keras.Input((3,), name="right")}
    made = layers.Dense(2)(layers.Concatenate()([inputs["left"], inputs["right"]]))
    model = keras.Model(inputs, {"sum": layers.Dense(1, name="sum")(made), "made": made})
    x = {"left": floats(5, 2), "right": floats(5, 3)}
    return trained(model, x, {"sum": floats(5, 1), "made": floats(5, 2)}, optimizer="rmsprop")


@case
def nested() -> Case:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="tanh")], name="inner")
    x = keras.Input((4,))
    middle_in = keras.Input((3,))
    middle = keras.Model(middle_in, layers.Dense(3)(middle_in) + middle_in, name="middle")
    return trained(
        keras.Model(x, layers.Dense(1)(middle(inner(x)))),
        floats(6, 4),
        floats(6, 1),
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    )


@case
def operations() -> Case:
    x = keras.Input((4, 3))
    y = ops.relu(x * 2.0 - 1.0)
    y = ops.concatenate([y, ops.sqrt(ops.abs(x) + 1.0)], axis=-1)
    y = ops.mean(y, axis=1)[:, 1:]
    return trained(keras.Model(x, layers.Dense(2)(y)), floats(6, 4, 3), floats(6, 2))


@case
def convolutions() -> Case:
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.DepthwiseConv2D(3)(y)
    y = layers.BatchNormalization()(y)
    y = layers.MaxPooling2D()(layers.SeparableConv2D(4, 2)(y))
    y = layers.Conv2DTranspose(2, 3, strides=2)(layers.ZeroPadding2D(1)(y))
    y = layers.GlobalAveragePooling2D()(layers.UpSampling2D()(y))
    return trained(keras.Model(x, layers.Dense(2)(y)), floats(4, 8, 8, 3), floats(4, 2))


@case
def lstm() -> Case:
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(10, 4, mask_zero=True),
            layers.LSTM(3, return_sequences=True, dropout=0.2),
            layers.Bidirectional(layers.LSTM(2)),
            layers.Dense(1),
        ]
    )
    x = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [6, 7, 8, 9, 1]], "int32")
    return trained(model, x, floats(3, 1))


@case
def gru() -> Case:
    x = keras.Input((None, 3))
    y, state = layers.GRU(4, return_sequences=True, return_state=True)(x)
    y = layers.TimeDistributed(layers.Dense(2))(y)
    model = keras.Model(x, [y, layers.RNN([layers.GRUCell(2), layers.SimpleRNNCell(3)])(x), state])
    return Case(model, floats(4, 5, 3))


@case
def transformer() -> Case:
    x = keras.Input((6, 8))
    attended = layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x)
    y = layers.LayerNormalization(epsilon=1e-6)(x + attended)
    fed = layers.Dense(8)(layers.Dense(16, activation="gelu")(y))
    y = layers.LayerNormalization(epsilon=1e-6)(y + fed)
    model = keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(y)))
    return trained(model, floats(4, 6, 8), floats(4, 2), optimizer=keras.optimizers.AdamW(0.01))


@case
def mixed_precision() -> Case:
    policy = "mixed_bfloat16"
    x = keras.Input((4,))
    y = layers.Dense(8, activation="relu", dtype=policy)(x)
    model = keras.Model(x, layers.Dense(1, dtype="float32")(y))
    return trained(model, floats(6, 4), floats(6, 1))


@case
def penalties() -> Case:
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(
                3, kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2), activity_regularizer="l2"
            ),
            layers.ActivityRegularization(0.1),
            layers.Dense(1, bias_regularizer="l1", kernel_constraint="max_norm"),
        ]
    )
    return trained(model, floats(6, 4), floats(6, 1), optimizer="adagrad")


@case
def preprocessing() -> Case:
    x, kind = keras.Input((3,)), keras.Input((1,), dtype="int32")
    normal = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])
    encoded = layers.CategoryEncoding(4, output_mode="one_hot")(kind)
    binned = layers.CategoryEncoding(3, output_mode="multi_hot")(
        layers.Discretization(bin_boundaries=[0.0, 1.0])(x)
    )
    joined = layers.Concatenate()([layers.Rescaling(0.5, 1.0)(normal(x)), encoded, binned])
    model = keras.Model([x, kind], layers.Dense(1)(joined))
    return trained(model, [floats(5, 3), np.array([[0], [1], [2], [3], [1]])], floats(5, 1))


class Scaled(layers.Layer):
    """A custom layer with a weight, a counter that its call assigns, and a loss."""

    def __init__(self, factor: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.inner = layers.Dense(2)

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        self.total = self.add_weight(shape=(), initializer="zeros", trainable=False, name="total")
        self.inner.build(input_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self.total.assign_add(1.0)
        self.add_loss(0.01 * ops.mean(ops.square(inputs)))
        return self.inner(inputs * self.scale * self.factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


@case
def custom_layer() -> Case:
    x = keras.Input((3,))
    return trained(keras.Model(x, layers.Dense(1)(Scaled(3.0)(x))), floats(6, 3), floats(6, 1))


class Subclassed(keras.Model):
    """A subclassed model without a config."""

    def __init__(self, units: Any) -> None:
        super().__init__()
        self.blocks = [layers.Dense(n, activation="relu") for n in units]
        self.drop = layers.Dropout(0.3)
        self.last = layers.Dense(1)

    def call(self, inputs: Any, training: bool = False) -> Any:
        for block in self.blocks:
            inputs = block(inputs)
        return self.last(self.drop(inputs, training=training))


@case
def subclassed() -> Case:
    return trained(Subclassed([4, 3]), floats(6, 5), floats(6, 1))


class Sampling(layers.Layer):
    """Draws from a normal distribution with its own seed generator."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(7)

    def call(self, inputs: Any) -> Any:
        mean, log_variance = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(0.5 * log_variance) * noise


class Autoencoder(keras.Model):
    """A variational autoencoder with a train step of its own."""

    def __init__(self) -> None:
        super().__init__()
        x = keras.Input((6,))
        h = layers.Dense(4, activation="relu")(x)
        mean, log_variance = layers.Dense(2)(h), layers.Dense(2)(h)
        self.encoder = keras.Model(x, [mean, log_variance, Sampling()([mean, log_variance])])
        z = keras.Input((2,))
        self.decoder = keras.Model(z, layers.Dense(6)(layers.Dense(4, activation="relu")(z)))
        self.tracker = keras.metrics.Mean(name="total")

    @property
    def metrics(self) -> list[keras.Metric]:
        return [self.tracker]

    def call(self, inputs: Any) -> Any:
        return self.decoder(self.encoder(inputs)[0])


@case
def autoencoder() -> Case:
    model = Autoencoder()
    model.compile("adam", "mse")
    model.fit(floats(6, 6), floats(6, 6), verbose=0)
    return Case(model, floats(6, 6), floats(6, 6), evaluates=False)
