"""What an optimizer keeps: counters, numbers, and slots of the variables that it trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

#: Lists that every optimizer has and that hold no slots.
LISTS = frozenset({"_trainable_variables", "_variables"})


def wrapped(optimizer: Any) -> Any:
    """The optimizer inside one that scales losses; of any other itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def state_of(optimizer: Any) -> Iterator[tuple[str, Any, Any]]:
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


def trained_by(optimizer: Any) -> list[Any]:
    """The variables for which an optimizer was built, or the one that it wraps."""
    return list(wrapped(optimizer)._trainable_variables)


def counter_of(optimizer: Any) -> Any:
    """The variable that counts steps; ``iterations`` is a part of it under accumulation."""
    return optimizer._iterations


def rate_of(optimizer: Any) -> Any:
    """The learning rate: a variable, a schedule or a function."""
    return optimizer._learning_rate


def is_scalar(optimizer: Any, variable: Any) -> bool:
    """Whether a variable is the optimizer's counter or learning rate rather than a slot."""
    return variable is counter_of(optimizer) or variable is rate_of(optimizer)


def momentum_product_of(optimizer: Any) -> Any:
    """The variable with Nadam's product of momenta."""
    return optimizer._u_product


def _is_variable(value: Any) -> bool:
    return isinstance(value, keras.Variable)


def is_placeholder(variable: Any) -> bool:
    """Whether a slot stands for "none": Adafactor's, for variables that it does not factor."""
    return bool(variable.dtype.startswith("int"))


def thawed_variables(model: Any) -> list[Any]:
    """What a model would train if none of its layers were frozen, in the order of Keras."""
    made = {id(v) for layer in model._flatten_layers() for v in layer._trainable_variables}
    return [v for v in model.variables if id(v) in made]
