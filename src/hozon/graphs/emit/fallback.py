"""A whole function as one XlaCallModule op: StableHLO, for primitives without TensorFlow ops.

TensorFlow runs such a function and saves it, but cannot differentiate it: the op has no gradient.
The module follows calling convention 10 (`jax.export`, "Module calling convention"), in which
symbolic sizes are worked out from the arguments when the op is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax
from jax import export
from jax.extend.core import Var, jaxpr_as_fun

from hozon.errors import UnsupportedError
from hozon.graphs._jax import custom_calls, portable
from hozon.graphs.emit.body import Body, needed
from hozon.graphs.emit.trace import Traced
from hozon.graphs.emit.values import Tensor, all_static, declared_shape, type_number

#: What a module is compiled for. TensorFlow's name of the platform is in upper case.
_PLATFORM = "cpu"
#: Custom calls that are StableHLO's own. Others are kernels of JAX, which TensorFlow does not have.
_OWN_CALLS = re.compile(r"(stablehlo|mhlo|chlo)\..+|shape_assertion|Sharding")
#: The version of StableHLO that TensorFlow 2.21 reads.
_VERSION = "1.13.7"


def call_module(
    body: Body, traced: Traced, inputs: Sequence[Tensor], missing: Sequence[str]
) -> tuple[Tensor, ...]:
    """The results of the traced function, from one node.

    Raises UnsupportedError when StableHLO alone cannot express it: with calls of Python, and of
    JAX's own kernels.
    """
    places = _places(traced)
    exported = _exported(traced, places, missing)
    outputs = [Tensor("", aval.dtype, tuple(aval.shape)) for aval in exported.out_avals]
    attrs: dict[str, Any] = {
        "version": exported.calling_convention_version,
        "module": portable(exported, _VERSION),
        "Sout": tuple(declared_shape(x.shape) for x in outputs),
        "Tout": tuple(type_number(x.dtype) for x in outputs),
        "platforms": (_PLATFORM.upper(),),
        "dim_args_spec": (),
        "function_list": (),
        "has_token_input_output": False,
        "disabled_checks": (),
    }
    kept = [inputs[places[i]] for i in exported.module_kept_var_idx]
    return body.add(
        "XlaCallModule",
        [kept],
        attrs=attrs,
        shape=[x.shape for x in outputs],
        dtype=tuple(x.dtype for x in outputs),
    )


def _places(traced: Traced) -> list[int]:
    """The inputs that the results depend on, or that have symbolic sizes."""
    jaxpr = traced.closed.jaxpr
    read = {atom for eqn in needed(jaxpr) for atom in eqn.invars if isinstance(atom, Var)}
    read.update(atom for atom in jaxpr.outvars if isinstance(atom, Var))
    pairs = enumerate(zip(jaxpr.invars, traced.avals, strict=True))
    return [i for i, (var, aval) in pairs if var in read or not all_static(aval.shape)]


def _exported(traced: Traced, places: Sequence[int], missing: Sequence[str]) -> export.Exported:
    """The traced function as one of its inputs at `places`."""

    def function(*given: Any) -> Any:
        known = dict(zip(places, given, strict=True))
        unread = jax.numpy.zeros
        inputs = (
            known[i] if i in known else unread(a.shape, a.dtype) for i, a in enumerate(traced.avals)
        )
        return jaxpr_as_fun(traced.closed)(*inputs)

    avals = [traced.avals[i] for i in places]
    arguments = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
    try:
        exported = export.export(jax.jit(function), platforms=[_PLATFORM])(*arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _refused(missing, str(error)) from error
    foreign = sorted(call for call in custom_calls(exported) if not _OWN_CALLS.fullmatch(call))
    if foreign:
        raise _refused(missing, f"TensorFlow has no kernel {', '.join(foreign)}")
    return exported


def _refused(missing: Sequence[str], reason: str) -> UnsupportedError:
    return UnsupportedError(
        f"neither TensorFlow ops nor StableHLO can express {', '.join(missing)}: {reason}",
        feature=missing[0],
        instead="compute this with keras.ops",
    )
