"""Small models of KerasHub with random weights, and inputs of a batch and a length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import keras_hub
import numpy as np

models = keras_hub.models
TOKENS = 11
LENGTH = 16


@dataclass(frozen=True)
class Model:
    """A model by its class; what it is made with; its inputs for a batch and a length."""

    name: str
    arguments: Mapping[str, Any]
    inputs: Callable[[int, int], dict[str, np.ndarray] | np.ndarray]
    use: str = ""
    head: Callable[[keras.Model], keras.Model] | None = None

    def make(self) -> keras.Model:
        """The model with the same random weights each time."""
        keras.utils.set_random_seed(1)
        made = getattr(models, self.name)(**self.arguments)
        return self.head(made) if self.head else made

    @property
    def title(self) -> str:
        """What its tests are called."""
        return self.name.removesuffix("Backbone") + (f", {self.use}" if self.use else "")


def _tokens(batch: int, length: int) -> np.ndarray:
    random = np.random.default_rng(batch * 100 + length)
    return random.integers(1, TOKENS, (batch, length), dtype="int32")


def _padding(batch: int, length: int) -> np.ndarray:
    """All is text but the last token of the first sample."""
    mask = np.ones((batch, length), "int32")
    mask[0, -1] = 0
    return mask


def ids(batch: int, length: int) -> dict[str, np.ndarray]:
    return {"token_ids": _tokens(batch, length)}


def text(batch: int, length: int) -> dict[str, np.ndarray]:
    return {**ids(batch, length), "padding_mask": _padding(batch, length)}


def segments(batch: int, length: int) -> dict[str, np.ndarray]:
    return {**text(batch, length), "segment_ids": np.zeros((batch, length), "int32")}


def no_padding(batch: int, length: int) -> dict[str, np.ndarray]:
    given = segments(batch, length)
    del given["padding_mask"]
    return given


def two_texts(batch: int, length: int) -> dict[str, np.ndarray]:
    """What is decoded is one token longer than what was encoded."""
    encoded, decoded = text(batch, length), text(batch, length + 1)
    return {
        **{f"encoder_{key}": value for key, value in encoded.items()},
        **{f"decoder_{key}": value for key, value in decoded.items()},
    }


def pictures(size: int) -> Callable[[int, int], np.ndarray]:
    def inputs(batch: int, length: int) -> np.ndarray:
        return np.random.default_rng(batch).random((batch, size, size, 3), "float32")

    return inputs


def named_pictures(size: int) -> Callable[[int, int], dict[str, np.ndarray]]:
    return lambda batch, length: {"images": pictures(size)(batch, length)}


ENCODER = {
    "vocabulary_size": TOKENS,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 4,
    "intermediate_dim": 8,
}
PLACED = {**ENCODER, "max_sequence_length": LENGTH}
DECODER = {
    "vocabulary_size": TOKENS,
    "num_layers": 2,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 16,
}
PATCHES = {
    "image_shape": (16, 16, 3),
    "patch_size": 4,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 8,
}
RESNET = {
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 64],
    "stackwise_num_blocks": [1, 1],
    "stackwise_num_strides": [1, 2],
}
PYRAMID = {
    "image_shape": (32, 32, 3),
    "layerwise_depths": [1, 1],
    "hidden_dims": [4, 8],
    "num_layers": 2,
    "layerwise_num_heads": [1, 2],
    "layerwise_sr_ratios": [4, 2],
    "max_drop_path_rate": 0.1,
    "layerwise_patch_sizes": [7, 3],
    "layerwise_strides": [4, 2],
}
ALBERT = {"embedding_dim": 4, "num_groups": 1, "num_inner_repetitions": 1}
FALCON = {**{k: v for k, v in ENCODER.items() if k != "num_heads"}, "num_attention_heads": 2}
FNET = {k: v for k, v in PLACED.items() if k != "num_heads"}
ELECTRA = {("vocab_size" if k == "vocabulary_size" else k): v for k, v in PLACED.items()}
ELECTRA |= {"embedding_dim": 4}
SMOL = {
    **{k: v for k, v in DECODER.items() if k != "num_query_heads"},
    "num_attention_heads": 4,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "rope_layer_enabled_list": [1, 0],
    "layer_types": ["full_attention"] * 2,
    "mlp_bias": False,
    "layer_norm_epsilon": 1e-5,
    "max_position_embeddings": LENGTH,
    "rope_theta": 1e4,
    "partial_rotary_factor": 1.0,
}
MOBILE = {
    "stackwise_expansion": [[40, 56], [64, 144]],
    "stackwise_num_blocks": [2, 2],
    "stackwise_num_filters": [[16, 16], [24, 24]],
    "stackwise_kernel_size": [[3, 3], [5, 5]],
    "stackwise_num_strides": [[2, 1], [2, 1]],
    "stackwise_se_ratio": [[None, None], [0.25, 0.25]],
    "stackwise_activation": [["relu", "relu"], ["hard_swish"] * 2],
    "stackwise_padding": [[1, 1], [2, 2]],
    "depthwise_filters": 8,
    "depthwise_stride": 1,
    "depthwise_residual": True,
    "input_num_filters": 8,
    "output_num_filters": 64,
    "last_layer_filter": 64,
    "squeeze_and_excite": 0.5,
}
EFFICIENT = {
    "stackwise_kernel_sizes": [3, 3],
    "stackwise_num_repeats": [1, 1],
    "stackwise_input_filters": [8, 8],
    "stackwise_output_filters": [8, 12],
    "stackwise_expansion_ratios": [1, 2],
    "stackwise_strides": [1, 2],
    "stackwise_squeeze_and_excite_ratios": [0.25, 0.25],
    "stackwise_block_types": ["v1", "v1"],
    "width_coefficient": 1.0,
    "depth_coefficient": 1.0,
}
HGNET = {
    "image_shape": (32, 32, 3),
    "depths": [1, 1],
    "embedding_size": 8,
    "hidden_sizes": [8, 16],
    "stem_channels": [3, 8, 8],
    "hidden_act": "relu",
    "use_learnable_affine_block": False,
    "stackwise_stage_filters": [[8, 4, 8, 1, 1, 3], [8, 8, 16, 1, 1, 3]],
    "apply_downsample": [False, True],
    "use_lightweight_conv_block": [False, False],
}
CSP = {
    "stem_filters": 8,
    "stem_kernel_size": 3,
    "stem_strides": 1,
    "stackwise_num_filters": [8, 16],
    "stackwise_strides": [1, 2],
    "stackwise_depth": [1, 1],
    "stage_type": "dark",
}


def _classifier(backbone: keras.Model) -> keras.Model:
    return models.BertTextClassifier(backbone=backbone, num_classes=3)


def _language_model(backbone: keras.Model) -> keras.Model:
    return models.GPT2CausalLM(backbone=backbone)


def _segformer(encoder: keras.Model) -> keras.Model:
    return models.SegFormerBackbone(image_encoder=encoder, projection_filters=8)


MODELS = [
    Model("AlbertBackbone", PLACED | ALBERT, segments),
    Model("BartBackbone", PLACED, two_texts),
    Model("BertBackbone", PLACED, segments),
    Model("BloomBackbone", ENCODER, text),
    Model("DebertaV3Backbone", {**PLACED, "bucket_size": 2}, text),
    Model("DistilBertBackbone", PLACED, text),
    Model("ElectraBackbone", ELECTRA, segments),
    Model("ESMBackbone", PLACED, ids),
    Model("FNetBackbone", FNET, no_padding),
    Model("FalconBackbone", FALCON, text),
    Model("GPT2Backbone", PLACED, text),
    Model("GPTNeoXBackbone", PLACED, text),
    Model("GemmaBackbone", {**DECODER, "head_dim": 4}, text),
    Model("Gemma3Backbone", {**DECODER, "head_dim": 4, "image_size": None}, text),
    Model("LlamaBackbone", DECODER, text),
    Model("Llama3Backbone", DECODER, text),
    Model("MistralBackbone", {**DECODER, "sliding_window": 4}, text),
    Model("MixtralBackbone", {**DECODER, "num_experts": 2, "top_k": 1}, text),
    Model("OPTBackbone", PLACED, text),
    Model("Phi3Backbone", DECODER, text),
    Model("QwenBackbone", DECODER, text),
    Model("Qwen3Backbone", {**DECODER, "head_dim": 4}, text),
    Model("RobertaBackbone", PLACED, text),
    Model("RoformerV2Backbone", {**ENCODER, "head_size": 2}, no_padding),
    Model("SmolLM3Backbone", SMOL, text),
    Model("T5Backbone", ENCODER, two_texts),
    Model("XLMRobertaBackbone", PLACED, text),
    Model(
        "BertBackbone",
        PLACED,
        segments,
        "classifier",
        _classifier,
    ),
    Model("GPT2Backbone", PLACED, text, "language model", _language_model),
    Model("CSPNetBackbone", CSP | {"block_type": "dark_block"}, pictures(32)),
    Model("DINOV2Backbone", PATCHES | {"intermediate_dim": 16}, named_pictures(16)),
    Model("DeiTBackbone", PATCHES | {"intermediate_dim": 16}, pictures(16)),
    Model(
        "DenseNetBackbone",
        {"stackwise_num_repeats": [1, 1], "compression_ratio": 0.5, "growth_rate": 2},
        pictures(32),
    ),
    Model("EfficientNetBackbone", EFFICIENT, pictures(32)),
    Model("HGNetV2Backbone", HGNET, pictures(32)),
    Model("MiTBackbone", PYRAMID, pictures(32)),
    Model("MiTBackbone", PYRAMID, pictures(32), "SegFormer", _segformer),
    Model("MobileNetBackbone", MOBILE, pictures(32)),
    Model("ResNetBackbone", RESNET | {"block_type": "basic_block"}, pictures(32), "basic"),
    Model(
        "ResNetBackbone",
        RESNET | {"block_type": "bottleneck_block", "use_pre_activation": True},
        pictures(32),
        "version 2",
    ),
    Model(
        "SwinTransformerBackbone",
        {"image_shape": (32, 32, 3), "patch_size": 4, "embed_dim": 8, "window_size": 4}
        | {"depths": [1, 1], "num_heads": [2, 2]},
        pictures(32),
    ),
    Model("ViTBackbone", PATCHES | {"mlp_dim": 16}, pictures(16)),
    Model(
        "VGGBackbone",
        {"stackwise_num_repeats": [1, 1], "stackwise_num_filters": [4, 8]}
        | {"image_shape": (32, 32, 3)},
        pictures(32),
    ),
    Model(
        "XceptionBackbone",
        {"stackwise_conv_filters": [[4, 4], [8, 8]], "stackwise_pooling": [True, False]},
        pictures(32),
    ),
]
