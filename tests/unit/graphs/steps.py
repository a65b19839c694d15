"""Graphs of a few steps that run one after the other, recorded by the oracle and run by Hozon.

A case is source in which ``do("Op", argument=...)`` adds a raw op that waits for all before it, and
``get`` also asks for its results. `hidden` hides the shape of an array from shape inference, so
that a mistake is found when the graph runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import jax
import numpy as np
import pytest

from hozon.errors import HozonError
from hozon.formats.protos.graph import parse_graph
from hozon.graphs.build import function_from_graph
from hozon.graphs.execute import call
from hozon.graphs.library import Library
from tests.oracle.client import Oracle

RECORD = """
import os, tempfile
folder = tempfile.TemporaryDirectory()
raw = tf.raw_ops

def run(source, files):
    graph, done, fetched = tf.Graph(), [], []
    paths = {}
    for name, data in files.items():
        paths[name] = os.path.join(folder.name, name)
        with open(paths[name], "wb") as f:
            f.write(data)

    def do(op, **arguments):
        with tf.control_dependencies(done):
            result = getattr(raw, op)(**arguments)
        if isinstance(result, tf.Operation):
            done.append(result)
        else:
            done.extend(x.op for x in tf.nest.flatten(result))
        return result

    def get(op, **arguments):
        fetched.extend(tf.nest.flatten(do(op, **arguments)))

    def hidden(array):
        return tf.compat.v1.placeholder_with_default(tf.constant(array), None)

    scope = dict(tf=tf, np=np, inf=np.inf, do=do, get=get, hidden=hidden, paths=paths)
    answer = {"error": ""}
    with graph.as_default():
        exec(source, scope)
        answer["graph"] = graph.as_graph_def().SerializeToString()
        answer["fetches"] = [x.name for x in fetched]
        answer["targets"] = [x.name for x in done]
        try:
            with tf.compat.v1.Session() as session:
                answer["outputs"] = session.run([fetched, done])[0]
        except Exception as error:
            answer["error"] = str(error)[-3000:]
    return answer

out["answers"] = {name: run(*case) for name, case in cases.items()}
"""


@dataclass(frozen=True)
class Steps:
    """Steps of a graph. `fails`: a step must; `unordered`: results are keys and values in pairs.

    `files` are there under ``paths[name]``.
    """

    source: str
    fails: bool = False
    unordered: bool = False
    files: tuple[tuple[str, bytes], ...] = ()


def literal(array: Any) -> str:
    """Source of a tensor whose shape TensorFlow sees only when it runs."""
    array = np.asarray(array)
    dtype = "object" if array.dtype.kind in "OSU" else array.dtype.name
    return f"hidden(np.array({array.tolist()!r}, {dtype!r}))"


def record(oracle: Oracle, cases: Mapping[str, Steps]) -> dict[str, Any]:
    """What TensorFlow makes of all cases, in one question."""
    asked = {name: (case.source, dict(case.files)) for name, case in cases.items()}
    answers: dict[str, Any] = oracle.python(RECORD, cases=asked)["answers"]
    return answers


def check(case: Steps, answer: dict[str, Any]) -> None:
    """Run a case and compare count, dtypes, shapes and values."""
    if case.fails:
        assert answer["error"], "TensorFlow accepts this"
        with pytest.raises(HozonError):
            run(case, answer)
        return
    assert not answer["error"], answer["error"]
    actual, expected = run(case, answer), answer["outputs"]
    assert len(actual) == len(expected)
    if case.unordered:
        actual, expected = in_order(actual), in_order(expected)
    for got, want in zip(actual, expected, strict=True):
        got, want = np.asarray(got), np.asarray(want)
        want = want.astype(object) if want.dtype.kind in "SU" else want
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        np.testing.assert_array_equal(got, want)


def run(steps: Steps, answer: dict[str, Any]) -> Sequence[Any]:
    """Hozon's results for the graph of an answer."""
    graph = parse_graph(answer["graph"])
    fetches = {f"r{i}": name for i, name in enumerate(answer["fetches"])}
    function = function_from_graph(
        "main", graph.nodes, {}, fetches, graph.library.functions, answer["targets"]
    )
    library = Library(graph.library.functions)
    files = dict(steps.files)
    library.resources.read_asset = lambda path: files[PurePath(path.decode()).name]
    with jax.enable_x64(True):
        return call(library, function, [])


def in_order(results: Sequence[Any]) -> list[Any]:
    """Keys and values in pairs, each sorted by its keys."""
    ordered = []
    for keys, values in zip(results[::2], results[1::2], strict=True):
        order = sorted(range(len(keys)), key=lambda i, k=keys: k[i])
        ordered += [np.asarray(keys)[order], np.asarray(values)[order]]
    return ordered
