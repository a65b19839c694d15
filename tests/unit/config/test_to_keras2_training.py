"""Optimizers, schedules, losses, metrics and whole compile configs in Keras 2's dialect."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest

from hozon.config.to_keras2_training import (
    compile_to_keras2,
    objective_to_keras2,
    optimizer_to_keras2,
    training_to_keras2,
)
from hozon.config.training import compile_arguments
from hozon.errors import FormatError, UnsupportedError

#: Keras reads its learning rates in a way that NumPy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

#: The same words in Keras 3 and in tf_keras.
OPTIMIZERS = """
O.Adam(0.25, beta_1=0.5, beta_2=0.75, epsilon=0.5, amsgrad=True)
O.Adam(name="mine", weight_decay=0.5, clipnorm=1.0)
O.SGD(0.25, momentum=0.5, nesterov=True, clipvalue=0.5)
O.SGD(0.25, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)
O.RMSprop(0.25, rho=0.5, momentum=0.5, centered=True, ema_overwrite_frequency=None)
O.Adagrad(0.25, global_clipnorm=2.0, initial_accumulator_value=0.5)
O.Adadelta(0.25, rho=0.5)
O.Adamax(0.25)
O.Nadam(0.25)
O.Ftrl(0.25, learning_rate_power=-0.25, l1_regularization_strength=0.5, beta=0.5)
O.AdamW(0.25, weight_decay=0.125)
O.Lion(0.25, beta_1=0.5)
O.Adafactor(0.25, relative_step=False)
O.SGD(S.CosineDecay(0.25, 10, alpha=0.5, warmup_target=0.5, warmup_steps=3))
O.SGD(S.CosineDecayRestarts(0.25, 10, t_mul=3.0))
O.SGD(S.ExponentialDecay(0.25, 10, 0.5, staircase=True))
O.SGD(S.InverseTimeDecay(0.25, 10, 0.5))
O.SGD(S.PiecewiseConstantDecay([2, 4], [0.5, 0.25, 0.125]))
O.SGD(S.PolynomialDecay(0.25, 10, power=2.0, cycle=True))
""".strip().splitlines()
LOSSES = """
BinaryCrossentropy(from_logits=True, label_smoothing=0.25)
BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.5, gamma=1.5)
CategoricalCrossentropy(label_smoothing=0.25, axis=1)
CategoricalFocalCrossentropy(alpha=0.5)
CategoricalHinge()
CosineSimilarity(name="mine")
Hinge(reduction="sum")
Huber()
KLDivergence()
LogCosh()
MeanAbsoluteError(reduction="none")
MeanAbsolutePercentageError()
MeanSquaredError()
MeanSquaredLogarithmicError()
Poisson()
SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)
SquaredHinge()
""".strip().splitlines()
METRICS = """
AUC(num_thresholds=7, curve="PR", from_logits=True)
Accuracy()
BinaryAccuracy(threshold=0.25)
BinaryCrossentropy(from_logits=True)
BinaryIoU(target_class_ids=[1], threshold=0.25)
CategoricalAccuracy(name="mine")
CategoricalCrossentropy(label_smoothing=0.25)
CategoricalHinge()
CosineSimilarity()
F1Score(average="macro", threshold=0.5)
FBetaScore(beta=2.0)
FalseNegatives(thresholds=[0.25, 0.5])
FalsePositives()
Hinge()
IoU(num_classes=3, target_class_ids=[0, 2])
KLDivergence()
LogCoshError()
Mean()
MeanAbsoluteError(dtype="float16")
MeanAbsolutePercentageError()
MeanIoU(num_classes=3, ignore_class=1)
MeanSquaredError()
MeanSquaredLogarithmicError()
OneHotIoU(num_classes=3, target_class_ids=[1])
OneHotMeanIoU(num_classes=3)
Poisson()
Precision(thresholds=0.25, top_k=2, class_id=1)
PrecisionAtRecall(recall=0.5, num_thresholds=7)
R2Score(class_aggregation="variance_weighted_average")
Recall(thresholds=[0.25])
RecallAtPrecision(precision=0.5)
RootMeanSquaredError()
SensitivityAtSpecificity(0.5)
SparseCategoricalAccuracy()
SparseCategoricalCrossentropy(from_logits=True, axis=1)
SparseTopKCategoricalAccuracy(k=2)
SpecificityAtSensitivity(0.5)
SquaredHinge()
Sum()
TopKCategoricalAccuracy(k=2)
TrueNegatives()
TruePositives()
""".strip().splitlines()
WORDS = [("optimizer", words) for words in OPTIMIZERS]
WORDS += [("loss", f"N.{words}") for words in LOSSES]
WORDS += [("metric", f"M.{words}") for words in METRICS]
SPACE = {
    "O": keras.optimizers,
    "S": keras.optimizers.schedules,
    "N": keras.losses,
    "M": keras.metrics,
}
SOURCE = """
import json
from tf_keras.src.saving import serialization_lib
O, S, N, M = keras.optimizers, keras.optimizers.schedules, keras.losses, keras.metrics

def told(value):
    if isinstance(value, dict):
        return {k: told(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [told(v) for v in value]
    return value.item() if hasattr(value, "item") else value

space = {"optimizer": O, "loss": N, "metric": M}
out["made"] = {}
for (kind, words), (plain, tagged) in configs.items():
    right = eval(words)
    answer = out["made"][(kind, words)] = {"right": told(right.get_config())}
    for form in ("plain", "tagged"):
        try:
            made = (space[kind].deserialize(plain, use_legacy_format=True) if form == "plain"
                    else serialization_lib.deserialize_keras_object(tagged))
            answer[form] = told(made.get_config())
            answer[form + " class"] = type(made) is type(right)
        except Exception as error:
            answer[form] = repr(error)
"""


def serialized(words: str) -> Any:
    made = keras.saving.serialize_keras_object(eval(words, dict(SPACE)))
    return json.loads(json.dumps(made))


def written(kind: str, words: str, *, tags: bool) -> Any:
    config = serialized(words)
    if kind == "optimizer":
        return optimizer_to_keras2(config, tags=tags)
    return objective_to_keras2(kind, config, tags=tags)


def same_config(made: Any, right: Any) -> bool:
    """Whether two objects have one config, but for names that Keras counted up."""
    mine, theirs = made.get_config(), right.get_config()
    return type(made) is type(right) and {**mine, "name": ""} == {**theirs, "name": ""}


@pytest.fixture(scope="module")
def made(oracle: Any) -> dict[Any, Any]:
    """What tf_keras makes of each object in both forms, and of the words for it."""
    configs = {
        (kind, words): (written(kind, words, tags=False), written(kind, words, tags=True))
        for kind, words in WORDS
    }
    answer: dict[Any, Any] = oracle.python(SOURCE, configs=configs)["made"]
    return answer


@pytest.mark.parametrize("form", ["plain", "tagged"])
@pytest.mark.parametrize(("kind", "words"), WORDS)
def test_tf_keras_means_the_same(made: dict[Any, Any], kind: str, words: str, form: str) -> None:
    answer = made[(kind, words)]
    assert not isinstance(answer[form], str), answer[form]
    assert answer[form + " class"]
    mine, right = dict(answer[form]), dict(answer["right"])
    if "name=" not in words:  # Keras 3 names objects in other words
        mine.pop("name"), right.pop("name")
    for config in (mine, right):
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"]["config"].pop("name", None)
    assert mine == right


@pytest.mark.parametrize("words", OPTIMIZERS)
def test_optimizer_read_back(words: str) -> None:
    config = {"optimizer_config": written("optimizer", words, tags=False)}
    again = compile_arguments(config)["optimizer"]
    assert same_config(again, eval(words, dict(SPACE)))


@pytest.mark.parametrize("words", LOSSES)
def test_loss_read_back(words: str) -> None:
    again = compile_arguments({"loss": written("loss", f"N.{words}", tags=False)})["loss"]
    assert same_config(again, eval(f"N.{words}", dict(SPACE)))


@pytest.mark.parametrize("words", METRICS)
def test_metric_read_back(words: str) -> None:
    config = {"metrics": [written("metric", f"M.{words}", tags=False)]}
    again = compile_arguments(config)["metrics"][0]
    assert same_config(again, eval(f"M.{words}", dict(SPACE)))


@pytest.mark.parametrize(
    ("kind", "words", "said"),
    [
        ("optimizer", "O.Lamb()", "Lamb"),
        ("optimizer", "O.Muon()", "Muon"),
        ("loss", "N.Dice()", "Dice"),
        ("loss", "N.MeanSquaredError(reduction='mean')", "mean"),
        ("metric", "M.PearsonCorrelation()", "PearsonCorrelation"),
    ],
)
def test_what_keras2_does_not_have_is_refused(kind: str, words: str, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        written(kind, words, tags=False)


def test_what_keras2_does_less_of_is_told() -> None:
    report: list[str] = []
    config = serialized("O.Adam(gradient_accumulation_steps=3, loss_scale_factor=2.0)")
    made = optimizer_to_keras2(config, report=report)
    assert "gradient_accumulation_steps" not in made["config"]
    assert sum("dropped" in line for line in report) == 2


def my_loss(y: Any, p: Any) -> Any:
    """A loss of the user's."""
    return keras.ops.mean(keras.ops.abs(y - p), axis=-1)


def two_outputs() -> keras.Model:
    x = keras.layers.Input((3,))
    return keras.Model(
        x, {"a": keras.layers.Dense(2, name="a")(x), "b": keras.layers.Dense(1, name="b")(x)}
    )


COMPILED: dict[str, Any] = {
    "names": {"optimizer": "adam", "loss": "mse", "metrics": ["mae", "acc"]},
    "objects": {
        "optimizer": keras.optimizers.SGD(0.25),
        "loss": keras.losses.Huber(),
        "metrics": [keras.metrics.MeanAbsoluteError(name="m")],
        "weighted_metrics": [keras.metrics.MeanSquaredError()],
    },
    "functions": {
        "optimizer": "sgd",
        "loss": my_loss,
        "metrics": [keras.losses.mean_squared_error, my_loss],
    },
    "by name": {
        "optimizer": "sgd",
        "loss": {"a": "mse", "b": keras.losses.MeanAbsoluteError()},
        "metrics": {"a": ["mae"], "b": [keras.metrics.MeanSquaredError()]},
        "loss_weights": {"a": 1.0, "b": 0.5},
    },
    "wrapped": {
        "optimizer": "sgd",
        "loss": "mse",
        "metrics": [keras.metrics.MeanMetricWrapper(keras.losses.mean_absolute_error, name="w")],
    },
    "scaled": {
        "optimizer": keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.25, 10)),
            initial_scale=8.0,
            dynamic_growth_steps=5,
        ),
        "loss": "mse",
    },
    "scaled Lion": {
        "optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.Lion(0.25)),
        "loss": "mse",
    },
    "scaled Adafactor": {
        "optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.Adafactor(0.25)),
        "loss": "mse",
    },
    "no optimizer": {"optimizer": "rmsprop", "loss": None},
}
FITTED = """
from tf_keras.src.saving.legacy import saving_utils
def my_loss(y, p):
    return tf.reduce_mean(tf.abs(y - p), axis=-1)

out["made"] = {}
for name, (two, weights, plain, tagged) in asked.items():
    answer = out["made"][name] = {}
    for form in ("plain", "tagged"):
        keras.backend.clear_session()
        i = keras.layers.Input((3,))
        made = {"a": keras.layers.Dense(2, name="a")(i)}
        if two:
            made["b"] = keras.layers.Dense(1, name="b")(i)
        m = keras.Model(i, made if two else made["a"])
        m.set_weights(weights)
        try:
            with keras.utils.custom_object_scope({"my_loss": my_loss}):
                if form == "plain":
                    m.compile(**saving_utils.compile_args_from_training_config(plain))
                else:
                    m.compile_from_config(tagged)
            ys = {"a": y} if two else y
            if two:
                ys["b"] = y[:, :1]
            answer[form] = m.evaluate(x, ys, verbose=0, return_dict=True) if m.loss else {}
            answer[form + " optimizer"] = type(m.optimizer).__name__
        except Exception as error:
            import traceback
            answer[form] = traceback.format_exc()[-1500:]
"""


@pytest.fixture(scope="module")
def fitted(oracle: Any) -> dict[str, Any]:
    """What tf_keras evaluates with each compile config, and what Keras 3 does."""
    random = np.random.default_rng(2)
    x, y = random.normal(size=(6, 3)).astype("f4"), random.normal(size=(6, 2)).astype("f4")
    asked, mine = {}, {}
    for name, arguments in COMPILED.items():
        two = name == "by name"
        model = (
            two_outputs()
            if two
            else keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, name="a")])
        )
        model.compile(**arguments)
        config = json.loads(json.dumps(model.get_compile_config()))
        asked[name] = (
            two,
            model.get_weights(),
            training_to_keras2(config),
            compile_to_keras2(config),
        )
        if arguments["loss"] is not None:
            targets = {"a": y, "b": y[:, :1]} if two else y
            mine[name] = model.evaluate(x, targets, verbose=0, return_dict=True)
    answer: dict[str, Any] = oracle.python(FITTED, asked=asked, x=x, y=y)["made"]
    return {"theirs": answer, "mine": mine, "asked": asked}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["plain", "tagged"])
@pytest.mark.parametrize("name", sorted(COMPILED))
def test_tf_keras_evaluates_the_same(fitted: dict[str, Any], name: str, form: str) -> None:
    theirs = fitted["theirs"][name]
    assert not isinstance(theirs[form], str), theirs[form]
    mine = fitted["mine"].get(name, {})
    assert len(mine) == len(theirs[form])
    np.testing.assert_allclose(sorted(mine.values()), sorted(theirs[form].values()), rtol=1e-5)
    right = {"names": "Adam", "no optimizer": "RMSprop"}
    right |= dict.fromkeys([n for n in COMPILED if n.startswith("scaled")], "LossScaleOptimizer")
    assert theirs[form + " optimizer"].startswith(right.get(name, "SGD"))


def test_training_config_has_keras2_keys(fitted: dict[str, Any]) -> None:
    plain = fitted["asked"]["by name"][2]
    assert list(plain) == [
        "loss",
        "metrics",
        "weighted_metrics",
        "loss_weights",
        "optimizer_config",
    ]
    assert plain["loss"]["a"] == "mse"
    assert plain["loss"]["b"]["config"]["reduction"] == "auto"
    assert fitted["asked"]["functions"][2]["loss"] == "my_loss"


@pytest.mark.parametrize("name", sorted(set(COMPILED) - {"functions"}))
def test_compile_config_read_back(fitted: dict[str, Any], name: str) -> None:
    made = compile_arguments(fitted["asked"][name][2])
    right = keras.optimizers.get(COMPILED[name]["optimizer"])
    assert same_config(made["optimizer"], right)


@pytest.mark.parametrize(
    "config",
    [
        {"optimizer": 3},
        {"optimizer": {"class_name": "SGD"}},
        {"loss": 3},
        {"metrics": [3.0]},
        {"loss": {"class_name": "function", "config": None}},
    ],
)
def test_damaged_training_config(config: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        training_to_keras2(config)
