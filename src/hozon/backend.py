"""Which backend Keras starts on: JAX, unless the user chose another.

Keras takes TensorFlow unless told otherwise, and writes that default into ``~/.keras/keras.json``
whenever it is first imported. Hozon is there so that nobody needs TensorFlow: where nobody chose,
``import hozon`` before ``import keras`` is enough to make it JAX.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec

from hozon.errors import MissingBackendError

VARIABLE = "KERAS_BACKEND"
#: The package that each backend of Keras needs.
PACKAGES = {
    "jax": "jax",
    "numpy": "numpy",
    "openvino": "openvino",
    "tensorflow": "tensorflow",
    "torch": "torch",
}
#: The backend and the keys of the file that Keras writes by itself.
_DEFAULT = ("tensorflow", {"floatx", "epsilon", "backend", "image_data_format"})


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend, and where it was chosen."""

    backend: str
    where: str


def chosen() -> Choice | None:
    """The backend that the user chose, by the environment or in Keras' configuration."""
    named = os.environ.get(VARIABLE)
    if named:
        return Choice(named, f"the environment variable {VARIABLE}")
    path = os.path.join(_home(), "keras.json")
    try:
        with open(path, encoding="utf-8") as file:
            configured = json.load(file)
    except (OSError, ValueError):
        return None
    backend = configured.get("backend") if isinstance(configured, dict) else None
    if not isinstance(backend, str) or (backend, set(configured)) == _DEFAULT:
        return None
    return Choice(backend, f'"backend" in {path}')


def _home() -> str:
    """Keras' folder, as Keras finds it."""
    own = os.environ.get("KERAS_HOME")
    if own is not None:
        return own
    user = os.path.expanduser("~")
    return os.path.join(user if os.access(user, os.W_OK) else "/tmp", ".keras")  # noqa: S108


def choose() -> None:
    """Make it JAX where Keras is not imported yet and nobody chose."""
    if "keras" in sys.modules:
        return
    for name in [name for name in sys.modules if name.startswith("keras.")]:
        del sys.modules[name]  # what is left of an import that failed remembers its backend
    if chosen() is None:
        os.environ[VARIABLE] = "jax"


def require() -> None:
    """Raise MissingBackendError where Keras would start on a backend that is not installed."""
    if "keras" in sys.modules:
        return
    choice = chosen()
    if choice is None or _is_installed(choice.backend):
        return
    raise MissingBackendError(
        f"Keras is to run on {choice.backend!r}, which {choice.where} says and which is not "
        f"{'installed' if choice.backend in PACKAGES else 'one of its backends'}: set {VARIABLE}="
        "jax before Python starts, or install what it needs",
        backend=choice.backend,
    )


def _is_installed(backend: str) -> bool:
    package = PACKAGES.get(backend)
    return package is not None and find_spec(package) is not None
