"""Bodies as function definitions, without the nodes that nothing needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hozon.formats.protos.graph import ArgDef, FunctionDef, NodeDef
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.values import Tensor, type_number


def define(
    name: str,
    body: Body,
    arguments: Sequence[ArgDef],
    results: Mapping[str, Tensor],
    *,
    run: Sequence[str] = (),
    attrs: Mapping[str, Any] | None = None,
    arg_attrs: Mapping[int, Mapping[str, Any]] | None = None,
    resource_ids: Mapping[int, int] | None = None,
    is_stateful: bool = False,
) -> FunctionDef:
    """The function of a body; the nodes named in `run` run even if no result needs them."""
    ends = [*(x.name for x in results.values()), *run]
    return FunctionDef(
        name=name,
        inputs=tuple(arguments),
        outputs=tuple(argument(key, x) for key, x in results.items()),
        nodes=pruned(body.nodes, ends),
        ret={key: x.name for key, x in results.items()},
        control_ret={node: node for node in run},
        attrs=attrs or {},
        arg_attrs=arg_attrs or {},
        resource_arg_unique_ids=resource_ids or {},
        is_stateful=is_stateful,
    )


def argument(name: str, x: Tensor) -> ArgDef:
    """An argument or result of the type of `x`."""
    return ArgDef(name, type_number(x.dtype))


def pruned(nodes: Sequence[NodeDef], ends: Iterable[str]) -> tuple[NodeDef, ...]:
    """The nodes that `ends` depend on. Each node comes after what it reads."""
    wanted = {_node_of(end) for end in ends}
    kept = []
    for node in reversed(nodes):
        if node.name in wanted:
            kept.append(node)
            wanted.update(map(_node_of, node.inputs))
    return tuple(reversed(kept))


def _node_of(reference: str) -> str:
    """The node that an input is a result of, or that a control input names."""
    return reference.removeprefix("^").partition(":")[0]
