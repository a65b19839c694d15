"""Lambda layers whose function is recognised by its name and module, without running anything.

Keras 2 stored ``Lambda(tf.nn.relu)`` as the bytecode of TensorFlow's wrapper, with the module it
came from beside it. Where that module is TensorFlow's own and the layer or the code carries the
function's name, `keras.ops` has the same function.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from typing import Any

from hozon.errors import FormatError
from hozon.limits import LIMITS
from hozon.typing import ConfigEntry

#: Arguments of a Lambda layer that may be functions too.
BESIDE = ("output_shape", "mask")
#: Modules of TensorFlow's generated op wrappers, whose code names the op.
GENERATED = "tensorflow.python.ops.gen_"
#: Modules whose functions Keras saved by name.
NAMED = (
    "tensorflow.",
    "keras.backend",
    "keras.src.backend",
    "tf_keras.src.backend",
    "keras.activations",
    "tf_keras.src.activations",
    "keras.src.activations",
)
#: Names of functions of one tensor that are safe to take for what they are called.
FUNCTIONS = frozenset(
    {
        "abs",
        "relu",
        "relu6",
        "elu",
        "selu",
        "softplus",
        "softsign",
        "sigmoid",
        "tanh",
        "softmax",
        "log_softmax",
        "exp",
        "log",
        "log1p",
        "expm1",
        "sqrt",
        "rsqrt",
        "square",
        "sin",
        "cos",
        "tan",
        "sign",
        "floor",
        "ceil",
        "round",
        "negative",
        "reciprocal",
        "identity",
        "l2_normalize",
        "swish",
        "silu",
        "gelu",
        "leaky_relu",
        "zeros_like",
        "ones_like",
        "stop_gradient",
        "erf",
    }
)


def known_function(config: ConfigEntry) -> str | None:
    """The name of the TensorFlow function that a Lambda layer wraps, None if it is not known."""
    function, module = config.get("function"), config.get("module")
    if isinstance(function, Mapping):
        inner = function.get("config")
        function = inner.get("code") if isinstance(inner, Mapping) else inner
    if isinstance(function, (list, tuple)) and function:
        function = function[0]
    if not isinstance(function, str) or not isinstance(module, str):
        return None
    if config.get("function_type") == "function":
        return function if module.startswith(NAMED) and function in FUNCTIONS else None
    return _op_name(function) if module.startswith(GENERATED) else None


def _op_name(text: str) -> str | None:
    """The op among the names in marshalled code of a generated wrapper: searched, never loaded.

    A wrapper ``relu`` uses ``_dispatcher_for_relu`` and ``relu_eager_fallback``.
    """
    try:
        data = base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        return None
    found = [
        name
        for name in FUNCTIONS
        if _has(data, f"_dispatcher_for_{name}") and _has(data, f"{name}_eager_fallback")
    ]
    return found[0] if len(found) == 1 else None


def _has(data: bytes, name: str) -> bool:
    """Whether marshalled data holds a short string: its length in one byte, then its characters."""
    return bytes([len(name)]) + name.encode() in data


def with_functions(value: Any, given: Collection[str], depth: int = 0) -> Any:
    """A config whose Lambda layers hold a name in place of bytecode, where the caller gave that.

    A layer without another name for its function has it by its own.
    """
    if depth > 4 * LIMITS.nesting:
        raise FormatError("the config nests too deeply", expected=4 * LIMITS.nesting)
    if isinstance(value, (list, tuple)):
        return [with_functions(item, given, depth + 1) for item in value]
    if not isinstance(value, Mapping):
        return value
    made = {key: with_functions(item, given, depth + 1) for key, item in value.items()}
    config = made.get("config")
    if made.get("class_name") == "Lambda" and isinstance(config, dict):
        name = config.get("name")
        if name in given and not _is_named(config):
            beside = {key: None for key in BESIDE if _is_function(config, key)}
            made["config"] = {**config, "function": name, "function_type": "function", **beside}
    return made


def _is_named(config: ConfigEntry) -> bool:
    return isinstance(config.get("function"), str) and config.get("function_type") != "lambda"


def _is_function(config: ConfigEntry, key: str) -> bool:
    value = config.get(key)
    return config.get(f"{key}_type") == "lambda" or (
        isinstance(value, dict) and "class_name" in value
    )
