"""Tables of op handlers.

A handler reads its node once and returns a *kernel*, a plain function of the node's inputs. So
bad attributes fail when a function is prepared, with the node's name, and running sees only
arrays. A kernel returns one value, or a tuple with one item per output of the op.

    MATH = OpTable("math")

    @MATH.op("Add", "AddV2")
    def add(node: NodeView) -> Kernel:
        return lambda x, y: ns(x, y).add(x, y)

Attributes that the handler did not read must be at their default, neutral (see `NEUTRAL`) or
dtypes; anything else is refused, so a new attribute of a newer file is an error rather than a
silently wrong number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from hozon.errors import FormatError, UnsupportedError
from hozon.graphs.ir import Node
from hozon.graphs.opdefs import OpDef, op_def
from hozon.graphs.values import stopped
from hozon.stored.dtypes import DType, dtype_of_number

Kernel = Callable[..., Any]
Handler = Callable[["NodeView"], Kernel]

#: Attributes that steer placement, scheduling, checks or names but no numbers.
NEUTRAL = frozenset(
    {
        "use_cudnn_on_gpu",
        "parallel_iterations",
        "container",
        "shared_name",
        "validate_shape",
        "use_locking",
        "swap_memory",
        "stop_gradient",
        "config",
        "config_proto",
        "executor_type",
        "lower_using_switch_merge",
        "output_shapes",
        "shape",
        "debug_name",
        "allowed_devices",
        "validate_indices",
        "grad_x",
        "grad_y",
        "use_inter_op_parallelism",
        "back_prop",
        "element_shape",
        "expected_shape",
        "is_constant",
        "dynamic_size",
        "clear_after_read",
        "identical_element_shapes",
        "tensor_array_name",
        "message",
        "summarize",
        "class",
        "propagate_nans",
        "disable_call_shape_inference",
        "gradient_op_type",
    }
)


@dataclass(frozen=True, slots=True)
class OpEntry:
    """How one op type is handled.

    `host`: True runs only in NumPy (strings, tables, shapes that depend on data), False never
    forces the host, None lets the dtypes decide. `context`: the kernel's first argument is the
    running `Context`. `random`: the kernel draws from the context's random state.
    `calls`: the handler calls other functions of the library (read from FUNC attributes).
    """

    name: str
    family: str
    handler: Handler
    host: bool | None = None
    context: bool = False
    random: bool = False


class NodeView:
    """A node as its handler sees it: typed attributes with TensorFlow's defaults filled in."""

    def __init__(self, node: Node, resources: Any = None) -> None:
        self.node = node
        self.name = node.name
        self.op = node.op
        self.input_count = len(node.inputs)
        self.resources = resources
        self.definition: OpDef | None = op_def(node.op)
        self._read: set[str] = set()

    def attr(self, name: str) -> Any:
        """The plain value of attribute `name`: int, float, bytes, bool, tuple, DType, ..."""
        self._read.add(name)
        if name in self.node.attrs:
            return self.node.attrs[name]
        declared = self.definition.attrs.get(name) if self.definition else None
        if declared is None or not declared.has_default:
            raise FormatError(
                f"node {self.name!r} ({self.op}) lacks attribute {name!r}", record=self.name
            )
        return declared.default

    def has(self, name: str) -> bool:
        """Whether the node itself holds attribute `name` (its default does not count)."""
        return name in self.node.attrs

    def text(self, name: str) -> str:
        """A string attribute, decoded."""
        value: bytes = self.attr(name)
        return value.decode()

    def dtype(self, name: str = "T") -> DType:
        """A type attribute."""
        return dtype_of_number(int(self.attr(name)))

    def dtypes(self, name: str) -> tuple[DType, ...]:
        """A list(type) attribute."""
        return tuple(dtype_of_number(int(number)) for number in self.attr(name))

    def ints(self, name: str) -> tuple[int, ...]:
        """A list(int) attribute."""
        return tuple(int(x) for x in self.attr(name))

    def refuse(self, reason: str) -> UnsupportedError:
        """The error to raise for something this op can say but Hozon cannot run."""
        return UnsupportedError(f"node {self.name!r} ({self.op}): {reason}")

    def refuse_unread(self) -> None:
        """Raise `UnsupportedError` when a set attribute would be ignored."""
        for name, value in self.node.attrs.items():
            if name in self._read or name.startswith("_") or name in NEUTRAL:
                continue
            declared = self.definition.attrs.get(name) if self.definition else None
            if declared is None and self.definition is not None:
                raise self.refuse(f"attribute {name!r} is unknown to TensorFlow 2.21")
            if declared is None or declared.type in ("type", "list(type)"):
                continue
            if declared.is_arity or (declared.has_default and declared.default == value):
                continue
            raise self.refuse(f"attribute {name}={value!r} is not supported")


class OpTable:
    """The handlers of one family."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.entries: dict[str, OpEntry] = {}

    def op(
        self, *names: str, host: bool | None = None, context: bool = False, random: bool = False
    ) -> Callable[[Handler], Handler]:
        """Register the decorated handler for op types `names`; a duplicate is refused."""

        def register(handler: Handler) -> Handler:
            for name in names:
                self._add(OpEntry(name, self.family, handler, host, context, random))
            return handler

        return register

    def kernel(self, *names: str, host: bool | None = None) -> Callable[[Kernel], Kernel]:
        """Register the decorated function itself as the kernel of attribute-free ops."""

        def register(kernel: Kernel) -> Kernel:
            self.op(*names, host=host)(lambda node: kernel)
            return kernel

        return register

    def kernels(self, functions: Mapping[str, Kernel], host: bool | None = None) -> None:
        """Register a table of attribute-free ops: ``{"Sqrt": lambda x: ns(x).sqrt(x), ...}``."""
        for name, function in functions.items():
            self.kernel(name, host=host)(function)

    def _add(self, entry: OpEntry) -> None:
        if entry.name in self.entries:
            raise ValueError(f"op {entry.name} is registered twice in {self.family}")
        self.entries[entry.name] = entry


def merge(tables: Iterable[OpTable]) -> dict[str, OpEntry]:
    """All entries of all tables; a name in two of them is an error."""
    merged: dict[str, OpEntry] = {}
    for table in tables:
        for name, entry in table.entries.items():
            if name in merged:
                other = merged[name].family
                raise ValueError(f"op {name} is registered in {other} and {table.family}")
            merged[name] = entry
    return merged


def without_gradient(entries: Mapping[str, OpEntry], names: Iterable[str]) -> dict[str, OpEntry]:
    """`entries`, of which those of these names pass no gradient on."""
    stopped_ones = {name: _stopping(entries[name]) for name in names}
    return {**entries, **stopped_ones}


def _stopping(entry: OpEntry) -> OpEntry:
    def handler(node: NodeView) -> Kernel:
        kernel = entry.handler(node)
        return wraps(kernel)(lambda *inputs: kernel(*map(stopped, inputs)))

    return replace(entry, handler=handler)


def with_cells(kernel: Kernel, *cells: Any) -> Kernel:
    """`kernel`, declared to touch `cells`: they become inputs of the compiled program."""
    kernel.cells = cells  # type: ignore[attr-defined]
    return kernel
