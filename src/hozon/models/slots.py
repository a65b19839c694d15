"""The slots of every optimizer in all generations: one table.

The legacy ``OptimizerV2`` keeps slot variables by (variable, slot name) and hyperparameters as
variables; Keras 2.11 on keeps lists of variables as attributes, in the order in which the model's
variables were handed to it, and names each ``Adam/m/dense/kernel``; Keras 3 keeps such lists too
(tf_keras/src/optimizers, keras/src/optimizers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slot:
    """One kind of slot of one class of optimizers.

    Attributes:
        attribute: the list in Keras 3.
        legacy: the slot's name in ``OptimizerV2``.
        edge: the list in Keras 2.11 and later.
        short: what names of its variables have in Keras 2.11 and later; "" if as `legacy`.
    """

    attribute: str
    legacy: str
    edge: str
    short: str = ""

    @property
    def names(self) -> tuple[str, str]:
        """How names of variables speak of it, in both generations of Keras 2."""
        return self.legacy, self.short or self.legacy


MOMENTS = (
    Slot("_momentums", "m", "_momentums"),
    Slot("_velocities", "v", "_velocities"),
)
ADAM = (*MOMENTS, Slot("_velocity_hats", "vhat", "_velocity_hats"))
ROWS: Mapping[str, tuple[Slot, ...]] = {
    "Adam": ADAM,
    "AdamW": ADAM,
    "Nadam": MOMENTS,
    "Adamax": (Slot("_m", "m", "_m"), Slot("_u", "v", "_u", "u")),
    "SGD": (Slot("momentums", "momentum", "momentums", "m"),),
    "RMSprop": (
        Slot("_velocities", "rms", "_velocities", "velocity"),
        Slot("_momentums", "momentum", "_momentums"),
        Slot("_average_gradients", "mg", "_average_gradients", "average_gradient"),
    ),
    "Adagrad": (Slot("_accumulators", "accumulator", "_accumulators"),),
    "Adadelta": (
        Slot("_accumulated_grads", "accum_grad", "_accumulated_grads", "accumulated_grad"),
        Slot(
            "_accumulated_delta_vars",
            "accum_var",
            "_accumulated_delta_vars",
            "accumulated_delta_var",
        ),
    ),
    "Ftrl": (
        Slot("_accumulators", "accumulator", "_accumulators"),
        Slot("_linears", "linear", "_linears"),
    ),
    "Lion": (Slot("_momentums", "m", "momentums"),),
    "Adafactor": (Slot("_r", "r", "_r"), Slot("_c", "c", "_c"), Slot("_v", "v", "_v")),
}
#: The moving averages of ``use_ema``, which every class may have.
AVERAGE = Slot(
    "_model_variables_moving_average", "average", "_model_variables_moving_average", "average"
)
#: Sums of gradients that wait for a step, which every class may have.
ACCUMULATED = "_accumulated_gradients"
#: How many slots at a time alternate variable by variable in `build`; all of a class unless listed.
ALTERNATING: Mapping[str, tuple[int, ...]] = {
    "Adam": (2, 1),
    "AdamW": (2, 1),
    "RMSprop": (1, 1, 1),
}
#: Slots that Keras 2 always makes and Keras 3 only where they are used.
ALWAYS: Mapping[str, str] = {"SGD": "momentums"}
#: Scalars besides iterations and learning rate: (attribute in Keras 3, edges that may hold it).
SCALARS: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "Nadam": (("_u_product", ("_u_product", "_m_cache", "momentum_cache")),),
}
#: Edges to the counter of steps, to the learning rate, and to the optimizer in a wrapper.
ITERATIONS = ("_iterations", "iter")
LEARNING_RATE = ("_learning_rate", "learning_rate")
INNER = ("base_optimizer", "_optimizer", "inner_optimizer")
#: Hyperparameters that legacy optimizers kept as variables.
HYPERPARAMETERS = ("beta_1", "beta_2", "momentum", "rho", "initial_accumulator_value")


def known_name(kind: type) -> str:
    """The nearest class of an optimizer's that the table knows; its own name where none is."""
    names = (base.__name__.removeprefix("Legacy") for base in kind.__mro__)
    return next((name for name in names if name in ROWS), kind.__name__)


def slot_names(name: str) -> dict[str, str]:
    """The names of a class's slots in both generations of Keras 2 -> attributes in Keras 3."""
    rows = (*ROWS.get(name, ()), AVERAGE)
    older = {slot.legacy: slot.attribute for slot in rows}
    return {**older, **{slot.names[1]: slot.attribute for slot in rows}}
