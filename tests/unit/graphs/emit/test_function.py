"""Whole functions: arguments, variables read and assigned, results."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hozon.formats.protos.tensor import Shape, TypeNumber
from hozon.graphs.emit.function import EmittedFunction, emit
from hozon.graphs.emit.trace import ArgumentSpec, Capture, NotTraceable
from tests.oracle.client import Oracle
from tests.unit.graphs.emit.emitted import Case, ask, check, check_own
from tests.unit.graphs.emit.harness import floats

F32, I32 = "float32", "int32"
RESOURCE = 20


def normalized(values: Any, x: Any) -> Any:
    """What a BatchNormalization does in training, with a counter, beside a layer."""
    kernel, mean, count, unused = values
    y = x @ kernel
    new_mean = 0.9 * mean + 0.1 * y.mean(0)
    updates = {1: new_mean, 2: count + 1, 3: unused}
    return {"out": y - mean, "again": y - mean, "input": x, "mean": new_mean}, updates


def written_only(values: Any, x: Any) -> Any:
    """A variable that gets a value without being read, and a constant result."""
    return (jnp.float32(3), x), {0: x.sum(0)}


def two_times(values: Any, x: Any, y: Any) -> Any:
    """Two free sizes that have to be equal."""
    return x + y, {}


def attended(values: Any, x: Any, y: Any) -> Any:
    """Two free sizes that differ."""
    return jnp.einsum("btd,bsd->bts", x, y).reshape(x.shape[0], -1), {}


def two_texts(values: Any, x: Any, covered: Any, y: Any) -> Any:
    """Of three free sizes two have to be equal, at different axes; the third differs."""
    seen = jnp.where(covered, jnp.einsum("btd,bsd->bts", y, x), -9.0)
    return jnp.einsum("bts,bsd->btd", seen, x), {}


def half(values: Any, x: Any) -> Any:
    """Variables in single precision, computing in half."""
    kernel = values[0].astype("bfloat16")
    y = x.astype("bfloat16") @ kernel
    return (y, y.astype("float32").mean(0), (y.astype("float16") * 2).sum()), {}


def noisy(values: Any, x: Any) -> Any:
    """A seed that moves on, as Keras' SeedGenerator has one."""
    seed = values[0]
    key = jax.random.wrap_key_data(seed)
    mask = jax.random.bernoulli(key, 0.5, x.shape)
    return jnp.where(mask, 2 * x, 0), {0: seed + jnp.array([0, 1], jnp.uint32)}


KERNEL = floats(3, 2)
CASES = [
    Case(
        "moving average",
        normalized,
        [((None, 3), F32)],
        [[floats(4, 3)], [floats(2, 3)]],
        (KERNEL, floats(2), np.int32(4), floats(5)),
        gradient=True,
    ),
    Case("written only", written_only, [((None, 2), F32)], [[floats(4, 2)]], (floats(2),)),
    Case(
        "equal sizes",
        two_times,
        [((None, None), F32), ((None, None), F32)],
        [[floats(2, 3), floats(2, 3)]],
    ),
    Case(
        "different sizes",
        attended,
        [((None, None, 3), F32), ((None, None, 3), F32)],
        [[floats(2, 4, 3), floats(2, 5, 3)]],
        gradient=True,
    ),
    Case(
        "some sizes equal",
        two_texts,
        [((None, None, 3), F32), ((None, 1, None), "bool"), ((None, None, 3), F32)],
        [
            [floats(2, 4, 3), np.ones((2, 1, 4), bool), floats(2, 5, 3)],
            [floats(1, 3, 3), np.zeros((1, 1, 3), bool), floats(1, 2, 3)],
        ],
    ),
    Case(
        "named sizes", two_times, [((None, "t"), F32), (("t",), F32)], [[floats(2, 3), floats(3)]]
    ),
    Case("half", half, [((None, 3), F32)], [[floats(4, 3)]], (KERNEL,), tolerance=2e-2),
    Case(
        "seed",
        noisy,
        [((None, 3), F32)],
        [[floats(4, 3)], [floats(4, 3)], [floats(1, 3)]],
        (np.array([5, 6], np.uint32),),
    ),
    Case("nothing", lambda values: (jnp.arange(3), {}), [], [[]]),
]


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return ask(oracle, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_tensorflow_computes_what_jax_computes(case: Case, answers: dict[str, Any]) -> None:
    check(case, answers[case.name])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hozon_runs_it_alike(case: Case) -> None:
    check_own(case)


def written() -> EmittedFunction:
    captures = [
        Capture("dense/kernel:0", (3, 2), F32),
        Capture("Mean", (2,), F32),
        Capture("mean", (), I32),
        Capture("unused", (5,), F32),
    ]
    return emit("step", normalized, [ArgumentSpec((None, 3), F32, "Input 1")], None, captures)


def test_arguments_come_first_and_then_the_variables_that_are_used() -> None:
    emitted = written()
    names = [argument.name for argument in emitted.definition.inputs]
    assert names == ["input_1", "dense_kernel_0", "mean", "mean_1"]
    assert [int(a.type) for a in emitted.definition.inputs] == [1, *[RESOURCE] * 3]
    assert emitted.captures == (0, 1, 2)
    assert emitted.assigned == (1, 2)
    assert emitted.definition.inputs[2].handle_data == ((TypeNumber(1), Shape((2,))),)
    assert list(emitted.definition.resource_arg_unique_ids) == [1, 2, 3]


def test_a_function_tells_its_signature() -> None:
    emitted = written()
    assert [(x.name, x.shape) for x in emitted.inputs] == [("input_1", (None, 3))]
    outputs = [(x.name, x.dtype.name, x.shape) for x in emitted.outputs]
    assert outputs == [
        ("identity", F32, (None, 2)),
        ("identity_1", F32, (None, 3)),
        ("identity_2", F32, (2,)),
        ("identity_3", F32, (None, 2)),
    ]
    tree = jax.tree.unflatten(emitted.structure, range(4))
    assert tree == {"again": 0, "input": 1, "mean": 2, "out": 3}
    attrs = emitted.definition.attrs
    assert attrs["_input_shapes"] == (Shape((None, 3)), Shape(()), Shape(()), Shape(()))
    assert emitted.definition.arg_attrs[0]["_user_specified_name"] == b"Input 1"


def test_each_variable_is_read_once_and_results_wait_for_assignments() -> None:
    definition = written().definition
    ops = [node.op for node in definition.nodes]
    assert ops.count("ReadVariableOp") == 3
    assigns = {node.name for node in definition.nodes if node.op == "AssignVariableOp"}
    assert set(definition.control_ret) == assigns
    assert definition.is_stateful
    waits = [
        {i[1:] for i in node.inputs if i[0] == "^"}
        for node in definition.nodes
        if node.op == "Identity"
    ]
    assert waits == [assigns] * 4


def test_a_function_without_variables_has_no_state() -> None:
    emitted = emit("plain", two_times, [ArgumentSpec((2,), F32, n) for n in "xy"])
    assert not emitted.definition.is_stateful
    assert [node.op for node in emitted.definition.nodes] == ["AddV2", "Identity"]


def test_other_leaves_are_handed_on_and_wide_types_cast() -> None:
    def function(values: Any, inputs: Any, scale: float, *, training: bool) -> Any:
        assert training is True
        return inputs["ids"] * scale, {}

    specs = [{"ids": ArgumentSpec((None,), "int64", "ids")}, 2]
    emitted = emit("cast", function, specs, {"training": True})
    assert [x.dtype.name for x in emitted.inputs] == ["int64"]
    assert [x.dtype.name for x in emitted.outputs] == [I32]


@pytest.mark.parametrize(
    "function",
    [
        lambda values, x: (x if x.shape[1] > 4 else -x, {}),
        lambda values, x: (x if x.sum() > 0 else -x, {}),
        lambda values, x: (np.asarray(x), {}),
    ],
    ids=["a size", "a value", "an array"],
)
def test_python_that_looks_at_what_is_not_known_is_told(function: Any) -> None:
    with pytest.raises(NotTraceable, match="sizes that it looks at as numbers"):
        emit("looks", function, [ArgumentSpec((None, None), F32, "x")])


def test_constraints_decide_what_sizes_leave_open() -> None:
    def function(values: Any, x: Any) -> Any:
        return (x if x.shape[1] > 4 else -x), {}

    spec = ArgumentSpec((None, "t"), F32, "x")
    emitted = emit("looks", function, [spec], constraints=["t >= 5"])
    assert [node.op for node in emitted.definition.nodes] == ["Identity"]


def test_what_the_function_itself_raises_passes() -> None:
    def function(values: Any, x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        emit("raises", function, [ArgumentSpec((None,), F32, "x")])
