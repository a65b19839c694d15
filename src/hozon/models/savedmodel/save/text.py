"""Layers that read text, look values up or hash them, written in TensorFlow's ops.

One rule per class. While a call is traced each such layer is one equation
(`hozon.config.text_layers.traced`), which `RULES` writes; the rest is JAX's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from hozon.config.text_layers.buckets import HashedCrossing, Hashing
from hozon.config.text_layers.encode import COUNT, INT, MULTI_HOT, NOTHING, ONE_HOT, TF_IDF
from hozon.config.text_layers.host import encoded
from hozon.config.text_layers.lookup import IndexLookup
from hozon.config.text_layers.traced import PRIMITIVE
from hozon.config.text_layers.vectorization import TextVectorization, lookup_of
from hozon.errors import UnsupportedError
from hozon.graphs.emit import text
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.rules import Equation, Rule
from hozon.graphs.emit.steps import cast, narrowed, reshape
from hozon.graphs.emit.text import LONG, Ragged
from hozon.graphs.emit.values import TEXT, Dim, Tensor

if TYPE_CHECKING:
    import keras

#: What Keras strips: ASCII punctuation, one character at a time (text_vectorization.py).
PUNCTUATION = r"[!\"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']"
STANDARDIZE: Mapping[str, tuple[Callable[[Body, Tensor], Tensor], ...]] = {
    "lower": (text.lower,),
    "strip_punctuation": (lambda body, x: text.without(body, x, PUNCTUATION),),
    "lower_and_strip_punctuation": (
        text.lower,
        lambda body, x: text.without(body, x, PUNCTUATION),
    ),
}
SPLIT: Mapping[str, Callable[[Body, Tensor], Ragged]] = {
    "whitespace": text.split_at_space,
    "character": text.split_characters,
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a layer: what it adds nodes to, and the sizes of the outputs."""

    body: Body
    layer: Any
    shape: tuple[Dim, ...]


def write_layer(body: Body, eqn: Equation, *inputs: Tensor) -> Tensor:
    """The ops of one call of a host layer."""
    layer, (aval,) = eqn.params["layer"], eqn.out_avals
    layer.require_vocabulary()
    rule = next((LAYERS[kind] for kind in type(layer).__mro__ if kind in LAYERS), None)
    if rule is None:
        raise UnsupportedError(
            f"layer {layer.name!r} runs on the host, and TensorFlow has no ops for a "
            f"{type(layer).__name__}",
            feature=type(layer).__name__,
        )
    given = jax.tree.unflatten(eqn.params["tree"], list(map(body.exact, inputs)))
    made = rule(Call(body, layer, tuple(aval.shape)), given)
    made = Tensor(made.name, made.dtype, tuple(aval.shape))
    body.note_sizes(made)
    if made.dtype == TEXT:
        return made
    return narrowed(body, cast(body, made, layer.output_dtype), aval.dtype)


#: For `hozon.graphs.emit.function.emit`.
RULES: Mapping[str, Rule] = MappingProxyType({PRIMITIVE.name: write_layer})


# Texts


def _texts(body: Body, layer: keras.Layer, values: Tensor) -> Tensor:
    """What a layer reads as strings, integers as their digits."""
    if values.dtype == TEXT:
        return values
    if values.dtype.kind in "iu":
        return text.decimal(body, values)
    raise UnsupportedError(
        f"layer {layer.name!r} reads strings, but what its model takes is saved as {values.dtype}",
        record=layer.name,
        instead="a functional model over keras.Input(..., dtype='string'), which says so",
    )


def vectorization(call: Call, texts: Tensor) -> Tensor:
    """TextVectorization: standardized, split, combined, looked up."""
    body, layer = call.body, call.layer
    _check_functions(layer)
    texts = _texts(body, layer, texts)
    for step in STANDARDIZE.get(layer.standardize, ()):
        texts = step(body, texts)
    if layer.output_mode is None:
        return texts
    rows = _tokens(body, layer, texts)
    found = indices(body, lookup_of(layer), rows.values)
    rows = Ragged(found, rows.splits, rows.rows)
    if layer.output_mode == INT:
        return text.padded(body, rows, layer.output_sequence_length, call.shape)
    return _vectors(call, lookup_of(layer), rows)


def _tokens(body: Body, layer: TextVectorization, texts: Tensor) -> Ragged:
    if layer.split is not None:
        rows = SPLIT[layer.split](body, reshape(body, texts, texts.shape[:1]))
    elif len(texts.shape) == 2:
        rows = text.split_columns(body, texts)
    else:
        raise UnsupportedError(
            f"layer {layer.name!r} splits nothing, so its texts must be rows of tokens, of shape "
            f"(batch, n)",
            feature="split=None",
        )
    widths = layer.widths()
    return rows if widths is None else text.combined(body, rows, widths)


def _check_functions(layer: TextVectorization) -> None:
    for argument in ("standardize", "split"):
        value = getattr(layer, argument)
        if callable(value):
            name = getattr(value, "__name__", type(value).__name__)
            raise UnsupportedError(
                f"layer {layer.name!r} has a Python function as {argument}, {name!r}, which no "
                "SavedModel can hold",
                feature=f"{argument}={name}",
                record=layer.name,
                instead=f"call {name} on the texts before the model, with {argument}=None here",
            )


# Vocabularies


def lookup(call: Call, keys: Tensor) -> Tensor:
    """StringLookup and IntegerLookup, both ways."""
    body, layer = call.body, call.layer
    if layer.invert:
        return _inverted(call, keys)
    keys = _texts(body, layer, keys) if layer.key_dtype == "string" else cast(body, keys, LONG)
    found = indices(body, layer, keys)
    return found if layer.output_mode == INT else _vectors(call, layer, found)


def indices(body: Body, layer: IndexLookup, keys: Tensor) -> Tensor:
    """The index of each key, as `IndexLookup.indices`."""
    spare, start = layer.num_oov_indices, layer.oov_start
    table = body.table(layer, "table")
    found = text.found(body, table, keys, start if spare == 1 else -1, LONG)
    unknown = text.equal(body, found, -1) if spare > 1 else None
    if unknown is not None:
        hashed = (
            text.modulo(body, keys, spare)
            if not layer.hashes_unknown
            else text.buckets(body, _texts(body, layer, keys), spare, layer.salt)
        )
        found = text.chosen(body, unknown, text.plus(body, hashed, start), found)
    if layer.mask_token is not None:
        nothing = text.constant(body, 0 if layer.output_mode == INT else NOTHING, LONG)
        found = text.chosen(body, text.equal(body, keys, layer.mask_token), nothing, found)
    if spare:
        return found
    message = f"layer {layer.name!r} has num_oov_indices=0 and finds some of these nowhere:"
    return text.all_known(body, found, keys, message)


def _inverted(call: Call, keys: Tensor) -> Tensor:
    body, layer = call.body, call.layer
    dtype = TEXT if layer.key_dtype == "string" else LONG
    numbers = cast(body, keys, LONG)
    table = body.table(layer, "table")
    found = text.found(body, table, numbers, layer.oov_token, dtype)
    if layer.mask_token is None:
        return found
    masked = text.equal(body, numbers, 0)
    return text.chosen(body, masked, text.constant(body, layer.mask_token, dtype), found)


# Hashes


def hashing(call: Call, values: Tensor) -> Tensor:
    """Hashing: 0 for the mask value, the others by their hashes."""
    body, layer = call.body, call.layer
    texts = _texts(body, layer, values)
    masked = layer.mask_value is not None and layer.num_bins > 1
    made = text.buckets(body, texts, layer.num_bins - masked, layer.salt)
    if masked:
        where = text.equal(body, texts, encoded(str(layer.mask_value)))
        zero = text.constant(body, 0, LONG)
        made = text.chosen(body, where, zero, text.plus(body, made, 1))
    return _encoded(call, made)


def crossing(call: Call, columns: Any) -> Tensor:
    """HashedCrossing: the values of all columns together."""
    shape = columns[0].shape
    return _encoded(call, text.crossed(call.body, list(columns), call.layer.num_bins, shape))


def _encoded(call: Call, found: Tensor) -> Tensor:
    if call.layer.output_mode == INT:
        return found
    return _counted(call, call.layer.output_mode, call.layer.num_bins, found)


def _vectors(call: Call, layer: IndexLookup, found: Tensor | Ragged) -> Tensor:
    """Indices in all modes but "int"."""
    made = _counted(call, layer.output_mode, layer.depth or 0, found)
    weighted = layer.output_mode == TF_IDF and layer.idf is not None
    return text.times(call.body, made, layer.idf) if weighted else made


def _counted(call: Call, mode: str, depth: int, found: Tensor | Ragged) -> Tensor:
    assert mode in (ONE_HOT, MULTI_HOT, COUNT, TF_IDF)
    if (
        mode == ONE_HOT
        and isinstance(found, Tensor)
        and (len(found.shape) < 2 or found.shape[-1] != 1)
    ):
        found = text.with_last(call.body, found)
    return text.counts(
        call.body,
        found,
        depth,
        np.dtype(call.layer.output_dtype),
        call.shape,
        binary=mode in (ONE_HOT, MULTI_HOT),
    )


LAYERS: Mapping[type, Callable[[Call, Any], Tensor]] = {
    TextVectorization: vectorization,
    IndexLookup: lookup,
    Hashing: hashing,
    HashedCrossing: crossing,
}
