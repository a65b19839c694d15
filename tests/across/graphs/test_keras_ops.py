"""Every function of `keras.ops` at a free batch size: native ops, and the same values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import pytest
from keras import ops

from hozon.graphs.emit.function import EmittedFunction
from hozon.graphs.execute import call
from hozon.graphs.library import Library
from tests.oracle.client import Oracle
from tests.unit.graphs.emit.emitted import Case, ask
from tests.unit.graphs.emit.harness import same_arrays
from tests.unit.graphs.emit.keras_calls import GROUPS, NOT_TRACED, Group


def case_of(group: Group) -> Case:
    """All calls of a group as one function."""

    def function(_: Any, *arguments: Any) -> Any:
        return {name: made(*arguments) for name, made in group.calls.items()}, {}

    return Case(group.name, function, group.specs, group.feeds, constraints=group.constraints)


CASES = {group.name: case_of(group) for group in GROUPS}


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return ask(oracle, list(CASES.values()))


@pytest.fixture(scope="module")
def expected() -> dict[str, list[Any]]:
    """JAX's results for each set of values."""
    return {
        name: [jax.jit(case.function)([], *feed)[0] for feed in case.feeds]
        for name, case in CASES.items()
    }


def different(wanted: Any, found: Sequence[Any], tolerance: float) -> Iterator[str]:
    """The calls whose results are not the ones wanted, and how they differ."""
    leaves = jax.tree_util.tree_flatten_with_path(wanted)[0]
    assert len(leaves) == len(found)
    for (path, value), result in zip(leaves, found, strict=True):
        try:
            same_arrays([result], [value], tolerance)
        except AssertionError as error:
            yield f"{jax.tree_util.keystr(path)}: {str(error)[:400]}"


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_tensorflow_computes_what_keras_computes(
    group: Group, answers: dict[str, Any], expected: dict[str, list[Any]]
) -> None:
    runs, _, error = answers[group.name]
    assert not error
    for wanted, (results, _) in zip(expected[group.name], runs, strict=True):
        assert list(different(wanted, results, group.tolerance)) == []


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_hozon_runs_it_alike(group: Group, expected: dict[str, list[Any]]) -> None:
    case = CASES[group.name]
    found = by_own(case.written("f"), case.feeds[0])
    assert list(different(expected[group.name][0], found, group.tolerance)) == []


def by_own(emitted: EmittedFunction, feed: Sequence[Any]) -> Any:
    """The results of Hozon's interpreter."""
    library = Library({f.name: f for f in (emitted.definition, *emitted.nested)})
    with jax.enable_x64(True):
        return jax.jit(lambda *arguments: call(library, "f", arguments))(*feed)


def test_no_function_is_left_out() -> None:
    called = {name for group in GROUPS for name in group.calls} | set(NOT_TRACED)
    functions = {name for name in dir(ops) if _is_function(ops, name)}
    functions |= {f"image.{name}" for name in dir(ops.image) if _is_function(ops.image, name)}
    assert functions - called == set()


def _is_function(module: Any, name: str) -> bool:
    return not name.startswith("_") and callable(getattr(module, name))
