"""Training configs of every age compile and train; old optimizers take the steps they took."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from hozon.config.build import build_model
from hozon.config.outputs import Outputs
from hozon.config.training import compile_arguments
from hozon.errors import MissingObjectError, UnsupportedError
from tests.legacy.files import LEGACY, WRITERS, cases, h5_config, recorded, zip_config

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
CASES = [(w, c) for w in WRITERS for c in cases(w) if h5_config(w, c, "training_config")]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not CASES, reason="the recorded files are missing (set HOZON_SHARED)")
@pytest.mark.parametrize(("writer", "case"), CASES)
def test_recorded_configs_compile_and_train(writer: str, case: str) -> None:
    zipped = zip_config(LEGACY / writer / f"{case}.keras") or {}
    inputs, outputs = recorded(writer, case)
    for config in (h5_config(writer, case, "training_config"), zipped.get("compile_config")):
        if config is None:
            continue
        model = build_model(h5_config(writer, case))
        model.compile(**compile_arguments(config))
        assert np.isfinite(model.train_on_batch(inputs[0], np.asarray(outputs[0]))).all()


TRAIN = """
model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
model.layers[0].set_weights([w, b])
kind = getattr(keras.optimizers.legacy, config["class_name"])
model.compile(optimizer=kind.from_config(dict(config["config"])), loss="mse")
for _ in range(4):
    model.train_on_batch(x, y)
out["weights"] = model.get_weights()
"""
OLD = [
    {
        "class_name": "RMSprop",
        "config": {
            "learning_rate": 0.01,
            "decay": 0.1,
            "rho": 0.9,
            "momentum": 0.0,
            "epsilon": 1e-3,
            "centered": False,
        },
    },
    {
        "class_name": "RMSprop",
        "config": {
            "learning_rate": 0.01,
            "decay": 0.0,
            "rho": 0.9,
            "momentum": 0.0,
            "epsilon": 1e-3,
            "centered": True,
        },
    },
    {
        "class_name": "RMSprop",
        "config": {
            "learning_rate": 0.01,
            "decay": 0.0,
            "rho": 0.9,
            "momentum": 0.5,
            "epsilon": 1e-3,
            "centered": False,
        },
    },
    {
        "class_name": "Adagrad",
        "config": {
            "learning_rate": 0.1,
            "decay": 0.2,
            "epsilon": 1e-3,
            "initial_accumulator_value": 0.0,
        },
    },
    {
        "class_name": "Adam",
        "config": {
            "learning_rate": 0.1,
            "decay": 0.2,
            "beta_1": 0.9,
            "beta_2": 0.99,
            "epsilon": 1e-3,
            "amsgrad": True,
        },
    },
    {
        "class_name": "SGD",
        "config": {"learning_rate": 0.1, "decay": 0.2, "momentum": 0.9, "nesterov": True},
    },
    {
        "class_name": "Adadelta",
        "config": {"learning_rate": 0.1, "decay": 0.0, "rho": 0.9, "epsilon": 1e-3},
    },
    {"class_name": "Adamax", "config": {"learning_rate": 0.1, "decay": 0.1, "epsilon": 1e-3}},
    {"class_name": "Nadam", "config": {"learning_rate": 0.1, "decay": 0.004, "epsilon": 1e-3}},
    {"class_name": "Ftrl", "config": {"learning_rate": 0.1, "decay": 0.0}},
]


@pytest.mark.parametrize("config", OLD, ids=lambda c: c["class_name"])
def test_old_optimizers_take_the_same_steps(oracle: Any, config: dict[str, Any]) -> None:
    random = np.random.default_rng(1)
    w, b, x, y = (
        random.normal(size=s).astype("float32") * 0.1 for s in ((3, 2), (2,), (8, 3), (8, 2))
    )
    told = oracle.python(TRAIN, config=config, w=w, b=b, x=x, y=y)["weights"]
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    model.layers[0].set_weights([w, b])
    model.compile(**compile_arguments({"optimizer_config": config, "loss": "mse"}))
    for _ in range(4):
        model.train_on_batch(x, y)
    for mine, theirs in zip(model.get_weights(), told, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_losses_and_metrics_per_output() -> None:
    made = compile_arguments(
        {
            "loss": {
                "a": "mse",
                "b": {
                    "class_name": "BinaryCrossentropy",
                    "config": {
                        "reduction": "auto",
                        "name": "bce",
                        "from_logits": True,
                        "fn": "binary_crossentropy",
                    },
                },
            },
            "metrics": {
                "a": ["mae"],
                "b": [
                    {
                        "class_name": "MeanMetricWrapper",
                        "config": {"name": "accuracy", "dtype": "float32", "fn": "binary_accuracy"},
                    }
                ],
            },
            "weighted_metrics": [["acc"], None],
            "loss_weights": {"a": 1.0, "b": 0.5},
            "optimizer_config": {"class_name": "Custom>Adam", "config": {"learning_rate": 0.5}},
        }
    )
    assert made["loss"]["a"] == "mean_squared_error"
    assert made["loss"]["b"].reduction == "sum_over_batch_size"
    assert made["loss"]["b"].from_logits is True
    assert made["metrics"]["a"] == ["mae"]  # the name that both Keras report it under
    assert made["metrics"]["b"][0].name == "accuracy"
    assert made["weighted_metrics"] == [["acc"], None]
    assert made["loss_weights"] == {"a": 1.0, "b": 0.5}
    assert float(made["optimizer"].learning_rate) == 0.5


def test_output_names_are_taken_off_metric_names() -> None:
    metric = {
        "class_name": "MeanMetricWrapper",
        "config": {"name": "out_a_mae", "fn": "mean_absolute_error"},
    }
    made = compile_arguments({"metrics": [[metric], None]}, outputs=Outputs(("out_a", "out_b")))
    assert made["metrics"][0][0].name == "mae"


class Cubed(keras.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return (y_true - y_pred) ** 3


class Mine(keras.metrics.Mean):
    pass


def test_a_users_loss_takes_the_reduction_of_keras_2() -> None:
    for reduction, taken in (("auto", "sum_over_batch_size"), ("sum", "sum")):
        loss = {"class_name": "Cubed", "config": {"name": "cubed", "reduction": reduction}}
        made = compile_arguments({"loss": loss}, custom_objects={"Cubed": Cubed})
        assert made["loss"].reduction == taken


def test_a_users_metric_loses_the_name_of_its_output() -> None:
    metric = {"class_name": "Mine", "config": {"name": "a_mine", "dtype": "float32"}}
    made = compile_arguments(
        {"metrics": [[metric], None]}, custom_objects={"Mine": Mine}, outputs=Outputs(("a", "b"))
    )
    assert made["metrics"][0][0].name == "mine"


def test_all_missing_names_at_once() -> None:
    with pytest.raises(MissingObjectError) as caught:
        compile_arguments(
            {
                "loss": "my_loss",
                "metrics": ["mae", "my_metric"],
                "optimizer_config": {"class_name": "MyOptimizer", "config": {}},
            }
        )
    assert set(caught.value.names) == {"MyOptimizer", "my_loss", "my_metric"}


def test_custom_objects_are_used() -> None:
    def my_loss(y: Any, p: Any) -> Any:
        return keras.ops.mean(keras.ops.abs(y - p), axis=-1)

    made = compile_arguments({"loss": "my_loss"}, custom_objects={"my_loss": my_loss})
    assert made["loss"] is my_loss


def test_schedule_loss_scale_and_decay() -> None:
    schedule = {
        "class_name": "CosineDecay",
        "config": {"initial_learning_rate": 0.1, "decay_steps": 10, "name": None},
    }
    changes: list[str] = []
    made = compile_arguments(
        {
            "optimizer_config": {
                "class_name": "LossScaleOptimizer",
                "config": {
                    "loss_scale": {
                        "class_name": "DynamicLossScale",
                        "config": {"initial_loss_scale": 1024.0, "increment_period": 7},
                    },
                    "optimizer": {"class_name": "SGD", "config": {"learning_rate": schedule}},
                },
            }
        },
        report=changes,
    )
    optimizer = made["optimizer"]
    assert optimizer.initial_scale == 1024.0
    assert optimizer.dynamic_growth_steps == 7
    assert type(optimizer.inner_optimizer).__name__ == "SGD"
    made = compile_arguments(
        {"optimizer_config": {"class_name": "SGD", "config": {"lr": 0.5, "decay": 0.1}}},
        report=changes,
    )
    assert any("decay" in line for line in changes)
    assert float(made["optimizer"].learning_rate) == 0.5


def test_unknown_argument_is_named() -> None:
    with pytest.raises(UnsupportedError, match="SGD"):
        compile_arguments({"optimizer_config": {"class_name": "SGD", "config": {"sliding": 3}}})
