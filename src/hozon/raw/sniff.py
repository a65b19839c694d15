"""What a file that is not of the expected format looks like, for error messages."""

from __future__ import annotations

UNKNOWN = "unknown binary data"
"""The answer for bytes that nothing is known about."""

_MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"BZh", "a bzip2 file"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"GGUF", "a GGUF file"),
    (b"version https://git-lfs", "a Git LFS pointer (fetch the file itself with `git lfs pull`)"),
)
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x1b")


def looks_like(head: bytes) -> str:
    """What the first bytes of a file suggest that it is, such as `a zip archive`."""
    if not head:
        return "an empty file"
    if not any(head):
        return "zeros"
    for magic, name in _MAGICS:
        if head.startswith(magic):
            return name
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 27:
        return "a safetensors file"
    return _text(head) if _is_text(head) else UNKNOWN


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # The head may end inside a character.
        if error.start < len(head) - 3:
            return False
    return all((byte >= 0x20 and byte != 0x7F) or byte in _TEXT_CONTROLS for byte in head)


def _text(head: bytes) -> str:
    start = head.lstrip()
    if start.startswith((b"{", b"[")):
        return "JSON text"
    return "HTML or XML text" if start.startswith(b"<") else "text"
