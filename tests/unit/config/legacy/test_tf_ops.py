"""TensorFlow functions in the graphs of Keras 2 models, against TensorFlow.

Each case is a line of TensorFlow in a functional model of tf_keras; its JSON builds here and gives
the same numbers. `a` and `b` are floats (batch, 4, 6), `p` positive floats of that shape, `i`
integers (batch, 4), `t` booleans (batch, 4, 6), `g` images (batch, 6, 8, 3).
"""

from __future__ import annotations

import json
from typing import Any

import jax
import keras
import numpy as np
import pytest

from hozon.config.build import build_layer, build_model
from hozon.errors import UnsupportedError
from tests.oracle.client import Oracle

CASES = """
a + 1.0
1.0 + a
a - b
2.0 - a
a * b
3 * a
a / 2.0
1.0 / p
a // 0.5
i % 3
i // 2
i + 1
-a
abs(a)
p ** 2.0
2.0 ** a
a > 0.5
a >= b
a < b
a <= 0.0
~t
t & (a > 0.0)
t | (a > 0.0)
a @ tf.linalg.matrix_transpose(b)
a[:, 0]
a[:, 1:3, ::2]
a[..., -1]
a[:, tf.newaxis, :, 0]
a[:, :, ::-1]
tf.add(a, b)
tf.subtract(a, 1.0)
tf.multiply(a, b)
tf.divide(a, 2.0)
tf.maximum(a, b)
tf.minimum(a, 0.0)
tf.pow(p, 3.0)
tf.math.squared_difference(a, b)
tf.math.divide_no_nan(a, tf.nn.relu(b))
tf.math.floordiv(i, 2)
tf.math.floormod(i, 3)
tf.math.atan2(a, b)
tf.equal(i, 2)
tf.not_equal(i, 2)
tf.greater(a, b)
tf.logical_and(t, a > b)
tf.logical_or(t, a > b)
tf.logical_not(t)
tf.abs(a)
tf.negative(a)
tf.sign(a)
tf.square(a)
tf.sqrt(p)
tf.math.rsqrt(p)
tf.exp(a)
tf.math.expm1(a)
tf.math.log(p)
tf.math.log1p(p)
tf.sin(a)
tf.cos(a)
tf.tan(a)
tf.asin(a / 9.0)
tf.acos(a / 9.0)
tf.atan(a)
tf.sinh(a)
tf.cosh(a)
tf.tanh(a)
tf.floor(a)
tf.math.ceil(a)
tf.round(a)
tf.math.erf(a)
tf.math.reciprocal(p)
tf.math.reciprocal_no_nan(tf.nn.relu(a))
tf.math.is_nan(a)
tf.math.is_finite(a)
tf.sigmoid(a)
tf.math.log_sigmoid(a)
tf.math.softplus(a)
tf.nn.softsign(a)
tf.nn.relu(a)
tf.nn.relu6(4.0 * a)
tf.nn.elu(a)
tf.nn.selu(a)
tf.nn.gelu(a)
tf.nn.gelu(a, approximate=True)
tf.nn.silu(a)
tf.nn.swish(a)
tf.nn.leaky_relu(a)
tf.nn.leaky_relu(a, alpha=0.1)
tf.nn.softmax(a)
tf.nn.softmax(a, axis=1)
tf.nn.log_softmax(a)
tf.nn.l2_normalize(a, axis=-1)
tf.math.l2_normalize(a, axis=[1, 2])
tf.nn.bias_add(a, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
tf.nn.max_pool2d(g, 2, 2, "SAME")
tf.nn.avg_pool2d(g, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
tf.nn.depth_to_space(tf.concat([g, g, g, g], -1), 2)
tf.nn.space_to_depth(g, 2)
tf.nn.moments(a, axes=[1])
tf.nn.zero_fraction(a)
tf.reduce_mean(a)
tf.reduce_mean(a, axis=1)
tf.reduce_mean(a, axis=[1, 2], keepdims=True)
tf.reduce_sum(a, 2)
tf.reduce_sum(i, axis=1)
tf.reduce_max(a, axis=-1)
tf.reduce_min(a, axis=-1, keepdims=True)
tf.reduce_prod(a, axis=1)
tf.reduce_any(t, axis=1)
tf.reduce_all(t, axis=1)
tf.reduce_logsumexp(a, axis=1)
tf.math.reduce_std(a, axis=1)
tf.math.reduce_variance(a, axis=1)
tf.math.reduce_euclidean_norm(a, axis=1)
tf.compat.v1.reduce_mean(a, reduction_indices=[1])
tf.compat.v1.reduce_sum(a, axis=1, keep_dims=True)
tf.compat.v1.transpose(a, perm=[0, 2, 1])
tf.compat.v1.expand_dims(a, 1)
tf.argmax(a, axis=1)
tf.argmin(a, axis=-1, output_type=tf.int32)
tf.math.argmax(a, -1)
tf.cumsum(a, axis=1)
tf.cumsum(a, axis=1, exclusive=True, reverse=True)
tf.math.cumprod(a, axis=1)
tf.math.top_k(a, k=2)
tf.math.add_n([a, b, p])
tf.sort(a, axis=1)
tf.argsort(a, axis=1)
tf.argsort(a, axis=-1, direction="DESCENDING")
tf.sort(a, direction="DESCENDING")
tf.clip_by_norm(a, 1.0, axes=[2])
tf.math.cumprod(p, axis=1, exclusive=True)
tf.math.cumprod(p, axis=1, reverse=True)
tf.norm(a, axis=-1)
tf.norm(a, ord=1, axis=1, keepdims=True)
tf.cast(i, tf.float32)
tf.cast(a, "int32")
tf.cast(t, tf.float32)
tf.concat([a, b], axis=-1)
tf.concat([a, b], 1)
tf.stack([a, b], axis=1)
tf.unstack(a, axis=1)
tf.split(a, 2, axis=1)
tf.split(a, num_or_size_splits=[1, -1, 2], axis=2)
tf.reshape(a, [-1, 24])
tf.reshape(a, (-1, 2, 12))
tf.reshape(a, [tf.shape(a)[0], 3, 8])
tf.transpose(a, perm=[0, 2, 1])
tf.transpose(a, [0, 2, 1])
tf.expand_dims(a, axis=-1)
tf.expand_dims(a, 1)
tf.squeeze(tf.expand_dims(a, 1), axis=1)
tf.squeeze(a[:, :1], [1])
tf.tile(a, [1, 2, 1])
tf.repeat(a, 2, axis=1)
tf.pad(a, [[0, 0], [1, 2], [0, 1]])
tf.pad(a, [[0, 0], [1, 1], [2, 2]], mode="REFLECT")
tf.pad(a, [[0, 0], [1, 1], [2, 2]], constant_values=1.5)
tf.reverse(a, axis=[1])
tf.roll(a, shift=1, axis=1)
tf.gather(a, [2, 0], axis=1)
tf.gather(a, indices=[1], axis=-1)
tf.gather(a, i, axis=1, batch_dims=1)
tf.gather_nd(a, tf.stack([i[:, :1] * 0, i[:, :1]], -1))
tf.boolean_mask(a, [True, False, True, True], axis=1)
tf.slice(a, [0, 1, 2], [-1, 2, 3])
tf.strided_slice(a, [0, 1, 0], [3, 3, 6], [1, 1, 2])
tf.one_hot(i, 5)
tf.one_hot(i, depth=4, on_value=2.0, off_value=-1.0)
tf.where(t, a, b)
tf.where(t, a, 0.0)
tf.clip_by_value(a, -0.5, 0.5)
tf.zeros_like(a)
tf.ones_like(i)
tf.identity(a)
tf.stop_gradient(a)
tf.shape(a)
tf.size(a)
tf.rank(a)
tf.broadcast_to(a[:, :1], tf.shape(a))
tf.range(tf.shape(a)[1]) + i
tf.range(start=0, limit=tf.shape(i)[-1], delta=1) + i
tf.reshape(a, [tf.shape(a)[0] * 2, 12])
tf.reshape(a, [-1, tf.shape(a)[1] * tf.shape(a)[2]])
tf.reshape(a, tf.stack([tf.shape(a)[0], 24]))
tf.reshape(a, tf.concat([tf.shape(a)[:1], [24]], 0))
tf.zeros([tf.shape(a)[0], 2]) + a[:, 0, :2]
tf.fill([tf.shape(a)[0], 2], 7.0)
tf.range(4) + i
tf.linalg.matmul(a, b, transpose_b=True)
tf.matmul(a, b, transpose_a=True)
tf.linalg.norm(a, axis=1)
tf.linalg.diag_part(a[:, :, :4])
tf.linalg.band_part(a, 1, 0)
tf.linalg.l2_normalize(a, axis=1)
tf.linalg.matrix_transpose(a)
tf.linalg.det(a[:, :, :4])
tf.linalg.inv(a[:, :, :4])
tf.linalg.trace(a)
tf.linalg.matvec(a, b[:, 0])
tf.linalg.diag(a)
tf.linalg.solve(a[:, :, :4], b)
tf.strided_slice(a, [0, 1, 0], [0, 3, 4], begin_mask=1, end_mask=5)
tf.nn.local_response_normalization(g, depth_radius=1, bias=1.0, alpha=0.5, beta=0.75)
tf.nn.depthwise_conv2d(g, tf.ones([3, 3, 3, 2]), [1, 1, 1, 1], "SAME")
tf.nn.sparse_softmax_cross_entropy_with_logits(labels=i, logits=a)
tf.image.resize_with_crop_or_pad(g, 9, 4)
tf.image.rot90(g, k=3)
tf.image.transpose(g)
tf.tensordot(a, tf.ones([6, 2]), axes=1)
tf.image.resize(g, [12, 16])
tf.image.resize(g, (3, 4), method="nearest")
tf.image.resize(g, [9, 5], method="bicubic")
tf.image.flip_left_right(g)
tf.image.flip_up_down(g)
tf.image.rgb_to_grayscale(g)
tf.image.per_image_standardization(g)
tf.image.adjust_brightness(g, 0.1)
tf.image.adjust_contrast(g, 2.0)
tf.image.central_crop(g, 0.5)
tf.image.crop_to_bounding_box(g, 1, 2, 3, 4)
tf.image.pad_to_bounding_box(g, 1, 2, 9, 12)
tf.image.resize_with_crop_or_pad(g, 4, 10)
tf.image.rot90(g)
tf.image.grayscale_to_rgb(g[..., :1])
tf.image.convert_image_dtype(g, tf.float32)
tf.keras.backend.sum(a, axis=1)
tf.keras.backend.mean(a, axis=-1, keepdims=True)
tf.keras.backend.dot(a, tf.ones([6, 2]))
tf.keras.backend.sqrt(p)
tf.keras.backend.expand_dims(a, 1)
tf.keras.backend.l2_normalize(a, axis=-1)
tf.keras.backend.concatenate([a, b])
tf.keras.backend.softmax(a)
tf.keras.activations.relu(a)
tf.sequence_mask(i, 5)
tf.convert_to_tensor(a)
tf.nn.embedding_lookup(tf.ones([5, 2]), i)
tf.nn.dropout(a, 0.0)
tf.nn.conv2d(g, tf.ones([3, 3, 3, 2]), 1, "SAME")
tf.nn.sigmoid_cross_entropy_with_logits(t_float, a)
tf.nn.softmax_cross_entropy_with_logits(t_float, a)
""".strip().splitlines()

#: TensorFlow reads bicubic weights from a table of 1024 entries.
COARSE = {'tf.image.resize(g, [9, 5], method="bicubic")': 1e-3}

ORACLE = """
import json, warnings
answers = {}
for case in cases:
    keras.backend.clear_session()
    a, b, p = (keras.Input((4, 6), name=n) for n in "abp")
    i = keras.Input((4,), name="i", dtype="int32")
    t = keras.Input((4, 6), name="t", dtype="bool")
    g = keras.Input((6, 8, 3), name="g")
    scope = dict(tf=tf, a=a, b=b, p=p, i=i, t=t, g=g)
    try:
        if "t_float" in case:
            scope["t_float"] = tf.cast(t, tf.float32)
        y = eval(case.replace("tf.keras", "keras"), {**scope, "keras": keras})
        y = [y] if not isinstance(y, (list, tuple)) else list(y)
        model = keras.Model([a, b, p, i, t, g], y)
        values = model([tf.constant(inputs[n]) for n in "abpitg"])
        answers[case] = dict(json=model.to_json(), y=[v.numpy() for v in tf.nest.flatten(values)])
    except Exception as error:
        answers[case] = dict(error=f"{type(error).__name__}: {error}"[:300])
out.update(answers)
"""


def inputs() -> dict[str, Any]:
    random = np.random.default_rng(7)
    floats = {name: random.normal(size=(3, 4, 6)).astype(np.float32) for name in "ab"}
    return {
        **floats,
        "p": random.uniform(0.5, 2.0, (3, 4, 6)).astype(np.float32),
        "i": random.integers(0, 4, (3, 4)).astype(np.int32),
        "t": random.integers(0, 2, (3, 4, 6)).astype(bool),
        "g": random.uniform(0, 1, (3, 6, 8, 3)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return oracle.python(ORACLE, cases=CASES, inputs=inputs())


@pytest.mark.parametrize("case", CASES)
def test_as_tensorflow(answers: dict[str, Any], case: str) -> None:
    answer = answers[case]
    assert "error" not in answer, answer["error"]
    model = build_model(json.loads(answer["json"]), dialect="keras2")
    given, near = inputs(), COARSE.get(case, 2e-5)
    names = [tensor.name for tensor in model.inputs]
    found = keras.tree.flatten(model([given[name] for name in names]))
    assert len(found) == len(answer["y"])
    for x, wanted in zip(found, answer["y"], strict=True):
        x = np.asarray(x)
        assert x.shape == wanted.shape
        assert x.dtype == wanted.dtype or (x.dtype, wanted.dtype) == (np.int32, np.int64)
        np.testing.assert_allclose(x, wanted, rtol=near, atol=near)


#: Sizes are known to compiled programs too; these deal in them.
SIZED = [case for case in CASES if "tf.shape" in case or "tf.size" in case or "backend.dot" in case]


@pytest.mark.parametrize("case", SIZED)
def test_sizes_inside_compiled_programs(answers: dict[str, Any], case: str) -> None:
    model = build_model(json.loads(answers[case]["json"]), dialect="keras2")
    given = inputs()
    values = [given[tensor.name] for tensor in model.inputs]
    found = keras.tree.flatten(jax.jit(lambda *arrays: model(list(arrays)))(*values))
    for x, wanted in zip(found, answers[case]["y"], strict=True):
        np.testing.assert_allclose(np.asarray(x), wanted, rtol=2e-5, atol=2e-5)


def function_layer(**config: Any) -> keras.layers.Layer:
    return layer_of("TFOpLambda", **config)


def layer_of(class_name: str, **config: Any) -> keras.layers.Layer:
    entry = {"class_name": class_name, "config": {"name": "layer", **config}}
    return build_layer(entry, dialect="keras2")


@pytest.mark.parametrize(
    "name",
    [
        "math.igamma",
        "io.read_file",
        "py_function",
        "numpy_function",
        "__operators__.nothing",
        "os.system",
        "",
    ],
)
def test_unknown_functions_are_named(name: str) -> None:
    with pytest.raises(UnsupportedError, match="no counterpart") as error:
        function_layer(function=name)
    assert error.value.feature == name


def test_config_round_trip() -> None:
    layer = function_layer(function="math.reduce_mean", dtype="float32", trainable=True)
    config = layer.get_config()
    assert config["function"] == "math.reduce_mean"
    again = type(layer).from_config(config)
    assert again.get_config() == config
    np.testing.assert_allclose(again(np.ones((2, 3)), axis=1), [1.0, 1.0])


def test_masks_that_depend_on_data_are_refused() -> None:
    layer = layer_of("SlicingOpLambda", function="boolean_mask")
    with pytest.raises(UnsupportedError, match="depends on data"):
        layer(np.ones((3, 2)), mask=keras.ops.convert_to_tensor([True, False, True]))


@pytest.mark.parametrize("name", ["nn.space_to_depth", "nn.depth_to_space"])
def test_channels_first_blocks_are_refused(name: str) -> None:
    with pytest.raises(UnsupportedError, match="NCHW"):
        function_layer(function=name)(np.ones((1, 4, 4, 4)), block_size=2, data_format="NCHW")


#: Random functions, their values multiplied away where they are not constant.
RANDOM = """
a[:, 0] + tf.random.normal(tf.shape(a[:, 0])) * 0.0
a[:, 0] + keras.backend.random_normal(shape=(tf.shape(a)[0], 6), mean=1.0, stddev=2.0) * 0.0
a[:, 0] + tf.random.uniform([tf.shape(a)[0], 6], -1.0, 3.0) * 0.0
tf.random.uniform([tf.shape(a)[0], 6], maxval=1, dtype=tf.int32)
a + tf.random.truncated_normal(shape=tf.shape(a)) * 0.0
tf.nn.dropout(a, 0.5) * 0.0
""".strip().splitlines()


def test_random_functions_have_the_right_shapes(oracle: Oracle) -> None:
    told = oracle.python(ORACLE, cases=RANDOM, inputs=inputs())
    for case in RANDOM:
        test_as_tensorflow(told, case)


@pytest.mark.parametrize(
    ("name", "args", "mean", "spread"),
    [
        ("random.normal", {"mean": 1.0, "stddev": 2.0}, 1.0, 2.0),
        ("random.truncated_normal", {}, 0.0, 0.88),
        ("random.uniform", {"minval": -1.0, "maxval": 3.0}, 1.0, 1.155),
        ("compat.v1.random_uniform", {"minval": 0, "maxval": 4, "dtype": "int32"}, 1.5, 1.118),
    ],
)
def test_random_functions_draw_anew(
    name: str, args: dict[str, Any], mean: float, spread: float
) -> None:
    layer = function_layer(function=name)
    first, second = (np.asarray(layer([2000, 50], **args)) for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_allclose([first.mean(), first.std()], [mean, spread], atol=0.05)


def test_dropout_of_a_graph_drops_at_inference() -> None:
    layer = function_layer(function="nn.dropout")
    dropped = np.asarray(layer(np.ones((100, 100), np.float32), rate=0.25))
    np.testing.assert_allclose((dropped == 0).mean(), 0.25, atol=0.03)
    np.testing.assert_allclose(dropped.max(), 1 / 0.75, rtol=1e-6)


@pytest.mark.parametrize(
    "entry",
    [
        {"class_name": "InstanceProperty", "config": {"name": "p", "attr_name": "values"}},
        {"class_name": "InstanceMethod", "config": {"name": "m", "method_name": "row_lengths"}},
        {
            "class_name": "ClassMethod",
            "config": {"name": "c", "cls_symbol": "RaggedTensor", "method_name": "from_tensor"},
        },
    ],
)
def test_composite_tensors_are_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError):
        build_layer(entry, dialect="keras2")


def test_instance_properties_and_methods() -> None:
    shape = layer_of("InstanceProperty", attr_name="shape")
    dense = layer_of("InstanceMethod", method_name="to_tensor")
    x = np.arange(6.0).reshape(2, 3)
    assert list(shape(x)) == [2, 3]
    np.testing.assert_array_equal(dense(x), x)
