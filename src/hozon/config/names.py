"""Class names that changed between Keras 1, 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping

#: Old class name to the name in Keras 3, where the meaning is the same.
ALIASES: Mapping[str, str] = {
    # Keras 1
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    # Keras 2
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "GRUV2": "GRU",
    "LSTMV2": "LSTM",
    "GRUCellV2": "GRUCell",
    "LSTMCellV2": "LSTMCell",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "Convolution2DTranspose": "Conv2DTranspose",
    "DenseAttention": "Attention",
    # initializers
    "GlorotUniformV2": "GlorotUniform",
    "GlorotNormalV2": "GlorotNormal",
    "RandomNormalV2": "RandomNormal",
    "RandomUniformV2": "RandomUniform",
    "TruncatedNormalV2": "TruncatedNormal",
    "VarianceScalingV2": "VarianceScaling",
    "ZerosV2": "Zeros",
    "OnesV2": "Ones",
    "ConstantV2": "Constant",
    "OrthogonalV2": "Orthogonal",
    "IdentityV2": "Identity",
    "HeNormalV2": "HeNormal",
    "HeUniformV2": "HeUniform",
    "LecunNormalV2": "LecunNormal",
    "LecunUniformV2": "LecunUniform",
    # optimizers
    "LossScaleOptimizerV3": "LossScaleOptimizer",
    "adam": "Adam",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
}
