"""Models of Keras 3 in Keras 2's dialect: tf_keras computes the same with the same weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from hozon.config.build import build_model
from hozon.config.downgrade import to_keras2
from hozon.errors import FormatError, UnsupportedError

L, ops = keras.layers, keras.ops
Made = Callable[[], keras.Model]
MODELS: dict[str, Made] = {}
OPERATIONS: dict[str, Made] = {}


def model(table: dict[str, Made]) -> Callable[[Made], Made]:
    def add(function: Made) -> Made:
        table[function.__name__] = function
        return function

    return add


@model(MODELS)
def sequential() -> keras.Model:
    return keras.Sequential(
        [
            L.Input((4,)),
            L.Dense(3, activation="relu"),
            L.Dropout(0.5),
            L.BatchNormalization(),
            L.Dense(2),
        ]
    )


@model(MODELS)
def convolutional() -> keras.Model:
    return keras.Sequential(
        [
            L.Input((8, 8, 3)),
            L.Conv2D(4, 3, padding="same"),
            L.BatchNormalization(),
            L.ReLU(6.0),
            L.DepthwiseConv2D(3),
            L.SeparableConv2D(3, 2),
            L.LeakyReLU(),
            L.MaxPooling2D(),
            L.Conv2DTranspose(2, 2),
            L.GlobalAveragePooling2D(),
            L.Dense(2, activation="softmax"),
        ]
    )


@model(MODELS)
def shared_layer() -> keras.Model:
    dense, x, y = L.Dense(3), L.Input((3,)), L.Input((3,))
    return keras.Model([x, y], L.Subtract()([dense(x), dense(dense(y))]))


@model(MODELS)
def several_outputs() -> keras.Model:
    x = L.Input((4,))
    a = L.Dense(3, name="a")(x)
    return keras.Model(x, [a, L.Dense(2)(a), a])


@model(MODELS)
def nested_functional() -> keras.Model:
    a = L.Input((3,))
    inner = keras.Model(a, [L.Dense(2)(a), L.Dense(3)(a)], name="inner")
    x = L.Input((3,))
    p, q = inner(x)
    r, _ = inner(q)
    return keras.Model(x, [L.Concatenate()([p, r]), r, q])


@model(MODELS)
def nested_functional_last() -> keras.Model:
    a = L.Input((3,))
    inner = keras.Model(a, L.Dense(3)(a), name="inner")
    x = L.Input((3,))
    return keras.Model(x, inner(inner(x)))


@model(MODELS)
def nested_sequential() -> keras.Model:
    inner = keras.Sequential([L.Input((3,)), L.Dense(3, activation="tanh")], name="inner")
    x = L.Input((3,))
    return keras.Model(x, L.Add()([inner(x), inner(inner(x))]))


@model(MODELS)
def deferred_sequential() -> keras.Model:
    inner = keras.Sequential([L.Dense(2), L.Dense(3)], name="inner")
    x = L.Input((3,))
    return keras.Model(x, inner(x))


@model(MODELS)
def sequential_of_models() -> keras.Model:
    inner = keras.Sequential([L.Input((3,)), L.Dense(2)], name="inner")
    a = L.Input((2,))
    return keras.Sequential([L.Input((3,)), inner, keras.Model(a, L.Dense(2)(a)), L.Dense(1)])


@model(MODELS)
def model_used_before() -> keras.Model:
    a = L.Input((3,))
    inner = keras.Model(a, L.Dense(3)(a), name="inner")
    inner(L.Input((3,)))
    dense = L.Dense(2)
    dense(L.Input((3,)))
    x = L.Input((3,))
    return keras.Model(x, dense(inner(x)))


@model(MODELS)
def dict_inputs() -> keras.Model:
    x, y = L.Input((3,), name="x"), L.Input((3,), name="y")
    return keras.Model({"x": x, "y": y}, {"sum": L.Add()([x, y]), "dense": L.Dense(2)(y)})


@model(MODELS)
def initial_state() -> keras.Model:
    x, y = L.Input((5, 3)), L.Input((6, 3))
    _, h, c = L.LSTM(4, return_state=True)(x)
    return keras.Model([x, y], L.LSTM(4, return_sequences=True)(y, initial_state=[h, c]))


@model(MODELS)
def one_state() -> keras.Model:
    x, s = L.Input((5, 3)), L.Input((4,))
    return keras.Model([x, s], L.GRU(4, reset_after=False)(x, initial_state=s))


@model(MODELS)
def bidirectional() -> keras.Model:
    x, states = L.Input((5, 3)), [L.Input((4,)) for _ in range(4)]
    y = L.Bidirectional(L.LSTM(4, return_sequences=True))(x, initial_state=states)
    return keras.Model([x, *states], L.Bidirectional(L.GRU(2), merge_mode="sum")(y))


@model(MODELS)
def other_backward_layer() -> keras.Model:
    x = L.Input((5, 3))
    both = L.Bidirectional(
        L.LSTM(4), backward_layer=L.LSTM(4, activation="relu", go_backwards=True)
    )
    return keras.Model(x, both(x))


@model(MODELS)
def embedding_mask() -> keras.Model:
    x = L.Input((5,), dtype="int32")
    y = L.Embedding(7, 4, mask_zero=True)(x)
    y = L.LSTM(3, return_sequences=True)(L.Dropout(0.5)(y))
    return keras.Model(x, L.GRU(2)(y))


@model(MODELS)
def masking_layer() -> keras.Model:
    x = L.Input((5, 3))
    y = L.Masking(0.0)(x)
    return keras.Model(
        x, L.TimeDistributed(L.Dense(2))(L.Bidirectional(L.SimpleRNN(3, return_sequences=True))(y))
    )


@model(MODELS)
def pooled_mask() -> keras.Model:
    x = L.Input((5,), dtype="int32")
    y = L.Embedding(7, 4, mask_zero=True)(x)
    return keras.Model(x, L.Dense(2)(L.GlobalAveragePooling1D()(y)))


@model(MODELS)
def transformer() -> keras.Model:
    x = L.Input((5, 4))
    y = L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    y = L.LayerNormalization()(L.Add()([x, y]))
    z, scores = L.MultiHeadAttention(2, 2, output_shape=4)(
        query=y, value=x, key=x, return_attention_scores=True
    )
    return keras.Model(x, [L.Dense(4, activation="gelu")(z), scores])


@model(MODELS)
def masked_transformer() -> keras.Model:
    x = L.Input((5,), dtype="int32")
    y = L.Embedding(7, 4, mask_zero=True)(x)
    return keras.Model(x, L.MultiHeadAttention(2, 3)(y, y))


@model(MODELS)
def attention_mask() -> keras.Model:
    x, y, k = L.Input((5, 4)), L.Input((6, 4)), L.Input((5, 6), dtype="bool")
    return keras.Model([x, y, k], L.MultiHeadAttention(2, 3)(x, y, attention_mask=k))


@model(MODELS)
def attention() -> keras.Model:
    x, y = L.Input((5, 4)), L.Input((6, 4))
    return keras.Model([x, y], [L.Attention(use_scale=True)([x, y]), L.AdditiveAttention()([x, y])])


@model(MODELS)
def cells() -> keras.Model:
    x = L.Input((5, 3))
    cell = L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(3)], name="both")
    return keras.Model(x, L.RNN(cell, return_sequences=True)(x))


@model(MODELS)
def frozen() -> keras.Model:
    inner = keras.Sequential([L.Input((3,)), L.Dense(2)], name="inner")
    inner.trainable = False
    x = L.Input((3,))
    return keras.Model(x, L.Dense(2)(inner(x)))


@model(MODELS)
def training_argument() -> keras.Model:
    x = L.Input((3,))
    return keras.Model(x, L.BatchNormalization()(L.Dense(3)(x), training=False))


@model(MODELS)
def preprocessing() -> keras.Model:
    x = L.Input((9, 8, 3))
    y = L.Rescaling(0.5, 1.0)(L.CenterCrop(6, 5)(L.RandomFlip(seed=1)(x)))
    y = L.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])(y)
    return keras.Model(x, L.Resizing(4, 7)(y))


@model(OPERATIONS)
def arithmetic() -> keras.Model:
    x, y = L.Input((4,)), L.Input((4,))
    return keras.Model(
        [x, y],
        [
            2.0 * x + y / 3.0,
            1.0 - x,
            -y,
            abs(x) ** 2.0,
            ops.maximum(x, y),
            x > y,
            ops.where(x > 0, x, y),
            ops.logical_not(x < y),
        ],
    )


@model(OPERATIONS)
def reductions() -> keras.Model:
    x = L.Input((4, 3))
    return keras.Model(
        x,
        [
            ops.mean(x, axis=1),
            ops.sum(x, axis=[1, 2], keepdims=True),
            ops.max(x, axis=-1),
            ops.std(x, axis=1),
            ops.var(x, axis=2),
            ops.argmax(x, axis=1),
            ops.logsumexp(x, axis=1),
            ops.cumsum(x, axis=1),
            ops.all(x > 0, axis=1),
            ops.prod(x, axis=2),
        ],
    )


@model(OPERATIONS)
def shapes() -> keras.Model:
    x = L.Input((4, 3))
    a, b = ops.split(x, [1], axis=1)
    return keras.Model(
        x,
        [
            a,
            b,
            ops.reshape(x, (-1, 12)),
            ops.transpose(x, (0, 2, 1)),
            ops.swapaxes(x, 1, 2),
            ops.moveaxis(x, 1, -1),
            ops.expand_dims(x, 1),
            ops.squeeze(a, 1),
            ops.stack([x, x], 1),
            ops.concatenate([x, x], axis=-1),
            ops.tile(x, (1, 2, 1)),
            ops.repeat(x, 2, axis=1),
            ops.flip(x, axis=1),
            ops.roll(x, 1, axis=1),
            ops.pad(x, [[0, 0], [1, 2], [0, 0]]),
            ops.take(x, [0, 2], axis=1),
            x[:, 1:3, None, ::2],
            x[:, 0],
            x[..., -1],
        ],
    )


@model(OPERATIONS)
def functions() -> keras.Model:
    x = L.Input((4, 4))
    return keras.Model(
        x,
        [
            ops.exp(x),
            ops.tanh(x),
            ops.sigmoid(x),
            ops.sqrt(ops.square(x) + 1.0),
            ops.relu(x),
            ops.gelu(x),
            ops.gelu(x, approximate=False),
            ops.silu(x),
            ops.leaky_relu(x, 0.25),
            ops.softmax(x, axis=1),
            ops.log_softmax(x),
            ops.elu(x),
            ops.clip(x, -0.5, 0.5),
            ops.matmul(x, x),
            ops.cast(x, "int32"),
            ops.sort(x, axis=1),
            ops.top_k(x, 2)[0],
            ops.one_hot(ops.cast(ops.abs(x), "int32"), 3),
            ops.zeros_like(x),
            ops.erf(x),
            ops.arctan2(x, x),
            ops.stop_gradient(x),
            ops.log1p(ops.abs(x)),
        ],
    )


@model(OPERATIONS)
def pictures() -> keras.Model:
    x = L.Input((6, 5, 2))
    return keras.Model(x, ops.image.resize(x, (4, 8), antialias=True))


@model(OPERATIONS)
def explicit_mask() -> keras.Model:
    x, y = L.Input((5,), dtype="int32"), L.Input((5, 3))
    return keras.Model([x, y], L.LSTM(3)(y, mask=ops.not_equal(x, 0)))


ALL = {**MODELS, **OPERATIONS}
SOURCE = """
import json
from tf_keras.src.saving import serialization_lib
out["made"] = {}
for name, (plain, tagged, weights, inputs) in asked.items():
    answer = out["made"][name] = {}
    for form in ("plain", "tagged"):
        keras.backend.clear_session()
        try:
            if form == "plain":
                m = keras.models.model_from_json(json.dumps(plain))
            else:
                m = serialization_lib.deserialize_keras_object(tagged)
            for layer, values in weights.items():
                m.get_layer(layer).set_weights(values)
            outputs = m(inputs, training=False)
            answer[form] = [tf.convert_to_tensor(o).numpy() for o in tf.nest.flatten(outputs)]
            answer["layers"] = [l.name for l in m.layers]
            answer["trainable"] = len(m.trainable_weights)
        except Exception as error:
            import traceback
            answer[form] = traceback.format_exc()[-1500:]
"""


def given(made: keras.Model) -> Any:
    """Inputs of two samples."""
    random = np.random.default_rng(0)

    def values(tensor: Any) -> Any:
        shape = [2 if side is None else side for side in tensor.shape]
        if tensor.dtype == "float32":
            return random.normal(size=shape).astype("float32")
        return random.integers(0, 2 if tensor.dtype == "bool" else 7, shape).astype(tensor.dtype)

    found = keras.tree.map_structure(values, getattr(made, "_inputs_struct", made.inputs))
    return found[0] if isinstance(found, list) and len(found) == 1 else found


def serialized(made: keras.Model) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(made.to_json())
    return config


@pytest.fixture(scope="module")
def made() -> dict[str, keras.Model]:
    """The models, weights at random."""
    keras.utils.set_random_seed(3)
    return {name: function() for name, function in ALL.items()}


@pytest.fixture(scope="module")
def told(oracle: Any, made: dict[str, keras.Model]) -> dict[str, Any]:
    """What tf_keras computes with each model in both forms."""
    asked = {}
    for name, live in made.items():
        config = serialized(live)
        weights = {layer.name: layer.get_weights() for layer in live.layers if layer.weights}
        asked[name] = (to_keras2(config), to_keras2(config, tags=True), weights, given(live))
    answer: dict[str, Any] = oracle.python(SOURCE, asked=asked)["made"]
    return answer


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["plain", "tagged"])
@pytest.mark.parametrize("name", sorted(ALL))
def test_tf_keras_computes_the_same(
    made: dict[str, keras.Model], told: dict[str, Any], name: str, form: str
) -> None:
    live, answer = made[name], told[name]
    assert not isinstance(answer[form], str), answer[form]
    mine = keras.tree.flatten(live(given(live), training=False))
    assert len(mine) == len(answer[form])
    for value, theirs in zip(mine, answer[form], strict=True):
        assert tuple(value.shape) == theirs.shape
        assert keras.backend.standardize_dtype(value.dtype) == theirs.dtype
        np.testing.assert_allclose(value, theirs, rtol=1e-5, atol=1e-5)
    assert answer["trainable"] == len(live.trainable_weights)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(ALL))
def test_read_back_is_the_same_model(made: dict[str, keras.Model], name: str) -> None:
    live = made[name]
    again = build_model(to_keras2(serialized(live), tags=len(name) % 2 == 0), dialect="keras2")
    again.set_weights(live.get_weights())
    for mine, other in zip(
        keras.tree.flatten(again(given(live), training=False)),
        keras.tree.flatten(live(given(live), training=False)),
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-6)
    if name in MODELS:
        assert layers_of(serialized(again)) == layers_of(serialized(live))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["nested_functional", "nested_functional_last"])
def test_keras3_counts_calls_of_models_in_two_ways(made: dict[str, keras.Model], name: str) -> None:
    live = made[name]
    again = build_model(serialized(live))
    again.set_weights(live.get_weights())
    for mine, other in zip(
        keras.tree.flatten(again(given(live))), keras.tree.flatten(live(given(live))), strict=True
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-6)


def layers_of(config: dict[str, Any]) -> Any:
    """Names, classes and configs of all layers; names of operations count upwards in a process."""
    layers = [
        layer
        for layer in config["config"]["layers"]
        if not str(layer.get("module")).startswith("keras.src.ops")
    ]
    layers.sort(key=lambda layer: layer["config"]["name"])
    return [
        (layer["class_name"], layers_of(layer) if "layers" in layer["config"] else layer["config"])
        for layer in layers
    ]


def test_masks_that_keras2_carries_are_no_part_of_the_graph(told: dict[str, Any]) -> None:
    assert not any("not_equal" in layer for layer in told["embedding_mask"]["layers"])
    assert any("not_equal" in layer for layer in told["explicit_mask"]["layers"])


def without_modules(value: Any) -> Any:
    """A config as Keras 3 writes it into H5 files."""
    if isinstance(value, dict):
        return {
            k: without_modules(v)
            for k, v in value.items()
            if k not in ("module", "registered_name", "build_config")
        }
    return [without_modules(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", sorted(ALL))
def test_configs_without_modules_are_written_alike(made: dict[str, keras.Model], name: str) -> None:
    config = serialized(made[name])
    right = json.dumps(to_keras2(config))
    if name not in ("transformer", "masked_transformer", "attention_mask"):  # shapes they built for
        assert json.dumps(to_keras2(without_modules(config))) == right


@keras.saving.register_keras_serializable("Unit")
class Graph(keras.Model):
    """A class of the user's that is made of tensors."""


def test_custom_functional_class() -> None:
    x = L.Input((3,))
    made = to_keras2(serialized(Graph(x, L.Dense(2)(x), name="g")))
    assert made["class_name"] == "Unit>Graph"
    assert made["config"]["layers"][1]["inbound_nodes"] == [
        [[made["config"]["layers"][0]["name"], 0, 0, {}]]
    ]
    assert type(build_model(made, dialect="keras2")) is Graph


def test_all_refusals_at_once() -> None:
    x = L.Input((4,))
    y = L.Dense(3, activation="hard_sigmoid", name="first")(L.RMSNormalization(name="norm")(x))
    made = keras.Model(x, [L.Dense(2, activation="sparsemax")(y), ops.einsum("ab,ab->a", y, y)])
    with pytest.raises(UnsupportedError) as caught:
        to_keras2(serialized(made))
    for part in ("'first'", "'norm'", "sparsemax", "Einsum"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x, i: ops.add(ops.cast(x, "float16"), x),
        lambda x, i: ops.mean(i, axis=1),
        lambda x, i: i * 0.5,
        lambda x, i: ops.argmax(x, axis=1, keepdims=True),
        lambda x, i: ops.matmul(x, ops.sum(x, axis=0)),
        lambda x, i: ops.elu(x, alpha=0.5),
    ],
)
def test_operations_that_tensorflow_computes_otherwise_are_refused(mixed: Any) -> None:
    x, i = L.Input((4,)), L.Input((4,), dtype="int32")
    with pytest.raises(UnsupportedError, match=r"keras\.ops"):
        to_keras2(serialized(keras.Model([x, i], mixed(x, i))))


class Doubled(keras.layers.Layer):
    """A layer of the user's that is called with two tensors and a number."""

    def call(self, first: Any, second: Any, times: Any = 2.0) -> Any:
        return first + second * times

    def compute_output_shape(self, first_shape: Any, second_shape: Any) -> Any:
        assert first_shape == second_shape
        return first_shape


def test_custom_layers_need_names_for_positional_arguments() -> None:
    x = L.Input((4,))
    config = serialized(keras.Model(x, Doubled(name="d")(x, x, times=3.0)))
    with pytest.raises(UnsupportedError, match="positional"):
        to_keras2(config)
    made = to_keras2(config, call_names={"d": ("first", "second")})
    (call,) = made["config"]["layers"][1]["inbound_nodes"]
    name = made["config"]["layers"][0]["name"]
    assert call == [[name, 0, 0, {"second": [name, 0, 0], "times": 3.0}]]
    again = build_model(made, custom_objects={"Doubled": Doubled}, dialect="keras2")
    assert float(again(np.ones((1, 4)))[0, 0]) == 4.0


def test_custom_class_is_found_by_its_registered_name() -> None:
    entry = {
        "module": "mine",
        "class_name": "Mine",
        "registered_name": "pack>Mine",
        "config": {
            "name": "m",
            "dtype": {
                "module": "keras",
                "class_name": "DTypePolicy",
                "config": {"name": "float32"},
            },
            "inner": keras.saving.serialize_keras_object(L.Dense(2, name="d")),
        },
        "build_config": {"input_shape": [None, 3]},
    }
    plain = to_keras2(entry)
    assert (plain["class_name"], plain["config"]["dtype"]) == ("pack>Mine", "float32")
    assert plain["config"]["inner"]["config"]["dtype"] == "float32"
    tagged = to_keras2(entry, tags=True)
    assert (tagged["class_name"], tagged["registered_name"]) == ("Mine", "pack>Mine")
    assert tagged["module"] == "mine"
    assert tagged["build_config"] == {"input_shape": [None, 3]}


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c["config"]["layers"][1]["inbound_nodes"][0]["args"][0]["config"].update(
            keras_history=["nobody", 0, 0]
        ),
        lambda c: c["config"]["layers"][1]["inbound_nodes"].__setitem__(0, 3),
        lambda c: c["config"]["layers"].__setitem__(1, "Dense"),
        lambda c: c["config"]["layers"][1].update(config=None),
        lambda c: c["config"].update(output_layers=7),
    ],
)
def test_damaged_configs_are_errors_of_ours(damage: Any) -> None:
    x = L.Input((4,))
    config = serialized(keras.Model(x, L.Dense(2)(x)))
    damage(config)
    with pytest.raises(FormatError):
        to_keras2(config)


def test_report_tells_what_is_written_otherwise() -> None:
    report: list[str] = []
    x = L.Input((4,))
    y = L.Dropout(0.5)(L.Dense(2, activation="relu6")(x), training=True)
    to_keras2(serialized(keras.Model(x, y)), report=report)
    assert any("relu6" in line for line in report)
    assert any("training=True" in line for line in report)
