"""Calls that Keras 2 wrote over: of layers that a later model inside shares.

Keras 2 keeps one entry for a layer in all of its places, so each functional model that holds it
writes its own calls over those of the model before. What the layer was called on in the outer model
is told by what is left over there: the one tensor that nothing reads, or a chain of calls of the
layer on what it gave before, where nothing else reads that either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hozon.config.nodes import SHARED, keys_in
from hozon.errors import UnsupportedError

Entry = dict[str, Any]
#: Layers that Keras 2 adds for losses and metrics, which nothing reads.
ENDS = frozenset({"AddLoss", "AddMetric"})


def restored_calls(
    entries: Sequence[Entry], config: Mapping[str, Any], changes: list[str]
) -> list[Entry]:
    """The entries of a functional model with the calls that were written over.

    Args:
        entries: with their names.
        config: of the model, for its outputs.
        changes: receives a line for a call that was restored.

    Raises:
        UnsupportedError: the file does not tell what a layer was called on.
    """
    names = {entry["name"] for entry in entries}
    twins = _shared_inside(entries)
    lost = [e for e in twins if any(key[0] not in names for key in keys_in(_calls(e)))]
    if not lost and _unread(entries, config):
        lost = twins
    if not lost:
        return list(entries)
    unread = _unread([entry for entry in entries if entry not in lost], config)
    once = all(len(list(keys_in(_calls(entry)))) == 1 for entry in lost)
    if len(lost) > 1 or len(unread) != 1 or not once:
        raise _unknown(lost)
    name = lost[0]["name"]
    read = _read([entry for entry in entries if entry is not lost[0]], config)
    last = max((node for layer, node in read if layer == name), default=0)
    if any((name, node) in read for node in range(last)):  # so it is no chain of calls
        raise _unknown(lost)
    changes.append(
        f"layer {name!r} is called on {unread[0]!r}, which nothing else reads: Keras 2 "
        "wrote its call in the model inside over that in this one"
    )
    calls = [[[unread[0], 0, 0, {}]], *([[name, node, 0, {}]] for node in range(last))]
    return [{**e, "inbound_nodes": calls} if e is lost[0] else e for e in entries]


def _read(entries: Sequence[Entry], config: Mapping[str, Any]) -> set[tuple[str, int]]:
    """What is read in a model and what it gives: layers, and which of their calls."""
    keys = keys_in([[_calls(entry) for entry in entries], config.get("output_layers")])
    return {(key[0], key[1]) for key in keys}


def _shared_inside(entries: Sequence[Entry]) -> list[Entry]:
    """The layers of a model that are marked as those of a model inside."""
    inside = {e[SHARED] for entry in entries for e in _below(entry) if SHARED in e}
    return [entry for entry in entries if entry.get(SHARED) in inside]


def _below(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    config = entry.get("config")
    layers = config.get("layers") if isinstance(config, Mapping) else None
    for inner in layers if isinstance(layers, list) else ():
        if isinstance(inner, Mapping):
            yield inner
            yield from _below(inner)


def _unread(entries: Sequence[Entry], config: Mapping[str, Any]) -> list[str]:
    """The layers that nothing in the model reads; all of them lead to outputs in Keras 2."""
    read = {key[0] for key in keys_in([_calls(entry) for entry in entries])}
    read |= {key[0] for key in keys_in(config.get("output_layers"))}
    kept = [entry for entry in entries if entry.get("class_name") not in ENDS]
    return [entry["name"] for entry in kept if entry["name"] not in read]


def _calls(entry: Mapping[str, Any]) -> list[Any]:
    return list(entry.get("inbound_nodes") or [])


def _unknown(lost: Sequence[Entry]) -> UnsupportedError:
    names = ", ".join(repr(entry["name"]) for entry in lost)
    return UnsupportedError(
        f"Keras 2 wrote the calls of {names} in a model inside over those in the model around it, "
        "so the file does not tell what they were called on",
        feature="layers shared with a later nested model",
        record=str(lost[0]["name"]),
        instead="save the model as a SavedModel or as .keras, which hold all calls; or make the "
        "model by its own code and give it the weights by hozon.load_weights",
    )
