"""The nodes of one function under construction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, overload

import numpy as np

from hozon.formats.protos.graph import FunctionDef, FunctionRef, NodeDef
from hozon.formats.protos.tensor import Shape, TensorRecord, TypeNumber
from hozon.graphs._jax import applied
from hozon.graphs.emit.keys import moves_keys, numbers, on_numbers
from hozon.graphs.emit.rules import Equation, NoRule, Rule
from hozon.graphs.emit.sizes import computed
from hozon.graphs.emit.values import RESOURCE, Dim, Tensor, all_static, is_static, type_number
from hozon.graphs.opdefs import ArgDef, OpDef, op_def

#: What NumPy takes for a dtype.
OneType = np.dtype[Any] | type[Any] | str
_INVALID = re.compile(r"[^A-Za-z0-9_]")


class Functions:
    """The functions that a function under construction calls; their names begin with its name."""

    def __init__(self, name: str) -> None:
        self.definitions: list[FunctionDef] = []
        #: Gradients of functions whose nodes are written, and what has its plain derivative.
        self.gradients: list[Any] = []
        self.plain: list[str] = []
        self._name = name
        self._count = 0

    def unique(self, label: str) -> str:
        """A name that no other function has."""
        self._count += 1
        return f"{self._name}_{label}_{self._count}"


class Body:
    """Collects nodes. `arguments` are the function's tensors, whose sizes name the symbols.

    A nested body, of a branch or a loop, takes symbolic sizes as arguments of their own instead:
    `sizes` has them by symbol once the body is written.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        arguments: Sequence[Tensor],
        functions: Functions | None = None,
        *,
        nested: bool = False,
        is_gradient: bool = False,
    ) -> None:
        self.nodes: list[NodeDef] = []
        self.is_gradient = is_gradient
        self.gradients: list[Any] = []
        self.functions = Functions("function") if functions is None else functions
        self.sizes: dict[str, Tensor] = {}
        self._nested = nested
        self._rules = rules
        self._arguments = tuple(arguments)
        self._names: set[str] = {x.name for x in arguments}
        self._counts: dict[str, int] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Tensor] = {}
        self._values: dict[str, np.ndarray[Any, Any]] = {}
        self._narrow: dict[str, Tensor] = {}
        self._sizes: dict[str, Tensor] = {}
        self._exact: dict[str, Tensor] = {}
        self.tables: list[tuple[Any, Tensor]] = []

    @overload
    def add(
        self,
        op: str,
        inputs: Sequence[Any],
        *,
        shape: Sequence[Dim],
        dtype: OneType,
        attrs: Mapping[str, Any] | None = None,
        controls: Sequence[str] = (),
    ) -> Tensor: ...

    @overload
    def add(
        self,
        op: str,
        inputs: Sequence[Any],
        *,
        shape: Sequence[Any],
        dtype: tuple[OneType, ...],
        attrs: Mapping[str, Any] | None = None,
        controls: Sequence[str] = (),
    ) -> tuple[Tensor, ...]: ...

    def add(
        self,
        op: str,
        inputs: Sequence[Any],
        *,
        shape: Any,
        dtype: Any,
        attrs: Mapping[str, Any] | None = None,
        controls: Sequence[str] = (),
    ) -> Tensor | tuple[Tensor, ...]:
        """A node; its result, or results when `shape` and `dtype` are given per result.

        An item of `inputs` is a tensor, or a list of tensors where the op takes a list. The nodes
        named in `controls` run before it.
        """
        definition = op_def(op)
        assert definition is not None, op
        name = self._unique(op)
        plain = {key: _plain(value) for key, value in (attrs or {}).items()}
        full = {**_inferred(definition, inputs), **plain}
        flat = [x for item in inputs for x in (item if isinstance(item, list) else [item])]
        sources = (*(x.name for x in flat), *(f"^{node}" for node in controls))
        self.nodes.append(NodeDef(name, op, sources, "", full))
        names = [
            f"{name}:{out.name}:{i}" for out in definition.outputs for i in range(out.count(full))
        ]
        if not isinstance(dtype, tuple):
            return Tensor(names[0], np.dtype(dtype), tuple(shape))
        results = zip(names, dtype, shape, strict=True)
        return tuple(Tensor(n, np.dtype(d), tuple(s)) for n, d, s in results)

    def constant(self, array: Any) -> Tensor:
        """A constant; equal ones share a node."""
        value = np.asarray(array)
        key = (value.dtype.str, value.shape, value.tobytes())
        if value.dtype.name == "bfloat16":
            key = ("bfloat16", *key[1:])
        if key not in self._constants:
            number = type_number(value.dtype)
            record = TensorRecord(number, Shape(value.shape), value.tobytes())
            attrs = {"value": record, "dtype": number}
            made = self.add("Const", [], attrs=attrs, shape=value.shape, dtype=value.dtype)
            self._constants[key] = made
            self._values[made.name] = value
        return self._constants[key]

    def scalar(self, op: str, *inputs: Tensor, dtype: OneType) -> Tensor:
        """The one output of a node that takes scalars."""
        return self.add(op, list(inputs), shape=(), dtype=dtype)

    def value(self, x: Tensor) -> np.ndarray[Any, Any] | None:
        """The value of a tensor that is a constant, else None."""
        return self._values.get(x.name)

    def maker(self, x: Tensor) -> NodeDef | None:
        """The node that `x` is a result of; None for an argument."""
        name = x.name.partition(":")[0]
        return next((node for node in reversed(self.nodes) if node.name == name), None)

    def repeats(self, wide: Tensor, narrow: Tensor) -> None:
        """Note that `wide` is `narrow` repeated, by NumPy's rules of broadcasting."""
        self._narrow[wide.name] = self.narrow(narrow)

    def narrow(self, x: Tensor) -> Tensor:
        """What `x` repeats, for ops that broadcast themselves; `x` if nothing is known."""
        return self._narrow.get(x.name, x)

    def note_exact(self, made: Tensor, source: Tensor) -> None:
        """Remember that `made` is `source` in the narrower type that JAX computes in."""
        self._exact[made.name] = source

    def exact(self, x: Tensor) -> Tensor:
        """What `x` was before it was narrowed; `x` if it was not."""
        return self._exact.get(x.name, x)

    def note_sizes(self, x: Tensor) -> None:
        """Symbolic sizes that no argument has may be taken from `x`."""
        self._arguments = (*self._arguments, x)

    def table(self, key: Any, label: str) -> Tensor:
        """The handle of a lookup table, one for each `key`: an argument besides the given ones."""
        if self._nested:
            raise NoRule(label)
        for known, handle in self.tables:
            if known is key:
                return handle
        handle = Tensor(self._unique(label), RESOURCE, ())
        self.tables.append((key, handle))
        return handle

    def dim(self, dim: Dim) -> Tensor:
        """A size as a scalar of int32."""
        if is_static(dim):
            return self.constant(np.asarray(dim, np.int32))
        key = str(dim)
        if key not in self._sizes:
            self._sizes[key] = computed(self, key)
        return self._sizes[key]

    def shape(self, dims: Sequence[Dim]) -> Tensor:
        """Sizes as a vector of int32."""
        if all_static(dims):
            return self.constant(np.asarray(dims, np.int32).reshape(-1))
        parts = [self.dim(dim) for dim in dims]
        return self.add("Pack", [parts], shape=(len(parts),), dtype=np.int32, attrs={"axis": 0})

    def inline(self, closed: Any, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The results of a closed jaxpr, written into this body."""
        jaxpr = closed.jaxpr
        known: dict[Any, Tensor] = dict(zip(jaxpr.invars, inputs, strict=True))
        for variable, value in zip(jaxpr.constvars, closed.consts, strict=True):
            known[variable] = self.constant(numbers(value))
        for eqn in needed(jaxpr):
            results = self._apply(eqn, [self._read(known, atom) for atom in eqn.invars])
            known.update(zip(eqn.outvars, results, strict=True))
        return tuple(self._read(known, atom) for atom in jaxpr.outvars)

    def nested(self, arguments: Sequence[Tensor]) -> Body:
        """An empty body for a branch or a loop of this function."""
        return Body(
            self._rules,
            arguments,
            self.functions,
            nested=True,
            is_gradient=self.is_gradient,
        )

    def gradient(self, arguments: Sequence[Tensor]) -> Body:
        """An empty body for a gradient function of nodes of this one."""
        return Body(self._rules, arguments, self.functions, is_gradient=True)

    @property
    def is_nested(self) -> bool:
        """Whether this is the body of a branch or a loop."""
        return self._nested

    def _read(self, known: Mapping[Any, Tensor], atom: Any) -> Tensor:
        if hasattr(atom, "val"):
            return self.constant(numbers(atom.val, atom.aval.dtype))
        return known[atom]

    def _apply(self, eqn: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        name = eqn.primitive.name
        equation = Equation(
            name,
            eqn.params,
            tuple(x.aval for x in eqn.invars),
            tuple(x.aval for x in eqn.outvars),
            partial(applied, eqn),
        )
        if moves_keys(equation):
            return self.inline(on_numbers(equation), inputs)
        if name not in self._rules:
            raise NoRule(name)
        results = self._rules[name](self, equation, *inputs)
        results = results if isinstance(results, tuple) else (results,)
        return tuple(map(_as_stated, results, equation.out_avals))

    def symbol(self, name: str) -> Tensor:
        """The size of that name as a scalar of int32."""
        if name not in self._sizes:
            self._sizes[name] = (
                self._given_size(name) if self._nested else self._size_of(*self._place_of(name))
            )
        return self._sizes[name]

    def _given_size(self, name: str) -> Tensor:
        size = Tensor(self._unique(f"size_{name.lower()}"), np.dtype(np.int32), ())
        self.sizes[name] = size
        return size

    def _place_of(self, name: str) -> tuple[Tensor, int, int]:
        """An argument and its dimension that has this size, or a multiple of it: which."""
        for x in self._arguments:
            for axis, dim in enumerate(x.shape):
                times, _, symbol = str(dim).rpartition("*")
                if symbol == name and (not times or times.isdigit()):
                    return x, axis, int(times or 1)
        raise NoRule(f"size {name}")

    def _size_of(self, x: Tensor, axis: int, multiple: int) -> Tensor:
        number = np.dtype(np.int32)
        sizes = self.add("Shape", [x], shape=(len(x.shape),), dtype=number)
        place = self.constant(np.asarray(axis, np.int32))
        zero = self.constant(np.asarray(0, np.int32))
        size = self.add("GatherV2", [sizes, place, zero], shape=(), dtype=number)
        if multiple == 1:
            return size
        by = self.constant(np.asarray(multiple, np.int32))
        return self.add("FloorDiv", [size, by], shape=(), dtype=number)

    def _unique(self, label: str) -> str:
        base = _INVALID.sub("_", label)
        name = base
        while name in self._names:
            self._counts[base] = count = self._counts.get(base, 0) + 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name


def needed(jaxpr: Any) -> list[Any]:
    """The equations that the results depend on, and those that do something besides."""
    wanted = {atom for atom in jaxpr.outvars if not hasattr(atom, "val")}
    kept = []
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or not wanted.isdisjoint(eqn.outvars):
            kept.append(eqn)
            wanted.update(atom for atom in eqn.invars if not hasattr(atom, "val"))
    return kept[::-1]


def _as_stated(x: Tensor, aval: Any) -> Tensor:
    """`x` with the sizes as the equation spells them: equal ones have many symbolic forms."""
    dims = (*aval.shape, *x.shape[len(aval.shape) :])  # keys have one more dimension
    return Tensor(x.name, x.dtype, dims)


_PLAIN = (TypeNumber, TensorRecord, Shape, FunctionRef, bool, bytes)


def _plain(value: Any) -> Any:
    """An attribute as decoded nodes have it: dtypes as numbers, text as bytes."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.dtype):
        return type_number(value)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (tuple, list)):
        return tuple(_plain(item) for item in value)
    return int(value) if isinstance(value, (int, np.integer)) else value


def _inferred(definition: OpDef, inputs: Sequence[Any]) -> dict[str, Any]:
    """The attributes that the inputs tell."""
    found: dict[str, Any] = {}
    for arg, item in zip(definition.inputs, inputs, strict=True):
        found.update(_of_argument(arg, item if isinstance(item, list) else [item]))
    return found


def _of_argument(arg: ArgDef, tensors: list[Tensor]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if arg.number_attr:
        found[arg.number_attr] = len(tensors)
    if arg.type_list_attr:
        found[arg.type_list_attr] = tuple(type_number(x.dtype) for x in tensors)
    if arg.type_attr and tensors:
        found[arg.type_attr] = type_number(tensors[0].dtype)
    return found
