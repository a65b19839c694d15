"""What every form brings back: derived state, optimizers of freshly compiled models, names."""

from __future__ import annotations

import re
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import HozonError, MismatchError

WHOLE = ["savedmodel", "m.h5", "m.keras"]
WEIGHTS = ["ckpt", "w.h5", "w.weights.h5", "w.weights.json", "w.safetensors"]
WITH_STATE = ["ckpt", "w.weights.h5", "w.weights.json"]
L = keras.layers


def draw(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def adapted(adapt: bool) -> Any:
    """An adapted layer at some depth: in a Sequential, within a wrapper, in a model."""
    inner = L.Normalization(name="inner")
    outer = L.Normalization(name="outer")
    if adapt:
        inner.adapt(draw(40, 4) * 5 + 2)
        outer.adapt(draw(40, 4) * 7 + 3)
    nested = keras.Sequential([keras.Input((4,)), inner], name="nested")
    x = keras.Input((3, 4))
    y = L.TimeDistributed(nested, name="wrapped")(outer(x))
    return keras.Model(x, L.Flatten()(y))


@pytest.mark.parametrize("form", WHOLE)
def test_an_adapted_model_comes_back(form: str, tmp_path: Path) -> None:
    model, x = adapted(True), draw(5, 3, 4, seed=2)
    hozon.save_model(model, tmp_path / form)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Compile it manually")
        back = hozon.load_model(tmp_path / form)
    np.testing.assert_allclose(back(x), model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", WEIGHTS)
def test_adapted_weights_come_back(form: str, tmp_path: Path) -> None:
    model, fresh, x = adapted(True), adapted(False), draw(5, 3, 4, seed=2)
    hozon.save_weights(model, tmp_path / form)
    hozon.load_weights(fresh, tmp_path / form).assert_existing_objects_matched()
    np.testing.assert_allclose(fresh(x), model(x), rtol=1e-5, atol=1e-6)


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.02),
    "nadam": lambda: keras.optimizers.Nadam(0.02),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.02, momentum=0.5, centered=True),
    "averages": lambda: keras.optimizers.Adam(0.02, use_ema=True),
    "accumulated": lambda: keras.optimizers.SGD(0.02, momentum=0.9, gradient_accumulation_steps=2),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02)),
}


def trained(make: Any, steps: int = 3) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6,)), L.Dense(5, activation="tanh", name="a"), L.Dense(1, name="b")]
    )
    model.compile(make(), "mse")
    for _ in range(steps):
        model.train_on_batch(draw(8, 6), draw(8, 1))
    return model


@pytest.mark.parametrize("form", WITH_STATE)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_in_a_freshly_compiled_model(name: str, form: str, tmp_path: Path) -> None:
    model, fresh = trained(OPTIMIZERS[name]), trained(OPTIMIZERS[name], steps=0)
    hozon.save_weights(model, tmp_path / form)
    report = hozon.load_weights(fresh, tmp_path / form)
    for live in (model, fresh):
        for _ in range(2):
            live.train_on_batch(draw(8, 6), draw(8, 1))
    for got, want in zip(fresh.weights, model.weights, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    report.assert_consumed()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_whole_model_trains_on(name: str, tmp_path: Path) -> None:
    model = trained(OPTIMIZERS[name])
    hozon.save_model(model, tmp_path / "saved")
    back = hozon.load_model(tmp_path / "saved")
    assert (back.load_report.lost, back.load_report.converted) == ([], [])
    for live in (model, back):
        for _ in range(2):
            live.train_on_batch(draw(8, 6), draw(8, 1))
    for got, want in zip(back.weights, model.weights, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_a_model_that_made_no_step_is_the_very_same(tmp_path: Path) -> None:
    hozon.save_model(trained(OPTIMIZERS["adam"], steps=0), tmp_path / "saved")
    report = hozon.load_model(tmp_path / "saved").load_report
    assert (report.lost, report.converted) == ([], [])


def test_the_state_of_another_optimizer_is_told(tmp_path: Path) -> None:
    """RMSprop keeps as many values of the same shapes as SGD with momentum."""
    model = trained(lambda: keras.optimizers.RMSprop(0.02))
    fresh = trained(lambda: keras.optimizers.SGD(0.02, momentum=0.9), steps=0)
    hozon.save_weights(model, tmp_path / "w.weights.h5")
    with pytest.warns(UserWarning, match="did not come back"):
        report = hozon.load_weights(fresh, tmp_path / "w.weights.h5")
    assert "rmsprop" in report.lost[0]
    assert int(fresh.optimizer.iterations.value) == 0
    with pytest.raises(MismatchError):
        report.assert_consumed()


def test_slots_of_frozen_layers_are_found_or_told(tmp_path: Path) -> None:
    model = trained(OPTIMIZERS["adam"])
    model.layers[0].trainable = False
    for form in WHOLE:
        hozon.save_model(model, tmp_path / form)
        with pytest.warns(UserWarning, match="its variable is frozen"):
            back = hozon.load_model(tmp_path / form)
        assert len([line for line in back.load_report.lost if "a/kernel" in line]) == 2
        kept = [v for v in model.optimizer.variables if "b_kernel" in v.path]
        found = [v for v in back.optimizer.variables if "b_kernel" in v.path]
        for got, want in zip(found, kept, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_layers_frozen_after_training_leave_the_rest_its_state(name: str, tmp_path: Path) -> None:
    model = trained(OPTIMIZERS[name])
    model.layers[0].trainable = False
    hozon.save_model(model, tmp_path / "saved")
    with pytest.warns(UserWarning, match="its variable is frozen"):
        back = hozon.load_model(tmp_path / "saved")
    assert all("/a/" in line for line in back.load_report.lost)
    want = {v.path.split("/")[-1]: v for v in model.optimizer.variables if "a_" not in v.name}
    found = {v.path.split("/")[-1]: v for v in back.optimizer.variables}
    shared = [key for key in want if key in found]
    assert len(shared) >= 3 + (name == "nadam")
    for key in shared:
        np.testing.assert_allclose(found[key], want[key], rtol=1e-6)


def test_a_frozen_model_keeps_its_slots_for_the_day_it_thaws(tmp_path: Path) -> None:
    model = trained(OPTIMIZERS["adam"])
    model.trainable = False
    hozon.save_model(model, tmp_path / "m.keras")
    back = hozon.load_model(tmp_path / "m.keras")
    assert back.load_report.lost == []
    for live in (model, back):
        live.trainable = True
        live.train_on_batch(draw(8, 6), draw(8, 1))
    for got, want in zip(back.weights, model.weights, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("thaw", ["a", "b"])
@pytest.mark.parametrize("form", ["sm", "keras2.h5", "keras3.h5"])
def test_slots_go_by_name_where_other_layers_were_trained(
    form: str, thaw: str, tmp_path: Path
) -> None:
    model = net("a", "b", "c")
    model.get_layer("a").trainable = False
    model.compile(keras.optimizers.Adam(0.02), "mse")
    model.fit(draw(8, 4), draw(8, 4), epochs=2, verbose=0)
    for name in ("a", "b"):
        model.get_layer(name).trainable = name == thaw
    hozon.save_model(model, tmp_path / form, dialect=None if form == "sm" else form[:6])
    told = pytest.warns(UserWarning, match="did not come back whole")
    with told if thaw == "a" else nullcontext():
        back = hozon.load_model(tmp_path / form)
    want = {v.name: v for v in model.optimizer.variables if thaw == "b" or "_b_" not in v.name}
    found = {v.name: v for v in back.optimizer.variables}
    assert set(want) <= set(found)
    for name, value in want.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6)
    lost = {line.split("/")[-2] for line in back.load_report.lost}
    assert lost == ({"a", "b"} if thaw == "a" else set())


def test_state_of_layers_that_only_numbers_tell_is_lost_and_told(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), L.Dense(4, name="a"), L.Dense(5, name="b")])
    model.get_layer("a").trainable = False
    model.compile(keras.optimizers.Adam(0.02), "mse")
    model.fit(draw(8, 3), draw(8, 5), verbose=0)
    model.get_layer("a").trainable, model.get_layer("b").trainable = True, False
    hozon.save_model(model, tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="did not come back"):
        back = hozon.load_model(tmp_path / "m.keras")
    assert len(back.load_report.lost) == 1


@pytest.mark.parametrize("form", WHOLE)
def test_layers_thaw_before_the_first_step(form: str, tmp_path: Path) -> None:
    model = net("a", "b")
    model.get_layer("a").trainable = False
    model.compile(keras.optimizers.Adam(0.02), "mse")
    hozon.save_model(model, tmp_path / form, **({"dialect": "keras2"} if form[-1] == "5" else {}))
    back = hozon.load_model(tmp_path / form)
    for live in (model, back):
        live.get_layer("a").trainable = True
        live.train_on_batch(draw(8, 4), draw(8, 4))
    for got, want in zip(back.weights, model.weights, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_keras_trains_on_from_an_h5_file_for_keras_3(tmp_path: Path) -> None:
    model = trained(OPTIMIZERS["adam"])
    hozon.save_model(model, tmp_path / "m.h5", dialect="keras3")
    back = keras.models.load_model(tmp_path / "m.h5")
    back.train_on_batch(draw(8, 6), draw(8, 1))
    assert hozon.load_model(tmp_path / "m.h5").load_report.lost == []


def net(*names: str) -> Any:
    return keras.Sequential([keras.Input((4,)), *(L.Dense(4, name=name) for name in names)])


def kernel(model: Any, name: str) -> Any:
    return np.asarray(model.get_layer(name).kernel)


@pytest.mark.parametrize("form", WEIGHTS)
def test_names_decide_where_they_are_asked_for(form: str, tmp_path: Path) -> None:
    saved, model = net("a", "b"), net("b", "a")
    hozon.save_weights(saved, tmp_path / form)
    hozon.load_weights(model, tmp_path / form, by_name=True)
    for name in ("a", "b"):
        np.testing.assert_array_equal(kernel(model, name), kernel(saved, name))


@pytest.mark.parametrize("form", WHOLE)
def test_names_decide_in_whole_models_too(form: str, tmp_path: Path) -> None:
    saved, model = net("a", "b"), net("b", "a")
    hozon.save_model(saved, tmp_path / form)
    hozon.load_weights(model, tmp_path / form, by_name=True)
    for name in ("a", "b"):
        np.testing.assert_array_equal(kernel(model, name), kernel(saved, name))


def test_a_file_without_names_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    from hozon.containers.keraszip import read, write_weights

    hozon.save_weights(net("a", "b"), tmp_path / "w.weights.h5")
    record = read(tmp_path / "w.weights.h5")
    write_weights(replace(record, names={}), tmp_path / "v.weights.h5")
    with pytest.raises(HozonError, match="does not say what its layers are called"):
        hozon.load_weights(net("b", "a"), tmp_path / "v.weights.h5", by_name=True)


@pytest.mark.parametrize("form", WEIGHTS)
@pytest.mark.parametrize(
    "rename",
    [
        {"a/*": "c/*", "b/*": "d/*"},
        {"a": "c", "b": "d"},
        lambda name: {"a": "c", "b": "d"}[name[0]] + name[1:] if name[0] in "ab" else name,
    ],
)
def test_a_mapping_says_what_is_called_how(form: str, rename: Any, tmp_path: Path) -> None:
    saved, model = net("a", "b"), net("d", "c")
    hozon.save_weights(saved, tmp_path / form)
    report = hozon.load_weights(model, tmp_path / form, rename=rename)
    for old, new in (("a", "c"), ("b", "d")):
        np.testing.assert_array_equal(kernel(model, new), kernel(saved, old))
    assert len(report.matched) == 4


#: Mappings that are refused: what the model's layers are called, what is asked, what is said.
REFUSED = {
    "a pattern without a name": (("a", "b"), {"nothing/*": "a/*"}, "no stored name matches"),
    "a name without a variable": (("a", "b"), {"a/*": "none/*"}, "makes 'none/"),
    "twice": (("a", "b"), {"a/*": "b/*"}, "2 stored values go to"),
    "both renamed": (("c", "d"), {"a/*": "c/*", "b/*": "c/*"}, "2 stored values go to"),
    "a function, twice": (("c", "d"), lambda name: f"c{name[1:]}", "2 stored values go to"),
    "a variable without a value": (("c", "b"), {"b/*": "b/*"}, "no stored value for"),
    "nothing": (("c", "d"), lambda name: f"other_{name}", "nothing in the file matches"),
}


@pytest.mark.parametrize("form", WEIGHTS)
@pytest.mark.parametrize("case", REFUSED)
def test_a_mapping_that_matches_nothing_or_twice_is_refused(
    case: str, form: str, tmp_path: Path
) -> None:
    names, rename, said = REFUSED[case]
    saved, model = net("a", "b"), net(*names)
    hozon.save_weights(saved, tmp_path / form)
    before = model.get_weights()
    with pytest.raises(MismatchError, match=said) as raised:
        hozon.load_weights(model, tmp_path / form, rename=rename)
    listed = ("the file holds: ", "the program wants: ")
    assert "go to" in said or any(words in str(raised.value) for words in listed)
    for got, want in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("form", WEIGHTS)
def test_scopes_around_names_hide_no_second_value(form: str, tmp_path: Path) -> None:
    """Models in a model, whose names stand in front of those of their variables."""
    saved, model = keras.Sequential([net("a", "b")]), keras.Sequential([net("c", "d")])
    for live in (saved, model):
        live.build((None, 4))
    hozon.save_weights(saved, tmp_path / form)
    rename = lambda name: re.sub(r"\b[ab](?=/)", "c", name)
    with pytest.raises(MismatchError, match="2 stored values go to"):
        hozon.load_weights(model, tmp_path / form, rename=rename)


@pytest.mark.parametrize("form", WEIGHTS)
def test_renamed_values_of_other_shapes_are_left_out(form: str, tmp_path: Path) -> None:
    saved = net("a", "b")
    model = keras.Sequential([keras.Input((4,)), L.Dense(4, name="c"), L.Dense(3, name="d")])
    hozon.save_weights(saved, tmp_path / form)
    rename = {"a": "c", "b": "d"}
    with pytest.raises(MismatchError, match=r"shape \(4, 3\), the file holds \(4, 4\)"):
        hozon.load_weights(model, tmp_path / form, rename=rename)
    report = hozon.load_weights(model, tmp_path / form, rename=rename, skip_mismatch=True)
    np.testing.assert_array_equal(kernel(model, "c"), kernel(saved, "a"))
    assert (len(report.matched), len(report.mismatched)) == (2, 2)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("form", WEIGHTS)
def test_none_leaves_a_value_out(form: str, by_name: bool, tmp_path: Path) -> None:
    saved, model = net("a", "b"), net("a", "b")
    hozon.save_weights(saved, tmp_path / form)
    before = kernel(model, "b")
    report = hozon.load_weights(model, tmp_path / form, rename={"b": None}, by_name=by_name)
    np.testing.assert_array_equal(kernel(model, "a"), kernel(saved, "a"))
    np.testing.assert_array_equal(kernel(model, "b"), before)
    assert report.missing
