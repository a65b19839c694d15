"""The names that live objects get in checkpoints, against what tf_keras writes."""

from __future__ import annotations

import textwrap
from typing import Any

import keras
import numpy as np
import pytest

from hozon.config.text_layers import TEXT_LAYERS
from hozon.models.tracking import track_objects
from hozon.objects.keys import OBJECT_GRAPH_KEY
from tests.oracle.client import Oracle

HELPERS = """
L = keras.layers

def chain(shape, *layers, dtype="float32"):
    inputs = keras.Input(shape, dtype=dtype)
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)

def adapted(layer, data):
    layer.build((None, 1))
    layer.update_state(data)
    layer.finalize_state()
    return layer

class Twice(L.Layer):
    def build(self, shape):
        self.one = self.add_weight(name="same", shape=(1,))
        self.two = self.add_weight(name="same", shape=(2,))
        self.many = [self.add_weight(name="more", shape=(3,)),
                     self.add_weight(name="more", shape=(4,))]

def built(optimizer, **more):
    layer = L.Dense(3)
    layer.build((None, 2))
    optimizer.build(layer.trainable_variables)
    return {"layer": layer, "optimizer": optimizer, **more}
"""

# ruff: noqa: E501 - one snippet a line
ARCHITECTURES = {
    "functional": "made = chain((4,), L.Dense(3), L.BatchNormalization(), L.Dropout(0.1), L.Dense(2))",
    "sequential": "made = keras.Sequential([keras.Input((4,)), L.Dense(3), L.ReLU(), L.Dense(2)])",
    "late sequential": """
        made = keras.Sequential([L.Dense(3), L.Dense(2)])
        made.build((None, 4))""",
    "shared and nested": """
        shared = L.Dense(4)
        inner = keras.Sequential([keras.Input((4,)), shared, L.Dense(4)])
        a, b = keras.Input((4,)), keras.Input((4,))
        made = keras.Model([a, b], L.Add()([inner(shared(a)), L.Dense(4)(b)]))""",
    "operators": """
        a = keras.Input((4,))
        made = keras.Model(a, L.Dense(2)(L.Dense(4)(a) * 2.0 + a))""",
    "convolutions": """
        made = chain((8, 8, 3), L.Conv2D(2, 3), L.DepthwiseConv2D(3), L.SeparableConv2D(2, 1),
                     L.Conv2DTranspose(2, 2), L.LayerNormalization(), L.GroupNormalization(1),
                     L.PReLU(), L.Flatten(), L.UnitNormalization())""",
    "recurrent": """
        made = chain((5, 3), L.LSTM(2, return_sequences=True), L.GRU(2, return_sequences=True),
                     L.SimpleRNN(2, return_sequences=True),
                     L.Bidirectional(L.LSTM(2, return_sequences=True)),
                     L.TimeDistributed(L.Dense(2)),
                     L.RNN([L.LSTMCell(2), L.GRUCell(3)], return_sequences=True),
                     L.Conv1D(2, 2))""",
    "other convolutions": """
        made = chain((9, 3), L.Conv1D(2, 2), L.SeparableConv1D(2, 2), L.DepthwiseConv1D(2),
                     L.Conv1DTranspose(2, 2), L.Reshape((-1, 1, 1, 2)), L.Conv3D(2, 1),
                     L.Conv3DTranspose(2, 1))""",
    "recurrent with state": """
        made = keras.Sequential([L.LSTM(2, stateful=True)])
        made(np.ones((4, 5, 3), "float32"))""",
    "wrapped cells": """
        made = chain((5, 3), L.Bidirectional(L.RNN(L.GRUCell(2), return_sequences=True)),
                     L.RNN(L.StackedRNNCells([L.SimpleRNNCell(2), L.LSTMCell(2)])))""",
    "discretization": "made = chain((1,), L.Discretization([0.5, 1.5]), L.CategoryEncoding(4))",
    "convlstm": "made = chain((2, 5, 5, 1), L.ConvLSTM2D(2, 3))",
    "embedding": "made = chain((5,), L.Embedding(7, 4), L.EinsumDense('abc,cd->abd', (5, 3), bias_axes='d'))",
    "attention": """
        a = keras.Input((5, 4))
        x = L.MultiHeadAttention(2, 3)(a, a)
        x = L.Attention(use_scale=True, score_mode="concat")([x, a])
        made = keras.Model(a, L.AdditiveAttention()([x, a]))""",
    "spectral": "made = chain((4,), L.SpectralNormalization(L.Dense(3)))",
    "normalization": """
        layer = L.Normalization()
        layer.adapt(np.arange(12.0).reshape(4, 3))
        made = chain((3,), layer)""",
    "augmentation": "made = chain((8, 8, 3), L.RandomFlip(), L.Rescaling(0.5), L.Conv2D(1, 1))",
    "noise": "made = chain((4,), L.GaussianNoise(0.1), L.GaussianDropout(0.1), L.Dense(1))",
    "subclassed": """
        class Net(keras.Model):
            def __init__(self):
                super().__init__()
                self.first = L.Dense(3)
                self.blocks = [L.Dense(3), L.Dense(3)]
                self.named = {"x": L.Dense(3), "y": [L.Dense(2)]}
                self.pair = (L.Dense(2), L.ReLU())
                self._hidden = L.Dense(2)
                self.again = self.first
                self.weight = self.add_weight(name="scale", shape=(2,))
                self.tracker = keras.metrics.Mean(name="loss")

            def call(self, x):
                x = self.first(x)
                for block in self.blocks:
                    x = block(x)
                x = self.named["y"][0](self.named["x"](x))
                return self._hidden(self.pair[0](x)) * self.weight

        made = Net()
        made(np.ones((2, 4), "float32"))
        made.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", metrics=["mae"])
        made.fit(np.ones((2, 4)), np.ones((2, 2)), verbose=0)""",
    "custom layer": """
        class Scale(keras.layers.Layer):
            def build(self, shape):
                self.a = self.add_weight(name="gain", shape=(shape[-1],))
                self.b = self.add_weight(name="steps", shape=(), trainable=False)
                self.inner = L.Dense(2)
                self.inner.build(shape)

            def call(self, x):
                return self.inner(x * self.a)

        made = chain((4,), Scale())""",
    "compiled": """
        made = chain((4,), L.Dense(3), L.BatchNormalization(), L.Dense(2))
        made.compile("adam", "mse", metrics=["mae"])
        made.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)""",
    "slots of many layers": """
        a = keras.Input((5, 4))
        x = L.MultiHeadAttention(2, 3)(a, a)
        x = L.Bidirectional(L.LSTM(2, return_sequences=True))(x)
        x = L.SeparableConv1D(3, 2)(L.LayerNormalization()(x))
        x = L.Dense(6, trainable=False)(x)
        inner = keras.Sequential([keras.Input((6,)), L.Dense(2), L.Dense(7)])
        made = keras.Model(a, inner(L.GlobalAveragePooling1D()(x)))
        made.compile("adam", "mse")
        made.optimizer.build(made.trainable_variables)""",
    "compiled, not trained": """
        made = chain((4,), L.Dense(3))
        made.compile("rmsprop", "mse")""",
    "metrics": """
        made = [keras.metrics.Mean(), keras.metrics.AUC(num_thresholds=5),
                keras.metrics.SparseCategoricalAccuracy(), keras.metrics.Precision(),
                keras.metrics.MeanIoU(2), keras.metrics.RootMeanSquaredError()]""",
    "containers": """
        made = {"list": [L.Dense(2, name="d"), {"deep": (keras.metrics.Sum(),)}], "a.b/c": L.Dense(1)}
        made["list"][0].build((None, 2))
        made["a.b/c"].build((None, 2))""",
    "learned from data": """
        words = L.StringLookup()
        words.adapt(np.array(["a", "b", "a"]))
        text = L.TextVectorization()
        text.adapt(np.array(["a b", "a"]))
        weighed = L.TextVectorization(output_mode="tf_idf")
        weighed.adapt(np.array(["a b", "a"]))
        made = {"words": words, "text": text, "weighed": weighed, "numbers": L.IntegerLookup(),
                "bins": adapted(L.Discretization(num_bins=2), np.float32([[1.0], [2.0], [5.0]]))}""",
    "given, not learned": """
        made = {"words": L.StringLookup(vocabulary=["x", "y"]), "bins": L.Discretization([0.5]),
                "text": L.TextVectorization(vocabulary=["x", "y"]),
                "weighed": L.IntegerLookup(vocabulary=[5, 6], idf_weights=[1.0, 2.0],
                                           output_mode="tf_idf")}""",
    "numbers of text layers": """
        text = L.TextVectorization(output_sequence_length=3)
        text.adapt(np.array(["a b", "a"]))
        inner = chain((1,), text, L.Embedding(9, 2), dtype="string")
        given = chain((1,), L.TextVectorization(vocabulary=["q"], output_sequence_length=3),
                      L.Embedding(9, 2), dtype="string")
        inputs = keras.Input((1,), dtype="string")
        x = L.Add()([inner(inputs), given(inputs)])
        made = keras.Model(inputs, L.Dense(1)(x))""",
    "weights of one name": """
        made = Twice()
        made.build((1,))""",
    "Adam": "made = built(keras.optimizers.Adam())",
    "Adam amsgrad": "made = built(keras.optimizers.Adam(amsgrad=True))",
    "Adam ema": "made = built(keras.optimizers.Adam(use_ema=True))",
    "Adam schedule": """
        rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
        made = built(keras.optimizers.Adam(rate))""",
    "AdamW": "made = built(keras.optimizers.AdamW())",
    "Nadam": "made = built(keras.optimizers.Nadam())",
    "Adamax": "made = built(keras.optimizers.Adamax())",
    "SGD": "made = built(keras.optimizers.SGD())",
    "SGD momentum": "made = built(keras.optimizers.SGD(momentum=0.9))",
    "RMSprop": "made = built(keras.optimizers.RMSprop())",
    "RMSprop all": "made = built(keras.optimizers.RMSprop(momentum=0.9, centered=True))",
    "Adagrad": "made = built(keras.optimizers.Adagrad())",
    "Adadelta": "made = built(keras.optimizers.Adadelta())",
    "Ftrl": "made = built(keras.optimizers.Ftrl())",
    "Lion": "made = built(keras.optimizers.Lion())",
    "Adafactor": "made = built(keras.optimizers.Adafactor())",
    "loss scaling": "made = built(keras.mixed_precision.LossScaleOptimizer(keras.optimizers.Adam()))",
}

ASK = """
import tempfile
from tensorflow.core.protobuf import trackable_object_graph_pb2
for name, source in sources.items():
    keras.backend.clear_session()
    scope = {"keras": keras, "np": np}
    exec(source, scope)
    with tempfile.TemporaryDirectory() as folder:
        path = tf.train.Checkpoint(made=scope["made"]).write(folder + "/made")
        reader = tf.train.load_checkpoint(path)
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        out[name] = {key: (tuple(shape), dtypes[key].name) for key, shape in shapes.items()}
"""


def source_of(name: str) -> str:
    return HELPERS + textwrap.dedent(ARCHITECTURES[name])


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return oracle.python(ASK, sources={name: source_of(name) for name in ARCHITECTURES})


class _Layers:
    """Keras 3's layers, those for text being ours, which need no TensorFlow."""

    def __getattr__(self, name: str) -> Any:
        return TEXT_LAYERS.get(name) or getattr(keras.layers, name)


class _KerasWithOldNames:
    """Keras 3 with the one name of Keras 2 that the snippets use."""

    layers = _Layers()

    class mixed_precision:  # noqa: N801
        LossScaleOptimizer = keras.optimizers.LossScaleOptimizer

    def __getattr__(self, name: str) -> Any:
        return getattr(keras, name)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_keys_are_those_of_tf_keras(name: str, answers: dict[str, Any]) -> None:
    keras.backend.clear_session()
    scope: dict[str, Any] = {"keras": _KerasWithOldNames(), "np": np}
    exec(source_of(name), scope)
    graph = track_objects({"made": scope["made"]})
    ours = {key: (np.shape(leaf.read()), leaf.dtype.name) for key, leaf in graph.leaves()}
    theirs = {key: entry for key, entry in answers[name].items() if key != OBJECT_GRAPH_KEY}
    assert ours == theirs
