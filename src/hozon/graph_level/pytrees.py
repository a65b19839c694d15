"""Pytrees of any registered class as named arrays: dictionaries, dataclasses, modules, states.

JAX gives each leaf of a tree the path that leads to it; the names of TensorFlow's objects follow
from it. Arrays become variables. What is no array (an activation function, a number in a module's
field) is a constant of the functions that use the tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from hozon.errors import SaveError
from hozon.graph_level.written import DICT, LIST, PLAIN
from hozon.stored.dtypes import DType, dtype_of_numpy

CONSTANTS = (bool, int, float, complex, str, bytes, type, np.dtype)


@dataclass(frozen=True, eq=False, slots=True)
class ArrayLeaf:
    """An array of a tree. A PRNG key is stored as the numbers that it is made of.

    Attributes:
        name: its path, joined by slashes.
        array: the array as it is stored.
        generator: of a PRNG key its algorithm, None for any other array.
    """

    name: str
    array: Any
    generator: str | None = None

    @property
    def dtype(self) -> DType:
        """The array's type."""
        return dtype_of_numpy(np.dtype(self.array.dtype))

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return tuple(self.array.shape)

    def read(self) -> Any:
        """The array."""
        return self.array

    def assign(self, value: Any) -> None:
        """Arrays of a tree are not assigned."""
        raise NotImplementedError(f"{self.name} is an array, and arrays do not change")

    def in_tree(self, value: Any) -> Any:
        """A value of this array as the tree holds it."""
        if self.generator is None:
            return value
        return jax.random.wrap_key_data(value, impl=self.generator)


@dataclass(frozen=True, eq=False, slots=True)
class Branch:
    """A node of a tree: its kind in TensorFlow's words, its parts by name."""

    kind: str
    parts: dict[str, Branch | ArrayLeaf] = field(default_factory=dict)


class NamedTree:
    """A pytree taken apart: named arrays, and how to put it together again.

    Raises:
        SaveError: a leaf is neither an array nor a constant, or two leaves have one name.
    """

    def __init__(self, tree: Any) -> None:
        try:
            found, self._structure = jax.tree.flatten_with_path(tree)
        except ValueError as error:
            raise SaveError(
                f"JAX cannot take the tree apart: {error}",
                instead="dictionaries whose keys can be sorted, such as texts",
            ) from error
        self.root = Branch(PLAIN)
        self._arrays: dict[int, ArrayLeaf] = {}
        self._leaves = [self._leaf(path, value) for path, value in found]

    @property
    def arrays(self) -> list[ArrayLeaf]:
        """The arrays, each once, in the tree's order."""
        return list(self._arrays.values())

    def filled(self, values: Sequence[Any]) -> Any:
        """The tree with a value for each of `arrays`."""
        known = {id(leaf): leaf.in_tree(v) for leaf, v in zip(self.arrays, values, strict=True)}
        return jax.tree.unflatten(
            self._structure, [known.get(id(leaf), leaf) for leaf in self._leaves]
        )

    def _leaf(self, path: Sequence[Any], value: Any) -> Any:
        names = [part_name(key) for key in path]
        if not is_array(value):
            if isinstance(value, CONSTANTS) or callable(value):
                return value
            raise SaveError(
                f"{'/'.join(names) or 'the tree'} is of type {type(value).__name__}: neither an "
                "array nor a container that JAX knows",
                instead="arrays in dictionaries, lists, or classes that are registered as pytrees",
            )
        leaf = self._arrays.get(id(value))
        if leaf is None:
            leaf = self._arrays[id(value)] = _stored("/".join(names) or "value", value)
        self._place(path, names, leaf)
        return leaf

    def _place(self, path: Sequence[Any], names: Sequence[str], leaf: ArrayLeaf) -> None:
        branch = self.root
        for name, following in zip(names[:-1], path[1:], strict=True):
            below = branch.parts.setdefault(name, Branch(_kind(following)))
            if isinstance(below, ArrayLeaf):
                raise _twice(below.name)
            branch = below
        name = names[-1] if names else "value"
        if name in branch.parts:
            raise _twice("/".join(names))
        branch.parts[name] = leaf


def is_array(value: Any) -> bool:
    """Whether a leaf is an array of JAX or NumPy, or a NumPy scalar."""
    return isinstance(value, (jax.Array, np.ndarray, np.generic))


def part_name(key: Any) -> str:
    """One step of a path in a tree as the name of an attribute."""
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _kind(key: Any) -> str:
    if isinstance(key, jax.tree_util.SequenceKey):
        return LIST
    return DICT if isinstance(key, jax.tree_util.DictKey) else PLAIN


def _stored(name: str, value: Any) -> ArrayLeaf:
    if not jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
        return ArrayLeaf(name, value)
    return ArrayLeaf(name, jax.random.key_data(value), str(jax.random.key_impl(value)))


def _twice(name: str) -> SaveError:
    return SaveError(
        f"two leaves of the tree are called {name!r}", instead="keys that differ as text"
    )
