"""Objects of loaded SavedModels: attributes, containers, variables, tables, assets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import hozon.saved_model
from hozon.errors import FormatError, MismatchError, UnsafeError, UnsupportedError
from tests.oracle.client import Oracle

SAVE = """
S = tf.TensorSpec
class Inner(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable([1., 2.], name="w")
        self.frozen = tf.Variable(3., trainable=False, name="frozen")
    @tf.function(autograph=False, input_signature=[S([2], tf.float32)])
    def __call__(self, x):
        return x * self.w + self.frozen

class Root(tf.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()
        self.listed = [self.inner, tf.Variable(7), [tf.Variable(8.)]]
        self.named = {"b": tf.Variable([True]), "a": {"deep": self.inner}}
        self.pair = (tf.Variable(1), tf.Variable(2))
        self.text = tf.Variable(["x", "yz"], name="text")
        self.half = tf.Variable(tf.constant([1.5], tf.bfloat16))
        self.count = tf.Variable(0, dtype=tf.int64)
        self.free = tf.Variable([1.], shape=[None])
        self.variables_of_mine = [self.count]
        self.graph = tf.Variable(5.)
        self._node_id = tf.Variable(6.)
        vocabulary = os.path.join(path + "-src", "words.txt")
        os.makedirs(os.path.dirname(vocabulary), exist_ok=True)
        open(vocabulary, "w").write("red\\ngreen\\nblue\\n")
        self.asset = tf.saved_model.Asset(vocabulary)
        self.table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(self.asset,
            tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER), -1)
        self.mutable = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -5)
        self.mutable.insert(["k", "l"], [10, 11])
        self.plain = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
            [1, 2], [0.5, 0.25]), -1.)
    @tf.function(autograph=False, input_signature=[])
    def increment(self):
        return self.count.assign_add(1)
    @tf.function(autograph=False, input_signature=[])
    def read(self):
        return self.count.read_value()
    @tf.function(autograph=False, input_signature=[S([None], tf.float32)])
    def grow(self, x):
        return self.free.assign(x)
    @tf.function(autograph=False, input_signature=[S([None], tf.string), S([None], tf.int32)])
    def look(self, words, numbers):
        return self.table.lookup(words), self.mutable.lookup(words), self.plain.lookup(numbers)
    @tf.function(autograph=False, input_signature=[S([2], tf.float32)])
    def loss(self, x):
        y = tf.nn.sigmoid(self.inner(x) * 0.1)
        return tf.reduce_sum(y * y)
    @tf.function(autograph=False, input_signature=[S([], tf.float32)])
    def noisy(self, x):
        return x * tf.random.normal([3])

import os
m = Root()
m.read(), m.increment()
tf.saved_model.save(m, path, signatures={"loss": m.loss})
"""
ASK = """
l = tf.saved_model.load(path)
x = tf.constant([0.5, -1.5])
with tf.GradientTape() as tape:
    tape.watch([x, l.inner.frozen])
    loss = l.loss(x)
g = tape.gradient(loss, [x, l.inner.w, l.inner.frozen])
out.update(loss=loss, g=g, look=list(l.look(tf.constant(["blue", "k", "?"]), tf.constant([2, 3]))),
    signature=l.signatures["loss"](x=x))
"""
X = np.array([0.5, -1.5], "float32")


@pytest.fixture(scope="module")
def answers(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("loader") / "model"
    return {**oracle.python("import os\n" + SAVE + ASK, path=str(path)), "path": path}


@pytest.fixture
def loaded(answers: dict[str, Any]) -> Any:
    return hozon.saved_model.load(answers["path"])


def test_attributes_and_containers(loaded: Any) -> None:
    assert loaded.listed[0] is loaded.inner
    assert loaded.listed[1].numpy() == 7
    assert loaded.listed[2][0].numpy() == 8.0
    assert loaded.named["a"]["deep"] is loaded.inner
    assert loaded.named["b"].numpy().tolist() == [True]
    assert type(loaded.pair) is tuple
    assert [v.numpy().item() for v in loaded.pair] == [1, 2]


def test_names_of_the_file_do_not_hide_the_machinery(loaded: Any) -> None:
    assert loaded.graph.numpy() == 5.0
    assert loaded.__dict__["_node_id"].numpy() == 6.0
    assert "inner" in repr(loaded)


def test_variables(loaded: Any) -> None:
    w, frozen = loaded.inner.w, loaded.inner.frozen
    assert (w.name, w.trainable, w.shape, w.dtype) == ("w", True, (2,), np.float32)
    assert not frozen.trainable
    assert w.numpy().tolist() == [1.0, 2.0]
    assert loaded.text.numpy().tolist() == [b"x", b"yz"]
    assert str(loaded.half.dtype) == "bfloat16"
    assert loaded.half.numpy().astype("float32").tolist() == [1.5]
    assert loaded.free.shape == (None,)
    assert {id(v) for v in loaded.variables} >= {id(w), id(frozen), id(loaded.text)}
    assert len(loaded.variables) == 13


def test_assign(loaded: Any) -> None:
    before = np.asarray(loaded.inner(X))
    loaded.inner.w.assign(np.array([3.0, 4.0], "float32"))
    np.testing.assert_array_equal(loaded.inner(X), X * [3, 4] + 3)
    assert not np.array_equal(before, loaded.inner(X))
    loaded.inner.w.assign([5, 6.0])
    assert loaded.inner.w.numpy().dtype == np.float32
    with pytest.raises(MismatchError, match="'w'"):
        loaded.inner.w.assign(np.zeros(3, "float32"))
    with pytest.raises(MismatchError, match="'w'"):
        loaded.inner.w.assign(np.zeros(2, "complex64"))


def test_functions_share_variables_and_assign_to_them(loaded: Any) -> None:
    start = int(loaded.read())
    assert [int(loaded.increment()) for _ in range(3)] == [start + 1, start + 2, start + 3]
    assert int(loaded.read()) == start + 3 == loaded.count.numpy()
    assert np.asarray(loaded.increment()).dtype == np.int64
    loaded.grow(np.arange(4, dtype="float32"))
    assert loaded.free.numpy().shape == (4,)


def test_every_load_has_variables_of_its_own(answers: dict[str, Any]) -> None:
    one, two = (hozon.saved_model.load(answers["path"]) for _ in range(2))
    one.increment()
    assert two.count.numpy() == one.count.numpy() - 1


def test_tables_and_assets(answers: dict[str, Any], loaded: Any) -> None:
    found = loaded.look(["blue", "k", "?"], np.array([2, 3], "int32"))
    for have, want in zip(found, answers["look"], strict=True):
        assert np.asarray(have).dtype == want.dtype
        np.testing.assert_array_equal(have, want)


def test_signatures(answers: dict[str, Any], loaded: Any) -> None:
    outputs = loaded.signatures["loss"](x=X)
    assert list(outputs) == list(answers["signature"])
    np.testing.assert_allclose(
        next(iter(outputs.values())), next(iter(answers["signature"].values())), rtol=1e-6
    )
    for wrong in ({}, {"y": X}, {"x": X, "y": X}):
        with pytest.raises(MismatchError, match=r"takes .*x.*float32\[2\]"):
            loaded.signatures["loss"](**wrong)
    with pytest.raises(MismatchError, match=r"input 'x' of signature 'loss' has shape \[3\]"):
        loaded.signatures["loss"](x=np.zeros(3, "float32"))


def test_gradients_to_inputs_and_variables(answers: dict[str, Any], loaded: Any) -> None:
    np.testing.assert_allclose(loaded.loss(X), answers["loss"], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(loaded.loss)(X), answers["g"][0], rtol=1e-5)
    variables = loaded.loss.variables
    values = [v.read() for v in variables]
    slopes = jax.grad(lambda w: loaded.loss.stateless_call(w, X)[0])(values)
    by_name = {v.name: g for v, g in zip(variables, slopes, strict=True)}
    np.testing.assert_allclose(by_name["w"], answers["g"][1], rtol=1e-5)
    np.testing.assert_allclose(by_name["frozen"], answers["g"][2], rtol=1e-5)


def test_jit_and_vmap(loaded: Any) -> None:
    batch = np.stack([X, X + 1, X * 2])
    want = np.stack([np.asarray(loaded.inner(x)) for x in batch])
    np.testing.assert_allclose(jax.jit(jax.vmap(lambda x: loaded.inner(x)))(batch), want, rtol=1e-6)
    slopes = jax.jit(jax.vmap(jax.grad(loaded.loss)))(batch)
    np.testing.assert_allclose(slopes[0], jax.grad(loaded.loss)(X), rtol=1e-5)


def test_jit_on_arguments_that_are_known(loaded: Any) -> None:
    np.testing.assert_allclose(
        jax.jit(lambda y: y + loaded.inner(X))(X), X + np.asarray(loaded.inner(X)), rtol=1e-6
    )


def test_an_assignment_under_jit_is_refused(loaded: Any) -> None:
    before = loaded.count.numpy()
    with pytest.raises(UnsupportedError, match="stateless_call") as caught:
        jax.jit(lambda: loaded.increment())()
    assert caught.value.feature == "assignment while tracing"
    with pytest.raises(UnsupportedError, match="assigns to the variable"):
        jax.jit(loaded.grow)(np.ones(2, "float32"))
    assert loaded.count.numpy() == before
    assert int(loaded.increment()) == before + 1


def test_stateless_calls_give_the_new_values(loaded: Any) -> None:
    before = loaded.count.numpy()
    (variable,) = loaded.increment.variables
    assert variable is loaded.count
    step = jax.jit(lambda values: loaded.increment.stateless_call(values))
    with jax.enable_x64(True):
        out, (after,) = step([np.int64(41)])
    assert int(out) == int(after) == 42
    assert loaded.count.numpy() == before
    with pytest.raises(MismatchError, match="has 1 variables, 2 values"):
        loaded.increment.stateless_call([1, 2])


def test_random_numbers_differ_from_call_to_call(loaded: Any) -> None:
    for function in (loaded.noisy, jax.jit(loaded.noisy)):
        one, two = np.asarray(function(np.float32(1))), np.asarray(function(np.float32(1)))
        assert not np.array_equal(one, two)
    np.testing.assert_allclose(loaded.noisy(np.float32(0)), 0)


def test_tags(oracle: Oracle, answers: dict[str, Any]) -> None:
    assert hozon.saved_model.load(answers["path"], "serve").count.numpy() == 1
    assert hozon.saved_model.load(answers["path"], ["serve"]).count.numpy() == 1
    with pytest.raises(FormatError, match=r"no meta graph has the tags \['train'\].*\{serve\}"):
        hozon.saved_model.load(answers["path"], "train")


def test_without_variables(oracle: Oracle, tmp_path: Path) -> None:
    source = """
m = tf.Module()
m.f = tf.function(lambda x: {"y": x * 2}, autograph=False,
                  input_signature=[tf.TensorSpec([], tf.float64, name="x")])
tf.saved_model.save(m, path, signatures=m.f)
import shutil; shutil.rmtree(path + "/variables")
"""
    oracle.python(source, path=str(tmp_path / "m"))
    loaded = hozon.saved_model.load(tmp_path / "m")
    assert loaded.variables == []
    result = loaded.signatures["serving_default"](x=1.25)["y"]
    assert (np.asarray(result).dtype, float(result)) == (np.float64, 2.5)


@pytest.mark.parametrize(
    "root", ["tf.train.Checkpoint(v=tf.Variable(1.))", "keras.Sequential([keras.layers.Dense(2)])"]
)
def test_other_roots(oracle: Oracle, tmp_path: Path, root: str) -> None:
    source = f"""
root = {root}
if hasattr(root, "build"): root.build((None, 3))
tf.saved_model.save(root, path)
"""
    oracle.python(source, path=str(tmp_path / "m"))
    loaded = hozon.saved_model.load(tmp_path / "m")
    if hasattr(loaded, "v"):
        assert loaded.v.numpy() == 1.0
    else:
        assert np.asarray(loaded(np.ones((1, 3), "float32"), False)).shape == (1, 2)
        assert len(loaded.variables) == 2


FUNCTIONS = """
spec = tf.TensorSpec([None, 2], tf.float32, "x")
root = tf.function(lambda x, k: (2. * x, {"z": x + k})).get_concrete_function(
    spec, tf.TensorSpec([], tf.float32, "k"))
tf.saved_model.save(root, path + "/root")
m = tf.Module()
m.v = tf.Variable([1., 2.])
m.whole = tf.compat.v1.wrap_function(lambda x: x * m.v, [spec])
m.part = m.whole.prune(m.whole.inputs[:1], m.whole.outputs[0])
m.named = m.whole.prune(m.whole.inputs[:1], {"a": m.whole.outputs[0]})
tf.saved_model.save(m, path + "/pruned")
x = tf.constant([[1., 2.], [3., 4.]])
root, pruned = tf.saved_model.load(path + "/root"), tf.saved_model.load(path + "/pruned")
out.update(root=root(x, tf.constant(3.)), part=pruned.part(x), whole=pruned.whole(x),
           named=pruned.named(x))
"""
PAIR = np.array([[1, 2], [3, 4]], "float32")


@pytest.fixture(scope="module")
def bare(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("bare")
    return path, oracle.python(FUNCTIONS, path=str(path))


def test_a_root_that_is_a_function(bare: tuple[Path, dict[str, Any]]) -> None:
    loaded: Any = hozon.saved_model.load(bare[0] / "root")
    for outputs in (loaded(PAIR, np.float32(3)), loaded(x=PAIR, k=np.float32(3))):
        np.testing.assert_array_equal(outputs[0], bare[1]["root"][0])
        np.testing.assert_array_equal(outputs[1]["z"], bare[1]["root"][1]["z"])


@pytest.mark.parametrize("name", ["part", "whole", "named"])
def test_functions_without_a_structured_signature(
    bare: tuple[Path, dict[str, Any]], name: str
) -> None:
    function = getattr(hozon.saved_model.load(bare[0] / "pruned"), name)
    outputs, want = function(PAIR), bare[1][name]
    assert jax.tree.structure(outputs) == jax.tree.structure(want)
    np.testing.assert_array_equal(
        *map(np.asarray, (*jax.tree.leaves(outputs), *jax.tree.leaves(want)))
    )


TABLES = """
import os
class Kept(tf.Module):
    def __init__(self, table):
        super().__init__()
        self.table = table
    @tf.function(autograph=False)
    def __call__(self, x):
        return self.table.lookup(x)
def dense(default, **keys):
    return tf.lookup.experimental.DenseHashTable(tf.int64, tf.float32, default, **keys)
numbers = tf.constant([-5, 3, 8], tf.int64)
made = {
    "dense": dense(-7., empty_key=-1, deleted_key=-2),
    "rows": dense([-7., 1.], empty_key=-1, deleted_key=-2),
    "pairs": dense(-7., empty_key=[-1, -1], deleted_key=[-2, 0]),
    "words": tf.lookup.experimental.DenseHashTable(
        tf.string, tf.int64, -7, empty_key="", deleted_key="$"),
    "mutable": tf.lookup.experimental.MutableHashTable(tf.int64, tf.string, "?"),
    "static": tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(numbers, tf.constant([-1.5, 2., 0.])), -9.),
}
made["dense"].insert(numbers, [1., 2., 3.]); made["dense"].remove(numbers[1:2])
made["rows"].insert(numbers, [[1., 2.], [3., 4.], [5., 6.]])
made["pairs"].insert(tf.constant([[-5, 1], [3, -2]], tf.int64), [1., 2.])
made["words"].insert(["a", "b"], tf.constant([-1, 2], tf.int64))
made["mutable"].insert(numbers, ["m", "n", "o"])
at = {name: numbers * [1, 1, 2] for name in made}
at["words"] = tf.constant(["b", "q"])
at["pairs"] = tf.constant([[3, -2], [-5, 1], [0, 0]], tf.int64)
for name, table in made.items():
    kept = Kept(table)
    kept(at[name])
    tf.saved_model.save(kept, os.path.join(path, name))
    out[name] = (at[name], tf.saved_model.load(os.path.join(path, name))(at[name]))
"""


def test_tables_with_contents(oracle: Oracle, tmp_path: Path) -> None:
    """What a dense table saves are its buckets, most of them empty."""
    answers = oracle.python(TABLES, path=str(tmp_path))
    assert len(answers) == 6
    for name, (at, want) in answers.items():
        loaded: Any = hozon.saved_model.load(tmp_path / name)
        np.testing.assert_array_equal(loaded(at), want, err_msg=name)


READS = """
class Reads(tf.Module):
    def __init__(self):
        super().__init__()
        open(path + ".txt", "w").write("1.5\\nred")
        self.asset = tf.saved_model.Asset(path + ".txt")
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def __call__(self, x):
        return tf.strings.join([x, tf.io.read_file(self.asset)])
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def any(self, x):
        return tf.io.read_file(x)
m = Reads()
tf.saved_model.save(m, path)
out["y"] = tf.saved_model.load(path)(tf.constant("a"))
"""


def test_assets_are_read_and_nothing_else(oracle: Oracle, tmp_path: Path) -> None:
    want = oracle.python(READS, path=str(tmp_path / "m"))["y"]
    loaded: Any = hozon.saved_model.load(tmp_path / "m")
    assert np.asarray(loaded("a")).item() == want == b"a1.5\nred"
    for outside in (str(tmp_path / "m.txt"), "../../m.txt", "asset:../../m.txt", "m.txt"):
        with pytest.raises(UnsafeError, match="not one of its assets"):
            loaded.any(outside)


def test_stateless_calls_of_functions_objects_and_models(loaded: Any) -> None:
    """Values are those of the variables of what is called, in that order."""
    want = jax.grad(lambda w: loaded.loss.stateless_call([w, 3.0], X)[0])(np.ones(2, "float32"))
    signature = loaded.signatures["loss"]
    assert [v.name for v in signature.variables] == ["w", "frozen"]
    have = jax.grad(lambda w: signature.stateless_call([w, 3.0], x=X)[0]["output_0"])(
        np.ones(2, "float32")
    )
    np.testing.assert_allclose(have, want)
    outputs, new = loaded.inner.stateless_call([np.float32([5, 6]), np.float32(1)], X)
    np.testing.assert_allclose(outputs, X * [5, 6] + 1)
    assert [np.asarray(v).tolist() for v in new] == [[5, 6], 1]


def test_what_a_function_takes_and_gives(loaded: Any) -> None:
    signature = loaded.signatures["loss"]
    (_, inputs) = signature.structured_input_signature
    assert [(n, s.shape, s.dtype) for n, s in inputs.items()] == [("x", (2,), "float32")]
    assert signature.structured_outputs["output_0"].shape == ()
    look = loaded.look.concrete_functions[0]
    args, keywords = look.structured_input_signature
    assert ([s.dtype for s in args], keywords) == (["string", "int32"], {})
    assert [s.dtype for s in look.structured_outputs] == ["int64", "int64", "float32"]


def test_a_model_called_as_a_function_of_all_its_variables(oracle: Oracle, tmp_path: Path) -> None:
    source = """
class Counts(tf.Module):
    def __init__(self):
        super().__init__()
        self.other = tf.Variable(9.)
        self.n = tf.Variable(1., trainable=False)
        self.w = tf.Variable(2.)
    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def __call__(self, x):
        self.n.assign_add(x)
        return self.n * self.w
m = Counts()
tf.saved_model.save(m, path)
"""
    oracle.python(source, path=str(tmp_path / "m"))
    model: Any = hozon.saved_model.load(tmp_path / "m")
    names = {id(model.other): "other", id(model.n): "n", id(model.w): "w"}
    values = {"other": 9.0, "n": 1.0, "w": 2.0}
    order = [names[id(v)] for v in model.variables]
    outputs, new = jax.jit(model.stateless_call)([values[n] for n in order], 3.0)
    assert float(outputs) == 8.0
    assert {n: float(v) for n, v in zip(order, new, strict=True)} == {**values, "n": 4.0}
    assert model.n.numpy() == 1.0
