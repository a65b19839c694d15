"""The cases with Hozon. Prints seconds."""

import gc
import sys
import time

START = time.perf_counter()

from timing import arrays, batch, peak, saving, seconds, stack  # noqa: E402


def load_graph(folder):
    import hozon.saved_model

    return seconds(lambda: hozon.saved_model.load(f"{folder}/resnet50"))


def load_keras(folder):
    import hozon

    return seconds(lambda: hozon.load_model(f"{folder}/resnet50"), repeat=3)


def first_graph(folder):
    import numpy as np

    import hozon.saved_model

    loaded = hozon.saved_model.load(f"{folder}/resnet50")
    signature = loaded.signatures["serving_default"]
    (name,) = signature.inputs
    [np.asarray(y) for y in signature(**{name: batch("resnet50", 1)}).values()]
    return time.perf_counter() - START


def first_keras(folder):
    import hozon

    hozon.load_model(f"{folder}/resnet50").predict(batch("resnet50", 1), verbose=0)
    return time.perf_counter() - START


def read_bundle(folder, name):
    from hozon.formats.bundle import open_bundle

    def read():
        bundle = open_bundle(f"{folder}/{name}")
        for tensor in bundle.values():
            tensor.read()

    return seconds(read)


def save_model(folder, suffix):
    import hozon

    model = hozon.load_model(f"{folder}/resnet50")
    return saving(folder, lambda path: hozon.save_model(model, f"{path}{suffix}"))


def load_file(folder, suffix):
    import os

    import hozon

    path = f"{folder}/one{suffix}"
    if not os.path.exists(path):
        hozon.save_model(hozon.load_model(f"{folder}/resnet50"), path)
    return seconds(lambda: hozon.load_model(path), before=gc.collect)


def save_bundle(folder, count, size, kind="numpy", durable=""):
    import jax.numpy as jnp

    from hozon.formats.bundle import write_bundle

    weights = arrays(int(count), int(size))
    if kind == "jax":
        weights = {name: jnp.asarray(weights.pop(name)) for name in list(weights)}
    durable = True if durable else None
    return saving(folder, lambda path: write_bundle(path, weights, durable=durable))


def save_memory(folder, count, size):
    import jax.numpy as jnp

    from hozon.formats.bundle import write_bundle

    weights = {f"v{i:05}": jnp.full(int(size), i, "float32") for i in range(int(count))}
    saving(folder, lambda path: write_bundle(path, {"v": weights["v00000"]}))
    before = peak()
    saving(folder, lambda path: write_bundle(path, weights))
    return peak() - before


def small(folder, count):
    """A checkpoint of many small variables, which TensorFlow would take minutes to write."""
    from pathlib import Path

    import numpy as np

    from hozon.formats.bundle import write_bundle

    path = Path(folder) / f"small-{count}"
    if not path.with_suffix(".index").exists():
        zeros = np.zeros(4, "float32")
        write_bundle(path, {f"layer-{i // 2}/v{i % 2}": zeros for i in range(int(count))})
    return str(path)


def list_variables(folder, count):
    import hozon.train

    path = small(folder, count)
    return seconds(lambda: hozon.train.list_variables(path), repeat=3, before=gc.collect)


def list_memory(folder, count):
    import hozon.train

    path = f"{folder}/small-{count}"
    before = peak()
    listed = hozon.train.list_variables(path)
    taken = peak() - before
    del listed
    return taken


def objects(folder, what, count):
    import keras
    import numpy as np

    import hozon.train

    values = [keras.Variable(np.ones(4, "float32")) for _ in range(int(count))]
    checkpoint = hozon.train.Checkpoint(values=values)
    path = f"{folder}/objects"
    if what == "write":
        return seconds(lambda: checkpoint.write(path))
    checkpoint.write(path)
    return seconds(lambda: checkpoint.read(path))


def layers(folder, what, kind, count, suffix=""):
    import keras

    import hozon

    model = stack(keras, kind, int(count))
    path = f"{folder}/layers{suffix}"
    if what == "save":
        return saving(folder, lambda path: hozon.save_model(model, f"{path}{suffix}"), 3, 1)
    hozon.save_model(model, path)
    return seconds(lambda: hozon.load_model(path), repeat=3, before=gc.collect)


def throughput(folder, model, size):
    import jax

    import hozon.saved_model

    signature = hozon.saved_model.load(f"{folder}/{model}").signatures["serving_default"]
    (name,) = signature.inputs
    x = batch(model, int(size))
    return seconds(lambda: jax.block_until_ready(signature(**{name: x})), repeat=10, warmup=3)


def live(_folder, what, name, size):
    import keras
    from live import seconds as live_seconds

    import hozon

    return live_seconds(keras, hozon.fast_on_cpu, what, name, int(size))


if __name__ == "__main__":
    print(globals()[sys.argv[1]](*sys.argv[2:]))
