"""The package itself: what importing it loads, and its public names."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import subprocess
import sys
from pathlib import Path

import pytest

import hozon
from hozon import errors

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits_savedmodel"
HEAVY = ("jax", "keras", "tensorflow", "numpy", "h5py", "google.protobuf", "rich")


def loaded_by(code: str) -> set[str]:
    """The heavy modules that a fresh process has loaded after `code`."""
    told = f"{code}\nimport sys; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, check=True, text=True)
    return set(done.stdout.split())


def test_importing_it_loads_nothing_heavy() -> None:
    assert loaded_by("import hozon; dir(hozon); hozon.FormatError; hozon.__version__") == set()


def test_inspecting_loads_neither_jax_nor_keras() -> None:
    assert not loaded_by("import hozon; hozon.inspect") & {"jax", "keras", "tensorflow"}


def test_listing_a_checkpoint_loads_neither_jax_nor_keras() -> None:
    prefix = EXAMPLE / "variables" / "variables"
    code = f"import hozon; assert hozon.train.list_variables({str(prefix)!r})"
    assert not loaded_by(code) & {"jax", "keras", "tensorflow"}


def test_the_graph_level_loads_no_keras() -> None:
    loaded = loaded_by(f"import hozon; hozon.saved_model.load({str(EXAMPLE)!r})")
    assert "jax" in loaded
    assert not loaded & {"keras", "tensorflow"}


@pytest.mark.parametrize("name", hozon.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert name in dir(hozon)
    assert getattr(hozon, name).__doc__


def test_every_error_is_public() -> None:
    there = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.HozonError)
    }
    assert there <= set(hozon.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = hozon.nonsense


def test_a_name_is_looked_up_once() -> None:
    assert hozon.load_model is vars(hozon)["load_model"]


def test_the_version_is_that_of_the_distribution() -> None:
    assert importlib.metadata.version("hozon") == hozon.__version__


def test_it_is_typed() -> None:
    assert importlib.resources.files("hozon").joinpath("py.typed").is_file()
    assert "return" in hozon.load_model.__annotations__
