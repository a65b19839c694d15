"""Small layers that Keras 3 dropped, and a wrapper for an input order that it dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi
from typing import Any

import keras

from hozon.config.followed import follow
from hozon.config.own_objects import is_own
from hozon.keras_private.tracing import over_each_step, over_merged_steps
from hozon.typing import Config

register = keras.saving.register_keras_serializable(package="hozon")


@register
class ThresholdedReLU(keras.layers.Layer):  # type: ignore[misc]
    """``x`` where ``x > theta``, else 0."""

    def __init__(self, theta: Any = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.theta = float(theta["value"] if isinstance(theta, dict) else theta)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Same shape as `inputs`."""
        return keras.ops.where(inputs > self.theta, inputs, keras.ops.zeros_like(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {**super().get_config(), "theta": self.theta}


def normal(shape: Any, dtype: Any = None) -> Any:
    """Samples of the normal distribution, of which a Gaussian kernel is made."""
    return keras.random.normal(shape, dtype=dtype)


def cauchy(shape: Any, dtype: Any = None) -> Any:
    """Samples of the Cauchy distribution, of which a Laplacian kernel is made."""
    return keras.ops.tan(pi * (keras.random.uniform(shape, dtype=dtype) - 0.5))


KERNELS: Mapping[str, Callable[..., Any]] = {"gaussian": normal, "laplacian": cauchy}


@register
class RandomFourierFeatures(keras.layers.Layer):  # type: ignore[misc]
    """``cos(x @ kernel / scale + bias)`` with a random kernel and bias that are not trained.

    The kernel approximates a Gaussian or Laplacian kernel (Rahimi and Recht, 2007); of a loaded
    model it comes from the file. `kernel` is "gaussian", "laplacian" or an initializer; Keras 2
    called it `kernel_initializer`, under which other layers name initializers only.
    """

    def __init__(
        self,
        output_dim: int,
        kernel: Any = "gaussian",
        scale: float | None = None,
        trainable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=trainable, **kwargs)
        self.output_dim = int(output_dim)
        self.kernel = kernel.lower() if isinstance(kernel, str) else kernel
        self.scale = scale

    def build(self, input_shape: Any) -> None:
        """Kernel (inputs, output_dim), bias (output_dim,), and the scale, (1,)."""
        size = int(input_shape[-1])
        self.unscaled_kernel = self.add_weight(
            name="unscaled_kernel",
            shape=(size, self.output_dim),
            trainable=False,
            initializer=KERNELS[self.kernel] if isinstance(self.kernel, str) else self.kernel,
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(self.output_dim,),
            trainable=False,
            initializer=keras.initializers.RandomUniform(minval=0.0, maxval=2 * pi),
        )
        scale = self.scale
        if scale is None:
            scale = (size / 2.0) ** 0.5 if self.kernel == "gaussian" else 1.0
        self.kernel_scale = self.add_weight(
            name="kernel_scale",
            shape=(1,),
            initializer=keras.initializers.Constant(scale),
            constraint="non_neg",
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Shape (batch, output_dim)."""
        ops = keras.ops
        kernel = (1.0 / self.kernel_scale) * self.unscaled_kernel
        return ops.cos(ops.add(ops.matmul(inputs, kernel), self.bias))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """``input_shape`` with its last axis replaced."""
        return (*input_shape[:-1], self.output_dim)

    def get_config(self) -> Config:
        """Constructor arguments."""
        kernel = self.kernel
        return {
            **super().get_config(),
            "output_dim": self.output_dim,
            "scale": self.scale,
            "kernel": kernel if isinstance(kernel, str) else keras.initializers.serialize(kernel),
        }


@register
class TimeMajor(keras.layers.Wrapper):  # type: ignore[misc]
    """A recurrent layer over inputs (time, batch, ...): transposes before and after it."""

    def build(self, input_shape: Any) -> None:
        """Build the layer for (batch, time, ...)."""
        if not self.layer.built:
            self.layer.build(_swapped(input_shape))
        self.built = True

    def call(self, inputs: Any, **kwargs: Any) -> Any:
        """The layer's outputs; sequences among them are (time, batch, ...)."""
        outputs = self.layer(keras.ops.swapaxes(inputs, 0, 1), **kwargs)
        if not self.layer.return_sequences:
            return outputs
        if isinstance(outputs, (list, tuple)):
            return [keras.ops.swapaxes(outputs[0], 0, 1), *outputs[1:]]
        return keras.ops.swapaxes(outputs, 0, 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shapes of `call`'s outputs."""
        shape = self.layer.compute_output_shape(_swapped(input_shape))
        if not self.layer.return_sequences:
            return shape
        return [_swapped(shape[0]), *shape[1:]] if isinstance(shape, list) else _swapped(shape)


@register
class TimeDistributed(keras.layers.TimeDistributed):  # type: ignore[misc]
    """The layer over all steps at once; Keras 3 goes step by step.

    So batch statistics are of all steps, and the layer's losses of what it gives count, which Keras
    3 leaves out. Over a layer of a user's class Keras 2 goes step by step too where the size of the
    batch is fixed.
    """

    def build(self, input_shape: Any) -> None:
        """Build the layer for one step; one of a user's class by a call, as it may hold others."""
        own = is_own(type(self.layer))
        if own and not self.layer.built:
            self._of_one_step(input_shape)
        super().build(input_shape)
        self._stepwise = input_shape[0] is not None and own

    def _of_one_step(self, input_shape: Any) -> Any:
        """What the layer makes of one step, as symbols."""
        return self.layer(keras.KerasTensor((None, *input_shape[2:]), self.compute_dtype))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The layer's, over all steps; one of a user's class tells it by a call."""
        if not is_own(type(self.layer)):
            return super().compute_output_shape(input_shape)
        made = self._of_one_step(input_shape)
        return keras.tree.map_structure(lambda y: (*input_shape[:2], *y.shape[1:]), made)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The layer's outputs, of all steps."""
        if self._stepwise and isinstance(inputs.shape[1], int):
            return over_each_step(self.layer, inputs, training, mask)
        given = None if isinstance(self.layer, keras.layers.BatchNormalization) else mask
        return over_merged_steps(self.layer, inputs, training, given, losses=True)


def _swapped(shape: Any) -> tuple[Any, ...]:
    return (shape[1], shape[0], *shape[2:])


def shown_as_mean(loss: Any) -> Any:
    """A loss of several values as Keras 2 took it: its mean is shown, its sum is minimized."""
    if not loss.shape:
        return loss
    total = keras.ops.sum(loss)
    return total + keras.ops.stop_gradient(keras.ops.mean(loss) - total)


@register
class AddLoss(keras.layers.Layer):  # type: ignore[misc]
    """Adds its input to the model's losses and passes it on."""

    def __init__(self, unconditional: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.unconditional = unconditional
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The inputs."""
        self.add_loss(shown_as_mean(inputs))
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {**super().get_config(), "unconditional": self.unconditional}


@register
class AddMetric(keras.layers.Layer):  # type: ignore[misc]
    """Follows its input as a metric of the model and passes it on."""

    def __init__(
        self, aggregation: str | None = None, metric_name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.aggregation, self.metric_name = aggregation, metric_name
        self.metric = keras.metrics.Mean(name=metric_name or self.name)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The inputs."""
        follow(self.metric, inputs)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "aggregation": self.aggregation,
            "metric_name": self.metric_name,
        }


@register
class MultiHeadAttention(keras.layers.MultiHeadAttention):  # type: ignore[misc]
    """Attention whose values have another width than its keys.

    Keras' fused attention on JAX takes one width; asking for the scores takes the other way.
    """

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """As Keras' layer."""
        outputs, scores = super().call(
            query,
            value,
            key,
            query_mask=query_mask,
            value_mask=value_mask,
            key_mask=key_mask,
            attention_mask=attention_mask,
            return_attention_scores=True,
            training=training,
            use_causal_mask=use_causal_mask,
        )
        return (outputs, scores) if return_attention_scores else outputs
