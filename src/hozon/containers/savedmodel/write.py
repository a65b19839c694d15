"""Writing a SavedModel directory; its layout is described in `read.py`.

The directory is made beside its place and takes it in one step. Equal contents give equal bytes:
nothing is stamped with a time, and the fingerprint's uuid is made from the bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import chain

from hozon.containers.card import put_card
from hozon.containers.savedmodel.content import Content, Draft, Ready
from hozon.containers.savedmodel.describe import describe
from hozon.containers.savedmodel.fingerprint import FILE, fingerprint
from hozon.containers.savedmodel.main_graph import MainGraph, main_graph
from hozon.containers.savedmodel.read import GRAPH_FILE, METADATA_FILE, TEXT_GRAPH_FILE, detect
from hozon.errors import SaveError
from hozon.formats.bundle import write_bundle
from hozon.formats.protos.fingerprint import encode_fingerprint
from hozon.formats.protos.graph import FunctionLibrary, GraphDef
from hozon.formats.protos.keras_metadata import encode_keras_metadata
from hozon.formats.protos.saved_model import (
    SCHEMA_VERSION,
    MetaGraph,
    SavedModelRecord,
    encode_saved_model,
)
from hozon.raw.commit import replacing_directory
from hozon.raw.stores import (
    exists,
    files_below,
    is_directory,
    is_remote,
    join,
    make_folders,
    require_writable,
    size,
    size_on_disk,
    write_bytes,
)
from hozon.raw.team import leads, team

#: The TensorFlow whose ops and formats are written; readers compare it with their own.
TENSORFLOW_VERSION = "2.21.0"
#: The prefix of the checkpoint inside.
VARIABLES = ("variables", "variables")
#: What makes a SavedModel whole, at a place where its files come one after another.
LAST = ("variables/variables.index", METADATA_FILE, GRAPH_FILE, FILE)
#: Names in a SavedModel that are of the model, whoever wrote it.
OWN = frozenset({GRAPH_FILE, TEXT_GRAPH_FILE, METADATA_FILE, FILE, VARIABLES[0], "assets"})
#: Versions of graphs: written by this producer, read by these and later (versions.h).
PRODUCER, MIN_CONSUMER = 2474, 0


def write(
    draft: Draft,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = True,
    durable: bool | None = None,
    card: bool = False,
) -> int:
    """Write a SavedModel directory, whole or not at all.

    Values are written by a second thread while the functions are made.

    Args:
        draft: what it holds.
        path: the directory; the one around it must exist. A SavedModel that is there is replaced;
            what its folder holds besides is kept.
        overwrite: False keeps a SavedModel that is there.
        durable: whether to wait for the disk; None, if something is replaced.
        card: whether to write what is in it for people.

    Returns:
        The bytes of all files together.

    Raises:
        SaveError: it cannot be written, or something else is there. Nothing has changed.
    """
    check_target(path, overwrite=overwrite)
    target = require_writable(path)
    instead_of = join(target, *VARIABLES) if is_remote(target) else None
    with replacing_directory(
        path,
        durable=durable,
        recognize=detect,
        owns=OWN.__contains__,
        last=LAST,
        seal=FILE,
        shared=True,
    ) as folder:
        files = [*_fill(folder, draft, instead_of)]
        if card and leads():
            files += put_card(folder, target, describe(folder))
        if leads():  # of all that is there by now
            files.append(_put(join(folder, FILE), encode_fingerprint(fingerprint(folder))))
        nbytes = sum(map(size, files))
    return nbytes if team() is None else size_on_disk(target)


def check_target(path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Raise SaveError if a SavedModel cannot be put here: before anything costs time."""
    target = require_writable(path)
    if exists(target) and not is_directory(target):
        raise SaveError(
            f"{target} is a file; a SavedModel is a directory",
            file=target,
            instead="another path, or format='h5' or 'keras'",
        )
    if exists(target) and not overwrite:
        raise SaveError(
            f"{target} exists already", file=target, instead="overwrite=True, or another path"
        )


def _fill(folder: str, draft: Draft, instead_of: str | None) -> Iterator[str]:
    make_folders(join(folder, VARIABLES[0]))
    if isinstance(draft, Ready):  # and at the end of a process, when no more threads begin
        yield from _write_values(folder, draft, instead_of)
        yield from _fill_rest(folder, draft.content())
        return
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(copy_context().run, _write_values, folder, draft, instead_of)
        content = draft.content()
        yield from _fill_rest(folder, content)
        yield from writing.result()


def _write_values(folder: str, draft: Draft, instead_of: str | None) -> list[str]:
    """The checkpoint; none where there is nothing to restore, for which loaders do not look."""
    tensors = iter(draft.tensors())
    first = next(tensors, None)
    if first is None:
        return []
    prefix = join(folder, *VARIABLES)
    write_bundle(prefix, chain([first], tensors), durable=False, instead_of=instead_of)
    return [*files_below(join(folder, VARIABLES[0]))]


def _fill_rest(folder: str, content: Content) -> Iterator[str]:
    if not leads():
        return
    make_folders(join(folder, "assets"))
    for name, data in content.assets.items():
        yield _put(join(folder, "assets", name), data)
    yield _put(join(folder, GRAPH_FILE), encode_saved_model(_record(content)))
    if content.metadata:
        yield _put(join(folder, METADATA_FILE), encode_keras_metadata(content.metadata))


def _put(file: str, data: bytes) -> str:
    write_bytes(file, data)
    return file


def _record(content: Content) -> SavedModelRecord:
    graph: MainGraph = main_graph(content)
    library = FunctionLibrary({f.name: f for f in content.functions}, {}, content.gradients)
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
