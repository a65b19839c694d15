"""Classes whose own `compile` makes optimizers: their state waits until they exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

X = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
#: The class needs its own arguments, so no file can compile it.
NOT_COMPILED = pytest.mark.filterwarnings("ignore:The model was not compiled", "ignore:No training")
FORMS = ["m.keras", "m", "m.weights.h5", "m.weights.json"]


@keras.saving.register_keras_serializable("waiting")
class Gan(keras.Model):
    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.g = keras.layers.Dense(units)
        self.d = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])

    def compile(self, g_opt: Any, d_opt: Any, **kwargs: Any) -> None:
        super().compile(**kwargs)
        self.g_opt, self.d_opt = g_opt, d_opt

    def call(self, x: Any) -> Any:
        return self.d(self.g(x))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def step(model: Gan, times: int = 2) -> None:
    """Steps of both optimizers, by gradients that depend on nothing but the step."""
    for optimizer, part in ((model.g_opt, model.g), (model.d_opt, model.d)):
        if not optimizer.built:
            optimizer.build(part.trainable_variables)
        for i in range(times):
            gradients = [np.full(v.shape, 0.1 * (i + 1), "f") for v in part.trainable_variables]
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients])


def compiled(model: Gan) -> Gan:
    model.compile(keras.optimizers.Adam(1e-2), keras.optimizers.RMSprop(1e-3, momentum=0.5))
    return model


def trained() -> Gan:
    keras.utils.set_random_seed(1)
    model = compiled(Gan())
    model(X)
    step(model)
    return model


def reloaded(model: Gan, path: Path) -> tuple[Gan, Any]:
    if ".weights" not in path.name:
        hozon.save_model(model, path)
        again = hozon.load_model(path, custom_objects={"Gan": Gan})
        return again, again.load_report
    hozon.save_weights(model, path)
    fresh = Gan()
    fresh(X)
    return fresh, hozon.load_weights(fresh, path)


def alike(model: Gan, other: Gan) -> None:
    step(model)
    step(other)
    for a, b in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@NOT_COMPILED
@pytest.mark.parametrize("form", FORMS)
def test_it_is_given_when_the_user_compiles(form: str, tmp_path: Path) -> None:
    model = trained()
    again, report = reloaded(model, tmp_path / form)
    assert sorted(report.deferred) == ["d_opt", "g_opt"]
    assert (report.missing, report.unexpected) == ([], [])
    alike(model, compiled(again))
    assert report.deferred == []


@NOT_COMPILED
@pytest.mark.parametrize("form", FORMS)
def test_another_optimizer_begins_anew_and_says_so(form: str, tmp_path: Path) -> None:
    again, report = reloaded(trained(), tmp_path / form)
    again.compile(keras.optimizers.Nadam(), keras.optimizers.Adagrad())
    with pytest.warns(UserWarning, match="The state of .*opt did not come back"):
        step(again)
    assert sorted(line.split(":")[0] for line in report.lost[-2:]) == ["d_opt", "g_opt"]


@pytest.mark.parametrize("form", FORMS[2:])
def test_one_that_is_there_already_has_it_at_once(form: str, tmp_path: Path) -> None:
    model = trained()
    hozon.save_weights(model, tmp_path / form)
    other = compiled(Gan())
    other(X)
    step(other, 1)
    report = hozon.load_weights(other, tmp_path / form).assert_consumed()
    assert report.deferred == []
    alike(model, other)


@NOT_COMPILED
def test_an_h5_file_holds_none_and_says_so(tmp_path: Path) -> None:
    report = hozon.save_model(trained(), tmp_path / "m.h5")
    assert any("g_opt, d_opt" in line for line in report.lost)


WRITTEN = """
class Gan(keras.Model):
    def __init__(self):
        super().__init__()
        self.g = keras.layers.Dense(3)
        self.d = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])
    def compile(self, g_opt, d_opt):
        super().compile()
        self.g_opt, self.d_opt = g_opt, d_opt
    def call(self, x):
        return self.d(self.g(x))
    def steps(self):
        for optimizer, part in ((self.g_opt, self.g), (self.d_opt, self.d)):
            optimizer.build(part.trainable_variables)
            for i in range(2):
                gradients = [tf.fill(v.shape, 0.1 * (i + 1)) for v in part.trainable_variables]
                optimizer.apply_gradients(zip(gradients, part.trainable_variables))

model = Gan()
model.compile(keras.optimizers.Adam(1e-2), keras.optimizers.RMSprop(1e-3, momentum=0.5))
model(x)
model.steps()
model.save(f"{folder}/m")
model.save_weights(f"{folder}/m.weights.h5")
model.steps()
out["after"] = model.get_weights()
"""


@NOT_COMPILED
def test_those_of_tf_keras(oracle: Oracle, tmp_path: Path) -> None:
    after = oracle.python(WRITTEN, x=X, folder=str(tmp_path))["after"]
    whole = hozon.load_model(tmp_path / "m", custom_objects={"Gan": Gan})
    fresh = Gan()
    fresh(X)
    reports = [whole.load_report, hozon.load_weights(fresh, tmp_path / "m.weights.h5")]
    for model, report in zip((whole, fresh), reports, strict=True):
        assert sorted(report.deferred) == ["d_opt", "g_opt"]
        step(compiled(model))
        assert report.deferred == []
        for a, b in zip(model.get_weights(), after, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
