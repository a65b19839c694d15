"""Rows for recurrent layers and cells.

The default `recurrent_activation` of ConvLSTM was hard_sigmoid in all of Keras 2, that of LSTM and
GRU until TensorFlow 2; an absent `reset_after` meant False.
"""

from __future__ import annotations

from hozon.config.dialects.rules import Default, Drop, DropNeutral, Entry, Rule, Table

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
    "TimeDistributed": (),
}  # fmt: skip
