"""What a path of no known form is instead: one diagnosis for all doors."""

from __future__ import annotations

from hozon.errors import FormatError, MissingFileError, did_you_mean
from hozon.raw.sniff import describe_file
from hozon.raw.stores import (
    exists,
    is_directory,
    is_remote,
    join,
    names,
    open_source,
    parent_and_name,
)

GRAPH_FILE = "saved_model.pb"
SNIFFED_BYTES = 512
#: Ends of files that may be meant where their folder is given.
FILES = (".h5", ".hdf5", ".keras", ".safetensors", ".weights.json")
#: Files of Orbax's folders.
ORBAX = ("_CHECKPOINT_METADATA", "_METADATA")
#: Advice for what people meet most.
ADVICE = (
    ("HTML", "as of a page that was saved in place of the file; download the file itself"),
    ("PyTorch", "which only PyTorch reads; export it from there"),
    ("ONNX", "which Hozon does not read"),
    ("LiteRT", "which has no trainable weights; give what it was made from"),
    ("archive", "unpack it and give what is in it"),
    ("gzip", "unpack it and give what is in it"),
    ("pickle", "which runs code when it is opened, so Hozon does not"),
)


def describe_foreign(where: str) -> str:
    """A clause on what is at a place, and what to give instead.

    Raises:
        MissingFileError: there is nothing.
    """
    if not exists(where) and exists(f"{where}.index"):
        return "it is a checkpoint, which has weights but no model"
    require_there(where)
    if is_directory(where):
        return _directory(where)
    folder, name = parent_and_name(where)
    if name == GRAPH_FILE:
        return f"give the directory that holds it, {folder or '.'}"
    try:
        source = open_source(where)
    except FormatError:  # a pipe, a device
        return "it is no regular file"
    found = describe_file(name, bytes(source.view(0, min(source.size, SNIFFED_BYTES))))
    advice = next((text for word, text in ADVICE if word in found), None)
    return f"it is {found}" if advice is None else f"it is {found}, {advice}"


def require_there(where: str) -> None:
    """Raise MissingFileError if there is nothing at a place."""
    if not exists(where):
        folder, name = parent_and_name(where.rstrip("/"))
        beside = names(folder) if not is_remote(where) and is_directory(folder) else []
        near = did_you_mean(name, beside)
        raise MissingFileError(f"{where} does not exist{near}", file=where)


def _directory(where: str) -> str:
    inside = names(where)
    models = [name for name in inside if exists(join(where, name, GRAPH_FILE))]
    if models:
        return f"there is a SavedModel in {join(where, models[-1])}"
    if not inside:
        return f"it is an empty folder, which holds no {GRAPH_FILE}"
    if any(name in ORBAX for name in inside):
        return "it is an Orbax checkpoint that Keras did not write; restore it by orbax.checkpoint"
    if any(name.endswith(".index") for name in inside):
        return (
            f"it holds no {GRAPH_FILE}; it holds checkpoints, of which one is named by its prefix, "
            "before .index"
        )
    files = [name for name in inside if name.endswith(FILES)]
    there = f"; it holds {', '.join(files[:5])}, of which one is to be given" if files else ""
    return f"it is a folder that holds no {GRAPH_FILE}{there}"
