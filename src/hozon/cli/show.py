"""What `hozon inspect` prints."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hozon.inspection import ArtifactInfo, TensorSummary
from hozon.reports import size_text

if TYPE_CHECKING:
    from hozon.cli.commands import Conversion

#: Rows of a table that are shown; `--json` has all.
MOST_ROWS = 40


class Output(Console):
    """Standard output, of which a reader that has seen enough is for `main` to hear."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def on_broken_pipe(self) -> None:
        """Where rich ends the process as if something were wrong."""
        raise


def show(info: ArtifactInfo, console: Console | None = None, *, every: bool = False) -> None:
    """Print an artifact's description, `every` row of long tables."""
    out = console or Output()
    most = sys.maxsize if every else MOST_ROWS
    out.print(f"[bold]{escape(info.path)}[/]  {info.format}, {info.producer}", soft_wrap=True)
    if info.tags:
        out.print("tags: " + "; ".join(", ".join(tags) or "none" for tags in info.tags))
    for signature in info.signatures:
        name = escape(signature.name)
        out.print(f"[bold]{name}[/]{escape(str(signature)[len(signature.name) :])}")
    _table(
        out,
        "layers",
        ("path", "class", "name"),
        [(layer.path, layer.class_name, layer.name) for layer in info.layers],
        most,
    )
    _table(
        out,
        f"variables, {size_text(info.nbytes)}",
        ("name", "dtype", "shape", "size"),
        [(v.name, v.dtype, shape(v), size_text(v.nbytes)) for v in info.variables],
        most,
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


def show_conversions(done: Sequence[Conversion]) -> None:
    """Print a table of conversions, and how many failed."""
    out = Output()
    rows = [(c.source, c.target, "done" if c.done else "FAILED", c.told) for c in done]
    _table(out, "conversions", ("from", "to", "", "what was told"), rows, sys.maxsize)
    failed = sum(not item.done for item in done)
    out.print(f"{len(done) - failed} converted, {failed} failed")


def _table(
    out: Console,
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    most: int = MOST_ROWS,
) -> None:
    rows = list(rows)
    if not rows:
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows[:most]:
        table.add_row(*map(escape, row))
    out.print(table)
    if len(rows) > most:
        out.print(f"  ... and {len(rows) - most} more (-v and --json list all)")


def shape(tensor: TensorSummary) -> str:
    """A shape in brackets, ``?`` for a free size."""
    if tensor.shape is None:
        return "[...]"
    return "[" + ", ".join("?" if n is None else str(n) for n in tensor.shape) + "]"
