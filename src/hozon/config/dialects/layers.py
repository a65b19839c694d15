"""Keras 1 and 2 layer configs to Keras 3: one row per difference (see the Keras 3 migration list,
keras issue 18467, and the constructors of tf_keras 2.21)."""

from __future__ import annotations

from collections.abc import Mapping

from hozon.config.dialects.rules import (
    Convert,
    Default,
    Drop,
    DropNeutral,
    Refuse,
    Rename,
    Rule,
    pairs,
    single,
)

#: Keys of every layer.
COMMON: tuple[Rule, ...] = (
    Drop("batch_input_shape"),
    Drop("batch_size"),
    Drop("input_dtype"),
    Drop("input_shape"),
    Drop("input_dim"),
    Drop("expects_training_arg"),
    Drop("autocast"),
)

RECURRENT: tuple[Rule, ...] = (
    DropNeutral("time_major"),
    Drop("implementation"),
    Drop("input_length"),
    Drop("cell_type"),
)
DEPTHWISE: tuple[Rule, ...] = (
    DropNeutral("groups", (None, 1)),
    Drop("filters"),
    Drop("kernel_initializer"),
    Drop("kernel_regularizer"),
    Drop("kernel_constraint"),
)
SEPARABLE: tuple[Rule, ...] = (
    DropNeutral("groups", (None, 1)),
    Drop("kernel_initializer"),
    Drop("kernel_regularizer"),
    Drop("kernel_constraint"),
)
TRANSPOSED: tuple[Rule, ...] = (DropNeutral("groups", (None, 1)),)
BATCH_NORM: tuple[Rule, ...] = (
    Convert("axis", single),
    DropNeutral("renorm"),
    Drop("renorm_clipping"),
    Drop("renorm_momentum"),
    Drop("fused"),
    DropNeutral("virtual_batch_size"),
    DropNeutral("adjustment"),
    Drop("synchronized"),
    Drop("mode"),
)
SPATIAL_DROPOUT: tuple[Rule, ...] = (Drop("noise_shape"),)
RANDOM: tuple[Rule, ...] = (Drop("rng_type"), Drop("force_generator"), Drop("auto_vectorize"))
PADDING: tuple[Rule, ...] = (Convert("padding", pairs),)
CROPPING: tuple[Rule, ...] = (Convert("cropping", pairs),)
ATTENTION: tuple[Rule, ...] = (
    Drop("query_shape"),
    Drop("key_shape"),
    Drop("value_shape"),
    Drop("softmax_robust_masking"),
    Convert("attention_axes", pairs),
)
OTHER_MEANING = (Refuse("Keras 3 draws or crops differently under this name"),)

LAYERS: Mapping[str, tuple[Rule, ...]] = {
    "SimpleRNN": RECURRENT,
    "LSTM": RECURRENT,
    "GRU": (*RECURRENT, Default("reset_after", False)),
    "RNN": RECURRENT,
    "ConvLSTM1D": RECURRENT,
    "ConvLSTM2D": RECURRENT,
    "ConvLSTM3D": RECURRENT,
    "SimpleRNNCell": (Drop("implementation"),),
    "LSTMCell": (Drop("implementation"),),
    "GRUCell": (Drop("implementation"), Default("reset_after", False)),
    "StackedRNNCells": (DropNeutral("reverse_state_order"),),
    "Bidirectional": RECURRENT,
    "DepthwiseConv1D": DEPTHWISE,
    "DepthwiseConv2D": DEPTHWISE,
    "SeparableConv1D": SEPARABLE,
    "SeparableConv2D": SEPARABLE,
    "Conv1DTranspose": TRANSPOSED,
    "Conv2DTranspose": TRANSPOSED,
    "Conv3DTranspose": TRANSPOSED,
    "BatchNormalization": BATCH_NORM,
    "LayerNormalization": (Convert("axis", single),),
    "GroupNormalization": (Convert("axis", single),),
    "UnitNormalization": (Convert("axis", single),),
    "Softmax": (Convert("axis", single),),
    "SpatialDropout1D": SPATIAL_DROPOUT,
    "SpatialDropout2D": SPATIAL_DROPOUT,
    "SpatialDropout3D": SPATIAL_DROPOUT,
    "AlphaDropout": (),
    "Embedding": (Drop("input_length"), Drop("sparse"), Drop("dropout")),
    "LeakyReLU": (Rename("alpha", "negative_slope"),),
    "ELU": (),
    "PReLU": (Convert("shared_axes", list),),
    "MultiHeadAttention": ATTENTION,
    "Attention": (DropNeutral("causal"),),
    "AdditiveAttention": (DropNeutral("causal"),),
    "ZeroPadding1D": PADDING,
    "ZeroPadding2D": PADDING,
    "ZeroPadding3D": PADDING,
    "Cropping1D": CROPPING,
    "Cropping2D": CROPPING,
    "Cropping3D": CROPPING,
    "Reshape": (Convert("target_shape", tuple),),
    "Permute": (Convert("dims", tuple),),
    "Concatenate": (Drop("mode"),),
    "RandomFlip": RANDOM,
    "RandomRotation": RANDOM,
    "RandomTranslation": RANDOM,
    "RandomZoom": RANDOM,
    "RandomContrast": RANDOM,
    "RandomBrightness": RANDOM,
    "RandomCrop": OTHER_MEANING,
    "Discretization": (Drop("trainable"), Rename("bins", "num_bins"), Drop("sparse")),
    "CategoryEncoding": (Rename("max_tokens", "num_tokens"), Drop("sparse")),
    "Normalization": (),
    "Rescaling": (),
    "Resizing": (),
    "Flatten": (),
    "TextVectorization": (Refuse("text is read on the host"),),
    "StringLookup": (Refuse("text is read on the host"),),
    "IntegerLookup": (Refuse("lookup runs on the host"),),
    "Hashing": (Refuse("hashing runs on the host"),),
    "HashedCrossing": (Refuse("hashing runs on the host"),),
    "SpectralNormalization": (),
}
