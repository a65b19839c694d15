"""JAX functions traced for arguments of partly unknown sizes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import export
from jax.extend.core import ClosedJaxpr, jaxprs_in_params
from jax.interpreters.partial_eval import dce_jaxpr

from hozon.errors import HozonError
from hozon.graphs._jax import InconclusiveDimensionOperation
from hozon.graphs.emit.keys import is_key
from hozon.graphs.emit.values import TRACED_TEXT

#: The symbol of the first size of all arguments.
BATCH = "b"
#: What JAX raises when Python looks at a value or a size that tracing does not know.
_UNKNOWN_VALUE = (
    jax.errors.ConcretizationTypeError,
    InconclusiveDimensionOperation,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
#: How their messages begin, by which they are known once Keras has raised them anew.
_UNKNOWN_TEXTS = (
    "Symbolic dimension",
    "inconclusive",
    "Attempted boolean conversion of traced array",
    "Abstract tracer value encountered",
)
#: An inequality that JAX cannot decide, as its message says it.
_ASKED = re.compile(
    r"Symbolic dimension comparison '(?P<left>[^']+)' (?P<sign>[<>]=) '(?P<right>[^']+)'"
)
#: A question of the program's own, such as ``if length > 4``: no answer can be assumed.
_STRICT = re.compile(r"Symbolic dimension comparison '[^']+' [<>] ")
_SYMBOL = re.compile(r"\bany\d")
#: A shape with a free size in a message, and such a size.
_SHAPE = re.compile(r"\(([^()]*\bany\d[^()]*)\)")
_FREE = re.compile(r"(?P<multiple>\d+\*)?(?P<symbol>any\d+(_\d+)?)")
#: Inequalities that are assumed at most before a function is given up.
MOST_ASSUMED = 16
#: What free sizes are assumed to be multiples of.
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)


class NotTraceable(HozonError, NotImplementedError):  # noqa: N818 - reads as what it says
    """A function that JAX cannot trace with these sizes unknown."""


@dataclass(frozen=True, slots=True)
class ArgumentSpec:
    """An argument: `shape` has a size, None for any size, or a name for sizes that are equal."""

    shape: tuple[int | str | None, ...]
    dtype: str
    name: str


@dataclass(frozen=True, slots=True)
class Capture:
    """A variable that a function may read and assign.

    An `idle` one, the state of random numbers, is left alone where no result depends on it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Traced:
    """A traced function.

    Attributes:
        closed: the jaxpr. It takes the values of all captures, then those of `specs`; it gives the
            outputs, then a new value for each of `assigned`.
        specs: the arguments in order.
        avals: abstract value of each input of `closed`.
        structure: the pytree that the outputs are leaves of.
        assigned: positions of the captures that get new values.
        assumed: inequalities between sizes that the function needs, as in ``"any1 <= 16"``.
    """

    closed: ClosedJaxpr
    specs: tuple[ArgumentSpec, ...]
    avals: tuple[Any, ...]
    structure: Any
    assigned: tuple[int, ...]
    assumed: tuple[str, ...] = ()

    @property
    def output_count(self) -> int:
        """How many outputs there are, new values of captures not counted."""
        return int(self.structure.num_leaves)


def trace(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    keywords: Mapping[str, Any],
    captures: Sequence[Capture],
    constraints: Sequence[str] = (),
) -> Traced:
    """Trace ``function(values of captures, *arguments, **keywords)``.

    The specs of a traced function are in the order in which they are given here.

    Where free sizes cannot all differ, more is assumed of them step by step: two that a failure
    shows to disagree are equal; those at one axis of all arguments are; they are multiples of 2,
    4, 8 ... (networks that halve a size and double it again); an inequality that tracing cannot
    decide holds.

    Raises:
        NotTraceable: Python looks at values or sizes that are not known.
    """
    leaves, tree = jax.tree.flatten((tuple(arguments), tuple(keywords.values())))
    recorder = _Recorder(function, leaves, tree, tuple(keywords), captures)
    failure: Exception | None = None
    for sizes, multiple in _namings(recorder.specs):
        if failure is not None and multiple > 1 and not _is_about_multiples(failure):
            break
        try:
            return _equating(recorder, sizes, constraints)
        except Exception as error:  # noqa: BLE001 - the first one is raised below
            failure = failure or error
    assert failure is not None
    if not _is_unknown(failure):
        raise failure
    raise _not_traceable(failure) from failure


def _equating(recorder: _Recorder, sizes: Sequence[str], constraints: Sequence[str]) -> Traced:
    """Trace, and take two sizes to be equal where shapes disagree in them."""
    while True:
        try:
            return _assuming(recorder, sizes, constraints)
        except Exception as error:
            pair = _disagreeing(str(error))
            if pair is None:
                raise
            sizes = [re.sub(rf"\b{pair[1]}\b", pair[0], shape) for shape in sizes]


def _disagreeing(text: str) -> tuple[str, str] | None:
    """The first two free sizes that differ at one axis of two shapes of a message."""
    shapes = [shape.rstrip(", ").split(", ") for shape in _SHAPE.findall(text)]
    for one, other in itertools.combinations(shapes, 2):
        shared = min(len(one), len(other))
        for sizes in zip(one[-shared:], other[-shared:], strict=True):
            found = [_FREE.fullmatch(size) for size in sizes]
            if all(found) and sizes[0] != sizes[1]:
                first, second = ((m["multiple"], m["symbol"]) for m in found if m)
                return (first[1], second[1]) if first[0] == second[0] else None
    return None


def _assuming(recorder: _Recorder, sizes: Sequence[str], constraints: Sequence[str]) -> Traced:
    """Trace, and assume each inequality that cannot be decided."""
    assumed: list[str] = []
    while True:
        try:
            return recorder.run(sizes, [*constraints, *assumed], tuple(assumed))
        except Exception as error:
            asked = _ASKED.search(str(error))
            if asked is None or len(assumed) == MOST_ASSUMED:
                raise
            assumed.append(f"{asked['left']} {asked['sign']} {asked['right']}")
            if assumed[-1] in assumed[:-1]:
                raise


class _Recorder:
    """A function with its arguments taken apart."""

    def __init__(
        self,
        function: Callable[..., Any],
        leaves: list[Any],
        tree: Any,
        keywords: tuple[str, ...],
        captures: Sequence[Capture],
    ) -> None:
        self.specs = tuple(leaf for leaf in leaves if isinstance(leaf, ArgumentSpec))
        self._function = function
        self._leaves = leaves
        self._tree = tree
        self._keywords = keywords
        self._captures = captures

    def run(
        self, shapes: Sequence[str], constraints: Sequence[str], assumed: tuple[str, ...]
    ) -> Traced:
        scope = export.SymbolicScope(tuple(constraints))
        given = [
            jax.ShapeDtypeStruct(export.symbolic_shape(shape, scope=scope) if shape else (), dtype)
            for shape, dtype in zip(shapes, map(_dtype, self.specs), strict=True)
        ]
        values = [jax.ShapeDtypeStruct(c.shape, _dtype(c)) for c in self._captures]
        assigned: list[int] = []

        def flat(values: list[Any], given: list[Any]) -> Any:
            positional, keywords = self._filled(given)
            outputs, updates = self._function(values, *positional, **keywords)
            assigned[:] = sorted(i for i in updates if updates[i] is not values[i])
            return _as_numbers(outputs), _as_numbers([updates[i] for i in assigned])

        closed, (outputs, _) = jax.make_jaxpr(flat, return_shape=True)(values, given)
        structure: Any = jax.tree.structure(outputs)
        closed, moved = self._without_idle(closed, structure.num_leaves, assigned)
        return Traced(closed, self.specs, tuple(closed.in_avals), structure, tuple(moved), assumed)

    def _without_idle(
        self, closed: ClosedJaxpr, results: int, assigned: Sequence[int]
    ) -> tuple[ClosedJaxpr, list[int]]:
        """Without new values of idle captures that no result depends on."""
        if not any(self._captures[i].idle for i in assigned):
            return closed, list(assigned)
        outputs = [True] * results + [False] * len(assigned)
        _, used = dce_jaxpr(closed.jaxpr, outputs)
        moved = [i for i in assigned if used[i] or not self._captures[i].idle]
        kept = [True] * results + [i in moved for i in assigned]
        jaxpr, _ = dce_jaxpr(closed.jaxpr, kept, instantiate=True)
        return ClosedJaxpr(jaxpr, closed.consts), moved

    def _filled(self, given: list[Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        rest = iter(given)
        leaves = [next(rest) if isinstance(x, ArgumentSpec) else x for x in self._leaves]
        positional, values = jax.tree.unflatten(self._tree, leaves)
        return positional, dict(zip(self._keywords, values, strict=True))


def primitives(jaxpr: Any) -> set[str]:
    """The names of all primitives in a jaxpr and the ones inside it."""
    found = set()
    for eqn in jaxpr.eqns:
        found.add(eqn.primitive.name)
        for inner in jaxprs_in_params(eqn.params):
            found |= primitives(inner)
    return found


def _dtype(spec: ArgumentSpec | Capture) -> np.dtype[Any]:
    """As JAX computes: in single precision unless doubles are enabled."""
    if spec.dtype == "string":
        return TRACED_TEXT
    return np.dtype(jax.dtypes.canonicalize_dtype(spec.dtype))


def _as_numbers(values: Any) -> Any:
    return jax.tree.map(
        lambda x: jax.random.key_data(x) if hasattr(x, "dtype") and is_key(x) else x, values
    )


def _namings(specs: Sequence[ArgumentSpec]) -> Iterator[tuple[list[str], int]]:
    """Ways to name the free sizes, from what assumes least: the shapes as texts, and the number
    that sizes are multiples of."""
    axes = [axis for spec in specs for axis, size in enumerate(spec.shape) if axis and size is None]
    by_axis = (False, True) if len(set(axes)) < len(axes) else (False,)
    for multiple in MULTIPLES if axes else MULTIPLES[:1]:
        for equal in by_axis:
            yield _named(specs, equal, multiple), multiple


def _named(specs: Sequence[ArgumentSpec], by_axis: bool, multiple: int) -> list[str]:
    """The shapes as texts in which every free size has a symbol."""

    def named(number: int, axis: int, size: int | str | None) -> str:
        if size is not None:
            return str(size)
        if axis == 0:
            return BATCH
        symbol = f"any{axis}" if by_axis else f"any{axis}_{number}"
        return symbol if multiple == 1 else f"{multiple}*{symbol}"

    return [
        ", ".join(named(number, axis, size) for axis, size in enumerate(spec.shape))
        for number, spec in enumerate(specs)
    ]


def _is_about_multiples(error: Exception) -> bool:
    """Whether multiples might help: sizes disagree, and no program asked a question of its own."""
    text = str(error)
    return _STRICT.search(text) is None and (_is_unknown(error) or _SYMBOL.search(text) is not None)


def _is_unknown(error: Exception) -> bool:
    """Whether the cause is a value or size that is not known."""
    text = str(error)
    return isinstance(error, _UNKNOWN_VALUE) or any(start in text for start in _UNKNOWN_TEXTS)


def _not_traceable(error: Exception) -> NotTraceable:
    lines = (line.strip() for line in str(error).splitlines())
    first = next((line for line in lines if line), type(error).__name__)
    return NotTraceable(
        f"the function depends on a value or size that is not known when it is traced: "
        f"{first[:400]}. Give the sizes that it looks at as numbers instead of None, and use "
        "jax.lax or keras.ops for decisions that depend on values"
    )
