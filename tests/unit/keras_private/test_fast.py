"""Models in forms that are fast on a CPU: the same numbers, the same files, nobody else's business.

What Keras itself computes is the truth; the forms are compared with float64 in
`tests/unit/kernels`.
"""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import hozon

L = keras.layers

LAYERS: dict[str, tuple[tuple[int, ...], Callable[[], list[keras.Layer]]]] = {
    "plain": ((9, 8, 3), lambda: [L.Conv2D(6, (3, 2), 2, "same"), L.Conv2D(4, 1)]),
    "groups": ((9, 8, 4), lambda: [L.Conv2D(6, 3, groups=2, dilation_rate=2)]),
    "first": (
        (4, 9, 8),
        lambda: [
            L.Conv2D(6, 3, 2, "same", data_format="channels_first"),
            L.DepthwiseConv2D(3, depth_multiplier=2, data_format="channels_first"),
            L.BatchNormalization(axis=1),
        ],
    ),
    "depthwise": (
        (9, 8, 4),
        lambda: [L.DepthwiseConv2D(3, 2, "same", 2), L.SeparableConv2D(3, 3), L.MaxPooling2D(2)],
    ),
    "transposed": (
        (5, 6, 4),
        lambda: [
            L.Conv2DTranspose(3, 3, 2, "same"),
            L.Conv2DTranspose(2, 2, 3, output_padding=1),
            L.Conv2DTranspose(2, 3, padding="same", dilation_rate=2),
        ],
    ),
    "one": (
        (12, 4),
        lambda: [
            L.Conv1D(6, 3, padding="causal"),
            L.DepthwiseConv1D(3, 2),
            L.Conv1DTranspose(4, 3, 2),
            L.MaxPooling1D(3, 1, "same"),
        ],
    ),
    "three": (
        (6, 5, 6, 2),
        lambda: [
            L.Conv3D(4, 3, 2, "same"),
            L.Conv3DTranspose(2, 2, 2),
            L.AveragePooling3D(2, 1, "same"),
        ],
    ),
    "normalized": (
        (8, 8, 3),
        lambda: [
            L.BatchNormalization(),
            L.AveragePooling2D(3, 2, "same"),
            L.MaxPooling2D(3, 2, "same"),
            L.LayerNormalization(),
            L.Dense(5),
        ],
    ),
}


def made(name: str, **options: Any) -> tuple[keras.Model, np.ndarray]:
    shape, layers = LAYERS[name]
    keras.utils.set_random_seed(1)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(options.get("dtype", "float32"))
    try:
        model = keras.Sequential([keras.Input(shape), *layers()])
    finally:
        keras.config.set_dtype_policy(before)
    return model, np.random.default_rng(0).normal(size=(40, *shape)).astype("f")


def stateless(model: keras.Model, training: bool = True) -> Callable[..., Any]:
    frozen = [v.value for v in model.non_trainable_variables]

    def call(weights: Any, x: Any) -> Any:
        return model.stateless_call(weights, frozen, x, training=training)

    return call


def results(model: keras.Model, x: Any) -> list[np.ndarray]:
    """Outputs, new state, and gradients for weights and inputs."""
    call = stateless(model)

    @jax.jit
    def computed(weights: Any, x: Any) -> Any:
        y, pull, state = jax.vjp(call, weights, x, has_aux=True)
        return y, state, pull((1 + jnp.cos(jnp.arange(y.size))).reshape(y.shape).astype(y.dtype))

    weights = [v.value for v in model.trainable_variables]
    return [np.asarray(a, "d") for a in jax.tree.leaves(computed(weights, x))]


def primitives(model: keras.Model, x: Any) -> set[str]:
    weights = [v.value for v in model.trainable_variables]
    return named(jax.make_jaxpr(stateless(model))(weights, x))


def named(jaxpr: Any) -> set[str]:
    text = str(jaxpr)
    return {
        word
        for word in ("hozon_convolution", "hozon_column_sum", "conv_general_dilated")
        if word in text
    }


@pytest.mark.parametrize("name", LAYERS)
def test_numbers_are_those_of_keras(name: str) -> None:
    with jax.enable_x64(True):
        model, x = made(name, dtype="float64")
        expected = results(model, x.astype("d"))
        actual = results(hozon.fast_on_cpu(model), x.astype("d"))
    error = 2e-5 if name == "normalized" else 1e-9  # Keras normalizes in float32
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=error, atol=error * np.abs(b).max())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", ["depthwise", "normalized", "transposed"])
def test_mixed_precision(name: str, policy: str) -> None:
    exact, x = made(name)
    truth = results(exact, x)
    model, _ = made(name, dtype=policy)
    keras_own = results(model, x)
    ours = results(hozon.fast_on_cpu(model), x)
    rounding = 2**-7 if policy == "mixed_bfloat16" else 2**-10
    for a, b, c in zip(ours, keras_own, truth, strict=True):
        assert np.abs(a - c).mean() <= 1.3 * np.abs(b - c).mean() + rounding * np.abs(c).mean()


def test_yes_and_no() -> None:
    model, x = made("plain")
    assert primitives(model, x) == {"conv_general_dilated"}
    assert hozon.fast_on_cpu(model) is model
    assert primitives(model, x) == {"hozon_convolution"}
    hozon.fast_on_cpu(model, False)
    assert primitives(model, x) == {"conv_general_dilated"}


def test_what_was_compiled_is_compiled_anew() -> None:
    model, x = made("plain")
    y = model.predict(x, verbose=0)
    first = model.predict_function
    model.compile("sgd", "mse")
    model.train_on_batch(x, y)
    hozon.fast_on_cpu(model)
    again = model.predict(x, verbose=0)
    assert model.predict_function is not first
    model.train_on_batch(x, again)
    assert model.train_function is not None


def test_steps_are_fast_and_train_the_same() -> None:
    trained = []
    for fast in (True, False):
        model, x = made("normalized")
        hozon.fast_on_cpu(model, fast)
        model.compile("adam", "mse")
        y = np.ones((40, *model.output_shape[1:]), "f")
        losses = [float(model.train_on_batch(x, y)) for _ in range(3)]
        trained.append([losses, model.predict(x, verbose=0), model.test_on_batch(x, y)])
    for a, b in zip(*trained, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_other_models_and_threads_have_keras_own() -> None:
    model, x = made("plain")
    other, _ = made("plain")
    hozon.fast_on_cpu(model)
    seen: dict[str, Any] = {}

    class Looks(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            thread = threading.Thread(target=lambda: seen.update(other=primitives(other, x)))
            thread.start()
            thread.join()
            return inputs

    outer = keras.Sequential([keras.Input(x.shape[1:]), Looks(), *model.layers])
    hozon.fast_on_cpu(outer)
    assert primitives(outer, x) == {"hozon_convolution"}
    assert seen["other"] == {"conv_general_dilated"}
    assert primitives(other, x) == {"conv_general_dilated"}


def test_layers_of_a_fast_model_are_fast_in_others() -> None:
    model, x = made("plain")
    hozon.fast_on_cpu(model)
    head = keras.Model(model.inputs, L.Dense(2)(model.layers[0].output))
    assert "hozon_convolution" in primitives(head, x)


def test_files_and_configs_do_not_know(tmp_path: Path) -> None:
    model, x = made("depthwise")
    config = hozon.model_to_json(model)
    hozon.save_model(model, tmp_path / "before")
    hozon.fast_on_cpu(model)
    assert primitives(model, x) == {"hozon_convolution"}
    hozon.save_model(model, tmp_path / "after")
    before, after = ((tmp_path / n / "saved_model.pb").read_bytes() for n in ("before", "after"))
    assert before == after
    assert hozon.model_to_json(model) == config


def test_what_hozon_loads_or_makes_is_fast(tmp_path: Path) -> None:
    model, x = made("depthwise")
    expected = model.predict(x, verbose=0)
    for path in ("m", "m.h5", "m.keras"):
        hozon.save_model(model, tmp_path / path)
        loaded = hozon.load_model(tmp_path / path, compile=False)
        assert primitives(loaded, x) == {"hozon_convolution"}, path
        np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)
    for made_anew in (
        hozon.model_from_json(hozon.model_to_json(model)),
        hozon.clone_model(loaded),
    ):
        assert primitives(made_anew, x) == {"hozon_convolution"}


def test_a_loaded_model_without_convolutions_computes_as_keras_to_the_bit(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((784,)), L.Dense(64, "relu"), L.BatchNormalization(), L.Dense(10, "softmax")]
    )
    x = np.random.default_rng(0).normal(size=(200, 784)).astype("float32")
    expected = model.predict(x, verbose=0)
    for path in ("m", "m.h5", "m.keras"):
        hozon.save_model(model, tmp_path / path)
        loaded = hozon.load_model(tmp_path / path, compile=False)
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)


def test_copies() -> None:
    model, x = made("depthwise")
    hozon.fast_on_cpu(model)
    expected = model.predict(x, verbose=0)
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_transformations_of_stateless_calls() -> None:
    model, x = made("normalized")
    hozon.fast_on_cpu(model)
    weights = [v.value for v in model.trainable_variables]
    call = stateless(model, training=False)

    def output(x: Any) -> Any:
        return call(weights, x)[0]

    plain = output(x)
    tangent = jax.jvp(output, (x,), (np.cos(x),))[1]
    hozon.fast_on_cpu(model, False)
    np.testing.assert_allclose(tangent, jax.jvp(output, (x,), (np.cos(x),))[1], atol=1e-4)
    hozon.fast_on_cpu(model)
    for y in (jax.jit(output)(x), jax.vmap(lambda one: output(one[None])[0])(jnp.asarray(x))):
        np.testing.assert_allclose(y, plain, rtol=1e-4, atol=1e-5)
    grads = jax.vmap(jax.grad(lambda one: output(one[None]).sum()))(jnp.asarray(x))
    whole = jax.grad(lambda x: output(x).sum())(jnp.asarray(x))
    np.testing.assert_allclose(grads, whole, rtol=1e-3, atol=1e-4)


def test_who_may_ask() -> None:
    with pytest.raises(hozon.ArgumentError, match=r"keras\.Model"):
        hozon.fast_on_cpu("model")
