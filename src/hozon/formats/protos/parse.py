"""Bytes to messages, with errors that say what the bytes look like instead."""

from __future__ import annotations

from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from hozon.errors import FormatError
from hozon.limits import LIMITS

#: First bytes (at an offset) of other files that end up under a protobuf file's name.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x1f\x8b", "gzip data"),
    (0, b"\x93NUMPY", "a NumPy array file"),
    (0, b"\x80\x02", "a pickle"),
    (0, b"\x80\x03", "a pickle"),
    (0, b"\x80\x04", "a pickle"),
    (0, b"\x80\x05", "a pickle"),
    (0, b"version https://git-lfs", "a Git LFS pointer: the file itself was never downloaded"),
    (4, b"TFL3", "a TensorFlow Lite model"),
)
_WORDS: tuple[tuple[bytes, str], ...] = (
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"{", "JSON text"),
    (b"saved_model_schema_version", "a SavedModel in text form (saved_model.pbtxt)"),
    (b"meta_graphs", "a SavedModel in text form (saved_model.pbtxt)"),
    (b"node {", "a GraphDef in text form"),
    (b"meta_info_def {", "a MetaGraphDef in text form"),
)


def parse_message(kind: Any, data: bytes, *, file: str | None, record: str) -> Any:
    """A message of class `kind` from its encoded bytes.

    Raises FormatError naming `file` when the bytes are damaged or something else.
    """
    if not 0 < len(data) <= LIMITS.message_bytes:
        raise FormatError(
            f"not a {record}: no message has this length", file=file,
            expected=f"1 to {LIMITS.message_bytes} bytes", found=f"{len(data)} bytes",
        )  # fmt: skip
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError:
        found = looks_like(data) or "damaged or truncated bytes"
        raise FormatError(
            f"this is not a whole {record}", file=file, expected=record, found=found
        ) from None  # fmt: skip
    return message


def parse_text(kind: Any, data: bytes, *, file: str | None, record: str) -> Any:
    """A message of class `kind` from protobuf's text form; fields not known here are skipped."""
    try:
        return text_format.Parse(data.decode("utf-8"), kind(), allow_unknown_field=True)
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(
            f"this is not the text form of a {record}: {error}", file=file, expected=record
        ) from None


def check_count(count: int, what: str, file: str | None) -> None:
    """Raise FormatError when a graph has more nodes than any real one."""
    if count > LIMITS.nodes:
        raise FormatError(
            f"the {what} has too many nodes", file=file,
            expected=f"at most {LIMITS.nodes}", found=count,
        )  # fmt: skip


def looks_like(data: bytes) -> str | None:
    """What a file that is not the expected one seems to be; None when it is unknown."""
    for offset, signature, name in _SIGNATURES:
        if data[offset : offset + len(signature)] == signature:
            return name
    start = data[:256].lstrip().lower()
    for word, name in _WORDS:
        if start.startswith(word):
            return name
    return "text" if _is_text(data[:512]) else None


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(text) and all(c.isprintable() or c in "\r\n\t" for c in text)
