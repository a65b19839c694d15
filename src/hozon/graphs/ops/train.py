"""Optimizer steps: ``ResourceApply*`` and ``Apply*``.

Formulas are those of TensorFlow's CPU kernels (tensorflow/core/kernels/training_ops.cc). Each
entry maps the values of its slots and its scalars to new values; variables are cells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Cell, Value

TRAIN = OpTable("train")

#: (values of the cells, the other inputs, the node's attributes) -> new values of the cells.
Step = Callable[[list[Value], list[Value], dict[str, Any]], list[Value]]


def _gradient_descent(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    (variable,), (alpha, delta) = cells, rest
    return [variable - alpha * delta]


def _momentum(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    (variable, accumulated), (rate, gradient, momentum) = cells, rest
    accumulated = accumulated * momentum + gradient
    step = gradient * rate + accumulated * momentum * rate if attrs["use_nesterov"] else (
        accumulated * rate)  # fmt: skip
    return [variable - step, accumulated]


def _keras_momentum(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    (variable, accumulated), (rate, gradient, momentum) = cells, rest
    accumulated = accumulated * momentum - gradient * rate
    step = accumulated * momentum - gradient * rate if attrs["use_nesterov"] else accumulated
    return [variable + step, accumulated]


def _adam(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    variable, m, v = cells
    power_1, power_2, rate, beta_1, beta_2, epsilon, gradient = rest
    alpha = rate * jnp.sqrt(1 - power_2) / (1 - power_1)
    m = m + (gradient - m) * (1 - beta_1)
    v = v + (jnp.square(gradient) - v) * (1 - beta_2)
    ahead = gradient * (1 - beta_1) + beta_1 * m if attrs["use_nesterov"] else m
    return [variable - ahead * alpha / (jnp.sqrt(v) + epsilon), m, v]


def _adam_amsgrad(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    variable, m, v, largest = cells
    power_1, power_2, rate, beta_1, beta_2, epsilon, gradient = rest
    alpha = rate * jnp.sqrt(1 - power_2) / (1 - power_1)
    m = m + (gradient - m) * (1 - beta_1)
    v = v + (jnp.square(gradient) - v) * (1 - beta_2)
    largest = jnp.maximum(largest, v)
    return [variable - m * alpha / (jnp.sqrt(largest) + epsilon), m, v, largest]


def _adamax(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    variable, m, v = cells
    power_1, rate, beta_1, beta_2, epsilon, gradient = rest
    m = m + (gradient - m) * (1 - beta_1)
    v = jnp.maximum(beta_2 * v, jnp.abs(gradient))
    return [variable - rate / (1 - power_1) * (m / (v + epsilon)), m, v]


def _adagrad(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    (variable, accumulated), (rate, gradient) = cells, rest
    if attrs["update_slots"]:
        accumulated = accumulated + jnp.square(gradient)
    return [variable - gradient * rate / jnp.sqrt(accumulated), accumulated]


def _adagrad_v2(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    (variable, accumulated), (rate, epsilon, gradient) = cells, rest
    if attrs["update_slots"]:
        accumulated = accumulated + jnp.square(gradient)
    return [variable - gradient * rate / (jnp.sqrt(accumulated) + epsilon), accumulated]


def _adadelta(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    (variable, accumulated, updates), (rate, rho, epsilon, gradient) = cells, rest
    accumulated = accumulated * rho + jnp.square(gradient) * (1 - rho)
    step = jnp.sqrt(updates + epsilon) / jnp.sqrt(accumulated + epsilon) * gradient
    updates = updates * rho + jnp.square(step) * (1 - rho)
    return [variable - step * rate, accumulated, updates]


def _rms_prop(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    (variable, square, moment), (rate, rho, momentum, epsilon, gradient) = cells, rest
    square = square + (jnp.square(gradient) - square) * (1 - rho)
    moment = moment * momentum + gradient * rate / jnp.sqrt(square + epsilon)
    return [variable - moment, square, moment]


def _centered_rms_prop(
    cells: list[Value], rest: list[Value], attrs: dict[str, Any]
) -> list[Value]:
    variable, mean, square, moment = cells
    rate, rho, momentum, epsilon, gradient = rest
    square = square + (jnp.square(gradient) - square) * (1 - rho)
    mean = mean + (gradient - mean) * (1 - rho)
    spread = square - jnp.square(mean) + epsilon
    moment = moment * momentum + gradient * rate / jnp.sqrt(spread)
    return [variable - moment, mean, square, moment]


def _ftrl(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    gradient, rate, l1, l2, *shrinkage, power = rest
    variable, accumulated, linear = cells
    shrunk = gradient + 2 * shrinkage[0] * variable if shrinkage else gradient
    following = accumulated + jnp.square(gradient)
    sigma = (jnp.power(following, -power) - jnp.power(accumulated, -power)) / rate
    linear = linear + shrunk - sigma * variable
    quadratic = jnp.power(following, -power) / rate + 2 * l2
    moved = (jnp.sign(linear) * l1 - linear) / quadratic
    variable = jnp.where(jnp.abs(linear) > l1, moved, jnp.zeros_like(moved))
    return [variable, following, linear]


#: Op name without its prefix: number of cells, the step.
STEPS: dict[str, tuple[int, Step]] = {
    "GradientDescent": (1, _gradient_descent),
    "Momentum": (2, _momentum),
    "KerasMomentum": (2, _keras_momentum),
    "Adam": (3, _adam),
    "AdamWithAmsgrad": (4, _adam_amsgrad),
    "AdaMax": (3, _adamax),
    "Adagrad": (2, _adagrad),
    "AdagradV2": (2, _adagrad_v2),
    "Adadelta": (3, _adadelta),
    "RMSProp": (3, _rms_prop),
    "CenteredRMSProp": (4, _centered_rms_prop),
    "Ftrl": (3, _ftrl),
    "FtrlV2": (3, _ftrl),
}
#: Of these the dense gradient stands first among the other inputs; ref forms exist of nearly all.
RESOURCE_ONLY = frozenset({"KerasMomentum", "AdamWithAmsgrad"})
FLAGS = ("use_nesterov", "update_slots")


def _flags(node: NodeView) -> dict[str, Any]:
    declared = node.definition.attrs if node.definition is not None else {}
    if "multiply_linear_by_lr" in declared and node.attr("multiply_linear_by_lr"):
        raise node.refuse("multiply_linear_by_lr")
    return {name: bool(node.attr(name)) if name in declared else name == "update_slots"
            for name in FLAGS}  # fmt: skip


def _run(context: Any, cells: list[Cell], rest: list[Value], step: Step, flags: Any) -> None:
    values = step([jnp.asarray(context.read(c)) for c in cells], rest, flags)
    for cell, value in zip(cells, values, strict=True):
        context.assign(cell, value)


def _register(name: str, count: int, step: Step) -> None:
    @TRAIN.op(f"ResourceApply{name}", context=True)
    def resource(node: NodeView) -> Kernel:
        flags = _flags(node)

        def kernel(context: Any, *inputs: Value) -> tuple[()]:
            _run(context, list(inputs[:count]), list(inputs[count:]), step, flags)
            return ()

        return kernel

    if name in RESOURCE_ONLY:
        return

    @TRAIN.op(f"Apply{name}", context=True)
    def reference(node: NodeView) -> Kernel:
        flags = _flags(node)

        def kernel(context: Any, *inputs: Value) -> Value:
            _run(context, list(inputs[:count]), list(inputs[count:]), step, flags)
            return inputs[0]

        return kernel


for _name, (_count, _step) in STEPS.items():
    _register(_name, _count, _step)
