"""Users' classes that ask Keras for layers of text get Hozon's while a file's model is made.

Keras' own run on TensorFlow alone: their constructors refuse without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import keras

from hozon.config.text_layers import TEXT_LAYERS
from hozon.keras_private.bends import asked, bend

#: Whether this thread makes the model of a file.
_HANDED: ContextVar[bool] = ContextVar("layers of text are handed out", default=False)


def _making(kind: type, ours: type, original: Callable[..., Any]) -> Callable[..., Any]:
    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        if cls is kind and _HANDED.get():
            return ours(*args, **kwargs)
        return original(cls, *args, **kwargs)

    return new


for _name, _ours in TEXT_LAYERS.items():
    _kind = getattr(keras.layers, _name)
    bend(_kind, "__new__", partial(_making, _kind, _ours))


@contextmanager
def text_layers_handed() -> Iterator[None]:
    """Keras' layers of text that this thread asks for inside are Hozon's, which need no TensorFlow."""
    with asked(_HANDED, True):
        yield
