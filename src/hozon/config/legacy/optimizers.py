"""Optimizers whose older generation put epsilon elsewhere.

Keras 1, Keras 2 up to 2.10 and `tf.keras.optimizers.legacy` divide by ``sqrt(v) + epsilon``; Keras
3 and the optimizers of 2.11 on by ``sqrt(v + epsilon)``. For small gradients that is another step.
"""

from __future__ import annotations

from typing import Any

import keras

register = keras.saving.register_keras_serializable(package="hozon")


@register
class RMSprop(keras.optimizers.RMSprop):  # type: ignore[misc]
    """RMSprop of ``optimizer_v2`` without momentum (with momentum it has Keras 3's formula)."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
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

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable."""
        ops = keras.ops
        rate, grad = ops.cast(learning_rate, variable.dtype), ops.cast(gradient, variable.dtype)
        accumulator = self._accumulators[self._get_variable_index(variable)]
        self.assign(accumulator, accumulator + ops.square(grad))
        self.assign_sub(variable, rate * grad / (ops.sqrt(accumulator) + self.epsilon))


@register
class Nadam(keras.optimizers.Nadam):  # type: ignore[misc]
    """Nadam of ``optimizer_v2``: its momentum decays by ``0.96 ** (0.004 t)``, not ``0.96 ** t``."""

    schedule_decay = 0.004

    def _backend_update_step(
        self, grads: Any, trainable_variables: Any, learning_rate: Any
    ) -> None:
        """One step of all variables; the product of the schedule advances once."""
        step = keras.ops.cast(self.iterations + 1, self._u_product.dtype)
        self.assign(self._u_product, self._u_product * self._momentum_at(step))
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def _momentum_at(self, step: Any) -> Any:
        ops = keras.ops
        decay = ops.power(ops.cast(0.96, step.dtype), self.schedule_decay * step)
        return self.beta_1 * (1.0 - 0.5 * decay)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable."""
        ops, dtype, index = keras.ops, variable.dtype, self._get_variable_index(variable)
        rate, grad = ops.cast(learning_rate, dtype), ops.cast(gradient, dtype)
        step, product = ops.cast(self.iterations + 1, dtype), ops.cast(self._u_product, dtype)
        now, following = self._momentum_at(step), self._momentum_at(step + 1)
        m, v = self._momentums[index], self._velocities[index]
        self.assign(m, self.beta_1 * m + (1 - self.beta_1) * grad)
        self.assign(v, self.beta_2 * v + (1 - self.beta_2) * ops.square(grad))
        ahead = following * m / (1 - product * following) + (1 - now) * grad / (1 - product)
        spread = v / (1 - ops.power(ops.cast(self.beta_2, dtype), step))
        self.assign_sub(variable, rate * ahead / (ops.sqrt(spread) + self.epsilon))
