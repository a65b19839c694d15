"""Optimizers and names that tf_keras wrote: training goes on at the very step."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
import os
Scaled, O, L = keras.mixed_precision.LossScaleOptimizer, keras.optimizers, keras.layers
made = {
    "scaled": lambda: Scaled(O.Adam(0.02)),
    "scaled_momentum": lambda: Scaled(O.SGD(0.02, momentum=0.9)),
    "scaled_legacy": lambda: Scaled(O.legacy.Adam(0.02)),
    "averages": lambda: O.Adam(0.02, use_ema=True),
    "nadam": lambda: O.Nadam(0.02),
    "legacy": lambda: O.legacy.RMSprop(0.02, momentum=0.5),
}
draw = np.random.default_rng(0)
x, y = draw.normal(size=(8, 6)).astype("f"), draw.normal(size=(8, 1)).astype("f")
out.update(x=x, y=y, weights={})
for name, optimizer in made.items():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6,)), L.Dense(5, activation="tanh", name="tower/a"), L.Dense(1, name="b")]
    )
    model.compile(optimizer(), "mse")
    for _ in range(4):
        model.train_on_batch(x, y)
    os.mkdir(os.path.join(folder, name))
    for form in ("sm", "m.h5", "m.keras"):
        model.save(os.path.join(folder, name, form))
    for _ in range(2):
        model.train_on_batch(x, y)
    out["weights"][name] = [np.array(v) for v in model.trainable_weights]
"""
NAMES = ["scaled", "scaled_momentum", "scaled_legacy", "averages", "nadam", "legacy"]
#: tf_keras' .keras files hold nothing of its legacy optimizers.
WITHOUT = [("scaled_legacy", "m.keras"), ("legacy", "m.keras")]
#: Neither form says whether steps were compiled, on which Nadam's product of momenta depends.
UNSAID = [("nadam", "m.h5"), ("nadam", "m.keras")]


#: What scales losses is in no file of tf_keras but its SavedModels and checkpoints.
SCALE = ["optimizer/step_counter", "optimizer/dynamic_scale"]

CASES = [(name, form) for name in NAMES for form in ("sm", "m.h5", "m.keras")]


@pytest.fixture(scope="module")
def told(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("keras2")
    return {"folder": folder, **oracle.python(WRITE, folder=str(folder))}


@pytest.mark.parametrize(("name", "form"), CASES)
def test_training_goes_on(told: dict[str, Any], name: str, form: str) -> None:
    path: Path = told["folder"] / name / form
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore" if (name, form) in WITHOUT + UNSAID else "error")
        model = hozon.load_model(path)
    report = model.load_report
    if (name, form) in WITHOUT:
        assert "state of optimizer" in report.lost[0]
        with pytest.raises(hozon.MismatchError, match="lost: state of optimizer"):
            report.assert_consumed()
        return
    assert (report.missing, report.unexpected) == ([], [])
    lost = [line.partition(":")[0] for line in report.lost]
    unsaid = ["optimizer/u_product"] if (name, form) in UNSAID else []
    assert lost == (SCALE if name.startswith("scaled") and form != "sm" else unsaid)
    for _ in range(2):
        model.train_on_batch(told["x"], told["y"])
    for got, want in zip(model.trainable_weights, told["weights"][name], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


NADAM = """
import os
Scaled, O = keras.mixed_precision.LossScaleOptimizer, keras.optimizers
draw = np.random.default_rng(0)
x, y = draw.normal(size=(8, 3)).astype("f"), draw.normal(size=(8, 1)).astype("f")
out.update(x=x, y=y, told={})
for name, (steps, eager, scaled, old) in cases.items():
    keras.utils.set_random_seed(1)
    inside = [keras.layers.Dense(4, name="d")] if name == "deep" else []
    model = keras.Sequential([keras.Input((3,)), *inside, keras.layers.Dense(1, name="o")])
    optimizer = (O.legacy if old else O).Nadam(0.05, epsilon=0.01)
    model.compile(Scaled(optimizer) if scaled else optimizer, "mse", run_eagerly=eager)
    model.fit(x, y, batch_size=8, epochs=steps, verbose=0, shuffle=False)
    os.mkdir(f"{folder}/{name}")
    for form in ("sm", "m.h5", "m.keras"):
        model.save(f"{folder}/{name}/{form}")
    model.save_weights(f"{folder}/{name}/ckpt", save_format="tf")
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, shuffle=False)
    out["told"][name] = [np.array(v) for v in model.trainable_weights]
"""
#: (steps, whether eager, whether losses are scaled, whether of the older generation)
NADAMS = {
    "compiled": (2, False, False, False),
    "deep": (2, False, False, False),
    "long": (30, False, False, False),
    "eager": (2, True, False, False),
    "scaled": (2, False, True, False),
    "scaled eager": (2, True, True, False),
    "legacy": (2, False, False, True),
}


@pytest.fixture(scope="module")
def nadams(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("nadam")
    return {"folder": folder, **oracle.python(NADAM, folder=str(folder), cases=NADAMS)}


def weights_after(model: keras.Model, told: dict[str, Any]) -> list[Any]:
    """A model's weights after the steps that the writer made once it had saved."""
    for _ in range(2):
        model.train_on_batch(told["x"], told["y"])
    return [v.numpy() for v in model.trainable_weights]


def compare(model: keras.Model, told: dict[str, Any], name: str) -> None:
    for got, want in zip(weights_after(model, told), told["told"][name], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=2e-5)


def products_lost(model: keras.Model) -> bool:
    """Whether the report says so, and nothing else but what scales losses."""
    lost = [line.partition(":")[0] for line in model.load_report.lost]
    rest = [name for name in lost if name not in SCALE]
    assert rest in ([], ["optimizer/u_product"])
    return bool(rest)


@pytest.mark.filterwarnings("ignore:The optimizer's state did not come back whole")
@pytest.mark.parametrize("form", ["sm", "m.h5", "m.keras"])
@pytest.mark.parametrize("name", [name for name in NADAMS if name != "legacy"])
def test_nadam_goes_on_as_the_writer_or_says_why_not(
    nadams: dict[str, Any], name: str, form: str, tmp_path: Path
) -> None:
    model = hozon.load_model(nadams["folder"] / name / form)
    says = form == "sm" or name == "long" or ("eager" in name and form == "m.keras")
    assert products_lost(model) != says
    if "eager" in name and not says:
        return  # it is taken as compiled, and the report says so
    if name not in ("compiled", "scaled"):
        compare(model, nadams, name)
        return
    again = tmp_path / form
    for dialect, file in (("keras2", again), (None, again.with_suffix(".keras"))):
        hozon.save_model(model, file, dialect=dialect)
    compare(model, nadams, name)
    for file in (again, again.with_suffix(".keras")):
        back = hozon.load_model(file)
        assert not products_lost(back)
        compare(back, nadams, name)


@pytest.mark.parametrize("name", NADAMS)
def test_nadam_of_a_checkpoint_goes_on_or_says_why_not(nadams: dict[str, Any], name: str) -> None:
    inside = [keras.layers.Dense(4, name="d")] if name == "deep" else []
    model = keras.Sequential([keras.Input((3,)), *inside, keras.layers.Dense(1, name="o")])
    optimizer = keras.optimizers.Nadam(0.05, epsilon=0.01)
    scaled = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(scaled if "scaled" in name else optimizer, "mse")
    report = hozon.load_weights(model, nadams["folder"] / name / "ckpt")
    model.optimizer.build(model.trainable_variables)
    assert report.mismatched == report.missing == []
    if name == "legacy":
        assert "older generation" in report.lost[0]
        return
    assert report.lost == []
    compare(model, nadams, name)


def test_nadam_of_keras_that_scales_losses_goes_on_as_in_keras(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Nadam(0.05)), "mse")
    x, y = np.ones((4, 3)), np.ones((4, 1))
    model.fit(x, y, epochs=3, verbose=0)
    files = {"m.keras": None, "sm": None, "m.h5": "keras2", "k2.keras": "keras2"}
    for file, dialect in files.items():
        hozon.save_model(model, tmp_path / file, dialect=dialect)
    model.fit(x, y, epochs=2, verbose=0)
    for file in files:
        back = hozon.load_model(tmp_path / file)
        back.fit(x, y, epochs=2, verbose=0)
        for got, want in zip(back.trainable_weights, model.trainable_weights, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["m.h5", "m.keras"])
def test_the_product_of_hozons_own_steps_is_theirs(form: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Nadam(0.01), "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 1)), epochs=3, verbose=0)
    hozon.save_model(model, tmp_path / form, dialect="keras2")
    back = hozon.load_model(tmp_path / form)
    np.testing.assert_allclose(back.optimizer._u_product, model.optimizer._u_product, rtol=1e-5)


WEIGHTS_FILES = """
for name, optimizer in {
    "legacy": keras.optimizers.legacy.Adam(0.1),
    "scaled": keras.mixed_precision.LossScaleOptimizer(keras.optimizers.legacy.Adam(0.1)),
    "none": None,
}.items():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    if optimizer is not None:
        model.compile(optimizer, "mse")
        model.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))
    model.save_weights(f"{folder}/{name}.weights.h5")
"""


def test_weights_without_the_slots_of_a_legacy_optimizer_say_so(
    oracle: Oracle, tmp_path: Path
) -> None:
    oracle.python(WEIGHTS_FILES, folder=str(tmp_path))
    for name in ("legacy", "scaled", "none"):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile("adam", "mse")
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            report = hozon.load_weights(model, tmp_path / f"{name}.weights.h5")
        assert len(report.lost) == len(heard) == (name != "none")
