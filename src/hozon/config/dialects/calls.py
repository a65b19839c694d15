"""Calls whose arguments Keras 3 takes in another way than Keras 2 saved them, both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hozon.errors import UnsupportedError
from hozon.typing import Config, ConfigEntry

Call = dict[str, Any]
Adapt = Callable[[Call, Mapping[str, Any]], Call]


def initial_state(call: Call, config: ConfigEntry) -> Call:
    """Keras 2 saved ``rnn(x, initial_state=s, constants=c)`` as a call on ``[x, *s, *c]``."""
    first = call["args"][0] if call["args"] else None
    if not isinstance(first, list) or len(first) < 2:
        return call
    count = int(config.get("num_constants") or 0)
    end = len(first) - count
    kwargs = dict(call["kwargs"])
    if end > 1:
        kwargs["initial_state"] = first[1:end]
    if count:
        kwargs["constants"] = first[end:]
    return {"args": [first[0]], "kwargs": kwargs}


RECURRENT = (
    "SimpleRNN",
    "LSTM",
    "GRU",
    "RNN",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Bidirectional",
    "CuDNNLSTM",
    "CuDNNGRU",
    "LSTMV1",
    "LSTMV2",
    "GRUV1",
    "GRUV2",
)
CALLS: Mapping[str, Adapt] = dict.fromkeys(RECURRENT, initial_state)


def with_states(call: Call, config: Config) -> Call:
    """The other way; Keras 2's config says how many of the list are constants."""
    kwargs = dict(call["kwargs"])
    states, constants = kwargs.pop("initial_state", None), kwargs.pop("constants", None)
    first = [*call["args"], *_listed(states), *_listed(constants)]
    if constants is not None:
        config["num_constants"] = len(_listed(constants))
    return {"args": [first if len(first) > 1 else first[0]] if first else [], "kwargs": kwargs}


def _listed(value: Any) -> list[Any]:
    if isinstance(value, Mapping) and value.get("class_name") == "__tuple__":
        value = value.get("config", value.get("items"))
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def without_masks(call: Call, config: Config) -> Call:
    """Keras 2's MultiHeadAttention takes the masks of its inputs from the inputs."""
    kwargs = dict(call["kwargs"])
    for key in ("query_mask", "value_mask", "key_mask"):
        if kwargs.pop(key, None) is not None:
            raise UnsupportedError(
                f"layer {config.get('name')!r}: Keras 2's MultiHeadAttention has no {key}",
                feature=f"MultiHeadAttention({key})",
                record=str(config.get("name")),
                instead="attention_mask",
            )
    return {"args": call["args"], "kwargs": kwargs}


Written = Callable[[Call, dict[str, Any]], Call]
WRITTEN_CALLS: Mapping[str, Written] = {
    **dict.fromkeys(RECURRENT, with_states),
    "MultiHeadAttention": without_masks,
}
#: Call arguments in the order of Keras 3's layers; "" for all that have no others.
CALL_NAMES: Mapping[str, tuple[str, ...]] = {
    "": ("inputs",),
    "MultiHeadAttention": (
        "query",
        "value",
        "key",
        "query_mask",
        "value_mask",
        "key_mask",
        "attention_mask",
        "return_attention_scores",
        "training",
        "use_causal_mask",
    ),
    "Attention": ("inputs", "mask", "training", "return_attention_scores", "use_causal_mask"),
    "AdditiveAttention": (
        "inputs",
        "mask",
        "training",
        "return_attention_scores",
        "use_causal_mask",
    ),
    **dict.fromkeys(RECURRENT, ("sequences", "initial_state", "mask", "training")),
    "RNN": ("sequences", "initial_state", "mask", "training"),
    "BatchNormalization": ("inputs", "training", "mask"),
    "Softmax": ("inputs", "mask"),
    "Functional": ("inputs", "training", "mask"),
    "Sequential": ("inputs", "training", "mask"),
    "TimeDistributed": ("inputs", "training", "mask"),
}
