"""Keras' built-in layers, each as small as it can be, and what they are called with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from keras import layers

from tests.unit.graphs.emit.harness import floats, integers

F32, I32 = "float32", "int32"


@dataclass(frozen=True)
class Use:
    """A layer, the sizes of its inputs but for the batch's, and how it is called."""

    make: Callable[[], Any]
    sizes: Sequence[Any] = ((4,),)
    kind: str = F32
    listed: bool = False
    call: dict[str, Any] = field(default_factory=dict)
    training: bool = False

    def inputs(self, batch: int) -> list[Any]:
        """Values for each input; several sizes in one are those of a state."""
        return [self._one(batch, size) for size in self.sizes]

    def _one(self, batch: int, size: Any) -> Any:
        if size and isinstance(size[0], tuple):
            return tuple(self._one(batch, part) for part in size)
        if self.kind == F32:
            return floats(batch, *size)
        return integers(0, 5, batch, *size)


VECTOR, LINE, PICTURE, SPACE = ((4,),), ((6, 4),), ((8, 8, 3),), ((4, 4, 4, 2),)
_MOVIE = ((3, 6, 6, 2),)

#: One or more uses of each layer.
USES = {
    "Activation": Use(lambda: layers.Activation("gelu")),
    "ActivityRegularization": Use(lambda: layers.ActivityRegularization(0.1)),
    **{
        f"Adaptive{kind}Pooling{n}D": Use(
            partial(getattr(layers, f"Adaptive{kind}Pooling{n}D"), 2), sizes
        )
        for kind in ("Average", "Max")
        for n, sizes in ((1, LINE), (2, PICTURE), (3, SPACE))
    },
    **{
        name: Use(getattr(layers, name), VECTOR * 2, listed=True)
        for name in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")
    },
    "AdditiveAttention": Use(layers.AdditiveAttention, LINE * 2, listed=True),
    "AlphaDropout": Use(lambda: layers.AlphaDropout(0.5, seed=1), training=True),
    "Attention": Use(lambda: layers.Attention(use_scale=True), LINE * 2, listed=True),
    **{
        f"{kind}Pooling{n}D": Use(
            partial(getattr(layers, f"{kind}Pooling{n}D"), 2, padding="same"), sizes
        )
        for kind in ("Average", "Max")
        for n, sizes in ((1, LINE), (2, PICTURE), (3, SPACE))
    },
    "BatchNormalization": Use(layers.BatchNormalization, PICTURE, training=True),
    "Bidirectional": Use(lambda: layers.Bidirectional(layers.GRU(3)), LINE),
    "CategoryEncoding": Use(
        lambda: layers.CategoryEncoding(5, output_mode="multi_hot"), ((3,),), I32
    ),
    "CenterCrop": Use(lambda: layers.CenterCrop(4, 4), PICTURE),
    **{
        f"Conv{n}D": Use(
            partial(getattr(layers, f"Conv{n}D"), 3, 3, strides=2, padding="same"), sizes
        )
        for n, sizes in ((1, LINE), (2, PICTURE), (3, SPACE))
    },
    **{
        f"Conv{n}DTranspose": Use(
            partial(getattr(layers, f"Conv{n}DTranspose"), 3, 3, strides=2), sizes
        )
        for n, sizes in ((1, LINE), (2, PICTURE), (3, SPACE))
    },
    "ConvLSTM1D": Use(lambda: layers.ConvLSTM1D(2, 3), ((3, 6, 2),)),
    "ConvLSTM2D": Use(lambda: layers.ConvLSTM2D(2, 3), _MOVIE),
    "ConvLSTM3D": Use(lambda: layers.ConvLSTM3D(1, 2), ((2, 3, 3, 3, 1),)),
    "Cropping1D": Use(lambda: layers.Cropping1D(1), LINE),
    "Cropping2D": Use(lambda: layers.Cropping2D(1), PICTURE),
    "Cropping3D": Use(lambda: layers.Cropping3D(1), SPACE),
    "Dense": Use(lambda: layers.Dense(3, "relu"), LINE),
    "DepthwiseConv1D": Use(lambda: layers.DepthwiseConv1D(3), LINE),
    "DepthwiseConv2D": Use(lambda: layers.DepthwiseConv2D(3, padding="same"), PICTURE),
    "Discretization": Use(lambda: layers.Discretization([-1.0, 0.0, 1.0])),
    "Dot": Use(lambda: layers.Dot(axes=1), VECTOR * 2, listed=True),
    "Dropout": Use(lambda: layers.Dropout(0.5, seed=1), training=True),
    "ELU": Use(layers.ELU),
    "EinsumDense": Use(lambda: layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"), LINE),
    "Embedding": Use(lambda: layers.Embedding(5, 3), ((6,),), I32),
    "EmbeddingOfFloats": Use(lambda: layers.Embedding(5, 3), ((6,),)),
    "Flatten": Use(layers.Flatten, PICTURE),
    "GRU": Use(lambda: layers.GRU(3, dropout=0.3, seed=1), LINE, training=True),
    "GRUCell": Use(lambda: layers.GRUCell(3), ((4,), (3,))),
    "GaussianDropout": Use(lambda: layers.GaussianDropout(0.5, seed=1), training=True),
    "GaussianNoise": Use(lambda: layers.GaussianNoise(0.5, seed=1), training=True),
    **{
        f"Global{kind}Pooling{n}D": Use(getattr(layers, f"Global{kind}Pooling{n}D"), sizes)
        for kind in ("Average", "Max")
        for n, sizes in ((1, LINE), (2, PICTURE), (3, SPACE))
    },
    "GroupNormalization": Use(lambda: layers.GroupNormalization(3), PICTURE),
    "GroupedQueryAttention": Use(lambda: layers.GroupQueryAttention(4, 4, 2), LINE * 2),
    "Identity": Use(layers.Identity),
    "LSTM": Use(
        lambda: layers.LSTM(3, return_sequences=True, dropout=0.3, seed=1), LINE, training=True
    ),
    "LSTMCell": Use(lambda: layers.LSTMCell(3), ((4,), ((3,), (3,)))),
    "Lambda": Use(lambda: layers.Lambda(lambda x: x * 2)),
    "LayerNormalization": Use(layers.LayerNormalization),
    "LeakyReLU": Use(layers.LeakyReLU),
    "Masking": Use(layers.Masking, LINE),
    "MelSpectrogram": Use(
        lambda: layers.MelSpectrogram(fft_length=8, sequence_stride=4, num_mel_bins=4), ((32,),)
    ),
    "MultiHeadAttention": Use(
        lambda: layers.MultiHeadAttention(2, 3, dropout=0.3, seed=1), LINE * 2, training=True
    ),
    "MultiHeadAttentionCausal": Use(
        lambda: layers.MultiHeadAttention(2, 3), LINE * 2, call={"use_causal_mask": True}
    ),
    "Normalization": Use(lambda: layers.Normalization(mean=0.5, variance=2.0)),
    "PReLU": Use(layers.PReLU),
    "Permute": Use(lambda: layers.Permute((2, 1)), LINE),
    "RMSNormalization": Use(layers.RMSNormalization),
    "RNN": Use(lambda: layers.RNN(layers.SimpleRNNCell(3)), LINE),
    "ReLU": Use(lambda: layers.ReLU(6, 0.1, 0.5)),
    "RepeatVector": Use(lambda: layers.RepeatVector(3)),
    "Rescaling": Use(lambda: layers.Rescaling(2.0, 1.0)),
    "Reshape": Use(lambda: layers.Reshape((-1, 2)), LINE),
    "Resizing": Use(lambda: layers.Resizing(5, 12), PICTURE),
    "ReversibleEmbedding": Use(lambda: layers.ReversibleEmbedding(5, 3), ((6,),), I32),
    "STFTSpectrogram": Use(
        lambda: layers.STFTSpectrogram(frame_length=8, frame_step=4, fft_length=8), ((32, 1),)
    ),
    "SeparableConv1D": Use(lambda: layers.SeparableConv1D(3, 3), LINE),
    "SeparableConv2D": Use(lambda: layers.SeparableConv2D(3, 3), PICTURE),
    "SimpleRNN": Use(lambda: layers.SimpleRNN(3), LINE),
    "SimpleRNNCell": Use(lambda: layers.SimpleRNNCell(3), ((4,), (3,))),
    "Softmax": Use(layers.Softmax),
    "SpatialDropout1D": Use(lambda: layers.SpatialDropout1D(0.5, seed=1), LINE, training=True),
    "SpatialDropout2D": Use(lambda: layers.SpatialDropout2D(0.5, seed=1), PICTURE, training=True),
    "SpatialDropout3D": Use(lambda: layers.SpatialDropout3D(0.5, seed=1), SPACE, training=True),
    "SpectralNormalization": Use(
        lambda: layers.SpectralNormalization(layers.Dense(3)), training=True
    ),
    "StackedRNNCells": Use(
        lambda: layers.RNN(layers.StackedRNNCells([layers.GRUCell(3), layers.LSTMCell(2)])), LINE
    ),
    "TimeDistributed": Use(lambda: layers.TimeDistributed(layers.Dense(3)), LINE),
    "UnitNormalization": Use(layers.UnitNormalization),
    "UpSampling1D": Use(lambda: layers.UpSampling1D(2), LINE),
    "UpSampling2D": Use(lambda: layers.UpSampling2D(2, interpolation="bilinear"), PICTURE),
    "UpSampling3D": Use(lambda: layers.UpSampling3D(2), SPACE),
    "ZeroPadding1D": Use(lambda: layers.ZeroPadding1D(1), LINE),
    "ZeroPadding2D": Use(lambda: layers.ZeroPadding2D(1), PICTURE),
    "ZeroPadding3D": Use(lambda: layers.ZeroPadding3D(1), SPACE),
}

_VALUES = {"value_range": (0.0, 1.0), "seed": 1}
#: Layers that change pictures at random, in training.
AUGMENTING = {
    "AugMix": _VALUES,
    "AutoContrast": {"value_range": (0.0, 1.0)},
    "ContrastLimitedAdaptiveHistogramEqualization": {"value_range": (0.0, 1.0)},
    "Equalization": {"value_range": (0.0, 1.0)},
    "RandAugment": _VALUES,
    "RandomBrightness": {"factor": 0.3, **_VALUES},
    "RandomColorDegeneration": {"factor": 0.3, **_VALUES},
    "RandomColorJitter": {
        "brightness_factor": 0.3,
        "contrast_factor": 0.3,
        "saturation_factor": 0.3,
        "hue_factor": 0.3,
        **_VALUES,
    },
    "RandomContrast": {"factor": 0.3, **_VALUES},
    "RandomErasing": _VALUES,
    "RandomFlip": {"seed": 1},
    "RandomGaussianBlur": _VALUES,
    "RandomGrayscale": {"factor": 0.5, "seed": 1},
    "RandomHue": {"factor": 0.3, **_VALUES},
    "RandomInvert": _VALUES,
    "RandomPerspective": {"seed": 1},
    "RandomPosterization": {"factor": 4, **_VALUES},
    "RandomRotation": {"factor": 0.3, "seed": 1},
    "RandomSaturation": {"factor": 0.3, **_VALUES},
    "RandomSharpness": {"factor": 0.3, **_VALUES},
    "RandomShear": {"x_factor": 0.3, "y_factor": 0.3, "seed": 1},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3, "seed": 1},
    "RandomZoom": {"height_factor": 0.3, "width_factor": 0.3, "seed": 1},
    "Solarization": _VALUES,
}
USES |= {
    name: Use(partial(getattr(layers, name), **given), PICTURE, training=True)
    for name, given in AUGMENTING.items()
}
#: Layers whose gradients TensorFlow computes as well, one for each family of ops.
DIFFERENTIATED = (
    "Attention",
    "AveragePooling2D",
    "BatchNormalization",
    "Bidirectional",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "ConvLSTM2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "GRU",
    "GroupNormalization",
    "GroupedQueryAttention",
    "LSTM",
    "LayerNormalization",
    "MaxPooling2D",
    "MultiHeadAttention",
    "PReLU",
    "Resizing",
    "SeparableConv2D",
    "Softmax",
    "SpectralNormalization",
    "TimeDistributed",
    "UpSampling2D",
)
#: Layers that Hozon's interpreter runs as well.
OWN = ("BatchNormalization", "Conv2DTranspose", "LSTM", "MultiHeadAttention", "RandomRotation")
#: Layers whose values are not compared, and why.
NOT_COMPARED = {
    "AugMix": "Python draws what is done while the layer is traced",
    "Equalization": "XLA compiles it for half a minute",
    "RandAugment": "Python draws what is done while the layer is traced",
}
#: Layers that JAX cannot trace in training, and why.
NOT_TRACED = {
    "CutMix": "JAX shuffles no free number of pictures",
    "MixUp": "JAX shuffles no free number of pictures",
    "RandomCrop": "Python slices at a place that is drawn",
    "RandomElasticTransform": "Python looks at a width that is drawn",
}
#: Layers of text and tables, which compute outside of JAX.
PREPROCESSING = ("Hashing", "HashedCrossing", "IntegerLookup", "StringLookup", "TextVectorization")
#: Layers that are others' frames or that wrap foreign code.
FRAMES = (
    "FlaxLayer",
    "InputLayer",
    "JaxLayer",
    "Layer",
    "MaxNumBoundingBoxes",
    "Pipeline",
    "TFSMLayer",
    "TorchModuleWrapper",
    "Wrapper",
)
