"""What a draw showed: right, refused by name, told, crashed, or wrong; and what is alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.differential.build import COUNTING, all_nodes
from tests.differential.portable import HOLDERS, translated
from tests.differential.processes import Run

#: Worst first.
VERDICTS = ("WRONG", "crashed", "told", "refused", "theirs", "right", "invalid")
#: What a loss that the report tells may excuse.
EXCUSABLE = ("logs", "trained", "trained predict")
#: Forms of weights that have no place for the optimizer, or whose readers leave it out.
WITHOUT_OPTIMIZER = (
    ("w:h5", "hozon"),
    ("w:h5", "tf_keras"),
    ("w:safetensors", "hozon"),
    ("w:weights.h5", "keras"),
    ("w:weights.json", "keras"),
    ("json", "hozon"),
    ("json", "bare"),
)
#: What a save says where another reader will not open its file.
WILL_NOT_OPEN = re.compile(r"own reader .*(cannot open|does not know)|for Keras 3 only")
#: What a save says that is nothing to Hozon's own readers.
FOR_OTHERS = re.compile(r"own reader|for Keras 3 only|code of custom classes")
RELATIVE, ABSOLUTE = 1e-3, 2e-4


@dataclass(frozen=True)
class Finding:
    """One thing that a draw showed."""

    verdict: str
    way: str
    check: str
    text: str

    @property
    def signature(self) -> str:
        """The same for failures that are alike."""
        if self.verdict == "WRONG":
            return f"{self.verdict} {self.check} | {self.way}"
        plain = re.sub(r"'[^']*'|\"[^\"]*\"|<[^>]*>|\[[^\]]*\]|\([^)]*\)", "_", self.text)
        plain = re.sub(r"[\w/.-]*\d[\w/.-]*", "#", plain)
        return f"{self.verdict} {self.check} | {plain[:160]}"


def judge(run: Run) -> list[Finding]:
    """What is not right about a run; empty if all is. Stages after a failed one are not judged."""
    first = run.answers[0]
    spec = run.spec
    if not isinstance(first, dict):
        return [Finding("invalid", spec["writer"], "write", str(first))]
    if "invalid" in first:
        return [Finding("invalid", spec["writer"], "write", str(first["invalid"]))]
    way = f"{spec['writer']} {spec['hops'][0]['form']}"
    if "save" in first:
        if spec["writer"] in ("tf_keras", "keras"):
            return [Finding("invalid", way, "save", str(first["save"]))]
        return [_failed(first["save"], way, "save")]
    if not all(map(finite, (first["measured"], first["later"]))):
        return [Finding("invalid", way, "write", "the model came to what is no number by itself")]
    told, later, summed = list(first.get("told", ())), False, False
    rounded = "mixed_" in str(spec["model"]) or spec.get("policy", "float64") != "float64"
    loose = 250.0 if rounded else 1.0
    for answer, hop in zip(run.answers[1:], spec["hops"], strict=False):
        way = f"{hop['form']} {hop['reader']}"
        if not isinstance(answer, dict):
            return [_failed(answer, way, "stage")]
        foreign = hop["reader"] in ("tf_keras", "keras")
        if "load" in answer:
            found = _failed(answer["load"], way, "load")
            warned = foreign and any(map(WILL_NOT_OPEN.search, told))
            if hop["reader"] == "bare" and hop["form"] != "savedmodel" and _asks_for_class(found):
                return []
            return [replace(found, verdict="told") if warned else found]
        told += answer["told"]
        said = told if foreign else [line for line in told if not FOR_OTHERS.search(line)]
        later = later or hop.get("after") == "fit"
        truth = first["later" if later else "measured"]
        got = answer["measured"]
        legacy = hop["form"] == "w:weights.h5" and "optimizers.legacy." in str(spec.get("compile"))
        fresh = legacy or (hop["form"], hop["reader"]) in WITHOUT_OPTIMIZER
        if fresh or trains_otherwise(spec, hop):
            truth = {check: value for check, value in truth.items() if check not in EXCUSABLE}
        if (hop["form"], hop["reader"]) == ("savedmodel", "tf_keras") and (later or taught(spec)):
            truth, got = before_training(truth), before_training(got)
        if rounded and "MaxPool" in str(spec["model"]):  # which of two that are alike is the most?
            truth = {check: value for check, value in truth.items() if check != "gradients"}
        if names_otherwise(spec, hop):
            truth, got = only_loss(truth), only_loss(got)
        if "lora" in spec and (summed or hop["form"] != "savedmodel"):  # Keras saves the sum
            again = "quantize" in spec or (summed and later)  # rounded again, or trained on since
            kept = () if again else ("predict", "training call")
            truth = {check: truth[check] for check in kept if check in truth}
            summed = True
        if spec["model"].get("class") == "Doubled":
            truth = doubled(truth, _generation(spec["writer"]), _generation(hop["reader"]))
        found = compare(truth, got, way, said, loose)
        if "save" in answer:
            found.append(_failed(answer["save"], f"{hop['reader']} saves", "save"))
        told += answer.get("told save", ())
        if found:
            return found
    return []


def finite(measured: dict[str, Any]) -> bool:
    """Whether the weights and the logs are numbers."""
    arrays = [*measured.get("weights", ()), *measured.get("trained", ())]
    return all(np.isfinite(np.asarray(a, "float64")).all() for a in arrays) and all(
        np.isfinite(values).all() for values in measured.get("logs", {}).values()
    )


def _asks_for_class(found: Finding) -> bool:
    """Whether a reader without the classes of a draw refused by naming what it needs."""
    return found.text.startswith("MissingObjectError") and "custom_objects={" in found.text


def control(spec: dict[str, Any], finding: Finding) -> dict[str, Any] | None:
    """The same model in a file of the foreign reader's own; None where no such reader is asked.

    What fails there in the same way is no fault of Hozon's file.
    """
    form, _, reader = finding.way.partition(" ")
    if reader not in ("tf_keras", "keras"):
        return None
    made = translated(spec, reader == "tf_keras")
    own = form.replace("h5:keras3", "h5").replace("keras:keras2", "keras")
    return {**made, "writer": reader, "hops": [{"form": own, "reader": reader}]}


def trains_otherwise(spec: dict[str, Any], hop: dict[str, str]) -> bool:
    """Whether the reader's own class of a layer trains in another way than the writer's."""
    before, after = _generation(spec["writer"]), _generation(hop["reader"])
    anew = hop["form"].startswith("w:")
    own = anew or hop["reader"] in ("tf_keras", "keras")
    nodes = list(all_nodes(spec["model"]))
    apart = any(map(_trains_by_generation, nodes)) or any(map(_loses_once, _shared(spec["model"])))
    # Keras 3 has no losses from outside, and no penalties of what is frozen
    frozen = bool({"freeze", "tuned"} & spec.keys()) and "_regularizer" in str(spec["model"])
    apart = apart or (anew and bool(spec["model"].get("added"))) or frozen
    # fit of Keras 3 does not tell layers that it trains where a class does not hand that on
    unaware = before == 3 and spec["model"]["way"].startswith("subclass")
    counts = any(f"'{name}'" in str(spec["model"]) for name in COUNTING)
    if unaware and counts and hop["reader"] in ("tf_keras", "bare"):
        return True
    return before != after and own and apart


def _generation(who: str) -> int:
    return 2 if who == "tf_keras" else 3


def _trains_by_generation(node: dict[str, Any]) -> bool:
    """Spectral normalization, batch normalization of pictures, frozen layers that hold some, and
    stateful ones, whose states steps of Keras 3 on JAX forget.
    """
    name = node.get("layer", {}).get("class")
    if name in HOLDERS and "trainable" in node["layer"]["args"]:
        return True
    pictures = name in ("BatchNormalization", "Residual") and len(node.get("takes", ())) > 2
    stateful = "'stateful': True" in str(node)
    return name == "SpectralNormalization" or pictures or stateful


def _shared(graph: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of layers and models that are called twice."""
    nodes = graph["nodes"]
    for node in nodes:
        inner = node.get("model", {"nodes": []})
        if "again" in node:
            yield nodes[node["again"]]
        yield from (nodes[n["outer"]] for n in inner["nodes"] if "outer" in n)
        if inner["nodes"]:
            yield from _shared(inner)


def _loses_once(node: dict[str, Any]) -> bool:
    """Whether Keras 3 forgets the loss of a layer's first call: each of its steps' calls is one."""
    return any(word in str(node) for word in ("'activity_regularizer'", "ActivityReg", "Penalty"))


def names_otherwise(spec: dict[str, Any], hop: dict[str, str]) -> bool:
    """Whether the reader's own Keras names the logs of this model."""
    anew = hop["form"].startswith("w:")
    outputs = spec["model"]["outputs"]
    subclass = spec["model"]["way"].startswith("subclass") and len(outputs) > 1
    crosses = _generation(spec["writer"]) != _generation(hop["reader"])
    if isinstance(outputs, dict) and crosses and hop["reader"] == "tf_keras":
        return True
    masks = "mask_zero" in str(spec["model"]) or "Masking" in str(spec["model"])
    compiled = spec.get("compile", {"args": ()})["args"]
    foreign = hop["reader"] in ("keras", "tf_keras") and "metrics" in compiled
    if masks and crosses and ("weighted_metrics" in compiled or foreign):
        return True  # which Keras 3 on JAX does not mask
    again = "tuned" in spec  # compiled twice, so that its metrics are numbered
    return (anew and (crosses or again)) or (subclass and hop["reader"] in ("keras", "tf_keras"))


def only_loss(measured: dict[str, Any]) -> dict[str, Any]:
    """Measured, of the logs the loss alone."""
    logs = measured.get("logs")
    return {**measured, "logs": {"loss": logs["loss"]}} if isinstance(logs, dict) else measured


def before_training(measured: dict[str, Any]) -> dict[str, Any]:
    """Measured up to the first step: tf_keras takes up no optimizer's state from SavedModels."""
    rest = {name: v for name, v in measured.items() if not name.startswith("trained")}
    logs = measured.get("logs")
    if isinstance(logs, dict):
        rest["logs"] = {name: values[:1] for name, values in logs.items()}
    return rest


def taught(spec: dict[str, Any]) -> bool:
    """Whether the writer's optimizer has a state that its next steps depend on."""
    optimizer = spec.get("compile", {}).get("args", {}).get("optimizer", {"args": {}})
    plain = set(optimizer["args"]) <= {"learning_rate", "clipnorm", "clipvalue", "global_clipnorm"}
    constant = isinstance(optimizer["args"].get("learning_rate"), float)
    stateless = optimizer.get("object") == "optimizers.SGD" and plain and constant
    return bool(spec.get("steps")) and not stateless


def doubled(measured: dict[str, Any], writer: int, reader: int) -> dict[str, Any]:
    """Measured with the loss as the reader shows it: Keras 3 shows what `compute_loss` returns."""
    logs = measured.get("logs")
    if not isinstance(logs, dict) or writer == reader:
        return measured
    shown = [v * (2.0 if reader == 3 else 0.5) for v in logs["loss"]]
    return {**measured, "logs": {**logs, "loss": shown}}


def verdict(findings: list[Finding]) -> str:
    """The worst."""
    return min((f.verdict for f in findings), key=VERDICTS.index, default="right")


def _failed(error: Any, way: str, check: str) -> Finding:
    refused = getattr(error, "refused", False)
    return Finding("refused" if refused else "crashed", way, check, str(error))


def compare(
    truth: dict[str, Any], got: dict[str, Any], way: str, told: list[str], loose: float = 1.0
) -> list[Finding]:
    """Each check that differs."""
    found = []
    foreign = way.endswith((" tf_keras", " keras")) and any("own reader" in line for line in told)
    for check, want in truth.items():
        value = got[check]
        if not isinstance(value, (list, dict)):
            failed = _failed(value, way, check)
            excused = told and check in EXCUSABLE
            found.append(replace(failed, verdict="told") if excused else failed)
            continue
        said = differs(check, want, value, loose)
        if said:
            excused = foreign or (told and check in EXCUSABLE)
            found.append(Finding("told" if excused else "WRONG", way, check, said))
    return found


def differs(check: str, want: Any, got: Any, loose: float = 1.0) -> str:
    """How a check differs, or nothing; `loose` widens what counts as the same."""
    if check == "logs":
        return _logs(want, got, loose)
    if check in ("weights", "trained", "gradients"):
        return _sets(want, got, loose)
    if len(want) != len(got):
        return f"{len(got)} outputs for {len(want)}"
    return next((s for w, g in zip(want, got, strict=True) if (s := _arrays(w, g, loose))), "")


def _arrays(want: Any, got: Any, loose: float) -> str:
    want, got = np.asarray(want), np.asarray(got)
    if want.shape != got.shape:
        return f"shape {got.shape} for {want.shape}"
    if want.dtype.kind in "OSU" or got.dtype.kind in "OSU":
        return "" if (want.astype(str) == got.astype(str)).all() else "other strings"
    if want.size == 0:
        return ""
    a, b = want.astype("float64"), got.astype("float64")
    scale = max(float(np.nanmax(np.abs(a), initial=0.0)), 1.0)
    if np.allclose(b, a, rtol=RELATIVE * loose, atol=ABSOLUTE * loose * scale, equal_nan=True):
        return ""
    if np.isnan(a - b).all():
        return "not a number"
    return f"off by {np.nanmax(np.abs(a - b)):.3g} of {np.nanmax(np.abs(a)):.3g}"


def _sets(want: list[Any], got: list[Any], loose: float) -> str:
    """Arrays in any order: each must have its like."""
    if len(want) != len(got):
        shapes = sorted(g.shape for g in got), sorted(w.shape for w in want)
        return f"{len(got)} arrays for {len(want)}: {shapes[0]} for {shapes[1]}"
    left = list(got)
    for array in want:
        alike = [i for i, g in enumerate(left) if g.shape == array.shape]
        if not alike:
            return f"none of shape {array.shape}"
        nearest = min(alike, key=lambda i: _distance(array, left[i]))
        said = _arrays(array, left[nearest], loose)
        if said:
            return f"{array.shape} {said}"
        del left[nearest]
    return ""


def _distance(a: Any, b: Any) -> float:
    apart = np.abs(a.astype("float64") - b.astype("float64"))
    return float(np.nan_to_num(apart, nan=0.0).max(initial=0.0))


def _logs(want: dict[str, Any], got: dict[str, Any], loose: float) -> str:
    if set(want) != set(got):
        return f"names {sorted(got)} for {sorted(want)}"
    for name, values in want.items():
        said = _arrays(values, got[name], loose)
        if said:
            return f"{name} {got[name]} for {values}"
    return ""
