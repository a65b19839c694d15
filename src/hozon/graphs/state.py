"""What a function does with variables and tables, read off its nodes."""

from __future__ import annotations

from hozon.graphs.ir import Function
from hozon.graphs.library import FunctionKey, Library, ops

#: How the names of ops begin that change a variable or a table.
CHANGES = (
    "Assign",
    "ResourceScatter",
    "ResourceApply",
    "ResourceSparseApply",
    "ResourceStridedSliceAssign",
    "ResourceCountUpTo",
    "Scatter",
    "Apply",
    "SparseApply",
    "CountUpTo",
    "StridedSliceAssign",
    "LookupTableInsert",
    "LookupTableRemove",
    "LookupTableImport",
)
#: Ops that make new arrays although their names begin so.
PURE = frozenset({"ScatterNd", "ScatterNdNonAliasingAdd"})
#: Ops that tell of a value only how large it is.
SIZES = frozenset({"Shape", "ShapeN", "Size", "Rank"})


def changes_state(library: Library, function: FunctionKey) -> bool:
    """Whether a call may change any variable or table."""
    return any(
        node.op.startswith(CHANGES) and node.op not in PURE
        for part in library.reachable(function)
        for node in part.nodes
    )


def needs_host(library: Library, function: FunctionKey) -> bool:
    """Whether a call looks at data where JAX cannot compile: tables, text, what is not zero."""
    return any(map(_looks_at_data, library.reachable(function)))


def _looks_at_data(function: Function) -> bool:
    """Whether a node that runs on the host reads what follows from arguments, not from sizes."""
    data: set[int] = set()
    for index, node in enumerate(function.nodes):
        if node.op.startswith("LookupTable"):
            return True
        reads_data = any(ref.node in data for ref in node.inputs)
        if reads_data and (entry := ops().get(node.op)) is not None and entry.host:
            return True
        if node.op not in SIZES and (reads_data or index in function.arguments):
            data.add(index)
    return False
