"""Every model of the zoo, saved once for all tests here, with the answers of TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pytest

import hozon
from hozon.reports import SaveReport
from tests.across.written import zoo
from tests.oracle.client import Oracle

#: Asks TensorFlow and tf_keras the same of each model.
ASK = """
import tf_keras

def flat(value):
    return [np.asarray(v) for v in tf.nest.flatten(value)]

def fitting(value, spec):
    cast = lambda v, s: tf.cast(tf.convert_to_tensor(v), s.dtype)
    return tf.nest.map_structure(cast, value, spec)

def half(value):
    return tf.nest.map_structure(lambda v: v[:2], value)

def called(path, x):
    loaded = tf.saved_model.load(path)
    spec = loaded.__call__.concrete_functions[0].structured_input_signature[0][0]
    given = fitting(x, spec)
    found = {"call": flat(loaded(given)), "half": flat(loaded(half(given)))}
    with tf.GradientTape() as tape:
        made = tf.nest.flatten(loaded(given))
        total = tf.add_n([tf.reduce_sum(tf.cast(v, tf.float32)) for v in made])
    slopes = tape.gradient(total, loaded.trainable_variables)
    found["gradients"] = [float("nan") if s is None else
                          float(tf.norm(tf.cast(tf.convert_to_tensor(s), tf.float32)))
                          for s in slopes]
    signature = loaded.signatures["serving_default"]
    keywords = signature.structured_input_signature[1]
    named = x if isinstance(x, dict) else dict(
        zip([k for k in inputs_in_order(loaded)], x if isinstance(x, list) else [x]))
    feeds = {k: tf.cast(tf.convert_to_tensor(v), keywords[k].dtype) for k, v in named.items()}
    found["signature"] = {k: np.asarray(v) for k, v in signature(**feeds).items()}
    return found

def inputs_in_order(loaded):
    concrete = loaded.__call__.concrete_functions[0]
    return [s.name for s in tf.nest.flatten(concrete.structured_input_signature)
            if isinstance(s, tf.TensorSpec)]

def revived(path, x, y):
    model = tf_keras.models.load_model(path)
    found = {"class": type(model).__name__, "predict": flat(model.predict(x, verbose=0)),
             "names": [w.name for w in model.weights]}
    if y is not None and model.optimizer is not None:
        found["optimizer"] = type(model.optimizer).__name__
        found["evaluate"] = model.evaluate(x, y, verbose=0)
        before = [np.array(w) for w in model.trainable_weights]
        model.fit(x, y, verbose=0)
        found["moved"] = any(np.any(a != np.array(b)) for a, b in
                             zip(before, model.trainable_weights))
    return found

for name, (path, x, y) in cases.items():
    try:
        out[name] = {"loaded": called(path, x), "revived": revived(path, x, y)}
    except Exception as error:
        out[name] = f"{type(error).__name__}: {error}"[:3000]
"""


@dataclass(frozen=True)
class Written:
    """A saved model: itself, its case, where it lies, what was reported and what TF makes of it."""

    case: zoo.Case
    path: Path
    report: SaveReport
    outputs: Any
    answers: Any


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory, oracle: Oracle) -> dict[str, Written]:
    folder = tmp_path_factory.mktemp("written")
    made, asked = {}, {}
    for name, maker in zoo.MAKERS.items():
        keras.utils.set_random_seed(1)
        case = maker()
        path = folder / name
        report = hozon.save_model(case.model, path)
        outputs = case.model.predict(case.x, verbose=0)
        made[name] = (case, path, report, outputs)
        asked[name] = (str(path), case.x, case.y)
    answers = oracle.python(ASK, cases=asked)
    return {name: Written(*parts, answers[name]) for name, parts in made.items()}
