"""Sequential models of Keras 2 that begin with a Normalization that learned its statistics.

``Sequential([normalizer, Dense(1)])`` after ``normalizer.adapt(data)`` has an input of no known
size in its config. The statistics have as many values as the axes that they are kept along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hozon.config.entries import name_of
from hozon.config.tagged import is_serialized, plain
from hozon.config.upgrade import short_name

#: Where Keras 2 says an input's shape.
SHAPE = "batch_input_shape"


def with_learned_sizes(config: Any, means: Mapping[str, Sequence[int]]) -> Any:
    """A config in which such inputs have the sizes along the axes of the statistics.

    `means` are the shapes of stored means, by the names of their layers; the shape that the file
    says a layer was built for goes before.
    """
    if not is_serialized(config) or not isinstance(config.get("config"), Mapping | list):
        return config
    inner = config["config"]
    entries = inner if isinstance(inner, list) else inner.get("layers")
    if not isinstance(entries, list):
        return config
    entries = [with_learned_sizes(entry, means) for entry in entries]
    if short_name(str(config["class_name"])) == "Sequential":
        entries = _sized(entries, means)
    made = entries if isinstance(inner, list) else {**inner, "layers": entries}
    return {**config, "config": made}


def _sized(entries: list[Any], means: Mapping[str, Sequence[int]]) -> list[Any]:
    """The layers of a Sequential model, the input's and the first one's shapes completed."""
    at = 1 if entries and _is(entries[0], "InputLayer") else 0
    if len(entries) <= at or not _is(entries[at], "Normalization"):
        return entries
    shape = plain(entries[0]["config"].get(SHAPE))
    if not isinstance(shape, (list, tuple)):
        return entries
    sizes = _sizes(entries[at], len(shape), means)
    whole = [size if size is not None else sizes.get(i) for i, size in enumerate(shape)]
    sized = [{**e, "config": {**e["config"], SHAPE: whole}} for e in entries[: at + 1]]
    return [*sized, *entries[at + 1 :]]


def _sizes(entry: Any, rank: int, means: Mapping[str, Sequence[int]]) -> dict[int, int]:
    """The sizes of what a Normalization takes, by axis, along those of its statistics."""
    axis = plain(entry["config"].get("axis"))
    axes = [] if axis is None else [axis] if isinstance(axis, int) else list(axis)
    kept = [number % rank for number in axes]
    built = plain((entry.get("build_config") or {}).get("input_shape"))
    if isinstance(built, (list, tuple)) and len(built) == rank:
        return {number: built[number] for number in kept if built[number] is not None}
    mean = means.get(name_of(entry), ())
    return dict(zip(kept, mean, strict=True)) if len(mean) == len(kept) else {}


def _is(entry: Any, name: str) -> bool:
    known = is_serialized(entry) and isinstance(entry.get("config"), Mapping)
    return known and short_name(str(entry["class_name"])) == name
