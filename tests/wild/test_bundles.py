"""Every recorded checkpoint: the same tensors as TensorFlow reads, to the bit."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hozon.formats.bundle import open_bundle
from tests.conftest import shared_folder

WILD = shared_folder() / "wild"
INDEXES = sorted(WILD.glob("models/**/*.index"))


def digest(array: np.ndarray[Any, Any]) -> str:
    hashed = hashlib.sha256()
    if array.dtype != object:
        return hashlib.sha256(array.tobytes()).hexdigest()
    for text in array.flat:
        hashed.update(struct.pack("<Q", len(text)) + text)
    return hashed.hexdigest()


def recorded(index: Path) -> dict[str, Any]:
    slug = index.relative_to(WILD / "models").parts[0]
    answer = json.loads((WILD / "expected" / f"{slug}.json").read_text())
    tensors: dict[str, Any] = answer.get("tensors") or answer["variables"]["tensors"]
    return tensors


@pytest.mark.skipif(not INDEXES, reason=f"{WILD} is missing (set HOZON_SHARED)")
@pytest.mark.parametrize("index", INDEXES, ids=lambda path: path.relative_to(WILD).parts[1])
def test_tensors_are_those_that_tensorflow_reads(index: Path) -> None:
    bundle = open_bundle(index.with_suffix(""))
    found = {
        name: {
            "dtype": tensor.dtype.name,
            "shape": list(tensor.shape),
            "sha256": digest(tensor.read()),
        }
        for name, tensor in bundle.items()
    }
    assert found == recorded(index)
