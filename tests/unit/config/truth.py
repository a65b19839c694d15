"""Models written by tf_keras with what they then compute, and what Hozon makes of their files.

A case is the source of a model, run with ``keras``, ``layers``, ``tf`` and ``np`` as its globals;
it leaves ``model``, its inputs ``x`` and targets ``y`` (lists where there are several), compiled.
Its classes are another source, run in both worlds, that leaves classes and functions by name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

import hozon
from tests.oracle.client import Oracle

#: Forms by which tf_keras writes, and their paths.
FORMS: Mapping[str, str] = {"h5": "m.h5", "keras": "m.keras", "savedmodel": "m"}

WRITE = """
import os
layers = keras.layers
scope = {"keras": keras, "tf": tf, "np": np, "layers": layers}
out["answers"] = {}

def flat(values):
    return [np.asarray(v) for v in tf.nest.flatten(values)]

def told(model, x, y, kw):
    logs = model.evaluate(x, y, verbose=0, return_dict=True, **kw)
    return {k: float(v) for k, v in logs.items()}

for name, case in cases.items():
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    names = dict(scope)
    try:
        exec(case["classes"], names)
        exec(case["source"], names)
        model, x, y = names["model"], names["x"], names["y"]
        kw = names.get("kw", {})
        model.run_eagerly = True
        if case["fits"]:
            model.fit(x, y, epochs=1, batch_size=len(tf.nest.flatten(y)[0]), shuffle=False,
                      verbose=0, **kw)
        else:
            model(x)
        model.run_eagerly = None
        os.makedirs(os.path.join(folder, name))
        for form in case["forms"]:
            model.save(os.path.join(folder, name, paths[form]))
        with open(os.path.join(folder, name, "m.json"), "w") as file:
            file.write(model.to_json() if case["json"] else "")
        model.run_eagerly = True
        answer = {"x": tf.nest.map_structure(np.asarray, x), "y": y, "kw": kw}
        answer["predicted"] = flat(model.predict(x, verbose=0))
        answer["called"] = flat(model(x, training=True)) if not case["random"] else []
        answer["weights"] = len(model.weights)
        if case["fits"]:
            answer["told"] = told(model, x, y, kw)
            if not case["random"]:
                history = model.fit(x, y, epochs=2, batch_size=len(tf.nest.flatten(y)[0]),
                                    shuffle=False, verbose=0, **kw).history
                answer["history"] = {k: [float(i) for i in v] for k, v in history.items()}
                answer["stepped"] = flat(model.trainable_weights)
                answer["moved"] = flat(model.non_trainable_weights)
        out["answers"][name] = answer
    except Exception as error:
        import traceback
        out["answers"][name] = traceback.format_exc()
"""

READ = """
import os
layers = keras.layers
out["answers"] = {}

def flat(values):
    return [np.asarray(v) for v in tf.nest.flatten(values)]

for name, (path, classes, wanted, x, y, kw) in asked.items():
    names = {"keras": keras, "tf": tf, "np": np, "layers": layers}
    try:
        exec(classes, names)
        model = keras.models.load_model(path, custom_objects={k: names[k] for k in wanted})
        model.run_eagerly = True
        answer = {"predicted": flat(model.predict(x, verbose=0)), "weights": len(model.weights)}
        model(x, training=True)
        if model.optimizer is not None:
            logs = model.evaluate(x, y, verbose=0, return_dict=True, **kw)
            answer["told"] = {k: float(v) for k, v in logs.items()}
            model.fit(x, y, epochs=2, batch_size=len(tf.nest.flatten(y)[0]), shuffle=False,
                      verbose=0, **kw)
            answer["stepped"] = flat(model.trainable_weights)
        out["answers"][name] = answer
    except Exception as error:
        out["answers"][name] = f"{type(error).__name__}: {error}"[:600]
"""


@dataclass(frozen=True)
class Case:
    """One model.

    Attributes:
        source: makes model, x and y.
        classes: the user's classes and functions.
        names: those that a reader is given.
        forms: in which tf_keras can write the model.
        fits: whether it is compiled.
        random: whether its training call draws random numbers.
        json: whether it has a config.
        written: forms in which Hozon writes it again, as "form/dialect".
    """

    source: str
    classes: str = ""
    names: tuple[str, ...] = ()
    forms: tuple[str, ...] = ("h5", "keras", "savedmodel")
    fits: bool = True
    random: bool = False
    json: bool = False
    written: tuple[str, ...] = (
        "h5/keras2",
        "keras/keras2",
        "keras/keras3",
        "h5/keras3",
        "savedmodel/",
    )
    #: Forms that tf_keras cannot read back, of any writer: why.
    unread: Mapping[str, str] = field(default_factory=dict)


def given(case: Case) -> dict[str, Any]:
    """The classes of a case, in Keras 3."""
    names: dict[str, Any] = {"keras": keras, "np": np, "layers": keras.layers}
    exec(case.classes, names)
    return {name: names[name] for name in case.names}


def write(oracle: Oracle, cases: Mapping[str, Case], folder: Path) -> dict[str, Any]:
    """What tf_keras computes for each case, its files left in `folder`."""
    asked = {
        name: {
            key: getattr(case, key)
            for key in ("source", "classes", "forms", "fits", "random", "json")
        }
        for name, case in cases.items()
    }
    answers: dict[str, Any] = oracle.python(
        WRITE, cases=asked, folder=str(folder), paths=dict(FORMS)
    )["answers"]
    for name, answer in answers.items():
        assert isinstance(answer, dict), f"{name}: {answer}"
    return answers


def faults_of_reading(case: Case, answer: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """What is wrong with the models that Hozon loads from what tf_keras wrote."""
    for form in case.forms:
        with told(form) as faults:
            model = hozon.load_model(folder / FORMS[form], custom_objects=given(case))
            faults += faults_of(model, case, answer)
        yield from faults


def faults_of_writing(
    oracle: Oracle, case: Case, answer: Mapping[str, Any], folder: Path, source: str = "h5"
) -> Iterator[str]:
    """What is wrong with what Hozon writes of a model that it has read, read by both."""
    asked: dict[str, Any] = {}
    for form in case.written:
        kind, dialect = form.split("/")
        there = folder / f"again-{source}-{kind}-{dialect}"
        with told(f"{source} -> {form}") as faults:
            model = hozon.load_model(folder / FORMS[source], custom_objects=given(case))
            hozon.save_model(model, there, format=kind, dialect=dialect or None)
            faults += faults_of(hozon.load_model(there, custom_objects=given(case)), case, answer)
            if dialect != "keras3":
                suffix = "" if kind == "savedmodel" else f".{kind}"
                seen = there if not suffix else there.rename(f"{there}{suffix}")
                asked[form] = [str(seen), case.classes, case.names]
        yield from faults
    data = [answer["x"], answer["y"], answer["kw"]]
    answers = oracle.python(READ, asked={k: [*v, *data] for k, v in asked.items()})["answers"]
    for form, have in answers.items():
        if isinstance(have, str):
            if form not in case.unread:
                yield f"{source} -> {form}, in tf_keras: {have}"
            continue
        for key in ("predicted", "told", "stepped") if not case.random else ("predicted",):
            if key in have and key in answer and not (case.random and key == "predicted"):
                yield from differences(
                    f"{source} -> {form}, in tf_keras: {key}", have[key], answer[key]
                )


@contextlib.contextmanager
def told(form: str) -> Iterator[list[str]]:
    """Collects faults; an error is one."""
    found: list[str] = []
    start = len(found)
    try:
        yield found
    except Exception as error:  # noqa: BLE001
        found.append(f"{type(error).__name__}: {error}"[:600])
    found[start:] = [f"{form}: {fault}" for fault in found]


def faults_of(model: keras.Model, case: Case, answer: Mapping[str, Any]) -> list[str]:
    """What a model that was read does otherwise than its writer."""
    x, y, kw = answer["x"], answer["y"], answer["kw"]
    found: list[str] = []
    if len(model.weights) != answer["weights"] and not case.random:
        stored = [w for w in model.weights if "seed_generator" not in w.path]
        if len(stored) != answer["weights"]:
            found.append(f"{len(stored)} weights, not {answer['weights']}")
    predicted = _flat(model.predict(x, verbose=0))
    if case.random:
        again = _flat(model.predict(x, verbose=0))
        same = all(np.array_equal(a, b) for a, b in zip(predicted, again, strict=True))
        steady = all(
            np.allclose(a, b, rtol=1e-4, atol=1e-5)
            for a, b in zip(predicted, answer["predicted"], strict=True)
        )
        if same and not steady:
            found.append("predictions do not stay random, and differ")
        return found
    found += differences("predicted", predicted, answer["predicted"])
    found += differences("called", _flat(model(x, training=True)), answer["called"])
    if not case.fits:
        return found
    if model.optimizer is None:
        return [*found, "not compiled"]
    batch = len(keras.tree.flatten(y)[0])
    logs = model.evaluate(x, y, verbose=0, return_dict=True, batch_size=batch, **kw)
    found += _logs("told", logs, answer["told"])
    history = model.fit(x, y, epochs=2, batch_size=batch, shuffle=False, verbose=0, **kw).history
    for key, values in answer["history"].items():
        if key not in history:
            found.append(f"fit's logs: {sorted(history)}, not {sorted(answer['history'])}")
            break
        found += differences(f"fit's {key}", [np.array(history[key])], [np.array(values)])
    found += differences(
        "stepped", _sorted(_flat(model.trainable_weights)), _sorted(answer["stepped"])
    )
    return found


def _logs(label: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> list[str]:
    if have.keys() != want.keys():
        return [f"{label}: {sorted(have)}, not {sorted(want)}"]
    return [
        fault
        for key, value in want.items()
        for fault in differences(f"{label} {key}", [np.array(have[key])], [np.array(value)])
    ]


def _sorted(arrays: Any) -> list[Any]:
    """Weights in an order that does not depend on that of the layers."""
    return sorted(arrays, key=lambda array: (array.shape, float(np.sum(array))))


def _flat(values: Any) -> list[Any]:
    return [np.asarray(value) for value in keras.tree.flatten(values)]


def differences(label: str, have: Any, want: Any) -> list[str]:
    """Arrays that differ by more than 1e-4."""
    if isinstance(want, Mapping):
        return _logs(label, have, want)
    if [np.shape(a) for a in have] != [np.shape(b) for b in want]:
        return [f"{label}: shapes {[np.shape(a) for a in have]}, not {[np.shape(b) for b in want]}"]
    off = [
        float(np.max(np.abs(np.asarray(a, "float64") - np.asarray(b, "float64"))))
        for a, b in zip(have, want, strict=True)
        if not np.allclose(
            a, b, rtol=1e-4, atol=1e-4 * max(float(np.max(np.abs(b), initial=0)), 1e-2)
        )
    ]
    return [f"{label} differs by {max(off):.3g}"] if off else []
