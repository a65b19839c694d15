"""What every Keras 1 and 2 layer config has in common, and classes that only changed their name."""

from __future__ import annotations

from collections.abc import Mapping

from hozon.config.dialects.rules import Drop, Entry, Rule


def no_input_dim(entry: Entry) -> None:
    """`input_dim` was a way to give the input's shape; for Embedding it is the vocabulary."""
    entry.config.pop("input_length", None)
    if entry.class_name.rsplit(">", 1)[-1] != "Embedding":
        entry.config.pop("input_dim", None)


def no_ragged(entry: Entry) -> None:
    """`ragged` tells of an input; only of text it tells what the layer gives."""
    if entry.class_name.rsplit(">", 1)[-1] != "TextVectorization":
        entry.config.pop("ragged", None)


#: Keys that moved to InputLayer, or that the saved object graph needed.
COMMON: tuple[Rule, ...] = (
    Drop("batch_input_shape", "batch_size", "input_dtype", "input_shape"),
    no_input_dim,
    no_ragged,
    Drop("expects_training_arg", "expects_mask_arg", "must_restore_from_config", "save_spec"),
    Drop("preserve_input_structure_in_config", "build_input_shape", "is_graph_network", "dynamic"),
)

#: Keys that Keras 2 put into the config of every layer, users' own too.
COMMON_OF_ALL: tuple[Rule, ...] = (Drop("batch_input_shape", "dynamic", "save_spec"),)

#: Old class name to the name in Keras 3 where the meaning is the same.
CLASSES: Mapping[str, str] = {
    # Keras 1
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "Deconvolution3D": "Conv3DTranspose",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "Convolution1DTranspose": "Conv1DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3DTranspose": "Conv3DTranspose",
    "TimeDistributedDense": "Dense",
    # Keras 2
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LayerNormalizationV2": "LayerNormalization",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "GRUCellV1": "GRUCell",
    "GRUCellV2": "GRUCell",
    "LSTMCellV1": "LSTMCell",
    "LSTMCellV2": "LSTMCell",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "DenseAttention": "Attention",
    "NormalizationV1": "Normalization",
    "TextVectorizationV1": "TextVectorization",
    "StringLookupV1": "StringLookup",
    "IntegerLookupV1": "IntegerLookup",
    "CategoryCrossing": "HashedCrossing",
}
