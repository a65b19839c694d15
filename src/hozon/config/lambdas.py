"""Lambda layers whose function is recognised by its name and module, without running anything.

Keras 2 stored ``Lambda(tf.nn.relu)`` as the bytecode of TensorFlow's wrapper, with the module it
came from beside it. Where that module is TensorFlow's own and the layer or the code carries the
function's name, `keras.ops` has the same function.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

#: TensorFlow modules of generated op wrappers and of Python ops, whose functions are known.
MODULES = (
    "tensorflow.python.ops.", "tensorflow.nn", "tensorflow.math", "keras.backend",
    "keras.src.backend", "tensorflow.python.keras.backend", "tf_keras.src.backend",
    "tensorflow.keras.backend",
)  # fmt: skip
#: Names of functions of one tensor that are safe to take for what they are called.
FUNCTIONS = frozenset(
    {"abs", "relu", "relu6", "elu", "selu", "softplus", "softsign", "sigmoid", "tanh", "softmax",
     "log_softmax", "exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "square", "sin", "cos",
     "tan", "sign", "floor", "ceil", "round", "negative", "reciprocal", "identity", "l2_normalize",
     "swish", "silu", "gelu", "leaky_relu", "zeros_like", "ones_like", "stop_gradient", "erf"}
)  # fmt: skip
NAMES_END = (b"\xda", b"\xfa", b"Z", b"z")


def known_function(config: Mapping[str, Any]) -> str | None:
    """The name of the TensorFlow function that a Lambda layer wraps, None if it is not known."""
    function = config.get("function")
    module = config.get("module")
    if isinstance(function, Mapping):
        function = (function.get("config") or {}).get("code")
    if isinstance(function, (list, tuple)) and function:
        function = function[0]
    if not isinstance(function, str) or not _is_tensorflow(module):
        return None
    if config.get("function_type") == "function":
        return function if function in FUNCTIONS else None
    return _code_name(function)


def _is_tensorflow(module: Any) -> bool:
    return isinstance(module, str) and module.startswith(MODULES)


def _code_name(text: str) -> str | None:
    """The function's name among the strings of marshalled code: read as bytes, never loaded.

    Marshal writes a short string as a type byte, its length in one byte, and its characters; a
    code object's name follows its file name. Names of several known functions decide nothing.
    """
    try:
        data = base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        return None
    found = {name for name in FUNCTIONS if _short_string(name) in data}
    paths = b"traceback_utils" in data
    return found.pop() if len(found) == 1 and not paths else None


def _short_string(name: str) -> bytes:
    return bytes([len(name)]) + name.encode()
