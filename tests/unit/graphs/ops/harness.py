"""One-op graphs: what TensorFlow answers, and what Hozon answers for the same GraphDef.

A test module lists its cases and hands them to `check_all` (or to `answers` and `check`, for one
test per case). TensorFlow sees all cases of a module in one round trip. Each case runs

* static: every input a NumPy array, the nodes one after the other in NumPy where they can;
* planned: through `execute.call`, so compiled, with what needs the host split off;
* traced: under an outer ``jax.jit`` whose arguments are the inputs named by `Case.traced`;
* differentiated, when `Case.gradient` says so: ``jax.vjp`` against ``tf.gradients``.

Compared are the number of outputs, then dtype, shape and values of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np
import pytest

from hozon.errors import HozonError
from hozon.formats.protos.graph import decode_graph
from hozon.formats.protos.graph_pb2 import GraphDef
from hozon.graphs.build import function_from_graph
from hozon.graphs.execute import call, failures_named
from hozon.graphs.interpreter import Context, evaluate, inline
from hozon.graphs.ir import Function, Node
from hozon.graphs.library import Library
from hozon.graphs.ops import OPS
from hozon.graphs.table import NodeView
from tests.oracle.client import Oracle


@dataclass(frozen=True)
class Case:
    """One op with its inputs in the order of the op definition; a list stands for a list input.

    `attrs` are named as in the op definition; dtypes are given by name (``"int64"``). `traced`
    lists the positions of the flat inputs that are arguments of an outer ``jax.jit``: None is
    every numeric one, for the first case of each op; an empty tuple skips that run. `gradient`
    compares derivatives for all floating inputs. `canonical` is applied to both outputs first
    (say, to undo free signs).
    `fails`: TensorFlow refuses to run this, and Hozon must too, with a `HozonError`; where
    TensorFlow's shape inference sees the mistake, `known_shapes` False lets it build the graph.
    """

    op: str
    inputs: Sequence[Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    rtol: float = 1e-5
    atol: float = 1e-6
    fails: bool = False
    static: bool = True
    planned: bool = True
    traced: Sequence[int] | None = None
    gradient: bool = False
    known_shapes: bool = True
    canonical: Callable[[list[Any]], list[Any]] | None = None
    note: str = ""

    @property
    def flat(self) -> list[Any]:
        """The inputs without lists."""
        flat: list[Any] = []
        for value in self.inputs:
            flat.extend(map(np.asarray, value) if isinstance(value, list) else [as_array(value)])
        return flat

    @property
    def id(self) -> str:
        """A name for the case."""
        shapes = ",".join(f"{x.dtype.name}{list(x.shape)}".replace(" ", "") for x in self.flat)
        attrs = ",".join(f"{k}={v}" for k, v in self.attrs.items())
        return f"{self.op}({shapes}){attrs}{self.note}"


def as_array(value: Any) -> Any:
    """An input as an array; text becomes an object array."""
    array = np.asarray(value)
    return array.astype(object) if array.dtype.kind in "SU" else array


def strings(items: Any) -> Any:
    """Bytes, or nested lists of bytes, as an object array (NumPy's own would drop zero bytes)."""
    shape: list[int] = []
    level = items
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else b""
    array = np.empty(tuple(shape), object)
    for index in np.ndindex(*shape):
        value = items
        for i in index:
            value = value[i]
        array[index] = value
    return array


@dataclass(frozen=True)
class Answer:
    """What TensorFlow said: the graph, the names of feeds and fetches, outputs or an error."""

    graph: bytes
    feeds: Sequence[str]
    fetches: Sequence[str]
    outputs: Sequence[Any]
    gradients: Sequence[Any]
    error: str


def answers(oracle: Oracle, cases: Sequence[Case]) -> dict[str, tuple[Case, Answer]]:
    """TensorFlow's answers by case id, all in one round trip."""
    numbered = _distinct(cases)
    asked = [
        {
            "op": case.op,
            "attrs": dict(case.attrs),
            "known_shapes": case.known_shapes,
            "gradient": case.gradient,
            "inputs": [
                [as_array(v) for v in x] if isinstance(x, list) else as_array(x)
                for x in case.inputs
            ],
        }
        for case in numbered
    ]
    told = oracle.ask("one_op_graphs", cases=asked)
    return {case.id: (case, Answer(**t)) for case, t in zip(numbered, told, strict=True)}


def _distinct(cases: Sequence[Case]) -> list[Case]:
    """The cases, those of one name numbered apart, and further ones of an op not traced again."""
    seen: dict[str, int] = {}
    ops: set[str] = set()
    distinct = []
    for case in cases:
        number = seen[case.id] = seen.get(case.id, 0) + 1
        name = case if number == 1 else replace(case, note=f"{case.note}#{number}")
        again = case.op in ops and case.traced is None
        distinct.append(replace(name, traced=()) if again else name)
        ops.add(case.op)
    return distinct


def ids(cases: Sequence[Case]) -> list[str]:
    """The names under which `answers` keeps the cases, for ``pytest.mark.parametrize``."""
    return [case.id for case in _distinct(cases)]


def traced_once(cases: Sequence[Case]) -> list[Case]:
    """The cases, only the first of each op that is traced being so: compiling takes most time."""
    ops: set[str] = set()
    thinned = []
    for case in cases:
        thinned.append(replace(case, traced=()) if case.op in ops else case)
        ops |= {case.op} if case.traced != () else set()
    return thinned


def planned_once(cases: Sequence[Case]) -> list[Case]:
    """The cases, only the first of each op that is planned being so, and as they are otherwise."""
    ops: set[str] = set()
    thinned = []
    for case in cases:
        thinned.append(replace(case, planned=False) if case.op in ops else case)
        ops |= {case.op} if case.planned else set()
    return thinned


def check(case: Case, answer: Answer) -> None:
    """Run a case every way and compare."""
    if case.fails:
        assert answer.error, f"TensorFlow accepts {case.id}"
        assert answer.graph, f"TensorFlow cannot even build {case.id}: {answer.error}"
        library, function = prepared(answer)
        with pytest.raises(HozonError), failures_named(library, function):
            run_static(library, function, case.flat)
        return
    assert not answer.error, f"TensorFlow refuses {case.id}: {answer.error}"
    library, function = prepared(answer)
    inputs = case.flat
    if case.static:
        compare(case, answer, run_static(library, function, inputs), "static")
    if case.planned:
        compare(case, answer, run_planned(library, function, inputs), "planned")
    traced = _traced_positions(case)
    if traced:
        compare(case, answer, run_traced(library, function, inputs, traced), "traced")
    if case.gradient:
        compare_gradients(case, answer, library, function)


def prepared(answer: Answer) -> tuple[Library, Function]:
    """A library and the function of the answer's graph."""
    graph = decode_graph(GraphDef.FromString(answer.graph))
    records = graph.library
    feeds = {f"x{i}": name for i, name in enumerate(answer.feeds)}
    fetches = {f"y{i}": name for i, name in enumerate(answer.fetches)}
    targets = () if fetches else ("op",)
    function = function_from_graph("case", graph.nodes, feeds, fetches, records, targets)
    return Library(records), function


def kernel(op: str, **attrs: Any) -> Callable[..., Any]:
    """The kernel of an op, for ops that TensorFlow itself cannot run here."""
    run = OPS[op].handler(NodeView(Node("op", op, (), (), attrs)))

    def wide(*values: Any) -> Any:
        with jax.enable_x64(True):
            return run(*values)

    return wide


def _traced_positions(case: Case) -> list[int]:
    wanted = range(len(case.flat)) if case.traced is None else case.traced
    return [i for i in wanted if case.flat[i].dtype != object]


def run_static(library: Library, function: Function, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Every input known, nothing compiled."""
    with jax.enable_x64(True):
        context = Context(library, inline, host=True)
        return evaluate(context, library.bound(function), inputs)


def run_planned(library: Library, function: Function, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """As a call on concrete values runs it."""
    return call(library, function, inputs)


def run_traced(
    library: Library, function: Function, inputs: Sequence[Any], traced: Sequence[int]
) -> tuple[Any, ...]:
    """Under an outer ``jax.jit``, some inputs being its arguments."""
    constants: dict[int, Any] = {}

    def body(values: Sequence[Any]) -> dict[int, Any]:
        given = list(inputs)
        for position, value in zip(traced, values, strict=True):
            given[position] = value
        outputs = call(library, function, given)
        constants.update({i: y for i, y in enumerate(outputs) if not isinstance(y, jax.Array)})
        return {i: y for i, y in enumerate(outputs) if i not in constants}

    with jax.enable_x64(True):
        computed = jax.jit(body)([inputs[i] for i in traced])
    merged = {**constants, **computed}
    return tuple(merged[i] for i in range(len(merged)))


def compare(case: Case, answer: Answer, actual: Sequence[Any], how: str) -> None:
    """Number of outputs, then dtype, shape and values of each."""
    where = f"{case.id} {how}"
    assert len(actual) == len(answer.outputs), where
    expected = [as_array(x) for x in answer.outputs]
    found = [np.asarray(x) for x in actual]
    if case.canonical is not None:
        expected, found = case.canonical(expected), case.canonical(found)
    for number, (want, have) in enumerate(zip(expected, found, strict=True)):
        assert have.dtype == want.dtype, f"{where}: output {number}: {have.dtype}, {want.dtype}"
        assert have.shape == want.shape, f"{where}: output {number}: {have.shape}, {want.shape}"
    for number, (want, have) in enumerate(zip(expected, found, strict=True)):
        compare_values(have, want, case.rtol, case.atol, f"{where}: output {number}")


def compare_values(have: Any, want: Any, rtol: float, atol: float, where: str) -> None:
    """Exactly for integers and strings, within the tolerance for floats."""
    if want.dtype.kind in "biuO":
        np.testing.assert_array_equal(have, want, err_msg=where)
        return
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    np.testing.assert_allclose(
        have.astype(wide), want.astype(wide), rtol=rtol, atol=atol, err_msg=where
    )


def compare_gradients(case: Case, answer: Answer, library: Library, function: Function) -> None:
    """``jax.vjp`` for each floating input against ``tf.gradients``."""
    inputs = case.flat
    floating = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

    def first(values: Sequence[Any]) -> Any:
        given = list(inputs)
        for position, value in zip(floating, values, strict=True):
            given[position] = value
        return call(library, function, given)[0]

    with jax.enable_x64(True):
        result, pull = jax.vjp(first, [inputs[i] for i in floating])
        (found,) = pull(cotangent(result.shape, result.dtype))
    for position, have, want in zip(floating, found, answer.gradients, strict=True):
        if want is not None:
            where = f"{case.id}: gradient for input {position}"
            compare_values(np.asarray(have), want, max(case.rtol, 1e-4), 1e-5, where)


def cotangent(shape: Sequence[int], dtype: Any) -> Any:
    """What gradients are taken of: different numbers, so that no sum hides an error."""
    size = int(np.prod(shape, dtype=int))
    return np.cos(np.arange(size)).reshape(shape).astype(dtype)
