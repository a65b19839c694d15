"""Keras' backend: JAX where nobody chose, the user's choice where somebody did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Every module of Hozon, imported where the chosen backend is missing: it works or says so.
EVERY_MODULE = """
import pkgutil, sys
import hozon
for _, name, _ in pkgutil.walk_packages(hozon.__path__, "hozon.", onerror=lambda name: None):
    if "_pb2" in name or name.endswith("__main__"):
        continue
    try:
        __import__(name)
    except hozon.MissingBackendError as error:
        print(error)
assert "keras" not in sys.modules
"""
DEFAULT = {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow",
           "image_data_format": "channels_last"}  # fmt: skip


def run(script: str, folder: Path, backend: str | None = None) -> str:
    """What a script prints in a process that has no variables set."""
    home = {"KERAS_HOME": str(folder), "JAX_PLATFORMS": "cpu"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KERAS_", "PYTHONWARN"))}
    chosen = {} if backend is None else {"KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**kept, **home, **chosen},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(
    "script",
    [
        "import hozon\nimport keras",
        "from hozon import keras",
        "import hozon.keras.backend as K\nimport keras",
        "from hozon.keras.models import load_model\nimport keras",
        "from hozon import tf\nkeras = tf.keras",
        "import hozon\nhozon.callbacks\nimport keras",
        "try:\n    import keras\nexcept ImportError:\n    pass\nimport hozon\nimport keras",
    ],
)
def test_nobody_chose(script: str, tmp_path: Path) -> None:
    printed = run(f"{script}\nprint(keras.config.backend())", tmp_path)
    assert printed == "jax\n"


@pytest.mark.parametrize(
    ("content", "backend", "expected"),
    [
        (DEFAULT, None, "jax"),
        (DEFAULT, "", "jax"),
        ({"floatx": "float32"}, None, "jax"),
        (DEFAULT, "numpy", "numpy"),
        ({"backend": "numpy"}, None, "numpy"),
        ({"backend": "torch"}, "numpy", "numpy"),
    ],
)
def test_who_chooses(
    content: dict[str, object], backend: str | None, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "keras.json").write_text(json.dumps(content))
    script = "import hozon, keras; print(keras.config.backend())"
    assert run(script, tmp_path, backend) == f"{expected}\n"


@pytest.mark.parametrize(
    ("content", "backend", "said"),
    [
        (None, "torch", "'torch', which the environment variable KERAS_BACKEND says"),
        ({"backend": "tensorflow"}, None, "'tensorflow', which \"backend\" in"),
        ({"backend": "torch"}, None, "keras.json says"),
        (None, "theano", "not one of its backends"),
    ],
)
def test_a_backend_that_is_missing(
    content: dict[str, object] | None, backend: str | None, said: str, tmp_path: Path
) -> None:
    """Whichever door is opened, the one message says what to set."""
    if content is not None:
        (tmp_path / "keras.json").write_text(json.dumps(content))
    printed = set(run(EVERY_MODULE, tmp_path, backend).splitlines())
    assert len(printed) == 1
    assert said in (message := printed.pop())
    assert "set KERAS_BACKEND=jax" in message
