"""What both sides share: inputs, and timing of a call."""

import statistics
import time

import numpy as np

SHAPES = {"resnet50": (224, 224, 3), "mobilenet_v2": (224, 224, 3), "lstm": (100, 32)}


def batch(model, size):
    return np.random.default_rng(0).random((size, *SHAPES[model]), "float32")


def seconds(function, repeat=5, warmup=1):
    """The median time of a call, after warming up."""
    for _ in range(warmup):
        function()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
