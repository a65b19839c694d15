"""The nodes of one function under construction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np

from hozon.formats.protos.graph import NodeDef
from hozon.formats.protos.tensor import Shape, TensorRecord, TypeNumber
from hozon.graphs.emit.keys import moves_keys, on_numbers
from hozon.graphs.emit.rules import Equation, NoRule, Rule
from hozon.graphs.emit.sizes import computed
from hozon.graphs.emit.values import Dim, Tensor, all_static, is_static
from hozon.graphs.opdefs import ArgDef, OpDef, op_def
from hozon.tensors.dtypes import dtype_of_numpy

#: What NumPy takes for a dtype.
OneType = np.dtype[Any] | type[Any] | str


class Body:
    """Collects nodes. `arguments` are the function's tensors, whose sizes name the symbols."""

    def __init__(self, rules: Mapping[str, Rule], arguments: Sequence[Tensor]) -> None:
        self.nodes: list[NodeDef] = []
        self._rules = rules
        self._arguments = tuple(arguments)
        self._names: set[str] = {x.name for x in arguments}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Tensor] = {}
        self._values: dict[str, np.ndarray[Any, Any]] = {}
        self._sizes: dict[str, Tensor] = {}

    @overload
    def add(
        self, op: str, inputs: Sequence[Any], *, shape: Sequence[Dim], dtype: OneType,
        attrs: Mapping[str, Any] | None = None,
    ) -> Tensor: ...  # fmt: skip

    @overload
    def add(
        self, op: str, inputs: Sequence[Any], *, shape: Sequence[Any], dtype: tuple[OneType, ...],
        attrs: Mapping[str, Any] | None = None,
    ) -> tuple[Tensor, ...]: ...  # fmt: skip

    def add(
        self, op: str, inputs: Sequence[Any], *, shape: Any, dtype: Any,
        attrs: Mapping[str, Any] | None = None,
    ) -> Tensor | tuple[Tensor, ...]:  # fmt: skip
        """A node; its result, or results when `shape` and `dtype` are given per result.

        An item of `inputs` is a tensor, or a list of tensors where the op takes a list.
        """
        definition = op_def(op)
        assert definition is not None, op
        name = self._unique(op)
        plain = {key: _plain(value) for key, value in (attrs or {}).items()}
        full = {**_inferred(definition, inputs), **plain}
        flat = [x for item in inputs for x in (item if isinstance(item, list) else [item])]
        self.nodes.append(NodeDef(name, op, tuple(x.name for x in flat), "", full))
        names = [f"{name}:{out.name}:{i}" for out in definition.outputs
                 for i in range(out.count(full))]  # fmt: skip
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
            number = TypeNumber(dtype_of_numpy(value.dtype).number)
            record = TensorRecord(number, Shape(value.shape), value.tobytes())
            attrs = {"value": record, "dtype": number}
            made = self.add("Const", [], attrs=attrs, shape=value.shape, dtype=value.dtype)
            self._constants[key] = made
            self._values[made.name] = value
        return self._constants[key]

    def value(self, x: Tensor) -> np.ndarray[Any, Any] | None:
        """The value of a tensor that is a constant, else None."""
        return self._values.get(x.name)

    def dim(self, dim: Dim) -> Tensor:
        """A size as a scalar of int32."""
        if is_static(dim):
            return self.constant(np.asarray(dim, np.int32))
        key = str(dim)
        if key not in self._sizes:
            self._sizes[key] = computed(self, key, self._symbol)
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
            known[variable] = self.constant(np.asarray(value))
        for eqn in jaxpr.eqns:
            results = self._apply(eqn, [self._read(known, atom) for atom in eqn.invars])
            known.update(zip(eqn.outvars, results, strict=True))
        return tuple(self._read(known, atom) for atom in jaxpr.outvars)

    def _read(self, known: Mapping[Any, Tensor], atom: Any) -> Tensor:
        if hasattr(atom, "val"):
            return self.constant(np.asarray(atom.val, atom.aval.dtype))
        return known[atom]

    def _apply(self, eqn: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        name = eqn.primitive.name
        equation = Equation(
            name, eqn.params, tuple(x.aval for x in eqn.invars), tuple(x.aval for x in eqn.outvars),
            lambda *values: eqn.primitive.bind(*values, **eqn.params),
        )  # fmt: skip
        if moves_keys(equation):
            return self.inline(on_numbers(equation), inputs)
        if name not in self._rules:
            raise NoRule(name)
        results = self._rules[name](self, equation, *inputs)
        results = results if isinstance(results, tuple) else (results,)
        return tuple(map(_as_stated, results, equation.out_avals))

    def _symbol(self, name: str) -> Tensor:
        if name not in self._sizes:
            self._sizes[name] = self._size_of(*self._place_of(name))
        return self._sizes[name]

    def _place_of(self, name: str) -> tuple[Tensor, int]:
        """An argument and its dimension that has this size."""
        for x in self._arguments:
            for axis, dim in enumerate(x.shape):
                if str(dim) == name:
                    return x, axis
        raise NoRule(f"size {name}")

    def _size_of(self, x: Tensor, axis: int) -> Tensor:
        number = np.dtype(np.int32)
        sizes = self.add("Shape", [x], shape=(len(x.shape),), dtype=number)
        place = self.constant(np.asarray(axis, np.int32))
        zero = self.constant(np.asarray(0, np.int32))
        return self.add("GatherV2", [sizes, place, zero], shape=(), dtype=number)

    def _unique(self, op: str) -> str:
        base = re.sub(r"[^A-Za-z0-9_]", "_", op)
        name, count = base, 0
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name


def _as_stated(x: Tensor, aval: Any) -> Tensor:
    """`x` with the sizes as the equation spells them: equal ones have many symbolic forms."""
    dims = (*aval.shape, *x.shape[len(aval.shape) :])  # keys have one more dimension
    return Tensor(x.name, x.dtype, dims)


def _plain(value: Any) -> Any:
    """An attribute as decoded nodes have it: dtypes as numbers, text as bytes."""
    if isinstance(value, TypeNumber | TensorRecord | Shape | bool | bytes):
        return value
    if isinstance(value, np.dtype):
        return TypeNumber(dtype_of_numpy(value).number)
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
    types = [TypeNumber(dtype_of_numpy(x.dtype).number) for x in tensors]
    found: dict[str, Any] = {}
    if arg.number_attr:
        found[arg.number_attr] = len(types)
    if arg.type_list_attr:
        found[arg.type_list_attr] = tuple(types)
    if arg.type_attr and types:
        found[arg.type_attr] = types[0]
    return found
