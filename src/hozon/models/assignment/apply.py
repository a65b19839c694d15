"""Values move: all that can be refused is refused first, then everything is assigned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hozon.errors import MismatchError
from hozon.keras_private.rollback import unchanged_on_error
from hozon.keras_private.values import sharding_of
from hozon.models.assignment.assignment import Assignment, Bundle, Pair, variables_of
from hozon.models.tracking.leaves import ItemLeaf, KerasLeaf
from hozon.stored.lazy import OnDemand, read_all

if TYPE_CHECKING:
    import keras


def apply(assignment: Assignment, file: str) -> None:
    """Give every live value of an assignment what is stored for it.

    Raises:
        MismatchError: shapes differ, or one is text and the other is not.
        FormatError: a stored value is damaged.
        UnsupportedError: an array cannot be replaced where it is.
        In each case no variable has changed.
    """
    differences = [line for pair in assignment.pairs if (line := pair.difference) is not None]
    if differences:
        raise MismatchError("file and model do not match", mismatches=differences, file=file)
    for pair in assignment.pairs:
        if isinstance(pair.leaf, ItemLeaf):
            pair.leaf.require_replaceable()
    stores = [
        (bundle, {name: tensor.read() for name, tensor in bundle.tensors.items()})
        for bundle in assignment.bundles
    ]
    values = _values(assignment.pairs)
    with unchanged_on_error(_variables(assignment)):
        _give(assignment.pairs, values)
        for bundle, store in stores:
            _take(bundle, store, file)
    report = assignment.report
    report.matched.extend(pair.label for pair in assignment.pairs)
    for bundle in assignment.bundles:
        report.matched.extend(f"{bundle.label}/{name}" for name in bundle.tensors)
    assignment.given += assignment.pairs
    for follow in assignment.then:
        follow()
    assignment.pairs, assignment.bundles, assignment.then = [], [], []


def _values(pairs: Sequence[Pair]) -> list[Any]:
    """What each takes; what lies in parts, for a variable that does too, is read part by part.

    Should a part be damaged, no variable has changed all the same.
    """
    read = iter(read_all([pair.tensor for pair in pairs if not _in_parts(pair)]))
    return [OnDemand(pair.tensor) if _in_parts(pair) else next(read) for pair in pairs]


def _in_parts(pair: Pair) -> bool:
    return (
        pair.tensor.in_parts
        and isinstance(pair.leaf, KerasLeaf)
        and sharding_of(pair.leaf.variable) is not None
    )


def _variables(assignment: Assignment) -> list[keras.Variable]:
    """All variables that are about to change."""
    paired = [variable for pair in assignment.pairs for variable in variables_of(pair.leaf)]
    return [*paired, *(v for bundle in assignment.bundles for v in bundle.variables)]


def _take(bundle: Bundle, store: dict[str, Any], file: str) -> None:
    try:
        bundle.take(store)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise MismatchError(
            f"{bundle.label} does not take what is stored for it: {error}", file=file
        ) from error


def _give(pairs: Sequence[Pair], values: list[Any]) -> None:
    """Assign; each value is let go once it is assigned."""
    values.reverse()
    for pair in pairs:
        pair.leaf.assign(values.pop())
