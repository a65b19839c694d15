"""Models inside a model that were compiled and trained by themselves, as a GAN's discriminator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon

X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
Y = X[:, :1]


def train(model: Any) -> Any:
    return model.fit(X, Y, verbose=0, shuffle=False, batch_size=8).history["loss"]


def gan(frozen: bool, trained: bool) -> keras.Model:
    keras.utils.set_random_seed(3)
    judge = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)], name="judge"
    )
    judge.compile("adam", "mse")
    if trained:
        train(judge)
    judge.trainable = not frozen
    x = keras.Input((4,))
    model = keras.Model(x, judge(keras.layers.Dense(4)(x)))
    model.compile("rmsprop", "mae")
    train(model)
    return model


def trains_on_alike(model: Any, other: Any) -> None:
    for live in (model, other):
        live.get_layer("judge").trainable = True
    for _ in range(2):
        found, wanted = (train(live.get_layer("judge")) for live in (other, model))
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("form", ["m.keras", "m"])
def test_it_trains_on_by_itself(form: str, trained: bool, frozen: bool, tmp_path: Path) -> None:
    model = gan(frozen, trained)
    hozon.save_model(model, tmp_path / form)
    again = hozon.load_model(tmp_path / form)
    report = again.load_report.assert_consumed()
    assert {item.rung for item in report.objects} == {"built-in class"}
    assert not any("root" in line for line in report.converted)
    trains_on_alike(model, again)


@pytest.mark.parametrize("frozen", [True, False])
def test_files_of_keras(frozen: bool, tmp_path: Path) -> None:
    model = gan(frozen, trained=True)
    model.save(tmp_path / "m.keras")
    again = hozon.load_model(tmp_path / "m.keras")
    again.load_report.assert_consumed()
    trains_on_alike(model, again)


@pytest.mark.parametrize("form", ["m.keras", "m"])
@pytest.mark.parametrize("more", [True, False])
def test_one_optimizer_of_both_is_one_again(form: str, more: bool, tmp_path: Path) -> None:
    """A discriminator that is compiled with the whole model's optimizer, as people write it."""
    keras.utils.set_random_seed(3)
    both = keras.optimizers.Adam(0.01)
    judge = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)], name="judge")
    judge.compile(both, "mse")
    x = keras.Input((4,))
    model = keras.Model(x, judge(keras.layers.Dense(4)(x) if more else -x))
    model.compile(both, "mae")
    train(model)
    hozon.save_model(model, tmp_path / form)
    again = hozon.load_model(tmp_path / form)
    if form == "m.keras" and not more:  # Keras writes the same for two of one kind
        assert "does not tell" in str(again.load_report.lost)
        return
    assert not again.load_report.lost
    for live in (model, again):
        train(live)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert again.get_layer("judge").optimizer is again.optimizer


@pytest.mark.parametrize("form", ["m.keras", "m"])
def test_without_compiling_its_state_is_left_in_the_file(form: str, tmp_path: Path) -> None:
    hozon.save_model(gan(True, True), tmp_path / form)
    again = hozon.load_model(tmp_path / form, compile=False)
    assert not again.get_layer("judge").compiled
    report = again.load_report.assert_consumed()
    assert sum("the model inside is not compiled" in line for line in report.left_out) > 0


def test_weights_of_a_model_whose_inner_one_was_compiled(tmp_path: Path) -> None:
    model = gan(True, True)
    hozon.save_weights(model, tmp_path / "m.weights.h5")
    fresh = keras.models.clone_model(model)
    report = hozon.load_weights(fresh, tmp_path / "m.weights.h5").assert_consumed()
    assert "layers/sequential/optimizer: the model inside is not compiled" in report.left_out
    for a, b in zip(fresh.weights, model.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:The model 'judge' inside was not compiled")
@pytest.mark.parametrize("form", ["m.keras", "m"])
def test_what_it_was_compiled_with_is_missing(form: str, tmp_path: Path) -> None:
    def own(a: Any, b: Any) -> Any:
        return keras.ops.mean((a - b) ** 2)

    model = gan(True, True)
    model.get_layer("judge").compile("adam", own)
    hozon.save_model(model, tmp_path / form)
    again = hozon.load_model(tmp_path / form)
    assert again.compiled
    assert not again.get_layer("judge").compiled
    assert any("'judge' inside" in line and "own" in line for line in again.load_report.lost)
    given = hozon.load_model(tmp_path / form, custom_objects={"own": own})
    assert given.get_layer("judge").compiled
