"""Writing a SavedModel directory; its layout is described in `read.py`.

The directory is made beside its place and takes it in one step. Equal contents give equal bytes:
nothing is stamped with a time, and the fingerprint's uuid is made from the bytes.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hozon.containers.savedmodel.content import Content
from hozon.containers.savedmodel.main_graph import MainGraph, main_graph
from hozon.containers.savedmodel.read import METADATA_FILE, detect
from hozon.errors import SaveError
from hozon.formats.bundle import write_bundle
from hozon.formats.protos.fingerprint import Fingerprint, encode_fingerprint
from hozon.formats.protos.graph import FunctionLibrary, GraphDef
from hozon.formats.protos.keras_metadata import encode_keras_metadata
from hozon.formats.protos.saved_model import (
    SCHEMA_VERSION,
    MetaGraph,
    SavedModelRecord,
    encode_saved_model,
)
from hozon.formats.protos.trackable import encode_trackable_graph
from hozon.objects.keys import OBJECT_GRAPH_KEY
from hozon.raw.commit import replacing_directory
from hozon.raw.hashing import fingerprint64

GRAPH_FILE = "saved_model.pb"
FINGERPRINT_FILE = "fingerprint.pb"
#: The TensorFlow whose ops and formats are written; readers compare it with their own.
TENSORFLOW_VERSION = "2.21.0"
#: Versions of graphs: written by this producer, read by these and later (versions.h).
PRODUCER, MIN_CONSUMER = 2474, 0
#: Of the fingerprint's own form (tensorflow/core/protobuf/fingerprint.proto).
FINGERPRINT_VERSION = 4


def write(
    content: Content, path: str | os.PathLike[str], *, overwrite: bool = True,
    durable: bool | None = None,
) -> int:  # fmt: skip
    """Write a SavedModel directory, whole or not at all.

    Args:
        content: what it holds.
        path: the directory; the one around it must exist. A SavedModel that is there is replaced.
        overwrite: False keeps a SavedModel that is there.
        durable: whether to wait for the disk; None, if something is replaced.

    Returns:
        The bytes of all files together.

    Raises:
        SaveError: it cannot be written, or something else is there. Nothing has changed.
    """
    target = Path(path)
    if not overwrite and target.exists():
        raise SaveError(
            f"{target} exists already", file=target, instead="overwrite=True, or another path"
        )
    with replacing_directory(target, durable=durable, recognize=detect) as folder:
        return sum(map(os.path.getsize, _fill(Path(folder), content)))


def _fill(folder: Path, content: Content) -> Iterator[Path]:
    for name in ("variables", "assets"):
        (folder / name).mkdir()
    for name, data in content.assets.items():
        yield _put(folder / "assets" / name, data)
    # Without variables there is nothing to restore, and loaders do not look for a checkpoint.
    if content.keys:
        write_bundle(folder / "variables" / "variables", _tensors(content), durable=False)
        yield from (folder / "variables").iterdir()
    data = encode_saved_model(_record(content))
    yield _put(folder / GRAPH_FILE, data)
    yield _put(folder / FINGERPRINT_FILE, encode_fingerprint(_fingerprint(content, data)))
    if content.metadata:
        yield _put(folder / METADATA_FILE, encode_keras_metadata(content.metadata))


def _put(file: Path, data: bytes) -> Path:
    file.write_bytes(data)
    return file


def _tensors(content: Content) -> Iterable[tuple[str, Any]]:
    record = np.empty((), object)
    record[()] = encode_trackable_graph(content.checkpoint)
    yield OBJECT_GRAPH_KEY, record
    yield from content.variables


def _record(content: Content) -> SavedModelRecord:
    graph: MainGraph = main_graph(content)
    library = FunctionLibrary({f.name: f for f in content.functions}, {}, {})
    meta_graph = MetaGraph(
        tags=("serve",),
        tensorflow_version=TENSORFLOW_VERSION,
        tensorflow_git_version="",
        stripped_default_attrs=True,
        function_aliases={},
        graph=GraphDef(graph.nodes, library, PRODUCER, MIN_CONSUMER),
        saver=graph.saver,
        collections={},
        signatures=graph.signatures,
        assets=graph.assets,
        object_graph=content.objects,
    )
    return SavedModelRecord(SCHEMA_VERSION, (meta_graph,))


def _fingerprint(content: Content, data: bytes) -> Fingerprint:
    """Hashes that tell two saves apart; no loader compares them with the files."""
    whole = _digest(data)
    checkpoint = _digest(repr([key for _, key in sorted(content.keys.items())]).encode())
    signatures = _digest(repr(sorted(content.signatures)).encode())
    return Fingerprint(
        saved_model=fingerprint64(whole),
        graph=fingerprint64(whole[:16]),
        signatures=fingerprint64(signatures),
        object_graph=fingerprint64(whole[16:]),
        checkpoint=fingerprint64(checkpoint),
        uuid=str(uuid.UUID(bytes=whole[:16], version=4).int),
        producer=FINGERPRINT_VERSION,
    )


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
