"""Writing the record of a checkpoint under another prefix."""

from __future__ import annotations

import os
import re

from hozon.errors import SaveError, UnsupportedError
from hozon.formats.bundle import is_bundle, write_bundle
from hozon.objects.keys import OBJECT_GRAPH_KEY
from hozon.raw.stores import join, names, parent_and_name, require_writable, size
from hozon.record import ModelRecord


def write(record: ModelRecord, path: str | os.PathLike[str], overwrite: bool = True) -> int:
    """Write all tensors of a checkpoint's record, whole or not at all; the bytes of its files.

    Raises:
        SaveError: it cannot be written, or exists and may not be replaced.
        UnsupportedError: the record names its tensors otherwise, so that there is no object graph.
    """
    where = require_writable(path)
    if record.naming != "objects":
        raise UnsupportedError(
            f"a checkpoint names variables by objects, the record by {record.naming}",
            feature=f"naming {record.naming!r}",
            file=record.path or None,
        )
    if not overwrite and is_bundle(where):
        raise SaveError(
            f"{where} exists already", file=where, instead="overwrite=True, or another path"
        )
    tensors = {name: t for group in record.state for name, t in group.tensors.items()}
    if record.metadata.get(OBJECT_GRAPH_KEY) is not None:
        tensors[OBJECT_GRAPH_KEY] = record.metadata[OBJECT_GRAPH_KEY]
    write_bundle(where, sorted(tensors.items(), key=lambda item: item[0]))
    return saved_bytes(where)


def saved_bytes(prefix: str) -> int:
    """Bytes of a checkpoint's files together."""
    folder, name = parent_and_name(prefix)
    files = re.compile(re.escape(name) + r"\.(index|data-\d{5}-of-\d{5})")
    return sum(size(join(folder, file)) for file in names(folder) if files.fullmatch(file))
