"""Keras 3 configs as Keras 2 configs: plain dictionaries in, plain dictionaries out.

The way back of `upgrade`, with the rows that stand beside its own in `dialects`. What Keras 2 says
in another way is translated, what it says less of is told, and what it cannot say is refused, all
of a model's refusals at once.

Keras 2 wrote objects in two forms: ``{"class_name", "config"}`` into H5 files, SavedModels and
JSON, and, from TensorFlow 2.12 on, with ``module`` and ``registered_name`` into ``.keras`` archives
(tf_keras/src/saving/serialization_lib.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hozon.config.called import CALLED_ON
from hozon.config.dialects import to_keras2_rules_of
from hozon.config.dialects.calls import CALL_NAMES, WRITTEN_CALLS
from hozon.config.dialects.operations import written_operation
from hozon.config.dialects.rules import Config, Entry
from hozon.config.dialects.to_keras2 import CLASSES, KERAS3_LAYERS, LAYERS
from hozon.config.entries import (
    counts_from_one,
    ends_from_zero,
    is_keras_module,
    is_model,
    is_operation,
    layers_of,
    name_of,
    starts_with_input,
)
from hozon.config.keras2_order import in_order
from hozon.config.masks import merged_otherwise, without_implied_masks
from hozon.config.nodes import FIXED, OVERRIDDEN, STRUCTURED, Key
from hozon.config.tagged import is_serialized
from hozon.config.to_keras2_nodes import named_call, written_call, written_ends
from hozon.config.to_keras2_objects import Form, ObjectWriter
from hozon.config.upgrade import LAYER_KEYS, MARKS, MODEL_KEYS, QUANTIZED, TRAINS_AS, short_name
from hozon.errors import FormatError, UnsupportedError
from hozon.limits import LIMITS
from hozon.typing import ConfigEntry

WHOLE = frozenset({"Sequential", "Functional", "Model"})


def to_keras2(
    config: ConfigEntry,
    *,
    report: list[str] | None = None,
    tags: bool = False,
    call_names: Mapping[str, Sequence[str]] | None = None,
) -> Config:
    """A Keras 3 model or layer, ``{"class_name": ..., "config": ...}``, in Keras 2's dialect.

    Args:
        config: as Keras 3 serializes it, with or without ``module``.
        report: receives a line for each thing that Keras 2 says in another way or less of.
        tags: whether objects have ``module`` and ``registered_name``, as in ``.keras`` archives.
        call_names: for custom layers by name, the names of their call arguments in order, which
            Keras 2 writes for all but the first.

    Raises:
        UnsupportedError: names everything that Keras 2 cannot say, each layer on a line.
        FormatError: the config contradicts itself.
    """
    writer = Downgrader(Form(tags), call_names or {})
    made = writer.layer(ends_from_zero(config))
    if writer.refused:
        raise _refusal(writer.refused)
    if report is not None:
        report.extend(writer.changes)
    return made


def to_keras2_object(kind: str, value: Any, *, tags: bool = False) -> Any:
    """An initializer, regularizer, constraint, activation or dtype policy in Keras 2's dialect.

    `kind` is one of "initializer", "regularizer", "constraint", "activation", "policy".
    """
    return Downgrader(Form(tags), {}).objects.write(kind, value)


def _refusal(refused: Sequence[UnsupportedError]) -> UnsupportedError:
    if len(refused) == 1:
        return refused[0]
    lines = "\n  ".join(error.message for error in refused)
    features = ", ".join(dict.fromkeys(error.feature or "" for error in refused))
    return UnsupportedError(f"Keras 2 cannot say all of this model:\n  {lines}", feature=features)


class Downgrader:
    """One way back: collects what changed and what was refused over nested layers and models."""

    def __init__(self, form: Form, call_names: Mapping[str, Sequence[str]]) -> None:
        self.form = form
        self.changes: list[str] = []
        self.refused: list[UnsupportedError] = []
        self.objects = ObjectWriter(form, self._inner, self.changes)
        self._call_names = call_names
        self._depth = 0

    def layer(self, source: ConfigEntry) -> Config:
        """A layer or model entry; what is refused is kept in `refused`."""
        self._depth += 1
        if self._depth > LIMITS.nesting:
            raise FormatError("the config nests models too deeply", expected=LIMITS.nesting)
        try:
            return self._shared(self._layer(source), source)
        except UnsupportedError as error:
            self._refuse(error, source)
            return {"class_name": "", "config": {"name": name_of(source)}}
        finally:
            self._depth -= 1

    def _inner(self, source: Mapping[str, Any]) -> Config:
        """A layer or model within another layer, which is refused with it."""
        return self._shared(self._layer(source), source)

    @staticmethod
    def _shared(made: Config, source: ConfigEntry) -> Config:
        """With what an entry says beside the config."""
        return {**made, **{key: source[key] for key in MARKS if source.get(key) is not None}}

    def _refuse(self, error: UnsupportedError, source: ConfigEntry) -> None:
        """Keep a refusal, with the layer's name in it."""
        name = name_of(source)
        if error.record is None:
            error = UnsupportedError(
                f"layer {name!r}: {error.message}",
                feature=error.feature,
                record=name,
                instead=error.instead,
            )
        self.refused.append(error)

    def _layer(self, source: ConfigEntry) -> Config:
        if not is_serialized(source):
            raise FormatError(f"{source!r:.100} is no layer: it has no class name")
        config = source.get("config")
        if not isinstance(config, Mapping):
            raise FormatError(f"layer {name_of(source)!r} has no config", record=name_of(source))
        if "layers" in config and isinstance(config["layers"], list):
            return self._model(source, config)
        known = self._known_name(source)
        return self._custom(source, config) if known is None else self._known(source, known)

    def _known_name(self, source: ConfigEntry) -> str | None:
        """The class that a layer of Keras or Hozon has in the tables, None for a custom one."""
        registered, name = source.get("registered_name"), str(source["class_name"])
        for given in (registered, name):
            if isinstance(given, str) and given.startswith("hozon>"):
                return given if given in CLASSES or to_keras2_rules_of(given) else short_name(given)
        module = str(source.get("module") or "keras.layers")
        if not is_keras_module(module) or registered not in (None, name):
            return None
        if name in KERAS3_LAYERS or (
            "module" in source and source["module"] and name not in LAYERS
        ):
            raise UnsupportedError(
                f"layer {name_of(source)!r} is a {name}, which Keras 2 does not have",
                feature=name,
                record=name_of(source),
            )
        return name if name in LAYERS else None

    def _known(self, source: ConfigEntry, known: str) -> Config:
        if known == "InputLayer":
            return self._input(source)
        build = source.get("build_config")
        entry = Entry(
            known,
            dict(source["config"]),
            name_of(source),
            self.changes,
            dict(build) if isinstance(build, Mapping) else {},
        )
        self._nested(entry)
        if source.get(TRAINS_AS) != "keras2":
            _tell_what_trains(entry.config)
        for rule in to_keras2_rules_of(known):
            rule(entry)
        entry.class_name = CLASSES.get(entry.class_name, entry.class_name)
        made = self.form.entry("keras.layers", entry.class_name, entry.config)
        return self._built(made, source)

    def _nested(self, entry: Entry) -> None:
        for key, value in entry.config.items():
            if key in LAYER_KEYS and isinstance(value, (list, tuple)):
                entry.config[key] = [self._inner(item) for item in value]
            elif key in LAYER_KEYS and is_serialized(value):
                entry.config[key] = self._inner(value)
            else:
                entry.config[key] = self.objects.of_key(key, value)

    def _custom(self, source: ConfigEntry, config: ConfigEntry) -> Config:
        """A class of the user's: its config is its own, but objects of Keras' in it are not."""
        if source.get(QUANTIZED):
            raise UnsupportedError(
                f"layer {name_of(source)!r} holds quantized layers, which Keras 2 does not have",
                feature="quantized layers",
                record=name_of(source),
            )
        made = {key: self.objects.of_custom_key(key, value) for key, value in config.items()}
        return self._built(self.form.custom(source, made), source)

    def _built(self, made: Config, source: ConfigEntry) -> Config:
        """With the shape that a tagged layer was built for, where Keras 2 can take it up.

        What text a model was called on Keras 2 passes over, where it finds no shape.
        """
        build = source.get("build_config")
        if isinstance(build, Mapping) and CALLED_ON in build:
            made["build_config"] = {"input_shape": None, **build}
        if self.form.tags and isinstance(build, Mapping) and build.keys() == {"input_shape"}:
            made["build_config"] = {"input_shape": build["input_shape"]}
        return made

    def _input(self, source: ConfigEntry) -> Config:
        config = source["config"]
        shape = self.objects.plain(config.get("batch_shape", config.get("batch_input_shape")))
        made = {
            "batch_input_shape": shape,
            "dtype": self.objects.dtype_name(config.get("dtype")),
            "sparse": bool(config.get("sparse")),
            "ragged": bool(config.get("ragged")),
            "name": name_of(source),
        }
        if config.get("optional"):
            made["optional"] = True
            self.changes.append(
                f"input {name_of(source)!r} is optional, which TensorFlow's Keras "
                "knows since 2.17 only"
            )
        return self.form.entry("keras.layers", "InputLayer", made)

    # Models

    def _model(self, source: ConfigEntry, config: ConfigEntry) -> Config:
        entries = layers_of(config)
        if config.get("input_layers") is None:
            made = self._sequential(config, entries)
        else:
            made = self._functional(config, entries)
        if config.get("trainable") is False:
            self.changes.append(f"model {config.get('name')!r} is frozen: so is each layer")
            made["layers"] = [frozen(layer) for layer in made["layers"]]
        return self._model_entry(source, made)

    def _model_entry(self, source: ConfigEntry, made: Config) -> Config:
        name = str(source["class_name"])
        if short_name(name) in WHOLE and is_keras_module(str(source.get("module") or "keras")):
            whole = "Model" if self.form.tags and name == "Functional" else name
            return self.form.entry("keras", whole, made)
        own = {
            key: self.objects.of_custom_key(key, value)
            for key, value in source["config"].items()
            if key not in MODEL_KEYS
        }
        return self.form.custom(source, {**own, **made})

    def _sequential(self, config: ConfigEntry, entries: list[Config]) -> Config:
        made: Config = {
            "name": config.get("name"),
            "layers": [self.layer(entry) for entry in entries],
        }
        shape = config.get("build_input_shape")
        if shape is not None and not starts_with_input(entries):
            made["build_input_shape"] = self.objects.plain(shape)
        return made

    def _functional(self, config: ConfigEntry, entries: list[Config]) -> Config:
        for name in merged_otherwise(entries, config.get("output_layers")):
            self.refused.append(
                UnsupportedError(
                    f"layer {name!r} merges tensors with different masks: Keras 2 would pass on "
                    "what is common to them, Keras 3 does not",
                    feature="merged masks",
                    record=name,
                )
            )
        entries = without_implied_masks(entries, config.get("output_layers"))
        names = {name_of(entry) for entry in entries}
        models = {name_of(e): counts_from_one(e) for e in entries if is_model(e)}

        def renumber(key: Key) -> Key:
            if key[0] not in names:
                raise FormatError(
                    f"a layer reads from {key[0]!r}, which the model does not have", record=key[0]
                )
            return (key[0], key[1] + models.get(key[0], 0), key[2])

        made: Config = {
            "name": config.get("name"),
            "trainable": bool(config.get("trainable", True)),
            "layers": [self._functional_layer(entry, renumber) for entry in entries],
            "input_layers": written_ends(config.get("input_layers"), renumber),
            "output_layers": written_ends(config.get("output_layers"), renumber),
        }
        return made if self.refused else in_order(made)

    def _functional_layer(self, entry: Config, renumber: Callable[[Key], Key]) -> Config:
        name = name_of(entry)
        try:
            if is_operation(entry):
                made, calls = written_operation(entry, renumber)
                made = self.form.entry("keras.layers", made["class_name"], made["config"])
            else:
                made = self._shared(self._layer(entry), entry)
                calls = [
                    self._call(entry, call, made, renumber)
                    for call in entry.get("inbound_nodes") or []
                ]
        except UnsupportedError as error:
            self._refuse(error, entry)
            made, calls = {"class_name": "", "config": {}}, []
        return {**made, "name": name, "inbound_nodes": calls}

    def _call(self, entry: Config, call: Any, made: Config, renumber: Callable[[Key], Key]) -> Any:
        name, short = name_of(entry), short_name(str(entry["class_name"]))
        known = self._call_names.get(name, CALL_NAMES.get(short, CALL_NAMES[""]))
        named = named_call(call, known, name)
        fixed = call.get(FIXED, ())
        kwargs = {
            key: value
            for key, value in named["kwargs"].items()
            if value is not None and (key in fixed or key not in OVERRIDDEN)
        }
        if named["kwargs"].get("training") is True and "training" not in fixed:
            self.changes.append(
                f"layer {name!r} is called with training=True only where its "
                "model is called without a word on training; that is dropped"
            )
        adapt = WRITTEN_CALLS.get(short)
        named = {"args": named["args"], "kwargs": kwargs}
        if adapt is not None:
            named = adapt(named, made["config"])
        return written_call(named, renumber, structured=made["class_name"] in STRUCTURED)


def frozen(entry: Config) -> Config:
    """A layer entry, and all in it, not trained."""
    config = dict(entry["config"])
    if isinstance(config.get("layers"), list):
        config["layers"] = [frozen(item) for item in config["layers"]]
    elif entry["class_name"] != "InputLayer":
        config["trainable"] = False
    return {**entry, "config": config}


def _tell_what_trains(config: Config) -> None:
    """In Keras 2 a frozen wrapper freezes what it wraps; in Keras 3 one made so does not."""
    held = [config[key] for key in LAYER_KEYS & config.keys()]
    inner = [layer for value in held for layer in (value if isinstance(value, list) else [value])]
    if config.get("trainable") is False and any(
        isinstance(layer, Mapping) and layer["config"].get("trainable", True) for layer in inner
    ):
        config["trainable"] = True
