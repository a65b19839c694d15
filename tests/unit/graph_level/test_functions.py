"""Which concrete function a call takes, and what it answers, against TensorFlow."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import hozon.saved_model
from hozon.errors import MismatchError
from hozon.graph_level.structures import RaggedTensor, SparseTensor
from tests.oracle.client import Oracle

SAVE = """
S = tf.TensorSpec
m = tf.Module()
Point = __import__("collections").namedtuple("Point", "y x")

@tf.function(autograph=False)
def choose(x, training=False, scale=2, mode="a"):
    return tf.cast(tf.size(x), tf.float32) * scale, training, mode

choose.get_concrete_function(S([None, 3], tf.float32))
choose.get_concrete_function(S([None, 3], tf.float32), True)
choose.get_concrete_function(S([None, 3], tf.float32), True, 3)
choose.get_concrete_function(S([None], tf.float32), None)
choose.get_concrete_function(S([None], tf.int64), mode="b")
choose.get_concrete_function(S([], tf.string))
m.choose = choose

@tf.function(autograph=False)
def nested(d, p, *, k, flag=True):
    return {"sum": d["a"][0] + d["b"][1]["c"], "p": Point(p.x, p.y), "none": None,
            "list": [k, (d["a"][0],)], "flag": flag}

nested.get_concrete_function({"a": [S([], tf.float32)], "b": (1, {"c": S([], tf.float32)})},
                             Point(S([2], tf.int32), S([], tf.int64)), k=S([], tf.bool))
m.nested = nested

@tf.function(autograph=False)
def variadic(x, *more, **named):
    return x + tf.add_n(list(more)) * named["by"]

variadic.get_concrete_function(S([], tf.float32), S([], tf.float32), S([], tf.float32),
                               by=S([], tf.float32))
m.variadic = variadic

@tf.function(autograph=False, input_signature=[tf.RaggedTensorSpec([None, None, None], tf.float32),
                                               tf.SparseTensorSpec([None, 4], tf.int64)])
def composite(r, s):
    return {"r": r * 2.0, "s": tf.sparse.map_values(tf.negative, s), "t": r.to_tensor()}

m.composite = composite

@tf.function(autograph=False)
def kinds(x):
    return x

for dtype in ("float16", "bfloat16", "float64", "int8", "uint16", "int64", "bool", "string",
              "complex64"):
    kinds.get_concrete_function(S(None, dtype))
m.kinds = kinds
m.never = tf.function(lambda x: x)

@tf.function(autograph=False)
def listed(x):
    return x
listed.get_concrete_function([S([], tf.float32)])
listed.get_concrete_function((S([], tf.float32),))
m.listed = listed

tf.saved_model.save(m, path)
"""
ASK = """
loaded = tf.saved_model.load(path)
r = tf.ragged.constant([[[1., 2.], []], [], [[3.]]])
s = tf.sparse.from_dense(np.array([[0, 1, 0, 2], [3, 0, 0, 0]], "int64"))
a = loaded.composite(r, s)
P = __import__("collections").namedtuple("Point", "y x")
n = loaded.nested({"a": [1.5], "b": (1, {"c": 2.0})}, P(np.array([1, 2], "int32"),
    np.array(5, "int64")), k=True)
out.update(
    r_values=r.flat_values, r_splits=list(r.nested_row_splits), s_indices=s.indices,
    s_values=s.values, s_shape=s.dense_shape,
    ar_values=a["r"].flat_values, ar_splits=list(a["r"].nested_row_splits),
    as_values=a["s"].values, t=a["t"], nested=[n["sum"], n["p"].x, n["p"].y, n["list"][0],
    n["list"][1][0], n["flag"]], variadic=loaded.variadic(1.0, 2.0, 3.0, by=4.0),
)
x = np.zeros((2, 3), "float32")
cases = {"plain": ((x,), {}), "true": ((x, True), {}), "three": ((x, True, 3), {}),
         "kw": ((), dict(x=x, scale=3, training=True)), "vector": ((x[0], None), {}),
         "one for true": ((x, 1), {}), "ints": (([1, 2],), {"mode": "b"}),
         "floats": (([[1, 2, 3]],), {}), "text": (("abc",), {})}
for name, (args, kwargs) in cases.items():
    try:
        out["case " + name] = list(loaded.choose(*args, **kwargs))
    except Exception as e:
        out["case " + name] = type(e).__name__
"""
X = np.zeros((2, 3), "float32")
CASES: dict[str, Any] = {
    "plain": ((X,), {}),
    "true": ((X, True), {}),
    "three": ((X, True, 3), {}),
    "kw": ((), {"x": X, "scale": 3, "training": True}),
    "vector": ((X[0], None), {}),
    "one for true": ((X, 1), {}),
    "ints": (([1, 2],), {"mode": "b"}),
    "floats": (([[1, 2, 3]],), {}),
    "text": (("abc",), {}),
}


@pytest.fixture(scope="module")
def answers(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("functions") / "model"
    answers = oracle.python(SAVE + ASK, path=str(path))
    return {**answers, "path": Path(path)}


@pytest.fixture(scope="module")
def loaded(answers: dict[str, Any]) -> Any:
    return hozon.saved_model.load(answers["path"])


def equal(actual: Any, expected: Any) -> None:
    have, want = np.asarray(actual), np.asarray(expected)
    if want.dtype.kind in "OS":
        assert have.tolist() == want.tolist()
        return
    assert (have.dtype, have.shape) == (want.dtype, want.shape)
    np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("name", CASES)
def test_the_choice_is_that_of_tensorflow(answers: dict[str, Any], loaded: Any, name: str) -> None:
    args, kwargs = CASES[name]
    for have, want in zip(loaded.choose(*args, **kwargs), answers[f"case {name}"], strict=True):
        equal(have, want)


def test_nested_structures(answers: dict[str, Any], loaded: Any) -> None:
    given = namedtuple("Point", "y x")(np.array([1, 2], "int32"), np.array(5))  # noqa: PYI024
    out = loaded.nested({"a": [1.5], "b": (1, {"c": 2.0})}, given, k=True)
    assert out["none"] is None
    assert type(out["p"]).__name__ == "Point"
    assert type(out["list"][1]) is tuple
    have = [out["sum"], out["p"].x, out["p"].y, out["list"][0], out["list"][1][0], out["flag"]]
    for one, other in zip(have, answers["nested"], strict=True):
        equal(one, other)


def test_arguments_without_names(answers: dict[str, Any], loaded: Any) -> None:
    equal(loaded.variadic(1.0, 2.0, 3.0, by=4.0), answers["variadic"])


def test_ragged_and_sparse(answers: dict[str, Any], loaded: Any) -> None:
    ragged = RaggedTensor(answers["r_values"], tuple(answers["r_splits"]))
    sparse = SparseTensor(answers["s_indices"], answers["s_values"], answers["s_shape"])
    out = loaded.composite(ragged, sparse)
    equal(out["r"].values, answers["ar_values"])
    for have, want in zip(out["r"].row_splits, answers["ar_splits"], strict=True):
        equal(have, want)
    assert out["r"].to_list() == [[[2.0, 4.0], []], [], [[6.0]]]
    equal(out["s"].values, answers["as_values"])
    equal(out["s"].indices, answers["s_indices"])
    equal(out["s"].dense_shape, answers["s_shape"])
    equal(out["t"], answers["t"])


@pytest.mark.parametrize(
    "array",
    [
        np.array([1.5], "float16"),
        np.array(2, ml_dtypes.bfloat16),
        np.zeros((2, 0), "float64"),
        np.array([-3], "int8"),
        np.array([7], "uint16"),
        np.array([1 << 40]),
        np.array(True),
        np.array([1j], "complex64"),
    ],
    ids=lambda a: str(a.dtype),
)
def test_dtypes_are_kept(loaded: Any, array: Any) -> None:
    equal(loaded.kinds(array), array)


def test_text_becomes_bytes(loaded: Any) -> None:
    assert np.asarray(loaded.kinds("ä")).item() == "ä".encode()
    assert np.asarray(loaded.kinds(["a", b"\0b\0"])).tolist() == [b"a", b"\0b\0"]
    assert np.asarray(loaded.kinds(np.array(["a", "bc"]))).tolist() == [b"a", b"bc"]


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((X.astype("float16"),), {}, ["argument 'x' has dtype float16", "float32 is expected"]),
        ((np.zeros((2, 4), "float32"),), {}, ["shape [2, 4]", "[None, 3]"]),
        ((X, None), {}, ["argument 'training' is None", "traced with False"]),
        ((X, "yes"), {}, ["argument 'training' is 'yes'"]),
        ((), {}, ["argument 'x' is missing"]),
        ((X,), {"foo": 1}, ["unknown argument 'foo'"]),
        ((X, 1, 2, 3, 4), {}, ["takes 4 arguments (x, training, scale, mode), 5 are given"]),
        ((X,), {"x": X}, ["'x' is given twice"]),
        (([["a"]],), {}, ["has shape [1, 1]"]),
        ((object(),), {}, ["must be a tensor"]),
    ],
)
def test_wrong_arguments_are_refused(loaded: Any, args: Any, kwargs: Any, words: Any) -> None:
    with pytest.raises(MismatchError) as caught:
        loaded.choose(*args, **kwargs)
    text = str(caught.value)
    for word in words:
        assert word in text
    assert text.count("float32[None, 3]") >= 3, "the signatures are listed"


def test_wrong_structures_are_refused(loaded: Any) -> None:
    point = (np.array([1, 2], "int32"), np.array(5))
    with pytest.raises(MismatchError, match="argument 'd'"):
        loaded.nested({"a": [1.0]}, point, k=True)
    with pytest.raises(MismatchError, match=r"argument 'd'\['a'\]"):
        loaded.nested({"a": 1.0, "b": (1, {"c": 2.0})}, point, k=True)
    with pytest.raises(MismatchError, match="argument 'k' is missing"):
        loaded.nested({"a": [1.0], "b": (1, {"c": 2.0})}, point)
    with pytest.raises(MismatchError, match="must be a RaggedTensor"):
        loaded.composite([[1.0]], None)
    ragged = RaggedTensor(np.zeros(1, "float32"), (np.array([0, 1]), np.array([0, 1])))
    with pytest.raises(MismatchError, match="must be a SparseTensor"):
        loaded.composite(ragged, X)
    crooked = SparseTensor(np.zeros((2, 2), int), np.zeros(3, int), np.array([1, 4]))
    with pytest.raises(MismatchError, match="do not belong together"):
        loaded.composite(ragged, crooked)


def test_a_function_without_a_trace_says_so(loaded: Any) -> None:
    with pytest.raises(MismatchError, match="never traced"):
        loaded.never(1.0)


def test_containers_choose_their_own_trace(loaded: Any) -> None:
    assert type(loaded.listed([1.0])) is list
    assert type(loaded.listed((1.0,))) is tuple
    assert type(loaded.listed([jnp.float32(1.0)])) is list


def test_jax_arrays_of_32_bits_stand_for_64(loaded: Any) -> None:
    out = loaded.choose(jnp.array([1, 2, 3]), mode="b")
    equal(out[0], np.float32(6))


def test_integers_that_do_not_fit_are_refused(loaded: Any) -> None:
    out = loaded.kinds.concrete_functions[3]
    equal(out([1, -2]), np.array([1, -2], "int8"))
    with pytest.raises(MismatchError, match="int8 is expected"):
        out([300])


def test_a_concrete_function_takes_its_arguments_by_name(loaded: Any) -> None:
    trace = loaded.choose.concrete_functions[0]
    equal(trace(X)[0], np.float32(12))
    equal(trace(x=X)[0], np.float32(12))
    with pytest.raises(MismatchError, match="keywords"):
        trace(X, y=1)
