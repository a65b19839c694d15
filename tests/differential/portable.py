"""A spec of one Keras for the other: weights are loaded into a model that is built anew."""

from __future__ import annotations

from typing import Any

#: Names that changed, each way; an argument that only one has is left out.
RENAMED = {
    "LeakyReLU": ("alpha", "negative_slope"),
}
KERAS2_ONLY = {"implementation", "jit_compile"}
KERAS3_ONLY = {"gradient_accumulation_steps"}
#: What means something else in the other Keras.
UNLIKE = ("hard_sigmoid", "ThresholdedReLU", "causal", "Discretization", "TextVectorization")
UNLIKE += ("StringLookup", "IntegerLookup", "Hashing")
#: Layers that hold others, which Keras 3 does not freeze where their constructor takes `trainable`.
HOLDERS = ("Bidirectional", "TimeDistributed", "RNN", "SpectralNormalization", "Block", "Stack")
HOLDERS += ("Residual", "Holder", "Twin", "Tower", "MultiHeadAttention")


def same_everywhere(spec: Any) -> bool:
    """Whether a model of this spec computes the same in both Keras."""
    if isinstance(spec, dict):
        if spec.get("class") == "ConvLSTM1D" and "recurrent_activation" not in spec["args"]:
            return False  # hard_sigmoid in Keras 2
        if spec.get("class") == "EinsumDense" and None in spec["args"].get("output_shape", ()):
            return False  # a size that Keras 3 does not fill in
        if spec.get("class") in HOLDERS and "trainable" in spec["args"]:
            return False
        return all(same_everywhere(value) for value in spec.values())
    if isinstance(spec, list):
        return all(same_everywhere(value) for value in spec)
    return spec not in UNLIKE


def translated(value: Any, keras2: bool) -> Any:
    """A spec, or a part of one, for tf_keras or for Keras 3."""
    if isinstance(value, list):
        return [translated(item, keras2) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: translated(item, keras2) for key, item in value.items()}
    if isinstance(found.get("args"), dict):
        leave = KERAS3_ONLY if keras2 else KERAS2_ONLY
        found["args"] = {name: arg for name, arg in found["args"].items() if name not in leave}
    if found.get("class") in RENAMED:
        old, new = RENAMED[found["class"]] if not keras2 else RENAMED[found["class"]][::-1]
        if old in found["args"]:
            found["args"][new] = found["args"].pop(old)
    if "object" in found:
        found["object"] = _optimizer(found["object"], keras2)
    if isinstance(found.get("name"), str) and not keras2:
        found["name"] = found["name"].replace("/", "_")
    return found


def _optimizer(name: str, keras2: bool) -> str:
    scaled = ("optimizers.LossScaleOptimizer", "mixed_precision.LossScaleOptimizer")
    if name in scaled:
        return scaled[keras2]
    return name if keras2 else name.replace("optimizers.legacy.", "optimizers.")
