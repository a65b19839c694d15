"""Functions prepared to run: every node has its kernel, callees included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import RLock
from typing import Any

from hozon.errors import FormatError, UnsupportedError
from hozon.formats.protos.graph import FunctionRef, TypeNumber
from hozon.graphs.build import function_from_record
from hozon.graphs.ir import ARGUMENT_OP, Function, Node
from hozon.graphs.resources import Resources
from hozon.graphs.table import Kernel, NodeView, OpEntry
from hozon.graphs.values import Cell
from hozon.limits import allowed
from hozon.stored.dtypes import STRING

#: Ops whose output is a TensorFlow 1 reference to a variable.
REFERENCE_OPS = frozenset({"Variable", "VariableV2", "TemporaryVariable"})
#: Ops that take the reference itself.
REFERENCE_READERS = (
    "Assign",
    "Scatter",
    "Ref",
    "CountUpTo",
    "Apply",
    "SparseApply",
    "IsVariableInitialized",
    "DestroyTemporaryVariable",
    "StridedSliceAssign",
)
CALL_OPS = frozenset({"PartitionedCall", "StatefulPartitionedCall", "RemoteCall"})
FunctionKey = str | Function


@dataclass(frozen=True, slots=True)
class Step:
    """A node with its kernel. `dereferences`: which inputs are references to be read first."""

    node: Node
    kernel: Kernel
    context: bool
    host: bool
    cells: tuple[Cell, ...] = ()
    dereferences: frozenset[int] = frozenset()


@dataclass(slots=True)
class Bound:
    """A function whose steps can run. `host`: some step, here or in a callee, needs the host."""

    function: Function
    steps: tuple[Step, ...]
    host: bool
    cells: tuple[Cell, ...]
    plans: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CustomGradient:
    """A registered gradient: a function of cotangents and of what it captured.

    A capture is the name of a tensor in the function that holds the op (``"Mul:0"``), or a
    function of nothing that gives the captured resource or array. `given` says which inputs of the
    op the function has a gradient for; unless it is known, those are the last ones.
    """

    function: str
    captures: tuple[str | Callable[[], Any], ...] = ()
    given: tuple[bool, ...] | None = None

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of the captured tensors; they are read as further inputs of the op."""
        return tuple(capture for capture in self.captures if isinstance(capture, str))

    def inputs(self, count: int, gradients: int) -> tuple[bool, ...]:
        """Which of as many inputs it has as many gradients for."""
        if self.given is not None:
            return self.given
        return (False,) * (count - gradients) + (True,) * gradients

    def spread(self, gradients: Sequence[Any], count: int) -> list[Any]:
        """One gradient per input of the op, None for those without."""
        given = self.inputs(count, len(gradients))
        if len(given) != count or sum(given) != len(gradients):
            raise FormatError(
                f"gradient function {self.function!r} gives {len(gradients)} gradients for "
                f"{count} inputs",
                record=self.function,
            )
        values = iter(gradients)
        return [next(values) if has else None for has in given]

    def arguments(self, tensors: Sequence[Any]) -> list[Any]:
        """All captures in order, given the values of the captured tensors."""
        if len(tensors) != len(self.tensors):
            raise UnsupportedError(
                f"gradient function {self.function!r} needs values from an outer function"
            )
        values = iter(tensors)
        return [next(values) if isinstance(c, str) else c() for c in self.captures]


#: Held by the thread that prepares what all threads share and do not change afterwards. One for the
#: process, so that what holds functions can still be copied.
PREPARING = RLock()


class Library:
    """The functions of one artifact, prepared when first needed and kept.

    `records` maps names to decoded ``FunctionDef``s; `gradients` maps a registered gradient op
    type (``_gradient_op_type``) to the function that computes it, or its name.
    """

    def __init__(
        self,
        records: Mapping[str, Any],
        resources: Resources | None = None,
        gradients: Mapping[str, str | CustomGradient] | None = None,
    ) -> None:
        self.records = records
        self.resources = resources or Resources()
        self.gradients = {
            kind: CustomGradient(item) if isinstance(item, str) else item
            for kind, item in (gradients or {}).items()
        }
        self._functions: dict[str, Function] = {}
        self._bound: dict[Any, Bound] = {}
        self._binding: set[Any] = set()
        self._counts: dict[int, int] = {}

    def function(self, key: FunctionKey) -> Function:
        """The function of a name (or itself)."""
        if isinstance(key, Function):
            return key
        if key not in self._functions:
            if key not in self.records:
                raise FormatError(f"function {key!r} is called but not defined", record=key)
            made = function_from_record(self.records[key], self.records, self._captures)
            self._functions.setdefault(key, made)
        return self._functions[key]

    def _captures(self, attrs: Mapping[str, Any]) -> tuple[str, ...]:
        """The tensors that the custom gradient of a node with these attributes captured."""
        kind = attrs.get("_gradient_op_type", b"")
        gradient = self.gradients.get(kind.decode(errors="replace")) if kind else None
        return gradient.tensors if gradient is not None else ()

    def bound(self, key: FunctionKey) -> Bound:
        """The function prepared to run.

        Raises UnsupportedError naming every op type that has no handler, callees included.
        """
        identity = key if isinstance(key, str) else id(key)
        if identity not in self._bound:
            with PREPARING:
                self._prepare(identity, key)
        return self._bound[identity]

    def _prepare(self, identity: Any, key: FunctionKey) -> None:
        if identity in self._bound:  # by another thread, meanwhile
            return
        if identity in self._binding:
            name = self.function(key).name
            raise UnsupportedError(f"function {name!r} calls itself", record=name)
        self._binding.add(identity)
        try:
            self.require_ops(key)
            self._require_few(key)
            self._bound[identity] = self._bind(self.function(key))
        finally:
            self._binding.discard(identity)

    def require_ops(self, key: FunctionKey) -> None:
        """Raise UnsupportedError when any reachable node has no handler."""
        missing: Counter[str] = Counter()
        for function in self.reachable(key):
            missing.update(node.op for node in function.nodes if not self.handles(node.op))
        if missing:
            listed = ", ".join(f"{op} ({count})" for op, count in sorted(missing.items()))
            raise UnsupportedError(
                f"{self.function(key).name!r} uses TensorFlow ops that Hozon does not run: {listed}"
            )

    def _require_few(self, key: FunctionKey) -> None:
        """Raise UnsupportedError for functions that call each other too often to run in place."""
        most, count = allowed().steps, self._expanded(self.function(key))
        if count > most:
            name = self.function(key).name
            raise UnsupportedError(
                f"{name!r} and the functions that it calls run {count:,} nodes, more than the "
                f"{most:,} that are allowed",
                feature=f"a program of {count:,} nodes",
                record=name,
                instead="if the file is trusted, call it within hozon.limits.allowing(steps=...)",
            )

    def _expanded(self, function: Function) -> int:
        """The nodes of a function and of those that it calls, each as often as it is called."""
        identity = id(function)
        if identity not in self._counts:
            self._counts[identity] = 0  # what calls itself is refused elsewhere
            called = (self.function(c) for node in function.nodes for c in self.callees(node))
            self._counts[identity] = len(function.nodes) + sum(map(self._expanded, called))
        return self._counts[identity]

    def handles(self, op: str) -> bool:
        """Whether a node of this op type can run: an op of ours, or a call of a function."""
        return op in ops() or op == ARGUMENT_OP or op in self.records

    def reachable(self, key: FunctionKey) -> Iterator[Function]:
        """The function and all that it calls, each once."""
        seen: set[int] = set()
        stack = [self.function(key)]
        while stack:
            function = stack.pop()
            if id(function) in seen:
                continue
            seen.add(id(function))
            yield function
            for node in function.nodes:
                stack.extend(self.function(callee) for callee in self.callees(node))

    def callees(self, node: Node) -> Iterator[FunctionKey]:
        """The functions that a node calls."""
        if node.op in self.records:
            yield node.op
        for value in node.attrs.values():
            for item in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(item, FunctionRef):
                    yield item.name
                elif isinstance(item, Function):
                    yield item

    def touches_state(self, node: Node) -> bool:
        """Whether a node, by itself, reads or changes variables or random numbers."""
        entry = ops().get(node.op)
        if entry is None or entry.random:
            return True
        return entry.context and node.op != "Const"

    def _bind(self, function: Function) -> Bound:
        steps = tuple(self._step(node, function) for node in function.nodes)
        cells = {id(cell): cell for step in steps for cell in step.cells}
        return Bound(function, steps, any(step.host for step in steps), tuple(cells.values()))

    def _step(self, node: Node, function: Function) -> Step:
        if node.op == ARGUMENT_OP:
            return Step(node, _argument, False, False)
        if node.op in self.records and node.op not in ops():
            call = {"f": FunctionRef(node.op, node.attrs)}
            node = Node(node.name, "PartitionedCall", node.inputs, node.controls, call)
        entry = ops()[node.op]
        view = NodeView(node, self.resources)
        kernel = entry.handler(view)
        view.refuse_unread()
        callees = [self.bound(callee) for callee in self.callees(node)]
        cells = [*getattr(kernel, "cells", ()), *(c for b in callees for c in b.cells)]
        if entry.random:
            cells.append(self.resources.random)
        host = entry.host if entry.host is not None else _holds_strings(node)
        references = frozenset(
            i
            for i, ref in enumerate(node.inputs)
            if function.nodes[ref.node].op in REFERENCE_OPS
            and not node.op.startswith(REFERENCE_READERS)
        )
        return Step(
            node,
            kernel,
            entry.context,
            host or any(b.host for b in callees),
            tuple(cells),
            references,
        )


@cache
def ops() -> Mapping[str, OpEntry]:
    """Handlers by op type, loaded when a function is first prepared to run.

    A Keras model that is built from its config needs none of them.
    """
    from hozon.graphs.ops import OPS

    return OPS


def _argument(*_: Any) -> Any:
    raise AssertionError("arguments are given, not computed")


def _holds_strings(node: Node) -> bool:
    if node.op in CALL_OPS:
        return False  # decided by the callee
    for value in node.attrs.values():
        if _is_string_type(value) or (
            isinstance(value, (list, tuple)) and any(map(_is_string_type, value))
        ):
            return True
    return False


def _is_string_type(value: Any) -> bool:
    return isinstance(value, TypeNumber) and int(value) == STRING.number
