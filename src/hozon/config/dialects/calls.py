"""Calls whose arguments Keras 3 takes in another way than Keras 2 saved them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Call = dict[str, Any]
Adapt = Callable[[Call, Mapping[str, Any]], Call]


def initial_state(call: Call, config: Mapping[str, Any]) -> Call:
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


RECURRENT = ("SimpleRNN", "LSTM", "GRU", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D",
             "Bidirectional", "CuDNNLSTM", "CuDNNGRU", "LSTMV1", "LSTMV2", "GRUV1",
             "GRUV2")  # fmt: skip
CALLS: Mapping[str, Adapt] = dict.fromkeys(RECURRENT, initial_state)
