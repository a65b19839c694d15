"""The functions that a lookup table has in a SavedModel: to make, fill, save and restore it.

Their forms are those of TensorFlow's own tables (tensorflow/python/ops/lookup_ops.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hozon.formats.protos.graph import FunctionDef
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.definition import argument, define
from hozon.graphs.emit.steps import typed
from hozon.graphs.emit.text import UNKNOWN, string, strings
from hozon.graphs.emit.values import RESOURCE, TEXT, Tensor

TABLE = Tensor("table", RESOURCE, ())
STATIC, MUTABLE = "HashTableV2", "MutableHashTableV2"
#: What the names of the two tensors of a saved table end in.
PARTS = (b"-keys", b"-values")


def creator(
    name: str, op: str, shared_name: str, keys: np.dtype[Any], values: np.dtype[Any]
) -> FunctionDef:
    """Gives the handle of a table, `STATIC` or `MUTABLE`; equal shared names are one table."""
    body = Body({}, [])
    attrs = {"key_dtype": keys, "value_dtype": values, "shared_name": shared_name}
    handle = body.add(op, [], attrs=attrs, shape=(), dtype=RESOURCE)
    return _defined(name, body, [], [handle])


def initializer(name: str, keys: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> FunctionDef:
    """Fills a table."""
    body = Body({}, [TABLE])
    return _importing(name, body, [TABLE], [_constant(body, keys), _constant(body, values)])


def nothing(name: str) -> FunctionDef:
    """Does nothing: what ends a table, and what fills one that starts empty."""
    return _defined(name, Body({}, []), [], [])


def exporter(name: str, keys: np.dtype[Any], values: np.dtype[Any]) -> FunctionDef:
    """Of a checkpoint key: name, slice and tensor, of the keys and of the values."""
    key = Tensor("checkpoint_key", TEXT, ())
    body = Body({}, [key, TABLE])
    tensors = body.add(
        "LookupTableExportV2",
        [TABLE],
        attrs={"Tkeys": keys, "Tvalues": values},
        shape=((UNKNOWN,), (UNKNOWN,)),
        dtype=(keys, values),
    )
    results = []
    for part, tensor in zip(PARTS, tensors, strict=True):
        full = typed(body, "StringJoin", [[key, string(body, part)]], TEXT, (), separator="")
        results += [full, string(body, b""), tensor]
    return _defined(name, body, [key, TABLE], results)


def importer(name: str, keys: np.dtype[Any], values: np.dtype[Any]) -> FunctionDef:
    """Fills a table with restored tensors."""
    given = [
        Tensor("restored_tensors_0", keys, (UNKNOWN,)),
        Tensor("restored_tensors_1", values, (UNKNOWN,)),
    ]
    return _importing(name, Body({}, [*given, TABLE]), [*given, TABLE], given)


def _importing(
    name: str, body: Body, arguments: Sequence[Tensor], given: Sequence[Tensor]
) -> FunctionDef:
    body.add("LookupTableImportV2", [TABLE, *given], shape=(), dtype=())
    return _defined(name, body, arguments, [], [body.nodes[-1].name])


def _defined(
    name: str,
    body: Body,
    arguments: Sequence[Tensor],
    results: Sequence[Tensor],
    run: Sequence[str] = (),
) -> FunctionDef:
    """A function of a body; without results it gives 1, as TensorFlow's do."""
    given = results or [body.constant(np.int32(1))]
    outputs = {
        f"identity_{i}" if i else "identity": body.add(
            "Identity", [x], shape=x.shape, dtype=x.dtype, controls=run
        )
        for i, x in enumerate(given)
    }
    attrs: Mapping[str, Any] = {"_construction_context": b"kEagerRuntime"}
    return define(
        name,
        body,
        [argument(x.name, x) for x in arguments],
        outputs,
        run=run,
        attrs=attrs,
        resource_ids={i: 0 for i, x in enumerate(arguments) if x is TABLE},
        is_stateful=True,
    )


def _constant(body: Body, array: np.ndarray[Any, Any]) -> Tensor:
    return strings(body, array.tolist()) if array.dtype == TEXT else body.constant(array)
