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
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from tests.differential import build
from tests.differential.measure import Data, Failed, KerasSide, TensorFlowSide, guarded, measure
from tests.differential.portable import translated

SECONDS = 90
SUFFIXES = {"savedmodel": "", "h5": ".h5", "keras": ".keras", "json": ".json"}
WEIGHTS = {
    "tf": "",
    "ckpt": "",
    "h5": ".h5",
    "weights.h5": ".weights.h5",
    "weights.json": ".weights.json",
    "safetensors": ".safetensors",
}
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

            share_context()
            self.side = KerasSide()
            if role == "dropin":
                from hozon import keras  # type: ignore[no-redef]
        self.keras = keras
        self.clear = keras.backend.clear_session
        if role != "tf_keras":  # without a full garbage collection each time
            self.clear = partial(keras.utils.clear_session, free_memory=False)

    def stage(self, spec: dict[str, Any], number: int, folder: str, data: Any) -> dict[str, Any]:
        """One stage: 0 writes the model, n reads what the stage before wrote."""
        self.clear()
        self.keras.utils.set_random_seed(7)
        random.seed(7)
        self.eager(True)
        signal.alarm(SECONDS)
        try:
            loads_weights = number and spec["hops"][number - 1]["form"].startswith("w:")
            if (number == 0 or loads_weights) and "policy" in spec:
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
        given = Data(
            build.batch(graph),
            names=tuple(i["name"] for i in graph["inputs"]) if graph.get("named inputs") else (),
        )
        model = guarded(lambda: self._made(builder, spec, given))
        if isinstance(model, Failed):
            return {"invalid": model}
        outputs = self.side.call(model, given, False)
        data = self._data(spec, given, outputs)
        if data.targets is not None:
            failed = guarded(lambda: self._taught(builder, model, spec, data))
            if isinstance(failed, Failed):
                return {"invalid": failed}
        if data.stateful and any(hop["form"] != "savedmodel" for hop in spec["hops"]):
            reset_states(model)  # other forms have no place for states
        saved = guarded(lambda: self._save(model, spec["hops"][0], folder, 0, spec["writer"]))
        if isinstance(saved, Failed):
            return {"save": saved}
        truth = measure(self.side, model, data)
        later = {}
        if any(hop.get("after") == "fit" for hop in spec["hops"]):
            later = measure(self.side, model, data)
        bad = next((v for v in (*truth.values(), *later.values()) if isinstance(v, Failed)), None)
        if bad is not None:
            return {"invalid": bad}
        return {"measured": truth, "later": later, "data": data, "told": saved}

    def _data(self, spec: dict[str, Any], given: Data, outputs: list[Any]) -> Data:
        targets, weights = None, None
        if "compile" in spec:
            targets = build.targets(spec["compile"]["targets"], outputs)
            names = spec["model"]["outputs"]
            if isinstance(names, dict):
                targets = dict(zip(sorted(names), targets, strict=True))
            if spec["compile"].get("sample_weight"):
                weights = np.linspace(0.5, 1.5, build.BATCH).astype("float32")
        graph = spec["model"]
        stateful = any(build.has_state(node) for node in build.all_nodes(graph))
        by_class = spec.get("compile", {}).get("class_weight")
        return replace(
            given,
            targets=targets,
            weights=weights,
            class_weight=dict(enumerate(np.linspace(0.5, 2.0, 16).tolist())) if by_class else None,
            random=is_random(graph),
            stateful=stateful,
        )

    def _made(self, builder: build.Builder, spec: dict[str, Any], given: Data) -> Any:
        model = builder.model(spec["model"])
        self.side.call(model, given, False)
        r = np.random.default_rng(3)
        adapt_rank(model, spec)
        for variable in model.weights:
            if getattr(variable, "trainable", False) or "moving" in getattr(variable, "name", ""):
                noise = np.abs(r.normal(0, 0.1, variable.shape))
                variable.assign(np.asarray(variable) + noise.astype(np.asarray(variable).dtype))
        if "quantize" in spec:
            model.quantize(spec["quantize"])
        freeze(model, spec)
        self.side.jit = spec.get("jit", False)
        builder.compiled(model, spec, **self._eagerly())
        return model

    def _taught(self, builder: build.Builder, model: Any, spec: dict[str, Any], data: Data) -> None:
        def steps() -> None:
            for _ in range(spec.get("steps", 0)):
                model.train_on_batch(
                    data.x, data.y, sample_weight=data.weights, class_weight=data.class_weight
                )

        steps()
        if "tuned" in spec:  # some layers thaw or freeze, and it trains on with a new optimizer
            tune(model, spec)
            builder.compiled(model, spec, **self._eagerly())
            steps()

    def _eagerly(self) -> dict[str, Any]:
        return {} if self.side.jit else {"run_eagerly": True}

    def _save(
        self, model: Any, hop: dict[str, str], folder: str, number: int, by: str
    ) -> list[str]:
        form, _, dialect = hop["form"].partition(":")
        path = path_of(hop, folder, number)
        if form == "w":
            return self._save_weights(model, path, dialect, by)
        if form == "json":
            return self._save_json(model, path, by)
        if by == "dropin":
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                report = model.save(path, **({"dialect": dialect} if dialect else {}))
            return [*said_by_save(report), *said_by_hozon(heard)]
        if by in ("hozon", "bare"):
            import hozon

            return said_by_save(hozon.save_model(model, path, dialect=dialect or None))
        self.eager(False)
        if by == "tf_keras" and form == "savedmodel":
            model.save(path, save_format="tf")
        else:
            model.save(path)
        self.eager(True)
        return []

    def _save_json(self, model: Any, path: str, by: str) -> list[str]:
        """The config as text, the weights beside it."""
        if by == "tf_keras":
            Path(path).write_text(model.to_json())
            model.save_weights(f"{path}.h5")
            return []
        import hozon

        Path(path).write_text(hozon.model_to_json(model))
        return list(hozon.save_weights(model, f"{path}.h5").lost)

    def _checkpoint(self, model: Any, by: str) -> Any:
        if by == "tf_keras":
            import tensorflow as tf

            module: Any = tf
        else:
            import hozon as module
        optimizer = getattr(model, "optimizer", None)
        parts = {} if optimizer is None else {"optimizer": optimizer}
        return module.train.Checkpoint(model=model, **parts)

    def _save_weights(self, model: Any, path: str, form: str, by: str) -> list[str]:
        if form == "ckpt":
            self._checkpoint(model, by).write(path)
            return []
        if by in ("hozon", "bare"):
            import hozon

            return list(hozon.save_weights(model, path, format=form).lost)
        if by == "tf_keras" and form == "tf":
            model.save_weights(path, save_format="tf")
        else:
            model.save_weights(path)
        return []

    def _read(self, spec: dict[str, Any], number: int, folder: str, data: Any) -> dict[str, Any]:
        hop = spec["hops"][number - 1]
        path = path_of(hop, folder, number - 1)
        reader = hop["reader"]
        builder = build.Builder(self.keras, build.customs(self.keras))
        objects = None if reader == "bare" else builder.custom_objects(spec["model"])
        answer: dict[str, Any] = {}
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            if hop["form"].startswith("w:"):
                model = guarded(lambda: self._load_weights(reader, path, spec, data))
            else:
                model = guarded(lambda: self._load(reader, path, objects))
        if isinstance(model, Failed):
            return {"load": model}
        report = getattr(model, "load_report", None)
        if isinstance(model, tuple):
            model, report = model
        ours = reader in ("hozon", "bare", "dropin")
        answer["told"] = told(report) + (said_by_hozon(heard) if ours else [])
        self.side.jit = spec.get("jit", False)
        if reader in ("hozon", "bare", "dropin"):
            answer["report"] = str(report)
        following = spec["hops"][number] if number < len(spec["hops"]) else {}
        after = following.get("after")
        if after == "fit":
            answer["measured"] = measure(self.side, model, data)
        elif after == "predict":
            guarded(lambda: model.predict(data.x, verbose=0))
        elif after == "call":
            guarded(lambda: self.side.call(model, data, False))
        if following:
            saved = guarded(lambda: self._save(model, following, folder, number, reader))
            if isinstance(saved, Failed):
                answer["save"] = saved
            else:
                answer["told save"] = saved
        if after != "fit":
            answer["measured"] = measure(self.side, model, data)
        return answer

    def _load_weights(
        self, reader: str, path: str, spec: dict[str, Any], data: Data
    ) -> tuple[Any, Any]:
        spec = translated(spec, self.role == "tf_keras")
        builder = build.Builder(self.keras, build.customs(self.keras))
        self.keras.utils.set_random_seed(99)
        model = builder.model(spec["model"])
        self.side.call(model, data, False)
        if data.stateful:
            reset_states(model)  # weights have no place for states
        adapt_rank(model, spec)
        if "quantize" in spec:
            model.quantize(spec["quantize"])
        freeze(model, spec)
        tune(model, spec)
        builder.compiled(model, spec)
        if spec["hops"][0]["form"] == "w:ckpt":
            status = self._checkpoint(model, reader).read(path)
            return model, None if reader == "tf_keras" else status
        if reader in ("hozon", "bare"):
            import hozon

            return model, hozon.load_weights(model, path)
        found = model.load_weights(path)
        return model, found if reader == "dropin" else None

    def _load(self, reader: str, path: str, objects: Any) -> Any:
        if path.endswith(".json"):
            import hozon

            model = hozon.model_from_json(Path(path).read_text(), objects)
            return model, hozon.load_weights(model, f"{path}.h5")
        if reader in ("hozon", "bare"):
            import hozon

            return hozon.load_model(path, custom_objects=objects)
        return self.keras.models.load_model(path, custom_objects=objects)


def share_context() -> None:
    """Let JAX lower all programs in one context of MLIR.

    It makes one for each small program, which took a third of a process' time here and most of its
    memory, so that it had to be started anew, with all to be compiled again, every 60 draws.
    """
    from jax._src.interpreters import mlir
    from jaxlib.mlir import ir

    make = mlir.make_ir_context
    context = make()

    def shared() -> ir.Context:
        try:
            ir.Context.current  # noqa: B018 - a program that is made while another one is
        except ValueError:
            return context
        return make()

    mlir.make_ir_context = shared


def path_of(hop: dict[str, str], folder: str, number: int) -> str:
    """Where the file of a hop is."""
    form, _, kind = hop["form"].partition(":")
    suffix = WEIGHTS[kind] if form == "w" else SUFFIXES[form]
    return str(Path(folder, f"f{number}{suffix}"))


def said_by_save(report: Any) -> list[str]:
    """What the report of a save says is not as it was, and what other readers make otherwise."""
    return [*report.lost, *(line for line in report.converted if "own reader" in line)]


def said_by_hozon(heard: list[warnings.WarningMessage]) -> list[str]:
    """Hozon's warnings."""
    return [str(w.message) for w in heard if "hozon" in str(w.category)]


def told(report: Any) -> list[str]:
    """What the report of a load says is not as it was."""
    if report is None:
        return []
    return [
        f"{name}: {item}"
        for name in TOLD
        for item in getattr(report, name, [])
        if not str(item).startswith("metrics/")  # their state ends with each epoch
    ]


def adapt_rank(model: Any, spec: dict[str, Any]) -> None:
    """Let layers that can train low-rank matrices beside their weights do so, where a spec says."""
    for layer in model.layers if "lora" in spec else ():
        if hasattr(layer, "enable_lora") and getattr(layer, "kernel_constraint", None) is None:
            layer.enable_lora(spec["lora"])


def freeze(model: Any, spec: dict[str, Any]) -> None:
    """Freeze the layers that a spec says."""
    for at in spec.get("freeze", ()):
        if at < len(model.layers):
            model.layers[at].trainable = False


def tune(model: Any, spec: dict[str, Any]) -> None:
    """Freeze the layers that a spec says after some training, and thaw those that are frozen."""
    for at in spec.get("tuned", ()):
        if at < len(model.layers):
            model.layers[at].trainable = not model.layers[at].trainable


def reset_states(model: Any) -> None:
    """Begin anew."""
    for layer in model.layers:
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_states"):
            layer.reset_states()
        elif getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
            layer.reset_state()


def is_random(graph: dict[str, Any]) -> bool:
    """Whether the training call is random."""
    return any(node.get("random") for node in build.all_nodes(graph))


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
