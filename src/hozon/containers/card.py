"""The model card of an artifact: what is in it, as Markdown that the Hugging Face Hub shows.

The Hub reads the lines between two ``---`` at the beginning as YAML
(huggingface.co/docs/hub/model-cards). What comes from the artifact stands below, quoted as code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hozon.config.upgrade import short_name
from hozon.containers.agreement import called_layers, entry_name, layers_of
from hozon.raw.stores import exists, is_file, join, parent_and_name, read_bytes, write_bytes
from hozon.record import ModelRecord, SignatureInfo, StateGroup
from hozon.reports import size_text

NAME = "README.md"
#: Says that a card may be written anew.
MARK = "<!-- Hozon writes this card anew with the model; without this line it is kept. -->"
#: Layers that a card lists.
MOST = 200
CALLED = {"savedmodel": "SavedModel", "keras": ".keras", "h5": "H5", "tfjs": "TensorFlow.js"}


def card(record: ModelRecord, where: str) -> str:
    """The card of what a record tells; `where` is the place of the artifact."""
    title = parent_and_name(where.rstrip("/"))[1] or "model"
    sections: Iterable[Iterable[str]] = (
        _head(record, title),
        _usage(record, title),
        _signatures(record),
        _layers(record),
        _training(record),
    )
    return "\n".join(line for section in sections for line in section).rstrip() + "\n"


def put_card(folder: str, target: str, record: ModelRecord) -> list[str]:
    """Write the card of a model into the folder that will be at `target`; the files written.

    A card that is there is kept, unless Hozon has written it.
    """
    before = join(target, NAME)
    if exists(before) and (not is_file(before) or MARK.encode() not in read_bytes(before)):
        return []
    file = join(folder, NAME)
    write_bytes(file, card(record, target).encode())
    return [file]


def _head(record: ModelRecord, title: str) -> Iterator[str]:
    form = CALLED.get(record.form, record.form)
    tags = ["keras", *([] if record.form == "keras" else [re.sub(r"\W+", "-", form.lower())])]
    yield from ("---", "library_name: hozon", "tags:", *(f"- {tag}" for tag in tags), "---", "")
    yield from (MARK, "", f"# {_plain(title)}", "")
    tensors = [tensor for group in record.state for tensor in group.tensors.values()]
    sizes = f"{sum(t.size for t in tensors):,} numbers in {len(tensors):,} tensors"
    kind = short_name(str((record.config or {}).get("class_name", "")))
    named = f"A model of Keras, {_code(kind)}" if kind else "A model"
    nbytes = size_text(sum(t.nbytes for t in tensors))
    yield f"{named}, saved as {form}: {sizes}, {nbytes}."
    if record.producer:
        yield f"Written by {_code(record.producer)}."
    yield ""


def _usage(record: ModelRecord, title: str) -> Iterator[str]:
    there = f"hf://user/repository/{title}" if "." in title else f"hf://user/{title}"
    yield from ("## How to load it", "", "```python", "import hozon", "")
    yield f"model = hozon.load_model({title!r})"
    yield f"model = hozon.load_model({there!r})  # from the Hub"
    yield from ("```", "")
    if record.form == "savedmodel":
        yield (
            "`tf.saved_model.load`, `tf_keras.models.load_model` and TensorFlow Serving open it."
        )
        yield ""


def _signatures(record: ModelRecord) -> Iterator[str]:
    found: Sequence[SignatureInfo] = () if record.graph is None else record.graph.signatures
    if not found:
        return
    yield from ("## Signatures", "", "| name | takes | gives |", "|---|---|---|")
    for info in found:
        taken, given = (", ".join(map(str, side)) for side in (info.inputs, info.outputs))
        yield f"| {_code(info.name)} | {_code(taken)} | {_code(given)} |"
    yield ""


def _layers(record: ModelRecord) -> Iterator[str]:
    rows = list(_rows(record.config or {}, ""))
    if not rows:
        return
    yield from ("## Layers", "", "| layer | class | called on |", "|---|---|---|")
    for name, kind, called in rows[:MOST]:
        yield f"| {_code(name)} | {_code(kind)} | {_code(called)} |"
    if len(rows) > MOST:
        yield from ("", f"... and {len(rows) - MOST:,} more.")
    yield ""


def _rows(entry: Mapping[str, Any], place: str) -> Iterator[tuple[str, str, str]]:
    for layer in layers_of(entry):
        name = f"{place}{entry_name(layer)}"
        called = ", ".join(dict.fromkeys(called_layers(layer.get("inbound_nodes"))))
        yield name, short_name(str(layer.get("class_name", ""))), called
        yield from _rows(layer, f"{name}/")


def _training(record: ModelRecord) -> Iterator[str]:
    if record.training is None:
        return
    told = record.training
    optimizer = told.get("optimizer_config") or told.get("optimizer")
    parts = {"optimizer": optimizer, "loss": told.get("loss"), "metrics": told.get("metrics")}
    yield from ("## Training", "")
    yield from (f"- {key}: {_code(_named(value))}" for key, value in parts.items() if value)
    state = record.optimizer or _of_optimizer(record)
    yield "- the optimizer's state is there" if state else "- without the optimizer's state"
    yield ""


def _of_optimizer(record: ModelRecord) -> StateGroup | None:
    """The group that holds an optimizer's state under the names of objects."""
    held = (g for g in record.state if any(k.startswith("optimizer/") for k in g.tensors))
    return next(held, None)


def _named(value: Any) -> str:
    """An object of a config by its class, several of them by theirs."""
    if isinstance(value, Mapping):
        kind = value.get("class_name")
        inner = value.get("config")
        if kind in ("function", "builtins"):
            return str(inner)
        if kind is not None:
            return short_name(str(kind))
        return ", ".join(f"{key}: {_named(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(filter(None, map(_named, value)))
    return "" if value is None else str(value)


def _code(text: str) -> str:
    """Text of a file as code, in a cell of a table or a line."""
    flat = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{flat}`" if flat else ""


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text)
