"""Callable functions of a loaded SavedModel.

A saved ``tf.function`` is several concrete functions, one per traced signature. A call finds the
one whose structured signature its arguments fit, first without and then with conversion of Python
numbers and lists to tensors, as TensorFlow's loader does
(tensorflow/python/saved_model/function_deserialization.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from hozon.errors import MismatchError, did_you_mean
from hozon.graph_level.matching import (
    Leniency,
    describe,
    holds_spec,
    is_spec,
    match,
    match_call,
)
from hozon.graph_level.signature import FunctionSpec
from hozon.graph_level.specs import public_specs
from hozon.graph_level.structures import flatten, pack_all
from hozon.graphs.execute import call, call_pure
from hozon.graphs.library import FunctionKey, Library
from hozon.graphs.resources import Variable
from hozon.graphs.state import changes_state, needs_host
from hozon.graphs.values import Cell, Value


class ConcreteFunction:
    """One traced function with its captured variables, tables and constants.

    `arguments` and `outputs` are structures whose tensors are specs (dtype, shape, name);
    `arguments` is the pair (positional, keyword).
    """

    def __init__(
        self,
        name: str,
        library: Library,
        function: FunctionKey,
        arguments: tuple[Any, Any],
        outputs: Any,
        captures: Callable[[], Sequence[Value]] = tuple,
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.outputs = outputs
        self.library = library
        self._function = function
        self._captures = captures

    @property
    def variables(self) -> list[Variable]:
        """The variables that the function captures."""
        return [value for value in self._captures() if isinstance(value, Variable)]

    @property
    def structured_input_signature(self) -> tuple[Any, Any]:
        """The positional and the keyword arguments, with a spec for each tensor."""
        signature: tuple[Any, Any] = public_specs(self.arguments)
        return signature

    @property
    def structured_outputs(self) -> Any:
        """What a call gives, with a spec for each tensor."""
        return public_specs(self.outputs)

    @property
    def changes_state(self) -> bool:
        """Whether a call may change variables or tables."""
        return changes_state(self.library, self._function)

    @property
    def needs_host(self) -> bool:
        """Whether a call looks at data where JAX cannot compile."""
        return needs_host(self.library, self._function)

    @property
    def inputs(self) -> list[Any]:
        """The specs of the tensor arguments, in flat order."""
        return [leaf for leaf in flatten(self.arguments) if is_spec(leaf)]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call with the structure that was traced; tensors may be NumPy or JAX arrays.

        Positional tensors can be given by their names too; Python values that were traced need
        not be given.
        """
        return self.call_flat(self.match(*self._completed(args, kwargs)))

    def _completed(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """A call with what is given by name or was fixed by the trace put in its place."""
        positional, keywords = self.arguments
        rest, ordered = dict(kwargs), list(args)
        for item in positional[len(args) :]:
            name = getattr(item, "name", "")
            if is_spec(item) and name in rest:
                ordered.append(rest.pop(name))
            elif not holds_spec(item):
                ordered.append(item)
        for key, item in keywords.items():
            if key not in rest and not holds_spec(item):
                rest[key] = item
        return ordered, rest

    def call_flat(self, tensors: Sequence[Value]) -> Any:
        """Call with the flat list of tensors."""
        inputs = [*tensors, *self._captures()]
        results = call(self.library, self._function, inputs)
        return pack_all(self.outputs, results, self.name)

    def stateless_call(self, values: Sequence[Value], *args: Any, **kwargs: Any) -> Any:
        """Call as a pure function of the values of `self.variables`.

        Returns ``(outputs, new_values)``. Use it to differentiate by variables and to jit functions
        that assign to them:

            jax.grad(lambda w: loss(f.stateless_call(w, x)[0]))([v.read() for v in f.variables])
        """
        return self.stateless_over(self.variables, values, *args, **kwargs)

    def stateless_over(
        self, variables: Sequence[Variable], values: Sequence[Value], *args: Any, **kwargs: Any
    ) -> Any:
        """`stateless_call` as a function of the values of given variables."""
        tensors = self.match(*self._completed(args, kwargs))
        return self.stateless_flat(values, tensors, variables)

    def stateless_flat(
        self,
        values: Sequence[Value],
        tensors: Sequence[Value],
        variables: Sequence[Variable] | None = None,
    ) -> Any:
        """`stateless_call` with the flat list of tensors; the values are those of `variables`."""
        results, new = call_stateless(
            self.library,
            self._function,
            [*tensors, *self._captures()],
            self.variables if variables is None else variables,
            values,
        )
        return pack_all(self.outputs, results, self.name), new

    def match(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        names: Sequence[str] = (),
        leniency: Leniency = Leniency.ANY_CONTAINER,
    ) -> list[Value]:
        """The flat tensors of a call, or MismatchError saying which argument does not fit."""
        return match_call(self.arguments, args, kwargs, names=names, leniency=leniency)

    def __repr__(self) -> str:
        return f"<hozon ConcreteFunction {self.name!r} {describe(self.arguments)}>"


class Function:
    """A restored ``tf.function``: picks the concrete function that fits a call."""

    def __init__(
        self, name: str, spec: FunctionSpec, concrete_functions: Sequence[ConcreteFunction]
    ) -> None:
        self.name = name
        self.spec = spec
        self.concrete_functions = list(concrete_functions)

    @property
    def variables(self) -> list[Variable]:
        """All variables that any of the concrete functions captures."""
        found = {id(v): v for f in self.concrete_functions for v in f.variables}
        return list(found.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call with the arguments of the original Python function.

        Raises MismatchError listing the signatures that exist when none fits.
        """
        function, tensors = self.choose(*args, **kwargs)
        return function.call_flat(tensors)

    def choose(self, *args: Any, **kwargs: Any) -> tuple[ConcreteFunction, list[Value]]:
        """The concrete function for a call, and the call's flat tensors."""
        try:
            args, kwargs = self.spec.canonicalize(args, kwargs)
        except MismatchError as error:
            raise MismatchError(f"{self.name!r}: {error}", mismatches=self._listed()) from None
        names = self.spec.arguments
        reasons: list[str] = []
        for leniency in Leniency:
            reasons.clear()
            for function in self.concrete_functions:
                try:
                    return function, function.match(args, kwargs, names=names, leniency=leniency)
                except MismatchError as error:
                    reasons.append(str(error))
        raise self._no_match(args, kwargs, reasons)

    def _listed(self, reasons: Sequence[str] = ()) -> list[str]:
        """The signatures, each with why it did not fit."""
        listed = [describe(function.arguments) for function in self.concrete_functions]
        if not reasons:
            return listed
        return [f"{text}: {reason}" for text, reason in zip(listed, reasons, strict=True)]

    def _no_match(self, args: Any, kwargs: Any, reasons: Sequence[str]) -> MismatchError:
        if not self.concrete_functions:
            return MismatchError(f"{self.name!r} was never traced, so nothing of it was saved")
        return MismatchError(
            f"no signature of {self.name!r} fits the call {describe((args, kwargs))}",
            mismatches=self._listed(reasons),
        )

    def stateless_call(self, values: Sequence[Value], *args: Any, **kwargs: Any) -> Any:
        """Call as a pure function of the values of `self.variables`; see `ConcreteFunction`."""
        return self.stateless_over(self.variables, values, *args, **kwargs)

    def stateless_over(
        self, variables: Sequence[Variable], values: Sequence[Value], *args: Any, **kwargs: Any
    ) -> Any:
        """`stateless_call` as a function of the values of given variables."""
        function, tensors = self.choose(*args, **kwargs)
        return function.stateless_flat(values, tensors, variables)

    def __repr__(self) -> str:
        return f"<hozon Function {self.name!r} with {len(self.concrete_functions)} signatures>"


class Runner(Protocol):
    """What runs a signature: the tensors of each input by name, a dictionary of arrays out."""

    @property
    def variables(self) -> list[Variable]:
        """The variables that it reads."""
        ...

    @property
    def changes_state(self) -> bool:
        """Whether it may change variables or tables."""
        ...

    @property
    def needs_host(self) -> bool:
        """Whether it looks at data where JAX cannot compile."""
        ...

    def run(self, inputs: Mapping[str, list[Value]]) -> dict[str, Any]:
        """Run, and commit what is assigned."""
        ...

    def run_stateless(
        self, values: Sequence[Value], inputs: Mapping[str, list[Value]]
    ) -> tuple[dict[str, Any], list[Value]]:
        """Run as a pure function of the values of `variables`."""
        ...


class SignatureFunction:
    """A serving signature: keyword arguments in, a dictionary of arrays out."""

    def __init__(
        self,
        name: str,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        runner: Runner,
        method: str = "",
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.defaults = dict(defaults or {})
        self.inputs = dict(inputs)
        self.outputs = dict(outputs)
        self.method = method
        self.runner = runner

    @property
    def variables(self) -> list[Variable]:
        """The variables that the signature reads."""
        return self.runner.variables

    @property
    def changes_state(self) -> bool:
        """Whether a call may change variables or tables."""
        return self.runner.changes_state

    @property
    def structured_input_signature(self) -> tuple[tuple[()], dict[str, Any]]:
        """No positional arguments, and a spec for each input by name."""
        return (), public_specs(self.inputs)

    @property
    def structured_outputs(self) -> dict[str, Any]:
        """A spec for each output by name."""
        specs: dict[str, Any] = public_specs(self.outputs)
        return specs

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Run the signature; names, dtypes and shapes of `inputs` are checked first.

        An input that has a saved default value may be left out.
        """
        return self.runner.run(self._matched(inputs))

    def stateless_call(
        self, values: Sequence[Value], **inputs: Any
    ) -> tuple[dict[str, Any], list[Value]]:
        """Run as a pure function of the values of `self.variables`; see `ConcreteFunction`."""
        return self.runner.run_stateless(values, self._matched(inputs))

    def _matched(self, inputs: Mapping[str, Any]) -> dict[str, list[Value]]:
        """The tensors of each input, or MismatchError saying what does not fit."""
        inputs = {**self.defaults, **inputs}
        missing = sorted(set(self.inputs) - set(inputs))
        unexpected = sorted(set(inputs) - set(self.inputs))
        if missing or unexpected:
            raise MismatchError(
                f"signature {self.name!r} takes {describe(self.inputs)}"
                + (f"; missing: {', '.join(missing)}" if missing else "")
                + (f"; unexpected: {', '.join(unexpected)}" if unexpected else "")
                + "".join(did_you_mean(name, missing) for name in unexpected[:1])
            )
        return {
            key: match(
                spec,
                inputs[key],
                f"input {key!r} of signature {self.name!r}",
                leniency=Leniency.ANY_CONTAINER,
            )
            for key, spec in self.inputs.items()
        }

    def __repr__(self) -> str:
        return f"<hozon signature {self.name!r} {describe(self.inputs)}>"


def call_stateless(
    library: Library,
    function: FunctionKey,
    arguments: Sequence[Value],
    variables: Sequence[Variable],
    values: Sequence[Value],
) -> tuple[tuple[Value, ...], list[Value]]:
    """A call as a pure function of the values of some variables: the results and new values."""
    if len(values) != len(variables):
        raise MismatchError(
            f"{library.function(function).name!r} has {len(variables)} variables, "
            f"{len(values)} values are given"
        )
    given: dict[int, tuple[Cell, Value]] = {
        id(v): (v, value) for v, value in zip(variables, values, strict=True)
    }
    results, updates = call_pure(library, function, arguments, given)
    latest = {id(cell): value for cell, value in updates}
    return results, [latest.get(id(v), given[id(v)][1]) for v in variables]
