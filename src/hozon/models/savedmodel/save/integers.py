"""Inputs that a model takes as integers, such as the places of words in a vocabulary."""

from __future__ import annotations

from dataclasses import replace

import keras

from hozon.graphs.emit.trace import ArgumentSpec, NotTraceable, trace
from hozon.graphs.emit.whole import whole_arguments
from hozon.keras_private.layers import layers_of
from hozon.models.savedmodel.save.calls import captures, pure_call
from hozon.models.savedmodel.save.functions import variables_of
from hozon.models.savedmodel.save.specs import CallSpec

#: Layers that take integers.
READERS = (
    keras.layers.CategoryEncoding,
    keras.layers.Embedding,
    keras.layers.HashedCrossing,
    keras.layers.Hashing,
    keras.layers.IntegerLookup,
)


def with_integers(layer: keras.Layer, spec: CallSpec) -> CallSpec:
    """The arguments of a call with integers where all that it does with one is to take it as such.

    Keras keeps the shapes of what a model of a user's class was called on, not the dtypes.
    """
    if not spec.guessed or not any(isinstance(inside, READERS) for inside in layers_of(layer)):
        return spec
    variables = variables_of(layer)
    taken = captures(variables)
    try:
        traced = trace(pure_call(layer, variables), spec.arguments, spec.keywords, taken)
    except (NotTraceable, TypeError, ValueError):  # told where its call is written
        return spec
    places = range(len(taken), len(taken) + len(traced.specs))
    whole = whole_arguments(traced.closed.jaxpr, places)
    following = iter(places)

    def read(leaf: ArgumentSpec) -> ArgumentSpec:
        return replace(leaf, dtype="int32") if next(following) in whole else leaf

    return spec.mapped(read)
