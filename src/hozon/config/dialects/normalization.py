"""Rows for normalization and attention layers."""

from __future__ import annotations

from hozon.config.dialects.rules import (
    Become,
    Convert,
    Drop,
    DropNeutral,
    Entry,
    Lose,
    Newer,
    Rule,
    Table,
    single,
    tuples,
)

AXIS = Convert("axis", single)


def no_sync(entry: Entry) -> None:
    """Statistics over all replicas: on JAX one program sees the whole batch."""
    if entry.config.pop("synchronized", False):
        entry.tell("synchronized=True is dropped: a JAX program sees the whole batch")


BATCH_NORM: tuple[Rule, ...] = (
    AXIS,
    Drop("fused", "mode"),
    Lose("virtual_batch_size", "training normalizes over the whole batch"),
    DropNeutral("adjustment"),
    no_sync,
    Become(
        "hozon>BatchNormalization",
        "Keras 3 normalizes over one axis",
        lambda config: isinstance(config.get("axis"), (list, tuple)),
    ),
)
ATTENTION: tuple[Rule, ...] = (DropNeutral("causal"),)

NORMALIZATION: Table = {
    "BatchNormalization": BATCH_NORM,
    "LayerNormalization": (AXIS,),
    "GroupNormalization": (AXIS,),
    "UnitNormalization": (AXIS,),
    "Softmax": (AXIS, Drop("robust_masking")),
    "Normalization": (),
    "MultiHeadAttention": (
        Drop("query_shape", "key_shape", "value_shape", "softmax_robust_masking"),
        Convert("attention_axes", tuples),
        Become(
            "hozon>MultiHeadAttention",
            "Keras 3's fused attention takes values of the keys' width only",
            lambda config: config.get("value_dim") not in (None, config.get("key_dim")),
        ),
    ),
    "Attention": ATTENTION,
    "AdditiveAttention": ATTENTION,
}


def renormalized(entry: Entry) -> None:
    """The arguments of batch renormalization mean something only where it is on."""
    if not entry.config.get("renorm"):
        Drop("renorm", "renorm_clipping", "renorm_momentum")(entry)


def attention_shapes(entry: Entry) -> None:
    """Keras 2's MultiHeadAttention takes the shapes that it is built for from its config."""
    shapes = entry.build.get("shapes_dict", entry.build)
    query, value = shapes.get("query_shape"), shapes.get("value_shape")
    entry.config.update(
        query_shape=query, value_shape=value, key_shape=shapes.get("key_shape") or value
    )


MULTI_HEAD: tuple[Rule, ...] = (
    Drop("seed", "flash_attention"),
    Newer("sliding_window"),
    Newer("use_gate"),
    Newer("quantization_config"),
    attention_shapes,
)

NORMALIZATION_WRITTEN: Table = {
    "BatchNormalization": (renormalized,),
    "LayerNormalization": (Newer("rms_scaling"),),
    "Attention": (Drop("seed"),),
    "MultiHeadAttention": MULTI_HEAD,
    "hozon>MultiHeadAttention": MULTI_HEAD,
    "AdditiveAttention": (Drop("score_mode", "seed"),),
}
