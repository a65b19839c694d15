"""TensorFlow 1's ``TensorArray`` and ``Stack`` resources.

Every op on a TensorArray takes and gives a float called the flow, which only orders the ops
(data_flow_ops of TensorFlow). Here the flow is the list itself, so a TensorArray is a plain value
like any other; the handle only says what an unwritten one looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from hozon.graphs.ops.lists import (
    concat_list,
    gather_list,
    scatter_list,
    set_element,
    split_list,
    stack_list,
)
from hozon.graphs.table import Kernel, NodeView, OpTable, with_cells
from hozon.graphs.tensorlist import (
    ItemList,
    PartialShape,
    TensorList,
    add_lists,
    empty_list,
    gradients_of,
    is_list,
    zeros_list,
)
from hozon.graphs.values import Cell, Value, ns, static_count

TENSOR_ARRAY = OpTable("tensorarray")


@dataclass(frozen=True, slots=True)
class ArrayHandle:
    """What a TensorArray holds: `size` elements of one type, or more if it `grows`.

    `gradient`: it is the array of the gradients of another one, whose flow it may be given.
    """

    size: int
    dtype: np.dtype[Any]
    shape: PartialShape
    grows: bool
    gradient: bool = False

    def list(self, flow: Value) -> TensorList:
        """The elements as of `flow`; a flow that is a number is one before any write."""
        items = flow if is_list(flow) else empty_list(self.size, self.dtype, self.shape)
        return gradients_of(items) if self.gradient else items

    def write(self, flow: Value, change: Callable[[TensorList], TensorList]) -> TensorList:
        """The elements with a change; to gradients, what the change writes is added."""
        items = self.list(flow)
        return add_lists(items, change(zeros_list(items))) if self.gradient else change(items)


jax.tree_util.register_pytree_node(ArrayHandle, lambda handle: ((), handle), lambda h, _: h)


@TENSOR_ARRAY.op("TensorArray", "TensorArrayV2", "TensorArrayV3")
def tensor_array(node: NodeView) -> Kernel:
    dtype = node.dtype("dtype").numpy
    shape = node.attr("element_shape").dims
    grows = bool(node.attr("dynamic_size"))

    def kernel(size: Value) -> Any:
        handle = ArrayHandle(static_count(size, "the size of a TensorArray"), dtype, shape, grows)
        return (handle, handle.list(0.0)) if node.op == "TensorArrayV3" else handle

    return kernel


@TENSOR_ARRAY.op("TensorArrayGrad", "TensorArrayGradV2", "TensorArrayGradV3")
def tensor_array_grad(node: NodeView) -> Kernel:
    """The array of gradients, as long as the array itself; its source only names it."""
    node.attr("source")

    def kernel(handle: ArrayHandle, flow: Value) -> Any:
        gradients = replace(handle, gradient=True, grows=False)
        return (gradients, flow) if node.op == "TensorArrayGradV3" else gradients

    return kernel


def _versions(name: str) -> tuple[str, str, str]:
    return name, f"{name}V2", f"{name}V3"


@TENSOR_ARRAY.op(*_versions("TensorArrayWrite"), context=True)
def write(node: NodeView) -> Kernel:
    def kernel(
        context: Any, handle: ArrayHandle, index: Value, value: Value, flow: Value
    ) -> TensorList:
        items = handle.list(flow)
        if handle.gradient:
            value = items.get(index, value.shape) + value
        return set_element(context, items, index, value, handle.grows)

    return kernel


@TENSOR_ARRAY.op(*_versions("TensorArrayRead"))
def read(node: NodeView) -> Kernel:
    return lambda handle, index, flow: handle.list(flow).get(index, handle.shape)


@TENSOR_ARRAY.op(*_versions("TensorArrayGather"))
def gather(node: NodeView) -> Kernel:
    shape = node.attr("element_shape").dims
    return lambda handle, indices, flow: gather_list(handle.list(flow), indices, shape)


@TENSOR_ARRAY.op("TensorArrayPack")
def pack(node: NodeView) -> Kernel:
    shape = node.attr("element_shape").dims
    return lambda handle, flow: stack_list(handle.list(flow), shape)


@TENSOR_ARRAY.op(*_versions("TensorArrayScatter"))
def scatter(node: NodeView) -> Kernel:
    return lambda handle, indices, value, flow: handle.write(
        flow, lambda items: scatter_list(items, value, indices)
    )


@TENSOR_ARRAY.op("TensorArrayUnpack")
def unpack(node: NodeView) -> Kernel:
    def kernel(handle: ArrayHandle, value: Value, flow: Value) -> TensorList:
        every = np.arange(value.shape[0])
        return handle.write(flow, lambda items: scatter_list(items, value, every))

    return kernel


@TENSOR_ARRAY.op(*_versions("TensorArrayConcat"))
def concat(node: NodeView) -> Kernel:
    rest = node.attr("element_shape_except0").dims
    shape = None if rest is None else (None, *rest)
    return lambda handle, flow: concat_list(handle.list(flow), shape)


@TENSOR_ARRAY.op(*_versions("TensorArraySplit"))
def split(node: NodeView) -> Kernel:
    def kernel(handle: ArrayHandle, value: Value, lengths: Value, flow: Value) -> TensorList:
        return handle.write(flow, lambda _: split_list(value, lengths, handle.shape))

    return kernel


@TENSOR_ARRAY.op(*_versions("TensorArraySize"))
def size(node: NodeView) -> Kernel:
    def kernel(handle: ArrayHandle, flow: Value) -> Value:
        length = handle.list(flow).length
        return ns(length).asarray(length, np.int32)

    return kernel


@TENSOR_ARRAY.op(*_versions("TensorArrayClose"))
def close(node: NodeView) -> Kernel:
    return lambda *_: ()


class StackCell(Cell):
    """A stack of tensors, one per node that makes one; every run starts with an empty one."""

    shape: tuple[int | None, ...] | None = None

    def __init__(self, name: str, dtype: np.dtype[Any]) -> None:
        self.name = name
        self.dtype = dtype
        self.empty: TensorList = ItemList((), dtype, None)

    def read(self) -> TensorList:
        """An empty stack: nothing outlives a run."""
        return self.empty

    def assign(self, value: Value) -> None:
        """What is left on a stack at the end of a run is dropped."""


@TENSOR_ARRAY.op("Stack", "StackV2", context=True)
def stack(node: NodeView) -> Kernel:
    cell = StackCell(node.name, node.dtype("elem_type").numpy)

    def kernel(context: Any, *_: Value) -> StackCell:
        context.assign(cell, cell.empty)
        return cell

    return with_cells(kernel, cell)


@TENSOR_ARRAY.op("StackPush", "StackPushV2", context=True)
def push(node: NodeView) -> Kernel:
    def kernel(context: Any, cell: StackCell, element: Value) -> Value:
        context.assign(cell, context.read(cell).push(element))
        return element

    return kernel


@TENSOR_ARRAY.op("StackPop", "StackPopV2", context=True)
def pop(node: NodeView) -> Kernel:
    def kernel(context: Any, cell: StackCell) -> Value:
        rest, element = context.read(cell).pop()
        context.assign(cell, rest)
        return element

    return kernel


@TENSOR_ARRAY.op("StackClose", "StackCloseV2")
def stack_close(node: NodeView) -> Kernel:
    return lambda *_: ()
