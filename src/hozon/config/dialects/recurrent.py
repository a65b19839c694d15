"""Rows for recurrent layers and cells.

The default `recurrent_activation` of ConvLSTM was hard_sigmoid in all of Keras 2, that of LSTM and
GRU until TensorFlow 2; an absent `reset_after` meant False.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hozon.config.dialects.rules import (
    Become,
    Default,
    Drop,
    DropNeutral,
    Entry,
    Newer,
    Rule,
    Table,
)
from hozon.config.dialects.to_keras2 import KERAS3_LAYERS, LAYERS
from hozon.typing import Config

HARD = Default("recurrent_activation", "hard_sigmoid")


def no_time_major(entry: Entry) -> None:
    """Inputs as (time, batch, ...) need transposes around the layer."""
    if entry.config.pop("time_major", False):
        inner = {"class_name": entry.class_name, "config": dict(entry.config)}
        wrapper = {"name": entry.name, "layer": inner}
        if "trainable" in entry.config:
            wrapper["trainable"] = entry.config["trainable"]
        entry.tell("time_major=True: the layer is wrapped in transposes")
        entry.class_name, entry.config = "hozon>TimeMajor", wrapper


def cudnn_lstm(entry: Entry) -> None:
    """CuDNNLSTM computes what LSTM with these arguments does; its two biases are added up."""
    entry.config.update(activation="tanh", recurrent_activation="sigmoid", use_bias=True)
    entry.tell("CuDNNLSTM became LSTM; its weights are stored in another layout")


def cudnn_gru(entry: Entry) -> None:
    """CuDNNGRU computes what GRU with these arguments does."""
    entry.config.update(
        activation="tanh", recurrent_activation="sigmoid", use_bias=True, reset_after=True
    )
    entry.tell("CuDNNGRU became GRU; its weights are stored in another layout")


DROPPED = Drop("implementation", "input_length", "cell_type", "num_constants")
RECURRENT: tuple[Rule, ...] = (DROPPED, no_time_major)
GRU: tuple[Rule, ...] = (DROPPED, Default("reset_after", False), HARD, no_time_major)
CONVOLUTIONAL: tuple[Rule, ...] = (DROPPED, HARD, DropNeutral("time_major"))

ALL_STEPS = Become("hozon>TimeDistributed", "Keras 2 calls its layer on all steps at once")


def all_steps(entry: Entry) -> None:
    """Keras 2 calls the layer on all steps at once, which matters to what has statistics of them.

    What a layer of a user's class has, its config need not tell.
    """
    layer = entry.config.get("layer")
    if not entry.of_keras3 and (_is_of_user(layer) or _needs_all_steps(layer)):
        ALL_STEPS(entry)


RECURRENT_LAYERS: Table = {
    "SimpleRNN": RECURRENT,
    "LSTM": (HARD, *RECURRENT),
    "GRU": GRU,
    "RNN": RECURRENT,
    "CuDNNLSTM": (cudnn_lstm, *RECURRENT),
    "CuDNNGRU": (cudnn_gru, *RECURRENT),
    "ConvLSTM1D": CONVOLUTIONAL,
    "ConvLSTM2D": CONVOLUTIONAL,
    "ConvLSTM3D": CONVOLUTIONAL,
    "SimpleRNNCell": (DROPPED,),
    "LSTMCell": (DROPPED, HARD),
    "GRUCell": (DROPPED, Default("reset_after", False), HARD),
    "StackedRNNCells": (DropNeutral("reverse_state_order"),),
    "Bidirectional": (DROPPED, DropNeutral("time_major")),
    "TimeDistributed": (all_steps,),
}


def step_by_step(entry: Entry) -> None:
    """Keras 2 cannot say that the layer goes step by step, where the size of the batch is free."""
    batch = (entry.build.get("input_shape") or (None,))[0]
    if batch is None and _needs_all_steps(entry.config.get("layer")):
        entry.tell("TensorFlow's own reader trains its layer on all steps at once, not one by one")


def _is_of_user(value: Any) -> bool:
    """Whether a layer's config is of no class of Keras'."""
    known = LAYERS | KERAS3_LAYERS
    return isinstance(value, Mapping) and str(value.get("class_name")) not in known


def _needs_all_steps(value: Any) -> bool:
    """Whether a layer's config has batch statistics, or a loss of what it gives, anywhere."""
    if isinstance(value, Mapping):
        return (
            value.get("class_name") == "BatchNormalization"
            or bool(value.get("activity_regularizer"))
            or any(map(_needs_all_steps, value.values()))
        )
    return isinstance(value, (list, tuple)) and any(map(_needs_all_steps, value))


def time_major(entry: Entry) -> None:
    """The wrapper in transposes is Keras 2's argument of the layer inside."""
    inner = entry.config["layer"]
    entry.class_name = str(inner["class_name"])
    entry.config = {**inner["config"], "time_major": True, "name": entry.name}


def one_direction(entry: Entry) -> None:
    """Keras 2 makes the backward layer itself where it is the forward one turned around.

    Keras 3 gives both layers prefixes, and zeros for masked steps, when it wraps them, and saves
    them like that; Keras 2 does the same to them but saves the layer as it was.
    """
    forward, backward = entry.config.get("layer"), entry.config.get("backward_layer")
    if isinstance(forward, dict):
        entry.config["layer"] = forward = _without_prefix(forward, "forward_")
    if isinstance(backward, dict) and isinstance(forward, dict):
        backward = _without_prefix(backward, "backward_")
        entry.config["backward_layer"] = backward
        if _turned(forward) == _turned(backward, turn=True):
            del entry.config["backward_layer"]


def _without_prefix(layer: Config, prefix: str) -> dict[str, Any]:
    config = dict(layer.get("config") or {})
    config["name"] = str(config.get("name", "")).removeprefix(prefix) or None
    if config.get("return_sequences"):
        config.pop("zero_output_for_mask", None)
    return {**layer, "config": config}


def _turned(layer: Config, turn: bool = False) -> Any:
    config = dict(layer["config"])
    backwards = bool(config.pop("go_backwards", False))
    return layer.get("class_name"), backwards != turn, config


NEWER: tuple[Rule, ...] = (Drop("use_cudnn", "quantization_config"),)
RECURRENT_WRITTEN_ROWS: tuple[Rule, ...] = (*NEWER, Default("time_major", False))
UNSEEDED: tuple[Rule, ...] = (*RECURRENT_WRITTEN_ROWS, Drop("seed"))
CONVOLUTIONAL_WRITTEN: tuple[Rule, ...] = (*UNSEEDED, Newer("zero_output_for_mask"))

RECURRENT_WRITTEN: Table = {
    "SimpleRNN": UNSEEDED,
    "LSTM": UNSEEDED,
    "GRU": UNSEEDED,
    "RNN": UNSEEDED,
    "ConvLSTM1D": CONVOLUTIONAL_WRITTEN,
    "ConvLSTM2D": CONVOLUTIONAL_WRITTEN,
    "ConvLSTM3D": CONVOLUTIONAL_WRITTEN,
    "SimpleRNNCell": (Drop("seed"),),
    "LSTMCell": (Drop("seed"),),
    "GRUCell": (Drop("seed"),),
    "Bidirectional": (one_direction,),
    "TimeDistributed": (step_by_step,),
    "hozon>TimeMajor": (time_major,),
}
