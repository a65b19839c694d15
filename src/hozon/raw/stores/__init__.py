"""Paths and URLs: one small set of verbs over local files and fsspec file systems.

A place is a string. One with a scheme (``gs://bucket/model``) is handled by fsspec, which must have
the file system's package; every other one is a path of this machine. No module above this one
opens, tests, joins or lists a path in another way.
"""

from hozon.raw.stores.archives import in_archive
from hozon.raw.stores.changing import (
    copy_mode,
    create,
    create_descriptor,
    link_all,
    make_folders,
    move,
    remove_file,
    remove_folders,
    write_bytes,
)
from hozon.raw.stores.looking import (
    exists,
    file_system,
    files_below,
    is_cached,
    is_directory,
    is_file,
    is_inside,
    is_link,
    names,
    open_source,
    read_bytes,
    size,
    size_on_disk,
)
from hozon.raw.stores.paths import (
    absolute,
    is_absolute,
    is_remote,
    join,
    parent_and_name,
    place,
    relative,
    require_writable,
)
from hozon.raw.stores.seen import looking

__all__ = [
    "absolute",
    "copy_mode",
    "create",
    "create_descriptor",
    "exists",
    "file_system",
    "files_below",
    "in_archive",
    "is_absolute",
    "is_cached",
    "is_directory",
    "is_file",
    "is_inside",
    "is_link",
    "is_remote",
    "join",
    "link_all",
    "looking",
    "make_folders",
    "move",
    "names",
    "open_source",
    "parent_and_name",
    "place",
    "read_bytes",
    "relative",
    "remove_file",
    "remove_folders",
    "require_writable",
    "size",
    "size_on_disk",
    "write_bytes",
]
