"""The oracle answers exactly, and says what went wrong when it cannot."""

from __future__ import annotations

import os
import time
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.oracle.client import Oracle, OracleError

#: The types of both sides that must come through unchanged, and one array of each.
ARRAYS = [
    np.arange(6).reshape(2, 3).astype(name)
    for name in (
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
        "complex64",
        "complex128",
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e4m3fn,
        ml_dtypes.float8_e5m2,
        ml_dtypes.int4,
        ml_dtypes.uint4,
    )
]


def test_arrays_come_back_as_they_went(oracle: Oracle) -> None:
    told = oracle.python("out['same'] = [tf.constant(x) for x in arrays]", arrays=ARRAYS)["same"]
    assert len(told) == len(ARRAYS)
    for sent, received in zip(ARRAYS, told, strict=True):
        assert received.dtype == sent.dtype
        np.testing.assert_array_equal(received, sent)


@pytest.mark.parametrize(
    "array", [np.zeros((0, 3), np.float32), np.array(7), np.array([1.5, np.nan, -np.inf])], ids=str
)
def test_odd_shapes_and_values(oracle: Oracle, array: Any) -> None:
    same = oracle.python("out['same'] = tf.constant(x)", x=array)["same"]
    assert (same.dtype, same.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(same, array)


def test_strings_are_bytes(oracle: Oracle) -> None:
    told = oracle.python("out['words'] = tf.constant([['a', 'ü'], [b'\\xff\\x00', '']])")["words"]
    assert told.dtype == object
    assert told.tolist() == [[b"a", "ü".encode()], [b"\xff\x00", b""]]


def test_it_is_tensorflow_and_its_keras(oracle: Oracle) -> None:
    told = oracle.python("out.update(tf=tf.__version__, keras=keras.__version__)")
    assert told == {"tf": "2.21.0", "keras": "2.21.0"}


def test_prints_do_not_disturb_the_answer(oracle: Oracle) -> None:
    source = "import os; print('words'); os.write(1, b'more words'); out['x'] = 1"
    assert oracle.python(source) == {"x": 1}


def test_one_batch_holds_outputs_graphs_and_errors(oracle: Oracle) -> None:
    good = {"op": "AddV2", "inputs": [np.float32(1), np.float32(2)], "attrs": {}}
    bad = {"op": "MatMul", "inputs": [np.ones((2, 3)), np.ones((2, 3))], "attrs": {}}
    cases = [{**case, "known_shapes": True, "gradient": False} for case in (good, bad)]
    first, second = oracle.ask("one_op_graphs", cases=cases)
    assert first["outputs"][0] == np.float32(3)
    assert b"AddV2" in first["graph"]
    assert first["error"] == ""
    assert second["outputs"] == []
    assert "Dimensions must be equal" in second["error"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("tf.reshape([1, 2], [3])", "InvalidArgumentError"),
        ("1 / 0", "ZeroDivisionError"),
        ("out['f'] = lambda: 1", "pickle"),
    ],
)
def test_what_is_raised_is_told_and_the_process_stays(
    oracle: Oracle, source: str, words: str
) -> None:
    before = oracle.python("import os; out['pid'] = os.getpid()")
    with pytest.raises(OracleError, match=words):
        oracle.python(source)
    assert oracle.python("import os; out['pid'] = os.getpid()") == before


def test_after_a_crash_it_starts_again(oracle: Oracle) -> None:
    before = oracle.python("import os; out['pid'] = os.getpid()")
    with pytest.raises(OracleError, match=r"did not answer 'python' and ended with 3"):
        oracle.python("import os; os._exit(3)")
    assert oracle.python("import os; out['pid'] = os.getpid()") != before


def test_after_an_interrupted_question_it_starts_again(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(oracle, "_receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            oracle.python("out['x'] = 'stale'")
    assert oracle.python("out['x'] = 'fresh'") == {"x": "fresh"}


def test_a_question_that_takes_too_long_ends(oracle: Oracle) -> None:
    hasty = Oracle(timeout=0.5)
    started = time.perf_counter()
    with pytest.raises(OracleError, match=r"did not answer 'python' within 0\.5 s"):
        hasty.python("import time; time.sleep(60)")
    assert time.perf_counter() - started < 30


def test_an_ended_process_leaves_no_open_pipe(oracle: Oracle) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    hasty = Oracle(timeout=0.1)
    with pytest.raises(OracleError):
        hasty.python("out['x'] = 1")
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before
