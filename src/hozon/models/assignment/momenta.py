"""Nadam's product of momenta, which tf_keras keeps in no H5 file and in no ``.keras`` archive.

Eager steps of tf_keras multiply it once, as those of Keras 3 do. Compiled ones do so for each of
their variables, but for one of them in the steps from the number of variables on, as often as
there are variables: tf_keras counts when it traces, and `fit` traces twice.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from hozon.config.legacy.optimizers import Nadam as OldNadam
from hozon.keras_private.optimizers import (
    counter_of,
    keep_product,
    keeps_product,
    momentum_product_of,
    multiplies_by_variable,
    multiply_momenta,
    trained_by,
    wrapped,
)
from hozon.record import COMPILED, EAGER, TRAINED_BY

#: What changes no step beyond rounding.
NEGLIGIBLE = 1e-5
#: How near a product in single precision is to the one that its steps leave.
NEAR = 1e-3


def products_of(optimizer: keras.optimizers.Optimizer, steps: int) -> tuple[Any, Any]:
    """The product after some steps that multiply it once, and after compiled ones of tf_keras."""
    decay = getattr(optimizer, "schedule_decay", 1.0)
    numbers = np.arange(1, steps + 1, dtype=np.float64)
    momenta = optimizer.beta_1 * (1 - 0.5 * np.power(0.96, numbers * decay))
    variables = 1 if isinstance(optimizer, OldNadam) else max(len(trained_by(optimizer)), 1)
    times = np.full(steps, variables)
    if variables > 1:
        times[variables - 1 : 2 * variables - 1] -= 1
    once, compiled = np.prod(momenta), np.prod(momenta**times)
    return np.asarray(once, np.float32), np.asarray(compiled, np.float32)


def differ(one: Any, other: Any) -> bool:
    """Whether two products lead to other steps."""
    return abs(float(one) - float(other)) > NEGLIGIBLE


def marks_of(optimizer: keras.optimizers.Optimizer) -> dict[str, str]:
    """What files without the product are to say of an optimizer's steps, None included."""
    inner = wrapped(optimizer)
    if not isinstance(inner, keras.optimizers.Nadam) or not inner.built:
        return {}
    if multiplies_by_variable(inner):
        return {TRAINED_BY: COMPILED}
    return {TRAINED_BY: EAGER} if inner is not optimizer and keeps_product(inner) else {}


def follow_product(optimizer: keras.optimizers.Optimizer, *, of_keras2: bool = False) -> None:
    """Let Nadam go on with steps like those that led to its product of momenta.

    Args:
        optimizer: any, with what is stored of it.
        of_keras2: whether it is known to be of a file of Keras 2; else the product tells.
    """
    inner = wrapped(optimizer)
    if not isinstance(inner, keras.optimizers.Nadam) or not inner.built:
        return
    product, steps = float(momentum_product_of(inner).value), int(counter_of(inner).value)
    once, compiled = products_of(inner, steps)
    by_variable = differ(once, compiled) and _is(product, compiled)
    multiply_momenta(inner, by_variable=by_variable)
    known = of_keras2 or (steps > 0 and (by_variable or _is(product, once)))
    if inner is not optimizer and known and product > NEGLIGIBLE:
        keep_product(inner)


def _is(product: float, expected: Any) -> bool:
    return abs(product / float(expected) - 1) < NEAR
