"""What stored optimizer variables are: counters, and slots of variables, told by their names.

Names of four generations: ``training/Adam/Variable_3`` (Keras 1 to 2.3: by position only),
``Adam/dense/kernel/m`` (``optimizer_v2``), ``Adam/m/dense/kernel`` (TensorFlow 2.11 on), and
``adam/dense_kernel_momentum`` (Keras 3, in the order of its optimizer's variables).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from hozon.models.assignment.optimizer import (
    ITERATIONS,
    PRODUCT,
    RATE,
    SCALE,
    STEPS,
    Role,
    Stored,
)
from hozon.models.assignment.within_layer import plain_name
from hozon.models.slots import ROWS, slot_names

ITERATION_NAMES = re.compile(r"iter(ation)?s?(_\d+)?")
#: Numbers that stand for something which Keras 3's optimizers keep.
SCALARS: Mapping[str, Role] = {
    "momentum_cache": PRODUCT,
    "m_cache": PRODUCT,
    "m_schedule": PRODUCT,
    "current_loss_scale": SCALE,
    "loss_scale": SCALE,
    "good_steps": STEPS,
    "learning_rate": RATE,
    "current_learning_rate": RATE,
}
#: How many slots of each variable classes had in Keras 1 to 2.3, and Adam the third one from when.
OLD_ROWS: Mapping[str, int] = {
    "Adadelta": 2,
    "Adagrad": 1,
    "Adam": 2,
    "Adamax": 2,
    "Nadam": 2,
    "RMSprop": 1,
    "SGD": 1,
}
AMSGRAD = (2, 1, 3)
#: Numbers that the configuration holds, too.
SETTINGS = ("decay", "beta_1", "beta_2", "rho", "momentum")


@dataclass(slots=True)
class SlotTensors:
    """The stored state of one optimizer.

    Attributes:
        scalars: single numbers by what they are.
        slots: for each attribute of the Keras 3 optimizer, its values: the name of the variable
            that each belongs to, "" where it is not told.
        settings: names of numbers that the configuration holds, too.
        unknown: names of tensors that are none of these.
    """

    scalars: dict[Role, Stored] = field(default_factory=dict)
    slots: dict[str, list[tuple[str, Stored]]] = field(default_factory=dict)
    settings: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def sorted_out(
    class_name: str,
    stored: Mapping[str, Stored],
    variables: Collection[str],
    counts: Sequence[int],
    version: tuple[int, ...],
) -> SlotTensors:
    """What each stored tensor is.

    Args:
        class_name: of the Keras 3 optimizer.
        stored: by their names, in the order of the file.
        variables: names that the model's variables have in the file.
        counts: how many variables the optimizer may have trained.
        version: of the Keras that wrote the file; () where it is not told.
    """
    known, found = slot_names(class_name), SlotTensors()
    rest: list[tuple[str, Stored]] = []
    for full, value in stored.items():
        name = plain_name(full)
        last = name.rsplit("/", 1)[-1]
        if value.tensor.shape:
            rest.append((name, value))
        elif ITERATION_NAMES.fullmatch(last):
            found.scalars[ITERATIONS] = value
        elif last in SCALARS:
            found.scalars[SCALARS[last]] = value
        elif last in SETTINGS:
            found.settings.extend(value.names)
        else:
            rest.append((name, value))
    named = [(_slot(name, known, variables), value) for name, value in rest]
    if rest and not any(slot for slot, _ in named):
        _by_position(class_name, [value for _, value in rest], counts, version, found)
        return found
    for slot, value in named:
        if slot is None:
            found.unknown.extend(value.names)
        else:
            found.slots.setdefault(known[slot[0]], []).append((slot[1], value))
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
    class_name: str,
    rest: Sequence[Stored],
    counts: Sequence[int],
    version: tuple[int, ...],
    found: SlotTensors,
) -> None:
    """Keras 1 to 2.3: all variables' first slot, then all their second one ..."""
    rows = 3 if class_name == "Adam" and version >= AMSGRAD else OLD_ROWS.get(class_name, 0)
    values = list(rest)
    counter = not values[0].tensor.shape
    slots = values[1:] if counter else values
    count = next((n for n in counts if n and n * rows == len(slots)), 0)
    if not count:
        found.unknown.extend(name for value in values for name in value.names)
        return
    if counter:
        found.scalars[ITERATIONS] = values[0]
    for i, row in enumerate(ROWS[class_name][:rows]):
        part = slots[i * count : (i + 1) * count]
        if i == 2 and all(value.tensor.shape == (1,) for value in part):  # without amsgrad
            found.settings.extend(name for value in part for name in value.names)
        else:
            found.slots[row.attribute] = [("", value) for value in part]
