"""What is made aside leaves names, seeds and random numbers as if it had not been made."""

from __future__ import annotations

import random
import threading

import keras
import pytest

from hozon.keras_private.aside import made_aside


def test_names_and_seeds_go_on_as_they_were() -> None:
    keras.layers.Dense(1)
    number = int(keras.layers.Dense(1).name.rpartition("_")[2])
    state = random.getstate()
    with made_aside():
        keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform())
        keras.layers.Dropout(0.5)
    assert random.getstate() == state
    assert keras.layers.Dense(1).name == f"dense_{number + 1}"


def test_they_do_so_after_an_error_too() -> None:
    keras.layers.Dense(1)
    number = int(keras.layers.Dense(1).name.rpartition("_")[2])
    with pytest.raises(ValueError, match="rate"):
        refused()
    assert keras.layers.Dense(1).name == f"dense_{number + 1}"


@made_aside()
def refused() -> None:
    keras.layers.Dense(1)
    keras.layers.Dropout(2.0)


class Unbuilt(keras.layers.Layer):  # type: ignore[misc]
    """Has a layer that its own `build`, which it lacks, would build."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = keras.layers.Dense(1)


def test_keras_warns_of_what_is_kept_alone() -> None:
    with made_aside():
        Unbuilt().build((2, 2))
    with pytest.warns(UserWarning, match="does not have a `build") as caught:
        Unbuilt().build((2, 2))
    assert caught[0].filename.endswith("layer.py")


def test_random_numbers_go_on_as_they_were() -> None:
    drawn = []
    for aside in (False, True):
        keras.utils.set_random_seed(3)
        keras.random.uniform((2,))
        if aside:
            with made_aside():
                keras.random.uniform((2,))
                keras.layers.Dense(2).build((None, 2))
        drawn.append(keras.ops.convert_to_numpy(keras.random.uniform((2,))).tolist())
    assert drawn[0] == drawn[1]


def test_other_threads_draw_seeds_as_ever() -> None:
    keras.utils.set_random_seed(3)
    expected = keras.initializers.GlorotUniform().seed
    keras.utils.set_random_seed(3)
    found: list[int] = []
    with made_aside():
        thread = threading.Thread(
            target=lambda: found.append(keras.initializers.GlorotUniform().seed)
        )
        thread.start()
        thread.join()
    assert found == [expected]
