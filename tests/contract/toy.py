"""A form that exists in the tests alone: what it takes to add one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from hozon.errors import FormatError
from hozon.forms.background import Write
from hozon.forms.form import SaveOptions, check_file, report_of_file, write_later
from hozon.forms.weights_h5 import PathsForm
from hozon.raw.commit import replacing_file
from hozon.raw.stores import open_source, read_bytes, write_bytes
from hozon.record import ModelRecord, StateGroup
from hozon.reports import SaveReport
from hozon.stored.lazy import lazy_array

MARK = b"toy weights 1\n"


class ToyForm(PathsForm):
    """Weights as numbers in a text file, a line for each object."""

    name = format = "toy"
    label = "toy weights"
    suffixes = (".toy",)
    holds = "weights"

    def detect(self, path: str) -> bool:
        """Whether the file begins with the mark."""
        source = open_source(path)
        return source.view(0, min(source.size, len(MARK))).tobytes() == MARK

    def read(self, path: str) -> ModelRecord:
        """The weights of a file."""
        try:
            lines = [json.loads(line) for line in read_bytes(path)[len(MARK) :].splitlines()]
        except ValueError as error:
            raise FormatError(f"{path} is damaged: {error}", file=path) from error
        if not lines or lines[-1] != "end":
            raise FormatError(f"{path} is cut short", file=path)
        groups = [
            StateGroup(name, {item[0]: _tensor(name, item) for item in held})
            for name, held in lines[:-1]
        ]
        return ModelRecord(
            form=self.name,
            path=path,
            dialect="keras3",
            naming="attributes",
            producer="toy",
            state=tuple(g for g in groups if g.name != "optimizer"),
            optimizer=next((g for g in groups if g.name == "optimizer"), None),
        )

    def prepare(self, model: Any, path: str, options: SaveOptions) -> Write:
        """What writes the weights of a model or layer."""
        from hozon.models.keras3 import describe_weights

        check_file(self, path, options)
        record, lost = describe_weights(model)
        return write_later(self, record, lost, path, options)

    def write(self, record: ModelRecord, path: str, options: SaveOptions) -> SaveReport:
        """A record of weights by path."""
        _write(record, path)
        return report_of_file(self, path)


def _tensor(group: str, item: Any) -> Any:
    name, dtype, shape, values = item
    return lazy_array(f"{group}/vars/{name}", np.asarray(values, dtype).reshape(shape))


def _write(record: ModelRecord, path: str) -> None:
    groups = [*record.state, *([record.optimizer] if record.optimizer else [])]
    lines = [[g.name, [_item(*item) for item in g.tensors.items()]] for g in groups]
    text = "\n".join(map(json.dumps, [*lines, "end"]))
    with replacing_file(path) as fresh:
        write_bytes(fresh, MARK + text.encode())


def _item(name: str, tensor: Any) -> list[Any]:
    return [name, tensor.dtype.name, list(tensor.shape), tensor.read().ravel().tolist()]
