"""What several tests let the oracle do."""

from __future__ import annotations

#: Open files of models with the classes of some sources: outputs by name, or what is raised.
OPENED = """
from typing import Any
layers, paths_of = keras.layers, paths
for source in sources:
    exec(source)
classes = {name: value for name, value in locals().items() if isinstance(value, type)}
for name, path in paths_of.items():
    with keras.utils.custom_object_scope(classes):
        try:
            out[name] = keras.models.load_model(path, compile=False)(x).numpy()
        except Exception as error:
            out[name] = repr(error)
"""
