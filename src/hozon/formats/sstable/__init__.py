"""Sorted tables of keys and values, as LevelDB and TensorFlow's checkpoint indexes store them."""

from hozon.formats.sstable.layout import MAGIC
from hozon.formats.sstable.reader import is_table, read_table

__all__ = ["MAGIC", "is_table", "read_table"]
