"""SavedModels in OpenVINO, which reads them without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino


def opened(path: str | Path) -> Any:
    """The compiled model; it computes in float32, where it would choose bfloat16."""
    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return core.compile_model(core.read_model(path), "CPU")
