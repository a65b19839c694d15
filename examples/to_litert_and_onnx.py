"""A Keras model for phones (LiteRT) and for ONNX Runtime, through a SavedModel.

The converters, TensorFlow's own and tf2onnx, need TensorFlow: they run in a Python that has it,
``python examples/to_litert_and_onnx.py path/to/that/python``; this one needs none.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import hozon
import keras
import numpy as np

NEEDS = ("tensorflow", "tf2onnx", "onnxruntime")
LOOK = """
import importlib.util, sys
print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))
"""
CONVERT = """
import sys
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx

path, given, answers = sys.argv[1:]
x = np.load(given)
lite = tf.lite.TFLiteConverter.from_saved_model(path).convert()
running = tf.lite.Interpreter(model_content=lite)
(taken,), (told,) = running.get_input_details(), running.get_output_details()
running.resize_tensor_input(taken["index"], x.shape)
running.allocate_tensors()
running.set_tensor(taken["index"], x)
running.invoke()
loaded = tf.saved_model.load(path)
signature = loaded.signatures["serving_default"]
(name,) = signature.structured_input_signature[1]
spec = tf.TensorSpec((None, *x.shape[1:]), tf.float32)
serve = tf.function(lambda x: signature(**{name: x}), [spec])
graph, _ = tf2onnx.convert.from_function(serve, serve.input_signature, opset=17)
session = onnxruntime.InferenceSession(graph.SerializeToString())
onnx = session.run(None, {session.get_inputs()[0].name: x})[0]
np.savez(answers, litert=running.get_tensor(told["index"]), onnx=onnx)
"""


def main() -> None:
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    command = [python, "-c", LOOK, *NEEDS]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    if lacking := found.stdout.split():
        print(f"not converted: {python} has no {', '.join(lacking)}; give another Python")
        return
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1), name="image"),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    x = np.random.default_rng(0).normal(size=(2, 12, 12, 1)).astype("float32")
    with tempfile.TemporaryDirectory() as folder:
        path, given, answers = (str(Path(folder, n)) for n in ("model", "x.npy", "answers.npz"))
        print(hozon.save_model(model, path))
        np.save(given, x)
        subprocess.run(
            [python, "-c", CONVERT, path, given, answers], capture_output=True, check=True
        )
        with np.load(answers) as told:
            for name in told:
                np.testing.assert_allclose(told[name], model.predict(x, verbose=0), atol=1e-5)
                print(f"{name} answers the same")


if __name__ == "__main__":
    main()
