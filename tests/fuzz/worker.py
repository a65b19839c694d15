"""Runs cases by their numbers, one a line: ``python -m tests.fuzz.worker FOLDER``.

A case is a seed, changed as its number says, and a door. For each it prints a line of JSON: the
number, what came of it, the seconds that it took and the megabytes that it needed. It may take so
much address space beyond what the process has when all is loaded.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import hozon
from hozon.errors import HozonError
from tests.flips.flipping import small
from tests.fuzz.corpus import seeds
from tests.fuzz.mutations import mutated

SPACE = 2 << 30
SEEDS = seeds()
NAMES = sorted(SEEDS)


def _weights(path: str) -> Any:
    return hozon.load_weights(MODEL, path)


def _tensors(path: str) -> Any:
    return [np.asarray(tensor) for tensor in hozon.tensors(path).values()]


def _report(path: str) -> Any:
    return hozon.report(path)


def _graph(path: str) -> Any:
    loaded = hozon.saved_model.load(path)
    return [signature() for signature in loaded.signatures.values() if not signature.inputs]


#: How often each door is taken: what only looks is fast.
DOORS: list[Callable[[str], Any]] = [
    *[hozon.inspect] * 6,
    *[hozon.verify] * 6,
    *[_tensors] * 6,
    *[hozon.load_model] * 3,
    *[_weights] * 3,
    _report,
    _graph,
]


def made(number: int, folder: Path) -> tuple[str, Callable[[str], Any], Path]:
    """The seed, the door and the place of a case, which is written there."""
    draw = random.Random(number)
    name = draw.choice(NAMES)
    files = dict(SEEDS[name])
    for _ in range(draw.choice((1, 1, 1, 2))):
        file = draw.choice(sorted(files))
        files[file] = mutated(draw, files[file])
    if draw.random() < 0.02 and len(files) > 1:
        del files[draw.choice(sorted(files))]
    if name not in ("checkpoint",) and draw.random() < 0.7:
        files.pop("m/fingerprint.pb", None)
    shutil.rmtree(folder, ignore_errors=True)
    for file, data in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)
    return name, draw.choice(DOORS), folder / _entry(SEEDS[name])


def _entry(files: dict[str, bytes]) -> str:
    """What is opened of a seed: its one file or folder, an index of several files, or a prefix."""
    tops = sorted({file.split("/")[0] for file in files})
    for suffix in (".weights.json", ".safetensors.index.json"):
        named = [top for top in tops if top.endswith(suffix)]
        if named:
            return named[0]
    indexes = [top for top in tops if top.endswith(".index")]
    return indexes[0].removesuffix(".index") if indexes else tops[0]


def run(number: int, folder: Path) -> dict[str, Any]:
    """One case."""
    name, door, path = made(number, folder)
    before = _peak(reset=True)
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            door(str(path))
        outcome = "taken"
    except HozonError as error:
        outcome = type(error).__name__
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        outcome = f"bare {type(error).__name__}: {error}"[:300]
    seconds = time.process_time() - began
    grown = (_peak() - before) / 1024
    label = f"{name} by {getattr(door, '__name__', door)}"
    return {"number": number, "case": label, "outcome": outcome, "seconds": seconds, "mb": grown}


def _peak(*, reset: bool = False) -> float:
    """The most kilobytes resident since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def _limit() -> None:
    """So much address space more than there is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + SPACE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    folder = Path(sys.argv[1])
    for number in range(-len(NAMES) * 2, 0):  # what is loaded and compiled once is no case's
        run(number, folder)
    _limit()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(int(line), folder)), flush=True)
    shutil.rmtree(folder, ignore_errors=True)


MODEL: keras.Model = small()

if __name__ == "__main__":
    main()
