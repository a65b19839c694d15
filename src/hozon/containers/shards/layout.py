"""How sets of shards are called, and what their indexes say.

Keras 3's ``name.weights.json`` holds ``{"metadata": {"total_size": bytes}, "weight_map": {path:
file}}``, where a path is ``/layers/dense/vars`` and a file the name, or a list of names, of the
shards beside it; each shard is a ``.weights.h5`` file of some of the variables
(keras/src/saving/saving_lib.py, ShardedH5IOStore). Keras opens ``name_00000.weights.h5`` before it
looks into the index.

The index of safetensors files, ``name.safetensors.index.json``, lists tensors instead of objects;
the shards are ``name-00001-of-00003.safetensors`` (huggingface_hub/serialization/_base.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from hozon.containers import safetensors
from hozon.containers.keraszip.layout import VARS
from hozon.containers.keraszip.write import write_weights
from hozon.raw.stores import parent_and_name
from hozon.record import ModelRecord

#: What names of shards end in.
SHARDS = (".h5", ".safetensors")
METADATA, TOTAL, WEIGHT_MAP = "metadata", "total_size", "weight_map"


class Put(Protocol):
    """What writes one shard."""

    def __call__(self, record: ModelRecord, path: str, *, durable: bool | None = None) -> None:
        """Write some of the variables; `durable` says whether to wait for the disk."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of set.

    Attributes:
        suffix: end of the index's name.
        shard: name of a shard, of the set's name, its number from 0 on, from 1 on, and their count.
        put: what writes a shard.
        keeps_first: whether the shard of number 0 must be there, whatever the index says.
        by_tensor: whether the index lists tensors, each in one file, instead of objects.
    """

    suffix: str
    shard: str
    put: Put
    keeps_first: bool
    by_tensor: bool

    def base(self, where: str) -> str:
        """The name of a set."""
        return parent_and_name(where)[1].removesuffix(self.suffix)

    def names(self, base: str, count: int) -> list[str]:
        """The names of some shards."""
        return [
            self.shard.format(base=base, index=i, number=i + 1, count=count) for i in range(count)
        ]

    def is_of(self, base: str, name: str) -> bool:
        """Whether a file has a name of a set's shards."""
        parts = re.split(r"\{(\w+)[^}]*\}", self.shard)  # texts and fields by turns
        fields = (re.escape(base) if field == "base" else r"\d{5,}" for field in parts[1::2])
        texts = map(re.escape, parts[::2])
        pattern = "".join(text + field for text, field in zip_longest(texts, fields, fillvalue=""))
        return re.fullmatch(pattern, name) is not None

    def entry(self, owner: str, name: str) -> str:
        """What the index calls a variable."""
        if self.by_tensor:
            return safetensors.name_of(owner, name)
        return f"/{owner}/{VARS}" if owner else f"/{VARS}"


KERAS = Layout(".weights.json", "{base}_{index:05}.weights.h5", write_weights, True, False)
SAFETENSORS = Layout(
    ".safetensors.index.json",
    "{base}-{number:05}-of-{count:05}.safetensors",
    safetensors.write_state,
    False,
    True,
)
LAYOUTS: Sequence[Layout] = (KERAS, SAFETENSORS)
