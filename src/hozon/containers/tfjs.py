"""TensorFlow.js' layers models <-> `ModelRecord`.

A folder holds ``model.json`` and the shards of its weights. The JSON has ``modelTopology``, the
model's config as Keras 2 writes it into H5 files, either there itself or under ``model_config``;
``trainingConfig``, or ``training_config`` within the topology; and ``weightsManifest``. The weights
have Keras 2's names, which begin with the name of the layer, wherever it is nested; those of an
optimizer are in the group ``"optimizer"`` (tfjs-core/src/io/types.ts,
tfjs-converter/python/tensorflowjs/converters/keras_h5_conversion.py).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hozon.config.tfjs import from_tfjs, slot_scale, to_tfjs, training_from_tfjs, weight_names
from hozon.containers.card import put_card
from hozon.errors import FormatError, UnsupportedError
from hozon.formats.jsondoc import parse_object
from hozon.formats.tfjs import read_manifest, scaled, write_manifest
from hozon.limits import LIMITS
from hozon.raw.checksum import crc32c
from hozon.raw.commit import replacing_directory
from hozon.raw.own_checksum import check_own, with_own
from hozon.raw.stores import (
    is_directory,
    is_file,
    join,
    names,
    open_source,
    parent_and_name,
    place,
    read_bytes,
    size,
    write_bytes,
)
from hozon.record import ModelRecord, StateGroup
from hozon.stored.lazy import LazyTensor

MODEL_FILE = "model.json"
TOPOLOGY, MANIFEST, TRAINING, FORMAT = (
    "modelTopology",
    "weightsManifest",
    "trainingConfig",
    "format",
)
#: An entry of Hozon's own: the CRC-32C of each shard.
CHECKSUMS = "hozon_shards"
#: How shards are called.
SHARD = re.compile(r"group\d+-shard\d+of\d+(\.bin)?")
LAYERS_MODEL = "layers-model"
OPTIMIZER_GROUP = "optimizer"
OPTIMIZER = "optimizer_weights"


def detect(path: str | os.PathLike[str]) -> bool:
    """Whether a path is such a ``model.json``, or a folder that holds one."""
    file = _file_of(place(path))
    if not is_file(file) or not file.endswith(".json"):
        return False
    source = open_source(file)
    if not 2 <= source.size <= LIMITS.header_bytes:
        return False
    text = bytes(source.view(0, source.size))
    if TOPOLOGY.encode() not in text or MANIFEST.encode() not in text:
        return False
    try:
        return {TOPOLOGY, MANIFEST} <= set(_document(file))
    except FormatError:
        return False


def read(path: str | os.PathLike[str]) -> ModelRecord:
    """The model of a folder, or of its ``model.json``; tensors are mapped from the shards.

    Raises:
        FormatError: it contradicts itself, or a shard is missing or too short.
        UnsafeError: it names shards that are not beside it.
        UnsupportedError: it is a graph model, or has a type that is not known.
    """
    file = _file_of(place(path))
    document = _document(file)
    topology = document[TOPOLOGY]
    if document.get(FORMAT, LAYERS_MODEL) != LAYERS_MODEL or not isinstance(topology, dict):
        raise UnsupportedError(
            f"{file} is no layers model of TensorFlow.js",
            feature=f"a {document.get(FORMAT)!r:.40} of TensorFlow.js",
            file=file,
            instead="give the SavedModel or Keras file that it was made from",
        )
    backend = str(topology.get("backend") or "")
    config = from_tfjs(_object(topology.get("model_config", topology), file), backend)
    tensors = read_manifest(document[MANIFEST], parent_and_name(file)[0], file)
    optimizer = set(_of_optimizer(document[MANIFEST]))
    return ModelRecord(
        form="tfjs",
        path=file,
        dialect="keras2",
        naming="layers",
        producer=str(document.get("generatedBy") or ""),
        backend=backend,
        config=config,
        training=_training(document, topology, file),
        state=_by_layer(config, {k: t for k, t in tensors.items() if k not in optimizer}, file),
        optimizer=_optimizer(
            {k: t for k, t in tensors.items() if k in optimizer}, document.get(TRAINING)
        ),
    )


def write(
    record: ModelRecord, path: str | os.PathLike[str], *, card: bool = False
) -> tuple[int, list[str]]:
    """Write a record in Keras 2's dialect as a folder, whole or not at all.

    Args:
        record: the model.
        path: the folder; what one that is there holds besides a model is kept.
        card: whether to write what is in it for people.

    Returns:
        The bytes of all files, and which tensors became others.

    Raises:
        SaveError: it cannot be written, or something else is there. Nothing has changed.
        UnsupportedError: TensorFlow.js has no such layer or type.
    """
    if record.dialect != "keras2" or record.naming != "layers" or record.config is None:
        raise UnsupportedError(
            "a layers model of TensorFlow.js is written from a model in Keras 2's dialect",
            feature=f"{record.form} as TensorFlow.js' layers model",
            file=record.path or None,
        )
    config = to_tfjs(record.config)
    stored = [(name, tensor) for group in record.state for name, tensor in group.tensors.items()]
    named = weight_names(config, (name for name, _ in stored))
    tensors = dict(zip(named, (tensor for _, tensor in stored), strict=True))
    if len(tensors) != len(stored):
        raise UnsupportedError(
            "two weights have the same name, by which TensorFlow.js finds them",
            feature="layers of the same name in nested models",
            file=record.path or None,
            instead="give the layers of all models names of their own",
        )
    told = record.training is not None and record.training_dialect == record.dialect
    topology = {
        "keras_version": record.producer.removeprefix("keras "),
        "backend": record.backend or "tensorflow",
        "model_config": config,
        **({"training_config": record.training} if told else {}),
    }
    with replacing_directory(path, recognize=detect, owns=_owns, last=[MODEL_FILE]) as folder:
        manifest, changed = write_manifest(folder, tensors)
        document = {
            FORMAT: LAYERS_MODEL,
            "generatedBy": record.producer,
            "convertedBy": "Hozon",
            TOPOLOGY: topology,
            MANIFEST: manifest,
            CHECKSUMS: {name: _checksum(join(folder, name)) for name in names(folder)},
        }
        write_bytes(join(folder, MODEL_FILE), with_own(json.dumps(document).encode()))
        if card:
            put_card(folder, place(path), read(folder))
        return sum(size(join(folder, name)) for name in names(folder)), changed


def _owns(name: str) -> bool:
    """Whether a file in such a folder is of the model."""
    return name == MODEL_FILE or SHARD.fullmatch(name) is not None


def check(path: str) -> bool:
    """Compare the checksums that Hozon wrote of a model; whether there are any.

    Raises:
        FormatError: one differs.
    """
    file = _file_of(path)
    if not check_own(open_source(file)):
        return False
    folder = parent_and_name(file)[0]
    checksums = _document(file).get(CHECKSUMS)
    told = checksums if isinstance(checksums, dict) else {}
    for name in names(folder):  # never what the file names and is elsewhere
        shard, stored = join(folder, name), told.get(name)
        found = stored if stored is None else _checksum(shard)
        if found != stored:
            raise FormatError(
                f"{shard} is damaged: its checksum differs",
                file=shard,
                expected=stored,
                found=found,
            )
    return True


def _checksum(file: str) -> str:
    source = open_source(file)
    return f"{crc32c(source.view(0, source.size)):08x}"


def _file_of(where: str) -> str:
    return join(where, MODEL_FILE) if is_directory(where) else where


def _document(file: str) -> dict[str, Any]:
    return parse_object(read_bytes(file), file=file, record=MODEL_FILE)


def _object(value: Any, file: str) -> dict[str, Any]:
    """A config, which some writers put down as text."""
    if isinstance(value, str):
        return parse_object(value, file=file, record=TOPOLOGY)
    if not isinstance(value, dict):
        raise FormatError("the topology is no object", file=file, record=TOPOLOGY)
    return value


def _training(
    document: Mapping[str, Any], topology: Mapping[str, Any], file: str
) -> Mapping[str, Any] | None:
    own = document.get(TRAINING)
    if isinstance(own, dict):
        return training_from_tfjs(own)
    told = topology.get("training_config")
    return None if told is None else _object(told, file)


def _of_optimizer(manifest: Any) -> Iterator[str]:
    for group in manifest:
        for entry in group["weights"]:
            if entry.get("group") == OPTIMIZER_GROUP:
                yield str(entry["name"])


def _optimizer(tensors: dict[str, LazyTensor], training: Any) -> StateGroup | None:
    scale = slot_scale(training)
    if scale is not None:
        tensors = {
            name: scaled(tensor, scale) if tensor.shape else tensor
            for name, tensor in tensors.items()
        }
    return StateGroup(OPTIMIZER, tensors) if tensors else None


def _by_layer(
    config: Mapping[str, Any], tensors: Mapping[str, LazyTensor], file: str
) -> tuple[StateGroup, ...]:
    """The tensors in groups of the model's layers, by the names that theirs begin with."""
    owners = dict(_owners(config))
    groups: dict[str, dict[str, LazyTensor]] = {owner: {} for owner in owners.values()}
    for name, tensor in tensors.items():
        owner = owners.get(name.partition("/")[0])
        if owner is None:
            raise FormatError(
                f"tensor {name!r} belongs to no layer of the model",
                file=file,
                record=name,
                expected="a name that begins with that of a layer",
            )
        groups[owner][name] = tensor
    return tuple(StateGroup(owner, group) for owner, group in groups.items())


def _owners(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of layers, nested ones too, each with that of the model's own layer that has it."""
    for layer in _inner(config):
        name = _name(layer)
        yield name, name
        for inner in _within(layer):
            yield inner, name


def _within(layer: Mapping[str, Any]) -> Iterator[str]:
    for inner in _inner(layer):
        yield _name(inner)
        yield from _within(inner)


def _inner(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The layers of a model, or the one in a layer."""
    arguments = entry.get("config")
    if isinstance(arguments, list):  # a Sequential of old
        return [layer for layer in arguments if isinstance(layer, dict)]
    if not isinstance(arguments, dict):
        return []
    found = arguments.get("layers", arguments.get("layer"))
    listed = found if isinstance(found, list) else [found]
    return [layer for layer in listed if isinstance(layer, dict)]


def _name(layer: Mapping[str, Any]) -> str:
    arguments = layer.get("config")
    own = arguments.get("name") if isinstance(arguments, dict) else None
    return str(own or layer.get("name"))
