"""How models are compiled: optimizers, losses, metrics."""

from __future__ import annotations

from typing import Any

from tests.differential.draw import Draw
from tests.differential.layers import for_writer, thing

#: Epsilons are large: where a gradient is zero but for rounding, Adam's own makes a step of it.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": [0.5], "nesterov": [True]},
    "Adam": {"epsilon": [0.01], "beta_1": [0.7], "amsgrad": [True]},
    "RMSprop": {"epsilon": [0.01], "momentum": [0.3], "centered": [True], "rho": [0.7]},
    "Adagrad": {"epsilon": [0.01], "initial_accumulator_value": [0.3]},
    "Adadelta": {"epsilon": [0.01], "rho": [0.7]},
    "Adamax": {"epsilon": [0.01], "beta_2": [0.9]},
    "Nadam": {"epsilon": [0.01], "beta_1": [0.7]},
    "Ftrl": {"l1_regularization_strength": [0.01], "learning_rate_power": [-0.4]},
    "AdamW": {"epsilon": [0.01], "weight_decay": [0.05]},
}
LEGACY = ["SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl"]
COMMON = {
    "clipnorm": [0.3],
    "clipvalue": [0.05],
    "2:jit_compile": [False],
}
NEW_ONLY = {
    "global_clipnorm": [0.5],
    "use_ema": [True],
    "weight_decay": [0.01],
    "3:gradient_accumulation_steps": [2],
}
RATES = [
    0.05,
    0.05,
    0.01,
    thing(
        "optimizers.schedules.ExponentialDecay",
        initial_learning_rate=0.1,
        decay_steps=2,
        decay_rate=0.5,
        staircase=True,
    ),
    thing(
        "optimizers.schedules.PiecewiseConstantDecay", boundaries=[1, 3], values=[0.1, 0.05, 0.01]
    ),
    thing("optimizers.schedules.CosineDecay", initial_learning_rate=0.1, decay_steps=10),
    thing(
        "optimizers.schedules.PolynomialDecay", initial_learning_rate=0.1, decay_steps=7, power=2.0
    ),
    thing(
        "optimizers.schedules.InverseTimeDecay",
        initial_learning_rate=0.1,
        decay_steps=2,
        decay_rate=0.5,
    ),
    thing(
        "optimizers.schedules.CosineDecayRestarts", initial_learning_rate=0.1, first_decay_steps=3
    ),
    thing(
        "optimizers.schedules.CosineDecay",
        initial_learning_rate=0.0,
        decay_steps=10,
        warmup_target=0.1,
        warmup_steps=3,
    ),
    thing("OwnSchedule", start=0.1),
]
#: Each loss with the targets that it takes.
LOSSES: list[tuple[Any, str]] = [
    ("mse", "real"),
    ("mae", "real"),
    ("mean_squared_error", "real"),
    ("huber", "real"),
    ("log_cosh", "real"),
    ("cosine_similarity", "real"),
    ("hinge", "sign"),
    ("squared_hinge", "sign"),
    (thing("losses.MeanSquaredError"), "real"),
    (thing("losses.Huber", delta=0.5), "real"),
    (thing("losses.LogCosh", reduction="sum"), "real"),
    (thing("losses.CosineSimilarity", axis=-1), "real"),
    (thing("losses.BinaryCrossentropy", from_logits=True, label_smoothing=0.1), "binary"),
    (thing("losses.CategoricalCrossentropy", from_logits=True, label_smoothing=0.2), "onehot"),
    (thing("losses.SparseCategoricalCrossentropy", from_logits=True), "ids"),
    (thing("losses.BinaryFocalCrossentropy", from_logits=True, gamma=1.5), "binary"),
    ({"custom": "own_loss"}, "real"),
    ({"object": "OwnLoss", "args": {"rate": 1.5}}, "real"),
]
#: Losses whose arguments Keras 3's own files do not hold.
FORGOTTEN = [(thing("losses.Huber", delta=0.5), "real")]
METRICS: dict[str, list[Any]] = {
    "real": [
        "mae",
        "mse",
        thing("metrics.RootMeanSquaredError", name="rmse"),
        thing("metrics.MeanAbsoluteError"),
        "cosine_similarity",
        "mape",
        thing("metrics.LogCoshError"),
        thing("OwnMetric", power=1.5),
    ],
    "binary": [
        thing("metrics.BinaryAccuracy", threshold=0.1),
        "binary_accuracy",
        "accuracy",
        thing("metrics.Precision", thresholds=0.2),
    ],
    "onehot": [
        "accuracy",
        "categorical_accuracy",
        thing("metrics.TopKCategoricalAccuracy", k=1, name="top"),
        "acc",
    ],
    "ids": ["accuracy", "sparse_categorical_accuracy"],
    "sign": ["mse", thing("metrics.Hinge")],
}


def optimizer(draw: Draw, writer: str) -> dict[str, Any]:
    """An optimizer of any generation that the writer has."""
    legacy = writer == "tf_keras" and draw.chance(0.25)
    name = draw.one(LEGACY if legacy else list(OPTIMIZERS))
    args: dict[str, Any] = {"learning_rate": draw.one(RATES)}
    for key, choice in OPTIMIZERS[name].items():
        if key == "epsilon" or draw.chance(0.3):
            args[key] = draw.one(choice)
    if args.get("nesterov") and "momentum" not in args:
        del args["nesterov"]
    extra = COMMON if legacy else {**COMMON, **NEW_ONLY}
    key = draw.often({"": 3.0, **dict.fromkeys(extra, 0.3)})
    if key and not (legacy and key.startswith("2:")):
        args.setdefault(key, draw.one(extra[key]))
    made = thing(f"optimizers.{'legacy.' if legacy else ''}{name}", **for_writer(args, writer))
    if draw.chance(0.05) and not legacy:
        if writer == "tf_keras":
            return thing("mixed_precision.LossScaleOptimizer", inner_optimizer=made)
        return thing("optimizers.LossScaleOptimizer", inner_optimizer=made)
    return made


def compiled(draw: Draw, writer: str, ends: Any) -> dict[str, Any]:
    """The arguments of `compile`, and the targets of each output."""
    outputs = len(ends)
    known = [loss for loss in LOSSES if writer != "keras" or loss not in FORGOTTEN]
    losses = [draw.one(known) for _ in range(outputs)]
    found: dict[str, Any] = {"optimizer": optimizer(draw, writer)}
    single = draw.chance(0.4)
    if single:
        losses = losses[:1] * outputs
    targets = [target for _, target in losses]
    found["loss"] = losses[0][0] if outputs == 1 or single else [loss for loss, _ in losses]
    if draw.chance(0.5):
        each = [draw.some(METRICS[target], draw.number(1, 2)) for target in targets]
        found["metrics"] = each[0] if outputs == 1 else each
    if draw.chance(0.15):
        each = [draw.some(METRICS[target], 1) for target in targets]
        found["weighted_metrics"] = each[0] if outputs == 1 else each
    if outputs > 1 and not single and draw.chance(0.3):
        found["loss_weights"] = [0.3 + 0.5 * i for i in range(outputs)]
    if isinstance(ends, dict):
        for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
            if isinstance(found.get(name), list):
                found[name] = dict(zip(ends, found[name], strict=True))
        order = sorted(ends)
        targets = [targets[list(ends).index(name)] for name in order]
    made = {"args": found, "targets": targets}
    if outputs == 1 and draw.chance(0.15):
        made["sample_weight"] = True
    return made
