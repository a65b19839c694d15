"""Derivatives of JAX's own in written files: by ``tf.GradientTape`` after loading, and by Hozon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras import ops

import hozon
import hozon.saved_model
from hozon.graphs.emit.primitives import DERIVED, PRIMITIVES
from tests.oracle.client import Oracle

POINTS = np.array([0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 6, 3, -3, 20, -20], np.float32)
FEW = np.array([0.0, -0.0, 1, -1, 2, 0.5, 30], np.float32)
TREE = {"w": jnp.array([[0.5], [1.5], [-2.0], [1.0]])}
X = np.array([[0.0, 1.0, -1.0, 2.0], [0.5, -0.0, 6.0, -3.0]], np.float32)


@jax.custom_vjp
def stepped(x: Any) -> Any:
    return jnp.sign(x)


stepped.defvjp(
    lambda x: (jnp.sign(x), x), lambda x, g: (jnp.where(jnp.abs(x) <= 1, 2 * g, jnp.zeros_like(g)),)
)


@jax.custom_jvp
def tripled(x: Any, y: Any) -> Any:
    return x * y


@tripled.defjvp
def _tripled(values: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = values, tangents
    return tripled(x, y), 3 * dx * y + x * x * dy


@ops.custom_gradient
def clipped(x: Any) -> Any:
    def gradient(*cotangents: Any, upstream: Any = None) -> Any:
        return ops.clip(3 * (cotangents[0] if cotangents else upstream) * x, -1, 1)

    return ops.sin(x), gradient


@jax.custom_vjp
def relu(x: Any) -> Any:  # like JAX's in name alone
    return jnp.maximum(x, 0)


relu.defvjp(lambda x: (jnp.maximum(x, 0), None), lambda _, g: (7 * g,))


def single(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `x` as one of the tree too."""
    return lambda t, x: function(x)


def pair(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one vector as one of all pairs of its elements."""
    return lambda t, x: function(x[:, None] + 0 * x[None], x[None] + 0 * x[:, None])


ACTIVATIONS = (
    "abs", "celu", "elu", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh",
    "leaky_relu", "log_sigmoid", "log_softmax", "logsumexp", "max", "median", "min", "prod",
    "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
    "sparse_plus", "sparsemax", "sqrt", "square", "squareplus", "tanh_shrink",
)  # fmt: skip
PAIRS = ("divide_no_nan", "hypot", "logaddexp", "logaddexp2", "maximum", "minimum", "subtract")
FUNCTIONS: dict[str, tuple[Callable[..., Any], Any]] = {
    "stepped": (lambda t, x: stepped(x) @ stepped(t["w"]), X),
    "tripled": (lambda t, x: tripled(x @ t["w"], jnp.sin(x).sum(1, keepdims=True)), X),
    "clipped": (lambda t, x: clipped(x) * clipped(clipped(x)) + x @ t["w"], X),
    "other_relu": (lambda t, x: relu(x) + jax.nn.relu(x), X),
    "rematerialized": (lambda t, x: jax.checkpoint(lambda v: stepped(v) * v)(x), X),
    "mapped": (lambda t, x: jax.vmap(stepped)(x) * x, X),
    "clamp": (lambda t, x: jax.lax.clamp(-1.0, x, 2.0), POINTS),
    "clip": (lambda t, x: ops.clip(x, -1, 2), POINTS),
    "cummax": (lambda t, x: jax.lax.cummax(x), POINTS),
    "relu_of_keras": (
        lambda t, x: keras.activations.relu(x, max_value=6, negative_slope=0.1, threshold=0.5),
        POINTS,
    ),
    "rem": (lambda t, x: jnp.fmod(x, 0.7), POINTS),
    "xlogy": (pair(jax.scipy.special.xlogy), FEW[:5]),
    **{name: (single(getattr(ops, name)), POINTS) for name in ACTIVATIONS},
    **{f"{name}_of_two": (pair(getattr(ops, name)), FEW) for name in PAIRS},
}
#: Functions that TensorFlow cannot differentiate, as it cannot its own: a loop or branch inside.
LOOPS: dict[str, tuple[Callable[..., Any], Any]] = {
    "looped": (lambda t, x: jax.lax.scan(lambda c, _: (stepped(c) + c, c), x, None, 3)[0], X),
    "branched": (lambda t, x: jax.lax.cond(x.sum() > 0, stepped, lambda y: y * 2, x), X),
}
ASK = """
m = tf.saved_model.load(path)
for name, x in given.items():
    with tf.GradientTape() as tape:
        v = tf.constant(x)
        tape.watch(v)
        y = list(m.signatures[name](x=v).values())[0]
        total = tf.reduce_sum(y * tf.cos(tf.reshape(tf.cast(tf.range(tf.size(y)), y.dtype),
                                                    tf.shape(y))))
    out[name] = [tf.convert_to_tensor(d) for d in
                 tape.gradient(total, [v, m.w], unconnected_gradients="zero")]
"""


def total(y: Any) -> Any:
    return (y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum()


def slopes(name: str) -> tuple[Any, Any]:
    function, x = {**FUNCTIONS, **LOOPS}[name]
    to_tree, to_x = jax.grad(lambda tree, x: total(function(tree, x)), (0, 1))(TREE, x)
    return to_x, to_tree["w"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("custom") / "model"
    signatures = {
        name: (function, {"x": ((None, 4) if x is X else x.shape, "float32")})
        for name, (function, x) in {**FUNCTIONS, **LOOPS}.items()
    }
    hozon.saved_model.save(TREE, path, signatures=signatures)
    return path


@pytest.fixture(scope="module")
def answers(saved: Path, oracle: Oracle) -> Any:
    given = {name: x for name, (_, x) in FUNCTIONS.items()}
    return oracle.python(ASK, path=str(saved), given=given)


@pytest.fixture(scope="module")
def loaded(saved: Path) -> Any:
    return hozon.saved_model.load(saved)


def close(found: Any, wanted: Any) -> None:
    for have, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tensorflow_follows_jaxs_derivative(answers: Any, name: str) -> None:
    close(answers[name], slopes(name))


@pytest.mark.parametrize("name", ["stepped", "tripled", "clipped", "other_relu", *LOOPS, "clamp"])
def test_hozon_follows_jaxs_derivative(loaded: Any, name: str) -> None:
    signature = loaded.signatures[name]
    x = {**FUNCTIONS, **LOOPS}[name][1]
    for compiled in (False, True):
        run = jax.grad(lambda x: total(next(iter(signature(x=x).values()))))
        close([(jax.jit(run) if compiled else run)(x)], slopes(name)[:1])


def test_custom_gradients_survive_another_save(loaded: Any, tmp_path: Path, oracle: Oracle) -> None:
    """Of a loaded function in a new SavedModel."""
    path = tmp_path / "again"

    def call(tree: Any, x: Any) -> Any:
        values, _ = loaded.signatures["stepped"].stateless_call([tree["w"]], x=x)
        return values

    hozon.saved_model.save(TREE, path, signatures={"f": (call, {"x": ((None, 4), "float32")})})
    close(oracle.python(ASK, path=str(path), given={"f": X})["f"], slopes("stepped"))
    again = hozon.saved_model.load(path).signatures["f"]
    found = jax.grad(lambda x: total(next(iter(again(x=x).values()))))(X)
    close([found], slopes("stepped")[:1])


def test_what_has_its_own_derivative_is_written() -> None:
    assert set(DERIVED) <= set(PRIMITIVES)
