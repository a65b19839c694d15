"""What Keras 2 has: layers, activations and other names that a written config may use.

Taken from tf_keras 2.21's public namespaces.
"""

from __future__ import annotations

from collections.abc import Mapping

LAYERS = frozenset(
    {"Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout",
     "Attention", "Average", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
     "BatchNormalization", "Bidirectional", "CategoryEncoding", "CenterCrop", "Concatenate",
     "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose",
     "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Cropping1D", "Cropping2D", "Cropping3D",
     "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Discretization", "Dot", "Dropout",
     "ELU", "EinsumDense", "Embedding", "Flatten", "GRU", "GRUCell", "GaussianDropout",
     "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
     "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
     "GlobalMaxPooling3D", "GroupNormalization", "HashedCrossing", "Hashing", "Identity",
     "InputLayer", "IntegerLookup", "LSTM", "LSTMCell", "Lambda", "LayerNormalization",
     "LeakyReLU", "LocallyConnected1D", "LocallyConnected2D", "Masking", "MaxPooling1D",
     "MaxPooling2D", "MaxPooling3D", "Maximum", "Minimum", "MultiHeadAttention", "Multiply",
     "Normalization", "PReLU", "Permute", "RNN", "RandomBrightness", "RandomContrast",
     "RandomCrop", "RandomFlip", "RandomHeight", "RandomRotation", "RandomTranslation",
     "RandomWidth", "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape",
     "Resizing", "SeparableConv1D", "SeparableConv2D", "SimpleRNN", "SimpleRNNCell",
     "Softmax", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
     "SpectralNormalization", "StackedRNNCells", "StringLookup", "Subtract",
     "TextVectorization", "ThresholdedReLU", "TimeDistributed", "UnitNormalization",
     "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D",
     "ZeroPadding3D"}
)  # fmt: skip
#: Keras 3's own layers.
KERAS3_LAYERS = frozenset(
    {"AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D",
     "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", "AugMix",
     "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "CutMix",
     "Equalization", "FlaxLayer", "GroupQueryAttention", "JaxLayer", "MaxNumBoundingBoxes",
     "MelSpectrogram", "MixUp", "Pipeline", "RMSNormalization", "RandAugment",
     "RandomColorDegeneration", "RandomColorJitter", "RandomElasticTransform",
     "RandomErasing", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert",
     "RandomPerspective", "RandomPosterization", "RandomSaturation", "RandomSharpness",
     "RandomShear", "ReversibleEmbedding", "STFTSpectrogram", "Solarization", "TFSMLayer",
     "TorchModuleWrapper"}
)  # fmt: skip
#: Hozon's classes for what Keras 2 had, under their names there.
CLASSES: Mapping[str, str] = {
    f"hozon>{name}": name
    for name in (
        "AddLoss", "AddMetric", "InstanceMethod", "InstanceProperty", "LocallyConnected1D",
        "LocallyConnected2D", "MultiHeadAttention", "RandomCrop", "RandomFourierFeatures",
        "RandomHeight", "RandomWidth", "Resizing", "SlicingOpLambda", "TFOpLambda",
        "ThresholdedReLU", "UpSampling2D",
    )
}  # fmt: skip
#: Modules of classes that are in no public namespace of tf_keras.
INTERNAL: Mapping[str, str] = {
    **dict.fromkeys(("TFOpLambda", "SlicingOpLambda", "InstanceProperty", "InstanceMethod"),
                    "tf_keras.src.layers.core.tf_op_layer"),
    **dict.fromkeys(("AddLoss", "AddMetric"), "tf_keras.src.engine.base_layer"),
    "RandomFourierFeatures": "tf_keras.src.layers.kernelized",
    "LossScaleOptimizerV3": "tf_keras.src.mixed_precision.loss_scale_optimizer",
}  # fmt: skip
#: Keras 3's activations under the names that Keras 2 knows the same function by.
ACTIVATIONS: Mapping[str, str] = {
    **{name: name for name in ("elu", "exponential", "gelu", "linear", "mish", "relu", "selu",
                               "sigmoid", "softmax", "softplus", "softsign", "swish", "tanh")},
    "silu": "swish", "hozon>hard_sigmoid": "hard_sigmoid",
}  # fmt: skip
#: Activations that are layers in Keras 2, which takes those in their place: class and config.
ACTIVATION_LAYERS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "relu6": ("ReLU", {"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}),
    "leaky_relu": ("LeakyReLU", {"alpha": 0.2}),
    "celu": ("ELU", {"alpha": 1.0}),
}
#: Activations that Keras 2 has nothing for, or another function of the same name.
NEW_ACTIVATIONS: Mapping[str, str] = {
    "hard_sigmoid": "Keras 2's hard_sigmoid is another function, clip(0.2 x + 0.5, 0, 1)",
    **dict.fromkeys(
        ("glu", "hard_shrink", "hard_silu", "hard_swish", "hard_tanh", "log_sigmoid",
         "soft_shrink", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus",
         "tanh_shrink", "threshold"),
        "Keras 2 has no such activation"),
}  # fmt: skip
#: Arguments of initializers that Keras 3 added, with what they mean when they say nothing.
INITIALIZER_NEWER = ("input_axes", "output_axes")
NEW_INITIALIZERS = frozenset({"STFT", "STFTInitializer"})
