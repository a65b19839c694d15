"""A live Keras model as the content of a SavedModel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import keras
import numpy as np

from hozon.config.completed import output_names
from hozon.config.namesakes import namesakes, namesakes_in
from hozon.config.outputs import outputs_of
from hozon.config.own_graphs import defaults_only
from hozon.config.quantized import quantized_inside
from hozon.config.serialization import serialize
from hozon.config.text_layers.functional import accept_strings
from hozon.config.to_keras2_training import training_to_keras2
from hozon.config.upgrade import QUANTIZED
from hozon.containers.savedmodel.content import Content
from hozon.errors import FormatError, UnsupportedError
from hozon.formats.protos.keras_metadata import KerasObject
from hozon.formats.protos.object_graph import SavedObjectGraph, Version
from hozon.formats.protos.trackable import encode_trackable_graph
from hozon.graph_level.written import DICT, PLAIN, Traces
from hozon.keras_private.backend import require_jax
from hozon.keras_private.layers import direct_layers, layers_of, metrics_of, trainable_of
from hozon.keras_private.tracing import symbolic_sizes
from hozon.keras_private.training import compile_config
from hozon.models.lookups import lazy_rows_lost
from hozon.models.savedmodel.load.objects import KERAS_API, NATIVE
from hozon.models.savedmodel.save import metadata as keras2
from hozon.models.savedmodel.save.configs import Configs, is_graph
from hozon.models.savedmodel.save.functions import CallTraces, FunctionWriter, variables_of
from hozon.models.savedmodel.save.integers import with_integers
from hozon.models.savedmodel.save.nodes import (
    Nodes,
    is_operation,
    is_own,
    track_for_savedmodel,
)
from hozon.models.savedmodel.save.signatures import serving
from hozon.models.savedmodel.save.specs import (
    KnowsItsCall,
    as_cast,
    layer_spec,
    model_spec,
    of_any_batch,
    with_text_input,
)
from hozon.models.savedmodel.save.tables import Tables
from hozon.models.savedmodel.save.untouched import untouched
from hozon.models.tracking.layers import is_builtin, trainable_order
from hozon.objects.keys import OBJECT_GRAPH_KEY
from hozon.raw.collection import collection_paused
from hozon.typing import Config, ConfigEntry

METADATA_VERSION = Version(2, 1)
#: Edges that an object and its ``keras_api`` both have.
SHARED = (
    "variables",
    "trainable_variables",
    "regularization_losses",
    "__call__",
    "_default_save_signature",
    "call_and_return_all_conditional_losses",
)


class Description:
    """A SavedModel in the making: a `hozon.containers.savedmodel.content.Draft`.

    Attributes:
        converted: what tf_keras is told in another way.
        lost: what it cannot be told.
        fallbacks: functions that are one XlaCallModule, and why.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        include_optimizer: bool = True,
        signatures: Mapping[str, Any] | None = None,
        native_only: bool = False,
    ) -> None:
        """Look at a model; its functions are made by `content`.

        Raises SaveError when the model was never built.
        """
        require_jax("writing a SavedModel")
        model = accept_strings(with_text_input(model))
        self.model = model
        self.spec = model_spec(model, signatures)
        self.tracked = track_for_savedmodel(model, variables_of(model), optimizer=include_optimizer)
        self.nodes = Nodes(self.tracked)
        self.tables = Tables(self.nodes)
        self.functions = FunctionWriter(
            self.nodes.position, self.tables.position, self.nodes, native_only
        )
        self.include_optimizer = include_optimizer
        self.signatures = signatures
        self.converted: list[str] = []
        self.lost: list[str] = []

    @property
    def fallbacks(self) -> Mapping[str, tuple[str, ...]]:
        """Functions without native ops, with the JAX primitives that made them so."""
        return self.functions.fallbacks

    def tensors(self) -> Iterator[tuple[str, Any]]:
        """The values of all variables, and the object graph that finds them."""
        record = np.empty((), object)
        record[()] = encode_trackable_graph(self.tracked.record())
        yield OBJECT_GRAPH_KEY, record
        for key, leaf in sorted(self.tracked.leaves(), key=lambda entry: entry[0]):
            yield key, leaf.read()

    def content(self) -> Content:
        """Objects, functions and metadata.

        Raises:
            UnsupportedError: a `call` looks at values or at sizes that are not known, or keeps
                state outside of variables; with `native_only`, it computes what TensorFlow has no
                ops for.
        """
        with collection_paused(), symbolic_sizes(), untouched(self.model):
            return self._content()

    def _content(self) -> Content:
        self.configs = Configs(self.model)
        self.spec = with_integers(self.model, self.spec)
        calls = self.functions.calls(self.model, self.spec)
        chosen = serving(self.functions, self.model, self.spec, calls, self.signatures)
        self._root(calls, chosen.default, chosen.traces)
        self._layers()
        self.tables.add_saved(self.functions)
        metadata = list(self._metadata())
        self.converted += self.configs.changes
        self.lost += [
            *self.functions.lost,
            *namesakes_in(self.model),
            *defaults_only(self.model),
        ]
        self.converted += self.functions.converted
        return Content(
            objects=SavedObjectGraph(self.nodes.saved(), self.functions.concrete),
            functions=self.functions.functions,
            signatures={name: trace.name for name, trace in chosen.traces.items()},
            keys={
                i: n.key for i, n in enumerate(self.tracked.nodes) if n.trackable.leaf is not None
            },
            metadata=metadata,
            initializers=self.tables.initializers,
            gradients=self.functions.gradients,
        )

    def _root(self, calls: CallTraces, default: Any, signatures: Mapping[str, Any]) -> None:
        edges = self.nodes.edges[0]
        self._add_variables(0, self.model)
        penalties = self._penalties()
        every = [p for items in penalties.values() for p in items]
        edges["regularization_losses"] = self.nodes.list_of(every)
        self._add_calls(0, calls)
        edges["_default_save_signature"] = self.nodes.trace(default)
        self._add_keras_api(0, self.model, [])
        edges["signatures"] = self.nodes.generic(
            "signature_map", {name: self.nodes.trace(t) for name, t in signatures.items()}
        )
        self.penalties = penalties

    def _layers(self) -> None:
        """Lists of variables for every layer; calls for those that tf_keras cannot build."""
        self._note_inner_layers()
        first = self._first_layers()
        for number, node in enumerate(self.tracked.nodes):
            layer = node.target
            if number == 0 or not isinstance(layer, keras.Layer):
                continue
            if layer.weights:
                self._add_variables(number, layer)
            own = self.penalties.get(id(layer), [])
            if self.configs.needs_functions(layer):
                self._add_saved_calls(number, layer)
                self._add_keras_api(number, layer, own)
            elif id(layer) in first:
                self._add_first_call(number, layer)
            elif isinstance(layer, keras.Model):
                self._add_keras_api(number, layer, [])

    def _first_layers(self) -> set[int]:
        """The first layers of Sequential models that layers of users' classes make.

        From a call of theirs tf_keras learns what such a model, which has no input yet, was built
        for.
        """
        if is_graph(self.model) and not any(map(self.configs.needs_functions, self._all_layers())):
            return set()
        models = [x for x in self._all_layers() if isinstance(x, keras.Sequential)]
        return {id(x.layers[0]) for x in models if x is not self.model and x.layers}

    def _all_layers(self) -> list[keras.Layer]:
        return [n.target for n in self.tracked.nodes if isinstance(n.target, keras.Layer)]

    def _add_first_call(self, number: int, layer: keras.Layer) -> None:
        """The calls of a layer that tf_keras builds by its config, if they can be written."""
        spec = layer_spec(layer)
        if spec is not None:
            with suppress(UnsupportedError):  # nothing runs them
                self._add_calls(number, self.functions.calls(layer, of_any_batch(spec)))
            if isinstance(layer, keras.Model):
                self._add_keras_api(number, layer, [])

    def _note_inner_layers(self) -> None:
        """Built-in layers inside of built-in ones that tf_keras makes with them: cells."""
        for layer in self._all_layers():  # outer ones come first
            whole = isinstance(layer, keras.Model) or id(layer) in self.configs.inner
            if not whole and is_builtin(layer) and not self.configs.needs_functions(layer):
                self.configs.inner.update(id(x) for x in layers_of(layer)[1:] if is_builtin(x))

    def _add_saved_calls(self, number: int, layer: keras.Layer) -> None:
        spec = layer_spec(layer)
        if spec is None and isinstance(layer, KnowsItsCall):
            return  # the file it came from has no call of its own for it either
        if spec is None:
            self.lost.append(
                f"{layer.name}: the shapes of its inputs are unknown, so it has no call of its own"
            )
            return
        try:
            calls = self.functions.calls(layer, as_cast(layer, with_integers(layer, spec)))
        except UnsupportedError as error:  # its model's function holds what it computes
            if self.functions.native_only:
                raise
            self.lost.append(f"the call of {layer.name!r} by itself, for tf_keras: {error.message}")
            return
        self._add_calls(number, calls)

    def _add_variables(self, number: int, layer: keras.Layer) -> None:
        edges = self.nodes.edges[number]
        places = {id(v): i for i, v in enumerate(trainable_order(layer, thawed=True))}
        trainable = sorted(layer.trainable_weights, key=lambda v: places.get(id(v), len(places)))
        listed = {id(v): v for v in (*trainable, *layer.weights)}
        edges["variables"] = self.nodes.variables(list(listed.values()))
        edges["trainable_variables"] = self.nodes.variables(trainable)

    def _add_calls(self, number: int, calls: CallTraces) -> None:
        edges = self.nodes.edges[number]
        edges["__call__"] = self.nodes.function(calls.plain)
        edges["call_and_return_all_conditional_losses"] = self.nodes.function(calls.with_losses)

    def _add_keras_api(self, number: int, layer: keras.Layer, penalties: list[int]) -> None:
        """What tf_keras reads of an object besides its attributes."""
        edges, nodes = self.nodes.edges[number], self.nodes
        api = {
            "non_trainable_variables": nodes.variables(layer.non_trainable_weights),
            "layers": nodes.list_of(self._sublayers(layer)),
            "metrics": nodes.list_of([]),
            "layer_regularization_losses": nodes.list_of(penalties),
            "layer_metrics": nodes.generic(DICT, self._metrics(layer)),
        }
        api |= {name: edges[name] for name in SHARED if name in edges}
        if "call_and_return_all_conditional_losses" in edges:
            api["call_and_return_conditional_losses"] = edges[
                "call_and_return_all_conditional_losses"
            ]
        if KERAS_API in edges:  # it has the states
            nodes.edges[edges[KERAS_API]].update(api)
        else:
            edges[KERAS_API] = nodes.generic(PLAIN, api)

    def _metrics(self, layer: keras.Layer) -> dict[str, int]:
        """The metrics that a layer's own call updates, by name."""
        own = {id(metric): metric.name for metric in metrics_of(layer) if is_own(metric)}
        found = ((own.get(id(node.target)), i) for i, node in enumerate(self.tracked.nodes))
        return {name: i for name, i in found if name is not None}

    def _sublayers(self, layer: keras.Layer) -> list[int]:
        inside = {id(x) for x in direct_layers(layer)}
        return [i for i, n in enumerate(self.tracked.nodes) if id(n.target) in inside]

    def _penalties(self) -> dict[int, list[int]]:
        """The penalties of weights as functions, by the layer that owns the weight."""
        made: dict[int, list[int]] = {}
        number = 0
        for node in self.tracked.nodes:
            layer = node.target
            if not isinstance(layer, keras.Layer):
                continue
            for variable in trainable_of(layer):
                if variable.regularizer is None or not variable.trainable:
                    continue
                traces: Traces = self.functions.penalty(variable, number)
                made.setdefault(id(layer), []).append(self.nodes.function(traces))
                number += 1
        return made

    def _metadata(self) -> Iterator[KerasObject]:
        for number, node in enumerate(self.tracked.nodes):
            made = self._description(node.target)
            if made is None:
                continue
            if number == 0:
                made.update(self._training())
            path = ".".join(("root", *node.path))
            kind = self.nodes.payloads[number][1].identifier  # type: ignore[union-attr]
            yield KerasObject(number, path, kind, keras2.encoded(made), METADATA_VERSION)

    def _description(self, target: Any) -> dict[str, Any] | None:
        if isinstance(target, keras.Layer):
            return keras2.layer_metadata(target, self.configs)
        if isinstance(target, keras.Metric) and is_own(target):
            return keras2.metric_metadata(target, self._metric_config(target))
        if is_operation(target):
            entry = self.configs.operation(target.owner, target.name)
            return None if entry is None else keras2.operation_metadata(entry, target.name)
        return None

    def _metric_config(self, metric: keras.Metric) -> ConfigEntry:
        try:
            made: Mapping[str, Any] = serialize(metric, dialect="keras2")
        except UnsupportedError:
            made = {"class_name": "Mean", "config": {"name": metric.name, "dtype": metric.dtype}}
        return made

    def _training(self) -> Config:
        """The compile information: for tf_keras in its dialect, for Hozon as Keras 3 says it."""
        native: dict[str, Any] = output_names(self.model)
        if self.configs.native is not None:
            native["config"] = self.configs.native
        elif quantized := quantized_inside(self.model):
            native[QUANTIZED] = quantized
        made: Config = {}
        self.lost += _scales(self.model)
        compiled = compile_config(self.model) if self.include_optimizer else None
        if compiled is not None:
            self.lost += [*namesakes(compiled), *lazy_rows_lost(self.model)]
            try:
                raw = {key: serialize(value) for key, value in compiled.items()}
                native["compile_config"] = raw
                made["training_config"] = training_to_keras2(
                    raw, report=self.converted, outputs=outputs_of(self.model)
                )
            except (UnsupportedError, FormatError, TypeError, ValueError) as error:
                self.lost.append(f"the training configuration, for tf_keras: {error}")
        return {**made, NATIVE: native} if native else made


def _scales(model: Any) -> list[str]:
    """Weights whose gradients are their next values, as scales of float8."""
    found = [str(v.path) for v in model.trainable_variables if v.overwrite_with_gradient]
    if not found:
        return []
    return [
        (
            f"{', '.join(found)}: in a SavedModel these train as weights do, not as scales whose "
            "gradients replace them, so steps differ after loading (.keras and .h5 files hold both)"
        )
    ]
