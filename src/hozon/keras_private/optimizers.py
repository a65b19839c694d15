"""What an optimizer keeps: counters, numbers, and slots of the variables that it trains."""

from __future__ import annotations

from collections.abc import Iterator
from types import MethodType
from typing import Any

import keras

#: Lists that every optimizer has and that hold no slots.
LISTS = frozenset({"_trainable_variables", "_variables"})


def wrapped(optimizer: keras.optimizers.Optimizer) -> Any:
    """The optimizer inside one that scales losses; of any other itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def state_of(optimizer: keras.optimizers.Optimizer) -> Iterator[tuple[str, Any, Any]]:
    """(name, the variable that it is a slot of or None, variable) of all that one keeps itself.

    Names are those of attributes. What no attribute leads to is named by its place.
    """
    trained = list(optimizer._trainable_variables)
    seen: set[int] = set()
    for name, value in list(vars(optimizer).items()):
        if isinstance(value, keras.Variable):
            seen.add(id(value))
            yield name, None, value
        elif isinstance(value, list) and name not in LISTS and len(value) == len(trained):
            slots = [(v, s) for v, s in zip(trained, value, strict=True) if _is_variable(s)]
            seen.update(id(slot) for _, slot in slots)
            yield from ((name, variable, slot) for variable, slot in slots)
    for place, variable in enumerate(optimizer._variables):
        if id(variable) not in seen:
            yield f"variable {place}", None, variable


def trained_by(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """The variables for which an optimizer was built, or the one that it wraps."""
    return list(wrapped(optimizer)._trainable_variables)


def counter_of(optimizer: keras.optimizers.Optimizer) -> Any:
    """The variable that counts steps; ``iterations`` is a part of it under accumulation."""
    return optimizer._iterations


def rate_of(optimizer: keras.optimizers.Optimizer) -> Any:
    """The learning rate: a variable, a schedule or a function."""
    return optimizer._learning_rate


def is_scalar(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> bool:
    """Whether a variable is the optimizer's counter or learning rate rather than a slot."""
    return variable is counter_of(optimizer) or variable is rate_of(optimizer)


def momentum_product_of(optimizer: keras.optimizers.Optimizer) -> Any:
    """The variable with Nadam's product of momenta."""
    return optimizer._u_product


def keep_product(optimizer: keras.optimizers.Optimizer) -> None:
    """Have Nadam's product last from step to step: Keras forgets it in one that scales losses."""
    if not keeps_product(optimizer):
        optimizer._variables.append(momentum_product_of(optimizer))


def keeps_product(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether Nadam's product of momenta is among what an optimizer keeps."""
    product = momentum_product_of(optimizer)
    return any(variable is product for variable in optimizer._variables)


def multiply_momenta(optimizer: keras.optimizers.Optimizer, *, by_variable: bool) -> None:
    """Have one Nadam multiply its product by each variable, as compiled steps of tf_keras do.

    Without `by_variable` it does so once a step, as Keras has it.
    """
    own = {"_backend_update_step": _plain_steps, "update_step": _multiplying_step}
    for name, function in own.items():
        if by_variable:
            object.__setattr__(optimizer, name, MethodType(function, optimizer))
        elif name in vars(optimizer):
            object.__delattr__(optimizer, name)


def multiplies_by_variable(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether an optimizer was told so by `multiply_momenta`."""
    return "update_step" in vars(optimizer)


def keep_averages_apart(optimizer: keras.optimizers.Optimizer) -> None:
    """Have weights be copies of their moving averages when these are written over them.

    In Keras the two are one array then, which JAX deletes for both when the next step or prediction
    gives it back.
    """
    own = MethodType(_copying_averages, optimizer)
    object.__setattr__(optimizer, "_overwrite_model_variables_with_average_value", own)


def _copying_averages(optimizer: keras.optimizers.Optimizer, variables: Any) -> None:
    type(optimizer)._overwrite_model_variables_with_average_value(optimizer, variables)
    for variable in variables:
        variable.assign(keras.ops.copy(variable))


def moves_without_gradient(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> bool:
    """Whether a gradient of zeros changes a variable that none would leave as it is."""
    inner = wrapped(optimizer)
    if isinstance(inner, keras.optimizers.Ftrl) or multiplies_by_variable(inner):
        return True
    return variable.constraint is not None or bool(inner.weight_decay)


def _plain_steps(
    optimizer: keras.optimizers.Optimizer, grads: Any, variables: Any, learning_rate: Any
) -> None:
    super(keras.optimizers.Nadam, optimizer)._backend_update_step(grads, variables, learning_rate)


def _multiplying_step(
    optimizer: keras.optimizers.Optimizer,
    gradient: Any,
    variable: keras.Variable,
    learning_rate: Any,
) -> None:
    """A variable's step, which multiplies but where tf_keras takes it to be done already."""
    ops, product, step = keras.ops, optimizer._u_product, optimizer.iterations + 1
    place = optimizer._get_variable_index(variable)
    done = ops.equal(step, len(optimizer._trainable_variables) + place)
    momentum = optimizer.beta_1 * (1 - 0.5 * ops.power(0.96, ops.cast(step, product.dtype)))
    optimizer.assign(product, product * ops.where(done, 1.0, momentum))
    type(optimizer).update_step(optimizer, gradient, variable, learning_rate)


def _is_variable(value: Any) -> bool:
    return isinstance(value, keras.Variable)


def is_placeholder(variable: keras.Variable) -> bool:
    """Whether a slot stands for "none": Adafactor's, for variables that it does not factor."""
    return bool(variable.dtype.startswith("int"))


def thawed_variables(model: keras.Model) -> list[keras.Variable]:
    """What a model would train if none of its layers were frozen, in the order of Keras."""
    made = {id(v) for layer in model._flatten_layers() for v in layer._trainable_variables}
    return [v for v in model.variables if id(v) in made]
