"""A SavedModel that Keras did not write: its functions, and its variables ready for Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from hozon.containers.savedmodel.read import SavedModel
from hozon.formats.protos.object_graph import SavedNode
from hozon.formats.protos.object_graph import Variable as SavedVariable
from hozon.graph_level.loader import LoadedModel, ObjectGraphLoader, object_model, session_model
from hozon.graph_level.session import Session
from hozon.graphs.resources import Variable
from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.module_variables import (
    SHORTENED,
    Branch,
    LateCell,
    Stored,
    by_names,
    by_objects,
    listed,
)

#: Lists of a root that say what its variables are: objects made to be used again, Keras' exports.
ALL, TRAINED = "variables", "trainable_variables"


@dataclass(frozen=True, slots=True)
class Module:
    """The graph-level root, and where its variables stand."""

    loaded: LoadedModel
    variables: Branch


def read_module(artifact: SavedModel, report: LoadReport) -> Module:
    """The objects of a SavedModel, or its graph where it holds none."""
    if artifact.meta_graph.object_graph is None:
        return _graph(artifact, report)
    return _objects(artifact, report)


def _objects(artifact: SavedModel, report: LoadReport) -> Module:
    cells: dict[int, LateCell] = {}
    loader = ObjectGraphLoader(artifact, lambda node, v: cells.setdefault(node, LateCell(v)))
    own, trained = listed(loader.nodes, ALL), listed(loader.nodes, TRAINED)
    stored: dict[int, Stored] = {}
    unread: list[str] = []
    for node_id, saved in _variables(loader.nodes).items():
        if own is not None and node_id not in own | _captured(loader):
            unread.append(saved.name)
            continue
        value = artifact.variable_value(node_id, saved)
        if value is None:
            report.missing.append(saved.name)
            continue
        trainable = saved.trainable and (trained is None or node_id in trained)
        leaf = Stored(saved.name, trainable, value.read, cells[node_id])
        if _is_kept(leaf, report):
            stored[node_id] = leaf
    if unread:
        report.converted.append(
            f"root: {len(unread)} stored variables are left out, as no function reads them and "
            f"none is among the root's {ALL!r}: {', '.join(unread)}"
        )
    return Module(object_model(loader, Session(artifact)), by_objects(loader.nodes, stored))


def _graph(artifact: SavedModel, report: LoadReport) -> Module:
    cells: list[LateCell] = []

    def late(variable: Variable) -> LateCell:
        cells.append(LateCell(variable))
        return cells[-1]

    session = Session(artifact, late)
    session.prepare()
    trained = {item.name.split(":")[0] for item in session.collection(TRAINED)}
    if cells and not trained:
        report.converted.append("root: the graph does not say which variables train: none does")
    leaves = [Stored(c.name, c.name in trained, _reader(c), c) for c in cells if c.initialized]
    return Module(
        session_model(session), by_names(leaf for leaf in leaves if _is_kept(leaf, report))
    )


def _reader(cell: LateCell) -> Callable[[], np.ndarray[Any, Any]]:
    return lambda: np.asarray(cell.read())


def _is_kept(stored: Stored, report: LoadReport) -> bool:
    """Whether Keras can hold a variable; others stay with the functions, and that is said."""
    dtype = stored.cell.dtype
    why = "text" if dtype.kind == "O" else ""
    if not why and not _has_dtype(dtype):
        why = f"of dtype {dtype}"
    if not why and dtype in SHORTENED and not _fits(stored.read(), SHORTENED[dtype]):
        why = "of numbers beyond 32 bits"
    if why:
        report.converted.append(
            f"root: the variable {stored.name!r} is {why}: Keras has no such variables, so it "
            "stays with the saved functions and is not saved with the weights"
        )
    return not why


def _has_dtype(dtype: np.dtype[Any]) -> bool:
    try:
        keras.backend.standardize_dtype(str(dtype))
    except ValueError:
        return False
    return True


def _fits(value: np.ndarray[Any, Any], dtype: str) -> bool:
    limits = np.iinfo(dtype)
    return not value.size or bool(value.min() >= limits.min and value.max() <= limits.max)


def _variables(nodes: Sequence[SavedNode]) -> dict[int, SavedVariable]:
    """The variables of an object graph by node."""
    payloads = [node.payload for node in nodes]
    return {i: payload for i, payload in enumerate(payloads) if isinstance(payload, SavedVariable)}


def _captured(loader: ObjectGraphLoader) -> frozenset[int]:
    """The nodes that functions are bound to."""
    return frozenset(n for record in loader.concrete.values() for n in record.bound_inputs)
