"""What stored optimizer variables are: counters, and slots of variables, told by their names.

Names of four generations: ``training/Adam/Variable_3`` (Keras 1 to 2.3: by position only),
``Adam/dense/kernel/m`` (``optimizer_v2``), ``Adam/m/dense/kernel`` (TensorFlow 2.11 on), and
``adam/dense_kernel_momentum`` (Keras 3, in the order of its optimizer's variables).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from hozon.models.h5.pairing import plain_name
from hozon.models.savedmodel.load.optimizers import SLOTS
from hozon.tensors.lazy import LazyTensor

#: For each class: slot name of TensorFlow 2.11 on -> attribute in Keras 3.
NEWER: Mapping[str, Mapping[str, str]] = {
    "Adam": {"m": "_momentums", "v": "_velocities", "vhat": "_velocity_hats"},
    "AdamW": {"m": "_momentums", "v": "_velocities", "vhat": "_velocity_hats"},
    "Nadam": {"m": "_momentums", "v": "_velocities"},
    "Adamax": {"m": "_m", "u": "_u"},
    "SGD": {"m": "momentums"},
    "RMSprop": {
        "velocity": "_velocities",
        "momentum": "_momentums",
        "average_gradient": "_average_gradients",
    },
    "Adagrad": {"accumulator": "_accumulators"},
    "Adadelta": {
        "accumulated_grad": "_accumulated_grads",
        "accumulated_delta_var": "_accumulated_delta_vars",
    },
    "Ftrl": {"accumulator": "_accumulators", "linear": "_linears"},
    "Lion": {"m": "_momentums"},
    "Adafactor": {"r": "_r", "c": "_c", "v": "_v"},
}
AVERAGE = "_model_variables_moving_average"
ITERATIONS = re.compile(r"iter(ation)?s?(_\d+)?")
SCALARS = (
    "momentum_cache",
    "m_cache",
    "current_loss_scale",
    "loss_scale",
    "good_steps",
    "learning_rate",
    "current_learning_rate",
    "decay",
    "beta_1",
    "beta_2",
    "rho",
    "momentum",
)


@dataclass(slots=True)
class SlotTensors:
    """The stored state of one optimizer.

    Attributes:
        iterations: the counter of steps; None where it was not stored.
        scalars: other single numbers by name.
        slots: for each attribute of the Keras 3 optimizer, its tensors: the name of the variable
            that each belongs to, "" where it is not told.
        unknown: names of tensors that are none of these.
    """

    iterations: LazyTensor | None = None
    scalars: dict[str, LazyTensor] = field(default_factory=dict)
    slots: dict[str, list[tuple[str, LazyTensor]]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def slot_names(class_name: str) -> dict[str, str]:
    """Slot names of both generations of Keras 2 -> attributes of the Keras 3 optimizer."""
    older = {slot: attribute for attribute, slot, _ in SLOTS.get(class_name, ())}
    return {**older, **NEWER.get(class_name, {}), "average": AVERAGE}


def sorted_out(
    class_name: str, tensors: Mapping[str, LazyTensor], variables: Collection[str]
) -> SlotTensors:
    """What each stored tensor is.

    Args:
        class_name: of the Keras 3 optimizer.
        tensors: by their names, in the order of the file.
        variables: names that the model's trainable variables have in the file.
    """
    known, found = slot_names(class_name), SlotTensors()
    rest: list[tuple[str, LazyTensor]] = []
    for full, tensor in tensors.items():
        name = plain_name(full)
        last = name.rsplit("/", 1)[-1]
        if not tensor.shape and ITERATIONS.fullmatch(last):
            found.iterations = tensor
        elif not tensor.shape and last in SCALARS:
            found.scalars[last] = tensor
        else:
            rest.append((name, tensor))
    named = [(_slot(name, known, variables), name, tensor) for name, tensor in rest]
    if rest and not any(slot for slot, _, _ in named):
        _by_position(class_name, rest, len(variables), found)
        return found
    for slot, name, tensor in named:
        if slot is None:
            found.unknown.append(name)
        else:
            found.slots.setdefault(known[slot[0]], []).append((slot[1], tensor))
    return found


def _slot(
    name: str, known: Mapping[str, str], variables: Collection[str]
) -> tuple[str, str] | None:
    """The slot and the variable that a name speaks of; the variable is "" where it is unknown."""
    parts = name.split("/")
    for i, part in enumerate(parts[:-1]):
        if part in known and "/".join(parts[i + 1 :]) in variables:
            return part, "/".join(parts[i + 1 :])
    if parts[-1] in known:
        owners = ("/".join(parts[i:-1]) for i in range(len(parts) - 1))
        return parts[-1], next((owner for owner in owners if owner in variables), "")
    begun = [part for part in parts[:3] if part in known]
    return (begun[0], "") if begun else None


def _by_position(
    class_name: str, rest: Sequence[tuple[str, LazyTensor]], count: int, found: SlotTensors
) -> None:
    """Keras 1 to 2.3: all variables' first slot, then all their second one ..."""
    rows = SLOTS.get(class_name, ())
    tensors = list(rest)
    if count and len(tensors) % count == 1 and not tensors[0][1].shape:
        found.iterations = tensors.pop(0)[1]
    if not count or not rows or len(tensors) % count or len(tensors) // count > len(rows):
        found.unknown.extend(name for name, _ in tensors)
        return
    for i in range(len(tensors) // count):
        part = tensors[i * count : (i + 1) * count]
        if all(tensor.shape == (1,) for _, tensor in part) and i == 2:
            continue  # Adam without amsgrad stored one zero for each
        found.slots[rows[i][0]] = [("", tensor) for _, tensor in part]
