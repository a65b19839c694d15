"""Models that take strings call, predict, evaluate and train on NumPy arrays and lists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.models.text.strings import decode, encode, is_text
from tests.oracle.client import Oracle

WRITE = """
keras.utils.set_random_seed(3)
layers = keras.layers
vectorize = layers.TextVectorization(max_tokens=20, output_sequence_length=4)
vectorize.adapt(texts)
model = keras.Sequential([layers.Input((1,), dtype="string"), vectorize,
                          layers.Embedding(20, 3), layers.GlobalAveragePooling1D(),
                          layers.Dense(1)])
model.compile("adam", "mse")
x, y = np.array(texts, object)[:, None], np.arange(len(texts), dtype="float32")[:, None]
model.fit(x, y, epochs=2, verbose=0)
model.save(path, save_format="tf")
out["predicted"] = model.predict(x, verbose=0)
out["evaluated"] = model.evaluate(x, y, verbose=0)
model.fit(x, y, epochs=1, verbose=0)
out["stepped"] = [w.numpy() for w in model.trainable_weights]
"""
TEXTS = ["a b c", "hello world", "world of a", "unknown words only", ""]


def test_text_model_goes_on_where_it_was(oracle: Oracle, tmp_path: Path) -> None:
    told = oracle.python(WRITE, path=str(tmp_path / "m"), texts=TEXTS)
    model = hozon.load_model(tmp_path / "m")
    x, y = np.array(TEXTS)[:, None], np.arange(5, dtype="float32")[:, None]
    for given in (x, x.astype(object), x.astype(bytes)):
        np.testing.assert_allclose(model(given), told["predicted"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            model.predict(given, verbose=0), told["predicted"], rtol=1e-4, atol=1e-5
        )
    np.testing.assert_allclose(
        model.evaluate(x, y, verbose=0), told["evaluated"], rtol=1e-4, atol=1e-5
    )
    model.fit(x, y, epochs=1, verbose=0)
    for have, want in zip(model.trainable_weights, told["stepped"], strict=True):
        np.testing.assert_allclose(np.asarray(have), want, rtol=1e-4, atol=1e-5)
    model.summary(print_fn=lambda line: None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", True),
        (["a", "b"], True),
        ([["a"]], True),
        (np.array(["a"]), True),
        ([1, 2], False),
        ([np.array(["a"]), np.ones(1)], False),
        ([], False),
        (np.ones(2), False),
    ],
)
def test_what_is_text(value: Any, text: bool) -> None:
    assert is_text(value) is text


def test_codes_keep_every_byte() -> None:
    texts = np.array([b"", b"\x00a\x00", "日本".encode(), b"\xff"], object).reshape(2, 2)
    again = decode(encode(texts))
    assert again.tolist() == texts.tolist()
    mixed = [texts, np.ones(2, "float32")]
    np.testing.assert_array_equal(decode(encode(mixed))[1], mixed[1])


LOADED = """
import sys
import hozon
import numpy as np
assert "hozon.layers" not in sys.modules
texts = np.array(["b a", "c"], object)
for path in sys.argv[1:]:
    for use in ("__call__", "predict"):
        model = hozon.load_model(path)
        assert np.asarray(getattr(model, use)(texts)).tolist() == [[0, 1, 1], [1, 0, 0]], path
    hozon.save_model(hozon.load_model(path), path + "_again")
    assert np.asarray(hozon.load_model(path + "_again")(texts)).tolist() == [[0, 1, 1], [1, 0, 0]]
"""


def test_text_layers_alone_take_strings_wherever_they_are_loaded(tmp_path: Path) -> None:
    layer = hozon.layers.TextVectorization(vocabulary=["a", "b"], output_mode="multi_hot")
    model = keras.Sequential([layer])
    paths = [str(tmp_path / "m.keras"), str(tmp_path / "m.h5")]
    for path in paths:
        hozon.save_model(model, path)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADED, *paths], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
