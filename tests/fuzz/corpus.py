"""The seeds: small artifacts of every form, kept in a folder.

``python -m tests.fuzz.corpus`` makes them anew. What TensorFlow, tf_keras and Keras wrote is among
them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "seeds"

OF_OTHERS = """
import tf_keras
tf_keras.utils.set_random_seed(1)
made = tf_keras.Sequential([tf_keras.Input((3,)), tf_keras.layers.Dense(2)])
made.compile("adam", "mse")
made.fit(tf.ones((2, 3)), tf.ones((2, 2)), verbose=0)
made.save(folder + "/tf_keras")
made.save(folder + "/tf_keras.h5")
made.save(folder + "/tf_keras.keras")
made.save_weights(folder + "/tf_ckpt/w")

class Module(tf.Module):
    def __init__(self):
        self.v = tf.Variable([1.0, 2.0])
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2]), -1)
    @tf.function(input_signature=[tf.TensorSpec([None, 2]), tf.TensorSpec([None], tf.string)])
    def __call__(self, x, s):
        y = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * self.v), (0, x))[1]
        return tf.cond(tf.reduce_sum(x) > 0, lambda: y, lambda: -y), self.table.lookup(s)

tf.saved_model.save(Module(), folder + "/module")
graph = tf.Graph()
with graph.as_default():
    x = tf.compat.v1.placeholder(tf.float32, [None, 2], "x")
    tf.identity(tf.nn.relu(tf.matmul(x, tf.ones([2, 2]))), "y")
with open(folder + "/frozen.pb", "wb") as file:
    file.write(graph.as_graph_def().SerializeToString())
"""


def seeds() -> dict[str, dict[str, bytes]]:
    """The files of each seed by their path."""
    return {
        seed.name: {
            str(file.relative_to(seed)): file.read_bytes()
            for file in sorted(seed.rglob("*"))
            if file.is_file()
        }
        for seed in sorted(FOLDER.iterdir())
    }


def main() -> None:
    import keras

    from tests import by_orbax
    from tests.flips.flipping import WRITTEN, small, write
    from tests.oracle.client import Oracle

    shutil.rmtree(FOLDER, ignore_errors=True)
    model = small()
    for form in WRITTEN:
        write(form, model, FOLDER / form.name)
    for left in FOLDER.glob("*.keras"):
        left.unlink()
    text = keras.Sequential([keras.Input((3, 4)), keras.layers.LSTM(2), keras.layers.Dense(1)])
    (FOLDER / "json_lstm").mkdir()
    (FOLDER / "json_lstm" / "m.json").write_text(json.dumps(json.loads(text.to_json())))
    by_orbax.write(model, FOLDER / "orbax" / "m")
    oracle = Oracle()
    _by_others(oracle)
    oracle.close()


def _by_others(oracle: Any) -> None:
    beside = FOLDER / "others"
    beside.mkdir()
    oracle.python(OF_OTHERS, folder=str(beside))
    for path in sorted(beside.iterdir()):
        target = FOLDER / path.name.replace(".", "_")
        target.mkdir()
        if path.name == "tf_ckpt":
            for file in path.iterdir():
                file.rename(target / file.name)
        else:
            path.rename(target / f"m{path.suffix}")
    shutil.rmtree(beside)


if __name__ == "__main__":
    main()
