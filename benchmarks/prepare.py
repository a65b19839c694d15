"""Write the models and checkpoints that the benchmarks measure. Runs in the oracle environment."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras


def compiled(model, loss):
    model.compile("adam", loss)
    return model


def resnet50():
    return compiled(tf_keras.applications.ResNet50(weights=None), "categorical_crossentropy")


def mobilenet_v2():
    return compiled(tf_keras.applications.MobileNetV2(weights=None), "categorical_crossentropy")


def lstm():
    layers = tf_keras.layers
    model = tf_keras.Sequential([layers.Input((100, 32)), layers.LSTM(128), layers.Dense(10)])
    return compiled(model, "mse")


def checkpoint(path, count, shape):
    rng = np.random.default_rng(0)
    variables = {f"v{i:05}": tf.Variable(rng.random(shape, "float32")) for i in range(count)}
    tf.train.Checkpoint(**variables).write(str(path))


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for build in (resnet50, mobilenet_v2, lstm):
        target = folder / build.__name__
        if not target.exists():
            build().save(target, save_format="tf")
    if not (folder / "gigabyte.index").exists():
        checkpoint(folder / "gigabyte", 100, (2_500_000,))
    if not (folder / "many.index").exists():
        checkpoint(folder / "many", 10_000, (1024,))


if __name__ == "__main__":
    main(sys.argv[1])
