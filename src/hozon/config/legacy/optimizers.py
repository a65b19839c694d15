"""Optimizers whose older generation took other steps.

Keras 1, Keras 2 up to 2.10 and `tf.keras.optimizers.legacy` divide by ``sqrt(v) + epsilon``; Keras
3 and the optimizers of 2.11 on by ``sqrt(v + epsilon)``. For small gradients that is another step.
Their Nadam warms its momentum up slowly, by ``0.96 ** (0.004 t)``, not by ``0.96 ** t``.
"""

from __future__ import annotations

from typing import Any

import keras

from hozon.typing import Config

register = keras.saving.register_keras_serializable(package="hozon")


@register
class RMSprop(keras.optimizers.RMSprop):  # type: ignore[misc]
    """RMSprop of ``optimizer_v2`` without momentum (with momentum it has Keras 3's formula)."""

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """One step of one variable."""
        if self.momentum > 0:
            super().update_step(gradient, variable, learning_rate)
            return
        ops, index = keras.ops, self._get_variable_index(variable)
        rate, grad = ops.cast(learning_rate, variable.dtype), ops.cast(gradient, variable.dtype)
        velocity = self._velocities[index]
        self.assign(velocity, self.rho * velocity + (1 - self.rho) * ops.square(grad))
        spread = velocity
        if self.centered:
            average = self._average_gradients[index]
            self.assign(average, self.rho * average + (1 - self.rho) * grad)
            spread = velocity - ops.square(average)
        self.assign_sub(variable, rate * grad / (ops.sqrt(spread) + self.epsilon))


@register
class Adagrad(keras.optimizers.Adagrad):  # type: ignore[misc]
    """Adagrad of ``optimizer_v2``."""

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """One step of one variable."""
        ops = keras.ops
        rate, grad = ops.cast(learning_rate, variable.dtype), ops.cast(gradient, variable.dtype)
        accumulator = self._accumulators[self._get_variable_index(variable)]
        self.assign(accumulator, accumulator + ops.square(grad))
        self.assign_sub(variable, rate * grad / (ops.sqrt(accumulator) + self.epsilon))


@register
class Nadam(keras.optimizers.Nadam):  # type: ignore[misc]
    """Nadam of ``optimizer_v2``."""

    def __init__(self, *args: Any, schedule_decay: float = 0.004, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.schedule_decay = schedule_decay

    def _momentum(self, step: Any, dtype: Any) -> Any:
        ops = keras.ops
        exponent = self.schedule_decay * ops.cast(step, dtype)
        return self.beta_1 * (1.0 - 0.5 * ops.power(ops.cast(0.96, dtype), exponent))

    def _backend_update_step(self, grads: Any, variables: Any, learning_rate: Any) -> None:
        now = self._momentum(self.iterations + 1, self._u_product.dtype)
        self.assign(self._u_product, self._u_product * now)
        super(keras.optimizers.Nadam, self)._backend_update_step(grads, variables, learning_rate)

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """One step of one variable."""
        ops, dtype, index = keras.ops, variable.dtype, self._get_variable_index(variable)
        rate, grad = ops.cast(learning_rate, dtype), ops.cast(gradient, dtype)
        now = self._momentum(self.iterations + 1, dtype)
        later = self._momentum(self.iterations + 2, dtype)
        product = ops.cast(self._u_product, dtype)
        m, v = self._momentums[index], self._velocities[index]
        self.assign(m, self.beta_1 * m + (1 - self.beta_1) * grad)
        self.assign(v, self.beta_2 * v + (1 - self.beta_2) * ops.square(grad))
        mean = later * m / (1 - product * later) + (1 - now) * grad / (1 - product)
        power = ops.power(ops.cast(self.beta_2, dtype), ops.cast(self.iterations + 1, dtype))
        spread = ops.sqrt(v / (1 - power))
        self.assign_sub(variable, rate * mean / (spread + self.epsilon))

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {**super().get_config(), "schedule_decay": self.schedule_decay}


def steps_as_legacy(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether an optimizer makes the steps that the older generation's of its name made."""
    if isinstance(optimizer, (RMSprop, Adagrad, Nadam)):
        return True
    if isinstance(optimizer, keras.optimizers.RMSprop):
        return bool(optimizer.momentum > 0)
    return not isinstance(optimizer, (keras.optimizers.Adagrad, keras.optimizers.Nadam))
