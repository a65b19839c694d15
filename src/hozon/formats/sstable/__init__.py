"""Sorted tables of keys and values, as LevelDB and TensorFlow's checkpoint indexes store them."""

from hozon.formats.sstable.layout import MAGIC
from hozon.formats.sstable.reader import is_table, read_rows, read_table
from hozon.formats.sstable.rows import Rows
from hozon.formats.sstable.writer import encode_table

__all__ = ["MAGIC", "Rows", "encode_table", "is_table", "read_rows", "read_table"]
