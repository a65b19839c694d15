"""What `adapt` learned, in checkpoints: counts, weights of tokens, summaries, vocabularies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
import hozon.train
from hozon.config.text_layers import TEXT_LAYERS
from hozon.config.text_layers.vectorization import lookup_of
from hozon.errors import MismatchError
from tests.oracle.client import Oracle

MODEL = """
def network(learn):
    text = TextVectorization(output_mode="tf_idf", name="text")
    words = StringLookup(name="words")
    bins = L.Discretization(num_bins=3, name="bins")
    bins.build((None, 1))
    if learn:
        text.adapt(np.array(["a b c", "a b", "a"]))
        words.adapt(np.array(["x", "y", "x"]))
        bins.update_state(np.float32([[1], [2], [3], [4], [8]]))
        bins.finalize_state()
    else:
        text.set_vocabulary(["a", "b", "c"], [1.0, 1.0, 1.0])
    a = keras.Input((1,), dtype="string")
    b = keras.Input((1,), dtype="string")
    c = keras.Input((1,))
    parts = [text(a), L.Flatten()(L.Embedding(5, 2)(words(b))), L.Flatten()(L.Embedding(3, 2)(bins(c)))]
    return keras.Model([a, b, c], L.Dense(2)(L.Concatenate()(parts)))

def state(model):
    text, bins = model.get_layer("text"), model.get_layer("bins")
    dense = [np.asarray(w) for layer in model.layers if isinstance(layer, (L.Dense, L.Embedding))
             for w in layer.weights]
    return [*dense, np.asarray(idf(text)), np.asarray(bins.summary)]
"""  # noqa: E501 - a snippet


def same(some: Any, others: Any) -> None:
    assert len(some) == len(others) == 6
    for one, other in zip(some, others, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-6)


def test_learned_state_both_ways(oracle: Oracle, tmp_path: Path) -> None:
    scope: dict[str, Any] = {
        "keras": keras,
        "L": keras.layers,
        "np": np,
        "idf": lambda text: lookup_of(text).idf,
        **TEXT_LAYERS,
    }
    exec(MODEL, scope)
    saved = scope["network"](True)
    report = hozon.save_weights(saved, tmp_path / "ours")
    assert sorted(line.split(":")[0] for line in report.lost) == ["layer 'text'", "layer 'words'"]
    answer = oracle.python(
        "L = keras.layers; TextVectorization, StringLookup = L.TextVectorization, L.StringLookup\n"
        f"idf = lambda text: text._lookup_layer.idf_weights\n{MODEL}\n"
        "made = network(False)\n"
        "made.load_weights(folder + '/ours').assert_consumed()\n"
        "tf.train.Checkpoint(made).read(folder + '/ours').assert_consumed()\n"
        "out['read'] = state(made)\n"
        "made = network(True)\n"
        "made.save_weights(folder + '/theirs')\n"
        "out['wrote'] = state(made)",
        folder=str(tmp_path),
    )
    same(answer["read"], scope["state"](saved))
    model = scope["network"](False)
    hozon.load_weights(model, tmp_path / "theirs").assert_consumed()
    same(scope["state"](model), answer["wrote"])
    assert model.get_layer("bins").bin_boundaries == saved.get_layer("bins").bin_boundaries


def test_weights_of_another_vocabulary(tmp_path: Path) -> None:
    def layer(*tokens: str) -> Any:
        made = TEXT_LAYERS["StringLookup"](output_mode="tf_idf")
        made.load_vocabulary(tokens, np.arange(1.0, len(tokens) + 1))
        return made

    path = hozon.train.Checkpoint(layer=layer("a", "b")).write(tmp_path / "w")
    hozon.train.Checkpoint(layer=layer("c", "d")).read(path).assert_consumed()
    empty = TEXT_LAYERS["StringLookup"](output_mode="tf_idf")
    hozon.train.Checkpoint(layer=empty).read(path).assert_consumed()
    np.testing.assert_allclose(empty.idf, [1.5, 1, 2])
    with pytest.raises(MismatchError, match=r"idf_weights: stored float32 \(3,\).*\(4,\)"):
        hozon.train.Checkpoint(layer=layer("a", "b", "c")).read(path)


def test_vocabularies_of_tensorflow_2_3(oracle: Oracle, tmp_path: Path) -> None:
    """They were tables of the layer inside the text layer."""
    oracle.python(
        """
def table(kind, keys, values):
    made = tf.lookup.experimental.MutableHashTable(kind, tf.int64, -1)
    made.insert(tf.constant(keys, kind), tf.constant(values, tf.int64))
    return made

def node(**children):
    made = tf.Module()
    for name, child in children.items():
        setattr(made, name, child)
    return made

text = node(_index_lookup_layer=node(_table=table(tf.string, ["b", "a", "c"], [3, 2, 4])))
numbers = node(_table=table(tf.int64, [7, 5], [1, 2]))
tf.train.Checkpoint(text=text, numbers=numbers).write(folder + "/old")
tf.train.Checkpoint(numbers=node(_table=table(tf.int64, [7, 5], [1, 4]))).write(folder + "/gap")
""",
        folder=str(tmp_path),
    )
    text, numbers = TEXT_LAYERS["TextVectorization"](), TEXT_LAYERS["IntegerLookup"]()
    checkpoint = hozon.train.Checkpoint(text=text, numbers=numbers)
    checkpoint.read(tmp_path / "old").assert_consumed()
    assert text.get_vocabulary() == ["", "[UNK]", "a", "b", "c"]
    assert numbers.get_vocabulary() == [-1, 7, 5]
    with pytest.raises(MismatchError, match="gaps"):
        checkpoint.read(tmp_path / "gap")
    assert numbers.get_vocabulary() == [-1, 7, 5]


@pytest.mark.parametrize("name", ["rpraveen760--DLSentimentAnalysis", "twrzeszcz--sentiment"])
def test_tables_of_real_files(name: str, shared: Path) -> None:
    """One lists its table by the beginning of a key, one has its vocabulary in a table."""
    found = sorted(shared.glob(f"wild/models/{name}*/saved_model.pb"))
    if not found:
        pytest.skip("the recorded files are missing")
    text = TEXT_LAYERS["TextVectorization"]()
    model = keras.Sequential([keras.Input((1,), dtype="string"), text])
    status = hozon.load_weights(model, found[0].parent)
    assert not [path for path in status.unexpected if "lookup_layer" in path]
    assert (len(text.get_vocabulary()) > 2) == name.startswith("twrzeszcz")
