"""Names of types that many rooms share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What a config says of an object, as JSON has it: which keys there are, and what stands under
#: them, is a matter of the object's class and of the Keras that wrote it.
ConfigEntry = Mapping[str, Any]
#: A config that is being made.
Config = dict[str, Any]
#: The caller's classes and functions, by the names that files have for them.
CustomObjects = Mapping[str, Any]
#: The sizes of a tensor; None where one is free.
Shape = tuple[int | None, ...]
