"""Write src/hozon/graphs/opdefs.json.gz from TensorFlow's own op registry.

Run in the oracle's environment: ``.venv-oracle/bin/python tools/make_opdefs.py``.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session

TARGET = Path(__file__).parents[1] / "src" / "hozon" / "graphs" / "opdefs.json.gz"


def registry() -> Any:
    """All registered ops as an OpList message."""
    buffer = pywrap_tf_session.TF_GetAllOpList()
    ops = op_def_pb2.OpList()
    ops.ParseFromString(pywrap_tf_session.TF_GetBuffer(buffer))
    return ops


def shape(message: Any) -> Any:
    """A shape as a list with None for free sizes; None for an unknown rank."""
    if message.unknown_rank:
        return None
    return [None if dim.size < 0 else dim.size for dim in message.dim]


def value(message: Any) -> Any:
    """An attribute value as a tagged pair."""
    kind = message.WhichOneof("value")
    if kind is None:
        return ["none", None]
    if kind == "list":
        items = message.list
        for tag in ("s", "i", "f", "b", "type", "shape"):
            found = list(getattr(items, tag))
            if found:
                return ["list", [[tag, scalar(tag, item)] for item in found]]
        return ["list", []]
    return [kind, scalar(kind, getattr(message, kind))]


def scalar(kind: str, item: Any) -> Any:
    """One value in a form that JSON holds."""
    if kind == "s":
        return item.decode("latin-1")
    if kind == "shape":
        return shape(item)
    if kind == "f":
        return repr(item)
    if kind == "tensor":
        return item.SerializeToString().decode("latin-1")
    return item.name if kind == "func" else item


def argument(message: Any) -> list[Any]:
    """[name, type, type attribute, number attribute, type list attribute, is reference]"""
    return [message.name, message.type, message.type_attr, message.number_attr,
            message.type_list_attr, message.is_ref]  # fmt: skip


def attribute(message: Any) -> list[Any]:
    """[name, type, default or None]"""
    default = value(message.default_value) if message.HasField("default_value") else None
    return [message.name, message.type, default]


def main() -> None:
    ops = {
        op.name: [
            [argument(a) for a in op.input_arg],
            [argument(a) for a in op.output_arg],
            [attribute(a) for a in op.attr],
            op.is_stateful,
        ]
        for op in sorted(registry().op, key=lambda op: op.name)
    }
    text = json.dumps(ops, separators=(",", ":"), sort_keys=True)
    TARGET.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(ops)} ops, {TARGET.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
