"""Custom gradients of SavedModels against TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import hozon.saved_model
from tests.oracle.client import Oracle

X = np.linspace(-1, 2, 6, dtype=np.float32).reshape(2, 3)

NAMES = ("looped", "paths", "plain", "repeated", "several", "straight_through", "wide")
#: Those whose gradients TensorFlow differentiates again.
TWICE = ("plain", "repeated", "several")

SAVE = """
@tf.custom_gradient
def clipped(x):
    y = tf.sin(x)
    def grad(dy):
        return tf.clip_by_value(dy * tf.cos(x), -0.25, 0.25)
    return y, grad

@tf.custom_gradient
def mixed(x, n, z):
    def grad(dy):
        return dy * 3 * z, None, dy * x
    return x * z * tf.cast(n, tf.float32), grad

@tf.custom_gradient
def scaled(x):
    def grad(dy):
        return dy * 7 * tf.exp(x)
    return tf.exp(x), grad

@tf.custom_gradient
def stepped(x):
    return tf.sign(x), lambda dy: tf.where(tf.abs(x) <= 1.0, 2 * dy, tf.zeros_like(dy))

@tf.custom_gradient
def doubled(x):
    return stepped(x) * 2, lambda dy: dy * stepped(x) + stepped(dy * x)

class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable([[1.0, -2.0, 0.5], [0.1, 3.0, -0.7]])

    @tf.function(input_signature=[tf.TensorSpec([2, 3])])
    def straight_through(self, x):
        return stepped(x) * tf.cos(stepped(self.w) + x) + doubled(x * self.w)

    @tf.function(input_signature=[tf.TensorSpec([2, 3], tf.float64)])
    def wide(self, x):
        @tf.custom_gradient
        def thirds(z):
            return tf.round(z), lambda dy: dy / 3 * z
        return thirds(x)

    @tf.function(input_signature=[tf.TensorSpec([2, 3])])
    def plain(self, x):
        return clipped(x) * x

    @tf.function(input_signature=[tf.TensorSpec([2, 3])])
    def repeated(self, x):
        return clipped(clipped(x)) + scaled(x)

    @tf.function(input_signature=[tf.TensorSpec([2, 3])])
    def looped(self, x):
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, clipped(y) * 1.5), (0, x))[1]

    @tf.function(input_signature=[tf.TensorSpec([2, 3])])
    def paths(self, x):  # slopes are infinite within, where a loss of log(0) is
        logits, labels = tf.stack([x, x * 2, -x, x], 1), tf.constant([[1, 2], [2, 0]])
        return tf.nn.ctc_loss(
            labels, logits, tf.constant([2, 1]), tf.constant([4, 3]), logits_time_major=False,
            blank_index=0, unique=tf.nn.ctc_unique_labels(labels))

    @tf.function(input_signature=[tf.TensorSpec([2, 3])])
    def several(self, x):
        return mixed(x, tf.constant(2), tf.cos(x))

module = Module()
tf.saved_model.save(module, path, options=tf.saved_model.SaveOptions(
    experimental_custom_gradients=True))
for name in names:
    t = tf.constant(x, tf.float64 if name == "wide" else tf.float32)
    held = [module.w] if name == "straight_through" else []

    def differentiated():
        with tf.GradientTape() as tape:
            tape.watch(t)
            y = getattr(module, name)(t)
        return y, *tape.gradient(y, [t, *held])

    y, dx, *dw = differentiated()
    further = None
    if name in twice:
        with tf.GradientTape() as outer:
            outer.watch(t)
            first = differentiated()[1]
        further = outer.gradient(first, t)
    out[name] = y, dx, dw, further
"""


@pytest.fixture(scope="module")
def saved(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = str(tmp_path_factory.mktemp("custom") / "model")
    told = oracle.python(SAVE, path=path, x=X, names=NAMES, twice=TWICE)
    return told, hozon.saved_model.load(path)


@pytest.mark.parametrize("name", NAMES)
def test_custom_gradients_are_followed(saved: Any, name: str) -> None:
    answers, loaded = saved
    function = getattr(loaded, name)
    outputs, gradient, to_held, _ = answers[name]
    np.testing.assert_allclose(function(X), outputs, rtol=1e-5, atol=1e-6)
    held = [v.read() for v in function.variables]

    def total(x: Any, values: Any) -> Any:
        return function.stateless_call(values, x)[0].astype(np.float32).sum()

    for differentiate in (jax.grad, lambda *f: jax.jit(jax.grad(*f))):
        actual = differentiate(lambda x: function(x).astype(np.float32).sum())(X)
        np.testing.assert_allclose(actual, gradient, rtol=1e-5, atol=1e-6)
        actual, found = differentiate(total, (0, 1))(X, held)
        np.testing.assert_allclose(actual, gradient, rtol=1e-5, atol=1e-6)
        for have, want in zip(found, to_held, strict=True):
            np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", TWICE)
def test_custom_gradients_are_differentiated_again(saved: Any, name: str) -> None:
    answers, loaded = saved
    first = jax.grad(lambda x: getattr(loaded, name)(x).sum())
    found = jax.grad(lambda x: first(x).sum())(X)
    np.testing.assert_allclose(found, answers[name][3], rtol=1e-5, atol=1e-6)


def test_custom_gradient_from_the_wild(shared: Path, oracle: Oracle) -> None:
    name = "google-deepmind--tf2jax--tf2jax_test_data_custom_gradient_cubed"
    path = shared / "wild" / "models" / name
    if not path.is_dir():
        pytest.skip(f"{path} is missing")
    answer = oracle.python(
        "f = tf.saved_model.load(path).f if hasattr(tf.saved_model.load(path), 'f') else"
        " tf.saved_model.load(path)\n"
        "with tf.GradientTape() as tape:\n"
        "    t = tf.constant(2.0)\n"
        "    tape.watch(t)\n"
        "    y = f(t)\n"
        "out['y'], out['gradient'] = y, tape.gradient(y, t)\n",
        path=str(path),
    )
    loaded = hozon.saved_model.load(path)
    function = getattr(loaded, "f", loaded)
    value, gradient = jax.value_and_grad(function)(np.float32(2))
    np.testing.assert_allclose([value, gradient], [answer["y"], answer["gradient"]], rtol=1e-6)
