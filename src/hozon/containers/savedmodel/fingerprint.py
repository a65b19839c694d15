"""``fingerprint.pb``: what the other files of a SavedModel are told by.

TensorFlow's own holds FarmHash64 sums of parts of the graph; no loader compares them with the files
(tensorflow/core/protobuf/fingerprint.proto). Hozon's holds sums of whole files in the same fields:
of the graph in ``saved_model_checksum``, of Keras' metadata in ``signature_def_hash``, of the
assets in ``saved_object_graph_hash``, of the index of the variables in ``checkpoint_hash``. The
``uuid`` is made of the graph, so that equal saves are equal bytes, and its sum, which stands in
``graph_def_program_hash``, tells Hozon's file from TensorFlow's.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator

from hozon.containers.savedmodel.read import GRAPH_FILE, METADATA_FILE, VARIABLES
from hozon.errors import FormatError
from hozon.formats.protos.fingerprint import Fingerprint, decode_fingerprint
from hozon.raw.hashing import fingerprint64
from hozon.raw.stores import is_directory, is_file, join, names, read_bytes

FILE = "fingerprint.pb"
#: Version of the form of the fingerprint itself.
VERSION = 4


def fingerprint(folder: str) -> Fingerprint:
    """The fingerprint of a folder with all else written."""
    graph = _digest(read_bytes(join(folder, GRAPH_FILE)))
    identity = str(uuid.UUID(bytes=graph[:16], version=4).int)
    return Fingerprint(
        saved_model=fingerprint64(graph),
        graph=fingerprint64(identity.encode()),
        signatures=_sum_of(join(folder, METADATA_FILE)),
        object_graph=_sum_of_assets(folder),
        checkpoint=_sum_of(_index(folder)),
        uuid=identity,
        producer=VERSION,
    )


def read(folder: str) -> Fingerprint | None:
    """What a folder's file holds; None where there is none."""
    file = join(folder, FILE)
    return decode_fingerprint(read_bytes(file), file=file) if is_file(file) else None


def is_ours(stored: Fingerprint) -> bool:
    """Whether Hozon wrote a fingerprint."""
    return bool(stored.uuid) and stored.graph == fingerprint64(stored.uuid.encode())


def check(folder: str) -> bool:
    """Compare the sums that Hozon wrote with the files; whether there are any.

    Raises:
        FormatError: a file is not the one that was saved.
    """
    stored = read(folder)
    if stored is None or not is_ours(stored):
        return False
    for file, expected, found in _compared(folder, stored):
        if expected != found:
            raise FormatError(
                f"{file} is damaged: it is not what was saved (who changed it on purpose removes "
                f"{FILE})",
                file=file,
                record=FILE,
                expected=expected,
                found=found,
            )
    return True


def _compared(folder: str, stored: Fingerprint) -> Iterator[tuple[str, int, int]]:
    """Each file, the sum that is stored of it, and its own."""
    for file, expected in (
        (join(folder, GRAPH_FILE), stored.saved_model),
        (join(folder, METADATA_FILE), stored.signatures),
        (_index(folder), stored.checkpoint),
    ):
        yield file, expected, _sum_of(file)
    yield join(folder, "assets"), stored.object_graph, _sum_of_assets(folder)


def _index(folder: str) -> str:
    return f"{join(folder, *VARIABLES)}.index"


def _sum_of(file: str) -> int:
    """The sum of a file's bytes; of a missing one that of none."""
    return fingerprint64(_digest(read_bytes(file) if is_file(file) else b""))


def _sum_of_assets(folder: str) -> int:
    assets = join(folder, "assets")
    found = sorted(names(assets)) if is_directory(assets) else []
    held = [(name, _digest(read_bytes(join(assets, name)))) for name in found]
    return fingerprint64(_digest(repr(held).encode()))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
