"""Bits of what Hozon writes, flipped one at a time, and what becomes of each.

`hozon.verify` finds the flip, the load refuses it, or it has no meaning: what is loaded is the same
to the bit. A flip that is none of these was accepted silently.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import keras
import numpy as np

import hozon
from hozon.errors import HozonError
from hozon.forms import FORMS, Form

X = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)


class Outcome(StrEnum):
    """What became of a flipped bit."""

    FOUND = "found by verify"
    REFUSED = "refused by the load"
    MEANINGLESS = "without a meaning"
    SILENT = "accepted silently"


@dataclass
class Counts:
    """Of one form: how many bits ended how, and where those are that nobody saw."""

    form: str
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    silent: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = ", ".join(f"{self.outcomes[outcome]} {outcome}" for outcome in Outcome)
        return f"{self.form}: {self.outcomes.total()} bits, {parts}"


def small() -> keras.Model:
    """A trained model that makes small files."""
    keras.utils.set_random_seed(1)
    x = keras.Input((3,), name="x")
    made = keras.Model(x, keras.layers.Dense(2, activation="relu", name="last")(x), name="small")
    made.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    made.fit(X, X[:, :2], verbose=0)
    return made


WRITTEN = [form for form in FORMS if form.written]


def write(form: Form, model: keras.Model, folder: Path) -> Path:
    """The model in this form, alone in a folder."""
    folder.mkdir(parents=True)
    path = folder / f"m{form.suffixes[0] if form.suffixes else ''}"
    if form.holds == "a model":
        hozon.save_model(model, path, format=form.format)
    elif form.holds == "weights":
        hozon.save_weights(model, path, format=form.format)
    else:
        source = folder.with_name(f"{folder.name}.keras")
        hozon.save_model(model, source)
        hozon.convert(source, path, format=form.name)
    return path


def content(form: Form, path: Path) -> list[Any]:
    """All that a load gives: what the model is, how it trains, its numbers, what it computes."""
    if form.holds == "weights":
        model = small()
        for variable in [*model.weights, *model.optimizer.variables]:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        told = hozon.load_weights(model, path)
        rest: Any = [told.missing, told.unexpected, told.mismatched, told.deferred, told.lost]
    else:
        model = hozon.load_model(path) if form.holds == "a model" else _by_config(path)
        rest = [hozon.model_to_json(model), model.get_compile_config() if model.compiled else None]
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.weights, *(optimizer.variables if optimizer else ())]
    numbers = [(np.asarray(v).tobytes(), str(v.dtype)) for v in variables]
    if form.holds == "an architecture":  # its numbers are drawn
        numbers = []
    else:
        rest.append(np.asarray(model(X)).tobytes())
    if form.name == "tf_checkpoint":
        rest.append(hozon.train.latest_checkpoint(path.parent))
    if form.functions:
        serve = hozon.saved_model.load(path).signatures["serving_default"]
        rest += [np.asarray(serve(x=X)[name]).tobytes() for name in serve.structured_outputs]
    return [json.dumps(rest[:-1], default=str), rest[-1], *numbers]


def _by_config(path: Path) -> keras.Model:
    return hozon.model_from_json(path.read_text(encoding="utf-8"))


@contextmanager
def _flipped(file: Path, at: int, bit: int) -> Iterator[None]:
    """A file in whose place there is one with another bit: who has mapped the old one keeps it."""
    data = file.read_bytes()
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    _replace(file, changed)
    try:
        yield
    finally:
        _replace(file, data)


def _replace(file: Path, data: bytes | bytearray) -> None:
    beside = file.with_name(f"{file.name}.new")
    beside.write_bytes(data)
    beside.replace(file)


class Flips:
    """One artifact, in a folder of its own, and what it holds while nothing is wrong."""

    def __init__(self, form: Form, folder: Path, model: keras.Model) -> None:
        self.form = form
        self.path = write(form, model, folder)
        self._expected = content(form, self.path)
        assert content(form, self.path) == self._expected
        self._files = sorted(file for file in folder.rglob("*") if file.is_file())

    def places(self, every: int, bits: int) -> Iterator[tuple[Path, int, int]]:
        """File, byte and bit: of each `every`-th byte so many bits, others from byte to byte."""
        for file in self._files:
            for number, at in enumerate(range(0, file.stat().st_size, every)):
                for bit in range(bits):
                    yield file, at, (bit + 3 * number) % 8

    def flip(self, file: Path, at: int, bit: int) -> Outcome:
        """What becomes of this bit; the file is as it was afterwards."""
        with _flipped(file, at, bit):
            try:
                if not hozon.verify(self.path).ok:
                    return Outcome.FOUND
            except HozonError:
                return Outcome.FOUND
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = content(self.form, self.path)
            except HozonError:
                return Outcome.REFUSED
        return Outcome.MEANINGLESS if found == self._expected else Outcome.SILENT

    def count(self, every: int, bits: int, show: Callable[[str], None]) -> Counts:
        """Flip all of them."""
        counts = Counts(self.form.label)
        for file, at, bit in self.places(every, bits):
            outcome = self.flip(file, at, bit)
            counts.outcomes[outcome] += 1
            if outcome in (Outcome.SILENT, Outcome.MEANINGLESS):
                place = f"{file.relative_to(self.path.parent)} byte {at} bit {bit}"
                show(f"    {outcome}: {place}")
                if outcome is Outcome.SILENT:
                    counts.silent.append(place)
        return counts
