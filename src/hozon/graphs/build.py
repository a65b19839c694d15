"""From decoded ``NodeDef`` lists to `Function`s.

Input strings follow graph.proto and function.proto of TensorFlow: in a graph ``name`` or
``name:number``, in a function body ``argument`` or ``name:output_name:number``, and ``^name`` for
a control dependency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hozon.errors import FormatError
from hozon.graphs.bins import with_known_bins
from hozon.graphs.frames import structure_frames
from hozon.graphs.ir import ARGUMENT_OP, Function, Node, Ref
from hozon.graphs.opdefs import op_def
from hozon.graphs.order import in_order, reachable

#: Ops of a function body that run although nothing reads them, where no control result says so.
SIDE_EFFECTS = ("Assign", "Resource", "LookupTableImport", "LookupTableInsert", "InitializeTable")
#: Ops that have no value but the one that is fed.
PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})


@dataclass(frozen=True, slots=True)
class RawInput:
    """An input as the file spells it, taken apart: `output` is None for a control input."""

    name: str
    output: str | int | None


def parse_input(text: str) -> RawInput:
    """Take an input string of a NodeDef apart."""
    if text.startswith("^"):
        return RawInput(text[1:], None)
    name, *rest = text.split(":")
    if not rest:
        return RawInput(name, 0)
    if len(rest) == 1:
        return RawInput(name, int(rest[0]) if rest[0].isdigit() else rest[0])
    offset = int(rest[1]) if rest[1].isdigit() else 0
    return RawInput(name, offset if rest[0].isdigit() else f"{rest[0]}:{offset}")


class GraphNames:
    """The nodes of one graph or function body by name, with their outputs resolved."""

    def __init__(
        self,
        where: str,
        nodes: Sequence[Node],
        inputs: Sequence[Sequence[str]],
        library: Mapping[str, Any],
    ) -> None:
        self.where = where
        self.nodes = nodes
        self.inputs = inputs
        self.library = library
        self.position = {node.name: index for index, node in enumerate(nodes)}
        if len(self.position) != len(nodes):
            raise FormatError(f"{where} has two nodes of one name", record=where)

    def resolve(self, text: str, reader: str) -> tuple[Ref | None, int]:
        """The value (None for a control input) and the node that an input string names."""
        parsed = parse_input(text)
        index = self.position.get(parsed.name)
        if index is None:
            raise FormatError(
                f"{self.where}: {reader!r} reads {text!r}, which does not exist", record=reader
            )
        if parsed.output is None:
            return None, index
        return Ref(index, self._output(index, parsed.output)), index

    def _output(self, index: int, output: str | int) -> int:
        if isinstance(output, int):
            return output
        name, _, offset = output.partition(":")
        node = self.nodes[index]
        if node.op == ARGUMENT_OP:
            return int(offset or 0)
        return self._output_base(node, name) + int(offset or 0)

    def _output_base(self, node: Node, name: str) -> int:
        base = 0
        definition = op_def(node.op)
        if definition is not None:
            for output in definition.outputs:
                if output.name == name:
                    return base
                base += output.count(node.attrs)
        elif node.op in self.library:
            for output in self.library[node.op].outputs:
                if output.name == name:
                    return base
                base += 1
        else:
            return 0
        raise FormatError(
            f"{self.where}: {node.op} {node.name!r} has no output {name!r}", record=node.name
        )

    def connected(self) -> list[Node]:
        """The nodes with their inputs as positions."""
        return [self._connect(i, node) for i, node in enumerate(self.nodes)]

    def _connect(self, index: int, node: Node) -> Node:
        inputs: list[Ref] = []
        controls: list[int] = []
        for text in self.inputs[index]:
            ref, source = self.resolve(text, node.name)
            if ref is None:
                controls.append(source)
            else:
                inputs.append(ref)
        return Node(node.name, node.op, tuple(inputs), tuple(controls), node.attrs)


def function_from_record(
    record: Any,
    library: Mapping[str, Any],
    captures: Callable[[Mapping[str, Any]], Sequence[str]] = lambda attrs: (),
) -> Function:
    """The `Function` of one decoded ``FunctionDef``.

    `captures` names tensors that a node with given attributes reads besides its own inputs.
    """
    where = f"function {record.name!r}"
    arguments = [
        Node(arg.name, ARGUMENT_OP, (), (), {"T": arg.type, "index": i})
        for i, arg in enumerate(record.inputs)
    ]
    bodies = [Node(n.name, n.op, (), (), n.attrs) for n in record.nodes]
    inputs: list[Sequence[str]] = [() for _ in arguments]
    here = {node.name for node in arguments + bodies}
    for node in record.nodes:
        extra = [t for t in captures(node.attrs) if parse_input(t).name in here]
        inputs.append(
            (
                *(i for i in node.inputs if not i.startswith("^")),
                *extra,
                *(i for i in node.inputs if i.startswith("^")),
            )
        )
    names = GraphNames(where, arguments + bodies, inputs, library)
    nodes = names.connected()
    results = [
        _required(names.resolve(record.ret[out.name], out.name)[0], where) for out in record.outputs
    ]
    roots = [names.position[n] for n in record.control_ret.values() if n in names.position]
    if not record.control_ret:
        roots = [i for i, node in enumerate(nodes) if node.op.startswith(SIDE_EFFECTS)]
    return finish(
        record.name,
        nodes,
        list(range(len(arguments))),
        results,
        roots,
        argument_names=tuple(arg.name for arg in record.inputs),
        result_names=tuple(out.name for out in record.outputs),
        attrs=record.attrs,
    )


def function_from_graph(
    name: str,
    records: Iterable[Any],
    feeds: Mapping[str, str],
    fetches: Mapping[str, str],
    library: Mapping[str, Any],
    targets: Sequence[str] = (),
) -> Function:
    """A `Function` cut out of a graph: fed tensors in, fetched tensors out.

    `feeds` and `fetches` map argument and result names to tensor names (``"x:0"``); `targets`
    are nodes to run for their side effects. Like a session, a fed tensor that is computed in the
    graph is replaced by the value given.
    """
    records = list(records)
    nodes = [Node(r.name, r.op, (), (), r.attrs) for r in records]
    names = GraphNames(f"graph of {name!r}", nodes, [r.inputs for r in records], library)
    connected = names.connected()
    fed = {_required(names.resolve(t, arg)[0], arg): arg for arg, t in feeds.items()}
    argument_nodes = {arg: len(connected) + i for i, arg in enumerate(feeds)}
    replaced = {ref: Ref(argument_nodes[arg], 0) for ref, arg in fed.items()}
    never_run = frozenset(ref.node for ref in fed if nodes[ref.node].op in PLACEHOLDERS)
    connected = [_replace_inputs(node, replaced, never_run) for node in connected]
    connected += [
        Node(f"feed:{arg}", ARGUMENT_OP, (), (), {"index": i}) for i, arg in enumerate(feeds)
    ]
    results = []
    for key, tensor in fetches.items():
        ref = _required(names.resolve(tensor, key)[0], key)
        results.append(Ref(argument_nodes[fed[ref]], 0) if ref in fed else ref)
    roots = [names.resolve(target.split(":")[0], "target")[1] for target in targets]
    return finish(
        name,
        connected,
        list(argument_nodes.values()),
        results,
        roots,
        argument_names=tuple(feeds),
        result_names=tuple(fetches),
        attrs={},
    )


def _replace_inputs(node: Node, replaced: Mapping[Ref, Ref], never_run: frozenset[int]) -> Node:
    """The node with fed values for its inputs; it waits for no placeholder that is fed."""
    if replaced.keys().isdisjoint(node.inputs) and never_run.isdisjoint(node.controls):
        return node
    inputs = tuple(replaced.get(ref, ref) for ref in node.inputs)
    controls = tuple(source for source in node.controls if source not in never_run)
    return Node(node.name, node.op, inputs, controls, node.attrs)


def _required(ref: Ref | None, where: str) -> Ref:
    if ref is None:
        raise FormatError(f"{where}: a control input stands where a value is needed", record=where)
    return ref


def finish(
    name: str,
    nodes: Sequence[Node],
    arguments: Sequence[int],
    results: Sequence[Ref],
    roots: Sequence[int],
    *,
    argument_names: tuple[str, ...],
    result_names: tuple[str, ...],
    attrs: Mapping[str, Any],
) -> Function:
    """Prune, turn TensorFlow 1 loops and conditionals into structured ops, order, renumber."""
    needed = reachable(nodes, [ref.node for ref in results] + list(roots))
    nodes, results, roots = structure_frames(nodes, needed, results, roots)
    nodes = with_known_bins(nodes)
    wanted = [ref.node for ref in results] + list(roots) + list(arguments)
    ordered, position = in_order(name, nodes, wanted)
    return Function(
        name,
        ordered,
        tuple(position[i] for i in arguments),
        tuple(Ref(position[r.node], r.output) for r in results),
        argument_names,
        result_names,
        attrs,
    )
