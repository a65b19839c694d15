"""Whether the parts of a saved model fit each other: its config in itself, and with its weights.

As far as it can be said without building it: layers that calls name must be there, and so must
those that weights are of; weights of Keras' own layers have the shapes that their arguments say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hozon.audit import Audit
from hozon.record import ModelRecord, StateGroup

Shape = tuple[int | None, ...]
Config = Mapping[str, Any]
HISTORY = "keras_history"


def audit_record(record: ModelRecord, audit: Audit) -> None:
    """Check the config of a record against itself and its weights."""
    if record.config is None:
        return
    for problem in _dangling(record.config, "model"):
        audit.damaged(problem, file=record.path, record="config")
    audit.checked["layers of the config"] += len(layers_of(record.config))
    by_name = {str(entry_name(entry)): entry for entry in layers_of(record.config)}
    if record.naming == "layers":
        for name in _strange(record, by_name):
            audit.damaged(
                "weights are stored of a layer that the config does not have",
                file=record.path,
                record=name,
            )
    for name, group in _groups(record):
        entry = by_name.get(name)
        if entry is not None:
            _check_shapes(entry, group, record.path, audit)


def layers_of(entry: Config) -> list[Config]:
    """The entries of a model's own layers, those of Sequential models of Keras 1 too."""
    config = entry.get("config")
    found = config.get("layers", ()) if isinstance(config, Mapping) else config
    listed = found if isinstance(found, Sequence) and not isinstance(found, str) else ()
    return [layer for layer in listed if isinstance(layer, Mapping)]


def entry_name(entry: Config) -> str:
    """What a layer is called."""
    config = entry.get("config")
    named = config.get("name") if isinstance(config, Mapping) else None
    return str(named or entry.get("name") or "")


def snake_name(class_name: str) -> str:
    """The name of a class as Keras spells it in names and paths: Conv2DTranspose, LSTM."""
    text = re.sub(r"\W+", "", class_name)
    text = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", text)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", text).lower()


def _dangling(entry: Config, place: str) -> Iterator[str]:
    """Names of layers in calls, inputs and outputs that the model does not have."""
    layers, config = layers_of(entry), entry.get("config")
    names = {entry_name(layer) for layer in layers} | {str(e.get("name")) for e in layers}
    for layer in layers:
        told = f"{place} / {entry_name(layer)}"
        for called in called_layers(layer.get("inbound_nodes")):
            if called not in names:
                yield f"layer {entry_name(layer)!r} is called on {called!r}, which does not exist"
        yield from _dangling(layer, told)
    if not isinstance(config, Mapping):
        return
    for key in ("input_layers", "output_layers"):
        for called in _ends(config.get(key)):
            if called not in names:
                yield f"{key} of {place} name {called!r}, which does not exist"


def called_layers(value: Any) -> Iterator[str]:
    """The layers that calls name: in Keras 3's tensors, or Keras 2's lists of four."""
    if isinstance(value, Mapping):
        history = value.get("config", {})
        if value.get("class_name") == "__keras_tensor__" and isinstance(history, Mapping):
            told = history.get(HISTORY)
            yield str(told[0]) if isinstance(told, (list, tuple)) and told else repr(told)
        else:
            for inner in value.values():
                yield from called_layers(inner)
    elif isinstance(value, (list, tuple)):
        if _is_reference(value):
            yield value[0]
        else:
            for inner in value:
                yield from called_layers(inner)


def _ends(value: Any) -> Iterator[str]:
    if isinstance(value, list) and _is_reference(value):
        yield value[0]
    elif isinstance(value, (list, Mapping)):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _ends(inner)


def _is_reference(value: Sequence[Any]) -> bool:
    """Whether a list is ``[layer, node, tensor]``, arguments after it or not."""
    return (
        len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(isinstance(number, int) for number in value[1:3])
    )


def _strange(record: ModelRecord, layers: Mapping[str, Config]) -> Iterator[str]:
    """Groups of weights that no layer has; those of a model's own variables are none."""
    for group in record.state:
        if group.tensors and layers and group.name not in layers and "top_level" not in group.name:
            yield group.name


def _groups(record: ModelRecord) -> Iterator[tuple[str, StateGroup]]:
    """Groups of weights by the names of their layers, as far as the record tells them."""
    for group in record.state:
        if record.naming == "layers":
            yield group.name, group
        elif record.naming == "attributes" and group.name.count("/") == 1:
            name = record.names.get(group.name)
            if name is not None:
                yield name, group


def _check_shapes(entry: Config, group: StateGroup, file: str, audit: Audit) -> None:
    expect = SHAPES.get(str(entry.get("class_name", "")).rpartition(">")[2])
    config = entry.get("config")
    stored = [tensor.shape for tensor in group.tensors.values()]
    if expect is None or not isinstance(config, Mapping) or not stored:
        return
    try:
        wanted = expect(config)
    except (KeyError, TypeError, ValueError):  # a config of another age
        return
    if len(stored) > len(wanted):  # quantized, or with adapters
        return
    audit.checked["shapes of weights by their layers' arguments"] += 1
    for (name, tensor), shape in zip(group.tensors.items(), wanted, strict=False):
        fits = len(shape) == len(tensor.shape) and all(
            want in (None, have) for want, have in zip(shape, tensor.shape, strict=True)
        )
        if not fits:
            audit.damaged(
                f"a weight of {entry_name(entry)!r} does not have the shape that its layer's "
                "arguments say",
                file=file,
                record=f"{group.name}/{name}",
                expected=str(list(shape)).replace("None", "?"),
                found=str(list(tensor.shape)),
            )


def _dense(config: Config) -> list[Shape]:
    units = int(config["units"])
    return [(None, units), (units,)]


def _convolution(config: Config) -> list[Shape]:
    filters = int(config["filters"])
    return [(*map(int, config["kernel_size"]), None, filters), (filters,)]


def _transposed(config: Config) -> list[Shape]:
    filters = int(config["filters"])
    return [(*map(int, config["kernel_size"]), filters, None), (filters,)]


def _recurrent(gates: int) -> Callable[[Config], list[Shape]]:
    def shapes(config: Config) -> list[Shape]:
        units = int(config["units"])
        wide = gates * units
        bias: list[Shape] = [] if config.get("reset_after") else [(wide,)]
        return [(None, wide), (units, wide), *(bias or [(2, wide)])]

    return shapes


#: The shapes that the weights of Keras' own layers have, from their arguments; None is any size.
SHAPES: Mapping[str, Callable[[Config], list[Shape]]] = {
    "Dense": _dense,
    "Embedding": lambda c: [(int(c["input_dim"]), int(c["output_dim"]))],
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "Conv2DTranspose": _transposed,
    "Conv3DTranspose": _transposed,
    "LSTM": _recurrent(4),
    "GRU": _recurrent(3),
    "SimpleRNN": _recurrent(1),
}
