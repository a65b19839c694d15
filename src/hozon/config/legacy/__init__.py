"""What Keras 3 removed, or gave another meaning, as Keras 2 had it; registered as ``hozon>...``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hozon.config.legacy.activations import hard_sigmoid
from hozon.config.legacy.image import RandomCrop, RandomHeight, RandomWidth
from hozon.config.legacy.local import LocallyConnected1D, LocallyConnected2D
from hozon.config.legacy.normalization import BatchNormalization
from hozon.config.legacy.optimizers import Adagrad, Nadam, RMSprop
from hozon.config.legacy.resizing import Resizing, UpSampling2D
from hozon.config.legacy.separable import SeparableConv1D
from hozon.config.legacy.simple import (
    AddLoss,
    AddMetric,
    MultiHeadAttention,
    RandomFourierFeatures,
    ThresholdedReLU,
    TimeDistributed,
    TimeMajor,
)
from hozon.config.legacy.tf_layers import (
    InstanceMethod,
    InstanceProperty,
    SlicingOpLambda,
    TFOpLambda,
)

LEGACY_LAYERS: Mapping[str, type] = {
    f"hozon>{layer.__name__}": layer
    for layer in (
        AddLoss,
        AddMetric,
        BatchNormalization,
        InstanceMethod,
        InstanceProperty,
        LocallyConnected1D,
        LocallyConnected2D,
        MultiHeadAttention,
        RandomCrop,
        RandomFourierFeatures,
        RandomHeight,
        RandomWidth,
        Resizing,
        SeparableConv1D,
        SlicingOpLambda,
        TFOpLambda,
        ThresholdedReLU,
        TimeDistributed,
        TimeMajor,
        UpSampling2D,
    )
}
LEGACY_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"hozon>hard_sigmoid": hard_sigmoid}
LEGACY_OPTIMIZERS: Mapping[str, type] = {
    "hozon>Adagrad": Adagrad,
    "hozon>Nadam": Nadam,
    "hozon>RMSprop": RMSprop,
}
