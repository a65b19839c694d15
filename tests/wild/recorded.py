"""The recorded answers of real TensorFlow for models from public repositories."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tests.conftest import shared_folder

RTOL = 1e-4
ATOL = 1e-5


@dataclass(frozen=True)
class Recorded:
    """One model with what TensorFlow said about it."""

    slug: str
    kind: str
    oracle: str
    folder: Path

    @property
    def path(self) -> Path:
        """The model itself."""
        return self.folder / "models" / self.slug

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """Signatures, tensors, layers: the JSON beside the answers."""
        text = (self.folder / "expected" / f"{self.slug}.json").read_text()
        description: Mapping[str, Any] = json.loads(text)
        return description

    @cached_property
    def arrays(self) -> Mapping[str, Any]:
        """Recorded inputs and outputs by key; empty where nothing could be recorded."""
        file = self.folder / "expected" / f"{self.slug}.npz"
        if not file.is_file():
            return {}
        with np.load(file, allow_pickle=True) as data:
            return {key: data[key] for key in data.files}

    def signatures(self) -> list[str]:
        """The signatures with recorded outputs."""
        return sorted({key.split(":")[1] for key in self.arrays if key.startswith("out:")})

    def inputs(self, signature: str) -> dict[str, Any]:
        """Recorded inputs of a signature."""
        return self._named(f"in:{signature}:")

    def outputs(self, signature: str) -> dict[str, Any]:
        """Recorded outputs of a signature, composite ones in parts."""
        return self._named(f"out:{signature}:")

    def numbered(self, prefix: str) -> list[Any]:
        """Arrays ``<prefix>0``, ``<prefix>1`` ... in order."""
        keys = [key for key in self.arrays if key.startswith(prefix) and "#" not in key]
        return [self.arrays[key] for key in sorted(keys, key=lambda k: int(k.split(":")[-1]))]

    def _named(self, prefix: str) -> dict[str, Any]:
        return {
            key.removeprefix(prefix): value
            for key, value in self.arrays.items()
            if key.startswith(prefix)
        }


def file_of(model: Recorded) -> Path:
    """The one file in a model's folder."""
    (found,) = (path for path in model.path.iterdir() if not path.name.startswith("."))
    return found


def models(*kinds: str) -> list[Recorded]:
    """All recorded models of some kinds; none when the folder is missing."""
    folder = shared_folder() / "wild"
    if not (folder / "manifest.json").is_file():
        return []
    manifest = json.loads((folder / "manifest.json").read_text())
    return [
        Recorded(m["slug"], m["kind"], m["oracle"], folder) for m in manifest if m["kind"] in kinds
    ]


def compare(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Names, then dtype and shape of each, then values."""
    assert sorted(actual) == sorted(expected)
    for name, want in expected.items():
        compare_array(name, actual[name], want)


def compare_array(name: str, actual: Any, want: Any) -> None:
    """One array against the recorded one."""
    have = np.asarray(actual)
    want = np.asarray(want)
    if want.dtype.kind in "OS":
        texts: Sequence[bytes] = [bytes(x) for x in want.reshape(-1).tolist()]
        assert have.shape == want.shape, name
        assert have.reshape(-1).tolist() == texts, name
        return
    assert have.dtype == want.dtype, (name, have.dtype, want.dtype)
    assert have.shape == want.shape, (name, have.shape, want.shape)
    np.testing.assert_allclose(have, want, rtol=RTOL, atol=ATOL, err_msg=name)
