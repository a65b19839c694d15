"""Two processes hold one model that is laid out over both, save it together, and load it again.

``python examples/two_processes.py [FOLDER]`` starts both on this machine, each with two devices.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

ADDRESS = "127.0.0.1:47811"


def main(index: int, folder: str) -> None:
    """What each process does: the same calls."""
    import hozon  # chooses JAX for Keras  # isort: skip
    import jax
    import keras
    import numpy as np

    jax.distributed.initialize(ADDRESS, 2, index)
    keras.utils.set_random_seed(1)  # all must begin alike
    devices = np.array(jax.devices()).reshape(1, 4)
    mesh = keras.distribution.DeviceMesh((1, 4), ["batch", "model"], devices)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*kernel"] = (None, "model")
    parallel = keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    with parallel.scope():
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(4)])
        hozon.save_model(model, f"{folder}/model")
        hozon.load_weights(model, f"{folder}/model").assert_consumed()
    kernel = model.weights[0].value
    here = [part.data.shape for part in kernel.addressable_shards]
    print(f"process {index}: a kernel of {kernel.shape}, of which {here} lie here")
    if index == 0:
        files = sorted(os.listdir(f"{folder}/model/variables"))
        print(f"process {index}: {folder}/model/variables holds {', '.join(files)}")


if __name__ == "__main__":
    if "HOZON_EXAMPLE" in os.environ:
        main(int(os.environ["HOZON_EXAMPLE"]), sys.argv[1])
        sys.exit()
    with tempfile.TemporaryDirectory() as made:
        where = sys.argv[1] if len(sys.argv) > 1 else made
        flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
        both = [
            subprocess.Popen(
                [sys.executable, __file__, where],
                env={**os.environ, **flags, "HOZON_EXAMPLE": str(index)},
            )
            for index in range(2)
        ]
        sys.exit(max(process.wait() for process in both))
