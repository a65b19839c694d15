"""Callable functions of a loaded SavedModel.

A saved ``tf.function`` is several concrete functions, one per traced signature. A call finds the
one whose structured signature its arguments fit, first without and then with conversion of Python
numbers and lists to tensors, as TensorFlow's loader does
(tensorflow/python/saved_model/function_deserialization.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from hozon.errors import MismatchError
from hozon.formats.protos.struct import BoundedTensorSpec, NamedTuple, TensorSpec, TypeSpec
from hozon.graphs.execute import call, call_pure
from hozon.graphs.library import FunctionKey, Library
from hozon.graphs.resources import Variable, fits
from hozon.graphs.values import Cell, Value
from hozon.restored.signature import FunctionSpec
from hozon.restored.structures import flatten, map_structure, pack, unpack_composite
from hozon.tensors.dtypes import STRING, dtype_of_number


class ConcreteFunction:
    """One traced function with its captured variables, tables and constants.

    `arguments` and `outputs` are structures whose tensors are specs (dtype, shape, name);
    `arguments` is the pair (positional, keyword).
    """

    def __init__(
        self,
        name: str,
        library: Library,
        function: FunctionKey,
        arguments: tuple[Any, Any],
        outputs: Any,
        captures: Callable[[], Sequence[Value]] = tuple,
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.outputs = outputs
        self._library = library
        self._function = function
        self._captures = captures

    @property
    def variables(self) -> list[Variable]:
        """The variables that the function captures."""
        return [value for value in self._captures() if isinstance(value, Variable)]

    @property
    def inputs(self) -> list[Any]:
        """The specs of the tensor arguments, in flat order."""
        return [leaf for leaf in flatten(self.arguments) if is_spec(leaf)]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call with the structure that was traced; tensors may be NumPy or JAX arrays."""
        return self.call_flat(self.match(args, kwargs, convert=True))

    def call_flat(self, tensors: Sequence[Value]) -> Any:
        """Call with the flat list of tensors."""
        inputs = [*tensors, *self._captures()]
        results = call(self._library, self._function, inputs)
        return pack(self.outputs, iter(results))

    def stateless_call(self, values: Sequence[Value], *args: Any, **kwargs: Any) -> Any:
        """Call as a pure function of the values of `self.variables`.

        Returns ``(outputs, new_values)``. Use it to differentiate with respect to variables and
        to jit functions that assign to them:

            jax.grad(lambda w: loss(f.stateless_call(w, x)[0]))([v.read() for v in f.variables])
        """
        variables = self.variables
        if len(values) != len(variables):
            raise MismatchError(
                f"{self.name!r} has {len(variables)} variables, {len(values)} values are given"
            )
        given: dict[int, tuple[Cell, Value]] = {
            id(v): (v, value) for v, value in zip(variables, values, strict=True)
        }
        inputs = [*self.match(args, kwargs, convert=True), *self._captures()]
        results, updates = call_pure(self._library, self._function, inputs, given)
        latest = {id(cell): value for cell, value in updates}
        new = [latest.get(id(v), given[id(v)][1]) for v in variables]
        return pack(self.outputs, iter(results)), new

    def match(self, args: Any, kwargs: Any, *, convert: bool) -> list[Value]:
        """The flat tensors of a call, or MismatchError saying which argument does not fit."""
        tensors: list[Value] = []
        _match(self.arguments[0], list(args), "argument ", tensors, convert)
        _match(self.arguments[1], kwargs, "", tensors, convert)
        return tensors

    def __repr__(self) -> str:
        return f"<hozon ConcreteFunction {self.name!r} {describe(self.arguments)}>"


class Function:
    """A restored ``tf.function``: picks the concrete function that fits a call."""

    def __init__(
        self, name: str, spec: FunctionSpec, concrete_functions: Sequence[ConcreteFunction]
    ) -> None:
        self.name = name
        self.spec = spec
        self.concrete_functions = list(concrete_functions)

    @property
    def variables(self) -> list[Variable]:
        """All variables that any of the concrete functions captures."""
        found = {id(v): v for f in self.concrete_functions for v in f.variables}
        return list(found.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call with the arguments of the original Python function.

        Raises MismatchError listing the signatures that exist when none fits.
        """
        function, tensors = self.choose(*args, **kwargs)
        return function.call_flat(tensors)

    def choose(self, *args: Any, **kwargs: Any) -> tuple[ConcreteFunction, list[Value]]:
        """The concrete function for a call, and the call's flat tensors."""
        args, kwargs = self.spec.canonicalize(args, kwargs)
        reasons: list[str] = []
        for convert in (False, True):
            for function in self.concrete_functions:
                try:
                    return function, function.match(args, kwargs, convert=convert)
                except MismatchError as error:
                    reasons.append(str(error))
        raise MismatchError(self._no_match(args, kwargs, reasons))

    def _no_match(self, args: Any, kwargs: Any, reasons: Sequence[str]) -> str:
        half = len(reasons) // 2
        lines = [f"no signature of {self.name!r} fits the call {describe((args, kwargs))}"]
        for function, reason in zip(self.concrete_functions, reasons[half:], strict=False):
            lines.append(f"  {describe(function.arguments)}: {reason}")
        return "\n".join(lines)

    def stateless_call(self, values: Sequence[Value], *args: Any, **kwargs: Any) -> Any:
        """`ConcreteFunction.stateless_call` of the function that fits.

        `values` are those of that function's ``variables``.
        """
        canonical_args, canonical_kwargs = self.spec.canonicalize(args, kwargs)
        function, _ = self.choose(*args, **kwargs)
        return function.stateless_call(values, *canonical_args, **canonical_kwargs)

    def __repr__(self) -> str:
        return f"<hozon Function {self.name!r} with {len(self.concrete_functions)} signatures>"


class SignatureFunction:
    """A serving signature: keyword arguments in, a dictionary of arrays out."""

    def __init__(
        self,
        name: str,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        run: Callable[[Mapping[str, Value]], dict[str, Any]],
        variables: Callable[[], list[Variable]] = list,
        method: str = "",
    ) -> None:
        self.name = name
        self.inputs = dict(inputs)
        self.outputs = dict(outputs)
        self.method = method
        self._run = run
        self._variables = variables

    @property
    def variables(self) -> list[Variable]:
        """The variables that the signature reads."""
        return self._variables()

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Run the signature; names, dtypes and shapes of `inputs` are checked first."""
        missing = sorted(set(self.inputs) - set(inputs))
        unexpected = sorted(set(inputs) - set(self.inputs))
        if missing or unexpected:
            raise MismatchError(
                f"signature {self.name!r} takes {describe(self.inputs)}"
                + (f"; missing: {', '.join(missing)}" if missing else "")
                + (f"; unexpected: {', '.join(unexpected)}" if unexpected else "")
            )
        values: dict[str, Value] = {}
        for key, spec in self.inputs.items():
            parts: list[Value] = []
            _match(spec, inputs[key], key, parts, convert=True)
            values[key] = inputs[key] if len(parts) != 1 else parts[0]
        return self._run(values)

    def __repr__(self) -> str:
        return f"<hozon signature {self.name!r} {describe(self.inputs)}>"


def is_spec(leaf: Any) -> bool:
    """Whether a leaf of a signature stands for a tensor."""
    return isinstance(leaf, (TensorSpec, BoundedTensorSpec, TypeSpec))


def describe(structure: Any) -> str:
    """A structure of specs or values in short words: ``(float32[None, 3], training=False)``."""
    return str(map_structure(_describe_leaf, structure)).replace("'", "")


def _describe_leaf(leaf: Any) -> Any:
    if isinstance(leaf, (TensorSpec, BoundedTensorSpec)):
        return f"{dtype_of_number(leaf.dtype).name}{_shape_text(leaf.shape.dims)}"
    if isinstance(leaf, TypeSpec):
        return leaf.kind
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return f"{leaf.dtype}{_shape_text(tuple(leaf.shape))}"
    return leaf


def _shape_text(shape: tuple[int | None, ...] | None) -> str:
    return "[...]" if shape is None else str(list(shape))


def _match(expected: Any, given: Any, where: str, tensors: list[Value], convert: bool) -> None:
    """Compare a structured signature with given values, collecting the tensors."""
    if isinstance(expected, (TensorSpec, BoundedTensorSpec)):
        tensors.append(to_tensor(given, expected, where, convert))
    elif isinstance(expected, TypeSpec):
        tensors.extend(unpack_composite(given))
    elif isinstance(expected, Mapping):
        if not isinstance(given, Mapping) or set(given) != set(expected):
            raise MismatchError(f"{where or 'keywords'} must be {describe(expected)}")
        for key in sorted(expected):
            _match(expected[key], given[key], f"{where}[{key!r}]" if where else key, tensors,
                   convert)  # fmt: skip
    elif isinstance(expected, NamedTuple):
        _match(list(expected.fields.values()), list(_fields(given)), where, tensors, convert)
    elif isinstance(expected, (list, tuple)):
        if not isinstance(given, (list, tuple)) or len(given) != len(expected):
            raise MismatchError(f"{where.strip() or 'arguments'} must be {describe(expected)}")
        for i, (item, value) in enumerate(zip(expected, given, strict=True)):
            _match(item, value, f"{where}{i}", tensors, convert)
    elif not same_value(expected, given):
        raise MismatchError(f"{where} is {given!r} where the function was traced with {expected!r}")


def _fields(given: Any) -> Iterable[Any]:
    """The items of what stands for a named tuple: one of any class, or a mapping."""
    if isinstance(given, Mapping):
        return given.values()
    return given if isinstance(given, (list, tuple)) else (given,)


def same_value(expected: Any, given: Any) -> bool:
    """Whether a Python (non-tensor) argument equals the traced one."""
    if isinstance(given, (np.ndarray, jax.Array)):
        return False
    if type(expected) is bool or type(given) is bool:
        return expected is given or (expected == given and type(expected) is type(given))
    return bool(expected == given)


def to_tensor(value: Any, spec: TensorSpec | BoundedTensorSpec, where: str, convert: bool) -> Value:
    """A given value as a tensor of `spec`, or MismatchError."""
    dtype = dtype_of_number(spec.dtype)
    array = as_array(value, dtype is STRING) if convert or is_tensor(value) else None
    if array is None:
        raise MismatchError(f"{where.strip()} must be a tensor, not {type(value).__name__}")
    if not fits(tuple(array.shape), spec.shape.dims):
        raise MismatchError(
            f"{where.strip()} has shape {tuple(array.shape)} where {_shape_text(spec.shape.dims)} "
            "is expected"
        )
    if array.dtype == dtype.numpy or spec.dtype == 0:
        return array
    if not (convert and castable(value, array, dtype.numpy)):
        raise MismatchError(
            f"{where.strip()} has dtype {array.dtype} where {dtype.name} is expected"
        )
    return array.astype(dtype.numpy)


def castable(value: Any, array: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a value may become `dtype`: Python numbers and lists of them if nothing is lost.

    64-bit arrays are accepted for 32-bit arguments of the same kind too: NumPy makes 64-bit
    numbers by default, and JAX cannot hold them unless told so.
    """
    if array.dtype == object or dtype == np.dtype(object):
        return False
    kind, wanted = np.dtype(array.dtype).kind, np.dtype(dtype).kind
    if is_tensor(value):
        return kind == wanted and array.dtype.itemsize in (4, 8)
    return bool(np.can_cast(array.dtype, dtype, "same_kind")) or (kind in "iu" and wanted in "iuf")


def is_tensor(value: Any) -> bool:
    """Whether a value is an array already."""
    return isinstance(value, (np.ndarray, np.generic, jax.Array, Variable)) or hasattr(
        value, "__jax_array__"
    )


def as_array(value: Any, string: bool) -> Any:
    """A value as an array; text becomes UTF-8 bytes in an object array; None if it is neither."""
    if isinstance(value, jax.Array):
        return value
    if hasattr(value, "__jax_array__"):
        return value.__jax_array__()
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    if array.dtype.kind in "US" or (string and array.dtype == object):
        return strings(array)
    return None if array.dtype == object else array


def strings(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array of text or bytes as an object array of ``bytes``."""
    flat = [x if isinstance(x, bytes) else str(x).encode() for x in array.reshape(-1).tolist()]
    result = np.empty(len(flat), object)
    result[:] = flat
    return result.reshape(array.shape)
