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

#: The other side of a case: its interpreter, its script, its verb where that is not Hozon's.
PEERS = {
    "tensorflow": (str(ORACLE), "tensorflow_side.py", None),
    "Keras 3": (sys.executable, "keras_side.py", None),
    "safetensors": (sys.executable, "peer_side.py", "safetensors"),
    "write()": (sys.executable, "peer_side.py", "plain"),
}
ALL = tuple(PEERS)
BUNDLES = ("tensorflow", "safetensors", "write()")
KERAS = ("Keras 3",)

LIVE = ("mobilenet_v2", "resnet50", "efficientnet_b0", "convnext_tiny", "lstm", "transformer")

#: Name, arguments of the side scripts, what must hold, and the peers if not TensorFlow alone.
#: Seconds, or megabytes where the name ends so.
CASES = [
    ("load_graph", ["load_graph"], "<= 0.3 s"),
    ("load_keras", ["load_keras"], "<= 0.5 s"),
    ("first_graph", ["first_graph"], "<= 1/3 of first_keras in tf_keras"),
    ("first_keras", ["first_keras"], "<= 40 %"),
    ("checkpoint_1gb", ["read_bundle", "gigabyte"], "<= 0.2 s"),
    ("checkpoint_10000", ["read_bundle", "many"], "<= 0.1 s"),
    ("save_resnet50_savedmodel", ["save_model", ""], "<= 0.8 s"),
    ("load_resnet50_h5", ["load_file", ".h5"], "<= 0.4 s", KERAS),
    ("load_resnet50_keras", ["load_file", ".keras"], "<= 0.4 s", KERAS),
    ("save_resnet50_h5", ["save_model", ".h5"], "<= 0.3 s", ("tensorflow", *KERAS)),
    ("save_resnet50_keras", ["save_model", ".keras"], "<= 0.3 s", ("tensorflow", *KERAS)),
    ("save_1gb", ["save_bundle", "100", "2500000"], "<= 1.2 x safetensors", BUNDLES),
    ("save_1gb_jax", ["save_bundle", "100", "2500000", "jax"], "<= 1.2 x safetensors", BUNDLES),
    ("save_1gb_durable", ["save_bundle", "100", "2500000", "numpy", "durable"], "", BUNDLES),
    ("save_10000", ["save_bundle", "10000", "1024"], "<= 0.15 s", BUNDLES),
    ("save_10000_jax", ["save_bundle", "10000", "1024", "jax"], "<= 0.15 s", BUNDLES),
    ("save_1gb_memory_mb", ["save_memory", "100", "2500000"], "<= 64 MB"),
    *(
        (f"list_{count}", ["list_variables", str(count)], "grows as the count")
        for count in (10_000, 100_000, 1_000_000)
    ),
    ("list_1000000_memory_mb", ["list_memory", "1000000"], "<= TensorFlow's"),
    ("objects_write_10000", ["objects", "write", "10000"], ""),
    ("objects_read_10000", ["objects", "read", "10000"], ""),
    *(
        (
            f"{what}_layers_{count}_{form or 'savedmodel'}",
            ["layers", what, "functional", str(count), *suffix],
            "grows as the count",
        )
        for what in ("save", "load")
        for form, *suffix in ((None,), ("h5", ".h5"))
        for count in (200, 800)
    ),
    ("load_sequential_200_h5", ["layers", "load", "sequential", "200", ".h5"], ""),
    *(
        (
            f"live_{what}_{model}_{size}",
            ["live", what, model, str(size)],
            "<= 100 %",
            ("tensorflow", *KERAS),
        )
        for model in LIVE
        for what, size in (("predict", 1), ("predict", 16), ("train", 8))
    ),
    *(
        (f"throughput_{model}_{size}", ["throughput", model, str(size)], "<= 100 %")
        for model in ("mobilenet_v2", "resnet50", "lstm")
        for size in (1, 16)
    ),
]


def measure(python, script, arguments, folder):
    """The seconds that one process reports, or None where it fails."""
    verb, *rest = arguments
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [python, script, verb, str(folder), *rest],
        cwd=HERE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
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
    subprocess.run(
        [ORACLE, HERE / "prepare.py", options.folder],
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
    )
    wanted = [c for c in CASES if not options.cases or any(w in c[0] for w in options.cases)]
    results = {}
    for name, arguments, must, *peers in wanted:
        taken = side_by_side(arguments, peers[0] if peers else ("tensorflow",), options)
        if taken is not None:
            results[name] = {**taken, "must": must}
            print(
                f"{name}: " + ", ".join(f"{side} {x:.3f}" for side, x in taken.items()), flush=True
            )
    show(results)
    keep(results)


def side_by_side(arguments, peers, options):
    """The medians of Hozon and its peers, in turn, or None where one fails."""
    taken = {side: [] for side in ("hozon", *peers)}
    for _ in range(options.rounds):
        taken["hozon"].append(measure(sys.executable, "hozon_side.py", arguments, options.folder))
        for peer in peers:
            python, script, verb = PEERS[peer]
            asked = [verb or arguments[0], *arguments[1:]]
            taken[peer].append(measure(python, script, asked, options.folder))
    if any(None in times for times in taken.values()):
        return None
    return {side: statistics.median(times) for side, times in taken.items()}


def show(results):
    table = Table("case", "Hozon", *ALL, "Hozon / the first", "must")
    for name, r in results.items():
        peers = (f"{r[peer]:.3f}" if peer in r else "" for peer in ALL)
        beside = r.get("tensorflow", r.get("Keras 3", 0))
        ratio = f"{r['hozon'] / beside:.2f}" if beside > 0 else ""
        table.add_row(name, f"{r['hozon']:.3f}", *peers, ratio, r["must"])
    Console().print(table)


def keep(results):
    machine = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "versions": {p: version(p) for p in ("jax", "keras", "numpy")},
    }
    file = HERE / "results" / "latest.json"
    file.parent.mkdir(exist_ok=True)
    kept = json.loads(file.read_text())["results"] if file.exists() else {}
    text = json.dumps({"machine": machine, "results": {**kept, **results}}, indent=2)
    file.write_text(text + "\n")


if __name__ == "__main__":
    main()
