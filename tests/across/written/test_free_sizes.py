"""Models without fixed sizes: TensorFlow runs what Hozon writes at each size that they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.across.written.by_openvino import opened
from tests.across.written.free_sizes import MODELS
from tests.oracle.client import Oracle

ASK = """
import tf_keras
def first_of(value):
    return tf.nest.flatten(value)[0].numpy()
for name, sizes in inputs.items():
    loaded = tf.saved_model.load(f"{folder}/{name}")
    revived = tf_keras.models.load_model(f"{folder}/{name}", compile=False)
    serve = loaded.signatures["serving_default"]
    names = sorted(serve.structured_input_signature[1])
    for number, given in enumerate(sizes):
        given = [tf.constant(x) for x in given]
        out[f"{name} {number} served"] = first_of(serve(**dict(zip(names, given))))
        out[f"{name} {number} revived"] = first_of(revived(given if len(given) > 1 else given[0]))
"""


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory, oracle: Oracle
) -> tuple[Path, dict[str, Any], dict[str, Any], dict[str, list[np.ndarray]], dict[str, Any]]:
    """The folder of all models, TensorFlow's answers, inputs, live outputs, what was converted."""
    folder, inputs, expected, converted = tmp_path_factory.mktemp("free"), {}, {}, {}
    for name, make in MODELS.items():
        keras.utils.set_random_seed(5)
        case = make()
        report = hozon.save_model(case.model, folder / name, native_ops_only=True)
        assert report.lost == []
        converted[name] = report.converted
        inputs[name] = [case.first, case.second]
        expected[name] = [
            case.model.predict(x if len(x) > 1 else x[0], verbose=0) for x in inputs[name]
        ]
    answers = oracle.python(ASK, folder=str(folder), inputs=inputs)
    return folder, answers, inputs, expected, converted


@pytest.mark.parametrize("way", ["served", "revived"])
@pytest.mark.parametrize("name", MODELS)
def test_tensorflow_runs_it(name: str, way: str, told: Any) -> None:
    _, answers, _, expected, _ = told
    for number, y in enumerate(expected[name]):
        np.testing.assert_allclose(answers[f"{name} {number} {way}"], y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_openvino_runs_it(name: str, told: Any) -> None:
    folder, _, inputs, expected, _ = told
    compiled = opened(folder / name)
    ports = sorted(compiled.inputs, key=lambda port: port.get_any_name())
    for x, y in zip(inputs[name], expected[name], strict=True):
        (found,) = compiled(dict(zip(ports, x, strict=True))).values()
        np.testing.assert_allclose(found, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["unet", "decoder_only", "encoder_decoder"])
def test_hozon_opens_it_without_its_classes(name: str, told: Any) -> None:
    folder, _, inputs, expected, _ = told
    again = hozon.load_model(folder / name, compile=False)
    for x, y in zip(inputs[name], expected[name], strict=True):
        made = again.predict(x if len(x) > 1 else x[0], verbose=0)
        np.testing.assert_allclose(made, y, rtol=1e-4, atol=1e-5)


def test_what_a_network_needs_of_sizes_is_told(told: Any) -> None:
    assert [line for line in told[-1]["unet"] if "axis 1 of image is a multiple of 8" in line]
