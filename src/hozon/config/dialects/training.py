"""Names in training configs of Keras 1 and 2: optimizers, losses, metrics."""

from __future__ import annotations

from collections.abc import Mapping

#: Arguments of optimizers that Keras 3 does not take and that change no number.
OPTIMIZER_DROPPED = frozenset(
    {"jit_compile", "is_legacy_optimizer", "schedule_decay", "sparse", "registered_name"}
)
OPTIMIZER_RENAMED: Mapping[str, str] = {
    "lr": "learning_rate",
    "m_decay": "decay",
    "weight_decay_rate": "weight_decay",
}
#: Keys that only the older generation of optimizers wrote.
OLD_GENERATION = frozenset({"lr", "decay", "schedule_decay"})
#: The older ones that took other steps; an old Nadam's ``decay`` is its ``schedule_decay``.
OLD_OPTIMIZERS: Mapping[str, str] = {
    "RMSprop": "hozon>RMSprop",
    "Adagrad": "hozon>Adagrad",
    "Nadam": "hozon>Nadam",
}
OPTIMIZERS: Mapping[str, str] = {
    "adam": "Adam",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "adamax": "Adamax",
    "nadam": "Nadam",
    "ftrl": "Ftrl",
    "adamw": "AdamW",
    "lion": "Lion",
    "adafactor": "Adafactor",
    "SGDW": "SGD",
    "RMSProp": "RMSprop",
}
#: Losses by name; metrics have the same names.
FUNCTIONS: Mapping[str, str] = {
    "mse": "mean_squared_error",
    "MSE": "mean_squared_error",
    "mae": "mean_absolute_error",
    "MAE": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "MAPE": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "MSLE": "mean_squared_logarithmic_error",
    "kld": "kl_divergence",
    "KLD": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "cosine": "cosine_similarity",
    "cosine_proximity": "cosine_similarity",
    "bce": "binary_crossentropy",
    "BCE": "binary_crossentropy",
    "huber_loss": "huber",
}
#: Functions that are a loss to Keras 3 and were, with the other sign, a metric too in Keras 2.
SIMILARITY = frozenset({"cosine_similarity"})
CLASSES: Mapping[str, str] = {
    "CosineProximity": "CosineSimilarity",
    "LogCoshLoss": "LogCosh",
    "KLD": "KLDivergence",
}
#: Default names of Keras 2's metrics, where these are not those of the classes.
DEFAULT_NAMES: Mapping[str, str] = {
    "KLDivergence": "kullback_leibler_divergence",
    "LogCoshError": "logcosh",
    "FBetaScore": "fbeta_score",
}
#: Names that ``compile`` resolves itself, by the loss and the outputs' shapes.
RESOLVED_BY_COMPILE = frozenset({"accuracy", "acc", "crossentropy", "ce"})
#: Keras 2's classes around a function.
WRAPPERS = frozenset({"LossFunctionWrapper", "MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"})

# The other way: from Keras 3's dialect to Keras 2's

#: Arguments of Keras 3's optimizers that Keras 2 has no counterpart of, and what is lost.
OPTIMIZER_NEWER: Mapping[str, str] = {
    "loss_scale_factor": "losses are not scaled",
    "gradient_accumulation_steps": "each step updates the weights at once",
}
OPTIMIZERS_WRITTEN = frozenset(
    {
        "Adam",
        "SGD",
        "RMSprop",
        "Adagrad",
        "Adadelta",
        "Adamax",
        "Nadam",
        "Ftrl",
        "AdamW",
        "Lion",
        "Adafactor",
    }
)
SCHEDULES_WRITTEN = frozenset(
    {
        "CosineDecay",
        "CosineDecayRestarts",
        "ExponentialDecay",
        "InverseTimeDecay",
        "PiecewiseConstantDecay",
        "PolynomialDecay",
    }
)
#: Names of reductions; Keras 3's others weigh samples as Keras 2 cannot.
REDUCTIONS_WRITTEN: Mapping[str | None, str] = {
    "sum_over_batch_size": "auto",
    "sum": "sum",
    "none": "none",
    None: "none",
}
NEW_FUNCTIONS = frozenset(
    {
        "categorical_generalized_cross_entropy",
        "circle",
        "ctc",
        "dice",
        "tversky",
        "concordance_correlation",
        "pearson_correlation",
    }
)
NEW_LOSSES = frozenset({"CTC", "CategoricalGeneralizedCrossEntropy", "Circle", "Dice", "Tversky"})
NEW_METRICS = frozenset({"ConcordanceCorrelation", "PearsonCorrelation"})
#: Arguments of losses and metrics that came with Keras 3, with the values that say nothing.
OBJECTIVE_NEWER: Mapping[str, Mapping[str, tuple[object, ...]]] = {
    "SparseCategoricalCrossentropy": {"axis": (None, -1)},
    "SparseTopKCategoricalAccuracy": {"from_sorted_ids": (None, False)},
}
#: Metrics that count in integers in Keras 3, and say so; Keras 2 gives results of that type.
COUNTING = frozenset({"IoU", "BinaryIoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"})
