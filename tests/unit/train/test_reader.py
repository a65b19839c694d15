"""Reading checkpoints by tensor, and by name into models."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import hozon.train
from hozon.errors import MismatchError
from tests.oracle.client import Oracle

WRITE_TF1 = """
graph = tf.Graph()
with graph.as_default():
    with tf.compat.v1.variable_scope("dense"):
        tf.compat.v1.get_variable("kernel", initializer=np.ones((4, 3), "float32"))
        tf.compat.v1.get_variable("bias", initializer=np.full(3, 2, "float32"))
    tf.compat.v1.get_variable("global_step", initializer=np.int64(5))
    saver = tf.compat.v1.train.Saver()
    with tf.compat.v1.Session() as session:
        session.run(tf.compat.v1.global_variables_initializer())
        saver.save(session, folder + "/model.ckpt", global_step=5)
"""


@pytest.fixture
def tf1(oracle: Oracle, tmp_path: Path) -> Path:
    oracle.python(WRITE_TF1, folder=str(tmp_path))
    return tmp_path


def test_reads_name_based_checkpoints(tf1: Path) -> None:
    prefix = hozon.train.latest_checkpoint(tf1)
    assert prefix == str(tf1 / "model.ckpt-5")
    reader = hozon.train.load_checkpoint(tf1)
    assert reader.get_variable_to_shape_map() == {
        "dense/bias": [3],
        "dense/kernel": [4, 3],
        "global_step": [],
    }
    assert {k: d.name for k, d in reader.get_variable_to_dtype_map().items()} == {
        "dense/bias": "float32",
        "dense/kernel": "float32",
        "global_step": "int64",
    }
    assert reader.has_tensor("dense/bias")
    assert not reader.has_tensor("dense")
    np.testing.assert_array_equal(reader.get_tensor("dense/bias"), [2, 2, 2])
    assert hozon.train.load_variable(tf1, "global_step:0") == 5
    assert [name for name, _ in hozon.train.list_variables(prefix)] == [
        "dense/bias",
        "dense/kernel",
        "global_step",
    ]
    with pytest.raises(MismatchError, match="dense/bias"):
        reader.get_tensor("dense/bia")


def test_restores_by_name(tf1: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="dense")], name="net")
    status = hozon.train.load_weights(model, tf1)
    np.testing.assert_array_equal(model.layers[0].kernel.value, np.ones((4, 3)))
    np.testing.assert_array_equal(model.layers[0].bias.value, [2, 2, 2])
    assert status.unexpected == ["global_step"]
    status.assert_existing_objects_matched()
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="other")])
    with pytest.raises(MismatchError, match=r"the program wants: .*other/kernel"):
        hozon.train.load_weights(other, tf1)


def test_restores_from_a_saved_model(oracle: Oracle, tmp_path: Path) -> None:
    answer = oracle.python(
        """
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile("adam", "mse")
model.fit(np.ones((2, 4)), np.ones((2, 3)), verbose=0)
model.save(folder + "/model")
out["kernel"] = model.layers[0].kernel
""",
        folder=str(tmp_path),
    )
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    status = hozon.train.load_weights(model, tmp_path / "model")
    status.assert_existing_objects_matched()
    np.testing.assert_array_equal(model.layers[0].kernel.value, answer["kernel"])
    assert int(model.optimizer.iterations.value) == 1
