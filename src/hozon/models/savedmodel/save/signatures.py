"""The signatures of a model: named inputs in, named outputs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import keras

from hozon import arguments as check
from hozon.formats.protos.struct import TensorSpec
from hozon.graph_level.written import Trace
from hozon.graphs.emit.function import EmittedFunction
from hozon.keras_private.graph import functional_of, layer_of
from hozon.models.savedmodel.save.functions import CallTraces, FunctionWriter, variables_of
from hozon.models.savedmodel.save.specs import A_SIGNATURE, CallSpec, as_spec, is_of

DEFAULT = "serving_default"


@dataclass(frozen=True, slots=True)
class Signatures:
    """The functions that servers find, and the default one as Keras keeps it."""

    default: Trace
    traces: Mapping[str, Trace]


def serving(
    writer: FunctionWriter,
    model: keras.Model,
    spec: CallSpec,
    calls: CallTraces,
    given: Mapping[str, Any] | None,
) -> Signatures:
    """The model's own signature under `DEFAULT`, unless one is given, and those that are given.

    A given one is a pair of a function and the shapes and dtypes of its keywords.
    """
    body = calls.inference
    variables = variables_of(model)
    inputs = input_names(spec, body)
    outputs = output_names(model, calls.structure)
    default = writer.signature("_wrapped_model", body, inputs, outputs, variables, positional=True)
    own = writer.signature("signature_wrapper", body, inputs, outputs, variables, positional=False)
    traces = {DEFAULT: own}
    for name, value in (given or {}).items():
        traces[name] = own if is_of(model, value) else _given(writer, model, name, value)
    return Signatures(default, traces)


def input_names(spec: CallSpec, body: EmittedFunction) -> list[str]:
    """The keywords of a model's inputs: the names of its specs, made unique."""
    named = [leaf.name for leaf in spec.tensors()]
    assert len(named) == len(body.inputs)
    return _unique(named)


def output_names(model: keras.Model, outputs: Any) -> dict[str, int]:
    """A name for each output: its key in a dictionary, else the layer that it comes from."""
    count = len(jax.tree.leaves(outputs, is_leaf=lambda x: isinstance(x, TensorSpec)))
    if isinstance(outputs, Mapping) and all(isinstance(v, TensorSpec) for v in outputs.values()):
        return {str(key): i for i, key in enumerate(sorted(outputs))}
    functional = functional_of(model)
    if functional is not None and len(functional.outputs) == count:
        names = [layer_of(tensor).name for tensor in functional.outputs]
    else:
        names = [f"output_{i + 1}" for i in range(count)]
    return {name: i for i, name in enumerate(_unique(names))}


def _given(writer: FunctionWriter, model: keras.Model, name: str, value: Any) -> Trace:
    """A signature that the caller gives."""
    try:
        function, keywords = value
        specs = {key: as_spec(key, spec) for key, spec in dict(keywords).items()}
    except (TypeError, ValueError) as error:
        raise check.wrong(f"signatures[{name!r}]", value, A_SIGNATURE) from error
    variables = variables_of(model)
    body = writer.keyword_function(f"signature_{name}", function, specs, variables)
    outputs = jax.tree.unflatten(body.structure, list(range(len(body.outputs))))
    named = outputs if isinstance(outputs, Mapping) else _numbered(outputs)
    return writer.signature(
        f"signature_wrapper_{name}", body, sorted(specs), named, variables, positional=False
    )


def _numbered(outputs: Any) -> dict[str, int]:
    return {f"output_{i}": place for i, place in enumerate(jax.tree.leaves(outputs))}


def _unique(names: Sequence[str]) -> list[str]:
    made: list[str] = []
    for name in names:
        chosen, count = name, 0
        while chosen in made:
            count += 1
            chosen = f"{name}_{count}"
        made.append(chosen)
    return made
