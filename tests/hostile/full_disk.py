"""Saves on a disk that takes only so many bytes of a file; run as a program of its own.

`python full_disk.py FOLDER POINTS` saves each form, then again for so many limits, each in a child
process, and prints a JSON object: for each form, what came of each limit.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np

import hozon

REFUSED, SAVED, OTHER = 0, 3, 4
FORMS = ("m.h5", "m.keras", "m", "w.h5", "w.weights.h5", "w.weights.json", "w.safetensors", "ckpt")


def model(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    made = keras.Sequential([keras.Input((30,)), keras.layers.Dense(80), keras.layers.Dense(20)])
    made.compile("adam", "mse")
    made.fit(np.ones((4, 30)), np.ones((4, 20)), verbose=0)
    return made


def content(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files}


def limited(save: Callable[[], object], limit: int) -> int:
    """The exit status of a child that saves with files of at most `limit` bytes."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        save()
        os._exit(SAVED)
    except hozon.SaveError:
        os._exit(REFUSED)
    except BaseException:  # noqa: BLE001 - it is told by the status
        os._exit(OTHER)


def attempts(
    form: str, place: Path, old: keras.Model, new: keras.Model, points: int
) -> list[tuple[int, bool]]:
    """For each limit the status, and whether the folder is as it was."""
    place.mkdir()
    door = hozon.save_model if form.startswith("m") else hozon.save_weights
    door(old, place / form)
    before = content(place)
    largest = max(map(len, before.values()))
    found = []
    for limit in (largest * i // points for i in range(points)):
        status = limited(partial(door, new, place / form), limit)
        found.append((status, content(place) == before))
    return found


def main(folder: Path, points: int) -> None:
    old, new = model(0), model(1)
    told = {
        form: attempts(form, folder / form.replace(".", "_"), old, new, points) for form in FORMS
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
