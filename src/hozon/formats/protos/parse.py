"""Bytes to messages, with errors that say what the bytes look like instead."""

from __future__ import annotations

from typing import Any

from google.protobuf import text_format  # noqa: TID251
from google.protobuf.message import DecodeError  # noqa: TID251

from hozon.errors import FormatError
from hozon.limits import LIMITS
from hozon.raw.sniff import UNKNOWN
from hozon.raw.sniff import looks_like as file_looks_like

#: Text and binary files of TensorFlow's own that end up under a protobuf file's name.
_WORDS: tuple[tuple[bytes, str], ...] = (
    (b"saved_model_schema_version", "a SavedModel in text form (saved_model.pbtxt)"),
    (b"meta_graphs", "a SavedModel in text form (saved_model.pbtxt)"),
    (b"node {", "a GraphDef in text form"),
    (b"meta_info_def {", "a MetaGraphDef in text form"),
)
_TFLITE = b"TFL3"  # the flatbuffer's file identifier, at offset 4


def parse_message(kind: Any, data: bytes, *, file: str | None, record: str) -> Any:
    """A message of class `kind` from its encoded bytes.

    Raises FormatError naming `file` when the bytes are damaged or something else.
    """
    if not 0 < len(data) <= LIMITS.message_bytes:
        raise FormatError(
            f"not a {record}: no message has this length",
            file=file,
            expected=f"1 to {LIMITS.message_bytes} bytes",
            found=f"{len(data)} bytes",
        )
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError:
        found = looks_like(data) or "damaged or truncated bytes"
        raise FormatError(
            f"this is not a whole {record}", file=file, expected=record, found=found
        ) from None
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
            f"the {what} has too many nodes",
            file=file,
            expected=f"at most {LIMITS.nodes}",
            found=count,
        )


def looks_like(data: bytes) -> str | None:
    """What a file that is not the expected one seems to be; None when it is unknown."""
    if data[4:8] == _TFLITE:
        return "a TensorFlow Lite model"
    start = data[:256].lstrip()
    for word, name in _WORDS:
        if start.startswith(word):
            return name
    found = file_looks_like(data[:512])
    return None if found == UNKNOWN else found
