"""Fourier transforms and audio ops against TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hozon.errors import HozonError
from tests.unit.graphs.ops.harness import Case, answers, check, ids, kernel, planned_once

RNG = np.random.default_rng(8)


def reals(*shape: int, dtype: str = "float32") -> Any:
    return RNG.normal(size=shape).astype(dtype)


def complexes(*shape: int, dtype: str = "complex64") -> Any:
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(dtype)


def transforms() -> Iterator[Case]:
    close = {"rtol": 1e-4, "atol": 1e-4}
    for rank, suffix in ((1, ""), (2, "2D"), (3, "3D")):
        sizes = (3, 4, 5)[-rank:]
        for op in ("FFT", "IFFT"):
            yield Case(op + suffix, [complexes(2, *sizes)], **close)
            yield Case(op + suffix, [complexes(*sizes, dtype="complex128")])
            yield Case(op + suffix, [complexes(0, *sizes)])
        for less in (0, 1):
            lengths = np.array(sizes, "i4") - less
            yield Case("RFFT" + suffix, [reals(2, *sizes), lengths], traced=[0], **close)
            yield Case("IRFFT" + suffix, [complexes(2, *sizes), lengths], traced=[0], **close)
        for op, values in (("RFFT", reals(2, *sizes)), ("IRFFT", complexes(2, *sizes))):
            yield Case(op + suffix, [values, np.array(sizes, "i4") + 5], fails=True)
        yield Case(
            "RFFT" + suffix,
            [reals(*sizes, dtype="float64"), np.array(sizes, "i4")],
            {"Tcomplex": "complex128"},
            traced=[0],
        )
    yield Case("FFT", [np.complex64(1)], fails=True, known_shapes=False)


def sound() -> Iterator[Case]:
    close = {"rtol": 1e-4, "atol": 1e-4}
    for squared in (False, True):
        for window, stride in ((8, 4), (10, 3)):
            yield Case(
                "AudioSpectrogram",
                [reals(30, 2)],
                {"window_size": window, "stride": stride, "magnitude_squared": squared},
                **close,
            )
    yield Case("AudioSpectrogram", [reals(5, 1)], {"window_size": 8, "stride": 4})
    energies = np.square(reals(1, 3, 129)) * 10
    yield Case("Mfcc", [energies, np.array(16000, "i4")], traced=[0], **close)
    yield Case(
        "Mfcc",
        [energies[..., :65], np.array(8000, "i4")],
        {
            "filterbank_channel_count": 20,
            "dct_coefficient_count": 9,
            "upper_frequency_limit": 3800.0,
        },
        traced=(),
        **close,
    )
    for wanted in (
        {},
        {"desired_channels": 1, "desired_samples": 3},
        {"desired_channels": 3, "desired_samples": 9},
    ):
        yield Case("DecodeWav", [scalar(WAV)], wanted)
    yield Case("DecodeWav", [scalar(WAV[:50])], fails=True)
    yield Case("DecodeWav", [scalar(b"not a WAV")], fails=True)
    samples = np.array([[0.1, -0.1], [1.5, -1.5], [0.5 / 32768, -0.5 / 32768]], "f4")
    yield Case("EncodeWav", [samples, np.array(16000, "i4")], traced=())


def scalar(value: bytes) -> Any:
    array = np.empty((), object)
    array[()] = value
    return array


BODY = np.arange(-6, 6, dtype="<i2").tobytes()
WAV = (
    struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(BODY),
        b"WAVE",
        b"fmt ",
        16,
        1,
        2,
        8000,
        32000,
        4,
        16,
        b"data",
        len(BODY),
    )
    + BODY
)
CASES = planned_once([*transforms(), *sound()])


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_signal(name: str, told: Any) -> None:
    check(*told[name])


def test_a_wav_that_ends_early_is_refused() -> None:
    with pytest.raises(HozonError, match="past the end"):
        kernel("DecodeWav")(scalar(WAV[:-1]))


def test_transforms_of_named_axes_are_those_of_numpy() -> None:
    """TensorFlow has no CPU kernel for these."""
    lengths, axes = np.array([4, 5], "i4"), np.array([0, 2], "i4")
    values, real = complexes(4, 3, 5), reals(4, 3, 5)
    for op, given, want in (
        ("FFTND", values, np.fft.fftn(values, (4, 5), (0, 2))),
        ("IFFTND", values, np.fft.ifftn(values, (4, 5), (0, 2))),
        ("RFFTND", real, np.fft.rfftn(real, (4, 5), (0, 2))),
        ("IRFFTND", values, np.fft.irfftn(values, (4, 5), (0, 2))),
    ):
        have = kernel(op)(given, lengths, axes)
        assert have.dtype == want.dtype
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)
