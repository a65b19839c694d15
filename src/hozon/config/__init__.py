"""Keras configs of every age, and the live objects they describe.

Keras takes TensorFlow for its backend unless told otherwise, and writes that default into
``~/.keras/keras.json`` when first imported. Hozon is there so that nobody needs TensorFlow: where
Keras has not been imported yet and neither the environment nor that file names another backend,
JAX is chosen here, before anything imports Keras.
"""

from __future__ import annotations

import json
import os
import sys

from hozon.raw.stores import join, place, read_bytes


def _configured_backend() -> str | None:
    """The backend that the user's Keras configuration names."""
    home = place(os.environ.get("KERAS_HOME", "~/.keras"))
    try:
        configured = json.loads(read_bytes(join(home, "keras.json")))
    except (OSError, ValueError):
        return None
    return configured.get("backend") if isinstance(configured, dict) else None


if "keras" not in sys.modules and _configured_backend() in (None, "tensorflow"):
    os.environ.setdefault("KERAS_BACKEND", "jax")
