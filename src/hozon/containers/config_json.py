"""JSON files of a model's architecture alone <-> `ModelRecord`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hozon.audit import Audit
from hozon.containers.agreement import audit_record
from hozon.containers.own_checksums import audit_own
from hozon.errors import FormatError
from hozon.formats.jsondoc import parse_object
from hozon.limits import LIMITS
from hozon.raw.commit import replacing_file
from hozon.raw.own_checksum import with_own, without_own
from hozon.raw.stores import open_source, place, size, write_bytes
from hozon.record import ModelRecord

CLASS, CONFIG, VERSION, MODULE = "class_name", "config", "keras_version", "module"


def detect(path: str | os.PathLike[str]) -> bool:
    """Whether a file is JSON text that names the class and the config of a model."""
    source = open_source(place(path))
    if not 2 <= source.size <= LIMITS.header_bytes:
        return False
    if not bytes(source.view(0, min(source.size, 64))).lstrip().startswith(b"{"):
        return False
    try:
        return {CLASS, CONFIG} <= set(_config(place(path)))
    except FormatError:
        return False


def read(path: str | os.PathLike[str]) -> ModelRecord:
    """The architecture of a file.

    Raises:
        FormatError: it is no JSON.
    """
    where = place(path)
    config = _config(where)
    version = str(config.get(VERSION) or "")
    return ModelRecord(
        form="json",
        path=where,
        dialect="keras3" if MODULE in config else "keras1" if version[:1] == "1" else "keras2",
        naming="attributes",
        producer=f"keras {version}" if version else "",
        config=config,
    )


def audit(path: str, found: Audit) -> None:
    """Check that an architecture refers only to layers that it has."""
    nbytes = size(path)
    found.nbytes += nbytes
    with found.checking("configs", file=path):
        audit_record(read(path), found)
    if not audit_own(open_source(path), found):
        found.leave("JSON text has no checksum", nbytes)


def write(text: str, path: str | os.PathLike[str]) -> int:
    """Write an architecture, whole or not at all; its bytes.

    Raises:
        SaveError: it cannot be written. Nothing has changed.
    """
    data = with_own(text.encode())
    with replacing_file(path) as fresh:
        write_bytes(fresh, data)
    return len(data)


def _config(where: str) -> Mapping[str, Any]:
    source = open_source(where)
    return without_own(
        parse_object(bytes(source.view(0, source.size)), file=where, record="config")
    )
