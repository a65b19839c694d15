"""Gradients of a module's functions are TensorFlow's, loops among them: eager, compiled, mapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
import os
out["answers"] = {}
def of(source):
    return lambda x: eval(source, {"tf": tf, "np": np, "x": x})
for number, (source, x) in enumerate(cases):
    module = tf.Module()
    module.f = tf.function(of(source), input_signature=[tf.TensorSpec(x.shape, tf.float32)])
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = module.f(x)
        weights = tf.reshape(tf.cos(tf.range(tf.size(y), dtype=tf.float32)) + 0.3, tf.shape(y))
        total = tf.reduce_sum(y * weights)
    gradient = tape.gradient(total, x)
    tf.saved_model.save(module, os.path.join(folder, str(number)))
    gradient = tf.zeros_like(x) if gradient is None else tf.convert_to_tensor(gradient)
    out["answers"][number] = (y.numpy(), weights.numpy(), gradient.numpy())
"""

TIED = np.array([[1, 2, 2, 0], [3, 3, 3, 3], [0, -0.0, 0, -1], [1, 0, 0, 5]], np.float32)
MATRIX = np.array([[2, 0.3, 0.1], [0.2, 3, 0.5], [0.1, 0.4, 2.5]], np.float32)
IMAGE = (np.arange(64).reshape(2, 4, 4, 2) % 7 / 3).astype(np.float32)

#: What the function makes of x, and x.
CASES = [
    # Nothing comes back to what is not chosen, whatever its slope.
    ("tf.where(x > 0, tf.sqrt(x), 0.0)", TIED),
    ("tf.where(x > 0, tf.math.rsqrt(x), x)", TIED),
    ("tf.where(x > 0, tf.math.reciprocal(x), x)", TIED),
    ("tf.where(x > 0, tf.math.log(x), x)", TIED),
    ("tf.norm(x, axis=1) * [1.0, 1.0, 0.0, 1.0]", TIED),
    ("tf.math.reduce_std(x, 1) * [1.0, 0.0, 1.0, 1.0]", TIED),
    # Of several rows for one place each has the gradient; of one row taken twice the last has.
    ("tf.dynamic_stitch([[0, 1, 2], [1, 2, 3]], [x[:3], x[1:] * 2])", TIED),
    ("tf.TensorArray(tf.float32, 4).unstack(x).gather([0, 0, 3])", TIED),
    # What TensorFlow gives no gradient.
    ("tf.image.hsv_to_rgb(x[:, :3] / 5) + x[:, 1:]", TIED),
    ("tf.one_hot([0, 1, 5], 4, on_value=x[0, 0], off_value=x[0, 1])", TIED),
    ("tf.math.zeta(tf.abs(x) + 2, tf.abs(x) + 1)", TIED),
    ("tf.linspace(x[0], x[1], 3) + x[2]", TIED),
    ("tf.compat.v1.nn.fused_batch_norm(x, [1.0, 2], [0.0, 1])[1] + x[0, 0, 0]", IMAGE),
    # Special functions in a program that somebody else compiles.
    ("tf.math.special.expint(tf.abs(x) + 1) + tf.math.special.spence(tf.abs(x) + 0.5)", TIED),
    # Loops whose trips depend on data.
    (
        (
            "tf.while_loop(lambda i, a: tf.reduce_sum(a) < 1000.0,"
            " lambda i, a: (i + 1, a * 1.5 + tf.sin(x)), [0, tf.abs(x)])[1]"
        ),
        TIED,
    ),
    (
        (
            "tf.while_loop(lambda i, a: tf.reduce_sum(a) < 30.0,"
            " lambda i, a: (i + 1, a * (1 + 1e-3 * tf.cast(i % 3, tf.float32)) + 0.01 * a * a / x),"
            " [0, tf.abs(x)])[1]"
        ),
        MATRIX,
    ),
    ("tf.while_loop(lambda a: tf.reduce_sum(a) < -1.0, lambda a: [a * x], [x * x])[0]", TIED),
    (
        (
            "tf.while_loop(lambda a: tf.reduce_sum(a) < 99.0, lambda a: [tf.while_loop("
            "lambda b: tf.reduce_sum(b) < 50.0, lambda b: [b * 1.5 + x], [a])[0] * 2.0], [x])[0]"
        ),
        MATRIX,
    ),
    ("tf.linalg.expm(x)", MATRIX),
]


@pytest.fixture(scope="module")
def answered(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("slopes")
    return folder, oracle.python(WRITE, cases=CASES, folder=str(folder))["answers"]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[source[:40] for source, _ in CASES])
def test_gradients_are_tensorflows(answered: tuple[Path, Any], number: int) -> None:
    folder, answers = answered
    result, weights, gradient = answers[number]
    x = jnp.asarray(CASES[number][1])
    function = hozon.saved_model.load(folder / str(number)).f

    def total(x: Any) -> Any:
        return jnp.sum(function(x) * weights)

    def close(have: Any, want: Any) -> None:
        np.testing.assert_allclose(have, want, rtol=2e-3, atol=2e-4)

    close(function(x), result)
    close(jax.jit(function)(x), result)
    close(jax.grad(total)(x), gradient)
    close(jax.jit(jax.grad(total))(x), gradient)
    close(jax.vmap(jax.grad(total))(jnp.stack([x, x * 0 + 2, x]))[2], gradient)
