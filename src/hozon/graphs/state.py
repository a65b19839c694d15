"""What a function does with variables and tables, read off its nodes."""

from __future__ import annotations

from hozon.graphs.library import FunctionKey, Library

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


def changes_state(library: Library, function: FunctionKey) -> bool:
    """Whether a call may change any variable or table."""
    return any(
        node.op.startswith(CHANGES) and node.op not in PURE
        for part in library.reachable(function)
        for node in part.nodes
    )


def uses_tables(library: Library, function: FunctionKey) -> bool:
    """Whether a call looks into tables, which JAX cannot compile."""
    return any(
        node.op.startswith("LookupTable")
        for part in library.reachable(function)
        for node in part.nodes
    )
