"""What both sides share: inputs, and timing of a call."""

import resource
import shutil
import statistics
import time
from pathlib import Path

import numpy as np

SHAPES = {"resnet50": (224, 224, 3), "mobilenet_v2": (224, 224, 3), "lstm": (100, 32)}


def batch(model, size):
    return np.random.default_rng(0).random((size, *SHAPES[model]), "float32")


def arrays(count, size):
    """Weights to save: `count` arrays of `size` float32 numbers."""
    rng = np.random.default_rng(0)
    return {f"v{i:05}": rng.random(size, "float32") for i in range(count)}


def stack(keras, kind, count):
    """A model of many small layers, functional or Sequential."""
    rows = [keras.layers.Dense(8, name=f"dense{i}") for i in range(count)]
    if kind == "sequential":
        return keras.Sequential([keras.Input((8,)), *rows])
    x = entry = keras.Input((8,))
    for row in rows:
        x = row(x)
    return keras.Model(entry, x)


def peak():
    """The most memory that the process has held so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def saving(folder, save, repeat=7, warmup=2):
    """The median time of saving under a new name; the last file is removed each time."""
    target = Path(folder) / "saved"

    def clear():
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)

    taken = seconds(
        lambda: save(str(target / "weights")), repeat=repeat, warmup=warmup, before=clear
    )
    clear()
    return taken


def seconds(function, repeat=5, warmup=1, before=lambda: None):
    """The median time of a call, after warming up; `before` runs before each one, unmeasured."""
    for _ in range(warmup):
        before()
        function()
    times = []
    for _ in range(repeat):
        before()
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
