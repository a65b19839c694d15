"""One process that writes, reads and measures models: ``python -m tests.differential.worker ROLE``.

The roles: ``tf_keras``, in TensorFlow's environment; ``hozon``, Keras 3 as it is and Hozon beside
it; ``dropin``, after ``from hozon import keras``.
"""

from __future__ import annotations

import os
import pickle
import random
import signal
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from tests.differential import build
from tests.differential.measure import Failed, KerasSide, TensorFlowSide, guarded, measure

SECONDS = 90
SUFFIXES = {"savedmodel": "", "h5": ".h5", "keras": ".keras"}
TOLD = ("missing", "unexpected", "mismatched", "deferred", "lost")


class Worker:
    """Does what the stages of a draw ask."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.eager: Callable[[bool], None] = lambda on: None
        if role == "tf_keras":
            import tensorflow as tf
            import tf_keras as keras

            tf.config.threading.set_intra_op_parallelism_threads(1)
            self.eager = tf.config.run_functions_eagerly
            self.side: Any = TensorFlowSide()
        else:
            import keras

            self.side = KerasSide()
            if role == "dropin":
                from hozon import keras  # type: ignore[no-redef]
        self.keras = keras

    def stage(self, spec: dict[str, Any], number: int, folder: str, data: Any) -> dict[str, Any]:
        """One stage: 0 writes the model, n reads what the stage before wrote."""
        self.keras.backend.clear_session()
        self.keras.utils.set_random_seed(7)
        random.seed(7)
        self.eager(True)
        signal.alarm(SECONDS)
        try:
            if number == 0 and "policy" in spec:
                self.keras.mixed_precision.set_global_policy(spec["policy"])
            return (
                self._write(spec, folder) if number == 0 else self._read(spec, number, folder, data)
            )
        finally:
            signal.alarm(0)
            self.keras.mixed_precision.set_global_policy("float32")

    def _write(self, spec: dict[str, Any], folder: str) -> dict[str, Any]:
        builder = build.Builder(self.keras, build.customs(self.keras))
        graph = spec["model"]
        inputs = build.batch(graph)
        model = guarded(lambda: self._made(builder, spec, inputs))
        if isinstance(model, Failed):
            return {"invalid": model}
        outputs = self.side.call(model, inputs, False)
        targets = None
        if "compile" in spec:
            targets = build.targets(spec["compile"]["targets"], outputs)
            names = spec["model"]["outputs"]
            if isinstance(names, dict):
                targets = dict(zip(sorted(names), targets, strict=True))
            failed = guarded(lambda: self._taught(model, spec, inputs, targets))
            if isinstance(failed, Failed):
                return {"invalid": failed}
        saved = guarded(lambda: self._save(model, spec["hops"][0], folder, 0, spec["writer"]))
        if isinstance(saved, Failed):
            return {"save": saved}
        random_calls = is_random(graph)
        truth = measure(self.side, model, inputs, targets, random_calls)
        bad = next((v for v in truth.values() if isinstance(v, Failed)), None)
        if bad is not None:
            return {"invalid": bad}
        return {"measured": truth, "data": (inputs, targets, random_calls), "told": saved}

    def _made(self, builder: build.Builder, spec: dict[str, Any], inputs: list[Any]) -> Any:
        model = builder.model(spec["model"])
        self.side.call(model, inputs, False)
        r = np.random.default_rng(3)
        for variable in model.weights:
            if variable.trainable or "moving" in variable.name:
                noise = np.abs(r.normal(0, 0.1, variable.shape))
                variable.assign(np.asarray(variable) + noise.astype(np.asarray(variable).dtype))
        self.side.jit = spec.get("jit", False)
        extra = {} if self.role == "tf_keras" or self.side.jit else {"run_eagerly": True}
        builder.compiled(model, spec, **extra)
        return model

    def _taught(self, model: Any, spec: dict[str, Any], inputs: list[Any], targets: Any) -> None:
        x = inputs[0] if len(inputs) == 1 else inputs
        y = targets[0] if len(targets) == 1 and isinstance(targets, list) else targets
        for _ in range(spec.get("steps", 0)):
            model.train_on_batch(x, y)

    def _save(
        self, model: Any, hop: dict[str, str], folder: str, number: int, by: str
    ) -> list[str]:
        form, _, dialect = hop["form"].partition(":")
        path = str(Path(folder, f"f{number}{SUFFIXES[form]}"))
        if by == "dropin":
            model.save(path, **({"dialect": dialect} if dialect else {}))
            return []
        if by in ("hozon", "bare"):
            import hozon

            return list(hozon.save_model(model, path, dialect=dialect or None).lost)
        self.eager(False)
        if by == "tf_keras" and form == "savedmodel":
            model.save(path, save_format="tf")
        else:
            model.save(path)
        self.eager(True)
        return []

    def _read(self, spec: dict[str, Any], number: int, folder: str, data: Any) -> dict[str, Any]:
        hop = spec["hops"][number - 1]
        form = hop["form"].partition(":")[0]
        path = str(Path(folder, f"f{number - 1}{SUFFIXES[form]}"))
        reader = hop["reader"]
        builder = build.Builder(self.keras, build.customs(self.keras))
        objects = None if reader == "bare" else builder.custom_objects(spec["model"])
        answer: dict[str, Any] = {}
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            model = guarded(lambda: self._load(reader, path, objects))
        if isinstance(model, Failed):
            return {"load": model}
        answer["told"] = told(model) + [
            str(w.message)
            for w in heard
            if reader in ("hozon", "bare", "dropin") and "hozon" in str(w.category)
        ]
        self.side.jit = spec.get("jit", False)
        if reader in ("hozon", "bare", "dropin"):
            answer["report"] = str(model.load_report)
        inputs, targets, random_calls = data
        if number < len(spec["hops"]):
            after = spec["hops"][number].get("after")
            if after == "predict":
                guarded(lambda: model.predict(inputs[0] if len(inputs) == 1 else inputs, verbose=0))
            elif after == "call":
                guarded(lambda: self.side.call(model, inputs, False))
            saved = guarded(lambda: self._save(model, spec["hops"][number], folder, number, reader))
            if isinstance(saved, Failed):
                answer["save"] = saved
            else:
                answer["told save"] = saved
        answer["measured"] = measure(self.side, model, inputs, targets, random_calls)
        return answer

    def _load(self, reader: str, path: str, objects: Any) -> Any:
        if reader in ("hozon", "bare"):
            import hozon

            return hozon.load_model(path, custom_objects=objects)
        return self.keras.models.load_model(path, custom_objects=objects)


def told(model: Any) -> list[str]:
    """What the report of a load says is not as it was."""
    report = getattr(model, "load_report", None)
    if report is None:
        return []
    return [
        f"{name}: {item}"
        for name in TOLD
        for item in getattr(report, name, [])
        if not str(item).startswith("metrics/")  # their state ends with each epoch
    ]


def is_random(graph: dict[str, Any]) -> bool:
    """Whether the training call is random."""
    return any(
        node.get("random") or ("model" in node and is_random(node["model"]))
        for node in graph["nodes"]
    )


def late(number: int, frame: FrameType | None) -> None:
    """End a stage that takes too long."""
    raise TimeoutError(f"not done within {SECONDS} s")


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGALRM, late)
    warnings.simplefilter("ignore")
    worker = Worker(sys.argv[1])
    while header := sys.stdin.buffer.read(8):
        stages = pickle.loads(sys.stdin.buffer.read(struct.unpack("<Q", header)[0]))
        found = [guarded(lambda stage=stage: worker.stage(**stage)) for stage in stages]
        data = pickle.dumps(found, protocol=4)
        answers.write(struct.pack("<Q", len(data)) + data)
        answers.flush()


if __name__ == "__main__":
    main()
