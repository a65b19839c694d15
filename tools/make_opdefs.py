"""Write src/hozon/graphs/opdefs.json.gz from TensorFlow's own op registry.

Run in the oracle's environment: ``.venv-oracle/bin/python tools/make_opdefs.py [TARGET]``. The file
is one JSON object with one op a line, so that a reader can find an op without parsing all.
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
        fields = [(field.name, items) for field, items in message.list.ListFields()]
        return ["list", [[tag, scalar(tag, item)] for tag, items in fields for item in items]]
    return [kind, scalar(kind, getattr(message, kind))]


def scalar(kind: str, item: Any) -> Any:
    """One value in a form that JSON holds; `json.dumps` refuses what has none, a function say."""
    if kind == "s":
        return item.decode("latin-1")
    if kind == "shape":
        return shape(item)
    if kind == "f":
        return repr(item)
    if kind == "tensor":
        return item.SerializeToString().decode("latin-1")
    return item


def argument(message: Any) -> list[Any]:
    """[name, type, type attribute, number attribute, type list attribute, is reference]"""
    return [
        message.name,
        message.type,
        message.type_attr,
        message.number_attr,
        message.type_list_attr,
        message.is_ref,
    ]


def attribute(message: Any) -> list[Any]:
    """[name, type, default or None, allowed values or None, minimum or None]"""
    default = value(message.default_value) if message.HasField("default_value") else None
    allowed = value(message.allowed_values) if message.HasField("allowed_values") else None
    minimum = message.minimum if message.has_minimum else None
    return [message.name, message.type, default, allowed, minimum]


def line(name: str, row: Any) -> str:
    """One op as one member of the JSON object, on a line of its own."""
    return f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'))}"


def main(target: Path) -> None:
    ops = {
        op.name: [
            [argument(a) for a in op.input_arg],
            [argument(a) for a in op.output_arg],
            [attribute(a) for a in op.attr],
            op.is_stateful,
        ]
        for op in sorted(registry().op, key=lambda op: op.name)
    }
    text = "{\n" + ",\n".join(line(name, row) for name, row in ops.items()) + "\n}\n"
    target.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(ops)} ops, {target.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
