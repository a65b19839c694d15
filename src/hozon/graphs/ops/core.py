"""Constants, identities, calls and variables: what every graph has."""

from __future__ import annotations

from typing import Any

import numpy as np

from hozon.errors import FormatError, MismatchError
from hozon.formats.protos.tensorproto import to_numpy
from hozon.graphs.ops.gather import check_indices, gather, gather_nd
from hozon.graphs.resources import Constant, Variable, fits
from hozon.graphs.table import Kernel, NodeView, OpTable, with_cells
from hozon.graphs.values import Cell, Value, stopped

CORE = OpTable("core")

#: Constants above this many bytes are passed into compiled programs instead of being part of them.
LARGE_CONSTANT = 1 << 15


@CORE.op("Const", "HostConst", context=True, host=False)
def const(node: NodeView) -> Kernel:
    node.attr("dtype")
    value = to_numpy(node.attr("value"))
    if value.nbytes > LARGE_CONSTANT and value.dtype != object and value.dtype.kind not in "iub":
        cell = Constant(node.name, value)

        def read(context: Any) -> Value:
            return context.read(cell)

        return with_cells(read, cell)
    return lambda context: value


def _identity(node: NodeView) -> Kernel:
    return lambda value, *_: value


CORE.op(
    "Identity",
    "Snapshot",
    "PreventGradient",
    "RefIdentity",
    "DeepCopy",
    "CheckNumerics",
    "CheckNumericsV2",
    "PlaceholderWithDefault",
    "ReadVariableXlaSplitND",
    "OptimizationBarrierIdentity",
    "DebugIdentityV2",
    "_EagerConst",
)(_identity)


@CORE.op("StopGradient")
def stop_gradient(node: NodeView) -> Kernel:
    return stopped


@CORE.op("NoOp", "ControlTrigger")
def no_op(node: NodeView) -> Kernel:
    return lambda *_: ()


@CORE.op("Placeholder", "PlaceholderV2")
def placeholder(node: NodeView) -> Kernel:
    node.dtype("dtype")

    def missing() -> Value:
        raise MismatchError(f"no value is given for placeholder {node.name!r}")

    return missing


@CORE.op("PartitionedCall", "StatefulPartitionedCall", "RemoteCall", context=True)
def partitioned_call(node: NodeView) -> Kernel:
    callee = node.attr("f").name
    return lambda context, *inputs: context.call(callee, inputs)


@CORE.op("VarHandleOp", "VariableV2", "Variable")
def variable_handle(node: NodeView) -> Kernel:
    cell = _variable(node, node.text("shared_name") or node.name)
    return with_cells(lambda: cell, cell)


def _variable(node: NodeView, name: str) -> Cell:
    dtype = node.dtype("dtype").numpy
    shape = node.attr("shape").dims
    resources = node.resources
    make = lambda: resources.cell(Variable(None, name=name, shape=shape, dtype=dtype))
    variable: Cell = resources.get("variable", name, make)
    return variable


@CORE.op("ReadVariableOp", context=True)
def read_variable(node: NodeView) -> Kernel:
    node.dtype("dtype")
    return lambda context, cell: context.read(cell)


@CORE.op("ResourceGather", context=True)
def resource_gather(node: NodeView) -> Kernel:
    batch_dims = int(node.attr("batch_dims"))
    node.dtype("dtype")

    def kernel(context: Any, cell: Cell, indices: Value) -> Value:
        params = context.read(cell)
        check_indices(node, indices, params.shape[batch_dims])
        if batch_dims:
            return gather(params, indices, batch_dims, batch_dims)
        return cell.look_up(params, lambda table, ids: gather(table, ids, 0), indices)

    return kernel


@CORE.op("ResourceGatherNd", context=True)
def resource_gather_nd(node: NodeView) -> Kernel:
    node.dtype("dtype")

    def kernel(context: Any, cell: Cell, indices: Value) -> Value:
        return gather_nd(node, context.read(cell), indices)

    return kernel


@CORE.op("AssignVariableOp", context=True)
def assign_variable(node: NodeView) -> Kernel:
    return lambda context, cell, value: _assign(context, node, cell, value)


@CORE.op("AssignAddVariableOp", context=True)
def assign_add_variable(node: NodeView) -> Kernel:
    return lambda c, cell, delta: _assign(c, node, cell, _operand(c, node, cell, delta) + delta)


@CORE.op("AssignSubVariableOp", context=True)
def assign_sub_variable(node: NodeView) -> Kernel:
    return lambda c, cell, delta: _assign(c, node, cell, _operand(c, node, cell, delta) - delta)


def _operand(context: Any, node: NodeView, cell: Cell, delta: Value) -> Value:
    """The value of a variable to which `delta` is added: nothing is broadcast."""
    value = context.read(cell)
    if tuple(value.shape) != tuple(delta.shape):
        raise MismatchError(
            f"node {node.name!r} adds shape {tuple(delta.shape)} to variable {cell.name!r} of "
            f"shape {tuple(value.shape)}"
        )
    return value


def _assign(context: Any, node: NodeView, cell: Cell, value: Value) -> tuple[()]:
    if not fits(tuple(value.shape), cell.shape):
        raise MismatchError(
            f"node {node.name!r} assigns shape {tuple(value.shape)} to variable {cell.name!r} "
            f"of shape {cell.shape}"
        )
    context.assign(cell, value)
    return ()


@CORE.op("Assign", context=True)
def assign_reference(node: NodeView) -> Kernel:
    return lambda context, cell, value: context.assign(cell, value)


def _assign_reference(name: str, combine: Any) -> None:
    @CORE.op(name, context=True)
    def handler(node: NodeView) -> Kernel:
        def assign(context: Any, cell: Cell, delta: Value) -> Value:
            value = combine(_operand(context, node, cell, delta), delta)
            return context.assign(cell, value)

        return assign


_assign_reference("AssignAdd", lambda x, y: x + y)
_assign_reference("AssignSub", lambda x, y: x - y)


@CORE.op("VarIsInitializedOp", "IsVariableInitialized", context=True)
def is_initialized(node: NodeView) -> Kernel:
    return lambda context, cell: np.asarray(context.peek(cell) is not None)


@CORE.op("VariableShape", context=True)
def variable_shape(node: NodeView) -> Kernel:
    dtype = node.dtype("out_type").numpy
    return lambda context, cell: np.asarray(context.read(cell).shape, dtype)


@CORE.op("DestroyResourceOp", "DisableCopyOnRead")
def forget(node: NodeView) -> Kernel:
    return lambda *_: ()


@CORE.op("RestoreV2", host=True, context=True)
def restore(node: NodeView) -> Kernel:
    """Tensors of the artifact's own checkpoint; the prefix that the graph names is not used."""
    count = len(node.dtypes("dtypes"))

    def read(context: Any, prefix: Value, names: Value, slices: Value) -> tuple[Value, ...]:
        stored = context.library.resources.checkpoint
        if stored is None:
            raise node.refuse("a graph may read its own checkpoint only while it is loaded")
        return tuple(
            _stored(stored, name.decode(), spec.decode(), node)
            for name, spec in zip(names.tolist(), slices.tolist(), strict=True)
        )[:count]

    return read


def _stored(stored: Any, name: str, spec: str, node: NodeView) -> Value:
    if name not in stored:
        raise FormatError(f"node {node.name!r} restores {name!r}, which is not stored", record=name)
    tensor = stored[name]
    return tensor.read_slice(spec) if spec else tensor.read()
