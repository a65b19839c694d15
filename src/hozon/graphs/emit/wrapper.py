"""Functions that only call another one: a choice of its results under names of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from hozon.formats.protos.graph import ArgDef, FunctionDef, FunctionRef, NodeDef
from hozon.graphs.emit.function import EmittedFunction


def wrapper(
    name: str,
    inner: EmittedFunction,
    *,
    arguments: Sequence[tuple[int, str]] | None = None,
    results: Sequence[int] | None = None,
) -> FunctionDef:
    """A function that calls `inner` with its own arguments and variables.

    Args:
        name: of the new function.
        inner: what is called.
        arguments: for each argument of the new function, which of `inner`'s it is and its name;
            all of them, once each. None keeps them.
        results: which of `inner`'s results it gives, in order; None gives all.
    """
    definition = inner.definition
    given_count = len(inner.inputs)
    order = [(i, a.name) for i, a in enumerate(definition.inputs[:given_count])]
    chosen = order if arguments is None else list(arguments)
    own = [replace(definition.inputs[i], name=name) for i, name in chosen]
    handles = list(_renamed(definition.inputs[given_count:], {name for _, name in chosen}))
    names = dict(chosen)
    given = [*(names[i] for i in range(given_count)), *(h.name for h in handles)]
    picked = range(len(inner.outputs)) if results is None else results
    outputs = [_result(i, definition.outputs[k]) for i, k in enumerate(picked)]
    call = _call(inner, given)
    identities = [
        NodeDef(f"Identity_{i}", "Identity", (f"{call.name}:output:{k}",), "", {"T": output.type})
        for i, (k, output) in enumerate(zip(picked, outputs, strict=True))
    ]
    return FunctionDef(
        name=name,
        inputs=(*own, *handles),
        outputs=tuple(outputs),
        nodes=(call, *identities),
        ret={o.name: f"Identity_{i}:output:0" for i, o in enumerate(outputs)},
        control_ret={call.name: call.name} if definition.is_stateful else {},
        attrs=_attrs(definition, [i for i, _ in chosen]),
        arg_attrs=_arg_attrs(definition, [i for i, _ in chosen], given_count),
        resource_arg_unique_ids=definition.resource_arg_unique_ids,
        is_stateful=definition.is_stateful,
    )


def _renamed(handles: Sequence[ArgDef], taken: set[str]) -> Iterator[ArgDef]:
    """The handles of variables under names that no argument has."""
    free = (f"unknown_{i}" for i in count())
    for handle in handles:
        yield replace(handle, name=next(name for name in free if name not in taken))


def _call(inner: EmittedFunction, given: Sequence[str]) -> NodeDef:
    definition = inner.definition
    op = "StatefulPartitionedCall" if definition.is_stateful else "PartitionedCall"
    attrs = {
        "Tin": tuple(a.type for a in definition.inputs),
        "Tout": tuple(a.type for a in definition.outputs),
        "f": FunctionRef(definition.name, {}),
    }
    return NodeDef(op, op, tuple(given), "", attrs)


def _result(number: int, output: ArgDef) -> ArgDef:
    return replace(output, name="identity" if number == 0 else f"identity_{number}")


def _attrs(definition: FunctionDef, order: Sequence[int]) -> Mapping[str, Any]:
    attrs = dict(definition.attrs)
    shapes = attrs.get("_input_shapes")
    if shapes is not None:
        attrs["_input_shapes"] = (*(shapes[i] for i in order), *shapes[len(order) :])
    return attrs


def _arg_attrs(definition: FunctionDef, order: Sequence[int], given: int) -> Mapping[int, Any]:
    places = [*order, *range(given, len(definition.inputs))]
    return {
        new: definition.arg_attrs[old]
        for new, old in enumerate(places)
        if old in definition.arg_attrs
    }
