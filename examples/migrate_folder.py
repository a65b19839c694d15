"""A folder of old ``.h5`` models as ``.keras`` files: each converted, checked and told.

``python examples/migrate_folder.py OLD NEW``; without arguments it makes some models to show it.
The command line does the same: ``hozon convert OLD --out-dir NEW --format keras --check``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import hozon


def migrate(old: Path, new: Path) -> dict[str, str]:
    """What became of each file; one that fails does not stop the others."""
    new.mkdir(exist_ok=True)
    told = {}
    for source in sorted(old.glob("*.h5")):
        target = new / f"{source.stem}.keras"
        try:
            report = hozon.convert(source, target)
            same = hozon.diff(source, target).same
        except hozon.HozonError as error:
            told[source.name] = f"FAILED: {error}"
            continue
        lost = "; ".join(report.lost) or "nothing lost"
        told[source.name] = f"{target.name}, {lost}" if same else f"{target.name} DIFFERS"
    return told


def some_models(folder: Path) -> None:
    """Two models as Keras 2 has written them, and a file that is none."""
    import keras

    for name, units in (("small", 2), ("large", 8)):
        model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(units)])
        model.compile("adam", "mse")
        hozon.save_model(model, folder / f"{name}.h5", dialect="keras2")
    (folder / "notes.h5").write_text("no model")


def main() -> None:
    if len(sys.argv) == 3:
        told = migrate(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            old = Path(folder, "old")
            old.mkdir()
            some_models(old)
            told = migrate(old, Path(folder, "new"))
    for name, text in told.items():
        print(f"{name}: {text}")


if __name__ == "__main__":
    main()
