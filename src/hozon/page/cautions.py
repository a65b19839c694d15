"""What a page warns of: what is damaged, runs code, is unknown, or has no checksum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hozon.config.upgrade import short_name
from hozon.containers.agreement import entry_name
from hozon.graphs.handled import handled_ops
from hozon.page.layers import all_entries
from hozon.record import ModelRecord
from hozon.verification import VerifyReport

#: Ops that read or write files, or call Python.
OUTSIDE_OPS = frozenset(
    {"PyFunc", "EagerPyFunc", "PyFuncStateless", "ReadFile", "WriteFile", "ShellExecute"}
)
#: Ops that only TensorFlow runs, to save and restore: never for an answer.
OF_CHECKPOINTS = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"})
MOST = 20


def cautions(
    record: ModelRecord, ops: Mapping[str, int], checks: VerifyReport, odd: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """The word for each warning, and what it is about; `odd` tensors hold what is no number."""
    yield from (("damaged", str(item)) for item in checks.damage[:MOST])
    yield from (("unchecked", item) for item in checks.unchecked)
    for entry in all_entries(record.config or {}):
        kind = str(entry.get("class_name", ""))
        if short_name(kind) == "Lambda":
            yield "lambda", entry_name(entry)
        elif _is_foreign(entry):
            yield "foreign", f"{entry_name(entry)} ({kind})"
    for op in sorted(OUTSIDE_OPS & set(ops)):
        yield "outside", op
    unknown = sorted(set(ops) - handled_ops() - OUTSIDE_OPS - OF_CHECKPOINTS)
    yield from (("unknown", op) for op in unknown[:MOST])
    yield from (("odd", name) for name in odd[:MOST])
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
