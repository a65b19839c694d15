"""Lists of tensors (``TensorList*``), and optional values.

Element shapes are given as integer tensors: a scalar -1 for an unknown rank, -1 in a vector for
an unknown size (tensor_list_util and list_kernels of TensorFlow).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.tensorlist import (
    ItemList,
    Optional,
    PartialShape,
    StackedList,
    TensorList,
    all_elements,
    empty_list,
    known_shape,
    list_of,
    merge_shapes,
)
from hozon.graphs.values import (
    NotStatic,
    Value,
    is_traced,
    ns,
    static_count,
    static_ints,
    stopped,
)

LISTS = OpTable("lists")


def partial_shape(shape: Value) -> PartialShape:
    """An element shape given as a tensor; one that depends on data says nothing."""
    if is_traced(shape) or np.ndim(shape) == 0:
        return None
    return tuple(None if size < 0 else int(size) for size in np.asarray(shape))


@LISTS.op("EmptyTensorList")
def empty_tensor_list(node: NodeView) -> Kernel:
    dtype = node.dtype("element_dtype").numpy
    return lambda shape, _: empty_list(0, dtype, partial_shape(shape))


@LISTS.op("TensorListReserve")
def reserve(node: NodeView) -> Kernel:
    dtype = node.dtype("element_dtype").numpy

    def kernel(shape: Value, count: Value) -> TensorList:
        length = static_count(count, "the length of a list")
        return empty_list(length, dtype, partial_shape(shape))

    return kernel


@LISTS.op("TensorListSetItem", context=True)
def set_item(node: NodeView) -> Kernel:
    grows = bool(node.attr("resize_if_index_out_of_bounds"))

    def kernel(context: Any, items: TensorList, index: Value, item: Value) -> TensorList:
        return set_element(context, items, index, item, grows)

    return kernel


def set_element(
    context: Any, items: TensorList, index: Value, item: Value, grows: bool
) -> TensorList:
    """`items` with one replaced; a list that `grows` first gets long enough for the index.

    In a loop whose trips are known it gets long enough for all of them at once.
    """
    if grows:
        largest = context.largest(index)
        if largest is None:
            raise NotStatic(None, "the length of a list that grows")
        if largest >= items.length:
            items = items.resize(largest + 1)
    return items.set(index, item)


@LISTS.op("TensorListGetItem")
def get_item(node: NodeView) -> Kernel:
    return lambda items, index, shape: items.get(index, partial_shape(shape))


LISTS.kernels(
    {
        "TensorListPushBack": lambda items, item: items.push(item),
        "TensorListPopBack": lambda items, shape: items.pop(partial_shape(shape)),
        "TensorListLength": lambda items: ns(items.length).asarray(items.length, np.int32),
    }
)


@LISTS.kernel("TensorListResize")
def resize(items: TensorList, length: Value) -> TensorList:
    return items.resize(static_count(length, "the length of a list"))


@LISTS.kernel("TensorListConcatLists")
def concat_lists(first: TensorList, second: TensorList) -> TensorList:
    shape = merge_shapes(first.shape, second.shape)
    return ItemList((*all_elements(first), *all_elements(second)), first.dtype, shape)


@LISTS.op("TensorListPushBackBatch")
def push_back_batch(node: NodeView) -> Kernel:
    def push(lists: Value, tensor: Value) -> Value:
        pushed = np.empty(len(lists), object)
        for i, items in enumerate(lists):
            pushed[i] = items.push(tensor[i])
        return pushed

    return push


@LISTS.op("TensorListStack")
def stack(node: NodeView) -> Kernel:
    count = int(node.attr("num_elements"))

    def kernel(items: TensorList, shape: Value) -> Value:
        stacked = stack_list(items, partial_shape(shape))
        if count >= 0 and stacked.shape[0] != count:
            raise MismatchError(
                f"node {node.name!r} stacks {stacked.shape[0]} elements, {count} are expected"
            )
        return stacked

    return kernel


def stack_list(items: TensorList, shape: PartialShape) -> Value:
    """All elements of a list along a new first axis."""
    if isinstance(items, StackedList):
        if items.count is not None:
            raise NotStatic(items.count, "the length of a list")
        return items.array
    full = items.element_shape(shape)
    if full is None:
        raise MismatchError(f"{items.length} elements of unknown shape cannot be stacked")
    return items.stacked(full).array if items.length else np.zeros((0, *full), items.dtype)


@LISTS.op("TensorListFromTensor")
def from_tensor(node: NodeView) -> Kernel:
    return lambda tensor, shape: list_of(tensor, partial_shape(shape))


@LISTS.op("TensorListConcat", "TensorListConcatV2")
def concat(node: NodeView) -> Kernel:
    declared = node.attr("element_shape").dims if node.op == "TensorListConcat" else None

    def kernel(items: TensorList, shape: Value = None, leading: Value = ()) -> Any:
        wanted = declared if shape is None else partial_shape(shape)
        return concat_list(items, wanted, static_ints(leading, "the sizes of elements"))

    return kernel


def concat_list(
    items: TensorList, shape: PartialShape, leading: tuple[int, ...] = ()
) -> tuple[Value, Value]:
    """All elements of a list joined along their first axis, and their sizes along it (int64)."""
    if isinstance(items, StackedList) and items.count is None and items.array.shape[0]:
        count, size = items.array.shape[:2]
        joined = items.array.reshape(count * size, *items.array.shape[2:])
        return joined, np.full(count, size, np.int64)
    rest = _rest(items, shape)
    parts = [
        np.zeros((leading[i] if i < len(leading) else 0, *rest), items.dtype) if e is None else e
        for i, e in enumerate(all_elements(items))
    ]
    lengths = np.array([part.shape[0] for part in parts], np.int64)
    empty = np.zeros((0, *rest), items.dtype)
    return (ns(*parts).concatenate(parts) if parts else empty), lengths


def _rest(items: TensorList, shape: PartialShape) -> tuple[int, ...]:
    """The sizes of the elements after the first axis."""
    for element in all_elements(items):
        if element is not None:
            return tuple(element.shape[1:])
    known = known_shape((merge_shapes(items.shape, shape) or (None,))[1:])
    if known is None:
        raise MismatchError("a list without elements of known shape cannot be concatenated")
    return known


@LISTS.op("TensorListSplit")
def split(node: NodeView) -> Kernel:
    def kernel(tensor: Value, shape: Value, lengths: Value) -> TensorList:
        return split_list(tensor, lengths, partial_shape(shape))

    return kernel


def split_list(tensor: Value, lengths: Value, shape: PartialShape) -> TensorList:
    """Consecutive pieces of `tensor` along its first axis as a list."""
    sizes = static_ints(lengths, "the sizes of the pieces")
    ends = np.cumsum(sizes, dtype=np.int64)
    if sum(sizes) != tensor.shape[0]:
        raise MismatchError(f"pieces of {sizes} do not make up {tensor.shape[0]} rows")
    pieces = tuple(tensor[end - size : end] for size, end in zip(sizes, ends, strict=True))
    return ItemList(pieces, np.dtype(tensor.dtype), shape)


@LISTS.op("TensorListGather")
def gather(node: NodeView) -> Kernel:
    def kernel(items: TensorList, indices: Value, shape: Value) -> Value:
        return _last_of_each(gather_list(items, indices, partial_shape(shape)), indices)

    return kernel


def _last_of_each(rows: Value, indices: Value) -> Value:
    """`rows`, of which gradients go back to the last of each place, as TensorFlow scatters them."""
    if not is_traced(rows):
        return rows
    known = not is_traced(indices)
    if known and np.unique(np.asarray(indices)).size == indices.size:
        return rows
    again = jnp.triu(indices[:, None] == indices[None, :], 1).any(axis=1)
    return jnp.where(again.reshape(-1, *(1,) * (rows.ndim - 1)), stopped(rows), rows)


def gather_list(items: TensorList, indices: Value, shape: PartialShape) -> Value:
    """The elements at `indices` along a new first axis."""
    if is_traced(indices):
        return jnp.take(jnp.asarray(items.stacked(shape).array), indices, axis=0)
    positions = np.asarray(indices)
    if isinstance(items, StackedList) and items.count is None:
        if np.array_equal(positions, np.arange(items.array.shape[0])):
            return items.array
        return items.array[positions]
    if np.array_equal(positions, np.arange(items.length)):
        return stack_list(items, shape)
    chosen = ItemList(tuple(items.get(i, shape) for i in positions), items.dtype, items.shape)
    return stack_list(chosen, shape)


@LISTS.op("TensorListScatter", "TensorListScatterV2")
def scatter(node: NodeView) -> Kernel:
    def kernel(tensor: Value, indices: Value, shape: Value, count: Value = -1) -> TensorList:
        length = static_count(count, "the length of a list")
        if length < 0:
            length = max(static_ints(indices, "the length of a list"), default=-1) + 1
        new = empty_list(length, np.dtype(tensor.dtype), partial_shape(shape))
        return scatter_list(new, tensor, indices)

    return kernel


@LISTS.op("TensorListScatterIntoExistingList")
def scatter_into(node: NodeView) -> Kernel:
    return scatter_list


def scatter_list(items: TensorList, tensor: Value, indices: Value) -> TensorList:
    """`items` with the rows of `tensor` at `indices`."""
    if is_traced(indices):
        stacked = items.stacked(tensor.shape[1:])
        array = jnp.asarray(stacked.array).at[indices].set(tensor)
        return replace(stacked, array=array)
    positions = static_ints(indices, "positions in a list")
    if positions == tuple(range(tensor.shape[0])) and len(positions) >= items.length:
        return StackedList(tensor, None, items.shape, items.gradient)
    if positions:
        items = items.resize(max(items.length, max(positions) + 1))
    for position, row in zip(positions, range(tensor.shape[0]), strict=True):
        items = items.set(position, tensor[row])
    return items


@LISTS.op("TensorListElementShape")
def element_shape(node: NodeView) -> Kernel:
    dtype = node.dtype("shape_type").numpy

    def kernel(items: TensorList) -> Value:
        if items.shape is None:
            return np.asarray(-1, dtype)
        return np.array([-1 if size is None else size for size in items.shape], dtype)

    return kernel


@LISTS.op("OptionalFromValue")
def optional_from_value(node: NodeView) -> Kernel:
    return lambda *components: (Optional(components),)


@LISTS.op("OptionalNone")
def optional_none(node: NodeView) -> Kernel:
    return lambda: Optional(None)


@LISTS.op("OptionalHasValue")
def optional_has_value(node: NodeView) -> Kernel:
    return lambda optional: np.asarray(optional.components is not None)


@LISTS.op("OptionalGetValue")
def optional_get_value(node: NodeView) -> Kernel:
    def kernel(optional: Optional) -> tuple[Value, ...]:
        if optional.components is None:
            raise MismatchError(f"node {node.name!r} reads an optional that has no value")
        return optional.components

    return kernel
