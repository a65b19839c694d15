"""What stands on a page, gathered from the record of an artifact; plain data for the template."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hozon.alignment import placed
from hozon.config.upgrade import short_name
from hozon.containers.agreement import called_layers, entry_name, layers_of
from hozon.forms import form_of
from hozon.inspection import ArtifactInfo, inspect
from hozon.page.drawing import Drawing, drawn
from hozon.page.statistics import Statistics, statistics_of
from hozon.record import LayerInfo, ModelRecord, SignatureInfo
from hozon.stored.lazy import LazyTensor
from hozon.verification import VerifyReport, verify

#: Rows of a table that a page has at most.
MOST_ROWS = 5000
#: Ops that read or write files, or call Python.
OUTSIDE_OPS = frozenset(
    {"PyFunc", "EagerPyFunc", "PyFuncStateless", "ReadFile", "WriteFile", "ShellExecute"}
)
NOT_SHOWN = frozenset({"layers", "input_layers", "output_layers", "name"})
LONGEST = 300


@dataclass(slots=True)
class Block:
    """A layer, and the layers in it.

    Attributes:
        anchor: what links to it.
        name: its name.
        class_name: its class.
        inputs: the layers that it is called on, with their anchors.
        arguments: its arguments, a line for each.
        tensors: its own tensors: name, shape and type.
        parameters: how many numbers it holds, with those of the layers in it.
        inside: the layers in it.
        drawing: how they are connected.
    """

    anchor: str
    name: str
    class_name: str
    inputs: list[tuple[str, str]] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    tensors: list[str] = field(default_factory=list)
    parameters: int = 0
    inside: list[Block] = field(default_factory=list)
    drawing: Drawing | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A tensor in the table."""

    name: str
    dtype: str
    shape: str
    elements: int
    nbytes: int
    told: Statistics


@dataclass(frozen=True, slots=True)
class Call:
    """A signature, and how to call it from Python and from a shell."""

    title: str
    python: str
    curl: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a page tells of one artifact."""

    info: ArtifactInfo
    checks: VerifyReport
    warnings: list[tuple[str, str]]
    model: Block | None
    layers: list[LayerInfo]
    tensors: list[Row]
    more_tensors: int
    parameters: int
    calls: list[Call]


def gather(where: str) -> Facts:
    """Look at an artifact.

    Raises:
        FormatError: it is so damaged that nothing can be told.
    """
    info, checks, form = inspect(where), verify(where), form_of(where)
    record = form.read(where)
    named = form.named(record)
    model = Tree(record, named).model() if record.config else None
    rows = [_row(name, tensor) for name, tensor in list(named.items())[:MOST_ROWS]]
    return Facts(
        info=info,
        checks=checks,
        warnings=list(_warnings(record, info, checks, rows)),
        model=model,
        layers=[] if model is not None else list(info.layers),
        tensors=rows,
        more_tensors=len(named) - len(rows),
        parameters=sum(tensor.size for group in record.state for tensor in group.tensors.values()),
        calls=[_call(where, signature) for signature in info.signatures],
    )


def _row(name: str, tensor: LazyTensor) -> Row:
    shape = "[" + ", ".join(map(str, tensor.shape)) + "]"
    told = statistics_of(tensor)
    return Row(name, tensor.dtype.name, shape, tensor.size, tensor.nbytes, told)


# Layers


class Tree:
    """Makes the blocks of a model."""

    def __init__(self, record: ModelRecord, named: Mapping[str, LazyTensor]) -> None:
        self._record = record
        self._count = 0
        self._owned: dict[str, list[LazyTensor]] = {}
        names = {entry_name(entry) for entry in _all_entries(record.config or {})}
        for item in placed(record, named):
            owner = next((p for p in reversed(item.owner.split("/")) if p in names), None)
            if owner is not None and not item.beside:
                self._owned.setdefault(owner, []).append(item.tensor)

    def model(self) -> Block:
        """The block of the whole model."""
        return self._block(self._record.config or {}, {})

    def _block(self, entry: Mapping[str, Any], anchors: Mapping[str, str]) -> Block:
        self._count += 1
        name, entries = entry_name(entry), layers_of(entry)
        made = Block(f"layer-{self._count}", name, short_name(str(entry.get("class_name", ""))))
        called = dict.fromkeys(called_layers(entry.get("inbound_nodes")))
        made.inputs = [(n, anchors.get(n, "")) for n in called]
        made.arguments = _arguments(entry.get("config"))
        inner: dict[str, str] = {}
        for layer in entries:
            if self._count >= MOST_ROWS:
                made.arguments.append(f"... {len(entries) - len(made.inside)} more")
                break
            block = self._block(layer, inner)
            inner[block.name] = block.anchor
            made.inside.append(block)
        tensors = [] if entries else self._owned.get(name, [])
        made.tensors = [f"{t.dtype.name}[{', '.join(map(str, t.shape))}]" for t in tensors]
        made.parameters = sum(t.size for t in tensors) + sum(b.parameters for b in made.inside)
        made.drawing = drawn(made.inside) if len(made.inside) > 1 else None
        return made


def _all_entries(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield entry
    for layer in layers_of(entry):
        yield from _all_entries(layer)


def _arguments(config: Any) -> list[str]:
    if not isinstance(config, Mapping):
        return []
    shown = ((key, value) for key, value in config.items() if key not in NOT_SHOWN)
    return [f"{key} = {_short(value)}" for key, value in shown if value is not None]


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and "class_name" in value:
        inner = value.get("config")
        given = inner.items() if isinstance(inner, Mapping) else ()
        told = ", ".join(f"{name}={item!r}" for name, item in given)
        text = f"{value['class_name']}({told or inner or ''})"
    else:
        text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


# Warnings


def _warnings(
    record: ModelRecord, info: ArtifactInfo, checks: VerifyReport, rows: Sequence[Row]
) -> Iterator[tuple[str, str]]:
    """The word for each kind of warning, and what it is about."""
    yield from (("damaged", str(item)) for item in checks.damage[:20])
    yield from (("unchecked", item) for item in checks.unchecked)
    for entry in _all_entries(record.config or {}):
        kind = str(entry.get("class_name", ""))
        if short_name(kind) == "Lambda":
            yield "lambda", entry_name(entry)
        elif _is_foreign(entry):
            yield "foreign", f"{entry_name(entry)} ({kind})"
    for op in sorted(OUTSIDE_OPS & set(info.ops)):
        yield "outside", op
    odd = [row.name for row in rows if row.told.odd]
    yield from (("odd", name) for name in odd[:20])
    for what in checks.uncovered:
        if "no checksum" in what:
            yield "uncovered", what


def _is_foreign(entry: Mapping[str, Any]) -> bool:
    """Whether a class is not Keras' own, by what its config says."""
    module, registered = entry.get("module"), entry.get("registered_name")
    if ">" in str(entry.get("class_name", "")):
        return True
    if module is None and registered is None:
        return False
    own = str(module or "").split(".")[0] in ("keras", "tf_keras", "builtins")
    return not own or (registered is not None and ">" in str(registered))


# Signatures


def _call(where: str, signature: SignatureInfo) -> Call:
    arguments = ", ".join(f"{_keyword(t.name)}={_example(t)}" for t in signature.inputs)
    python = (
        "import hozon, numpy as np\n"
        f"loaded = hozon.saved_model.load({where!r})\n"
        f"outputs = loaded.signatures[{signature.name!r}]({arguments})"
    )
    body = ", ".join(f'"{t.name}": ...' for t in signature.inputs)
    curl = (
        f"curl -X POST http://localhost:8501/v1/models/{where.rstrip('/').rpartition('/')[2]}"
        f':predict -d \'{{"signature_name": "{signature.name}", "inputs": {{{body}}}}}\''
    )
    return Call(str(signature), python, curl)


def _keyword(name: str) -> str:
    return name if name.isidentifier() else f"**{{{name!r}: ...}}"


def _example(tensor: Any) -> str:
    shape = tuple(1 if size is None else size for size in tensor.shape or ())
    if tensor.dtype == "string":
        return f"np.full({shape}, b'text', object)"
    return f"np.zeros({shape}, {tensor.dtype!r})"


def by_count(ops: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """Most frequent first."""
    return sorted(ops.items(), key=lambda item: (-item[1], item[0]))
