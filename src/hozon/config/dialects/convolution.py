"""Rows for convolution and pooling layers."""

from __future__ import annotations

from hozon.config.dialects.core import merged_lora
from hozon.config.dialects.rules import (
    Become,
    Convert,
    Drop,
    DropNeutral,
    Newer,
    Rule,
    Table,
    tuples,
)

LOCAL = "Keras 3 has no unshared convolution"

GENERATED = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
ONE_GROUP: tuple[Rule, ...] = (DropNeutral("groups", (None, 1)),)
DEPTHWISE: tuple[Rule, ...] = (*ONE_GROUP, Drop("filters", *GENERATED))
SEPARABLE: tuple[Rule, ...] = (*ONE_GROUP, Drop(*GENERATED))
TRANSPOSED: tuple[Rule, ...] = (*ONE_GROUP, Convert("output_padding", tuples))

CONVOLUTION: Table = {
    "DepthwiseConv1D": DEPTHWISE,
    "DepthwiseConv2D": DEPTHWISE,
    "SeparableConv1D": (
        *SEPARABLE,
        Become(
            "hozon>SeparableConv1D",
            "Keras 3 has no causal separable convolution",
            lambda config: config.get("padding") == "causal",
        ),
    ),
    "SeparableConv2D": SEPARABLE,
    "Conv1DTranspose": TRANSPOSED,
    "Conv2DTranspose": TRANSPOSED,
    "Conv3DTranspose": TRANSPOSED,
    "LocallyConnected1D": (Become("hozon>LocallyConnected1D", LOCAL),),
    "LocallyConnected2D": (Become("hozon>LocallyConnected2D", LOCAL),),
}

PLAIN: tuple[Rule, ...] = (merged_lora, Newer("quantization_config"))
GENERATES: tuple[Rule, ...] = (*PLAIN, Drop("filters", *GENERATED))
POOLING: tuple[Rule, ...] = (Drop("pool_dimensions", "pool_mode"),)
POOLS = tuple(f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3))

CONVOLUTION_WRITTEN: Table = {
    **dict.fromkeys(
        (
            "Conv1D",
            "Conv2D",
            "Conv3D",
            "Conv1DTranspose",
            "Conv2DTranspose",
            "Conv3DTranspose",
            "SeparableConv1D",
            "SeparableConv2D",
        ),
        PLAIN,
    ),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), GENERATES),
    **dict.fromkeys(POOLS, POOLING),
    "hozon>SeparableConv1D": PLAIN,
}
