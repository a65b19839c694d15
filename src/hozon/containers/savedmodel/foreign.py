"""What a path that is no SavedModel is instead, told by its first bytes, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: First bytes of forms that are mistaken for SavedModels (HDF5 and zip specifications).
FORMS: Mapping[bytes, str] = {
    b"\x89HDF\r\n\x1a\n": "it is an HDF5 file (Keras' .h5); give a SavedModel directory",
    b"PK\x03\x04": "it is a zip archive (Keras' .keras); give a SavedModel directory",
}


def describe_foreign(path: Path, graph_file: str) -> str:
    """A clause that says what `path`, which holds no `graph_file`, is, and what to give instead."""
    if path.is_dir():
        return _directory(path, graph_file)
    with path.open("rb") as file:
        start = file.read(max(map(len, FORMS)))
    known = next((text for magic, text in FORMS.items() if start.startswith(magic)), None)
    if known is not None:
        return known
    if path.name == graph_file:
        return f"give the directory that holds it, {path.parent}"
    return f"it is a file; give the directory that holds a {graph_file} and its variables"


def _directory(path: Path, graph_file: str) -> str:
    inner = sorted(p.parent for p in path.glob(f"*/{graph_file}"))
    if inner:
        return f"there is a SavedModel in {inner[-1]}"
    if any(path.glob("*.index")):
        return f"it holds no {graph_file}; it holds a checkpoint, which has weights but no model"
    return f"it holds no {graph_file}"
