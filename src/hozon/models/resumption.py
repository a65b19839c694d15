"""What training goes on with besides weights and optimizer, as tensors in a file of weights.

That is what other callbacks remember, the random numbers that shuffle data, how far an epoch was
and what its metrics had counted by then.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from hozon.errors import FormatError
from hozon.keras_private.callbacks import metric_variables
from hozon.record import ModelRecord, StateGroup
from hozon.stored.lazy import LazyTensor, lazy_array

#: The group of a file, and the tensor in it that holds a JSON document.
GROUP, STATE = "hozon_training", "state"
METRIC, BEST = "metric", "best_weights"
#: What callbacks remember from epoch to epoch.
REMEMBERED: Mapping[type, Sequence[str]] = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.ModelCheckpoint: ("best", "epochs_since_last_save"),
}


def random_state() -> dict[str, Any]:
    """The state of the random numbers of NumPy and Python, by which data are shuffled."""
    kind, keys, position, kept, gauss = np.random.get_state()  # noqa: NPY002 - Keras shuffles so
    numbers = [str(kind), np.asarray(keys).tolist(), int(position), int(kept), float(gauss)]
    return {"numpy": numbers, "python": random.getstate()}


def set_random_state(state: Mapping[str, Any]) -> None:
    """Go on with the random numbers of `random_state`."""
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.asarray(keys, np.uint32), *rest))  # noqa: NPY002
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


def with_training(
    record: ModelRecord,
    model: keras.Model,
    callbacks: Sequence[Any],
    drawn: Mapping[str, Any],
    batch: int,
) -> ModelRecord:
    """A record of weights with the state of training, `batch` batches after an epoch's beginning.

    `drawn` is the `random_state` at that beginning.
    """
    arrays = {}
    if batch:
        for i, variable in enumerate(metric_variables(model)):
            arrays[f"{METRIC}_{i}"] = np.asarray(variable)
    remembered = list(_remembered(callbacks))
    for number, (callback, _) in enumerate(remembered):
        for i, value in enumerate(getattr(callback, BEST, None) or ()):
            arrays[f"{BEST}_{number}_{i}"] = np.asarray(value)
    document = {
        "batch": batch,
        "random": drawn,
        "callbacks": [[type(callback).__name__, state] for callback, state in remembered],
    }
    text = np.frombuffer(json.dumps(document).encode(), np.uint8)
    tensors = {name: lazy_array(name, array) for name, array in {STATE: text, **arrays}.items()}
    return replace(record, state=(*record.state, StateGroup(GROUP, tensors)))


def _remembered(callbacks: Sequence[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    for callback in callbacks:
        for kind, names in REMEMBERED.items():
            if isinstance(callback, kind):
                yield callback, {name: _plain(getattr(callback, name, None)) for name in names}
                break


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int)) else float(value)


def _document(text: np.ndarray[Any, Any], file: str) -> dict[str, Any]:
    try:
        found = json.loads(text.tobytes())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{file} holds no state of training: {error}", file=file) from error
    if not isinstance(found, dict) or not isinstance(found.get("batch"), int):
        raise FormatError(f"{file} holds no state of training", file=file, record=GROUP)
    return found


def split(record: ModelRecord) -> tuple[ModelRecord, Training]:
    """The record of the weights alone, and the state of training beside them."""
    groups = {group.name: group for group in record.state}
    found = groups.pop(GROUP, None)
    training = Training(record.path, {} if found is None else found.tensors)
    return replace(record, state=tuple(groups.values())), training


class Training:
    """The state of training in a file, and how much of it one holds that has no more to say."""

    def __init__(self, file: str, tensors: Mapping[str, LazyTensor], batch: int = 0) -> None:
        self._tensors = tensors
        self._file = file
        self._document: dict[str, Any] = {"batch": batch, "random": None, "callbacks": []}
        if STATE in tensors:
            self._document |= _document(np.asarray(tensors[STATE]), file)

    @property
    def batch(self) -> int:
        """How many batches of the epoch were over."""
        return int(self._document["batch"])

    def hand_to(self, callbacks: Sequence[Any]) -> None:
        """Let callbacks go on where those of the same classes were."""
        live = [callback for callback, _ in _remembered(callbacks)]
        for number, (name, state) in enumerate(self._document["callbacks"]):
            found = next((one for one in live if type(one).__name__ == name), None)
            if found is None:
                told = f"{self._file} holds the state of a {name}, which is not there"
                warnings.warn(told, stacklevel=4)
                continue
            live.remove(found)
            for key, value in state.items():
                setattr(found, key, value)
            best = self._numbered(f"{BEST}_{number}")
            if best:
                found.best_weights = best

    def begin_epoch(self, model: keras.Model) -> None:
        """Set the random numbers and the metrics as they were."""
        try:
            if self._document["random"] is not None:
                set_random_state(self._document["random"])
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"{self._file} holds no state of random numbers: {error}", file=self._file
            ) from error
        values = self._numbered(METRIC)
        variables = metric_variables(model)
        if len(values) == len(variables):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def _numbered(self, name: str) -> list[np.ndarray[Any, Any]]:
        found: list[np.ndarray[Any, Any]] = []
        while f"{name}_{len(found)}" in self._tensors:
            found.append(np.asarray(self._tensors[f"{name}_{len(found)}"]))
        return found
