"""Configs of every age to live Keras 3 models and layers, through one registry and one policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras

import hozon.keras_private.called  # noqa: F401 - its bend: what loaded models are called on
from hozon.config import safety
from hozon.config.added import Added, attach, has_metrics
from hozon.config.entries import ends_from_zero
from hozon.config.followed import let_follow
from hozon.config.frozen import Frozen, freeze
from hozon.config.inputs import with_text_input
from hozon.config.lambdas import with_functions
from hozon.config.layers import (
    Compiled,
    Factory,
    LayerReader,
    has_own_constructor,
    input_layer,
    is_made_of_layers,
    is_made_of_tensors,
    own_arguments,
)
from hozon.config.legacy import LEGACY_FUNCTIONS, LEGACY_LAYERS
from hozon.config.objects import call_with
from hozon.config.registry import Registry
from hozon.config.replay import Replay
from hozon.config.shared import with_shared
from hozon.config.survey import hub_names, missing_names
from hozon.config.tagged import is_serialized
from hozon.config.upgrade import (
    OUTPUT_NAMES,
    TRAINS_AS,
    Upgraded,
    is_keras3,
    short_name,
    upgrade,
)
from hozon.errors import FormatError, HozonError, MissingObjectError, UnsupportedError
from hozon.keras_private.compiled import name_outputs
from hozon.keras_private.graph import build_inside, note_order
from hozon.keras_private.keras2_training import freeze_inside, train_as_keras2
from hozon.keras_private.sharing import sharing
from hozon.typing import ConfigEntry, CustomObjects

#: What to do about layers whose configs name TensorFlow's feature columns.
FEATURE_COLUMNS = (
    "; feature columns are TensorFlow's own: save the model as a SavedModel there, whose functions "
    "run here"
)

#: What to do about classes of KerasHub.
KERAS_HUB = "; they are KerasHub's: pip install keras-hub, import keras_hub"


def build_model(
    config: ConfigEntry,
    *,
    custom_objects: CustomObjects | None = None,
    factories: Mapping[str, Factory] | None = None,
    report: list[str] | None = None,
    inner: list[Compiled] | None = None,
    frozen: list[Frozen] | None = None,
    dialect: str | None = None,
) -> keras.Model:
    """The model of ``{"class_name": ..., "config": ...}``, weights as initializers leave them.

    Args:
        config: of a Sequential or Functional model, or of a custom class.
        custom_objects: classes and functions by name; those of Lambda layers by the layer's.
        factories: for layers by name, what makes them (of their config) in place of their class.
        report: receives a line for each thing translated from an older dialect.
        inner: receives the models inside that were compiled by themselves, and how.
        frozen: receives what is to be frozen in layers of users' classes, once the weights are
            there, which H5 files keep in an order that depends on it; None to freeze it now.
        dialect: "keras1", "keras2" or "keras3"; None to tell it from the config.

    Raises:
        MissingObjectError: names all classes and functions that must be supplied.
        UnsafeError: the config asks for code to be run or files to be opened.
        UnsupportedError: it holds what neither Keras 3 nor Hozon has.
        FormatError: it is no config, or contradicts itself.
    """
    builder = Builder(custom_objects, factories, report, dialect)
    made = builder.build(config)
    if not isinstance(made, keras.Model):
        raise FormatError(f"the config describes a {type(made).__name__}, not a model")
    if frozen is None:
        freeze(builder.reader.frozen, builder.changes)
    else:
        frozen.extend(builder.reader.frozen)
    if inner is not None:
        inner.extend((model, how) for model, how in builder.reader.compiled if model is not made)
    return made


def build_layer(
    config: ConfigEntry,
    *,
    custom_objects: CustomObjects | None = None,
    report: list[str] | None = None,
    dialect: str | None = None,
) -> keras.layers.Layer:
    """The layer of ``{"class_name": ..., "config": ...}``; see `build_model`."""
    return Builder(custom_objects, None, report, dialect).build(config)


def unbuildable_layers(
    config: ConfigEntry,
    *,
    custom_objects: CustomObjects | None = None,
    dialect: str | None = None,
) -> dict[str, str]:
    """The layers of a model, nested ones included, that no class can build: name to class name.

    Names and classes are the file's.
    """
    found: dict[str, str] = {}
    dialect = dialect or ("keras3" if is_keras3(config) else "keras2")
    for name, entry in leaf_layers(config):
        try:
            Builder(custom_objects, None, None, dialect).build(entry)
        except HozonError:
            found[name] = str(entry["class_name"])
    return found


def leaf_layers(entry: ConfigEntry) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and entry of every layer of a model config, inputs left out, nested models opened."""
    config = entry.get("config")
    layers = config.get("layers", ()) if isinstance(config, Mapping) else config
    for layer in layers if isinstance(layers, list) else ():
        if not isinstance(layer, Mapping):
            raise FormatError(f"{layer!r:.100} is no layer entry")
        inner = layer.get("config")
        if isinstance(inner, list) or (isinstance(inner, Mapping) and "layers" in inner):
            yield from leaf_layers(layer)
        elif layer.get("class_name") != "InputLayer":
            named = inner.get("name") if isinstance(inner, Mapping) else None
            yield str(layer.get("name") or named or ""), layer


class Builder:
    """One build: registry, policy and what was changed on the way."""

    def __init__(
        self,
        custom_objects: CustomObjects | None,
        factories: Mapping[str, Factory] | None,
        report: list[str] | None,
        dialect: str | None,
    ) -> None:
        self.registry = Registry(custom_objects)
        self.changes: list[str] = [] if report is None else report
        self.dialect = dialect
        self.made_elsewhere = frozenset(factories or {})
        self.reader = LayerReader(self.registry, _valid_names(factories), self._model)

    def build(self, config: ConfigEntry) -> Any:
        """The live object of a layer or model config."""
        if self.registry.given:
            config = with_functions(config, self.registry.given)
        policy = safety.Policy(frozenset(self.registry.custom), self.made_elsewhere)
        safety.check(config, policy)
        upgraded = self._upgraded(config)
        self.changes.extend(upgraded.changes)
        with _errors_of_ours():
            absent = missing_names(upgraded.config, self.registry, frozenset(self.reader.factories))
        if absent:
            hint = FEATURE_COLUMNS if "DenseFeatures" in absent else ""
            of_hub = hub_names(config)
            given = {name: of_hub.get(name, "...") for name in absent}
            raise MissingObjectError(
                "the config uses classes or functions that Keras does not have"
                f"{hint or (KERAS_HUB if of_hub.keys() & set(absent) else '')}",
                names=absent,
                custom_objects=given,
            )
        with _scope(self.registry), _errors_of_ours():
            made = self._whole(upgraded.config, shares=config.get("module") is not None)
        if isinstance(made, keras.Model) and has_metrics(made):
            let_follow(made)
        of_keras2 = self._dialect(config) != "keras3" and config.get(TRAINS_AS) != "keras3"
        if isinstance(made, keras.Layer) and of_keras2:
            train_as_keras2(made)
        for layer in self.reader.as_keras2:  # now that they are built
            freeze_inside(layer)
        return made

    def _dialect(self, config: ConfigEntry) -> str:
        return self.dialect or ("keras3" if is_keras3(config) else "keras2")

    def _whole(self, config: ConfigEntry, *, shares: bool) -> Any:
        """The live object; `shares`: whether numbers of shared layers count for the whole config.

        In Keras 2's H5 files and SavedModels each outermost functional model counts anew.
        """
        if not shares:
            return self.reader.read(config)
        with sharing():
            return self.reader.read(with_shared(config, self.changes))

    def _upgraded(self, config: ConfigEntry) -> Upgraded:
        if not is_serialized(config):
            raise FormatError("the config is no object: it has no class name")
        with _errors_of_ours():
            if self._dialect(config) == "keras3":
                return Upgraded(ends_from_zero(config))
            return upgrade(config, frozenset(self._sequential_classes()))

    def _sequential_classes(self) -> Iterator[str]:
        """The names of the caller's classes that are Sequential models."""
        for name, found in self.registry.custom.items():
            if isinstance(found, type) and issubclass(found, keras.Sequential):
                yield short_name(name)

    def _model(self, entry: ConfigEntry) -> keras.Model:
        config = entry["config"]
        custom = self.registry.custom_class(entry["class_name"], entry.get("registered_name"))
        if short_name(str(entry["class_name"])) == "Sequential" or is_made_of_layers(custom):
            model = self._sequential(entry, custom)
        elif config.get("input_layers") is None:
            raise UnsupportedError(f"{entry['class_name']} has a config without inputs")
        else:
            with sharing() as outermost:
                whole = with_shared(entry, self.changes) if outermost else entry
                model = self._functional(custom, whole)
        if config.get("trainable") is False:
            model.trainable = False
        return model

    def _functional(self, custom: Any, entry: ConfigEntry) -> keras.Model:
        """A functional model with its layers."""
        config = entry["config"]
        replay = Replay(self.reader, config, self.changes)
        inputs, outputs = replay.tensors_of_ends()
        model = self._of_tensors(custom, inputs, outputs, config)
        names = entry.get(OUTPUT_NAMES)
        if isinstance(names, list) and len(names) == len(model.outputs):
            name_outputs(model, names)
        attach(model, _added(replay, model))
        note_order(model, (layer.name for layer in replay.layers.values()))
        self._tell_dropped(replay, model)
        build_inside(model)
        return model

    def _of_tensors(
        self, custom: Any, inputs: Any, outputs: Any, config: ConfigEntry
    ) -> keras.Model:
        """A model of tensors, of the user's class or Keras'."""
        if not is_made_of_tensors(custom):
            return keras.Model(inputs, outputs, name=config.get("name"))
        if not has_own_constructor(custom):
            return custom(inputs, outputs, name=config.get("name"))
        arguments = self.reader.arguments(own_arguments(custom, config))
        return call_with(
            custom, {"inputs": inputs, "outputs": outputs, **arguments}, custom.__name__
        )

    def _tell_dropped(self, replay: Replay, model: keras.Model) -> None:
        """Layers that nothing leads from to an output are no part of a Keras 3 model."""
        kept = {operation.name for operation in model.operations}
        for name, layer in replay.layers.items():
            if layer.name not in kept:
                self.changes.append(
                    f"layer {name!r} ({type(layer).__name__}) leads to no output and is dropped"
                )

    def _sequential(self, entry: ConfigEntry, custom: Any) -> keras.Model:
        config = entry["config"]
        model = self._empty_sequential(custom, config)
        shape = config.get("build_input_shape") or (entry.get("build_config") or {}).get(
            "input_shape"
        )
        items = with_text_input(config["layers"], shape)
        for left, item in zip(range(len(items) - 1, -1, -1), items, strict=True):
            if item["class_name"] == "InputLayer":
                layer = input_layer(item, self.reader.objects)
            else:
                layer = self.reader.read(item)
            # Keras would call all layers once more for each that is added.
            _add(model, layer, rebuild=not left)
        if not model.built and isinstance(shape, (list, tuple)):
            model.build(tuple(shape))
        if not model.built:
            _build_alone(model, config["layers"])
        build_inside(model)
        return model

    def _empty_sequential(self, custom: Any, config: ConfigEntry) -> keras.Sequential:
        if not is_made_of_layers(custom):
            return keras.Sequential(name=config.get("name"))
        if not has_own_constructor(custom):
            return custom(name=config.get("name"))
        arguments = self.reader.arguments(own_arguments(custom, config))
        return call_with(custom, arguments, custom.__name__)


def _add(model: keras.Sequential, layer: keras.Layer, *, rebuild: bool) -> None:
    """Add a layer, by the model's own `add` where its class has one."""
    if type(model).add is keras.Sequential.add:
        model.add(layer, rebuild=rebuild)
    else:
        model.add(layer)


def _build_alone(model: keras.Sequential, entries: Sequence[Mapping[str, Any]]) -> None:
    """Layers of a model that was never called, which were built by themselves, as by `adapt`."""
    for layer, entry in zip(model.layers, entries, strict=True):
        recorded = entry.get("build_config")
        if recorded and not layer.built:
            layer.build_from_config(recorded)


def _added(replay: Replay, model: keras.Model) -> list[Added]:
    """The losses and metrics of a file that no output needs."""
    kept = {id(layer) for layer in model.layers}
    return [
        layer
        for layer in replay.layers.values()
        if isinstance(layer, Added) and id(layer) not in kept
    ]


@contextmanager
def _errors_of_ours() -> Iterator[None]:
    """What a damaged config makes Python or Keras raise becomes a FormatError."""
    try:
        yield
    except HozonError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise FormatError(f"the config cannot be built: {what}", found=what) from error


@contextmanager
def _scope(registry: Registry) -> Iterator[None]:
    """Keras' own copying of layers (in Bidirectional, for one) finds the caller's objects and ours."""
    ours = {**LEGACY_FUNCTIONS, **LEGACY_LAYERS}
    with keras.saving.custom_object_scope({**ours, **registry.given}):
        yield


def _valid_names(table: Mapping[str, Any] | None) -> dict[str, Any]:
    """Layers by name of the file, found under the name that Keras 3 takes too."""
    table = dict(table or {})
    return {**{name.replace("/", "_"): value for name, value in table.items()}, **table}
