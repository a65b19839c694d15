"""Measure Hozon beside TensorFlow and keep the results."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ORACLE = HERE.parent / ".venv-oracle" / "bin" / "python"

#: name, arguments of the side scripts, what must hold.
CASES = [
    ("load_graph", ["load_graph"], "<= 0.3 s"),
    ("load_keras", ["load_keras"], "<= 0.5 s"),
    ("first_graph", ["first_graph"], "<= 1/3 of first_keras in tf_keras"),
    ("first_keras", ["first_keras"], "<= 40 %"),
    ("checkpoint_1gb", ["read_bundle", "gigabyte"], "<= 0.2 s"),
    ("checkpoint_10000", ["read_bundle", "many"], "<= 0.1 s"),
    *(
        (f"throughput_{model}_{size}", ["throughput", model, str(size)], "<= 100 %")
        for model in ("mobilenet_v2", "resnet50", "lstm")
        for size in (1, 16)
    ),
]


def measure(python, script, arguments, folder):
    """The seconds that one process reports, or None where it fails."""
    verb, *rest = arguments
    environment = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3",
                   "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([python, script, verb, str(folder), *rest], cwd=HERE, env=environment,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    return float(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="parts of case names; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=HERE / ".cache")
    options = parser.parse_args()
    subprocess.run([ORACLE, HERE / "prepare.py", options.folder], check=True,
                   env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""})
    wanted = [c for c in CASES if not options.cases or any(w in c[0] for w in options.cases)]
    results = {}
    for name, arguments, must in wanted:
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(measure(sys.executable, "hozon_side.py", arguments, options.folder))
            theirs.append(measure(str(ORACLE), "tensorflow_side.py", arguments, options.folder))
        if None not in ours + theirs:
            results[name] = {"hozon": statistics.median(ours), "must": must,
                             "tensorflow": statistics.median(theirs)}
            report = results[name]
            print(f"{name}: {report['hozon']:.3f} s, TensorFlow {report['tensorflow']:.3f} s",
                  flush=True)
    show(results)
    keep(results)


def show(results):
    table = Table("case", "Hozon s", "TensorFlow s", "Hozon / TensorFlow", "must")
    for name, r in results.items():
        ratio = r["hozon"] / r["tensorflow"]
        table.add_row(name, f"{r['hozon']:.3f}", f"{r['tensorflow']:.3f}", f"{ratio:.2f}",
                      r["must"])
    Console().print(table)


def keep(results):
    machine = {"processor": platform.machine(), "cores": os.cpu_count(),
               "versions": {p: version(p) for p in ("jax", "keras", "numpy")}}
    file = HERE / "results" / "latest.json"
    kept = json.loads(file.read_text())["results"] if file.exists() else {}
    text = json.dumps({"machine": machine, "results": {**kept, **results}}, indent=2)
    file.write_text(text + "\n")


if __name__ == "__main__":
    main()
