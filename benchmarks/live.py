"""Live models that predict and train, made alike by tf_keras and Keras 3."""

import time

import numpy as np

APPLICATIONS = {
    "mobilenet_v2": "MobileNetV2",
    "resnet50": "ResNet50",
    "efficientnet_b0": "EfficientNetB0",
    "convnext_tiny": "ConvNeXtTiny",
}
CLASSES = {"lstm": 10, "transformer": 10}
WORDS = 8000


def seconds(keras, make, what, name, size):
    """The best time of five of ``predict`` or ``train_on_batch``, after two calls."""
    model = make(build(keras, name))
    rng = np.random.default_rng(0)
    x = inputs(rng, name, size)
    if what == "predict":
        return best(lambda: model.predict(x, batch_size=size, verbose=0))
    model.compile("adam", "sparse_categorical_crossentropy")
    y = rng.integers(0, CLASSES.get(name, 1000), size)
    return best(lambda: model.train_on_batch(x, y))


def best(function):
    times = []
    for _ in range(7):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times[2:])


def inputs(rng, name, size):
    if name == "transformer":
        return rng.integers(0, WORDS, (size, 128)).astype("int32")
    return rng.random((size, *((100, 32) if name == "lstm" else (224, 224, 3))), "float32")


def build(keras, name):
    if name in APPLICATIONS:
        return getattr(keras.applications, APPLICATIONS[name])(weights=None)
    return {"lstm": lstm, "transformer": transformer}[name](keras.layers, keras)


def lstm(layers, keras):
    return keras.Sequential(
        [
            keras.Input((100, 32)),
            layers.LSTM(128, return_sequences=True),
            layers.LSTM(128),
            layers.Dense(10, activation="softmax"),
        ]
    )


def transformer(layers, keras):
    words = keras.Input((128,), dtype="int32")
    x = layers.Embedding(WORDS, 256)(words)
    for _ in range(4):
        attended = layers.MultiHeadAttention(8, 32, dropout=0.1)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(x + attended)
        hidden = layers.Dense(256)(layers.Dense(1024, activation="gelu")(x))
        x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(hidden))
    pooled = layers.GlobalAveragePooling1D()(x)
    return keras.Model(words, layers.Dense(10, activation="softmax")(pooled))
