"""What the guide promises of each way to save, checked in words of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras as plain
import numpy as np
import pytest

import hozon
from hozon.errors import HozonError

X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
Y = X[:, :1]


def trained(keras: Any) -> Any:
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(1)(keras.layers.Dense(3, activation="tanh")(x)))
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0, shuffle=False)
    return model


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("m", {}),
        ("m.h5", {}),
        ("m.keras", {}),
        ("d", {"save_format": "tf"}),
        ("h", {"save_format": "h5"}),
    ],
)
def test_the_next_step_is_the_uninterrupted_one(
    keras: Any, name: str, options: dict[str, str], tmp_path: Path
) -> None:
    model = trained(keras)
    model.save(tmp_path / name, **options)
    again = keras.models.load_model(tmp_path / name)
    for one in (model, again):
        one.fit(X, Y, verbose=0, shuffle=False)
    for a, b in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_a_class_that_is_gone(keras: Any, tmp_path: Path) -> None:
    class Gone(keras.Model):
        def __init__(self, units: Any) -> None:
            super().__init__()
            self.blocks = [keras.layers.Dense(n) for n in units]

        def call(self, inputs: Any) -> Any:
            for block in self.blocks:
                inputs = block(inputs)
            return inputs

    model = Gone([3, 1])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m")
    again = keras.models.load_model(tmp_path / "m")
    assert type(again) is not Gone
    assert type(again).__name__ == "Gone"
    np.testing.assert_allclose(
        again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-5, atol=1e-6
    )
    before = again.evaluate(X, Y, verbose=0)
    again.fit(X, Y, epochs=20, verbose=0)
    assert again.evaluate(X, Y, verbose=0) < before


def test_weights_between_models_of_other_construction(keras: Any) -> None:
    class Same(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first = keras.layers.Dense(3, activation="tanh")
            self.idle, self.last = keras.layers.Dropout(0.5), keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.last(self.idle(self.first(x)))

    source, target = trained(keras), Same()
    with pytest.raises(HozonError, match="not built"):
        target.set_weights(source.get_weights())
    target(X)
    target.set_weights(source.get_weights())
    np.testing.assert_array_equal(target.predict(X, verbose=0), source.predict(X, verbose=0))
    before = target.get_weights()
    for wrong, said in (
        ([*before[:3], np.ones(2)], r"bias has shape \(1,\), its value \(2,\)"),
        (before[:3], r"no value for .*bias, shape \(1,\)"),
        ([*before, np.ones((5, 2))], r"no variable for a value of shape \(5, 2\)"),
    ):
        with pytest.raises(HozonError, match=said):
            target.set_weights([np.zeros_like(w) for w in wrong])
    for old, new in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_weights_and_their_status(keras: Any, tmp_path: Path) -> None:
    model = trained(keras)
    model.save_weights(tmp_path / "ckpt")
    other = keras.models.clone_model(model)
    other.load_weights(tmp_path / "ckpt").assert_existing_objects_matched()
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))
    wrapped = keras.Sequential([keras.Input((4,)), model, keras.layers.Dense(2)])
    with pytest.raises(HozonError):
        wrapped.load_weights(tmp_path / "ckpt").assert_consumed()


def test_callbacks_write_every_format(keras: Any, tmp_path: Path) -> None:
    model = trained(keras)
    for name in ("e{epoch}", "e{epoch}.h5", "e{epoch}.keras"):
        callback = keras.callbacks.ModelCheckpoint(str(tmp_path / name))
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
        last = name.format(epoch=2)
        again = hozon.load_model(tmp_path / last)
        np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_wrong_uses_name_the_argument(keras: Any, tmp_path: Path) -> None:
    model = trained(keras)
    with pytest.raises(ValueError, match="save_format='zip'"):
        model.save(tmp_path / "m", save_format="zip")
    with pytest.raises(HozonError):
        model.save(tmp_path / "no" / "m")
    with pytest.raises(HozonError):
        keras.Sequential([keras.layers.Dense(1)]).save(tmp_path / "m")
    with pytest.raises(HozonError, match="does not exist"):
        keras.models.load_model(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="save_format='zip' is not one of 'tf'"):
        model.save_weights(tmp_path / "w", save_format="zip")
    with pytest.raises(TypeError, match="custom_objects"), keras.utils.custom_object_scope([Any]):
        pass


@pytest.mark.parametrize("name", ["m", "m.h5", "m.keras"])
def test_custom_objects_are_a_dictionary(keras: Any, name: str, tmp_path: Path) -> None:
    trained(keras).save(tmp_path / name)
    for wrong in ([keras.layers.Dense], "Dense", {3: keras.layers.Dense}):
        with pytest.raises(TypeError, match=r"custom_objects=.*give a dictionary"):
            keras.models.load_model(tmp_path / name, custom_objects=wrong)


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5", "w.safetensors"])
def test_weights_wait_for_variables(keras: Any, name: str, tmp_path: Path) -> None:
    trained(keras).save_weights(tmp_path / name)
    unbuilt = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(1)])
    with pytest.raises(HozonError, match="not built"):
        unbuilt.load_weights(tmp_path / name)


def test_importing_hozon_changes_nothing_and_restore_undoes_all(keras: Any) -> None:
    assert plain.Model.save.__module__ == "hozon.keras.hooks"
    keras.restore()
    assert plain.Model.save.__module__.startswith("keras.")
    assert plain.Layer.add_weight.__module__.startswith("keras.")


def test_names_that_tf_has_not() -> None:
    from hozon import tf

    with pytest.raises(AttributeError, match=r"jax\.grad"):
        _ = tf.GradientTape
    with pytest.raises(AttributeError, match=r"keras\.ops\.logaddexp"):
        _ = tf.logaddexp
    assert tf.matmul(tf.ones((1, 2)), tf.ones((2, 3))).shape == (1, 3)
    variable = tf.Variable(5, name="v")
    variable.assign(2)
    assert variable.numpy() == 2
