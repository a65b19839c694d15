"""What is in a file, without Keras or JAX."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hozon.arguments import checked, path_to_read
from hozon.forms import form_of
from hozon.raw.collection import collection_paused
from hozon.raw.stores import place
from hozon.record import Graph, LayerInfo, SignatureInfo, TensorSummary
from hozon.reports import Report, size_text

__all__ = ["ArtifactInfo", "LayerInfo", "SignatureInfo", "TensorSummary", "inspect"]


@dataclass(frozen=True, slots=True, repr=False)
class ArtifactInfo(Report):
    """What an artifact holds.

    `functions` counts the nodes of each function; `ops` counts op types over the whole graph.
    """

    kind: ClassVar[str] = "artifact"

    path: str
    format: str
    producer: str
    tags: tuple[tuple[str, ...], ...] = ()
    signatures: tuple[SignatureInfo, ...] = ()
    layers: tuple[LayerInfo, ...] = ()
    variables: tuple[TensorSummary, ...] = ()
    training_config: Mapping[str, Any] | None = None
    functions: Mapping[str, int] = field(default_factory=dict)
    ops: Mapping[str, int] = field(default_factory=dict)
    assets: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of all stored tensors."""
        return sum(variable.nbytes for variable in self.variables)

    def __str__(self) -> str:
        held = ", ".join(
            f"{count:,} {name}"
            for count, name in (
                (len(self.layers), "layers"),
                (len(self.variables), "tensors"),
                (len(self.signatures), "signatures"),
                (len(self.functions), "functions"),
                (len(self.assets), "assets"),
            )
            if count
        )
        lines = [f"{self.path}: {self.format}, {self.producer}"]
        lines += [f"{held}; {size_text(self.nbytes)} of tensors"] if held else []
        lines += [f"signature {signature}" for signature in self.signatures]
        compiled = "compiled" if self.training_config else ""
        return "\n".join([*lines, *([compiled] if compiled else [])])


@checked(path=path_to_read)
def inspect(path: str | os.PathLike[str]) -> ArtifactInfo:
    """Look into an artifact without building or running anything of it.

    Args:
        path: any artifact: a SavedModel directory, a file of Keras or of safetensors, or the
            prefix, index file or folder of a checkpoint.

    Raises:
        MissingFileError: there is nothing.
        ForeignFileError: it is none of these.
        FormatError: it is damaged.

    Example:
        >>> hozon.inspect("my_model").signatures
    """
    where = place(path)
    form = form_of(where)
    record = form.look(where)
    graph = record.graph or Graph(layers=tuple(_layers_of(record.config or {}, "root")))
    kind = record.metadata.get("kind")
    with collection_paused():
        variables = tuple(
            TensorSummary(name, tensor.dtype.name, tensor.shape, tensor.nbytes)
            for name, tensor in form.named(record).items()
        )
    return ArtifactInfo(
        path=record.path or where,
        format=f"{form.label} ({kind})" if kind else form.label,
        producer=record.producer or "unknown",
        tags=graph.tags,
        signatures=graph.signatures,
        layers=graph.layers,
        variables=variables,
        training_config=record.training,
        functions=graph.functions,
        ops=graph.ops,
        assets=tuple(record.assets),
    )


def _layers_of(entry: Mapping[str, Any], path: str) -> Iterable[LayerInfo]:
    """A model's layers as its config lists them, those of nested models too."""
    if not entry:
        return
    config = entry.get("config")
    named = config.get("name") if isinstance(config, Mapping) else None
    name = str(named or entry.get("name") or "")
    yield LayerInfo(path, str(entry.get("class_name", "")), name, bool(config))
    layers = config.get("layers", ()) if isinstance(config, Mapping) else config
    for number, layer in enumerate(layers if isinstance(layers, list) else ()):
        if isinstance(layer, Mapping):
            yield from _layers_of(layer, f"{path}.layer-{number}")
