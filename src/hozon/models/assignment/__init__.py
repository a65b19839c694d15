"""The one pairing of stored tensors and live variables.

A *matcher* turns what a file holds and a live model into an `Assignment`, plain data: which value
goes where, and what is left on either side. `apply` checks all of it and then moves the values,
whole or not at all. `finalize_layers` lets layers derive what they derive from their variables.
`close_account` holds that nothing was forgotten: every variable that can be reached from the model
and every tensor of the file is paired, or listed with a reason.
"""

from hozon.models.assignment.account import close_account, names_in, optimizers_of, stored_names
from hozon.models.assignment.apply import apply
from hozon.models.assignment.assignment import Assignment, Pair
from hozon.models.assignment.finalize import finalize_layers

__all__ = [
    "Assignment",
    "Pair",
    "apply",
    "close_account",
    "finalize_layers",
    "names_in",
    "optimizers_of",
    "stored_names",
]
