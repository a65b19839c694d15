"""Reading a variable is a leaf of differentiation: gradients against ``tf.GradientTape``."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import hozon.saved_model
from tests.oracle.client import Oracle

X = np.array([1.0, -2.0, 4.0], np.float32)

SAVE = """
spec = [tf.TensorSpec([3], tf.float32, "x")]

class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.v = tf.Variable([0.5, 1.0, -1.0], name="v")
        self.w = tf.Variable([1.0, 2.0, 3.0], name="w")
        self.n = tf.Variable(2.0, trainable=False, name="n")
        self.t = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], name="t")

    @tf.function(input_signature=spec)
    def fake_quantized(self, x):
        self.n.assign(0.9 * self.n + 0.1 * tf.reduce_max(tf.abs(x)))
        return tf.round(x / self.n) * self.n + x * self.w

    @tf.function(input_signature=spec)
    def spectral(self, x):
        sigma = tf.norm(self.w)
        self.w.assign(self.w / sigma)
        return x * self.w

    @tf.function(input_signature=spec)
    def before_and_after(self, x):
        first = self.v * x
        self.v.assign(tf.sin(self.v) * x)
        return first + tf.exp(0.1 * self.v) * x + self.v.assign_sub(self.w * x)

    @tf.function
    def inner(self, x):
        self.v.assign_add(x * self.w)
        return self.v * x

    @tf.function(input_signature=spec)
    def called(self, x):
        return self.inner(x) + self.v ** 2

    @tf.function(input_signature=spec)
    def looped(self, x):
        def trip(i, x):
            self.v.assign(self.v * 0.5 + x * self.w)
            return i + 1, x + self.v * 0.1
        return tf.while_loop(lambda i, x: i < 3, trip, (0, x))[1] * self.v

    @tf.function(input_signature=spec)
    def branched(self, x):
        total = tf.reduce_sum(x)
        y = tf.cond(total > 0.0, lambda: self.v.assign(x * self.w) * x, lambda: self.v * x)
        y += self.v * x
        z = tf.cond(total < 0.0, lambda: self.v.assign(x), lambda: tf.sin(self.v))
        return y + self.v * z

    @tf.function(input_signature=spec)
    def gathered(self, x):
        self.t.scatter_nd_add([[0], [2]], tf.stack([x[:2], x[1:]]))
        self.t[1:2].assign([x[:2]])
        return tf.gather(self.t, [0, 2, 0])[:, 0] * x + self.t.sparse_read([1, 1, 2])[:, 1]

    @tf.function(input_signature=spec)
    def normalized(self, x):
        mean = tf.reduce_mean(x)
        self.n.assign_sub((self.n - mean) * 0.1)
        return (x - self.n) * self.w

module = Module()
tf.saved_model.save(module, path)
for name in names:
    loaded = tf.saved_model.load(path)
    function = getattr(loaded, name)
    variables = function.concrete_functions[0].variables
    with tf.GradientTape() as tape:
        t = tf.constant(x)
        tape.watch(t)
        for v in variables:
            tape.watch(v)
        y = function(t)
    dx, *dv = tape.gradient(y, [t, *variables], unconnected_gradients="zero")
    names = [v.name[:1] for v in variables]
    out[name] = [y, dx, dict(zip(names, map(tf.convert_to_tensor, dv))),
                 {n: v.read_value() for n, v in zip(names, variables)}]
"""
NAMES = (
    "before_and_after",
    "branched",
    "called",
    "fake_quantized",
    "gathered",
    "looped",
    "normalized",
    "spectral",
)


@pytest.fixture(scope="module")
def saved(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = str(tmp_path_factory.mktemp("assigned") / "model")
    answers = oracle.python(SAVE, path=path, x=X, names=NAMES)
    return path, answers


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_no_gradient_flows_into_what_was_assigned(saved: Any, name: str, compiled: bool) -> None:
    path, answers = saved
    function = getattr(hozon.saved_model.load(path), name)
    names = [v.name[:1] for v in function.variables]
    held = [v.read() for v in function.variables]
    y, dx, dv, after = answers[name]

    def total(x: Any, values: Any) -> Any:
        outputs, new = function.stateless_call(values, x)
        return outputs.sum(), (outputs, new)

    slope = jax.grad(total, (0, 1), has_aux=True)
    (to_x, to_held), (outputs, new) = (jax.jit(slope) if compiled else slope)(X, held)
    close(outputs, y)
    close(to_x, dx)
    assert set(dv) == set(names)
    for n, gradient, value in zip(names, to_held, new, strict=True):
        close(gradient, dv[n])
        close(value, after[n])


def test_a_later_call_sends_gradients_to_the_variable(saved: Any) -> None:
    """As in TensorFlow, where both calls read the one variable."""
    function = hozon.saved_model.load(saved[0]).spectral
    held = [v.read() for v in function.variables]

    def twice(x: Any, values: Any) -> Any:
        _, new = function.stateless_call(values, x)
        return function.stateless_call(new, x)[0].sum()

    to_x, to_held = jax.grad(twice, (0, 1))(X, held)
    norm = np.array([1, 2, 3], np.float32) / np.sqrt(np.float32(14))
    close(to_x, norm)
    close(to_held[0], X)


def test_eager_gradients_to_inputs_assign_as_a_call_does(saved: Any) -> None:
    path, answers = saved
    loaded = hozon.saved_model.load(path)
    close(jax.grad(lambda x: loaded.spectral(x).sum())(X), answers["spectral"][1])
    close(loaded.w, answers["spectral"][3]["w"])
