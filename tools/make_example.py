"""Write examples/digits_savedmodel, the model that the demo opens.

Trained and saved by tf_keras, on scikit-learn's digits, in the oracle's environment:

    .venv-oracle/bin/python tools/make_example.py digits.npz

``digits.npz`` holds the arrays ``images`` and ``target`` of ``sklearn.datasets.load_digits``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tf_keras as keras

TARGET = Path(__file__).parents[1] / "examples" / "digits_savedmodel"


def main(digits: str) -> None:
    keras.utils.set_random_seed(0)
    data = np.load(digits, allow_pickle=True)
    x = (data["images"] / 16).astype("float32")[..., None]
    y = data["target"]
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1), name="image"),
            layers.Conv2D(12, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:1200], y[:1200], epochs=4, verbose=2)
    model.save(TARGET, save_format="tf")


if __name__ == "__main__":
    main(sys.argv[1])
