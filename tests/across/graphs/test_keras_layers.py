"""Every built-in Keras layer at a free batch size, its state included: native, and the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import keras
import numpy as np
import pytest
from keras import layers

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.emitted import Case, ask, check, check_own
from tests.unit.graphs.emit.keras_layers import (
    DIFFERENTIATED,
    FRAMES,
    NOT_COMPARED,
    NOT_TRACED,
    OWN,
    PREPROCESSING,
    USES,
    Use,
)

COMPARED = [name for name in USES if name not in NOT_COMPARED]


def cases() -> Iterator[Case]:
    """Each use as a function of the layer's variables and inputs."""
    keras.utils.set_random_seed(3)
    for name, use in USES.items():
        layer, inputs = use.make(), use.inputs(3)
        symbols = jax.tree.map(lambda x: keras.Input(x.shape[1:], dtype=x.dtype.name), inputs)
        layer(*([symbols] if use.listed else symbols), **use.call)
        yield case_of(name, layer, use, inputs)


def case_of(name: str, layer: Any, use: Use, inputs: list[Any]) -> Case:
    leaves, tree = jax.tree.flatten(inputs)
    trained = len(layer.trainable_variables)
    keywords = {**use.call, **({"training": True} if use.training else {})}

    def function(values: Any, *given: Any) -> Any:
        arguments = jax.tree.unflatten(tree, given)
        state = list(values[:trained]), list(values[trained:])
        called = [arguments] if use.listed else arguments
        outputs, changed = layer.stateless_call(*state, *called, **keywords)
        return outputs, {trained + i: value for i, value in enumerate(changed)}

    variables = [*layer.trainable_variables, *layer.non_trainable_variables]
    return Case(
        name,
        function,
        [((None, *x.shape[1:]), x.dtype.name) for x in leaves],
        [leaves],
        [np.asarray(v) for v in variables],
        name in DIFFERENTIATED,
        tolerance=2e-4,
    )


@pytest.fixture(scope="module")
def made() -> dict[str, Case]:
    return {case.name: case for case in cases()}


@pytest.fixture(scope="module")
def answers(oracle: Oracle, made: dict[str, Case]) -> dict[str, Any]:
    return ask(oracle, [made[name] for name in COMPARED])


@pytest.mark.parametrize("name", COMPARED)
def test_tensorflow_computes_what_the_layer_computes(
    name: str, made: dict[str, Case], answers: dict[str, Any]
) -> None:
    check(made[name], answers[name])


@pytest.mark.parametrize("name", OWN)
def test_hozon_runs_it_alike(name: str, made: dict[str, Case]) -> None:
    check_own(made[name])


@pytest.mark.parametrize("name", NOT_COMPARED)
def test_layers_that_are_not_compared_are_native(name: str, made: dict[str, Case]) -> None:
    assert made[name].written("f").native


def test_no_layer_is_left_out() -> None:
    kinds = {kind for kind in vars(layers).values() if isinstance(kind, type)}
    names = {kind.__name__ for kind in kinds if issubclass(kind, layers.Layer)}
    assert names - set(USES) - set(NOT_TRACED) - set(PREPROCESSING) - set(FRAMES) == set()
