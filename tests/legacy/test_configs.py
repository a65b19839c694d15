"""Every recorded file of an older Keras builds and gives its writer's own outputs."""

from __future__ import annotations

import numpy as np
import pytest

from hozon.config.build import build_model
from hozon.errors import UnsupportedError
from tests.legacy.files import (
    LEGACY,
    WRITERS,
    cases,
    h5_config,
    load_weights,
    recorded,
    run,
    zip_config,
)

CASES = [(writer, case) for writer in WRITERS for case in cases(writer)]
ZIPS = (
    [
        (writer, case)
        for writer, case in CASES
        if zip_config(LEGACY / writer / f"{case}.keras") is not None
    ]
    if CASES
    else []
)
#: What these files leave out, so that nobody can build them.
INCOMPLETE = {"TFOp_einsum": "did not save the operands"}
#: float16 sums in another order.
LOOSE = {"MixedPrecision": 2e-3}

pytestmark = [
    pytest.mark.skipif(not CASES, reason=f"{LEGACY} is missing (set HOZON_SHARED)"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.mark.parametrize(("writer", "case"), CASES)
def test_h5_model_gives_its_writers_outputs(writer: str, case: str) -> None:
    config = h5_config(writer, case)
    if case in INCOMPLETE:
        with pytest.raises(UnsupportedError, match=INCOMPLETE[case]):
            build_model(config)
        return
    model = build_model(config)
    load_weights(model, writer, case)
    inputs, expected = recorded(writer, case)
    outputs = list(run(model, inputs))
    assert len(outputs) == len(expected)
    for output, value in zip(outputs, expected, strict=True):
        assert output.shape == value.shape
        assert output.dtype.kind == value.dtype.kind
        np.testing.assert_allclose(output, value, rtol=0, atol=LOOSE.get(case, 2e-4))


@pytest.mark.parametrize(("writer", "case"), ZIPS)
def test_zip_config_builds_the_same_model_as_h5(writer: str, case: str) -> None:
    config = zip_config(LEGACY / writer / f"{case}.keras")
    if case in INCOMPLETE:
        with pytest.raises(UnsupportedError, match=INCOMPLETE[case]):
            build_model(config)
        return
    model, other = build_model(config), build_model(h5_config(writer, case))
    assert [type(layer) for layer in model.layers] == [type(layer) for layer in other.layers]
    assert [tuple(w.shape) for w in model.weights] == [tuple(w.shape) for w in other.weights]


@pytest.mark.parametrize("case", cases("keras3.15.1"))
def test_keras3_forms_build_and_agree(case: str) -> None:
    folder = LEGACY / "keras3.15.1"
    inputs, expected = recorded("keras3.15.1", case)
    for config in (zip_config(folder / f"{case}.keras"), h5_config("keras3.15.1", case)):
        changes: list[str] = []
        model = build_model(config, report=changes)
        model.load_weights(str(folder / f"{case}.weights.h5"))
        assert changes == []
        for output, value in zip(run(model, inputs), expected, strict=True):
            assert output.shape == value.shape
            np.testing.assert_allclose(output, value, rtol=0, atol=2e-4)


@pytest.mark.parametrize(("writer", "case"), CASES)
def test_layer_names_and_order_are_the_files(writer: str, case: str) -> None:
    if case in INCOMPLETE or case == "add_loss_metric":
        pytest.skip("not all layers of this file can be built")
    config = h5_config(writer, case)["config"]
    entries = config if isinstance(config, list) else config["layers"]
    names = [e.get("name") or e["config"]["name"] for e in entries]
    built = [layer.name for layer in build_model(h5_config(writer, case)).layers]
    assert built in (names, names[1:])
