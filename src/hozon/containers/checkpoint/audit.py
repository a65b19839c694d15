"""All checksums and references of a TensorFlow checkpoint."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from hozon.audit import Audit
from hozon.containers.checkpoint.read import find_prefix, no_checkpoint
from hozon.formats.bundle import Bundle, open_bundle
from hozon.formats.protos.trackable import TrackableGraph, decode_trackable_graph
from hozon.objects.keys import OBJECT_GRAPH_KEY
from hozon.raw.stores import exists, size
from hozon.stored.lazy import LazyTensor

#: What a sorted table has after its blocks.
FOOTER = 48


def audit_checkpoint(path: str, audit: Audit) -> None:
    """Check the checkpoint that a path means."""
    prefix = find_prefix(path)
    if prefix is None:
        raise no_checkpoint(path)
    audit_bundle(prefix, audit)


def audit_bundle(prefix: str, audit: Audit) -> Bundle | None:
    """Check the blocks of the index, the tensors, and what the object graph names of them.

    Returns:
        The open checkpoint; None where its index is so damaged that there is none.
    """
    bundle: Bundle | None = None
    with audit.checking("blocks of the index", file=f"{prefix}.index"):
        bundle = open_bundle(prefix)
    if bundle is None:
        return None
    index, *data = bundle.files()
    audit.nbytes += size(index)
    audit.cover(size(index) - FOOTER)
    audit.leave("footer of the index", FOOTER)
    stored = covered = 0
    for file in filter(exists, data):  # one that holds no tensor need not be there
        with audit.checking("data files", file=file):
            stored += size(file)
    audit.nbytes += stored
    for name in bundle:
        with audit.checking("tensor checksums", name, prefix):
            covered += bundle.check(name)
    audit.cover(min(covered, stored))
    if not audit.damage:
        audit.leave("bytes between tensors", stored - covered)
    _audit_objects(bundle, audit)
    return bundle


def _audit_objects(bundle: Bundle, audit: Audit) -> None:
    if OBJECT_GRAPH_KEY not in bundle:
        return
    with audit.checking("object graphs", OBJECT_GRAPH_KEY, bundle.prefix):
        graph, names = object_graph(bundle[OBJECT_GRAPH_KEY], bundle.prefix), sorted(bundle)
        for number, node in enumerate(graph.nodes):
            audit.checked["objects"] += 1
            for tensor in node.tensors:
                held = tensor.key in bundle or _is_held(tensor.key, names)
                if tensor.name and not held:
                    audit.damaged(
                        f"object {number} names a tensor that the checkpoint does not hold",
                        file=bundle.prefix,
                        record=tensor.key,
                    )


def object_graph(tensor: LazyTensor, file: str) -> TrackableGraph:
    """The object graph that a checkpoint holds of itself.

    Raises:
        FormatError: it is damaged.
    """
    data = tensor.read(verify=False)
    item = data.item() if data.shape == () else b""
    return decode_trackable_graph(item, file=file)


def _is_held(key: str, names: Sequence[str]) -> bool:
    """Whether a checkpoint holds a key, or, as of a table, those that begin with it.

    A table lists what its keys and values begin with, and so does TensorFlow 2.9 for others.
    """
    return any(_begins(start, names) for start in (f"{key}-", f"{key.rstrip('/')}/"))


def _begins(start: str, names: Sequence[str]) -> bool:
    """Whether one of some sorted names begins with a text."""
    at = bisect_left(names, start)
    return at < len(names) and names[at].startswith(start)
