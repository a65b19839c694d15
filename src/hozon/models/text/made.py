"""Models that a program makes of text layers: they take strings from their first use on.

Keras' trainer and calls refuse strings on JAX before any layer sees them. So the entries of models
look at what they are given: with strings in it, `with_strings` first extends the model itself.
Anything else goes straight to Keras' own method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import keras

from hozon.models.text.strings import StringInputs, is_text, with_strings

#: The methods by which data enters a model.
ENTRIES = (
    "__call__",
    "fit",
    "evaluate",
    "predict",
    "train_on_batch",
    "test_on_batch",
    "predict_on_batch",
)
_MARK = "hozon_entry"


def install() -> None:
    """Let models look for text layers when data enters them, once for the process."""
    for name in ENTRIES:
        original = getattr(keras.Model, name)
        if not hasattr(original, _MARK):
            setattr(keras.Model, name, _entry(name, original))


def _entry(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def enter(model: Any, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.get("x", kwargs.get("inputs"))
        if isinstance(model, StringInputs) or not holds_text(given):
            return original(model, *args, **kwargs)
        return getattr(with_strings(model), name)(*args, **kwargs)

    setattr(enter, _MARK, True)
    return enter


def holds_text(value: Any) -> bool:
    """Whether data is text, or a structure with text in it."""
    if isinstance(value, Mapping):
        return any(map(holds_text, value.values()))
    if isinstance(value, (list, tuple)) and not is_text(value):
        return any(map(holds_text, value))
    return is_text(value)
