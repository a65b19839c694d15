"""A checkpoint of a Keras model as weights by layer, as far as the file itself tells them.

The root of a Sequential or functional model has edges ``layer_with_weights-0``, ``-1`` ... in the
order of its layers, and each variable its full name, ``lstm/lstm_cell/kernel`` (tf_keras
``engine/functional.py``). An H5 file keeps a layer's variables in the order of its ``weights``,
which the checkpoint does not say; it is known for Keras' own layers, told by their attributes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from hozon.containers.checkpoint.read import read
from hozon.errors import FormatError, UnsupportedError
from hozon.formats.bundle import Bundle
from hozon.formats.protos.trackable import TrackableNode, decode_trackable_graph
from hozon.objects.graph import children, paths
from hozon.objects.keys import OBJECT_GRAPH_KEY, VARIABLE_VALUE
from hozon.record import ModelRecord, StateGroup
from hozon.stored.lazy import LazyTensor

LAYER = re.compile(r"layer_with_weights-(\d+)")
CELL = ("cell/kernel", "cell/recurrent_kernel", "cell/bias")
ATTENTION = ("_query_dense", "_key_dense", "_value_dense", "_output_dense")
#: The variables of Keras' own layers in the order of ``layer.weights``; some may be missing. With
#: them, how many last parts of a full name are not the layer's.
ORDERS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("kernel", "bias"), 1),
    (("embeddings",), 1),
    (("alpha",), 1),
    (("depthwise_kernel", "pointwise_kernel", "bias"), 1),
    (("gamma", "beta", "moving_mean", "moving_variance"), 1),
    (("layer/kernel", "layer/bias"), 1),
    (CELL, 2),
    (tuple(f"{way}_layer/{name}" for way in ("forward", "backward") for name in CELL), 3),
    (tuple(f"{part}/{name}" for part in ATTENTION for name in ("kernel", "bias")), 2),
)
INSTEAD = (
    "make the model by its own code, hozon.load_weights(model, source), and "
    "hozon.save_weights(model, target)"
)


def read_by_layer(path: str | os.PathLike[str]) -> ModelRecord:
    """The weights of a checkpoint by layer; tensors are read when used.

    Everything else in it, as an optimizer's state, is listed under ``left_out`` of the metadata.

    Raises:
        FormatError: there is no checkpoint, or it is damaged.
        UnsupportedError: it does not say how an H5 file would name its weights, and in which order.
    """
    bundle = read(path)
    file = os.fspath(path)
    nodes = _nodes(bundle, file)
    if nodes:
        _check_root(nodes[0], file)
    numbers = sorted(
        int(found[1])
        for edge in (nodes[0].children if nodes else ())
        if (found := LAYER.fullmatch(edge.name))
    )
    if not numbers:
        raise _unknown("it is of no Sequential or functional Keras model", file)
    tops = children(nodes[0])
    used: set[str] = set()
    groups: dict[str, StateGroup] = {}
    for number in numbers:
        edge = f"layer_with_weights-{number}"
        group = _layer(nodes, tops[edge], edge, bundle, used)
        if group.name in groups:
            raise _unknown(f"two of its layers are called {group.name!r}", file)
        groups[group.name] = group
    left = sorted(key for key in bundle if key not in used and key != OBJECT_GRAPH_KEY)
    return ModelRecord(
        form="h5_weights",
        path=file,
        dialect="keras2",
        naming="layers",
        state=tuple(groups.values()),
        metadata={"left_out": left},
    )


def _nodes(bundle: Bundle, file: str) -> Sequence[TrackableNode]:
    if OBJECT_GRAPH_KEY not in bundle:
        raise _unknown("it holds variables by name, without the objects that they belong to", file)
    stored = bundle[OBJECT_GRAPH_KEY].read()
    data = stored.item() if stored.shape == () else None
    if not isinstance(data, bytes):
        raise FormatError(
            "the object graph of the checkpoint is not one string",
            file=file,
            record=OBJECT_GRAPH_KEY,
        )
    return decode_trackable_graph(data, file=file).nodes


def _check_root(root: TrackableNode, file: str) -> None:
    if root.tensors:
        raise _unknown("the model has variables of its own besides those of its layers", file)


def _layer(
    nodes: Sequence[TrackableNode], at: int, edge: str, bundle: Bundle, used: set[str]
) -> StateGroup:
    """The variables of one layer, in the order of its ``weights``."""
    file = bundle.prefix
    found: dict[str, tuple[str, str]] = {}
    for index, path in paths(nodes, at).items():
        for tensor in nodes[index].tensors:
            if tensor.name != VARIABLE_VALUE:
                raise _unknown(f"{edge} keeps more than variables: {tensor.key}", file)
            found["/".join(path)] = (tensor.full_name, tensor.key)
    order, depth = _order(found, edge, file)
    stored = [found[path] for path in order if path in found]
    owners = {"/".join(name.split("/")[:-depth]) for name, _ in stored}
    if len(owners) != 1 or owners == {""}:
        raise _unknown(f"the variables of {edge} do not tell the layer's name", file)
    used.update(key for _, key in stored)
    tensors = {f"{name}:0": _tensor(bundle, key) for name, key in stored}
    if len(tensors) < len(stored):
        raise _unknown(f"two variables of {edge} have one name", file)
    return StateGroup(owners.pop(), tensors)


def _tensor(bundle: Bundle, key: str) -> LazyTensor:
    if key not in bundle:
        raise FormatError(
            "the object graph lists a tensor that the checkpoint does not hold",
            file=bundle.prefix,
            record=key,
        )
    return bundle[key]


def _order(found: Mapping[str, object], edge: str, file: str) -> tuple[tuple[str, ...], int]:
    for order, depth in ORDERS:
        if found and set(found) <= set(order):
            return order, depth
    raise _unknown(
        f"{edge} with the variables {', '.join(sorted(found))[:200] or '(none)'} is none of the "
        "layers whose order of weights is known",
        file,
    )


def _unknown(why: str, file: str) -> UnsupportedError:
    return UnsupportedError(
        f"this checkpoint does not say how an H5 file would keep its weights: {why}",
        feature="this checkpoint as H5 weights",
        file=file,
        instead=INSTEAD,
    )


__all__ = ["read_by_layer"]
