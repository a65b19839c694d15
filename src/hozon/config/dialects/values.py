"""Names of the small objects in configs, old to Keras 3: initializers, activations, losses ..."""

from __future__ import annotations

from collections.abc import Mapping

#: Short names and old class names of initializers.
INITIALIZERS: Mapping[str, str] = {
    "glorot_uniform": "GlorotUniform",
    "glorot_normal": "GlorotNormal",
    "he_normal": "HeNormal",
    "he_uniform": "HeUniform",
    "lecun_normal": "LecunNormal",
    "lecun_uniform": "LecunUniform",
    "zeros": "Zeros",
    "zero": "Zeros",
    "ones": "Ones",
    "one": "Ones",
    "uniform": "RandomUniform",
    "normal": "RandomNormal",
    "random_uniform": "RandomUniform",
    "random_normal": "RandomNormal",
    "truncated_normal": "TruncatedNormal",
    "orthogonal": "Orthogonal",
    "identity": "Identity",
    "constant": "Constant",
    "variance_scaling": "VarianceScaling",
    "random_uniform_initializer": "RandomUniform",
    "random_normal_initializer": "RandomNormal",
    "zeros_initializer": "Zeros",
    "ones_initializer": "Ones",
    "constant_initializer": "Constant",
    "IdentityInitializer": "Identity",
    "OrthogonalInitializer": "Orthogonal",
    **{
        f"{name}{version}": name
        for version in ("V1", "V2")
        for name in (
            "GlorotUniform",
            "GlorotNormal",
            "RandomNormal",
            "RandomUniform",
            "TruncatedNormal",
            "VarianceScaling",
            "Zeros",
            "Ones",
            "Constant",
            "Orthogonal",
            "Identity",
            "HeNormal",
            "HeUniform",
            "LecunNormal",
            "LecunUniform",
        )
    },
}
CONSTRAINTS: Mapping[str, str] = {
    "max_norm": "MaxNorm",
    "maxnorm": "MaxNorm",
    "non_neg": "NonNeg",
    "nonneg": "NonNeg",
    "unit_norm": "UnitNorm",
    "unitnorm": "UnitNorm",
    "min_max_norm": "MinMaxNorm",
}
REGULARIZERS: Mapping[str, str] = {
    "l1": "L1",
    "l2": "L2",
    "l1_l2": "L1L2",
    "WeightRegularizer": "L1L2",
    "ActivityRegularizer": "L1L2",
    "orthogonal_regularizer": "OrthogonalRegularizer",
}
#: Activations of Keras 1 and 2 by the name they were saved under.
ACTIVATIONS: Mapping[str, str] = {
    "hard_sigmoid": "hozon>hard_sigmoid",
    "swish": "silu",
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
    "relu_v2": "relu",
    "leaky_relu_v2": "leaky_relu",
    "gelu_v2": "gelu",
    "identity": "linear",
}
SHORT_NAMES: Mapping[str, Mapping[str, str]] = {
    "initializer": INITIALIZERS,
    "constraint": CONSTRAINTS,
    "regularizer": REGULARIZERS,
    "activation": ACTIVATIONS,
}
#: Keys that Keras 3's classes of a kind do not take.
DROPPED: Mapping[str, tuple[str, ...]] = {
    "initializer": ("dtype", "partition", "partition_info"),
    "constraint": (),
    "regularizer": (),
}
#: Keras 1 wrote ``{"name": "WeightRegularizer", "l1": ...}`` and ``{"name": "MaxNorm", "m": ...}``.
KERAS1_KEYS: Mapping[str, str] = {"m": "max_value"}
#: Suffix of a config key to the kind of object that it holds.
SUFFIXES = (
    ("initializer", "initializer"),
    ("regularizer", "regularizer"),
    ("constraint", "constraint"),
    ("activation", "activation"),
)
MODULES: Mapping[str, str] = {
    "layer": "keras.layers",
    "initializer": "keras.initializers",
    "regularizer": "keras.regularizers",
    "constraint": "keras.constraints",
}


def kind_of_key(key: str) -> str | None:
    """The kind of object that a config key holds, None for plain values."""
    return next((kind for suffix, kind in SUFFIXES if key.endswith(suffix)), None)
