"""Two processes save one model together; others open it; what one cannot do, none has done."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.collective.disk import FAR, register
from tests.oracle.client import Oracle

ROOT = Path(__file__).parents[2]
WEIGHTS = ("w", "w.weights.h5", "w.h5", "w.safetensors", "w.weights.json")


def run(task: str, folder: Path, count: int = 2) -> list[list[str]]:
    """What each of some processes finds wrong."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    given = [address, str(count), "INDEX", str(folder), task]
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.collective.worker",
                *(str(index) if word == "INDEX" else word for word in given),
            ],
            cwd=ROOT,
            env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(count)
    ]
    found = []
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err[-3000:]
        found.append(json.loads(out.splitlines()[-1]))
    return found


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collective")
    assert run("save", folder) == [[], []]
    register(folder / "far")
    return folder


def value_of(number: int, shape: Any) -> np.ndarray:
    return (number + np.arange(np.prod(shape), dtype="float32") / 100).reshape(shape)


def check(model: keras.Model) -> None:
    for number, variable in enumerate(model.weights):
        np.testing.assert_array_equal(variable, value_of(number, variable.shape))


@pytest.mark.parametrize("base", ["", FAR])
@pytest.mark.parametrize("name", ["m", "m.keras", "m.h5"])
def test_one_process_opens_what_two_saved(saved: Path, base: str, name: str) -> None:
    model = hozon.load_model(f"{base or saved}/{name}")
    check(model)
    slots = model.optimizer.variables[2:]
    for number, variable in enumerate(slots, len(model.weights)):
        np.testing.assert_array_equal(variable, value_of(number, variable.shape))
    assert hozon.verify(f"{base or saved}/{name}").ok


@pytest.mark.parametrize("base", ["", FAR])
@pytest.mark.parametrize("name", WEIGHTS)
def test_and_weights(saved: Path, base: str, name: str) -> None:
    model = hozon.load_model(saved / "m")
    for variable in model.weights:
        variable.assign(variable * 0)
    hozon.load_weights(model, f"{base or saved}/{name}")
    check(model)


def test_each_process_wrote_its_part(saved: Path) -> None:
    sizes = [file.stat().st_size for file in sorted((saved / "m" / "variables").glob("*.data*"))]
    assert len(sizes) == 2
    assert min(sizes) > 500


def test_nothing_is_left(saved: Path) -> None:
    """No hidden folder, no data of an older save."""
    assert not [file for file in saved.rglob("*") if ".hozon-" in file.name]
    for folder in (saved, saved / "far" / "b"):
        assert len(list(folder.glob("w.data*"))) == 2
    kept = {file.name for file in (saved / "run").glob("*.index")}
    assert kept == {"ckpt-2.index", "ckpt-3.index"}
    assert {file.name for file in (saved / "epochs").iterdir()} == {"1.keras", "2.keras"}


def test_tensorflow_opens_it(saved: Path, oracle: Oracle) -> None:
    told = oracle.python(
        "m = keras.models.load_model(folder + '/m')\n"
        "out['weights'] = m.get_weights()\n"
        "names = tf.train.list_variables(folder + '/far/b/w')\n"
        "out['far'] = {n: tf.train.load_variable(folder + '/far/b/w', n) for n, _ in names}",
        folder=str(saved),
    )
    for number, weight in enumerate(told["weights"]):
        np.testing.assert_array_equal(weight, value_of(number, weight.shape))
    end = "kernel/.ATTRIBUTES/VARIABLE_VALUE"
    kernels = [value for name, value in told["far"].items() if name.endswith(end)]
    assert len(kernels) == 2
    for number, kernel in zip((0, 2), sorted(kernels, key=lambda k: -k.size), strict=True):
        np.testing.assert_array_equal(kernel, value_of(number, kernel.shape))
    for number in range(1, 9):
        slot = told["far"][f"optimizer/_variables/{number}/.ATTRIBUTES/VARIABLE_VALUE"]
        np.testing.assert_array_equal(slot, value_of(number + 3, slot.shape))


def test_what_one_cannot_do_none_has_done(saved: Path) -> None:
    """The old stays, and is loaded onto other layouts; calls that differ are refused."""
    assert run("fail", saved) == [[], []]
    assert not list(saved.glob("other*")) + list(saved.glob("alone*"))
