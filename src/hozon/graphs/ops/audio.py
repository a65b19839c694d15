"""Sound: spectrograms, mel-frequency cepstra, 16-bit WAV files in memory."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, static_int
from hozon.raw.cursor import Cursor
from hozon.raw.location import Location

AUDIO = OpTable("audio")
Array = np.ndarray[Any, Any]

#: The least energy of a mel band, so that its logarithm is finite (mfcc.cc).
FLOOR = 1e-12
PCM = 1
MOST_SAMPLES = 1 << 30


@AUDIO.op("AudioSpectrogram")
def audio_spectrogram(node: NodeView) -> Kernel:
    """Frames of ``(length, channels)`` under a periodic Hann window, padded to a power of two."""
    window, stride = int(node.attr("window_size")), int(node.attr("stride"))
    squared = bool(node.attr("magnitude_squared"))
    if window < 2 or stride < 1:
        raise node.refuse(f"window_size={window}, stride={stride}")
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    length = 1 << (window - 1).bit_length()

    def kernel(samples: Value) -> Value:
        xp = ns(samples)
        count = max(0, 1 + (samples.shape[0] - window) // stride)
        places = np.arange(count)[:, None] * stride + np.arange(window)
        frames = samples.T.astype(np.float64)[:, places] * taper
        spectrum = xp.fft.rfft(frames, length, -1)
        energy = xp.square(spectrum.real) + xp.square(spectrum.imag)
        return (energy if squared else xp.sqrt(energy)).astype(np.float32)

    return kernel


@AUDIO.op("Mfcc")
def mfcc(node: NodeView) -> Kernel:
    """Cosine transform of the logarithm of mel bands of a squared spectrogram."""
    low, high = float(node.attr("lower_frequency_limit")), float(node.attr("upper_frequency_limit"))
    bands = int(node.attr("filterbank_channel_count"))
    cosines = _cosines(bands, int(node.attr("dct_coefficient_count")))

    def kernel(spectrogram: Value, rate: Value) -> Value:
        xp = ns(spectrogram)
        sample_rate = static_int(rate, "the sample rate")
        weights = _mel_weights(spectrogram.shape[-1], sample_rate, bands, low, high)
        energy = xp.sqrt(spectrogram.astype(np.float64)) @ weights
        return (xp.log(xp.maximum(energy, FLOOR)) @ cosines).astype(np.float32)

    return kernel


def _cosines(bands: int, coefficients: int) -> Array:
    """The cosine transform as a matrix, of shape (bands, coefficients) (mfcc_dct.cc)."""
    angle = np.pi / bands * (np.arange(bands)[:, None] + 0.5) * np.arange(coefficients)
    return np.sqrt(2.0 / bands) * np.cos(angle)


def _mel(frequency: Any) -> Any:
    """Mel for Hertz."""
    return 1127.0 * np.log1p(frequency / 700.0)


def _mel_weights(bins: int, rate: float, bands: int, low: float, high: float) -> Array:
    """Triangular bands over the bins of a spectrum, of shape (bins, bands).

    Bin 0 never counts, and the bins at the limits are rounded as in mfcc_mel_filterbank.cc.
    """
    hertz = 0.5 * rate / (bins - 1)
    first, last = int(1.5 + low / hertz), int(high / hertz)
    edges = _mel(low) + (_mel(high) - _mel(low)) / (bands + 1) * np.arange(bands + 2)
    weights = np.zeros((bins, bands))
    for index in range(first, min(last, bins - 1) + 1):
        mel = _mel(index * hertz)
        above = min(int(np.searchsorted(edges[1:-1], mel)), bands)
        falling = (edges[above + 1] - mel) / (edges[above + 1] - edges[above])
        if above > 0:
            weights[index, above - 1] += falling
        if above < bands:
            weights[index, above] += 1 - falling
    return weights


@AUDIO.op("DecodeWav", host=True)
def decode_wav(node: NodeView) -> Kernel:
    """16-bit PCM as float32 from -1 to 1 of shape (samples, channels), and the sample rate.

    The last channel fills missing ones, silence missing samples (decode_wav_op.cc).
    """
    wanted_channels, wanted_samples = (
        int(node.attr("desired_channels")),
        int(node.attr("desired_samples")),
    )
    if max(wanted_channels, 1) * max(wanted_samples, 1) > MOST_SAMPLES:
        raise node.refuse(f"{wanted_samples} samples of {wanted_channels} channels")

    def kernel(contents: Value) -> tuple[Value, Value]:
        where = Location(f"node {node.name!r}", "WAV")
        samples, rate = _wav(np.asarray(contents, object).item(), where)
        if wanted_channels >= 0:
            chosen = np.minimum(np.arange(wanted_channels), samples.shape[1] - 1)
            samples = samples[:, chosen]
        if wanted_samples >= 0:
            missing = max(0, wanted_samples - len(samples))
            samples = np.pad(samples[:wanted_samples], ((0, missing), (0, 0)))
        return samples, np.asarray(rate, np.int32)

    return kernel


def _wav(data: bytes, where: Location) -> tuple[Array, int]:
    """Samples of shape (count, channels) and the sample rate of a RIFF file."""
    cursor = Cursor(data, where)
    _expect(cursor, b"RIFF", where)
    cursor.u32()
    _expect(cursor, b"WAVE", where)
    form: tuple[int, int] | None = None
    while cursor.remaining:
        name, size = cursor.take(4), cursor.u32()
        if name == b"fmt ":
            form = _wav_format(cursor.take(size), where)
        elif name == b"data" and form is not None:
            channels, rate = form
            body = cursor.take(size)
            count = size // (2 * channels)
            found = np.frombuffer(body, "<i2", count * channels)
            return found.reshape(count, channels).astype(np.float32) / np.float32(32768), rate
        else:
            cursor.take(size)
    raise where.damaged("no samples", expected="a data chunk after a fmt chunk")


def _expect(cursor: Cursor, magic: bytes, where: Location) -> None:
    found = cursor.take(4)
    if found != magic:
        raise where.damaged("not a WAV file", expected=magic, found=found)


def _wav_format(chunk: bytes, where: Location) -> tuple[int, int]:
    """The number of channels and the sample rate."""
    if len(chunk) < 16:
        raise where.damaged("the fmt chunk is short", expected="16 bytes", found=len(chunk))
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if kind != PCM or bits != 16:
        raise where.unsupported(f"WAV format {kind} with {bits} bits", feature="WAV")
    if channels < 1:
        raise where.damaged("no channels", found=channels)
    return channels, rate


@AUDIO.op("EncodeWav", host=True)
def encode_wav(node: NodeView) -> Kernel:
    """A 16-bit WAV file of float32 samples of shape (samples, channels)."""

    def kernel(audio: Value, sample_rate: Value) -> Value:
        if np.ndim(audio) != 2:
            raise MismatchError(f"node {node.name!r}: samples of shape {np.shape(audio)}")
        rate, channels = static_int(sample_rate, "the sample rate"), audio.shape[1]
        scaled = np.asarray(audio, np.float64) * 32768
        rounded = np.trunc(scaled + np.copysign(0.5, scaled))
        body = np.clip(rounded, -32768, 32767).astype("<i2").tobytes()
        head = struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            b"RIFF",
            36 + len(body),
            b"WAVE",
            b"fmt ",
            16,
            PCM,
            channels,
            rate,
            rate * channels * 2,
            channels * 2,
            16,
            b"data",
            len(body),
        )
        result = np.empty((), object)
        result[()] = head + body
        return result

    return kernel
