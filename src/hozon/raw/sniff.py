"""What a file that is not of the expected format looks like, for error messages."""

from __future__ import annotations

from collections.abc import Mapping

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
#: What people expect of a file with such an end.
SUFFIXES: Mapping[str, str] = {
    ".bin": "a binary file",
    ".csv": "a table",
    ".gguf": "a GGUF file",
    ".gz": "a gzip file",
    ".h5": "a Keras H5 file",
    ".hdf": "an HDF5 file",
    ".hdf5": "a Keras H5 file",
    ".html": "an HTML page",
    ".index": "the index of a checkpoint, which is named without it",
    ".ipynb": "a notebook",
    ".joblib": "a Python pickle",
    ".json": "JSON text",
    ".keras": "a Keras archive",
    ".md": "text",
    ".mlmodel": "a Core ML model",
    ".mlpackage": "a Core ML model",
    ".msgpack": "a MessagePack file",
    ".npy": "a NumPy array",
    ".npz": "a NumPy archive",
    ".onnx": "an ONNX model",
    ".pb": "a TensorFlow graph",
    ".pbtxt": "a TensorFlow graph as text",
    ".pickle": "a Python pickle",
    ".pkl": "a Python pickle",
    ".pt": "a PyTorch file",
    ".pt2": "a PyTorch file",
    ".pth": "a PyTorch file",
    ".py": "a Python program",
    ".safetensors": "safetensors",
    ".tar": "a tar archive",
    ".tflite": "a LiteRT (TensorFlow Lite) model",
    ".tgz": "a tar archive",
    ".txt": "text",
    ".xml": "XML text",
    ".yaml": "YAML text",
    ".yml": "YAML text",
    ".zip": "a zip archive",
}
_PICKLED, _ARRAY = b"/data.pkl", b".npy"
_TFLITE, _TAR = b"TFL3", b"ustar"
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


def describe_file(name: str, head: bytes) -> str:
    """What a file seems to be by its first bytes, or, where they say nothing, by its name."""
    if head[4:8] == _TFLITE:
        return SUFFIXES[".tflite"]
    if head[257:262] == _TAR:
        return SUFFIXES[".tar"]
    if head.startswith(b"PK\x03\x04") and _PICKLED in head:
        return SUFFIXES[".pth"]
    if head.startswith(b"PK\x03\x04") and _ARRAY in head[:128]:
        return SUFFIXES[".npz"]
    found = looks_like(head)
    by_name = SUFFIXES.get("." + name.rpartition(".")[2].lower()) if "." in name else None
    return by_name if found == UNKNOWN and by_name is not None else found


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


def suffix_of(path: str) -> str | None:
    """The end of a path that means a kind of file; None where it means none."""
    suffix = "." + path.lower().rpartition("/")[2].rpartition(".")[2]
    return suffix if path.lower().endswith(suffix) and suffix in SUFFIXES else None
