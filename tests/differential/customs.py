"""Custom classes and functions of specs, written once for tf_keras and for Keras 3."""

from __future__ import annotations

from typing import Any

import numpy as np


class TensorFlowOps:
    """The few functions that the classes below need, in TensorFlow."""

    def __init__(self) -> None:
        import tensorflow as tf

        self.mean, self.sum, self.cast = tf.reduce_mean, tf.reduce_sum, tf.cast
        self.tanh, self.expand, self.square = tf.tanh, tf.expand_dims, tf.square
        self.matmul, self.maximum, self.minimum = tf.matmul, tf.maximum, tf.minimum
        self.custom_gradient = tf.custom_gradient

    @staticmethod
    def variable(value: Any, name: str, trainable: bool) -> Any:
        """A variable of its own."""
        import tensorflow as tf

        return tf.Variable(value, trainable=trainable, name=name)


class KerasOps:
    """The same in Keras 3."""

    def __init__(self) -> None:
        from keras import ops

        self.mean, self.sum, self.cast = ops.mean, ops.sum, ops.cast
        self.tanh, self.expand, self.square = ops.tanh, ops.expand_dims, ops.square
        self.matmul, self.maximum, self.minimum = ops.matmul, ops.maximum, ops.minimum

    @staticmethod
    def variable(value: Any, name: str, trainable: bool) -> Any:
        """A variable of its own."""
        import keras

        return keras.Variable(value, trainable=trainable, name=name)

    @staticmethod
    def custom_gradient(function: Any) -> Any:
        """TensorFlow's way to say a derivative, for JAX."""
        import jax

        made = jax.custom_vjp(lambda x: function(x)[0])
        made.defvjp(lambda x: (function(x)[0], x), lambda x, slope: (function(x)[1](slope),))
        return made


def custom_layers(keras: Any) -> dict[str, Any]:
    """Custom layers by name."""
    ops: Any = TensorFlowOps() if keras.__name__.startswith("tf_keras") else KerasOps()
    layers = keras.layers

    class Scale(layers.Layer):  # type: ignore[misc, name-defined]
        """A weight of its own."""

        def __init__(self, start: float = 0.5, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.start = start

        def build(self, shape: Any) -> None:
            self.factor = self.add_weight(
                name="factor",
                shape=(shape[-1],),
                initializer=keras.initializers.Constant(self.start),
                regularizer=keras.regularizers.L2(0.01),
            )
            super().build(shape)

        def call(self, inputs: Any) -> Any:
            return inputs * self.factor

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "start": self.start}

    class Block(layers.Layer):  # type: ignore[misc, name-defined]
        """Holds layers as attributes, and passes `training` on."""

        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.first = layers.Dense(units, activation="tanh", kernel_regularizer="l2")
            self.norm = layers.BatchNormalization(momentum=0.5)

        def build(self, shape: Any) -> None:
            self.first.build(shape)
            self.norm.build((*shape[:-1], self.units))
            super().build(shape)

        def call(self, inputs: Any, training: Any = None) -> Any:
            return self.norm(self.first(inputs), training=training)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Stack(layers.Layer):  # type: ignore[misc, name-defined]
        """Holds layers in a list, built when first called."""

        def __init__(self, depth: int = 2, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.depth = depth
            self.parts = [layers.Dense(3, activation="softsign") for _ in range(depth)]

        def call(self, inputs: Any) -> Any:
            for part in self.parts:
                inputs = part(inputs)
            return inputs

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "depth": self.depth}

    class Counter(layers.Layer):  # type: ignore[misc, name-defined]
        """Keeps state of its own in the training call."""

        def build(self, shape: Any) -> None:
            self.steps = self.add_weight(
                name="steps", shape=(), initializer="zeros", trainable=False
            )
            super().build(shape)

        def call(self, inputs: Any, training: Any = None) -> Any:
            if training:
                self.steps.assign(self.steps + 1.0)
            return inputs * (1.0 + 0.1 * self.steps)

    class Penalty(layers.Layer):  # type: ignore[misc, name-defined]
        """A loss of its own."""

        def __init__(self, rate: float = 0.1, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.rate = rate

        def call(self, inputs: Any) -> Any:
            self.add_loss(self.rate * ops.mean(ops.square(inputs)))
            return inputs

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "rate": self.rate}

    class Slope(layers.Layer):  # type: ignore[misc, name-defined]
        """Passes values on, and three times their derivative up to a limit."""

        def call(self, inputs: Any) -> Any:
            @ops.custom_gradient
            def passed(x: Any) -> Any:
                return x * 1.0, lambda slope: ops.minimum(3.0 * slope, 0.5)

            return passed(inputs)

    class Positive(layers.Layer):  # type: ignore[misc, name-defined]
        """Makes a mask of each step."""

        def call(self, inputs: Any) -> Any:
            return ops.mean(inputs, -1) > 0.0

    class OwnInitializer(keras.initializers.Initializer):  # type: ignore[misc, name-defined]
        """Numbers that grow."""

        def __init__(self, scale: float = 0.3) -> None:
            self.scale = scale

        def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
            size = int(np.prod(shape))
            values = self.scale * np.sin(np.arange(size, dtype="float32")).reshape(shape)
            return ops.cast(values, dtype or "float32")

        def get_config(self) -> dict[str, Any]:
            return {"scale": self.scale}

    class OwnRegularizer(keras.regularizers.Regularizer):  # type: ignore[misc, name-defined]
        """A loss of fourth powers."""

        def __init__(self, rate: float = 0.02) -> None:
            self.rate = rate

        def __call__(self, x: Any) -> Any:
            return self.rate * ops.sum(ops.square(ops.square(x)))

        def get_config(self) -> dict[str, Any]:
            return {"rate": self.rate}

    class OwnConstraint(keras.constraints.Constraint):  # type: ignore[misc, name-defined]
        """Weights up to a limit."""

        def __init__(self, limit: float = 0.4) -> None:
            self.limit = limit

        def __call__(self, w: Any) -> Any:
            return ops.minimum(w, self.limit)

        def get_config(self) -> dict[str, Any]:
            return {"limit": self.limit}

    class MaskedMean(layers.Layer):  # type: ignore[misc, name-defined]
        """Takes a mask, and ends it."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.supports_masking = True

        def call(self, inputs: Any, mask: Any = None) -> Any:
            if mask is None:
                return ops.mean(inputs, 1)
            kept = ops.expand(ops.cast(mask, "float32"), -1)
            return ops.sum(inputs * kept, 1) / ops.maximum(ops.sum(kept, 1), 1.0)

        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            return None

    class Residual(layers.Wrapper):  # type: ignore[misc, name-defined]
        """Wraps a layer."""

        def call(self, inputs: Any) -> Any:
            return inputs + self.layer(inputs)

    class Cell(layers.Layer):  # type: ignore[misc, name-defined]
        """A cell for RNN."""

        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.state_size = units
            self.output_size = units

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(
                name="kernel", shape=(shape[-1], self.units), initializer="glorot_uniform"
            )
            self.turn = self.add_weight(
                name="turn", shape=(self.units, self.units), initializer="orthogonal"
            )
            super().build(shape)

        def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
            new = ops.tanh(ops.matmul(inputs, self.kernel) + ops.matmul(states[0], self.turn))
            return new, [new]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Holder(layers.Layer):  # type: ignore[misc, name-defined]
        """Takes a layer, and holds it in its config."""

        def __init__(self, inner: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner = inner

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs) * 0.5

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "inner": layers.serialize(self.inner)}

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            config = dict(config)
            inner = layers.deserialize(config.pop("inner"))
            return cls(inner, **config)

    class Gate(layers.Layer):  # type: ignore[misc, name-defined]
        """Takes two values, and mixes them by a weight."""

        def build(self, shape: Any) -> None:
            self.share = self.add_weight(name="share", shape=(shape[0][-1],), initializer="ones")
            super().build(shape)

        def call(self, inputs: Any) -> Any:
            one, two = inputs
            return self.share * one + ops.tanh(two)

    class Tower(layers.Layer):  # type: ignore[misc, name-defined]
        """Makes its layers when it is built, and holds them in a dictionary and in a list."""

        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units

        def build(self, shape: Any) -> None:
            self.parts = {"up": layers.Dense(self.units, use_bias=False), "norm": None}
            self.parts["norm"] = layers.LayerNormalization(epsilon=0.1)
            self.more = [layers.Dropout(0.0), layers.PReLU(alpha_initializer="ones")]
            super().build(shape)

        def call(self, inputs: Any, training: Any = None) -> Any:
            inputs = self.parts["norm"](self.parts["up"](inputs))
            return self.more[1](self.more[0](inputs, training=training))

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Raw(layers.Layer):  # type: ignore[misc, name-defined]
        """Holds variables that are made without `add_weight`, one of them not trained."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.slope = ops.variable(np.float32(0.7), "slope", True)
            self.seen = ops.variable(np.float32(0.0), "seen", False)

        def call(self, inputs: Any, training: Any = None) -> Any:
            if training:
                self.seen.assign(0.5 * self.seen + 0.5 * ops.cast(ops.mean(inputs), "float32"))
            return inputs * ops.cast(self.slope + self.seen, inputs.dtype)

    class Twin(layers.Layer):  # type: ignore[misc, name-defined]
        """One layer under two names, called twice."""

        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.left = layers.Dense(units, activation="tanh")
            self.right = self.left

        def build(self, shape: Any) -> None:
            self.left.build(shape)
            super().build(shape)

        def call(self, inputs: Any) -> Any:
            return self.left(inputs) - self.right(0.5 * inputs)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Switch(layers.Layer):  # type: ignore[misc, name-defined]
        """Takes arguments beside its input."""

        def build(self, shape: Any) -> None:
            self.shift = self.add_weight(name="shift", shape=(shape[-1],), initializer="ones")
            super().build(shape)

        def call(self, inputs: Any, scale: float = 1.0, flip: bool = False) -> Any:
            made = scale * inputs + self.shift
            return -made if flip else made

    def halved(x: Any) -> Any:
        return 0.5 * x

    class OwnMetric(keras.metrics.Metric):  # type: ignore[misc, name-defined]
        """A metric with states of its own."""

        def __init__(self, power: float = 2.0, name: str = "own", **kwargs: Any) -> None:
            super().__init__(name=name, **kwargs)
            self.power = power
            self.total = self.add_weight(name="total", shape=(), initializer="zeros")
            self.batches = self.add_weight(name="batches", shape=(), initializer="zeros")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            apart = ops.mean(ops.square(ops.cast(y_true, "float32") - y_pred))
            self.total.assign(self.total + self.power * ops.cast(apart, "float32"))
            self.batches.assign(self.batches + 1.0)

        def result(self) -> Any:
            return self.total / (self.batches + 1.0)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "power": self.power}

    class OwnSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc, name-defined]
        """A rate that falls with each step."""

        def __init__(self, start: float = 0.1) -> None:
            self.start = start

        def __call__(self, step: Any) -> Any:
            return self.start / (1.0 + ops.cast(step, "float32"))

        def get_config(self) -> dict[str, Any]:
            return {"start": self.start}

    def own_loss(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.square(y_true - y_pred) * 2.0, -1)

    def own_metric(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.square(y_true - 0.5 * y_pred), -1)

    class OwnLoss(keras.losses.Loss):  # type: ignore[misc, name-defined]
        """A loss class with an argument."""

        def __init__(self, rate: float = 2.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.rate = rate

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return self.rate * ops.mean(ops.square(y_true - y_pred), -1)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "rate": self.rate}

    return {
        "Scale": Scale,
        "Block": Block,
        "Stack": Stack,
        "Counter": Counter,
        "Penalty": Penalty,
        "Slope": Slope,
        "Positive": Positive,
        "OwnInitializer": OwnInitializer,
        "OwnRegularizer": OwnRegularizer,
        "OwnConstraint": OwnConstraint,
        "MaskedMean": MaskedMean,
        "Residual": Residual,
        "Cell": Cell,
        "Holder": Holder,
        "Gate": Gate,
        "Tower": Tower,
        "Raw": Raw,
        "Twin": Twin,
        "Switch": Switch,
        "OwnMetric": OwnMetric,
        "OwnSchedule": OwnSchedule,
        "halved": halved,
        "own_loss": own_loss,
        "own_metric": own_metric,
        "OwnLoss": OwnLoss,
    }
