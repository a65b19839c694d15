"""The account of a load: nothing that is live, and nothing that is stored, was forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from hozon.errors import InternalError
from hozon.keras_private.layers import layers_of, metrics_of, seed_generators_of, variables_of
from hozon.models.assignment.assignment import Assignment
from hozon.record import ModelRecord, StateGroup

METRIC, SEED, OPTIMIZER, WEIGHT = "metric", "seed", "optimizer", "weight"
#: Why variables of a kind may keep their values when a file holds none for them.
REASONS = {
    METRIC: "metrics begin anew",
    SEED: "the state of random numbers is not in the file",
}
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Live:
    """A variable that can be reached from a model: what it is, and its name."""

    variable: Any
    kind: str
    label: str


def reachable(*roots: Any) -> Iterator[Live]:
    """Every variable below models, layers, metrics and optimizers, each once.

    Of models also those of their optimizers, metrics and random numbers.
    """
    seen: set[int] = set()
    for live in _everything(roots):
        if id(live.variable) not in seen:
            seen.add(id(live.variable))
            yield live


def _everything(roots: Iterable[Any]) -> Iterator[Live]:
    own = list(roots)
    layers = _layers(own)
    for layer in layers:
        yield from (Live(v, WEIGHT, str(v.path)) for v in variables_of(layer))
    for layer in layers:
        yield from (Live(g.state, SEED, str(g.state.path)) for g in seed_generators_of(layer))
        root = any(layer is other for other in own)
        for metric in (*metrics_of(layer), *(layer.metrics if root else ())):
            yield from (Live(v, METRIC, str(v.path)) for v in metric.variables)
        for _, optimizer in optimizers_of(layer):
            yield from (Live(v, OPTIMIZER, str(v.path)) for v in optimizer.variables)
    for kind, owner in ((METRIC, keras.Metric), (OPTIMIZER, keras.optimizers.Optimizer)):
        for root in (other for other in own if isinstance(other, owner)):
            yield from (Live(v, kind, str(v.path)) for v in root.variables)


def _layers(roots: Iterable[Any]) -> list[keras.Layer]:
    """The layers among some objects and all layers inside of them, each once."""
    found: dict[int, Any] = {}
    for root in roots:
        if isinstance(root, keras.Layer) and id(root) not in found:
            found |= {id(layer): layer for layer in layers_of(root)}
    return list(found.values())


def optimizers_of(layer: keras.Layer) -> list[tuple[str, Any]]:
    """The optimizers that a model was compiled with, or that its class holds, by attribute."""
    found = [(k, v) for k, v in vars(layer).items() if isinstance(v, keras.optimizers.Optimizer)]
    return [(name.lstrip("_"), optimizer) for name, optimizer in found]


def names_in(*groups: StateGroup | None) -> list[str]:
    """The names of the tensors of some groups of a record, as assignments have them."""
    return [
        f"{group.name}/{name}" for group in groups if group is not None for name in group.tensors
    ]


def stored_names(record: ModelRecord) -> list[str]:
    """The names of all tensors of a record, as assignments have them."""
    return names_in(*record.state, record.optimizer)


def close_account(assignment: Assignment, stored: Iterable[str], *roots: Any) -> None:
    """List what keeps its value for a reason that holds for every file, and allow no rest.

    Args:
        assignment: what the matchers made.
        stored: the names of all tensors of the file.
        *roots: the model or layer; of a checkpoint all that it holds.

    Raises InternalError for a variable or tensor that no matcher has taken up.
    """
    rest = [one for one in reachable(*roots) if id(one.variable) not in assignment.variables]
    for one in rest:
        if one.kind in REASONS:
            assignment.keep(f"{one.label}: {REASONS[one.kind]}", one.variable)
    forgotten = [
        *(f"variable {one.label} ({one.kind})" for one in rest if one.kind not in REASONS),
        *(f"tensor {name}" for name in stored if name not in assignment.tensors),
    ]
    if forgotten:
        raise InternalError(
            "a load lost sight of " + ", ".join(forgotten[:SHOWN]) + _more(len(forgotten))
        )


def _more(count: int) -> str:
    return f" and {count - SHOWN} more" if count > SHOWN else ""
