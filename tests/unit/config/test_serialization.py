"""The public way in and out of configs: single objects, architectures, the registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import FormatError, MissingObjectError, UnsafeError, UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
K, L = keras, keras.layers
OBJECTS = {
    "layer": lambda: L.Dense(3, activation="relu", kernel_regularizer="l2", name="d"),
    "wrapper": lambda: L.TimeDistributed(L.Dense(2, name="i"), name="t"),
    "normalization": lambda: L.Normalization(
        mean=np.float32(2.0), variance=np.float32(1.0), name="n"
    ),
    "loss": lambda: K.losses.Huber(delta=0.25),
    "same name": lambda: K.losses.Poisson(),
    "metric": lambda: K.metrics.MeanSquaredError(name="m"),
    "function metric": lambda: K.metrics.CosineSimilarity(axis=1, name="c"),
    "optimizer": lambda: K.optimizers.Adam(0.25, name="a"),
    "schedule": lambda: K.optimizers.schedules.CosineDecay(0.25, 10),
    "initializer": lambda: K.initializers.VarianceScaling(2.0, seed=3),
    "regularizer": lambda: K.regularizers.L1L2(0.25, 0.5),
    "constraint": lambda: K.constraints.MaxNorm(3, axis=[0, 1]),
    "policy": lambda: K.dtype_policies.DTypePolicy("mixed_bfloat16"),
    "model": lambda: K.Sequential([L.Input((3,), name="i"), L.Dense(2, name="d")], name="s"),
}


def same(made: Any, right: Any) -> bool:
    mine, theirs = hozon.serialize(made), hozon.serialize(right)
    return type(made) is type(right) and json.dumps(mine) == json.dumps(theirs)


@pytest.mark.parametrize("dialect", ["keras2", "keras3"])
@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_objects_come_back(name: str, dialect: str) -> None:
    made = OBJECTS[name]()
    config = json.loads(json.dumps(hozon.serialize(made, dialect=dialect)))
    if isinstance(config, dict):
        assert set(config) >= ({"module"} if dialect == "keras3" else {"class_name", "config"})
        assert dialect == "keras3" or "module" not in config
    assert same(hozon.deserialize(config), made)


def test_arguments_that_keras_forgets_are_kept() -> None:
    again = hozon.deserialize(hozon.serialize(keras.losses.Huber(delta=0.25)))
    y, p = np.zeros((1, 2), "float32"), np.ones((1, 2), "float32")
    assert float(again(y, p)) == float(keras.losses.Huber(delta=0.25)(y, p)) == 0.21875


@pytest.mark.parametrize("function", [keras.activations.relu, keras.losses.mean_squared_error])
def test_functions_by_name(function: Any) -> None:
    assert hozon.deserialize(hozon.serialize({"f": [function]}))["f"][0] is function or (
        isinstance(hozon.serialize(function), str)
    )


def test_a_lambda_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="lambda"):
        hozon.serialize(lambda x: x)


class Mine(keras.layers.Layer):
    """A layer with NumPy values in its config."""

    def __init__(self, scale: Any = None, table: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = np.float32(2.0) if scale is None else scale
        self.table = np.asarray([1, 2] if table is None else table)

    def call(self, x: Any) -> Any:
        return x * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "table": self.table}


def test_missing_objects_are_named_all_at_once() -> None:
    model = keras.Sequential([L.Input((2,)), Mine(), L.Dense(2, activation=my_activation)])
    text = hozon.model_to_json(model)
    with pytest.raises(MissingObjectError) as caught:
        hozon.model_from_json(text)
    assert set(caught.value.names) == {"Mine", "my_activation"}
    assert "custom_objects={" in str(caught.value)
    given = {"Mine": Mine, "my_activation": my_activation}
    assert type(hozon.model_from_json(text, given).layers[0]) is Mine
    with hozon.custom_object_scope(given):
        assert type(hozon.model_from_json(text).layers[0]) is Mine
    with pytest.raises(MissingObjectError):
        hozon.model_from_json(text)


def my_activation(x: Any) -> Any:
    """An activation of the user's."""
    return x


def test_the_registry_is_keras_own() -> None:
    try:
        registered = hozon.register_serializable("Unit", "Other")(Mine)
        assert keras.saving.get_registered_object("Unit>Other") is registered
        layer = Mine(scale=np.float32(3.0), name="m")
        again = hozon.deserialize(json.loads(json.dumps(hozon.serialize(layer))))
        assert type(again) is Mine
        assert hozon.serialize(layer, dialect="keras2")["class_name"] == "Unit>Other"
    finally:
        keras.saving.get_custom_objects().pop("Unit>Other")


def two_inputs() -> keras.Model:
    x, y = L.Input((3,), name="x"), L.Input((3,), name="y")
    dense = L.Dense(2)
    return keras.Model([x, y], L.Add()([dense(x), dense(y)]))


@pytest.mark.parametrize("dialect", ["keras2", "keras3"])
def test_architecture_in_json(dialect: str) -> None:
    model = two_inputs()
    model.compile("adam", "mse")
    text = hozon.model_to_json(model, dialect=dialect)
    assert "compile_config" not in text
    again = hozon.model_from_json(text)
    again.set_weights(model.get_weights())
    inputs = [np.ones((1, 3), "float32"), np.ones((1, 3), "float32") * 2]
    np.testing.assert_array_equal(again(inputs), model(inputs))
    assert not again.compiled


def test_tf_keras_reads_the_json(oracle: Any) -> None:
    text = hozon.model_to_json(two_inputs(), dialect="keras2")
    source = "out['n'] = keras.models.model_from_json(text).count_params()"
    assert oracle.python(source, text=text)["n"] == 8


class Subclassed(keras.Model):
    """A model without a config."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError("no config")


def test_a_model_without_a_config_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="Subclassed"):
        hozon.model_to_json(Subclassed(2))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"class_name": "Sequential"}',
        "[" * 10_000 + "]" * 10_000,
        b"\xff",
        '{"class_name": "Dense", "config": {"units": 2}}',
    ],
)
def test_bad_json(text: str | bytes) -> None:
    with pytest.raises(FormatError):
        hozon.model_from_json(text)


@pytest.mark.parametrize(
    "config",
    [
        {"module": "os", "class_name": "system", "config": {"command": "true"}},
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {"class_name": "__lambda__", "config": {"code": "x"}},
        [{"class_name": "Lambda", "config": {"function": ["x", None, None]}}],
    ],
)
def test_bad_objects_are_refused(config: Any) -> None:
    with pytest.raises(UnsafeError):
        hozon.deserialize(config)


def test_unknown_objects_are_named() -> None:
    for config in (
        {"class_name": "Nobody", "config": {}},
        {"module": "mine", "class_name": "function", "config": "nobody"},
    ):
        with pytest.raises(MissingObjectError, match=r"(?i)nobody"):
            hozon.deserialize(config)
    with pytest.raises(ValueError, match="dialect"):
        hozon.serialize(L.Dense(2), dialect="keras7")


def test_a_clone_has_the_architecture_and_nothing_else() -> None:
    def activation(x: Any) -> Any:
        return keras.ops.tanh(x) ** 2

    x = keras.Input((3,))
    shared = keras.layers.Dense(3, activation=activation)
    model = keras.Model(x, shared(shared(x)))
    model.compile("adam", "mse")
    copy = hozon.clone_model(model)
    assert model.compiled
    assert not copy.compiled
    assert len(copy.weights) == len(model.weights) == 2
    assert copy.layers[1].activation is activation
    assert not np.array_equal(np.asarray(copy.weights[0]), np.asarray(model.weights[0]))


class Forgetful(keras.layers.Layer):
    """A layer whose config asks for what it does not have."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}

    def call(self, x: Any) -> Any:
        return x * 2


@pytest.mark.parametrize("form", ["m.keras", "m.h5", "model.json"])
def test_a_config_that_raises_is_told_with_its_class(form: str, tmp_path: Path) -> None:
    model = keras.Sequential([L.Input((3,)), Forgetful(name="f")])
    with pytest.raises(UnsupportedError, match="of Forgetful raised AttributeError"):
        hozon.model_to_json(model) if "json" in form else hozon.save_model(model, tmp_path / form)
    assert not list(tmp_path.iterdir())


def test_a_savedmodel_needs_no_config(tmp_path: Path) -> None:
    model = keras.Sequential([L.Input((3,)), Forgetful(name="f")])
    hozon.save_model(model, tmp_path / "m")
    again = hozon.load_model(tmp_path / "m", compile=False)
    assert float(again(np.ones((1, 3), "float32"))[0, 0]) == 2
