"""Models, not functional ones, whose call takes several arguments: a signature says which.

An argument may be a list, tuple or dictionary of tensors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from hozon.errors import ArgumentError, SaveError, UnsupportedError
from tests.oracle.client import Oracle

RNG = np.random.default_rng(9)
A, B, C = (RNG.normal(size=(3, 4)).astype("float32") for _ in range(3))
IDS = np.array([[1, 2], [3, 4], [5, 6]], "int32")


class Taking(keras.Model):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dense = layers.Dense(2)


class Two(Taking):
    def call(self, x: Any, y: Any, training: bool = False) -> Any:
        return self.dense(x * 2 + y)


class Optional(Taking):
    def call(self, x: Any, first: Any = None, second: Any = None) -> Any:
        return self.dense(
            x + (0 if first is None else first) - (0 if second is None else 5 * second)
        )


class BehindMask(Taking):
    def call(self, x: Any, mask: Any = None, context: Any = None, scale: float = 2.0) -> Any:
        return self.dense(x - context * scale)


class ByName(Taking):
    def call(self, x: Any, *, context: Any, scale: float = 2.0, training: bool = False) -> Any:
        return self.dense(x + scale * context)


class TwoTypes(Taking):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.table = layers.Embedding(9, 4)

    def call(self, ids: Any, x: Any) -> Any:
        return self.dense(self.table(ids) + x[:, None])


class OutOfOrder(Taking):
    """Names that are in another order than the alphabet's."""

    def call(self, x: Any, zed: Any = None, *, beta: Any = None, alpha: Any = None) -> Any:
        zed = 0 if zed is None else zed
        return self.dense(x + 10 * zed + 100 * beta + 1000 * alpha)


class Stepping(keras.Model):
    """Cells stepped by hand: a list of states, one of them a list itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first, self.second = layers.LSTMCell(4), layers.GRUCell(4)

    def call(self, x: Any, states: Any, training: bool = False) -> Any:
        y, carried = self.first(x, states[0])
        y, last = self.second(y, states[1])
        return y + carried[1] + last[0]


class Context(Taking):
    """Lists of any length, and a dictionary in a dictionary."""

    def call(self, x: Any, *, context: Any = (), cache: Any = None) -> Any:
        for value in context:
            x = x * 2 + value
        return self.dense(x if cache is None else x - cache["b"]["d"] + 3 * cache["a"])


class Pair(Taking):
    def call(self, inputs: Any, training: bool = False) -> Any:
        x, (y, z) = inputs
        return self.dense(x - 2 * y + 3 * z)


class Named(Taking):
    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        return self.dense(inputs["z"] - 2 * inputs["a"])


#: A class, its arguments by position and by name, and what the signature says.
CASES: dict[str, tuple[type[keras.Model], tuple[Any, ...], dict[str, Any], dict[str, Any]]] = {
    "two": (Two, (A, B), {}, {"x": A, "y": B}),
    "the last of two that may be": (Optional, (A,), {"second": C}, {"x": A, "second": C}),
    "all that may be": (Optional, (A, B, C), {}, {"x": A, "first": B, "second": C}),
    "behind a mask": (BehindMask, (A,), {"context": B}, {"x": A, "context": B}),
    "by name alone": (ByName, (A,), {"context": B}, {"x": A, "context": B}),
    "two types": (TwoTypes, (IDS, A), {}, {"ids": IDS, "x": A}),
    "names out of order": (
        OutOfOrder,
        (A,),
        {"beta": B, "alpha": C},
        {"x": A, "beta": B, "alpha": C},
    ),
    "one left out": (
        OutOfOrder,
        (A, C),
        {"beta": B, "alpha": C},
        {"x": A, "zed": C, "alpha": C, "beta": B},
    ),
    "a list of lists": (
        Stepping,
        (A, [[B, C], [A]]),
        {},
        {"x": A, "states": [[B, C], [A]]},
    ),
    "a tuple beside": (
        Stepping,
        (A, ([B, C], [A])),
        {},
        {"x": A, "states": ([B, C], [A])},
    ),
    "structures by name": (
        Context,
        (A,),
        {"context": [B, C], "cache": {"b": {"d": C}, "a": B}},
        {"x": A, "context": [B, C], "cache": {"a": B, "b": {"d": C}}},
    ),
    "a nested pair": (Pair, ((A, (B, C)),), {}, {"inputs": (A, (B, C))}),
    "a dictionary": (Named, ({"z": A, "a": B},), {}, {"inputs": {"z": A, "a": B}}),
}

ASK = """
import tf_keras

def halved(value):
    return tf.nest.map_structure(lambda v: tf.constant(v[:2]), value)

for name, (path, args, kwargs, feeds) in cases.items():
    loaded = tf.saved_model.load(path)
    constant = lambda value: tf.nest.map_structure(tf.constant, value)
    revived = tf_keras.models.load_model(path, compile=False)
    serve = loaded.signatures["serving_default"]
    out[name] = {
        "loaded": loaded(*constant(args), **constant(kwargs)).numpy(),
        "revived": revived(*constant(args), **constant(kwargs)).numpy(),
        "half": loaded(*halved(args), **halved(kwargs)).numpy(),
        "served": list(serve(**constant(feeds)).values())[0].numpy(),
    }
"""


def signature(model: keras.Model, feeds: dict[str, Any]) -> dict[str, Any]:
    said = keras.tree.map_structure(lambda x: ((None, *x.shape[1:]), x.dtype), feeds)
    return {"serving_default": (model, said)}


def flat(feeds: Any, name: str = "") -> dict[str, np.ndarray]:
    """The keywords that a server gives: the items of a list by number, of a dictionary by key."""
    if isinstance(feeds, np.ndarray):
        return {name: feeds}
    if isinstance(feeds, dict):
        parts = [flat(value, key) for key, value in feeds.items()]
    else:
        parts = [flat(value, f"{name}_{i}") for i, value in enumerate(feeds)]
    return {key: value for part in parts for key, value in part.items()}


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory, oracle: Oracle
) -> tuple[dict[str, Path], dict[str, np.ndarray], dict[str, Any]]:
    folder, paths, expected, asked = tmp_path_factory.mktemp("several"), {}, {}, {}
    for name, (kind, args, kwargs, feeds) in CASES.items():
        keras.utils.set_random_seed(1)
        model = kind()
        expected[name] = np.asarray(model(*args, **kwargs))
        paths[name] = folder / name
        report = hozon.save_model(model, paths[name], signatures=signature(model, feeds))
        assert report.lost == []
        asked[name] = (str(paths[name]), args, kwargs, flat(feeds))
    return paths, expected, oracle.python(ASK, cases=asked)


@pytest.mark.parametrize("name", CASES)
def test_tensorflow_calls_it(name: str, told: Any) -> None:
    _, expected, answers = told
    for way, found in answers[name].items():
        y = expected[name][:2] if way == "half" else expected[name]
        np.testing.assert_allclose(found, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("given", [False, True], ids=["without its class", "with its class"])
@pytest.mark.parametrize("name", CASES)
def test_hozon_calls_it(name: str, given: bool, told: Any) -> None:
    paths, expected, _ = told
    kind, args, kwargs, _ = CASES[name]
    objects = {kind.__name__: kind} if given else {}
    again = hozon.load_model(paths[name], compile=False, custom_objects=objects)
    found = np.asarray(again(*args, **kwargs))
    np.testing.assert_allclose(found, expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "lacking"), [("two", "y"), ("by name alone", "context")])
def test_without_a_signature_the_way_is_told(name: str, lacking: str, tmp_path: Path) -> None:
    kind, args, kwargs, _ = CASES[name]
    model = kind()
    model(*args, **kwargs)
    with pytest.raises(SaveError, match=f"takes {lacking} as well") as caught:
        hozon.save_model(model, tmp_path / "m")
    assert "signatures={'serving_default': (model, {" in str(caught.value.instead)
    assert not (tmp_path / "m").exists()


def test_a_default_that_the_call_does_not_stand(tmp_path: Path) -> None:
    class Cell(Taking):
        def call(self, x: Any, states: Any = None) -> Any:
            return self.dense(x + states[0])

    model = Cell()
    model(A, [B])
    with pytest.raises(UnsupportedError, match="'cell' cannot be written") as caught:
        hozon.save_model(model, tmp_path / "m")
    assert "if it needs states, signatures={" in str(caught.value.instead)


@pytest.mark.parametrize("said", [3, (), "float32", ((None, 4), "float33"), [3, "float32"]])
def test_what_says_no_argument(said: Any, tmp_path: Path) -> None:
    model = Two()
    model(A, B)
    row = ((None, 4), "float32")
    given = {"serving_default": (model, {"x": row, "y": said})}
    with pytest.raises(ArgumentError, match=r"signatures=.* a pair of a function"):
        hozon.save_model(model, tmp_path / "m", signatures=given)
