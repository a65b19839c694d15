"""Masks that both Kerases make by themselves, taken out of a Keras 3 graph.

Keras 3 computes the masks of Embedding(mask_zero=True) and Masking as operations of the graph and
passes them on as arguments. Keras 2 carries them on the tensors, outside the config. Where an
argument says what Keras 2 will carry anyway, it is dropped, and with it what computed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hozon.config.entries import Entry, is_keras_module, is_model, is_operation, name_of
from hozon.config.nodes import FIXED, MERGES, Key, key_of, keys_in

#: Arguments of calls that are masks.
MASK_KEYS = frozenset({"mask", "query_mask", "value_mask", "key_mask"})
#: Layers whose output has no mask, or whose call computes another one.
STOPS = frozenset(
    {
        "Flatten",
        "Conv1D",
        "Conv2D",
        "Conv3D",
        "GlobalAveragePooling1D",
        "GlobalMaxPooling1D",
        "Reshape",
        "Permute",
        "RepeatVector",
        "Dot",
        "MaxPooling1D",
        "AveragePooling1D",
        "CategoryEncoding",
    }
)
#: Layers that compute otherwise where there is a mask.
READERS = frozenset(
    {
        "AdditiveAttention",
        "Attention",
        "BatchNormalization",
        "Bidirectional",
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
        "GRU",
        "GlobalAveragePooling1D",
        "LSTM",
        "MultiHeadAttention",
        "RNN",
        "SimpleRNN",
        "Softmax",
        "TimeDistributed",
    }
)
#: What a mask is made of: layer that makes it, and the tensor it looks at.
Source = tuple[str, Key]


def without_implied_masks(entries: Sequence[Entry], ends: Any) -> list[Entry]:
    """The layer entries of a Functional model without the masks that Keras 2 carries itself."""
    graph = _Graph(entries)
    if not graph.makers:
        return list(entries)
    kept = [{**entry, "inbound_nodes": graph.calls_without_masks(entry)} for entry in entries]
    return _reached(kept, entries, ends)


def merged_otherwise(entries: Sequence[Entry], ends: Any) -> list[str]:
    """Merging layers whose output has no mask, or another one, where Keras 2 would carry one on.

    Only those whose mask something reads: a layer further on, or the loss of an output.
    """
    graph = _Graph(entries)
    outputs = {key[0] for key in keys_in(ends)}
    return [
        name_of(entry)
        for entry in (entries if graph.makers else ())
        if _merges(entry) and not is_operation(entry)
        if graph.mixes_masks(entry) and graph.is_mask_read(name_of(entry), outputs)
    ]


def _merges(entry: Entry) -> bool:
    """Whether a layer makes one mask of several; one after the other, they are the same in both."""
    joins = entry["class_name"] == "Concatenate" and entry["config"].get("axis", -1) != 1
    return joins or entry["class_name"] in MERGES


def _reached(kept: list[Entry], before: Sequence[Entry], ends: Any) -> list[Entry]:
    """Entries without the operations that only the dropped arguments read."""
    while True:
        read = {key[0] for entry in kept for key in keys_in(entry["inbound_nodes"])}
        read |= {key[0] for key in keys_in(ends)}
        dropped = [
            entry
            for entry in kept
            if is_operation(entry) and name_of(entry) not in read and _was_read(entry, before)
        ]
        if not dropped:
            return kept
        gone = {name_of(entry) for entry in dropped}
        kept = [entry for entry in kept if name_of(entry) not in gone]


def _was_read(entry: Entry, before: Sequence[Entry]) -> bool:
    return any(
        key[0] == name_of(entry) for other in before for key in keys_in(other.get("inbound_nodes"))
    )


class _Graph:
    """Who makes masks, and which tensors carry them."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = {name_of(entry): entry for entry in entries}
        self.makers: dict[str, Entry] = {
            name: entry for name, entry in self.entries.items() if _makes_mask(entry)
        }

    def calls_without_masks(self, entry: Entry) -> list[Any]:
        """A layer's calls, implied mask arguments dropped."""
        calls = entry.get("inbound_nodes") or []
        return [self._without(call) if isinstance(call, Mapping) else call for call in calls]

    def _without(self, call: Mapping[str, Any]) -> dict[str, Any]:
        kwargs = call.get("kwargs")
        kwargs = dict(kwargs) if isinstance(kwargs, Mapping) else {}
        masks = {
            key: value for key, value in kwargs.items() if key in MASK_KEYS and any(keys_in(value))
        }
        data = [call.get("args"), {k: v for k, v in kwargs.items() if k not in masks}]
        carried = {source for key in keys_in(data) for source in self._carried(key, frozenset())}
        for key, value in masks.items():
            made = {source for part in keys_in(value) for source in self._made_of(part)}
            if made and made <= carried:
                del kwargs[key]
        return {**call, "kwargs": kwargs}

    def _carried(self, key: Key, seen: frozenset[Key]) -> Iterator[Source]:
        """The masks that Keras 2 carries on a tensor."""
        entry = self.entries.get(key[0])
        if entry is None or key in seen or _stops(entry):
            return
        inputs = _inputs(entry, key[1])
        if key[0] in self.makers:
            yield from (_source(entry, part) for part in inputs[:1])
            return
        for part in inputs:
            yield from self._carried(part, seen | {key})

    def mixes_masks(self, entry: Entry) -> bool:
        """Whether a call of Keras 3's own rule merges tensors that carry different masks."""
        for call in entry.get("inbound_nodes") or []:
            if "mask" not in call.get(FIXED, ()):
                keys = keys_in([call.get("args"), call.get("kwargs")])
                if len({frozenset(self._carried(key, frozenset())) for key in keys}) > 1:
                    return True
        return False

    def is_mask_read(self, name: str, outputs: set[str]) -> bool:
        """Whether the mask of a layer's output comes to a layer that reads it, or to an output."""
        left, seen = [name], {name}
        while left:
            here = left.pop()
            if here in outputs:
                return True
            for entry in self.entries.values():
                read = {key[0] for key in keys_in(entry.get("inbound_nodes"))}
                if here not in read or name_of(entry) in seen:
                    continue
                if _reads_mask(entry):
                    return True
                seen.add(name_of(entry))
                if not _stops(entry):
                    left.append(name_of(entry))
        return False

    def _made_of(self, key: Key) -> Iterator[Source]:
        """What a mask was computed from; an unknown origin is no layer's."""
        entry = self.entries.get(key[0])
        if entry is None or not is_operation(entry):
            yield ("", key)
            return
        if entry["class_name"] == "NotEqual":
            yield from self._compared(entry, key)
            return
        for part in _inputs(entry, key[1]):
            yield from self._made_of(part)

    def _compared(self, entry: Entry, key: Key) -> Iterator[Source]:
        args = entry["inbound_nodes"][key[1]]["args"]
        tensor, value = key_of(args[0]), args[1] if len(args) > 1 else None
        for maker in self.makers.values():
            if tensor in _inputs(maker, 0)[:1] and _mask_value(maker) == value:
                yield (name_of(maker), tensor) if tensor else ("", key)
                return
        yield ("", key)


def _source(entry: Entry, tensor: Key) -> Source:
    return (name_of(entry), tensor)


def _inputs(entry: Entry, node: int) -> list[Key]:
    """The tensors that a call reads, masks left out."""
    calls = entry.get("inbound_nodes") or []
    if not 0 <= node < len(calls) or not isinstance(calls[node], Mapping):
        return []
    kwargs = calls[node].get("kwargs")
    kwargs = kwargs if isinstance(kwargs, Mapping) else {}
    return list(
        keys_in([calls[node].get("args"), {k: v for k, v in kwargs.items() if k not in MASK_KEYS}])
    )


def _makes_mask(entry: Entry) -> bool:
    config = entry.get("config")
    if entry["class_name"] == "Embedding" and isinstance(config, Mapping):
        return bool(config.get("mask_zero"))
    return bool(entry["class_name"] == "Masking")


def _mask_value(entry: Entry) -> Any:
    return 0 if entry["class_name"] == "Embedding" else entry["config"].get("mask_value", 0.0)


def _reads_mask(entry: Entry) -> bool:
    module = str(entry.get("module") or "keras")
    return entry["class_name"] in READERS or is_model(entry) or not is_keras_module(module)


def _stops(entry: Entry) -> bool:
    config = entry.get("config")
    config = config if isinstance(config, Mapping) else {}
    if "return_sequences" in config and not config["return_sequences"]:
        return True
    return is_operation(entry) or entry["class_name"] in STOPS
