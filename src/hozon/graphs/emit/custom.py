"""Derivatives that are not those of the ops: TensorFlow's custom gradients.

As ``tf.custom_gradient`` does it in a graph, the results and then the arguments pass through one
IdentityN whose ``_gradient_op_type`` names a registered gradient: a function of one cotangent for
each of them, and of the arguments, which it captures by the names of their tensors. It computes
what JAX's own derivative of the equation gives, so TensorFlow and Hozon both follow that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from hozon.formats.protos.graph import FunctionDef
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.definition import argument, define
from hozon.graphs.emit.rules import Equation, NoRule, Rule
from hozon.graphs.emit.values import Tensor
from hozon.graphs.opdefs import op_def

#: How TensorFlow names registered gradients of functions.
PREFIX = "CustomGradient-"


@dataclass(frozen=True, slots=True)
class EmittedGradient:
    """A custom gradient.

    Attributes:
        kind: the ``_gradient_op_type`` of the node that it belongs to.
        definition: takes a cotangent for each result of the node, then the captured tensors; gives
            gradients.
        cotangents: what it takes for each result of the node.
        gradients: what it gives for each input of the node, None for those without a gradient.
        captures: the names of the captured tensors, as TensorFlow's graphs spell them.
        node: the node.
        inside: the function that holds the node.
    """

    kind: str
    definition: FunctionDef
    cotangents: tuple[Tensor, ...]
    gradients: tuple[Tensor | None, ...]
    captures: tuple[str, ...]
    node: str
    inside: str = ""


def with_gradient(
    body: Body, eqn: Equation, inputs: Sequence[Tensor], results: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The results of an equation, with the derivative that JAX has for it.

    A gradient function itself is differentiated as its ops are.
    """
    varied = [i for i, x in enumerate(inputs) if _is_inexact(x) and body.value(x) is None]
    if not varied or body.is_gradient:
        return tuple(results)
    name = body.functions.unique("gradient")
    passed = [*results, *(inputs[i] for i in varied)]
    try:
        gradient = _gradient(body, eqn, inputs, results, varied, name)
    except NoRule as reason:
        body.functions.plain.append(f"{eqn.primitive} ({reason.primitive})")
        return tuple(results)
    through = body.add(
        "IdentityN",
        [passed],
        attrs={"_gradient_op_type": gradient.kind},
        shape=[x.shape for x in passed],
        dtype=tuple(x.dtype for x in passed),
    )
    body.gradients.append(replace(gradient, node=body.nodes[-1].name))
    return through[: len(results)]


def differentiated(rule: Rule) -> Rule:
    """A rule whose ops TensorFlow differentiates otherwise than JAX the primitive.

    Not in branches and loops: TensorFlow cannot differentiate a loop with a gradient that was
    saved. A bound at infinity, as of a maximum over nothing, changes no derivative.
    """

    def derived(body: Body, eqn: Equation, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        result: Tensor | tuple[Tensor, ...] = rule(body, eqn, *inputs)
        constants = [value for x in inputs if (value := body.value(body.narrow(x))) is not None]
        unbounded = any(_is_inexact(inputs[0]) and np.isinf(value).all() for value in constants)
        if body.is_nested or unbounded or not _is_inexact(inputs[0]):
            return result
        results = result if isinstance(result, tuple) else (result,)
        return with_gradient(body, eqn, inputs, results)

    return derived


def placed(body: Body, function: str, kept: Sequence[str]) -> list[EmittedGradient]:
    """The gradients of a finished body, of which the nodes named in `kept` remain."""
    names = set(kept)
    return [replace(g, inside=function) for g in body.gradients if g.node in names]


def _gradient(
    body: Body,
    eqn: Equation,
    inputs: Sequence[Tensor],
    results: Sequence[Tensor],
    varied: Sequence[int],
    name: str,
) -> EmittedGradient:
    """The function of cotangents and captured inputs."""
    captured = [i for i, x in enumerate(inputs) if body.value(x) is None]
    arguments = [
        Tensor(f"result_grads_{i}", x.dtype, tuple(x.shape))
        for i, x in enumerate([*results, *(inputs[i] for i in varied)])
    ]
    held = {i: Tensor(f"captured_{i}", inputs[i].dtype, tuple(inputs[i].shape)) for i in captured}
    own = body.gradient([*arguments, *held.values()])
    given = [held[i] if i in held else own.constant(body.value(x)) for i, x in enumerate(inputs)]
    exact = [i for i, x in enumerate(results) if _is_inexact(x)]
    try:
        closed = _pullback(eqn, varied, exact)
    except (NotImplementedError, TypeError) as error:  # JAX derives it at known sizes alone
        raise NoRule(f"derivative of {eqn.primitive}") from error
    made = own.inline(closed, [*given, *(arguments[i] for i in exact)])
    outputs = {
        f"identity_{k}" if k else "identity": own.add("Identity", [x], shape=x.shape, dtype=x.dtype)
        for k, x in enumerate(made)
    }
    taken = [*arguments, *held.values()]
    definition = define(name, own, [argument(x.name, x) for x in taken], outputs)
    gradients: list[Tensor | None] = [None] * len(results)
    return EmittedGradient(
        PREFIX + name,
        definition,
        tuple(arguments),
        (*gradients, *(replace(x, name=key) for key, x in outputs.items())),
        tuple(graph_name(body, inputs[i]) for i in captured),
        "",
    )


def _pullback(eqn: Equation, varied: Sequence[int], exact: Sequence[int]) -> Any:
    """The jaxpr that takes the inputs, then cotangents of the `exact` results: gradients."""

    def backward(given: Sequence[Any], cotangents: Sequence[Any]) -> Any:
        def forward(*chosen: Any) -> list[Any]:
            values = list(given)
            for place, value in zip(varied, chosen, strict=True):
                values[place] = value
            made = eqn.bind(*values)
            made = made if isinstance(made, (list, tuple)) else [made]
            return [made[i] for i in exact]

        _, pull = jax.vjp(forward, *(given[i] for i in varied))
        return pull(list(cotangents))

    return jax.make_jaxpr(backward)(
        [_struct(aval) for aval in eqn.in_avals], [_struct(eqn.out_avals[i]) for i in exact]
    )


def _struct(aval: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype)


def _is_inexact(x: Tensor) -> bool:
    return bool(jax.numpy.issubdtype(x.dtype, np.inexact))


def graph_name(body: Body, x: Tensor) -> str:
    """A tensor's name in a graph, which counts all results of a node: ``node:0``."""
    node, _, rest = x.name.partition(":")
    if not rest:
        return f"{node}:0"
    name, _, number = rest.partition(":")
    maker = body.maker(x)
    definition = op_def(maker.op) if maker is not None else None
    assert maker is not None
    assert definition is not None
    before = 0
    for output in definition.outputs:
        if output.name == name:
            break
        before += output.count(maker.attrs)
    return f"{node}:{before + int(number)}"
