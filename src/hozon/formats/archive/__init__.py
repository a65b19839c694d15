"""Zip archives: checked before anything is taken from them, written without times."""

from hozon.formats.archive.reader import Archive, is_zip, open_archive
from hozon.formats.archive.writer import write_archive

__all__ = ["Archive", "is_zip", "open_archive", "write_archive"]
