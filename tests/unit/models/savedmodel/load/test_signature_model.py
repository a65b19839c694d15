"""SavedModels that Keras did not write, as Keras models: they train as TensorFlow trains them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import MismatchError, UnsupportedError
from tests.oracle.client import Oracle

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(16, 1)).astype("float32")

MODULE = """
class Dense(tf.Module):
    def __init__(self, i, o, name=None):
        super().__init__(name=name)
        g = tf.random.Generator.from_seed(i * 7 + o)
        self.w = tf.Variable(0.5 * g.normal([i, o]), name="w")
        self.b = tf.Variable(tf.zeros([o]), name="b")
    def __call__(self, x):
        return x @ self.w + self.b

class Net(tf.Module):
    def __init__(self):
        super().__init__()
        self.first = Dense(3, 4)
        self.rest = [Dense(4, 4), Dense(4, 1)]
        self.scales = {"a": tf.Variable([1.5]), "b": tf.Variable([0.5], trainable=False)}
        self.same = self.first.b
        self.mean = tf.Variable(tf.zeros([3]), trainable=False, name="moving/mean")
        self.count = tf.Variable(0)
        self._hidden = tf.Variable(1.2, name="hidden")
        self.variables_ = tf.Variable(1.)
    @tf.function
    def __call__(self, x, training=False, shift=0.):
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * tf.reduce_mean(x, 0))
        self.count.assign_add(1)
        y = tf.nn.tanh(self.first(x - self.mean)) * self.scales["a"] * self.scales["b"]
        for layer in self.rest:
            y = layer(y) * self._hidden
        return y + shift + 0. * self.variables_

m = Net()
free = tf.TensorSpec([None, 3], tf.float32, name="x")
serving = m.__call__.get_concrete_function(free)
m.__call__.get_concrete_function(free, training=True)
tf.saved_model.save(m, path, signatures={"serving_default": serving, "other": serving})
out["before"] = m(x)
for _ in range(2):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(m(x, training=True) - y))
    pairs = [(v, g) for v, g in zip(m.trainable_variables,
             tape.gradient(loss, m.trainable_variables)) if g is not None]
    for v, g in pairs:
        v.assign_sub(0.02 * g)
out["loss"] = loss
out["after"] = m(x)
out["values"] = {
    "first/w": m.first.w, "b": m.first.b, "rest_0/w": m.rest[0].w, "rest_0/b": m.rest[0].b,
    "rest_1/w": m.rest[1].w, "rest_1/b": m.rest[1].b, "scales_a": m.scales["a"],
    "scales_b": m.scales["b"], "mean": m.mean, "count": m.count, "hidden": m._hidden,
    "variables_": m.variables_}
"""


@pytest.fixture(scope="module")
def module(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("module") / "net"
    return path, oracle.python(MODULE, path=str(path), x=X, y=Y)


@pytest.fixture
def net(module: tuple[Path, dict[str, Any]]) -> keras.Model:
    return hozon.load_model(module[0])


def trained(model: keras.Model, rate: float = 0.05) -> dict[str, Any]:
    model.compile(keras.optimizers.SGD(rate), "mse")
    return dict(model.fit(X, Y, epochs=2, batch_size=16, shuffle=False, verbose=0).history)


def by_path(model: keras.Model) -> dict[str, Any]:
    return {v.path.partition("/")[2]: np.asarray(v) for v in model.weights}


def test_variables_are_found_named_and_trainable_as_saved(
    module: tuple[Path, dict[str, Any]], net: Any
) -> None:
    assert set(by_path(net)) == set(module[1]["values"])
    frozen = {v.path.partition("/")[2] for v in net.non_trainable_variables}
    assert frozen == {"scales_b", "mean", "count"}
    assert net.first.w.shape == (3, 4)
    assert net.same is net.first.b
    assert net.rest[1].b.shape == (1,)
    assert net.scales["a"].trainable
    report = net.load_report.assert_consumed()
    assert len(report.matched) == 12
    assert report.rung("root") == "signature"
    assert "runs 'serving_default'" in report.objects[0].note


def test_training_steps_are_those_of_tensorflow(
    module: tuple[Path, dict[str, Any]], net: keras.Model
) -> None:
    """With the trace for training, its moving average, and a counter of calls."""
    _, want = module
    np.testing.assert_allclose(net(X), want["before"], rtol=1e-5, atol=1e-5)
    losses = trained(net, 0.02)["loss"]
    np.testing.assert_allclose(losses[-1], want["loss"], rtol=1e-4)
    got = by_path(net)
    for name, value in want["values"].items():
        if name != "count":
            np.testing.assert_allclose(got[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(net.predict(X, verbose=0), want["after"], rtol=1e-4, atol=1e-5)


def test_a_counter_counts_the_calls(net: Any) -> None:
    for _ in range(3):
        net(X)
    assert int(net.count) == 3
    net.predict(X, batch_size=8, verbose=0)
    assert int(net.count) == 5


@pytest.mark.parametrize(
    "name", ["w.safetensors", "w.weights.h5", "w.h5", "w.weights.json", "ckpt"]
)
def test_weights_are_saved_and_loaded(net: keras.Model, tmp_path: Path, name: str) -> None:
    before = by_path(net)
    hozon.save_weights(net, tmp_path / name)
    for v in net.weights:
        v.assign(v + 1)
    hozon.load_weights(net, tmp_path / name).assert_consumed()
    for path, value in by_path(net).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)


def test_a_checkpoint_of_the_model_is_one_of_the_module(
    oracle: Oracle, net: keras.Model, tmp_path: Path
) -> None:
    trained(net, 0.02)
    hozon.save_weights(net, tmp_path / "ckpt")
    restored = (
        MODULE.partition("m = Net()")[0]
        + """
m = Net()
tf.train.Checkpoint(m).read(path).assert_existing_objects_matched()
out["y"] = m(x)
"""
    )
    got = oracle.python(restored, path=str(tmp_path / "ckpt"), x=X)["y"]
    np.testing.assert_allclose(net.predict(X, verbose=0), got, rtol=1e-5, atol=1e-5)


def test_the_model_is_saved_again(oracle: Oracle, net: keras.Model, tmp_path: Path) -> None:
    trained(net, 0.02)
    want = net.predict(X, verbose=0)
    hozon.save_model(net, tmp_path / "again")
    again = hozon.load_model(tmp_path / "again", compile=False)
    np.testing.assert_allclose(again.predict(X, verbose=0), want, rtol=1e-5, atol=1e-5)
    assert len(again.trainable_variables) == len(net.trainable_variables)
    served = oracle.python(
        "s = tf.saved_model.load(path).signatures['serving_default']\n"
        "out['y'] = list(s(tf.constant(x)).values())[0]",
        path=str(tmp_path / "again"),
        x=X,
    )["y"]
    np.testing.assert_allclose(served, want, rtol=1e-5, atol=1e-5)
    for suffix in ("m.keras", "m.h5"):
        with pytest.raises(UnsupportedError, match="config"):
            hozon.save_model(net, tmp_path / suffix)


def test_it_is_a_layer_of_other_models(net: keras.Model) -> None:
    inputs = keras.Input((3,))
    whole = keras.Model(inputs, keras.layers.Dense(2)(net(inputs)))
    whole.compile("sgd", "mse")
    before = by_path(net)["first/w"]
    whole.fit(X, np.zeros((16, 2)), verbose=0)
    assert np.abs(by_path(net)["first/w"] - before).max() > 0
    net.trainable = False
    assert len(whole.trainable_variables) == 2
    model = keras.Sequential([net, keras.layers.Dense(2)])
    assert model.predict(X, verbose=0).shape == (16, 2)


CHOICES = """
spec = tf.TensorSpec([None, 2], tf.float32, "x")
class Several(tf.Module):
    def __init__(self):
        super().__init__()
        self.n = tf.Variable(0., trainable=False)
    @tf.function(input_signature=[spec])
    def calibrate(self, x):
        self.n.assign_add(1.)
        return {"n": self.n + 0. * x}
    @tf.function(input_signature=[spec])
    def predict(self, x):
        return {"y": 10. * x}
    @tf.function(input_signature=[spec])
    def __call__(self, x):
        return 2. * x
class Fixed(tf.Module):
    @tf.function
    def __call__(self, x, scale=1.):
        return scale * x
s, f = Several(), Fixed()
save = lambda m, name, *a: tf.saved_model.save(m, path + "/" + name, *a)
save(s, "several", {"predict": s.predict, "calibrate": s.calibrate})
save(s, "default", {"a": s.calibrate, "serving_default": s.predict})
save(s, "changes", {"calibrate": s.calibrate})
save(s, "none")
save(tf.Module(), "nothing")
doubled = f.__call__.get_concrete_function(spec, 2.)
f.__call__.get_concrete_function(spec)
save(f, "fixed", {"serving_default": doubled})
save(tf.function(lambda x: 3. * x, input_signature=[spec]).get_concrete_function(), "bare")
"""
PAIR = np.array([[1, 2], [3, 4]], "float32")


@pytest.fixture(scope="module")
def choices(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("choices")
    oracle.python(CHOICES, path=str(path))
    return path


def value(outputs: Any) -> Any:
    return outputs["y"] if isinstance(outputs, dict) else outputs


def test_the_signature_that_the_user_names(choices: Path) -> None:
    model = hozon.load_model(choices / "several", signature="predict")
    np.testing.assert_array_equal(value(model(PAIR)), 10 * PAIR)
    model = hozon.load_model(choices / "several", signature="__call__")
    np.testing.assert_array_equal(model(PAIR), 2 * PAIR)
    model = hozon.load_model(choices / "several", signature="calibrate")
    model(PAIR)
    assert float(model.n) == 1.0
    for wrong in ("predcit", "serving_default"):
        with pytest.raises(MismatchError, match=r"there are .*'predict'.*'__call__'"):
            hozon.load_model(choices / "several", signature=wrong)
    with pytest.raises(MismatchError, match="did you mean 'predict'"):
        hozon.load_model(choices / "several", signature="predcit")


def test_no_signature_is_the_default_because_of_its_name_s_place(choices: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"several signatures.*signature='"):
        hozon.load_model(choices / "several")
    model = hozon.load_model(choices / "default")
    np.testing.assert_array_equal(value(model(PAIR)), 10 * PAIR)
    with pytest.raises(UnsupportedError, match=r"'calibrate', changes variables.*signature="):
        hozon.load_model(choices / "changes")


def test_without_signatures_the_root_is_called(choices: Path) -> None:
    np.testing.assert_array_equal(hozon.load_model(choices / "none")(PAIR), 2 * PAIR)
    np.testing.assert_array_equal(hozon.load_model(choices / "bare")(PAIR), 3 * PAIR)
    with pytest.raises(UnsupportedError, match="neither Keras objects nor signatures"):
        hozon.load_model(choices / "nothing")


def test_python_values_of_the_trace_stay(choices: Path) -> None:
    """The signature was made with scale=2, the function's default is 1."""
    model = hozon.load_model(choices / "fixed")
    np.testing.assert_array_equal(model(PAIR), 2 * PAIR)
    np.testing.assert_array_equal(model(PAIR, scale=1.0), PAIR)
    np.testing.assert_array_equal(model.predict(PAIR, verbose=0), 2 * PAIR)


def test_a_signature_is_for_models_that_keras_did_not_write(oracle: Oracle, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    for name in ("m", "m.keras", "m.h5"):
        hozon.save_model(model, tmp_path / name)
        with pytest.raises(UnsupportedError, match="a Keras model"):
            hozon.load_model(tmp_path / name, signature="serving_default")


FORMS = """
def spec(name=None): return tf.TensorSpec([None, 2], tf.float32, name)
class Order(tf.Module):
    @tf.function(input_signature=[spec(), spec()])
    def __call__(self, query, context):
        return query - 10. * context, {"q": query}
class Nested(tf.Module):
    @tf.function(input_signature=[{"b": spec("b"), "a": spec("a")}, [spec("c"), spec("d")]])
    def __call__(self, x, y):
        return {"p": x["a"] - 2. * x["b"], "q": y[0] + 3. * y[1]}
class Optional(tf.Module):
    @tf.function
    def __call__(self, x, *, bias=None, scale=1.):
        return (x if bias is None else x + bias) * scale
o, n, p = Order(), Nested(), Optional()
free = tf.function(lambda zeta, alpha: {"y": zeta - 10. * alpha}, input_signature=[spec(), spec()])
x = tf.ones([3, 2])
p(x), p(x, bias=x), p(x, bias=x, scale=2.)
tf.saved_model.save(o, path + "/order")
tf.saved_model.save(tf.Module(), path + "/free", free)
tf.saved_model.save(n, path + "/nested", n.__call__)
tf.saved_model.save(p, path + "/optional")
v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as s:
    zeta, alpha = v1.placeholder(tf.float32, [None, 2]), v1.placeholder(tf.float32, [None, 2])
    v1.saved_model.simple_save(s, path + "/v1", {"zeta": zeta, "alpha": alpha}, {"y": zeta - alpha})
"""
A, B = PAIR, PAIR[::-1] * 3


@pytest.fixture(scope="module")
def forms(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("forms")
    oracle.python(FORMS, path=str(path))
    return path


@pytest.mark.parametrize("name", ["order", "free"])
def test_inputs_come_in_the_function_s_order(forms: Path, name: str) -> None:
    """Signatures list them by the alphabet, functions do not."""
    model = hozon.load_model(forms / name)
    first, second = ("query", "context") if name == "order" else ("zeta", "alpha")

    def check(outputs: Any) -> None:
        y = outputs[0] if isinstance(outputs, (tuple, list)) else value(outputs)
        np.testing.assert_array_equal(y, A - 10 * B)

    for outputs in (
        model([A, B]),
        model((A, B)),
        model(A, B),
        model({second: B, first: A}),
        model(A, **{second: B}),
        model.predict([A, B], verbose=0),
        model.predict({first: A, second: B}, verbose=0),
    ):
        check(outputs)
    for wrong in ([A, B, A], A, [A], {first: A}, {first: A, "contxt": B}):
        with pytest.raises(MismatchError, match=f"{second}|{first}"):
            model(wrong)
    with pytest.raises(MismatchError, match="contxt"):
        model({first: A, second: B, "contxt": B})


def test_outputs_keep_their_structure(forms: Path) -> None:
    outputs = hozon.load_model(forms / "order")([A, B])
    assert isinstance(outputs, tuple)
    np.testing.assert_array_equal(outputs[1]["q"], A)
    assert set(hozon.load_model(forms / "nested")([{"a": A, "b": B}, [A, B]])) == {"p", "q"}


def test_nested_inputs(forms: Path) -> None:
    model = hozon.load_model(forms / "nested")
    for inputs in (
        [{"a": A, "b": B}, [A, B]],
        {"x": {"b": B, "a": A}, "y": [A, B]},
        {"a": A, "b": B, "c": A, "d": B},
    ):
        for outputs in (model(inputs), model.predict(inputs, verbose=0)):
            np.testing.assert_array_equal(outputs["p"], A - 2 * B)
            np.testing.assert_array_equal(outputs["q"], A + 3 * B)
    np.testing.assert_array_equal(model({"a": A, "b": B}, [A, B])["p"], A - 2 * B)


def test_keywords_and_default_values(forms: Path) -> None:
    model = hozon.load_model(forms / "optional")
    x = np.ones((3, 2), "float32")
    np.testing.assert_array_equal(model(x), x)
    np.testing.assert_array_equal(model(x, bias=x), 2 * x)
    np.testing.assert_array_equal(model(x, bias=x, scale=2.0), 4 * x)
    with pytest.raises(MismatchError):
        model(x, scale=3.0)
    with pytest.raises(MismatchError, match="baias"):
        model(x, baias=x)


def test_a_graph_without_functions_takes_several_inputs_by_name(forms: Path) -> None:
    model = hozon.load_model(forms / "v1")
    np.testing.assert_array_equal(model({"alpha": B, "zeta": A}), A - B)
    for wrong in ([A, B], A, [A]):
        with pytest.raises(MismatchError, match=r"does not tell the order.*alpha, zeta"):
            model(wrong)


def test_a_signature_s_own_default_values(oracle: Oracle, tmp_path: Path) -> None:
    """The input without one is the one that is given."""
    source = """
v1 = tf.compat.v1
from tensorflow.core.protobuf import saved_model_pb2
with tf.Graph().as_default(), v1.Session() as s:
    x, k = v1.placeholder(tf.float32, [None], name="x"), v1.placeholder(tf.float32, [], name="k")
    v1.saved_model.simple_save(s, path, {"x": x, "k": k}, {"y": x * k})
pb = saved_model_pb2.SavedModel(); pb.ParseFromString(open(path + "/saved_model.pb", "rb").read())
signature = pb.meta_graphs[0].signature_def["serving_default"]
signature.defaults["k"].CopyFrom(tf.make_tensor_proto(5., tf.float32))
open(path + "/saved_model.pb", "wb").write(pb.SerializeToString())
"""
    oracle.python(source, path=str(tmp_path / "m"))
    model = hozon.load_model(tmp_path / "m")
    x = np.float32([1, 2])
    np.testing.assert_array_equal(model(x), [5, 10])
    np.testing.assert_array_equal(model.predict(x, verbose=0), [5, 10])
    np.testing.assert_array_equal(model({"x": x, "k": np.float32(2)}), [2, 4])
    np.testing.assert_array_equal(model(x, k=np.float32(3)), [3, 6])


GRAPH = """
v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as s:
    v = tf.constant(x)
    inputs = v1.placeholder(tf.float32, [None, 3], name="inputs")
    with v1.variable_scope("dense", use_resource=RESOURCE):
        k = v1.get_variable("kernel", [3, 4], initializer=v1.random_normal_initializer(seed=1))
        b = v1.get_variable("bias", [4], initializer=v1.zeros_initializer())
    with v1.variable_scope("head", use_resource=RESOURCE):
        h = v1.get_variable("kernel", [4, 1], initializer=v1.random_normal_initializer(seed=2))
        f = v1.get_variable("fixed", [], initializer=v1.ones_initializer(), trainable=False)
    step = v1.train.get_or_create_global_step()
    y_ = tf.matmul(tf.tanh(tf.matmul(inputs, k) + b), h) * f
    s.run(v1.global_variables_initializer())
    v1.saved_model.simple_save(s, path, {"inputs": inputs}, {"y": y_})
    loss = tf.reduce_mean(tf.square(y_ - y))
    train = v1.train.GradientDescentOptimizer(0.05).minimize(loss)
    out["before"] = s.run(y_, {inputs: x})
    for _ in range(2):
        s.run(train, {inputs: x})
    out["after"] = s.run(y_, {inputs: x})
    out["values"] = dict(zip(("dense/kernel", "dense/bias", "head/kernel", "head/fixed"),
                             s.run([k, b, h, f])))
"""


@pytest.mark.parametrize("resource", [True, False])
def test_a_tensorflow_1_export_trains(oracle: Oracle, tmp_path: Path, resource: bool) -> None:
    want = oracle.python(GRAPH, path=str(tmp_path / "m"), x=X, y=Y, RESOURCE=resource)
    model = hozon.load_model(tmp_path / "m")
    assert {v.path.partition("/")[2] for v in model.trainable_variables} == {
        "dense/kernel",
        "dense/bias",
        "head/kernel",
    }
    assert {v.path.partition("/")[2] for v in model.non_trainable_variables} == {
        "head/fixed",
        "global_step",
    }
    np.testing.assert_allclose(model(X), want["before"], rtol=1e-5, atol=1e-6)
    trained(model)
    np.testing.assert_allclose(model.predict(X, verbose=0), want["after"], rtol=1e-4, atol=1e-5)
    got = by_path(model)
    for name, value_ in want["values"].items():
        np.testing.assert_allclose(got[name], value_, rtol=1e-4, atol=1e-5, err_msg=name)
    hozon.save_weights(model, tmp_path / "w.safetensors")
    again = hozon.load_model(tmp_path / "m")
    hozon.load_weights(again, tmp_path / "w.safetensors").assert_consumed()
    np.testing.assert_array_equal(again(X), model(X))


EXPORT = """
import keras as k3
k3.utils.set_random_seed(3)
a, b = k3.Input((3,), name="zeta"), k3.Input((3,), name="alpha")
h = k3.layers.BatchNormalization()(k3.layers.Dense(4, name="one")(a))
frozen = k3.layers.Dense(4, name="two")
frozen.trainable = False
y = k3.layers.Dense(1)(k3.layers.concatenate([h, frozen(b)]))
model = k3.Model([a, b], y)
model.export(path, verbose=False)
out["before"] = model([x, -x])
loaded = tf.saved_model.load(path)
v = list(loaded.trainable_variables)
for _ in range(2):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(loaded.serve([tf.constant(x), -tf.constant(x)]) - t))
    for w, g in zip(v, tape.gradient(loss, v)):
        w.assign_sub(0.05 * g)
out["after"] = loaded.serve([tf.constant(x), -tf.constant(x)])
out["count"] = (len(model.trainable_variables), len(model.non_trainable_variables))
"""


def test_an_export_of_keras_3_trains(oracle: Oracle, tmp_path: Path) -> None:
    """Its file holds each variable twice; one of each is the model's."""
    want = oracle.python(EXPORT, path=str(tmp_path / "m"), x=X, t=Y)
    model = hozon.load_model(tmp_path / "m")
    counts = len(model.trainable_variables), len(model.non_trainable_variables)
    assert counts == want["count"]
    assert {v.path for v in model.trainable_variables} >= {"m/one/kernel", "m/one/bias"}
    assert any("left out" in note for note in model.load_report.converted)
    np.testing.assert_allclose(model([X, -X]), want["before"], rtol=1e-5, atol=1e-5)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model.fit([X, -X], Y, epochs=2, batch_size=16, shuffle=False, verbose=0)
    np.testing.assert_allclose(
        model.predict([X, -X], verbose=0), want["after"], rtol=1e-4, atol=1e-5
    )


PREPROCESSING = """
import keras as k3
L = k3.layers
numbers = np.array([[-1.], [2.5], [9.]], "float32")
pairs = np.array([[0, 1], [2, 2], [3, 0]], "int64")
bins = [0., 1., 3.]
cases = {
    "bins, multi_hot": (numbers, lambda: L.Discretization(bins, output_mode="multi_hot")),
    "bins, count": (numbers, lambda: L.Discretization(bins, output_mode="count")),
    "categories, multi_hot": (pairs, lambda: L.CategoryEncoding(4)),
    "categories, count": (pairs, lambda: L.CategoryEncoding(4, output_mode="count")),
    "hashes": (pairs, lambda: L.Hashing(5, salt=[3, 4])),
    "hashes, count": (pairs, lambda: L.Hashing(5, mask_value=2, output_mode="count")),
    "lookup": (pairs, lambda: L.IntegerLookup(vocabulary=[1, 3], output_mode="count")),
}
targets = np.array([[1.], [0.], [2.]], "float32")
for name, (data, layer) in cases.items():
    k3.utils.set_random_seed(1)
    inputs = k3.Input(data.shape[1:], dtype=data.dtype.name)
    y = L.Dense(1)(k3.ops.cast(layer()(inputs), "float32"))
    model = k3.Model(inputs, y)
    model.export(path + name, verbose=False)
    loaded = tf.saved_model.load(path + name)
    before = loaded.serve(tf.constant(data)).numpy()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(loaded.serve(tf.constant(data)) - targets))
    for v, g in zip(loaded.trainable_variables, tape.gradient(loss, loaded.trainable_variables)):
        v.assign_sub(0.01 * g)
    out[name] = data, targets, before, loaded.serve(tf.constant(data)).numpy()
"""


def test_an_export_that_counts_and_hashes(oracle: Oracle, tmp_path: Path) -> None:
    """How many bins there are is known; the rest of what looks at data runs on the host."""
    want = oracle.python(PREPROCESSING, path=str(tmp_path) + "/")
    assert len(want) == 7
    for name, (data, targets, before, after) in want.items():
        model = hozon.load_model(tmp_path / name)
        np.testing.assert_allclose(model.predict(data, verbose=0), before, 1e-5, 1e-5, err_msg=name)
        model.compile(keras.optimizers.SGD(0.01), "mse")
        model.fit(data, targets, verbose=0)
        np.testing.assert_allclose(model.predict(data, verbose=0), after, 1e-4, 1e-5, err_msg=name)
        assert model.run_eagerly == (name in ("hashes", "hashes, count", "lookup")), name


REUSED = """
class Reused(tf.Module):
    def __init__(self):
        super().__init__()
        self._w = tf.Variable([[1.], [2.], [3.]], name="w")
        self._fixed = tf.Variable(1., name="fixed")
        self.variables_list = None
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    def __call__(self, x):
        return x @ self._w * self._fixed
    @tf.function(input_signature=[])
    def penalty(self):
        return 0.1 * tf.reduce_sum(self._w ** 2)
m = Reused()
root = tf.train.Checkpoint()
root.variables, root.trainable_variables = [m._w, m._fixed], [m._w]
root.regularization_losses = [m.penalty]
root.__call__ = m.__call__
tf.saved_model.save(root, path)
for _ in range(2):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(m(x) - y)) + m.penalty()
    m._w.assign_sub(0.05 * tape.gradient(loss, m._w))
out["w"] = m._w
out["loss"] = loss
"""


def test_a_savedmodel_made_to_be_used_again(oracle: Oracle, tmp_path: Path) -> None:
    """It lists what trains, and functions of penalties (TensorFlow Hub's convention)."""
    want = oracle.python(REUSED, path=str(tmp_path / "m"), x=X, y=Y)
    model = hozon.load_model(tmp_path / "m")
    assert [v.path for v in model.trainable_variables] == ["m/w"]
    assert [v.path for v in model.non_trainable_variables] == ["m/fixed"]
    losses = trained(model)["loss"]
    np.testing.assert_allclose(losses[-1], want["loss"], rtol=1e-4)
    np.testing.assert_allclose(by_path(model)["w"], want["w"], rtol=1e-4)


def test_what_keras_cannot_hold_is_told(oracle: Oracle, tmp_path: Path) -> None:
    source = """
class Odd(tf.Module):
    def __init__(self):
        super().__init__()
        self.text = tf.Variable(["a", "b"])
        self.big = tf.Variable(2 ** 40, dtype=tf.int64)
        self.w = tf.Variable(2.)
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def __call__(self, x):
        return x + self.big
m = Odd()
tf.saved_model.save(m, path)
"""
    oracle.python(source, path=str(tmp_path / "m"))
    model = hozon.load_model(tmp_path / "m")
    assert set(by_path(model)) == {"w"}
    assert np.asarray(model(np.array([1]))).tolist() == [2**40 + 1]
    notes = " ".join(model.load_report.converted)
    assert "is text" in notes
    assert "beyond 32 bits" in notes


STEPS = """
class Base(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable([[1.], [2.], [-1.]])
        self.n = tf.Variable(0.)
        self.seen = tf.Variable(tf.zeros([4]), trainable=False)
        self.at = tf.Variable(0, trainable=False)
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
            tf.constant([-1, 7], tf.int64), tf.constant([1, 2], tf.int64)), 0)
        self.rows = tf.Variable([[1.], [2.], [3.]])
class Counts(Base):
    @tf.function
    def __call__(self, x):
        self.n.assign_add(1.)
        return x @ self.w
class Clips(Base):
    @tf.function
    def __call__(self, x):
        self.w.assign(tf.clip_by_value(self.w, -1.5, 1.5))
        return x @ self.w
class Remembers(Base):
    @tf.function
    def __call__(self, x):
        self.seen.scatter_update(tf.IndexedSlices([tf.reduce_mean(x)], [self.at]))
        self.at.assign((self.at + 1) % 4)
        return x @ self.w + tf.reduce_sum(self.seen)
class Loops(Base):
    @tf.function
    def __call__(self, x):
        step = lambda i, h: (i + 1, tf.tanh(h + 0.3 * x @ self.w))
        return tf.while_loop(lambda i, h: i < 3, step, (0, tf.zeros_like(x[:, :1])))[1]
class Looks(Base):
    @tf.function
    def __call__(self, x):
        ids = self.table.lookup(tf.cast(tf.sign(x[:, 0]), tf.int64) * 3 + 4)
        return tf.gather(self.rows, ids) * self.n + x @ self.w
kinds = {"counts": Counts, "clips": Clips, "remembers": Remembers, "loops": Loops, "looks": Looks}
m = kinds[KIND]()
tf.saved_model.save(m, path, m.__call__.get_concrete_function(tf.TensorSpec([None, 3], tf.float32)))
for _ in range(2):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(m(tf.constant(x)) - y))
    for v, g in zip(m.trainable_variables, tape.gradient(loss, m.trainable_variables)):
        if g is not None:
            v.assign_sub(0.05 * tf.convert_to_tensor(g))
out["loss"] = loss
out["values"] = {k: getattr(m, k) for k in ("w", "n", "seen", "at", "rows")}
"""


@pytest.mark.parametrize("kind", ["counts", "clips", "remembers", "loops", "looks"])
def test_what_a_call_assigns_stays_and_trains_on(oracle: Oracle, tmp_path: Path, kind: str) -> None:
    """Trainable variables too: first the assignment, then the optimizer's step."""
    want = oracle.python(STEPS, path=str(tmp_path / "m"), x=X, y=Y, KIND=kind)
    model: Any = hozon.load_model(tmp_path / "m")
    losses = trained(model)["loss"]
    np.testing.assert_allclose(losses[-1], want["loss"], rtol=1e-4)
    for name, value_ in want["values"].items():
        np.testing.assert_allclose(
            np.asarray(getattr(model, name)), value_, rtol=1e-4, atol=1e-5, err_msg=name
        )
    assert np.isfinite(model.evaluate(X, Y, verbose=0))


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")
def test_variables_of_64_bits_are_written_as_such(oracle: Oracle, tmp_path: Path) -> None:
    source = """
class Wide(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(np.ones((3, 1)))
        self.n = tf.Variable(3, dtype=tf.int64)
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float64)])
    def __call__(self, x):
        return x @ self.w + tf.cast(self.n, tf.float64)
m = Wide()
tf.saved_model.save(m, path)
"""
    oracle.python(source, path=str(tmp_path / "m"))
    model = hozon.load_model(tmp_path / "m")
    x = X.astype("float64")
    np.testing.assert_allclose(model(x), x.sum(1, keepdims=True) + 3, rtol=1e-6)
    hozon.save_weights(model, tmp_path / "ckpt")
    read = "r = tf.train.load_checkpoint(path); out.update(r.get_variable_to_dtype_map())"
    dtypes = oracle.python(
        read + "; out = {k: v.name for k, v in out.items()}", path=str(tmp_path / "ckpt")
    )
    kept = {k.partition("/")[0]: v for k, v in dtypes.items() if "VARIABLE_VALUE" in k}
    assert (kept["w"], kept["n"]) == ("float64", "int64")
    hozon.save_model(model, tmp_path / "again")
    again = hozon.load_model(tmp_path / "again", compile=False)
    np.testing.assert_allclose(again(x), model(x), rtol=1e-6)
