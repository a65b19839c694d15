"""A backup of training that is killed before each of its system calls; a program of its own.

`python killing_backups.py FOLDER` backs up epoch 1, then for each number of calls makes a child
process that begins to back up epoch 2 and dies there. It prints a JSON list of [limit, how the
child ended, epoch that the next training begins with, values of the weights that it has].
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import keras
import numpy as np
from killing import DIED, child, kill_at

from hozon.callbacks import BackupAndRestore


def model() -> keras.Model:
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(300), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    made.optimizer.build(made.trainable_variables)
    return made


def backup(folder: Path, live: keras.Model) -> BackupAndRestore:
    made = BackupAndRestore(folder)
    made.set_model(live)
    return made


def fill(live: keras.Model, value: int) -> None:
    for variable in live.weights:
        variable.assign(np.full(variable.shape, value, "float32"))


def resumed(folder: Path, live: keras.Model) -> tuple[Any, list[float]]:
    fill(live, 0)
    live._initial_epoch = None
    backup(folder, live).on_train_begin()
    found = {float(x) for variable in live.weights for x in np.unique(variable)}
    return live._initial_epoch, sorted(found)


def main(root: str) -> None:
    warnings.filterwarnings("ignore", message="os.fork", category=RuntimeWarning)
    live = model()
    results, ended, limit = [], DIED, 0
    while ended == DIED:
        folder = Path(root, str(limit))
        fill(live, 1)
        backup(folder, live)._save(1, 0)
        fill(live, 2)

        def work(folder: Path = folder, limit: int = limit) -> None:
            kill_at(limit)
            backup(folder, live)._save(2, 0)

        ended = child(work)
        epoch, values = resumed(folder, live)
        fill(live, 3)
        backup(folder, live)._save(2, 0)
        results.append([limit, ended, epoch, values, resumed(folder, live), os.listdir(folder)])
        limit += 1
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
