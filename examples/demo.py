"""The main job in one minute: a TensorFlow SavedModel opens, runs and trains without TensorFlow."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import numpy as np
from rich.console import Console
from sklearn.datasets import load_digits

import hozon
from hozon.cli.show import show

MODEL = Path(__file__).parent / "digits_savedmodel"
console = Console(highlight=False)


def step(title: str) -> None:
    console.print(f"\n[bold cyan]{title}[/]")


def held_out_digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits that the saved model was not trained on."""
    digits = load_digits()
    images = (digits.images / 16).astype("float32")[..., None]
    return images[1200:], digits.target[1200:]


def main() -> None:
    start = time.perf_counter()
    x, y = held_out_digits()
    installed = importlib.util.find_spec("tensorflow") is not None
    console.print(f"TensorFlow is {'' if installed else 'not '}installed in this environment.")

    step("1. Look inside, without running anything")
    show(hozon.inspect(MODEL), console)

    step("2. Run its serving signature, as JAX")
    loaded = hozon.saved_model.load(MODEL)
    signature = loaded.signatures["serving_default"]
    outputs = signature(image=x)["digit"]
    console.print(f"{signature} on {len(x)} digits: {accuracy(outputs, y)}")

    step("3. It is differentiable: the pixels that a 'zero' wants brighter")
    gradient = jax.grad(lambda image: signature(image=image)["digit"][0, 0])(x[:1])
    console.print(heatmap(np.asarray(gradient)[0, :, :, 0]))

    step("4. The same file as a live, compiled Keras 3 model")
    model = hozon.load_model(MODEL)
    model.summary()
    console.print(str(model.load_report))
    console.print(f"optimizer {model.optimizer.name}, at step {int(model.optimizer.iterations)}")
    console.print(f"predict: {accuracy(model.predict(x, verbose=0), y)}")

    step("5. Training goes on where it stopped")
    for epoch in range(3):
        history = model.fit(x[:400], y[:400], verbose=0).history
        held_out = accuracy(model.predict(x[400:], verbose=0), y[400:])
        console.print(f"epoch {epoch + 1}: loss {history['loss'][0]:.3f}, held out: {held_out}")

    step("6. Save it in every form, and open each again")
    expected = model.predict(x, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("digits", "digits.h5", "digits.keras"):
            report = hozon.save_model(model, Path(folder) / name)
            again = hozon.load_model(Path(folder) / name)
            same = np.array_equal(again.predict(x, verbose=0), expected)
            steps = int(again.optimizer.iterations)
            console.print(
                f"{name}: {report.format}, {report.nbytes:,} bytes; predicts the same: {same}; "
                f"optimizer at step {steps}"
            )
        hozon.save_weights(model, Path(folder) / "ckpt")
        status = hozon.load_weights(again, Path(folder) / "ckpt").assert_consumed()
        console.print(f"a TensorFlow checkpoint: {len(status.matched)} variables matched")

    console.print(f"\nDone in {time.perf_counter() - start:.1f} s.")


def accuracy(outputs: object, labels: np.ndarray) -> str:
    right = float((np.asarray(outputs).argmax(-1) == labels).mean())
    return f"{right:.1%} right"


def heatmap(values: np.ndarray) -> str:
    shades = " .:-=+*#%@"
    span = np.ptp(values) or 1.0
    levels = ((values - values.min()) / span * (len(shades) - 1)).astype(int)
    return "\n".join("  " + "".join(shades[v] * 2 for v in row) for row in levels)


if __name__ == "__main__":
    main()
