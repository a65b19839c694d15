"""Batch normalization over several axes, which Keras 3 does over one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from hozon.config.legacy.simple import register
from hozon.typing import Config

PARTS = ("beta", "gamma")
STATE = ("moving_mean", "moving_variance")


@register
class BatchNormalization(keras.layers.Layer):  # type: ignore[misc]
    """Normalizes each position of the axes `axis` over all others, as Keras 2 did.

    Its weights have the rank of the inputs, with 1 for all other axes.
    """

    def __init__(
        self,
        axis: Sequence[int],
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis, self.momentum, self.epsilon = list(axis), float(momentum), float(epsilon)
        self.center, self.scale = center, scale
        self.initializers = {
            "beta": keras.initializers.get(beta_initializer),
            "gamma": keras.initializers.get(gamma_initializer),
            "moving_mean": keras.initializers.get(moving_mean_initializer),
            "moving_variance": keras.initializers.get(moving_variance_initializer),
        }
        self.regularizers = {
            "beta": keras.regularizers.get(beta_regularizer),
            "gamma": keras.regularizers.get(gamma_regularizer),
        }
        self.constraints = {
            "beta": keras.constraints.get(beta_constraint),
            "gamma": keras.constraints.get(gamma_constraint),
        }
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of a shape."""
        rank = len(input_shape)
        kept = {axis % rank for axis in self.axis}
        self.others = [axis for axis in range(rank) if axis not in kept]
        shape = tuple(size if axis in kept else 1 for axis, size in enumerate(input_shape))
        self.gamma = self._part("gamma", shape) if self.scale else None
        self.beta = self._part("beta", shape) if self.center else None
        self.moving_mean, self.moving_variance = (
            self.add_weight(
                name=name,
                shape=shape,
                initializer=self.initializers[name],
                trainable=False,
                autocast=False,
            )
            for name in STATE
        )
        self.built = True

    def _part(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=self.initializers[name],
            regularizer=self.regularizers[name],
            constraint=self.constraints[name],
            autocast=False,
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Same shape as `inputs`; in training, by the batch's own mean and variance."""
        x = keras.ops.cast(inputs, self.variable_dtype)
        mean, variance = self.moving_mean, self.moving_variance
        if training and self.trainable:
            mean, variance = keras.ops.moments(x, axes=self.others, keepdims=True)
            for kept, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
                kept.assign(kept * self.momentum + seen * (1.0 - self.momentum))
        made = (x - mean) * keras.ops.rsqrt(variance + self.epsilon)
        made = made if self.gamma is None else made * self.gamma
        made = made if self.beta is None else made + self.beta
        return keras.ops.cast(made, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **{
                f"{name}_initializer": keras.initializers.serialize(value)
                for name, value in self.initializers.items()
            },
            **{
                f"{name}_regularizer": keras.regularizers.serialize(self.regularizers[name])
                for name in PARTS
            },
            **{
                f"{name}_constraint": keras.constraints.serialize(self.constraints[name])
                for name in PARTS
            },
        }
