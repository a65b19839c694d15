"""The one place that uses JAX's inside: running a StableHLO module that something else exported.

What some versions of JAX have in public and others only inside is here too.

``jax.export`` runs what its own ``Exported`` describes, in terms of JAX's symbolic shapes. A module
in a TensorFlow graph comes with its concrete arguments instead, so here its shapes are refined for
them and the refined module, which is static, becomes an ``Exported``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from jax import export
from jax._src import distributed
from jax._src.core import InconclusiveDimensionOperation as InconclusiveDimensionOperation
from jax._src.export import _export
from jax._src.interpreters import mlir
from jax._src.lib import _jax  # type: ignore[attr-defined]
from jax._src.lib.mlir import ir  # type: ignore[attr-defined]
from jax._src.lib.mlir.dialects import func, hlo  # type: ignore[attr-defined]
from jaxlib.mlir.passmanager import PassManager

from hozon.errors import FormatError, MismatchError, UnsupportedError

#: What a custom call may name: what JAX promises to keep and StableHLO's extensions, but nothing
#: that is itself code or calls code.
_STABLE_CALLS = frozenset(_export._CUSTOM_CALL_TARGETS_GUARANTEED_STABLE)  # noqa: SLF001
_CODE = {"tf.call_tf_function", "tpu_custom_call", "mosaic_gpu_v2", "AllocateBuffer"}
_CUSTOM_CALLS = _STABLE_CALLS - _CODE | {"mhlo.topk", "mhlo.erf", "chlo.top_k", "chlo.erf"}
#: Operations that talk to the host or to other devices.
_OUTSIDE = frozenset(
    f"stablehlo.{name}"
    for name in (
        "infeed",
        "outfeed",
        "send",
        "recv",
        "all_gather",
        "all_reduce",
        "all_to_all",
        "collective_broadcast",
        "collective_permute",
        "reduce_scatter",
    )
)
_CALLEE = "_called_main"
_PACKAGE = str(jax.__file__).removesuffix("__init__.py")


@dataclass(frozen=True)
class Module:
    """A serialized module and its calling convention.

    Attributes:
        data: a StableHLO portable artifact whose function ``main`` is called.
        platforms: those it was made for, in JAX's names; with more than one, the position of the
            platform in use is its first argument.
        dimensions: (argument, axis) of each size that is an argument after that (old modules).
        results: dtypes of the results.
    """

    data: bytes
    platforms: tuple[str, ...]
    dimensions: tuple[tuple[int, int], ...]
    results: tuple[np.dtype[Any], ...]

    def caller(self) -> Callable[..., tuple[Any, ...]]:
        """A function of arrays or tracers that runs ``main``.

        It raises:
            FormatError: the bytes are no module, or one that does not give these results.
            MismatchError: its arguments have other shapes or types.
            UnsupportedError: it calls something outside of XLA.
        """
        made = cache(partial(export_of, self))

        def call(*arguments: Any) -> tuple[Any, ...]:
            shapes = tuple(tuple(x.shape) for x in arguments)
            dtypes = tuple(np.dtype(x.dtype) for x in arguments)
            return tuple(made(shapes, dtypes).call(*arguments))

        return call


def applied(eqn: Any, *values: Any) -> Any:
    """What an equation's primitive gives for other values."""
    parameters = eqn.primitive.get_bind_params(eqn.params)
    if isinstance(parameters, tuple):  # before JAX 0.10
        functions, parameters = parameters
        return eqn.primitive.bind(*functions, *values, **parameters)
    return eqn.primitive.bind(*values, **parameters)


def own_name(closed: Any) -> str | None:
    """The name of JAX's own function that was traced; None for other people's functions."""
    source: str = closed.jaxpr.debug_info.func_src_info
    name, _, place = source.partition(" at ")
    return name if place.startswith(_PACKAGE) else None


def export_of(
    module: Module, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[np.dtype[Any]]
) -> export.Exported:
    """The module for arguments of these shapes, as ``jax.export`` calls it."""
    with mlir.make_ir_context(), ir.Location.unknown():
        parsed = _parsed(module.data)
        main = _main(parsed)
        _require_pure(parsed)
        leading = len(module.platforms) > 1
        expected = [ir.RankedTensorType(t) for t in main.type.inputs]
        given = expected[leading + len(module.dimensions) :]
        _check_arguments(given, shapes, dtypes)
        if _is_dynamic((*expected, *map(ir.RankedTensorType, main.type.results))):
            _enclose(parsed, main, leading, _sizes(module, shapes), shapes)
            parsed = _refined(parsed)
            main = _main(parsed)
        results = _results(main, module.results)
        data = _artifact(parsed)
    arguments = [jax.ShapeDtypeStruct(s, d) for s, d in zip(shapes, dtypes, strict=True)]
    return _exported(data, module.platforms or ("cpu",), arguments, results)


def _parsed(data: bytes) -> Any:
    try:
        return _jax.mlir.deserialize_portable_artifact(data)
    except (ValueError, RuntimeError) as error:
        raise FormatError(f"a module is no StableHLO portable artifact: {error}") from error


def _main(module: Any) -> Any:
    table = ir.SymbolTable(module.operation)
    if "main" not in table:
        raise FormatError("a StableHLO module has no function main")
    return table["main"]


def _operations(operation: Any) -> Iterator[Any]:
    pending = [operation]
    while pending:
        current = pending.pop()
        yield current
        for region in current.regions:
            for block in region:
                pending.extend(inner.operation for inner in block)


def _require_pure(module: Any) -> None:
    for operation in _operations(module.operation):
        if operation.name in _OUTSIDE:
            raise UnsupportedError(f"a StableHLO module uses {operation.name}")
        if operation.name == "stablehlo.custom_call":
            target = ir.StringAttr(operation.attributes["call_target_name"]).value
            if target not in _CUSTOM_CALLS:
                raise UnsupportedError(f"a StableHLO module calls {target!r}, no op of XLA")


def _check_arguments(
    expected: Sequence[Any], shapes: Sequence[tuple[int, ...]], dtypes: Sequence[np.dtype[Any]]
) -> None:
    if len(expected) != len(shapes):
        raise FormatError(f"a StableHLO module takes {len(expected)} arguments, not {len(shapes)}")
    for number, (kind, shape, dtype) in enumerate(zip(expected, shapes, dtypes, strict=True)):
        fits = len(kind.shape) == len(shape) and all(
            kind.is_dynamic_dim(axis) or kind.shape[axis] == size for axis, size in enumerate(shape)
        )
        if not fits or kind.element_type != mlir.dtype_to_ir_type(dtype):
            found = f"{dtype}{list(shape)}"
            raise MismatchError(f"argument {number} of a module is {found}, not {kind}")


def _is_dynamic(kinds: Sequence[Any]) -> bool:
    return not all(kind.has_static_shape for kind in kinds)


def _sizes(module: Module, shapes: Sequence[tuple[int, ...]]) -> list[int]:
    try:
        return [shapes[argument][axis] for argument, axis in module.dimensions]
    except IndexError:
        raise FormatError(f"a module's dimensions {module.dimensions} do not exist") from None


def _enclose(
    module: Any, main: Any, leading: bool, sizes: Sequence[int], shapes: Sequence[tuple[int, ...]]
) -> None:
    """Make ``main`` a function of arguments of known shapes that calls what was ``main``."""
    kinds = list(main.type.inputs)
    first = leading + len(sizes)
    static = [
        ir.RankedTensorType.get(shape, ir.RankedTensorType(kind).element_type)
        for shape, kind in zip(shapes, kinds[first:], strict=True)
    ]
    ir.SymbolTable.set_symbol_name(main, _CALLEE)
    main.attributes["sym_visibility"] = ir.StringAttr.get("private")
    with ir.InsertionPoint(module.body):
        kind = ir.FunctionType.get([*kinds[:leading], *static], list(main.type.results))
        outer = func.FuncOp("main", kind)
    outer.attributes["sym_visibility"] = ir.StringAttr.get("public")
    block = outer.add_entry_block()  # type: ignore[attr-defined]
    with ir.InsertionPoint(block):
        given = list(block.arguments)
        counts = [_constant(n, k) for n, k in zip(sizes, kinds[leading:first], strict=True)]
        pairs = zip(given[leading:], kinds[first:], strict=True)
        converted = [x if x.type == kind else hlo.convert(kind, x) for x, kind in pairs]
        name = ir.FlatSymbolRefAttr.get(_CALLEE)
        call = func.CallOp(main.type.results, name, [*given[:leading], *counts, *converted])
        func.ReturnOp(list(call.results))


def _constant(value: int, kind: Any) -> Any:
    is_wide = str(ir.RankedTensorType(kind).element_type) == "i64"
    array: Any = np.asarray(value, np.int64 if is_wide else np.int32)
    return hlo.constant(ir.DenseElementsAttr.get(array))


def _refined(module: Any) -> Any:
    try:
        return mlir.refine_polymorphic_shapes(module)
    except ValueError as error:
        cause = error.__cause__ or error
        raise MismatchError(f"a module does not take arguments of these shapes: {cause}") from error


def _artifact(module: Any) -> bytes:
    return bytes(_export._module_to_bytecode(module))  # noqa: SLF001


def portable(exported: export.Exported, version: str) -> bytes:
    """The module of an exported function as an artifact of an older StableHLO `version`.

    It does not say where the function's lines were: the same function makes the same bytes.
    """
    with mlir.make_ir_context(), ir.Location.unknown():
        parsed = _parsed(exported.mlir_module_serialized)
        PassManager.parse("builtin.module(strip-debuginfo)").run(parsed.operation)
        return bytes(_jax.mlir.serialize_portable_artifact(parsed, version, False))


def custom_calls(exported: export.Exported) -> set[str]:
    """The targets of all custom calls in an exported function."""
    with mlir.make_ir_context(), ir.Location.unknown():
        parsed = _parsed(exported.mlir_module_serialized)
        calls = (x for x in _operations(parsed.operation) if x.name == "stablehlo.custom_call")
        return {ir.StringAttr(x.attributes["call_target_name"]).value for x in calls}


def _results(main: Any, dtypes: Sequence[np.dtype[Any]]) -> list[jax.ShapeDtypeStruct]:
    kinds = [ir.RankedTensorType(t) for t in main.type.results]
    elements = [str(mlir.dtype_to_ir_type(dtype)) for dtype in dtypes]
    if [str(kind.element_type) for kind in kinds] != elements:
        raise FormatError(f"a module gives {list(map(str, kinds))}, not {list(map(str, dtypes))}")
    return [jax.ShapeDtypeStruct(tuple(k.shape), d) for k, d in zip(kinds, dtypes, strict=True)]


def _exported(
    data: bytes, platforms: tuple[str, ...], arguments: Sequence[Any], results: Sequence[Any]
) -> export.Exported:
    def avals(structs: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(jax.core.ShapedArray(s.shape, s.dtype) for s in structs)

    return export.Exported(
        fun_name="module",
        in_tree=jax.tree.structure((tuple(arguments), {})),
        in_avals=avals(arguments),
        out_tree=jax.tree.structure(tuple(results)),
        out_avals=avals(results),
        _has_named_shardings=False,
        _in_named_shardings=(None,) * len(arguments),
        _out_named_shardings=(None,) * len(results),
        in_shardings_hlo=(None,) * len(arguments),
        out_shardings_hlo=(None,) * len(results),
        nr_devices=1,
        platforms=platforms,
        ordered_effects=(),
        unordered_effects=(),
        # What a module was made for is a hint: StableHLO means the same everywhere.
        disabled_safety_checks=(export.DisabledSafetyCheck.platform(),),
        mlir_module_serialized=data,
        calling_convention_version=export.maximum_supported_calling_convention_version,
        module_kept_var_idx=tuple(range(len(arguments))),
        uses_global_constants=False,
        _get_vjp=None,
    )


def coordination() -> Any:
    """The client of the coordination service that ``jax.distributed.initialize`` has started."""
    return distributed.global_state.client
