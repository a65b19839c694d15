"""Lookup tables, on the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.tables import LookupTable, text_lines
from hozon.graphs.values import Value

TABLE = OpTable("table")

#: Columns of a text file: the line's number, or the whole line (lookup_ops.TextFileIndex).
LINE_NUMBER = -1
WHOLE_LINE = -2


def _maker(mutable: bool, shaped: bool = False) -> Any:
    def handler(node: NodeView) -> Kernel:
        key, value = node.dtype("key_dtype").numpy, node.dtype("value_dtype").numpy
        shape = node.attr("value_shape").dims if shaped else ()
        node.attr("use_node_name_sharing")
        name = node.text("shared_name") or node.name
        for unused in ("initial_num_buckets", "max_load_factor"):
            if node.definition is not None and unused in node.definition.attrs:
                node.attr(unused)

        def make() -> LookupTable:
            return LookupTable(name, key, value, tuple(shape), mutable=mutable)

        return lambda *_: node.resources.get("table", name, make)

    return handler


TABLE.op("HashTableV2", "HashTable", host=True)(_maker(mutable=False))
TABLE.op("MutableHashTableV2", "MutableHashTable", host=True)(_maker(mutable=True))
TABLE.op("MutableHashTableOfTensorsV2", "MutableHashTableOfTensors",
         "MutableDenseHashTableV2", "MutableDenseHashTable", host=True)(
    _maker(mutable=True, shaped=True)
)  # fmt: skip


@TABLE.op("AnonymousHashTable", "AnonymousMutableHashTable", host=True)
def anonymous_table(node: NodeView) -> Kernel:
    key, value = node.dtype("key_dtype").numpy, node.dtype("value_dtype").numpy
    mutable = "Mutable" in node.op
    return lambda: LookupTable(node.name, key, value, mutable=mutable)


@TABLE.op("LookupTableFindV2", "LookupTableFind", host=True)
def find(node: NodeView) -> Kernel:
    return lambda table, keys, default: table.find(keys, default)


@TABLE.op("LookupTableInsertV2", "LookupTableInsert", host=True)
def insert(node: NodeView) -> Kernel:
    return _nothing(LookupTable.insert)


@TABLE.op("LookupTableRemoveV2", host=True)
def remove(node: NodeView) -> Kernel:
    return _nothing(LookupTable.remove)


@TABLE.op("LookupTableImportV2", "LookupTableImport", host=True)
def import_entries(node: NodeView) -> Kernel:
    def fill(table: LookupTable, keys: Value, values: Value) -> None:
        (table.import_entries if table.mutable else table.initialize)(keys, values)

    return _nothing(fill)


@TABLE.op("InitializeTableV2", "InitializeTable", host=True)
def initialize(node: NodeView) -> Kernel:
    return _nothing(LookupTable.initialize)


@TABLE.op("LookupTableExportV2", "LookupTableExport", host=True)
def export(node: NodeView) -> Kernel:
    return lambda table: table.export()


@TABLE.op("LookupTableSizeV2", "LookupTableSize", host=True)
def size(node: NodeView) -> Kernel:
    return lambda table: np.asarray(len(table), np.int64)


@TABLE.op("InitializeTableFromTextFileV2", "InitializeTableFromTextFile", host=True, context=True)
def initialize_from_text(node: NodeView) -> Kernel:
    """Fill a table from an asset of the artifact; no other file is opened."""
    columns = int(node.attr("key_index")), int(node.attr("value_index"))
    delimiter = node.attr("delimiter")
    offset = int(node.attr("offset"))
    count = int(node.attr("vocab_size"))

    def fill(context: Any, table: LookupTable, filename: Value) -> None:
        read = context.library.resources.read_asset
        if read is None:
            raise node.refuse("there are no assets here to fill a table from")
        data = read(np.asarray(filename).item())
        lines = text_lines(data)[offset:] if offset else text_lines(data, count)
        rows = [(i, line, line.split(delimiter)) for i, line in enumerate(lines)]
        keys = [_column(row, columns[0]) for row in rows]
        values = [_column(row, columns[1]) for row in rows]
        table.initialize(_typed(keys, table.key_dtype), _typed(values, table.value_dtype))

    return _nothing(fill)


def _column(row: tuple[int, bytes, list[bytes]], column: int) -> Any:
    number, line, fields = row
    if column == LINE_NUMBER:
        return number
    return line if column == WHOLE_LINE else fields[column]


def _typed(items: list[Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    result = np.empty(len(items), dtype)
    if dtype == np.dtype(object):
        result[:] = [x if isinstance(x, bytes) else str(x).encode() for x in items]
    else:
        result[:] = [dtype.type(x.decode() if isinstance(x, bytes) else x) for x in items]
    return result


def _nothing(call: Callable[..., None]) -> Kernel:
    """A kernel without outputs from a method of a table."""

    def kernel(*arguments: Value) -> tuple[()]:
        call(*arguments)
        return ()

    return kernel
