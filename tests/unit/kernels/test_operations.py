"""Convolutions of every kind and their gradients against XLA's own in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hozon.kernels.convolution import (
    convolution,
    convolution_input_gradient,
    convolution_kernel_gradient,
)
from hozon.kernels.operations import CONVOLUTION, Geometry, native
from hozon.kernels.windows import make_window

#: Channels, groups and outputs: dense, depthwise, with a multiplier, grouped.
KINDS = {"dense": (4, 1, 6), "depthwise": (6, 6, 6), "multiplied": (4, 4, 8), "grouped": (12, 3, 6)}
PADDINGS = ["SAME", "VALID", ((2, 1), (0, 3), (1, 1))]
#: Strides and dilations of each axis.
STEPS = [(1, 1), (2, 1), (3, 1), (1, 2), (2, 3), (2, 1), (1, 1), (3, 2), (2, 1)]
SIZES = [(3, 2, 3), (2, 3, 2), (3, 5, 1), (1, 1, 1)]
FORMATS = ["channels_last", "channels_first"]


def geometries(kind: str) -> list[Any]:
    """A kind with every step; paddings, formats, ranks and sizes in turn."""
    turns = map(itertools.cycle, (PADDINGS, FORMATS, (2, 1, 3, 2, 2), SIZES))
    return [(kind, steps, *turn) for steps, *turn in zip(STEPS, *turns, strict=False)]


def drawn(
    kind: str, steps: Any, padding: Any, data_format: Any, rank: int, size: Any
) -> tuple[np.ndarray, np.ndarray, dict[str, Any], Geometry]:
    channels, groups, outputs = KINDS[kind]
    spatial = (9, 8, 7)[:rank]
    shape = (channels, *spatial) if data_format == "channels_first" else (*spatial, channels)
    kernel = (*size[:rank], channels // groups, outputs)
    keywords = {
        "strides": (steps[0],) * rank,
        "dilations": (steps[1],) * rank,
        "padding": padding if isinstance(padding, str) else padding[:rank],
    }
    window = make_window(spatial, size[:rank], **keywords)
    random = np.random.default_rng(rank)
    arguments = {**keywords, "data_format": data_format}
    draws = random.normal(size=(2, *shape)), random.normal(size=kernel)
    return *draws, arguments, Geometry(window, shape, kernel, data_format)


def wide(function: Callable[..., Any], *arrays: Any) -> Any:
    """What a function gives in float64."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, function(*(jnp.asarray(a, jnp.float64) for a in arrays)))


@pytest.mark.parametrize("kind", KINDS)
def test_forward_and_both_gradients(kind: str) -> None:
    for geometry in geometries(kind):
        _compare(geometry)


def _compare(drawn_by: Any) -> None:
    x, kernel, arguments, geometry = drawn(*drawn_by)
    if 0 in geometry.outputs:
        return

    def truth(x: Any, kernel: Any, g: Any) -> Any:
        y, pull = jax.vjp(lambda x, kernel: native(x, kernel, geometry), x, kernel)
        return (y, *pull(g))

    g = np.cos(np.arange(2 * np.prod(geometry.outputs))).reshape(2, *geometry.outputs)
    expected = wide(truth, x, kernel, g)
    narrow = [jnp.asarray(a, jnp.float32) for a in (x, kernel, g)]
    y, pull = jax.vjp(lambda x, k: convolution(x, k, **arguments), *narrow[:2])
    asked = (
        y,
        convolution_input_gradient(narrow[2], narrow[1], x.shape, **arguments),
        convolution_kernel_gradient(narrow[0], narrow[2], kernel.shape, **arguments),
    )
    for actual in (asked, (y, *pull(narrow[2]))):
        for a, b in zip(actual, expected, strict=True):
            assert a.shape == b.shape, drawn_by
            scale = np.abs(b).max() or 1.0
            np.testing.assert_allclose(a / scale, b / scale, atol=2e-6, err_msg=str(drawn_by))


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_all_orders_and_directions(kind: str) -> None:
    x, kernel, arguments, geometry = drawn(kind, (2, 1), "SAME", "channels_last", 2, (3, 2))
    dx, dk = np.cos(x), np.cos(kernel)

    def everything(apply: Callable[[Any, Any], Any], *given: Any) -> Any:
        x, kernel, dx, dk = given
        loss = lambda x, kernel: (apply(x, kernel) ** 3).sum()
        return (
            jax.jvp(apply, (x, kernel), (dx, dk))[1],
            jax.jvp(jax.grad(loss, (0, 1)), (x, kernel), (dx, dk))[1],
            jax.grad(lambda x, k: (jax.grad(loss, 1)(x, k) ** 2).sum())(x, kernel),
            jax.vmap(jax.grad(loss, (0, 1)), (0, 3))(x[:, None], jnp.stack([kernel, dk], 3)),
            jax.grad(lambda k: jax.vmap(loss)(x[:, None], k).sum())(jnp.stack([kernel, dk])),
            jax.jit(jax.checkpoint(apply))(x, kernel),
        )

    def ours(*given: Any) -> Any:
        return everything(lambda x, kernel: convolution(x, kernel, **arguments), *given)

    def theirs(*given: Any) -> Any:
        return everything(lambda x, kernel: native(x, kernel, geometry), *given)

    actual = jax.tree.leaves(wide(ours, x, kernel, dx, dk))
    for a, b in zip(actual, jax.tree.leaves(wide(theirs, x, kernel, dx, dk)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("kind", ["dense", "multiplied"])
def test_other_floats(kind: str, dtype: str) -> None:
    x, kernel, arguments, geometry = drawn(kind, (2, 1), "SAME", "channels_last", 2, (3, 2))
    with jax.enable_x64(dtype == "float64"):
        given = [jnp.asarray(a, dtype) for a in (x, kernel)]
        y, pull = jax.vjp(lambda x, k: convolution(x, k, **arguments), *given)
        results = (y, *pull(jnp.ones_like(y)))
        assert all(r.dtype == dtype for r in results)
    exact = [np.asarray(a, "d") for a in given]  # what the narrow type made of them
    expected = wide(
        lambda x, k: jax.vjp(lambda x, k: native(x, k, geometry), x, k)[1](jnp.ones(y.shape)),
        *exact,
    )
    error = {"float16": 2e-3, "bfloat16": 2e-2, "float64": 1e-13}[dtype]
    for a, b in zip(results[1:], expected, strict=True):
        np.testing.assert_allclose(np.asarray(a, "d"), b, atol=error * np.abs(b).max())


def test_any_number_of_examples_can_be_exported() -> None:
    (batch,) = jax.export.symbolic_shape("batch")
    shape = jax.ShapeDtypeStruct((batch, 8, 8, 6), jnp.float32)
    kernel = jnp.ones((3, 3, 1, 6))
    step = jax.jit(jax.value_and_grad(lambda x: (convolution(x, kernel) ** 2).sum()))
    exported = jax.export.export(step)(shape)
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 6)).astype("f")
    for a, b in zip(exported.call(x), step(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_it_is_one_operation_until_it_is_lowered() -> None:
    jaxpr = jax.make_jaxpr(convolution)(jnp.ones((1, 4, 4, 2)), jnp.ones((2, 2, 1, 2)))
    assert [eqn.primitive for eqn in jaxpr.eqns] == [CONVOLUTION]
