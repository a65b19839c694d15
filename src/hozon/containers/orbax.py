"""Checkpoints of ``keras.callbacks.OrbaxCheckpoint`` -> `ModelRecord`.

A run is a folder with a folder for each step, ``run/3``. A step holds ``_CHECKPOINT_METADATA`` and
trees: ``pytree`` is the variables by their paths; where more than weights was saved,
``model_config`` is the model as a ``.keras`` file has it, and ``assets`` its vocabularies. A step
has another name until it is whole, and a marker from then on
(keras/src/callbacks/orbax_checkpoint.py, orbax/checkpoint/_src/path/atomicity.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from hozon.audit import Audit
from hozon.containers.agreement import audit_record
from hozon.errors import FormatError, UnsupportedError
from hozon.formats.jsondoc import parse_object
from hozon.formats.orbax import Tree
from hozon.raw.stores import (
    exists,
    is_directory,
    is_file,
    join,
    names,
    parent_and_name,
    place,
    read_bytes,
    size_on_disk,
)
from hozon.record import ModelRecord, StateGroup
from hozon.stored.lazy import LazyTensor

STEP_FILE, MARKER, UNFINISHED = (
    "_CHECKPOINT_METADATA",
    "commit_success.txt",
    ".orbax-checkpoint-tmp",
)
STATE, MODEL, ASSETS = "pytree", "model_config", "assets"
CONFIG, COMPILED = "config", "compile_config"
WEIGHTS = ("trainable_variables", "non_trainable_variables")
#: What holds the optimizer's values, and those of metrics.
OPTIMIZER, METRICS = "optimizer_variables", "metrics_variables"


def detect(path: str | os.PathLike[str]) -> str | None:
    """``"model"`` or ``"weights"`` for a step, or a folder of steps; None for anything else.

    Raises:
        FormatError: it is a step that is not finished, or a folder of no others.
    """
    step = _find(place(path))
    if step is None:
        return None
    return "model" if is_directory(join(step, MODEL)) else "weights"


def _find(where: str) -> str | None:
    """The step that a path means: itself, or the latest finished one in it."""
    if not is_directory(where):
        return None
    if _is_step(where):
        if not _is_finished(where):
            raise _unfinished(where, where)
        return where
    inside = names(where)
    steps = [join(where, n) for n in sorted(filter(str.isdecimal, inside), key=int)]
    steps = [step for step in steps if is_directory(step) and _is_step(step)]
    finished = [step for step in steps if _is_finished(step)]
    begun = [join(where, n) for n in inside if UNFINISHED in n] + steps
    if begun and not finished:
        raise _unfinished(where, begun[-1])
    return finished[-1] if finished else None


def _is_step(folder: str) -> bool:
    """Whether Keras wrote it, or had begun to."""
    if UNFINISHED in parent_and_name(folder.rstrip("/"))[1]:
        return True
    return is_file(join(folder, STEP_FILE)) and is_directory(join(folder, STATE))


def _is_finished(step: str) -> bool:
    """Whether a step has its last name, and the marker, where its parts have one."""
    parts = [name for name in names(step) if is_directory(join(step, name))]
    if UNFINISHED in parent_and_name(step.rstrip("/"))[1] or any(UNFINISHED in p for p in parts):
        return False
    marked = any(exists(join(step, part, MARKER)) for part in parts)
    return exists(join(step, MARKER)) or not marked


def _unfinished(where: str, step: str) -> FormatError:
    return FormatError(
        f"{where} holds no finished Orbax checkpoint: {step} was being written when its writer "
        "stopped",
        file=where,
        record=step,
        expected=f"a step with {MARKER}",
    )


def _step(path: str | os.PathLike[str]) -> str:
    step = _find(place(path))
    if step is None:
        raise FormatError(f"{place(path)} is no Orbax checkpoint", file=place(path))
    return step


def read(path: str | os.PathLike[str]) -> ModelRecord:
    """The model or the weights of a step; of a folder of steps the latest that is finished.

    Raises:
        FormatError: none is finished, or it is damaged.
        UnsafeError: a file of it is a link to another place.
        UnsupportedError: TensorStore is not installed; it is no state of a Keras model.
    """
    step = _step(path)
    config = _config(step)
    training = config.pop(COMPILED, None)
    optimizer, groups = _sorted_out(Tree(join(step, STATE)).arrays(), step)
    return ModelRecord(
        form="orbax",
        path=step,
        dialect="keras3",
        naming="variables",
        producer="Keras 3, by Orbax",
        config=config or None,
        training=training if isinstance(training, dict) else None,
        state=groups,
        optimizer=optimizer,
        assets=_assets(step),
    )


def _config(step: str) -> dict[str, Any]:
    folder = join(step, MODEL)
    if not is_directory(folder):
        return {}
    text = Tree(folder).texts().get(CONFIG)
    if text is None:
        raise FormatError("there is no config", file=folder, record=CONFIG)
    return dict(parse_object(text, file=folder, record=CONFIG))


def _sorted_out(
    arrays: Mapping[tuple[str, ...], LazyTensor], step: str
) -> tuple[StateGroup | None, tuple[StateGroup, ...]]:
    """The optimizer's values, and all others by the object that they are of."""
    kinds = {keys[0] for keys in arrays}
    if not kinds <= {*WEIGHTS, OPTIMIZER, METRICS}:
        raise UnsupportedError(
            f"{step} is an Orbax checkpoint that Keras did not write: it holds "
            f"{', '.join(sorted(kinds)[:6])}",
            feature="Orbax checkpoints of other libraries",
            file=step,
            instead="restore it by orbax.checkpoint, and give the arrays to a model",
        )
    optimizer: dict[str, LazyTensor] = {}
    groups: dict[str, dict[str, LazyTensor]] = {}
    for (kind, *path), tensor in arrays.items():
        if not path:
            raise FormatError(f"{kind} is no tree of variables", file=step, record=kind)
        if kind == OPTIMIZER:
            optimizer["/".join(path)] = tensor
            continue
        owner = "/".join((*([METRICS] if kind == METRICS else []), *path[:-1]))
        name = path[-1]
        if name in groups.setdefault(owner, {}):
            raise FormatError(f"two variables are called {owner}/{name}", file=step, record=name)
        groups[owner][name] = tensor
    found = StateGroup(OPTIMIZER, optimizer) if optimizer else None
    return found, tuple(StateGroup(owner, group) for owner, group in groups.items())


def _assets(step: str) -> dict[str, Any]:
    folder = join(step, ASSETS)
    if not is_directory(folder):
        return {}
    tree = Tree(folder)
    return {"/".join(leaf.keys): partial(_file, tree, leaf.keys) for leaf in tree.leaves}


def _file(tree: Tree, keys: tuple[str, ...]) -> bytes:
    return np.asarray(tree.arrays()[keys].read(), np.uint8).tobytes()


def audit(path: str, found: Audit) -> None:
    """Check every tree of a step, and that each array can be read."""
    step = _step(path)
    nbytes = size_on_disk(step)
    found.nbytes += nbytes
    for name in (STATE, MODEL, ASSETS):
        folder = join(step, name)
        if exists(folder):
            with found.checking("trees", name, folder):
                _audit_arrays(Tree(folder).arrays().values(), folder, found)
    for file in _documents(step):
        with found.checking("documents", file=file):
            parse_object(read_bytes(file), file=file, record=parent_and_name(file)[1])
    with found.checking("records", file=step):
        audit_record(read(path), found)
    found.leave("Orbax keeps no checksum of arrays, and those of its index are not counted", nbytes)


def _documents(step: str) -> Iterator[str]:
    """What Orbax notes for itself, as JSON."""
    yield join(step, STEP_FILE)
    for name in (STATE, MODEL, ASSETS):
        folder = join(step, name)
        noted = join(folder, "array_metadatas")
        yield from filter(exists, [join(folder, "_sharding")])
        yield from (join(noted, process) for process in names(noted))


def _audit_arrays(tensors: Iterable[LazyTensor], folder: str, found: Audit) -> None:
    for tensor in tensors:
        with found.checking("tensors", tensor.name, folder):
            tensor.read(verify=False)
