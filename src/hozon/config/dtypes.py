"""dtype policies of every age as what a Keras 3 layer takes."""

from __future__ import annotations

from typing import Any

from hozon.errors import UnsupportedError


def policy_name(value: Any) -> str | None:
    """The policy name of a config's ``dtype``.

    It is a name, ``{"class_name": "Policy", "config": {"name": ...}}`` (also ``PolicyV1``,
    ``DTypePolicy``), or ``{"class_name": "AutoCastVariable"...}``-free null.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        name = value["config"].get("name")
        if isinstance(name, str):
            return None if name == "_infer" else name
    raise UnsupportedError(f"dtype policy {value!r} is unknown")
