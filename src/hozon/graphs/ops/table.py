"""Lookup tables and the assets that fill them, on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        make = _table_of(node, mutable, shaped)
        name = node.text("shared_name") or node.name
        node.attr("use_node_name_sharing")
        return lambda *reserved: node.resources.get("table", name, lambda: make(name, reserved))

    return handler


def _anonymous(mutable: bool, shaped: bool = False) -> Any:
    def handler(node: NodeView) -> Kernel:
        make = _table_of(node, mutable, shaped)
        return lambda *reserved: make(node.name, reserved)

    return handler


def _table_of(node: NodeView, mutable: bool, shaped: bool) -> Callable[..., LookupTable]:
    """What makes the table of a node from its name and its reserved keys."""
    key, value = node.dtype("key_dtype").numpy, node.dtype("value_dtype").numpy
    shape = tuple(node.attr("value_shape").dims) if shaped else ()
    for unused in ("initial_num_buckets", "max_load_factor"):
        if node.definition is not None and unused in node.definition.attrs:
            node.attr(unused)

    def make(name: str, reserved: Sequence[Value]) -> LookupTable:
        keys = list(map(np.asarray, reserved))
        return LookupTable(name, key, value, shape, mutable=mutable, reserved=keys)

    return make


TABLE.op("HashTableV2", "HashTable", host=True)(_maker(mutable=False))
TABLE.op("AnonymousHashTable", host=True)(_anonymous(mutable=False))
TABLE.op("MutableHashTableV2", "MutableHashTable", host=True)(_maker(mutable=True))
TABLE.op("AnonymousMutableHashTable", host=True)(_anonymous(mutable=True))
TABLE.op(
    "MutableHashTableOfTensorsV2", "MutableHashTableOfTensors", "MutableDenseHashTableV2", host=True
)(_maker(mutable=True, shaped=True))
TABLE.op("AnonymousMutableHashTableOfTensors", "AnonymousMutableDenseHashTable", host=True)(
    _anonymous(mutable=True, shaped=True)
)


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
    """Fill a table from an asset of the artifact; no other file is opened.

    `offset` is added to the numbers of lines.
    """
    columns = int(node.attr("key_index")), int(node.attr("value_index"))
    delimiter = node.attr("delimiter")
    offset = int(node.attr("offset"))
    count = int(node.attr("vocab_size"))

    def fill(context: Any, table: LookupTable, filename: Value) -> None:
        data = read_asset(node, context, filename)
        lines = enumerate(text_lines(data, count), offset)
        rows = [(number, line, line.split(delimiter)) for number, line in lines]
        keys = [_column(row, columns[0]) for row in rows]
        values = [_column(row, columns[1]) for row in rows]
        table.initialize(_typed(keys, table.key_dtype), _typed(values, table.value_dtype))

    return _nothing(fill)


@TABLE.op("ReadFile", host=True, context=True)
def read_file(node: NodeView) -> Kernel:
    """The content of an asset of the artifact; no other file is opened."""

    def read(context: Any, *filenames: Value) -> Value:
        if len(filenames) != 1:
            raise node.refuse("it reads one file at a time")
        return np.array(read_asset(node, context, filenames[0]), object)

    return read


def read_asset(node: NodeView, context: Any, filename: Value) -> bytes:
    """The content of an asset by what the graph takes for its path."""
    read: Callable[[bytes], bytes] | None = context.library.resources.read_asset
    if read is None:
        raise node.refuse("there are no assets here to read")
    name = np.asarray(filename)
    if name.ndim or not isinstance(name.item(), bytes):
        raise node.refuse("a file's name is one string")
    return read(name.item())


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
