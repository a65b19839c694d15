"""Graphs without signatures as functions of some of their tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from hozon.containers.graph_file import GraphFile
from hozon.errors import MismatchError, UnsupportedError
from hozon.formats.protos.graph import NodeDef
from hozon.formats.protos.signatures import SignatureDef, TensorInfo
from hozon.formats.protos.tensor import UNKNOWN_SHAPE, Shape, TypeNumber
from hozon.graph_level.functions import SignatureFunction
from hozon.graph_level.session import Session
from hozon.graph_level.structures import flatten, map_structure
from hozon.graphs.build import parse_input
from hozon.graphs.resources import Variable
from hozon.graphs.values import Value

SERVING = "serving_default"
#: Ops that stand for what a caller gives.
GIVEN = frozenset({"Placeholder", "PlaceholderV2"})
#: How the names of ops begin that give nothing to a caller although nothing reads them.
NO_RESULTS = ("NoOp", "Assert", "Assign", "Save", "Restore", "Print", "Const", "ShardedFilename")

Names = str | Sequence[str] | Mapping[str, str]


class GraphFunction:
    """A function from some tensors of a graph to others.

    Called with the inputs in order, or by name; gives the structure that `outputs` had.

    Attributes:
        inputs: the names of its inputs in order.
        signatures: the same function as a signature, ``serving_default``.
    """

    def __init__(self, signature: SignatureFunction, inputs: Sequence[str], outputs: Any) -> None:
        self.inputs = tuple(inputs)
        self.signatures = {SERVING: signature}
        self._signature = signature
        self._outputs = outputs

    @property
    def variables(self) -> list[Variable]:
        """The variables of the graph; a frozen one has none."""
        return self._signature.variables

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the graph; names, dtypes and shapes of the inputs are checked first."""
        return self._structured(self._signature(**self._named(args, kwargs)))

    def stateless_call(self, values: Sequence[Value], *args: Any, **kwargs: Any) -> Any:
        """Run as a pure function of the values of `self.variables`.

        Returns ``(outputs, new_values)``.
        """
        outputs, new = self._signature.stateless_call(values, **self._named(args, kwargs))
        return self._structured(outputs), new

    def _named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if len(args) > len(self.inputs):
            raise MismatchError(
                f"the graph takes {len(self.inputs)} inputs ({', '.join(self.inputs)}), "
                f"{len(args)} are given"
            )
        return {**dict(zip(self.inputs, args, strict=False)), **kwargs}

    def _structured(self, outputs: Mapping[str, Any]) -> Any:
        return map_structure(lambda name: outputs[name], self._outputs)


def graph_function(
    file: GraphFile, inputs: Names | None = None, outputs: Names | None = None
) -> GraphFunction:
    """The function of a graph from `inputs` to `outputs`; see `hozon.saved_model.load_graph`."""
    nodes = {node.name: node for node in file.meta_graph.graph.nodes}
    given = _inputs(nodes) if inputs is None else inputs
    taken = _by_name(given, nodes, file.path)
    found = _outputs(nodes, taken, file) if outputs is None else outputs
    results = {name: name for name in sorted(set(flatten(found)))}  # as signatures are packed
    session = Session(file)
    signature = SignatureDef(
        {key: _info(tensor, nodes) for key, tensor in taken.items()},
        {key: _info(tensor, nodes) for key, tensor in _checked(results, nodes, file.path).items()},
        "",
        {},
    )
    return GraphFunction(session.signature(SERVING, signature), list(taken), found)


def _by_name(names: Names, nodes: Mapping[str, NodeDef], where: str) -> dict[str, str]:
    """The tensors to give by their names; a tensor without one goes by its own."""
    if isinstance(names, Mapping):
        return _checked(names, nodes, where)
    listed = [names] if isinstance(names, str) else names
    return _checked({name.removesuffix(":0"): name for name in listed}, nodes, where)


def _checked(
    tensors: Mapping[str, str], nodes: Mapping[str, NodeDef], where: str
) -> dict[str, str]:
    """Tensors that are in the graph, or MismatchError with the nearest names."""
    for tensor in tensors.values():
        name = parse_input(tensor).name
        if name not in nodes:
            near = get_close_matches(name, nodes, 3, 0.5)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise MismatchError(f"the graph has no tensor {tensor!r}{hint}", file=where)
    return {key: tensor if ":" in tensor else f"{tensor}:0" for key, tensor in tensors.items()}


def _info(tensor: str, nodes: Mapping[str, NodeDef]) -> TensorInfo:
    """What the graph says about a tensor that is fed or fetched."""
    attrs = nodes[parse_input(tensor).name].attrs
    dtype, shape = attrs.get("dtype"), attrs.get("shape")
    return TensorInfo(
        tensor,
        dtype if isinstance(dtype, TypeNumber) else TypeNumber(0),
        shape if isinstance(shape, Shape) else UNKNOWN_SHAPE,
    )


def _inputs(nodes: Mapping[str, NodeDef]) -> list[str]:
    """The placeholders, in the order in which the graph was made."""
    return [name for name, node in nodes.items() if node.op in GIVEN]


def _outputs(nodes: Mapping[str, NodeDef], inputs: Mapping[str, str], file: GraphFile) -> Any:
    """What is made of the inputs and read by nothing: one tensor, or a dictionary by name."""
    read: dict[str, list[str]] = {
        name: [parse_input(text).name for text in node.inputs if not text.startswith("^")]
        for name, node in nodes.items()
    }
    from_inputs = _reached(read, {parse_input(tensor).name for tensor in inputs.values()})
    used = {source for sources in read.values() for source in sources}
    ends = [
        name
        for name, node in nodes.items()
        if name in from_inputs
        and name not in used
        and node.op not in GIVEN
        and not node.op.startswith(NO_RESULTS)
        and not node.op.endswith("Summary")
    ]
    if not ends or (len(ends) > 1 and not file.is_frozen):
        raise UnsupportedError(
            "the graph does not tell which tensors are its outputs"
            + f"; nothing reads {', '.join(ends[:10])}" * bool(ends),
            feature="a graph of several ends",
            file=file.path,
            instead="name them: outputs=...",
        )
    return ends[0] if len(ends) == 1 else {name: name for name in ends}


def _reached(read: Mapping[str, Sequence[str]], start: set[str]) -> set[str]:
    """The nodes that depend on some of `start`."""
    readers: dict[str, list[str]] = {}
    for name, sources in read.items():
        for source in sources:
            readers.setdefault(source, []).append(name)
    found, waiting = set(start), list(start)
    while waiting:
        for reader in readers.get(waiting.pop(), ()):
            if reader not in found:
                found.add(reader)
                waiting.append(reader)
    return found
