"""Draw many models and say what they show: ``python -m tests.differential.campaign 5000``."""

from __future__ import annotations

import argparse
import itertools
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.differential.grammar import draw_spec
from tests.differential.judge import VERDICTS, Finding, control, judge, verdict
from tests.differential.known import KNOWN
from tests.differential.processes import Pool, Run
from tests.differential.reduce import reduced

#: Functional subclasses by what they have of their own.
OWN = {"Doubled": "own compute_loss", "Stepped": "own train_step"}
OWN |= {"Planned": "own constructor", "Chain": "sequential subclass"}
OPTIONS = ("policy", "jit", "freeze", "lora", "quantize")


class Campaign:
    """Draws, what they showed, and the time that they took."""

    def __init__(self, seed: int, quiet: bool = False, only: str = "") -> None:
        self.seed = seed
        self.only = re.compile(only)
        self.quiet = quiet
        self.counts: Counter[str] = Counter()
        self.axes: dict[str, Counter[str]] = defaultdict(Counter)
        self.groups: dict[str, list[tuple[Run, list[Finding]]]] = defaultdict(list)
        self.seconds = 0.0

    def run(self, pool: Pool, first: int, count: int, budget: float) -> None:
        """Draw `count` models, or as many as `budget` seconds allow."""
        began = time.monotonic()

        def runs() -> Iterator[Run]:
            drawn = ((number, draw_spec(self.seed, number)) for number in itertools.count(first))
            wanted = (
                ((n, spec) for n, spec in drawn if any(map(self.only.fullmatch, axes(spec))))
                if self.only.pattern
                else drawn
            )
            for number, spec in itertools.islice(wanted, count):
                if time.monotonic() - began > budget:
                    return
                yield Run(spec, number)

        pool.run(runs(), self.finished)
        self.excuse(pool)
        self.seconds += time.monotonic() - began

    def excuse(self, pool: Pool) -> None:
        """Of what no known kind covers, take out what TensorFlow and Keras cannot do alone."""
        unknown = {number for number, _ in self.unknown()}
        for signature, members in list(self.groups.items()):
            for member in [m for m in members if m[0].number in unknown]:
                run, findings = member
                if all(fails_alone(pool, run.spec, finding) for finding in findings):
                    members.remove(member)
                    self.count(run.spec, verdict(findings), -1)
                    self.count(run.spec, "theirs", 1)
            if not members:
                del self.groups[signature]

    def count(self, spec: dict[str, Any], said: str, by: int) -> None:
        """Count a verdict."""
        self.counts[said] += by
        for axis in axes(spec):
            self.axes[axis][said] += by

    def finished(self, run: Run) -> None:
        """Note what a run showed."""
        findings = judge(run)
        said = verdict(findings)
        self.count(run.spec, said, 1)
        if findings:
            worst = min(findings, key=lambda f: VERDICTS.index(f.verdict))
            self.groups[worst.signature].append((run, findings))
        if said in ("refused", "told", "invalid") and not self.quiet:
            print(run.number, findings[0].signature, findings[0].text[:200], flush=True)
        if said in ("WRONG", "crashed") and not self.quiet:
            known = all(any(k.covers(f, axes(run.spec)) for k in KNOWN) for f in findings)
            mark = "known" if known else "NEW"
            print(run.number, mark, findings[0].signature, findings[0].text[:200], flush=True)
        total = sum(self.counts.values())
        if not self.quiet and total % 10 == 0:
            print(total, dict(self.counts), flush=True)

    def unknown(self) -> list[tuple[int, Finding]]:
        """What is wrong or crashed and of no known kind, with the number of the draw."""
        return [
            (run.number, finding)
            for members in self.groups.values()
            for run, findings in members
            for finding in findings
            if finding.verdict in ("WRONG", "crashed")
            and not any(known.covers(finding, axes(run.spec)) for known in KNOWN)
        ]

    def summary(self) -> str:
        """What was found, by kind of failure and by axis."""
        total = sum(self.counts.values())
        lines = [
            f"{total} draws of seed {self.seed} in {self.seconds:.0f} s: "
            + ", ".join(f"{self.counts[v]} {v}" for v in VERDICTS if self.counts[v])
        ]
        for signature, members in sorted(
            self.groups.items(), key=lambda kv: (VERDICTS.index(kv[0].split()[0]), -len(kv[1]))
        ):
            _run, findings = members[0]
            numbers = " ".join(str(r.number) for r, _ in members[:6])
            lines.append(f"{len(members):5} {signature}   [{numbers}]")
            lines.append(f"        {findings[0].way}: {findings[0].text[:300]}")
        unknown = sorted({number for number, _ in self.unknown()})
        lines.append(f"draws with failures of no known kind: {unknown}")
        lines.append("axis: right / all that are valid")
        for axis, counts in sorted(self.axes.items()):
            valid = sum(counts.values()) - counts["invalid"]
            bad = ", ".join(f"{counts[v]} {v}" for v in VERDICTS[:4] if counts[v])
            lines.append(f"  {axis:36} {counts['right']:5} / {valid:<5} {bad}")
        return "\n".join(lines)


def axes(spec: dict[str, Any]) -> set[str]:
    """The axes that a spec touches."""
    found = {f"writer {spec['writer']}", f"way {spec['model']['way']}"}
    if "class" in spec["model"]:
        found.add(OWN[spec["model"]["class"]])
    if spec["model"].get("added"):
        found.add("losses and metrics from outside")
    if spec.get("compile", {}).get("sample_weight"):
        found.add("sample weights")
    if spec.get("compile", {}).get("class_weight"):
        found.add("class weights")
    for hop in spec["hops"]:
        if "after" in hop:
            found.add(f"saved again after {hop['after']}")
        found |= {f"form {hop['form']}", f"reader {hop['reader']}"}
    if len(spec["hops"]) > 1:
        found.add("saved again")
    found |= {f"{axis} {spec[axis]}" for axis in OPTIONS if axis in spec}
    if "tuned" in spec:
        found.add("fine-tuned")
    if spec["model"].get("named inputs"):
        found.add("dict inputs")
    for own in ("OwnInitializer", "OwnRegularizer", "OwnConstraint"):
        if own in str(spec["model"]):
            found.add(own)
    if isinstance(spec["model"]["outputs"], dict):
        found.add("dict outputs")
    if "compile" in spec:
        optimizer = spec["compile"]["args"]["optimizer"]
        inner = optimizer["args"].get("inner_optimizer", optimizer)
        found |= {optimizer["object"], inner["object"]}
        found |= {f"optimizer {name}" for name in inner["args"]}
        if ".legacy." in inner["object"]:
            found.add("legacy optimizer")
        found |= {f"compile {name}" for name in spec["compile"]["args"]}
    _graph_axes(spec["model"], found)
    return found


def _graph_axes(graph: dict[str, Any], found: set[str]) -> None:
    if len(graph["inputs"]) > 1:
        found.add("several inputs")
    if len(graph["outputs"]) > 1:
        found.add("several outputs")
    found |= {f"input {i['takes']}" for i in graph["inputs"]}
    if any(i.get("free") for i in graph["inputs"]):
        found.add("free length")
    for node in graph["nodes"]:
        if "again" in node:
            found.add("shared layer")
        elif "outer" in node:
            found.add("shared across levels")
        elif "model" in node:
            found.add("nested model")
            _graph_axes(node["model"], found)
        else:
            found.add(f"layer {node['layer']['class']}")
            if "activity_regularizer" in node["layer"]["args"]:
                found.add("activity regularizer")
            if "/" in node["layer"].get("name", ""):
                found.add("name with slash")
        if node.get("layer", {}).get("args", {}).get("stateful"):
            found.add("stateful")
        if "call" in node:
            found |= {f"call {name}" for name in node["call"]}


def fails_alone(pool: Pool, spec: dict[str, Any], finding: Finding) -> bool:
    """Whether a foreign reader fails so on a file of its own, too."""
    alone = control(spec, finding)
    found = [] if alone is None else judge(pool.one(alone))
    return any(
        f.check == finding.check and f.verdict in ("WRONG", "crashed")
        if f.verdict != "invalid"  # it cannot even be made there
        else f.text[:60] == finding.text[:60]
        for f in found
    )


def alike(pool: Pool, signature: str) -> Any:
    """Whether a spec fails with this signature."""

    def fails(spec: dict[str, Any]) -> bool:
        return any(f.signature == signature for f in judge(pool.one(spec)))

    return fails


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="", help="draws of these axes, as a regular expression")
    parser.add_argument("--budget", type=float, default=1e9, help="seconds")
    parser.add_argument("--reduce", action="store_true", help="make one of each kind small")
    parser.add_argument("--show", type=int, nargs="+", help="draws, with what they said")
    parser.add_argument("--spec", help="a file of specs, one a line, instead of draws")
    parser.add_argument("--out", help="where to write what failed, as JSON")
    asked = parser.parse_args()
    pool = Pool()
    try:
        if asked.show is not None or asked.spec:
            drawn = [draw_spec(asked.seed, number) for number in asked.show or ()]
            for spec in (
                map(json.loads, Path(asked.spec).read_text().splitlines()) if asked.spec else drawn
            ):
                show(pool, spec)
            return
        campaign = Campaign(asked.seed, only=asked.only)
        campaign.run(pool, asked.first, asked.count, asked.budget)
        print(campaign.summary())
        if asked.reduce or asked.out:
            found = report(pool, campaign, asked.reduce)
            if asked.out:
                Path(asked.out).write_text(json.dumps(found, indent=1))
    finally:
        pool.close()


def report(pool: Pool, campaign: Campaign, small: bool) -> list[dict[str, Any]]:
    """One draw of each kind of failure, made small."""
    found = []
    for signature, members in campaign.groups.items():
        if signature.startswith("invalid"):
            continue
        run, findings = members[0]
        spec = reduced(run.spec, alike(pool, signature)) if small else run.spec
        entry = {
            "signature": signature,
            "draws": [r.number for r, _ in members],
            "said": [f"{f.verdict} {f.check}: {f.text}" for f in findings],
            "spec": spec,
        }
        found.append(entry)
        print(
            len(members),
            signature,
            "\n   ",
            findings[0].text[:400],
            "\n   ",
            json.dumps(spec),
            flush=True,
        )
    return found


def show(pool: Pool, spec: dict[str, Any]) -> None:
    """One spec, with all that it showed."""
    print(json.dumps(spec))
    run = pool.one(spec)
    for answer in run.answers:
        if not isinstance(answer, dict):
            print(getattr(answer, "trace", answer))
            continue
        for key in ("told", "report", "told save"):
            if key in answer:
                print(key, answer[key])
        for value in (*answer.values(), *answer.get("measured", {}).values()):
            print(getattr(value, "trace", ""), end="")
    for finding in judge(run):
        print(finding)


if __name__ == "__main__":
    main()
