"""Optimizer steps: ``ResourceApply*``, ``ResourceSparseApply*``, ``Apply*``, ``SparseApply*``.

Formulas are those of TensorFlow's CPU kernels (tensorflow/core/kernels/training_ops.cc). Each
entry maps the values of its slots and its scalars to new values; variables are cells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
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
    step = (
        gradient * rate + accumulated * momentum * rate
        if attrs["use_nesterov"]
        else (accumulated * rate)
    )
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


def _centered_rms_prop(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    variable, mean, square, moment = cells
    rate, rho, momentum, epsilon, gradient = rest
    square = square + (jnp.square(gradient) - square) * (1 - rho)
    mean = mean + (gradient - mean) * (1 - rho)
    spread = square - jnp.square(mean) + epsilon
    moment = moment * momentum + gradient * rate / jnp.sqrt(spread)
    return [variable - moment, mean, square, moment]


def _ftrl(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    """With ``multiply_linear_by_lr`` the linear slot is kept multiplied by the learning rate."""
    gradient, rate, l1, l2, *shrinkage, power = rest
    variable, accumulated, linear = cells
    shrunk = gradient + 2 * shrinkage[0] * variable if shrinkage else gradient
    following = accumulated + jnp.square(gradient)
    rise = jnp.power(following, -power) - jnp.power(accumulated, -power)
    scaled = attrs["multiply_linear_by_lr"]
    linear = linear + (
        shrunk * rate - rise * variable if scaled else shrunk - rise / rate * variable
    )
    scale, bound = (rate, l1 * rate) if scaled else (1, l1)
    quadratic = jnp.power(following, -power) / rate * scale + 2 * l2 * scale
    moved = (jnp.sign(linear) * bound - linear) / quadratic
    variable = jnp.where(jnp.abs(linear) > bound, moved, jnp.zeros_like(moved))
    return [variable, following, linear]


def _adagrad_da(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    _, total, squares = cells
    gradient, rate, l1, l2, step = rest
    step = jnp.asarray(step).astype(total.dtype)
    total, squares = total + gradient, squares + jnp.square(gradient)
    shrunk = jnp.sign(total) * jnp.maximum(jnp.abs(total) - l1 * step, 0)
    reduced = jnp.where(l1 > 0, shrunk, total)
    return [-rate * reduced / (l2 * step * rate + jnp.sqrt(squares)), total, squares]


def _add_sign(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    (variable, m), (rate, alpha, decay, beta, gradient) = cells, rest
    m = m * beta + gradient * (1 - beta)
    agreement = jnp.sign(gradient) * jnp.sign(m)
    return [variable - rate * (alpha + decay * agreement) * gradient, m]


def _power_sign(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    (variable, m), (rate, base, decay, beta, gradient) = cells, rest
    m = m * beta + gradient * (1 - beta)
    agreement = jnp.sign(gradient) * jnp.sign(m)
    return [variable - rate * jnp.exp(base * decay * agreement) * gradient, m]


def _shrunk(variable: Value, rate: Value, l1: Value, l2: Value) -> Value:
    """The proximal step of both penalties."""
    smaller = jnp.sign(variable) * jnp.maximum(jnp.abs(variable) - rate * l1, 0)
    return jnp.where(l1 > 0, smaller, variable) / (1 + l2 * rate)


def _proximal_adagrad(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    (variable, accumulated), (rate, l1, l2, gradient) = cells, rest
    accumulated = accumulated + jnp.square(gradient)
    rates = rate / jnp.sqrt(accumulated)
    return [_shrunk(variable - gradient * rates, rates, l1, l2), accumulated]


def _proximal_descent(cells: list[Value], rest: list[Value], attrs: dict[str, Any]) -> list[Value]:
    (variable,), (rate, l1, l2, gradient) = cells, rest
    return [_shrunk(variable - gradient * rate, rate, l1, l2)]


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
    "AdagradDA": (3, _adagrad_da),
    "AddSign": (2, _add_sign),
    "PowerSign": (2, _power_sign),
    "ProximalAdagrad": (2, _proximal_adagrad),
    "ProximalGradientDescent": (1, _proximal_descent),
}
#: Steps that exist for sparse gradients too: the same on the rows that the indices name.
SPARSE = frozenset(
    {
        "Momentum",
        "KerasMomentum",
        "Adagrad",
        "AdagradV2",
        "AdagradDA",
        "Adadelta",
        "RMSProp",
        "CenteredRMSProp",
        "Ftrl",
        "FtrlV2",
        "ProximalAdagrad",
        "ProximalGradientDescent",
    }
)
#: Steps that only resource variables have.
RESOURCE_ONLY = frozenset({"KerasMomentum", "AdamWithAmsgrad"})
FLAGS = ("use_nesterov", "update_slots", "multiply_linear_by_lr")


def _flags(node: NodeView) -> dict[str, Any]:
    declared = node.definition.attrs if node.definition is not None else {}
    return {
        name: bool(node.attr(name)) if name in declared else name == "update_slots"
        for name in FLAGS
    }


def _dense(context: Any, cells: list[Cell], rest: list[Value], step: Step, flags: Any) -> None:
    values = step([jnp.asarray(context.read(c)) for c in cells], rest, flags)
    for cell, value in zip(cells, values, strict=True):
        context.assign(cell, value)


def _sparse(
    context: Any, cells: list[Cell], rest: list[Value], step: Step, flags: Any, place: int
) -> None:
    """A step on rows; TensorFlow goes through the indices one by one, so repeated ones accumulate.

    `place` is where the gradient stands among the other inputs; its indices follow it.
    """
    tables = [jnp.asarray(context.read(c)) for c in cells]
    gradient, indices = jnp.asarray(rest[place]), jnp.asarray(rest[place + 1])

    def row(at: Value, state: list[Value]) -> list[Value]:
        index = indices[at]
        inputs = [*rest[:place], gradient[at], *rest[place + 2 :]]
        changed = step([table[index] for table in state], inputs, flags)
        return [
            table.at[index].set(value.astype(table.dtype))
            for table, value in zip(state, changed, strict=True)
        ]

    for cell, value in zip(cells, jax.lax.fori_loop(0, indices.shape[0], row, tables), strict=True):
        context.assign(cell, value)


def _handler(count: int, step: Step, sparse: bool, reference: bool) -> Callable[[NodeView], Kernel]:
    def handler(node: NodeView) -> Kernel:
        flags = _flags(node)
        place = _gradient_place(node) - count if sparse else 0

        def kernel(context: Any, *inputs: Value) -> Value:
            cells, rest = list(inputs[:count]), list(inputs[count:])
            if sparse:
                _sparse(context, cells, rest, step, flags, place)
            else:
                _dense(context, cells, rest, step, flags)
            return inputs[0] if reference else ()

        return kernel

    return handler


def _gradient_place(node: NodeView) -> int:
    """The position of the input ``grad``."""
    declared = node.definition.inputs if node.definition is not None else ()
    return [argument.name for argument in declared].index("grad")


def _register(name: str, count: int, step: Step) -> None:
    forms = [("Apply", False)] + ([("SparseApply", True)] if name in SPARSE else [])
    for form, sparse in forms:
        TRAIN.op(f"Resource{form}{name}", context=True)(_handler(count, step, sparse, False))
        if name not in RESOURCE_ONLY:
            TRAIN.op(f"{form}{name}", context=True)(_handler(count, step, sparse, True))


for _name, (_count, _step) in STEPS.items():
    _register(_name, _count, _step)
