"""`hozon.inspect` on forms that are read as records."""

from __future__ import annotations

from pathlib import Path

import hozon


def test_an_h5_file(shared: Path) -> None:
    path = shared / "legacy" / "tf2.15" / "Opt_Adam.h5"
    info = hozon.inspect(path)
    assert info.format == "Keras H5"
    assert info.producer.startswith("keras 2.")
    assert info.layers[0].class_name in ("Sequential", "Functional", "Model")
    assert info.training_config
    assert info.nbytes > 0
    assert all(v.nbytes for v in info.variables if v.shape)
