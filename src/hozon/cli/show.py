"""What `hozon inspect` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hozon.inspection import ArtifactInfo, SignatureInfo, TensorSummary

#: Rows of a table that are shown; `--json` has all.
MOST_ROWS = 40
UNITS = ("B", "kB", "MB", "GB", "TB")


def show(info: ArtifactInfo, console: Console | None = None) -> None:
    """Print an artifact's description."""
    out = console or Console(highlight=False)
    out.print(f"[bold]{escape(info.path)}[/]  {info.format}, {info.producer}", soft_wrap=True)
    if info.tags:
        out.print("tags: " + "; ".join(", ".join(tags) or "none" for tags in info.tags))
    for signature in info.signatures:
        out.print(_signature(signature))
    _table(
        out,
        "layers",
        ("path", "class", "name"),
        [(layer.path, layer.class_name, layer.name) for layer in info.layers],
    )
    _table(
        out,
        f"variables, {size(info.nbytes)}",
        ("name", "dtype", "shape", "size"),
        [(v.name, v.dtype, shape(v), size(v.nbytes)) for v in info.variables],
    )
    if info.training_config:
        out.print(f"training: {escape(_training(info))}")
    if info.ops:
        common = sorted(info.ops.items(), key=lambda item: (-item[1], item[0]))
        out.print(
            f"{len(info.functions)} functions, {sum(info.ops.values())} nodes of "
            f"{len(info.ops)} op types: " + ", ".join(f"{op} {n}" for op, n in common[:12])
        )
    if info.assets:
        out.print("assets: " + escape(", ".join(info.assets)))


def _signature(signature: SignatureInfo) -> str:
    inputs = ", ".join(f"{t.name}: {t.dtype}{shape(t)}" for t in signature.inputs)
    outputs = ", ".join(f"{t.name}: {t.dtype}{shape(t)}" for t in signature.outputs)
    return f"[bold]{escape(signature.name)}[/]({escape(inputs)}) -> {escape(outputs)}"


def _training(info: ArtifactInfo) -> str:
    config = info.training_config or {}
    # Keras 2 and 3 call it differently, and an optimizer by default is only a name.
    optimizer = config.get("optimizer_config") or config.get("optimizer")
    if isinstance(optimizer, Mapping):
        optimizer = optimizer.get("class_name")
    return f"optimizer {optimizer}, loss {_named(config.get('loss'))}"


def _named(loss: Any) -> str:
    """A loss by its name; those of several outputs as they are."""
    if isinstance(loss, Mapping) and "class_name" in loss:
        return str(loss["class_name"])
    return str(loss)


def _table(out: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    rows = list(rows)
    if not rows:
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows[:MOST_ROWS]:
        table.add_row(*map(escape, row))
    out.print(table)
    if len(rows) > MOST_ROWS:
        out.print(f"  ... and {len(rows) - MOST_ROWS} more (--json lists all)")


def shape(tensor: TensorSummary) -> str:
    """A shape in brackets, ``?`` for a free size."""
    if tensor.shape is None:
        return "[...]"
    return "[" + ", ".join("?" if n is None else str(n) for n in tensor.shape) + "]"


def size(count: int) -> str:
    """A number of bytes in a unit that people read."""
    value = float(count)
    for unit in UNITS:
        if value < 1000 or unit == UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError(unit)
