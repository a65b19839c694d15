"""Lists of tensors, the values of ``TensorList``, ``TensorArray`` and ``Stack`` ops.

A `TensorList` is immutable and a JAX pytree. Its items are kept in one of two ways:

- `ItemList`: a Python tuple, for positions that are known. Items may be of any shape, strings or
  lists themselves; None is an element that was never set (zeros, once its shape is known).
- `StackedList`: one array with the elements along its first axis, for positions that are only
  known at run time. It can be the state of a compiled loop. Its length may be a traced number
  below the capacity, so that a loop can push and pop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.values import NotStatic, Value, for_shape, is_traced, ns

#: A partial shape: None for an unknown rank, None in it for an unknown size.
PartialShape = tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class ItemList:
    """A list with its elements one by one. `shape`: what all elements have in common.

    `gradient`: it holds the gradients of another list, so what is written adds up.
    """

    elements: tuple[Value | None, ...]
    dtype: np.dtype[Any]
    shape: PartialShape
    gradient: bool = False

    @property
    def length(self) -> int:
        """How many elements there are."""
        return len(self.elements)

    def get(self, index: Value, shape: PartialShape = None) -> Value:
        """Element `index`; one that was never set is zeros of `shape`."""
        if is_traced(index):
            return self.stacked(shape).get(index)
        position = checked_index(index, self.length)
        item = self.elements[position]
        return self._zeros(shape) if item is None else item

    def set(self, index: Value, value: Value) -> TensorList:
        """The list with element `index` replaced."""
        if is_traced(index):
            return self.stacked(value.shape).set(index, value)
        position = checked_index(index, self.length)
        elements = (*self.elements[:position], value, *self.elements[position + 1 :])
        return replace(self, elements=elements)

    def push(self, value: Value) -> TensorList:
        """The list with one more element at its end."""
        return replace(self, elements=(*self.elements, value))

    def pop(self, shape: PartialShape = None) -> tuple[TensorList, Value]:
        """The list without its last element, and that element."""
        if not self.elements:
            raise MismatchError("an element is popped from an empty list")
        return replace(self, elements=self.elements[:-1]), self.get(self.length - 1, shape)

    def resize(self, length: int) -> TensorList:
        """The list cut, or filled up with elements that are not set."""
        missing = (None,) * (length - self.length)
        return replace(self, elements=self.elements[:length] + missing)

    def items(self, shape: PartialShape = None) -> tuple[Value, ...]:
        """All elements, zeros for those that were never set."""
        return tuple(self._zeros(shape) if e is None else e for e in self.elements)

    def stacked(self, shape: PartialShape = None) -> StackedList:
        """The same list as one array; `NotStatic` when its elements differ in shape."""
        full = self.element_shape(shape)
        if full is None:
            raise NotStatic(None, "which element of a list of unknown shape is used")
        items = self.items(full)
        if any(is_list(e) or tuple(e.shape) != full for e in items):
            raise NotStatic(None, "which element of a list of different shapes is used")
        if not items or all(e is None for e in self.elements):
            zeros = for_shape(full).zeros((self.length, *full), self.dtype)
            return StackedList(zeros, None, self.shape, self.gradient)
        return StackedList(ns(*items).stack(items), None, self.shape, self.gradient)

    def element_shape(self, shape: PartialShape = None) -> tuple[int, ...] | None:
        """The full shape of the elements as far as any, or `shape`, tells; else None."""
        for item in self.elements:
            if item is not None:
                return None if is_list(item) else tuple(item.shape)
        return known_shape(merge_shapes(self.shape, shape))

    def _zeros(self, shape: PartialShape) -> Value:
        full = self.element_shape(shape)
        if full is None:
            raise MismatchError(
                "an element of a list that was never set is read, and its shape is unknown"
            )
        if self.dtype == np.dtype(object):
            return np.full(full, b"", object)
        return for_shape(full).zeros(full, self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class StackedList:
    """A list as one array of shape ``(capacity, *element)``; `count` None: as long as that."""

    array: Value
    count: Value | None
    shape: PartialShape
    gradient: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    @property
    def length(self) -> Value:
        """How many elements there are, possibly a traced number."""
        return self.array.shape[0] if self.count is None else self.count

    def get(self, index: Value, _shape: PartialShape = None) -> Value:
        """Element `index`."""
        if is_traced(index):
            self._require_numeric()
            return jax.lax.dynamic_index_in_dim(jnp.asarray(self.array), index, keepdims=False)
        return _plain(self.array)[checked_index(index, self.array.shape[0]), ...]

    def set(self, index: Value, value: Value) -> TensorList:
        """The list with element `index` replaced."""
        if not is_traced(index) and self.count is None and not is_traced(self.array):
            return self.unstacked().set(index, value)
        self._require_numeric()
        if tuple(value.shape) != self.array.shape[1:]:
            raise NotStatic(None, "which element of a list changes its shape")
        array = jnp.asarray(self.array)
        value = jnp.asarray(value, array.dtype)
        return replace(self, array=jax.lax.dynamic_update_index_in_dim(array, value, index, 0))

    def _require_numeric(self) -> None:
        """Strings and variants are only found on the host."""
        if self.dtype == np.dtype(object):
            raise NotStatic(None, "which element of a list of strings is used")

    def push(self, value: Value) -> TensorList:
        """The list with one more element at its end."""
        if self.count is None:
            return self.unstacked().push(value)
        pushed = self.set(self.count, value)
        assert isinstance(pushed, StackedList)
        return replace(pushed, count=self.count + 1)

    def pop(self, shape: PartialShape = None) -> tuple[TensorList, Value]:
        """The list without its last element, and that element."""
        if self.count is None:
            return self.unstacked().pop(shape)
        return replace(self, count=self.count - 1), self.get(self.count - 1)

    def resize(self, length: int) -> TensorList:
        """The list cut, or filled up with zeros."""
        if self.count is not None:
            raise NotStatic(None, "the length of a list that is resized")
        missing = length - self.array.shape[0]
        if missing <= 0:
            return replace(self, array=self.array[:length])
        return self.unstacked().resize(length)

    def items(self, _shape: PartialShape = None) -> tuple[Value, ...]:
        """All elements."""
        if self.count is not None:
            raise NotStatic(None, "the length of a list")
        array = _plain(self.array)
        return tuple(array[i, ...] for i in range(array.shape[0]))

    def stacked(self, _shape: PartialShape = None) -> StackedList:
        """The list itself."""
        return self

    def unstacked(self) -> ItemList:
        """The same list with its elements one by one."""
        return ItemList(self.items(), self.dtype, self.shape, self.gradient)

    def with_room(self, capacity: int) -> StackedList:
        """The same list with space for `capacity` elements and a length that can change."""
        xp = ns(self.array)
        filler = xp.zeros((capacity - self.array.shape[0], *self.array.shape[1:]), self.dtype)
        array = xp.concatenate([self.array, filler]) if len(filler) else self.array
        return replace(self, array=array, count=jnp.asarray(self.length, jnp.int32))

    def with_length(self, length: int) -> StackedList:
        """The same list with its length known to be `length`."""
        return replace(self, array=self.array[:length], count=None)


TensorList = ItemList | StackedList


@dataclass(frozen=True, slots=True, eq=False)
class Optional:
    """Some tensors, or None: the value of the ``Optional*`` ops."""

    components: tuple[Value, ...] | None


jax.tree_util.register_pytree_node(
    Optional, lambda x: ((x.components,), None), lambda _, children: Optional(*children)
)
jax.tree_util.register_pytree_node(
    ItemList,
    lambda x: ((x.elements,), (x.dtype, x.shape, x.gradient)),
    lambda aux, children: ItemList(children[0], *aux),
)
jax.tree_util.register_pytree_node(
    StackedList,
    lambda x: ((x.array, x.count), (x.shape, x.gradient)),
    lambda aux, children: StackedList(*children, *aux),
)


def _plain(array: Value) -> Value:
    """A concrete array as NumPy, where taking single elements costs little."""
    return array if is_traced(array) else np.asarray(array)


def is_list(value: Value) -> bool:
    """Whether `value` is a list of tensors."""
    return isinstance(value, (ItemList, StackedList))


def empty_list(length: int, dtype: np.dtype[Any], shape: PartialShape) -> TensorList:
    """A list of `length` elements that are not set."""
    return ItemList((None,) * length, dtype, shape)


def list_of(tensor: Value, shape: PartialShape) -> TensorList:
    """The rows of `tensor` as a list."""
    return StackedList(tensor, None, shape)


def checked_index(index: Value, length: int) -> int:
    """A position as an integer, within the list."""
    position = int(index)
    if not 0 <= position < length:
        raise MismatchError(f"element {position} of a list of {length} is used")
    return position


def merge_shapes(first: PartialShape, second: PartialShape) -> PartialShape:
    """What two partial shapes say together."""
    if first is None or second is None:
        return second if first is None else first
    if len(first) != len(second):
        raise MismatchError(f"elements of a list have shape {first}, {second} is asked for")
    return tuple(b if a is None else a for a, b in zip(first, second, strict=True))


def known_shape(shape: PartialShape) -> tuple[int, ...] | None:
    """`shape` if every size is known."""
    if shape is None:
        return None
    known = tuple(size for size in shape if size is not None)
    return known if len(known) == len(shape) else None


def add_lists(first: TensorList, second: TensorList) -> TensorList:
    """The sums of the elements of two lists; what was never set counts as zero.

    A number instead of a list is the flow of a TensorArray to which nothing was written.
    """
    if not is_list(first) or not is_list(second):
        return first if is_list(first) else second
    gradient = first.gradient or second.gradient
    if isinstance(first, StackedList) and isinstance(second, StackedList):
        return replace(first, array=first.array + second.array, gradient=gradient)
    pairs = zip(all_elements(first), all_elements(second), strict=True)
    sums = tuple(a if b is None else b if a is None else a + b for a, b in pairs)
    return ItemList(sums, first.dtype, merge_shapes(first.shape, second.shape), gradient)


def all_elements(items: TensorList) -> tuple[Value | None, ...]:
    """The elements one by one, None where none was set."""
    return items.elements if isinstance(items, ItemList) else items.items()


def zeros_list(items: TensorList) -> TensorList:
    """A list of the same length whose elements are not set."""
    if isinstance(items, StackedList):
        return replace(items, array=np.zeros(items.array.shape, items.dtype))
    return replace(items, elements=(None,) * items.length)


def gradients_of(items: TensorList) -> TensorList:
    """The gradients of a list, none so far; a list of gradients is that already."""
    if items.gradient:
        return items
    zeros = zeros_list(items)
    shape = items.element_shape() if isinstance(items, ItemList) else None
    return replace(zeros, gradient=True, shape=items.shape if shape is None else shape)
