"""Whether a saved model is called on strings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hozon.containers.savedmodel.read import SavedModel
from hozon.models.savedmodel.load.objects import KerasNode
from hozon.stored.dtypes import STRING


def takes_strings(artifact: SavedModel, root: KerasNode) -> bool:
    """Whether a model is called on strings; a signature beside it may take some all the same."""
    signatures = artifact.meta_graph.signatures.values()
    served = any(
        int(info.dtype) == STRING.number
        for signature in signatures
        for info in signature.inputs.values()
    )
    spec = root.metadata.get("full_save_spec") or root.metadata.get("save_spec")
    if not served or spec is None:
        return served and not _has_numeric_inputs(root)
    return STRING.name in set(_dtypes(spec))


def _has_numeric_inputs(root: KerasNode) -> bool:
    """Whether the config of a model declares its inputs, none of them as strings."""
    layers = (root.config or {}).get("layers")
    entries = [e for e in layers if isinstance(e, dict)] if isinstance(layers, list) else []
    inputs = [e["config"] for e in entries if e.get("class_name") == "InputLayer"]
    return bool(inputs) and not any(config.get("dtype") == STRING.name for config in inputs)


def _dtypes(spec: Any) -> Iterator[str]:
    """The dtypes of a saved structure of type specs: ``[shape, dtype, ...]`` each."""
    if isinstance(spec, Mapping) and spec.get("class_name") == "TypeSpec":
        yield str(spec["serialized"][1])
    elif isinstance(spec, Mapping):
        yield from (dtype for item in spec.values() for dtype in _dtypes(item))
    elif isinstance(spec, (list, tuple)):
        yield from (dtype for item in spec for dtype in _dtypes(item))
