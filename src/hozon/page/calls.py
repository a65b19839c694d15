"""How to call what is in an artifact: from Python, from a shell, and at a server."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hozon.config.upgrade import short_name
from hozon.containers.agreement import entry_name, layers_of
from hozon.record import ModelRecord, SignatureInfo, TensorSummary

#: Numbers of an example that are written out.
FEW = 32


@dataclass(frozen=True, slots=True)
class Call:
    """What can be called, and how: pairs of a word for the way, and what to type."""

    title: str
    ways: list[tuple[str, str]]


def calls_of(
    record: ModelRecord, where: str, signatures: Sequence[SignatureInfo], *, whole: bool = True
) -> list[Call]:
    """Each signature; of a `whole` model without any, the model."""
    if signatures:
        return [_signature(where, signature) for signature in signatures]
    return [_model(record, where)] if whole and record.config is not None else []


def _signature(where: str, signature: SignatureInfo) -> Call:
    name = where.rstrip("/").rpartition("/")[2]
    given = "".join(f"\n    {_argument(tensor)}," for tensor in signature.inputs)
    python = (
        "import hozon\nimport numpy as np\n\n"
        f"loaded = hozon.saved_model.load({where!r})\n"
        f"outputs = loaded.signatures[{signature.name!r}]({given}{chr(10) if given else ''})\n"
        + "".join(f"print(outputs[{tensor.name!r}])\n" for tensor in signature.outputs[:3])
    )
    files = " ".join(f"--input {_quoted(f'{t.name}={t.name}.npy')}" for t in signature.inputs)
    chosen = "" if signature.name == "serving_default" else f" --signature {signature.name}"
    shell = f"hozon predict {_quoted(where)}{chosen} {files}".rstrip() + " --output -"
    serve = (
        f'docker run -p 8501:8501 -v "$PWD/{name}:/models/{name}/1" '
        f"-e MODEL_NAME={name} tensorflow/serving"
    )
    url = f"http://localhost:8501/v1/models/{name}:predict"
    return Call(
        str(signature),
        [
            ("in_python", python.rstrip()),
            ("in_shell", shell),
            ("at_server", f"{serve}\n\n{_request(signature, url)}"),
        ],
    )


def _request(signature: SignatureInfo, url: str) -> str:
    """A request with an example that is written out, or made where that would be long."""
    if sum(math.prod(_shape(tensor)) for tensor in signature.inputs) <= FEW:
        inputs = {t.name: _filled(_shape(t), _item(t)) for t in signature.inputs}
        body = json.dumps({"signature_name": signature.name, "inputs": inputs})
        return f"curl -d {_quoted(body)} {url}"
    made = ", ".join(f"{t.name!r}: {_array(t)}.tolist()" for t in signature.inputs)
    script = (
        "import json, numpy as np; "
        f"print(json.dumps({{'signature_name': {signature.name!r}, 'inputs': {{{made}}}}}))"
    )
    return f'python -c "{script}" \\\n  | curl -d @- {url}'


def _argument(tensor: TensorSummary) -> str:
    name, value = tensor.name, _array(tensor)
    return f"{name}={value}" if name.isidentifier() else f"**{{{name!r}: {value}}}"


def _array(tensor: TensorSummary) -> str:
    if tensor.dtype == "string":
        return f"np.full({_shape(tensor)}, 'text', object)"
    return f"np.zeros({_shape(tensor)}, {tensor.dtype!r})"


def _shape(tensor: TensorSummary) -> tuple[int, ...]:
    return tuple(1 if size is None else size for size in tensor.shape or ())


def _item(tensor: TensorSummary) -> Any:
    if tensor.dtype == "string":
        return "text"
    if tensor.dtype == "bool":
        return False
    return 0 if "int" in tensor.dtype else 0.0


def _filled(shape: Sequence[int], item: Any) -> Any:
    return [_filled(shape[1:], item) for _ in range(shape[0])] if shape else item


def _quoted(text: str) -> str:
    """A word as a shell takes it."""
    from shlex import quote

    return quote(text)


# Models of Keras


def _model(record: ModelRecord, where: str) -> Call:
    config = record.config or {}
    arrays = {name: f"np.zeros({shape}, 'float32')" for name, shape in _inputs(config)}
    named = ", ".join(f"{name!r}: {array}" for name, array in arrays.items())
    given = next(iter(arrays.values())) if len(arrays) == 1 else f"{{{named}}}" if arrays else "..."
    python = (
        "import hozon\nimport numpy as np\n\n"
        f"model = hozon.load_model({where!r})\n"
        f"print(model.predict({given}))"
    )
    served = where.rpartition("/")[2].partition(".")[0] or "served"
    shell = f"hozon predict {_quoted(where)} --input x.npy --output -"
    convert = f"hozon convert {_quoted(where)} {_quoted(served)}"
    title = f"{entry_name(config)} ({short_name(str(config.get('class_name', '')))})"
    ways = [("in_python", python), ("in_shell", shell), ("to_serve", convert)]
    return Call(title, ways)


def _inputs(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The names of the inputs that a config tells, and shapes with 1 for what is free."""
    for entry in layers_of(config):
        own = entry.get("config")
        if not isinstance(own, Mapping):
            continue
        shape = own.get("batch_shape") or own.get("batch_input_shape")
        if shape and all(n is None or isinstance(n, int) for n in shape):
            yield entry_name(entry), tuple(1 if n is None else n for n in shape)
