"""What is stored of an optimizer, whichever generation wrote it, and the live optimizer.

Readers say what each stored tensor *is*: the counter of steps, or the slot of some variable. So
does the live optimizer of what it keeps, and the two meet by that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from hozon.config.optimizers import NEVER
from hozon.errors import MismatchError
from hozon.keras_private.optimizers import (
    is_placeholder,
    keep_product,
    keeps_product,
    state_of,
    thawed_variables,
    trained_by,
    wrapped,
)
from hozon.keras_private.values import deferred_initializers
from hozon.models.assignment.assignment import Assignment, variables_of
from hozon.models.assignment.momenta import differ, follow_product, products_of
from hozon.models.tracking.leaves import KerasLeaf
from hozon.objects.tracking import Leaf
from hozon.record import Steps
from hozon.reports import warn
from hozon.stored.lazy import LazyTensor, lazy_array

if TYPE_CHECKING:
    import keras

#: What a value is: its name, and the identity of the variable that it is a slot of (0 for none).
Role = tuple[str, int]
ITERATIONS: Role = ("_iterations", 0)
RATE: Role = ("_learning_rate", 0)
SCALE: Role = ("scaling.dynamic_scale", 0)
STEPS: Role = ("scaling.step_counter", 0)
PRODUCT: Role = ("_u_product", 0)
#: Prefix of what a wrapper that scales losses keeps besides the optimizer in it.
SCALING = "scaling."
COUNTER: Role = (f"{SCALING}{ITERATIONS[0]}", 0)
#: Slots of which a class makes only those that a variable's shape asks for.
FACTORS = ("_r", "_c", "_v")
SHOWN = 8
#: What Keras puts behind the name of a second optimizer of one class.
NUMBER = re.compile(r"_\d+$")

#: The values of an optimizer that is built, in the order in which a writer numbered them.
Order = Callable[[Any], Iterable[Leaf]]


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored value, and the file's names of what it is made of."""

    tensor: LazyTensor
    names: tuple[str, ...]


@dataclass(slots=True)
class OptimizerState:
    """What a file holds of an optimizer.

    Attributes:
        values: by what they are.
        unknown: names of tensors that are nothing which Keras 3's optimizer has.
        aside: names of tensors that nothing needs, with the reason.
        reason: why nothing of it can be taken up; "" where it can.
        steps: who made the steps that led to it.
    """

    values: dict[Role, Stored] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    aside: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    steps: Steps = "keras3"

    @property
    def names(self) -> Iterator[str]:
        """All names of tensors."""
        yield from (name for stored in self.values.values() for name in stored.names)
        yield from self.unknown
        yield from self.aside

    @property
    def slots(self) -> set[int]:
        """The variables that there are slots of, by identity."""
        return {variable for _, variable in self.values if variable}


def roles_of(optimizer: keras.optimizers.Optimizer) -> dict[Role, Any]:
    """What an optimizer keeps, by what it is; of one that scales losses the inner one's too."""
    inner = wrapped(optimizer)
    found = {_role("", name, of): v for name, of, v in state_of(inner)}
    if inner is not optimizer:
        found |= {_role(SCALING, name, of): v for name, of, v in state_of(optimizer)}
    return found


def _role(prefix: str, name: str, of: Any) -> Role:
    return f"{prefix}{name}", 0 if of is None else id(of)


def pair_optimizer(
    model: keras.Model, state: OptimizerState, assignment: Assignment, name: str = "optimizer"
) -> None:
    """Pair what a model's optimizer keeps with what is stored; it is built where it is not yet.

    One that has made no step is not built, so that layers may yet be frozen or thawed. One that
    would train nothing, as all layers are frozen, is built for the variables that there
    are slots of, for the day they thaw. What is stored for other frozen layers is lost, as Keras
    3's optimizers know no variables but those that they train. Reports call it by `name`.
    """
    optimizer = model.optimizer
    lost = Lost(assignment, {id(v): str(v.path) for v in thawed_variables(model)}, name)
    if state.reason:
        lost.add(f"state of optimizer {_kind(optimizer)}: {state.reason}", (), state.names)
        for role, variable in roles_of(optimizer).items():
            assignment.keep(f"{lost.title(role)}: begins anew", variable)
    else:
        if state.slots or _steps(state) or optimizer is not wrapped(optimizer):
            build_optimizer(model, state.slots)
        _pair(optimizer, state, lost)
        then = partial(follow_product, optimizer, of_keras2=state.steps != "keras3")
        assignment.then.append(then)
    lost.warn()


def pair_state(
    optimizer: keras.optimizers.Optimizer, state: OptimizerState, assignment: Assignment, name: str
) -> None:
    """Pair what an optimizer that is built keeps with what is stored; reports call it by `name`."""
    lost = Lost(assignment, {id(v): str(v.path) for v in trained_by(optimizer)}, name)
    _pair(optimizer, state, lost)
    assignment.then.append(partial(follow_product, optimizer, of_keras2=state.steps != "keras3"))
    lost.warn()


def build_optimizer(model: keras.Model, slots: set[int] = frozenset()) -> None:  # type: ignore[assignment]
    """Build a model's optimizer for what the model trains, or else for the variables of `slots`.

    One that trains nothing and has no slots is left unbuilt, for the day that layers thaw; but for
    one that scales losses, which keeps the scale besides.
    """
    if model.optimizer.built:
        return
    variables = list(model.trainable_variables)
    if not variables:
        variables = [v for v in thawed_variables(model) if id(v) in slots]
    if not variables and wrapped(model.optimizer) is model.optimizer:
        return
    with deferred_initializers() as deferred:
        model.optimizer.build(variables)
        deferred.finish(counted=False)


def _kind(optimizer: keras.optimizers.Optimizer) -> str:
    return type(wrapped(optimizer)).__name__


class Lost:
    """State that does not come back: noted line by line, told in one warning."""

    def __init__(
        self, assignment: Assignment, names: Mapping[int, str], name: str = "optimizer"
    ) -> None:
        self.assignment = assignment
        self.lines: list[str] = []
        self._names = names
        self._name = name

    def title(self, role: Role) -> str:
        """A role as reports name it."""
        name = role[0].removeprefix(SCALING).strip("_")
        return f"{self._name}/{name}" + (f"/{self._names.get(role[1], '?')}" if role[1] else "")

    def add(
        self, line: str, variables: Iterable[keras.Variable] = (), stored: Iterable[str] = ()
    ) -> None:
        """One loss."""
        self.lines.append(line)
        self.assignment.lose(line, variables, stored)

    def warn(self) -> None:
        """Tell of all that was lost."""
        if self.lines:
            more = f" and {len(self.lines) - SHOWN} more" if len(self.lines) > SHOWN else ""
            warn(
                "The optimizer's state did not come back whole, training goes on without it: "
                f"{'; '.join(self.lines[:SHOWN])}{more}"
            )


def sample_of(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]
) -> keras.optimizers.Optimizer | None:
    """An optimizer of the same kind, built for other variables; None where there can be none."""
    try:
        sample = type(optimizer).from_config(optimizer.get_config())
        with deferred_initializers():
            sample.build(list(variables))
    except (TypeError, ValueError, NotImplementedError):  # of a class of the user's
        return None
    return sample


def _pair(optimizer: keras.optimizers.Optimizer, state: OptimizerState, lost: Lost) -> None:
    live, assignment = roles_of(optimizer), lost.assignment
    kinds = {name for name, _ in live}
    trained = {id(v) for v in trained_by(optimizer)}
    for role, stored in (state.values | _derived(optimizer, state, live, lost)).items():
        name, variable = lost.title(role), live.get(role)
        if variable is not None and not _is_none(role, variable):
            assignment.pair(KerasLeaf(variable), stored.tensor, name, *stored.names)
        elif role[1] and role[1] not in trained and (role[0] in kinds or not trained):
            lost.add(f"{name}: its variable is frozen", (), stored.names)
        else:
            assignment.leave(f"{name}: this optimizer has none", *stored.names)
    for name in state.unknown:
        lost.add(f"optimizer variable {name}", (), [name])
    for name, reason in state.aside.items():
        assignment.leave(f"{name}: {reason}", name)
    for role, variable in live.items():
        if id(variable) not in assignment.variables:
            growth = getattr(optimizer, "dynamic_growth_steps", NEVER)
            _missing(role, variable, state, growth, lost)


def _is_none(role: Role, variable: keras.Variable) -> bool:
    """Whether a slot only stands for none: Adafactor's, where it does not factor."""
    return bool(role[1]) and role[0] in FACTORS and is_placeholder(variable)


def _missing(
    role: Role, variable: keras.Variable, state: OptimizerState, growth: int, lost: Lost
) -> None:
    """What the optimizer keeps and the file does not hold; its scale grows each `growth` steps."""
    name, assignment = lost.title(role), lost.assignment
    if role[0].removeprefix(SCALING) == RATE[0]:
        assignment.keep(f"{name}: as it is set up", variable)
    elif role == ITERATIONS:
        assignment.keep(f"{name}: the file counts no steps of this optimizer", variable)
    elif role == PRODUCT and state.steps == "keras3":
        assignment.keep(f"{name}: Keras leaves it as it is", variable)
    elif role[0].startswith(SCALING):
        _without_scale(role, variable, state, growth, lost)
    elif _is_none(role, variable):
        assignment.keep(f"{name}: stands for none", variable)
    elif not state.slots and _steps(state) == 0:
        assignment.keep(f"{name}: the optimizer had made no step", variable)
    else:
        lost.add(f"{name}: the file holds none", [variable])


def _without_scale(
    role: Role, variable: keras.Variable, state: OptimizerState, growth: int, lost: Lost
) -> None:
    """A scale of losses begins anew, in TensorFlow too; it is lost where steps have moved it."""
    line = f"{lost.title(role)}: begins anew, as the file holds none"
    if growth == NEVER or not _steps(state):
        lost.assignment.keep(line, variable)
    else:
        lost.assignment.lose(line, [variable])


def _steps(state: OptimizerState) -> int:
    """How many steps were made; 0 where nothing says so."""
    stored = state.values.get(ITERATIONS)
    return 0 if stored is None else int(stored.tensor.read())


def _derived(
    optimizer: keras.optimizers.Optimizer,
    state: OptimizerState,
    live: Mapping[Role, Any],
    lost: Lost,
) -> dict[Role, Stored]:
    """What follows from the rest: the counter of a wrapper, Nadam's product of momenta."""
    steps = state.values.get(ITERATIONS)
    if steps is None:
        return {}
    found = {}
    if COUNTER in live and COUNTER not in state.values:
        found[COUNTER] = steps
    inner = wrapped(optimizer)
    stays = state.steps == "keras3" and PRODUCT in live and not keeps_product(inner)
    if PRODUCT in live and PRODUCT not in state.values and not stays:
        product = _product(inner, int(steps.tensor.read()), state.steps, lost)
        found[PRODUCT] = Stored(lazy_array("product of momenta", product), steps.names)
    return found


def _product(optimizer: keras.optimizers.Optimizer, count: int, steps: Steps, lost: Lost) -> Any:
    """Nadam's product of momenta after some steps, which files of TensorFlow 2.11 on lack."""
    once, compiled = products_of(optimizer, count)
    if steps == "unknown" and differ(once, compiled):
        lost.add(
            f"{lost.title(PRODUCT)}: the file holds none; it is taken as {count} compiled steps "
            f"of tf_keras leave it, {compiled:.3g}, but eager ones leave {once:.3g}"
        )
    return once if steps in ("keras3", "eager") else compiled


def numbered(
    model: keras.Model, stored: Sequence[Stored], order: Order, file: str
) -> OptimizerState:
    """State that is only numbered: for what the model trains, or would if nothing were frozen.

    How many values there are says which of the two it is.

    Args:
        model: compiled; its optimizer is built where it trains anything.
        stored: in the order of the numbers.
        order: the values of an optimizer that is built, as the writer numbered them.
        file: for messages.

    Raises:
        MismatchError: as many values as the optimizer has, of other shapes.
    """
    shapes = [tuple(value.tensor.shape) for value in stored]
    if shapes == [()] and not int(stored[0].tensor.read()):
        return OptimizerState({ITERATIONS: stored[0]})
    if model.trainable_variables:
        build_optimizer(model)
    for optimizer in _candidates(model):
        live = list(order(optimizer))
        if len(live) == len(stored):
            differing = _differing(live, stored)
            if not differing:
                return _by_place(optimizer, stored, live)
            if len(thawed_variables(model)) == len(model.trainable_variables):
                raise MismatchError(
                    "the optimizer's state is that of another model",
                    mismatches=differing,
                    file=file,
                )
    live = list(order(model.optimizer))
    if not any(shapes) and stored:  # counters alone: it was never built
        rest = {name: "as it is set up" for value in stored[1:] for name in value.names}
        return OptimizerState({ITERATIONS: stored[0]}, aside=rest)
    reason = f"{len(stored)} stored variables, {len(live)} in the optimizer"
    if len(live) == len(stored):
        reason = "they are those of other variables than the model trains"
    return OptimizerState(unknown=[n for v in stored for n in v.names], reason=reason)


def _differing(live: Sequence[Leaf], stored: Sequence[Stored]) -> list[str]:
    """Lines for values that stand for each other and have other shapes."""
    return [
        f"{leaf.name} has shape {leaf.shape}, the file holds {value.tensor.shape}"
        for leaf, value in zip(live, stored, strict=True)
        if leaf.shape != tuple(value.tensor.shape)
    ]


def named(
    model: keras.Model, stored: Mapping[str, Stored], names: Mapping[int, str] | None = None
) -> OptimizerState | None:
    """State by the names that Keras 3's optimizers give their variables; None if they do not tell.

    Args:
        model: compiled.
        stored: by those names, ``adam/dense_kernel_momentum``; what begins them, the optimizer's
            own, may be another.
        names: what the file calls the model's variables, by identity, where that may be another.
    """
    sample = sample_of(model.optimizer, thawed_variables(model)) or model.optimizer
    live = list(_names_of(sample, names or {}))
    roles = {name: role for role, name in live}
    own = _own_names(stored)
    found = {own[name]: value for name, value in stored.items()}
    if len(roles) < len(live) or len(found) < len(stored) or found.keys() - roles.keys():
        return None
    return OptimizerState({roles[name]: value for name, value in found.items()})


def _names_of(
    optimizer: keras.optimizers.Optimizer, names: Mapping[int, str]
) -> Iterator[tuple[Role, str]]:
    """All that an optimizer keeps, and its name where variables have other `names`."""
    paths = {id(v): str(v.path) for v in trained_by(optimizer)}
    roles = roles_of(optimizer)
    own = _own_names([str(variable.path) for variable in roles.values()])
    for role, variable in roles.items():
        scope, mark, name = own[str(variable.path)].rpartition("/")
        path = paths.get(role[1], "").replace("/", "_")
        called = names.get(role[1], "").replace("/", "_")
        renamed = called + name.removeprefix(path) if called and path else name
        yield role, f"{scope}{mark}{renamed}"


def _own_names(paths: Collection[str]) -> dict[str, str]:
    """Names of values without their optimizer's, which may be another in the file.

    Where one optimizer is in another, both stay, without the numbers that Keras counts up.
    """
    split = {path: path.partition("/") for path in paths}
    if len({scope for scope, _, _ in split.values()}) < 2:
        return {path: rest or path for path, (_, _, rest) in split.items()}
    return {path: f"{NUMBER.sub('', s)}/{rest}" for path, (s, _, rest) in split.items()}


def _candidates(model: keras.Model) -> Iterator[keras.optimizers.Optimizer]:
    """Optimizers whose layout may be the stored one: the model's own, one that scales losses and
    keeps the product of momenta, and one with all thawed.
    """
    if model.optimizer.built:
        yield model.optimizer
        inner = wrapped(model.optimizer)
        if PRODUCT in roles_of(inner) and not keeps_product(inner):
            sample = sample_of(model.optimizer, trained_by(model.optimizer))
            if sample is not None:
                keep_product(wrapped(sample))
                yield sample
    thawed = thawed_variables(model)
    if len(thawed) > len(model.trainable_variables):
        sample = sample_of(model.optimizer, thawed)
        if sample is not None:
            yield sample


def _by_place(
    optimizer: keras.optimizers.Optimizer, stored: Sequence[Stored], live: Sequence[Leaf]
) -> OptimizerState:
    roles = {id(variable): role for role, variable in roles_of(optimizer).items()}
    found = OptimizerState()
    for leaf, value in zip(live, stored, strict=True):
        variables = variables_of(leaf)
        if variables:
            found.values[roles[id(variables[0])]] = value
        else:  # what Keras 2 always has and this optimizer does not use
            found.aside |= dict.fromkeys(value.names, "this optimizer has none")
    return found
