"""What is drawn: a model, how it is compiled and trained, the way that its file goes.

`draw_spec` gives plain data. `build.py` makes the model of it in any Keras. A draw is a number, not
an example of hypothesis: the draws of a campaign go through three processes at once and end in any
order, which its runner cannot do, and `reduce.py` makes specs smaller by what models are made of.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.differential import training
from tests.differential.build import SELF_ATTENTION, all_nodes, has_state
from tests.differential.draw import Draw
from tests.differential.layers import EVERYONE, KINDS, MERGES, Kind, Shape
from tests.differential.portable import same_everywhere

Spec = dict[str, Any]
MAX_NODES = 5
BATCH = 4
#: Layers whose call takes `training`: a graph may fix it.
TRAINED = ("BatchNormalization", "Dropout", "Block", "Counter", "Raw", "Tower")
STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1}
#: Layers that Keras 3 has under Hozon alone, or not without TensorFlow.
NOT_IN_KERAS = ("ThresholdedReLU", "TextVectorization", "StringLookup", "IntegerLookup", "Hashing")
#: Layers that are now and then given a mask that another layer computes.
MASKED = ("LSTM", "GRU", "SimpleRNN", "RNN", "GlobalAveragePooling1D", "MaskedMean")

#: Writers that have layers for text, and how often they are asked for some.
TEXTS = {"tf_keras": 0.7, "dropin": 4.0}
WAYS = {
    "sequential": 3.0,
    "sequential_bare": 1.0,
    "functional": 4.0,
    "functional_subclass": 0.7,
    "subclass": 0.7,
    "subclass_config": 0.7,
}
WRITERS = {"tf_keras": 5.0, "keras": 1.0, "hozon": 2.0, "dropin": 1.0}
FORMS = {
    "tf_keras": {"savedmodel": 3.0, "h5": 2.0, "keras": 2.0},
    "keras": {"keras": 2.0, "h5": 1.0},
    "hozon": {"savedmodel": 2.0, "h5": 1.5, "h5:keras3": 0.5, "keras": 1.0, "keras:keras2": 1.0},
}
FORMS["dropin"] = FORMS["hozon"]
#: Writers that are Hozon.
OURS = ("hozon", "dropin")
#: Who opens a file that Hozon wrote in each form, beside Hozon.
FOREIGN = {
    "savedmodel": "tf_keras",
    "h5": "tf_keras",
    "h5:keras3": "keras",
    "keras": "keras",
    "keras:keras2": "tf_keras",
    "w:tf": "tf_keras",
    "w:h5": "tf_keras",
    "w:weights.h5": "keras",
    "w:weights.json": "hozon",
    "w:ckpt": "tf_keras",
    "json": "hozon",
    "w:safetensors": "hozon",
}
#: Weights, loaded into a model that is built anew.
WEIGHTS: dict[str, dict[str, float]] = {
    "tf_keras": {"w:tf": 1.0, "w:h5": 1.0, "w:weights.h5": 1.0, "w:ckpt": 1.0},
    "keras": {"w:weights.h5": 1.0},
    "hozon": {
        "w:tf": 1.0,
        "w:h5": 1.0,
        "w:weights.h5": 1.0,
        "w:weights.json": 0.5,
        "w:safetensors": 1.0,
        "w:ckpt": 1.0,
    },
}
WEIGHTS["dropin"] = {"w:h5": 1.0, "w:weights.h5": 1.0}


def draw_spec(seed: int, number: int) -> Spec:
    """The draw with this number."""
    draw = Draw(seed, number)
    writer = draw.often(WRITERS)
    graph = Graph(draw, writer).model(draw.often(WAYS), depth=0)
    if graph["way"].startswith("subclass"):  # the class says itself what it computes
        graph = json.loads(json.dumps(graph).replace('"hard_sigmoid"', '"tanh"'))
        for node in all_nodes(graph):
            if node.get("layer", {}).get("class") == "ConvLSTM1D":  # by default Keras 2's is hard
                node["layer"]["args"].setdefault("recurrent_activation", "sigmoid")
    spec: Spec = {"writer": writer, "model": graph, "hops": hops(draw, writer, graph["way"])}
    fixed = "'training'" in str(graph)  # which Keras 3's own models have another rule for
    if draw.chance(0.15) and same_everywhere(graph) and not fixed:
        form = draw.often(WEIGHTS[writer])
        who = FOREIGN[form] if writer in OURS and draw.chance(0.5) else "hozon"
        spec["hops"] = [{"form": form, "reader": who}]
    elif draw.chance(0.04) and writer != "keras" and not graph["way"].startswith("subclass"):
        spec["hops"] = [{"form": "json", "reader": draw.one(["hozon", "bare"])}]
    if spec["hops"][0]["form"] == "json" and "'outer'" in str(graph):
        spec["hops"][0]["form"] = "h5"  # a config alone does not say that a layer is shared
    if draw.chance(0.1) and writer != "tf_keras" and not graph["way"].startswith("subclass"):
        spec["lora"] = 2
    if draw.chance(0.1) and writer != "tf_keras":
        spec["quantize"] = draw.one(["int8", "int4"])
    if any(map(has_state, all_nodes(graph))):
        for hop in spec["hops"]:
            hop.pop("after", None)  # the file would hold what that left behind
    if spec.keys() & {"lora", "quantize"}:
        for hop in spec["hops"]:
            hop["form"] = hop["form"].replace(":keras2", "")
            hop["reader"] = "hozon" if hop["reader"] == "tf_keras" else hop["reader"]
    if any(f"'{name}'" in str(graph) for name in NOT_IN_KERAS):
        for hop in spec["hops"]:
            if hop["reader"] in ("keras", "bare"):
                hop["reader"] = "hozon"
            own = graph["way"].startswith("subclass") or graph.get("class") == "Planned"
            if own and hop["reader"] == "hozon":
                hop["reader"] = "dropin"
    if draw.chance(0.06):
        spec["policy"] = draw.one(["mixed_bfloat16", "mixed_float16", "float64"])
    if draw.chance(0.04):
        spec["jit"] = True
    if draw.chance(0.85):
        spec["compile"] = training.compiled(draw, writer, graph["outputs"])
        spec["steps"] = draw.number(0, 3)
    if draw.chance(0.05) and graph["way"] in ("sequential", "functional"):
        spec["freeze"] = [draw.number(1, 2)]
    elif "compile" in spec and draw.chance(0.1) and says_frozen(spec):
        spec["tuned"] = draw.some([0, 1, 2, 3], draw.number(1, 2))
    plain = any(hop["reader"] == "keras" for hop in spec["hops"])
    if (writer != "tf_keras" or plain or portable_weights(spec)) and len(graph["shape"]) > 1:
        spec.get("compile", {}).pop("sample_weight", None)  # Keras 3's own class refuses them
    if "SpectralNormalization" in str(graph):  # goes on with the kernel that it no longer has
        spec.pop("quantize", None)
    later_axes(Draw(seed, f"{number}, later axes"), spec)
    if graph["way"].startswith("subclass") or graph.get("class") == "Planned":
        of_own_code(graph)
    if any(hop["form"] != "savedmodel" for hop in spec["hops"]):
        for node in all_nodes(graph):  # of what it holds its config does not tell
            if node.get("layer", {}).get("class") == "Block":
                node["layer"]["args"].pop("trainable", None)
    return spec


def of_own_code(graph: Spec) -> None:
    """A graph as code of the user's that runs in both Keras, without what only one of them has."""
    for node in all_nodes(graph):
        layer = node.get("layer", {"class": "", "args": {}})
        layer["args"].pop("implementation", None)
        if layer["class"].startswith("Separable") and layer["args"].get("padding") == "causal":
            layer["args"]["padding"] = "same"
        if layer["class"] == "Discretization":  # Keras 3's own adapts by TensorFlow
            layer["args"] = {"bin_boundaries": [-0.5, 0.2, 1.0]}
        if "name" in layer:
            layer["name"] = layer["name"].replace("/", "_")


def later_axes(draw: Draw, spec: Spec) -> None:
    """Axes that came later, by choices of their own, so that other draws stay as they were."""
    graph, compiled = spec["model"], spec.get("compile", {})
    if compiled.get("targets") == ["ids"] and len(graph["shape"]) == 1:
        if "sample_weight" not in compiled and draw.chance(0.5):
            compiled["class_weight"] = True
    flat = "Flatten" in str(graph) or "Reshape" in str(graph)  # which need all sizes
    for given in graph["inputs"]:
        if not flat and len(given["shape"]) == 2 and "batch" not in given and draw.chance(0.15):
            given["free"] = [0]


def says_frozen(spec: Spec) -> bool:
    """Whether all forms on the way say which layers are frozen: of a class, SavedModels do."""
    forms = {hop["form"] for hop in spec["hops"]}
    return not spec["model"]["way"].startswith("subclass") or forms == {"savedmodel"}


def portable_weights(spec: Spec) -> bool:
    """Whether weights go into a model that is built anew."""
    return any(hop["form"].startswith("w:") for hop in spec["hops"])


def with_arguments(layer: Spec, **arguments: Any) -> Spec:
    """A layer of a spec with more arguments."""
    return {**layer, "args": {**layer["args"], **arguments}}


def hops(draw: Draw, writer: str, way_to_build: str) -> list[dict[str, str]]:
    """The way of the file: in which form it is written, who reads it, who writes it again."""
    forms = FORMS[writer]
    if writer != "hozon" and way_to_build.startswith("subclass"):
        forms = {form: weight for form, weight in forms.items() if form != "h5"}
    form = draw.often(forms)
    way = [{"form": form, "reader": reader(draw, writer, form)}]
    while way[-1]["reader"] in ("hozon", "bare", "dropin") and len(way) < 3 and draw.chance(0.5):
        again = draw.often(FORMS["hozon"])
        way.append({"form": again, "reader": reader(draw, "hozon", again)})
        if draw.chance(0.3):
            once = not any(hop.get("after") == "fit" for hop in way)
            way[-1]["after"] = draw.one(["predict", "call", *(["fit"] if once else [])])
    return way


def reader(draw: Draw, writer: str, form: str) -> str:
    """Who reads a file of this form."""
    foreign = {FOREIGN[form]: 3.0} if writer in OURS else {}
    return str(draw.often({"hozon": 4.0, "bare": 1.0, "dropin": 0.5, **foreign}))


class Graph:
    """Draws models: nodes that take earlier values, each value with its shape."""

    def __init__(self, draw: Draw, writer: str) -> None:
        self.draw = draw
        self.writer = writer
        self.slashes = writer == "tf_keras"
        self.in_class = False
        self.fixes = True  # whether calls may have a `training` of their own

    def model(
        self, way: str, depth: int, shape: Shape | None = None, outer: Sequence[Any] = ()
    ) -> Spec:
        """A model of this way to build.

        `shape`: of its only input, else drawn; `outer`: layers around that it may share, which
        take this shape, with what they give.
        """
        draw = self.draw
        if way.startswith("subclass"):  # the class itself would refuse them in Keras 3
            self.slashes, self.in_class = False, True
            # Keras 3's own classes go on with it in the calls that follow
            self.fixes = self.writer == "tf_keras"
        chain = way.startswith("sequential")
        inputs = [self.input()] if shape is None else [{"shape": list(shape), "takes": "float"}]
        if not chain and shape is None and draw.chance(0.25):
            inputs.append(self.input())
        values: list[tuple[Shape, str]] = [(tuple(i["shape"]), i["takes"]) for i in inputs]
        if depth == 0 and not way.startswith("subclass") and draw.chance(0.12):
            for given in inputs:
                given["batch"] = BATCH
        spec: Spec = {"way": way, "inputs": inputs, "nodes": []}
        if way == "functional_subclass" and draw.chance(0.6):
            spec["class"] = draw.one(["Doubled", "Stepped", "Planned"])
        if way == "sequential" and not depth and draw.chance(0.08):
            spec["class"] = "Chain"
        if way in ("functional", "functional_subclass") and not depth and draw.chance(0.1):
            spec["named inputs"] = True
            for i, given in enumerate(inputs):
                given["name"] = f"in_{i}"
        if way in ("functional", "functional_subclass") and not depth and self.writer == "tf_keras":
            if draw.chance(0.08):
                spec["added"] = True
        if draw.chance(0.2):
            spec["name"] = draw.one(["net", "my_model", "Model-1", "encoder"])
        loose = set(range(len(values)))  # what nothing has taken yet
        if outer and draw.chance(0.6):
            first, gives = draw.one(outer)
            self.add(spec, values, loose, {"outer": first, "on": [0]}, gives)
        for _ in range(draw.number(1, MAX_NODES - 2 * depth)):
            before = len(values) - 1
            source = before if chain or draw.chance(0.6) else draw.number(0, before)
            if values[source][1] == "bool":
                continue
            self.node(spec, values, loose, source, chain, depth)
        while not chain and len(loose) > 1 and not draw.chance(0.3):
            self.join(spec, values, loose)
        if depth == 0:
            self.heads(spec, values, loose, chain)
        for at in sorted(loose):
            while depth and values[at][1] != "float":
                self.node(spec, values, loose, at, True, 2)
                at = len(values) - 1
        outputs = sorted(loose - set(range(len(inputs)))) or [len(values) - 1]
        spec["outputs"] = outputs[:1] if depth else outputs
        spec["shape"] = list(values[outputs[0]][0])
        if len(outputs) > 1 and not depth and draw.chance(0.25):
            spec["outputs"] = dict(zip(["left", "right", "other"], outputs, strict=False))
        if any(i in loose for i in range(len(inputs))) and not depth:
            return self.model(way, depth, shape)  # an input that nothing takes: drawn again
        return spec

    def input(self) -> Spec:
        """One input."""
        text = {((1,), "text"): TEXTS[self.writer]} if self.writer in TEXTS else {}
        shape, takes = self.draw.often(
            {
                ((4,), "float"): 4.0,
                ((5, 3), "float"): 3.0,
                ((6, 5, 2), "float"): 2.0,
                ((5,), "ids"): 1.0,
                **text,
            }
        )
        return {"shape": list(shape), "takes": takes}

    def add(
        self,
        spec: Spec,
        values: list[Any],
        loose: set[int],
        node: Spec,
        shape: Shape,
        made: str = "float",
    ) -> None:
        """A node at the end."""
        takes, kind = values[node["on"][0]]
        if kind == "float":
            node["takes"] = list(takes)
        spec["nodes"].append(node)
        loose.difference_update(node["on"])
        for refs in node.get("call", {}).values():
            loose.difference_update(refs["refs"] if isinstance(refs, dict) else [])
        loose.add(len(values))
        values.append((shape, made))

    def node(
        self, spec: Spec, values: list[Any], loose: set[int], source: int, chain: bool, depth: int
    ) -> None:
        """A layer, a layer again, or a model within, on a value."""
        draw = self.draw
        shape, takes = values[source]
        again = [
            i
            for i, n in enumerate(spec["nodes"])
            if "takes" in n
            and n["takes"] == list(shape)
            and takes == values[len(spec["inputs"]) + i][1] == "float"
        ]
        if again and not chain and draw.chance(0.25):
            first = draw.one(again)
            gives = values[len(spec["inputs"]) + first][0]
            self.add(spec, values, loose, {"again": first, "on": [source]}, gives)
            return
        if takes == "float" and depth < 2 and draw.chance(0.1):
            outer = [
                (i, values[len(spec["inputs"]) + i][0])
                for i in again
                if "layer" in spec["nodes"][i] and "call" not in spec["nodes"][i]
            ]
            nested = self.model(draw.one(["sequential", "functional"]), depth + 1, shape, outer)
            node: Spec = {"model": nested, "on": [source]}
            if self.fixes and not chain and draw.chance(0.25):
                within = all_nodes(nested)
                shared = [spec["nodes"][n["outer"]] for n in nested["nodes"] if "outer" in n]
                noisy = any(inside.get("random") for inside in (*within, *shared))
                node["call"] = {"training": not noisy and draw.one([True, False])}
            self.add(spec, values, loose, node, tuple(nested["shape"]))
            return
        kind = self.kind(shape, takes)
        if kind is None or (chain and kind.name in SELF_ATTENTION):
            return
        layer = kind.draw(draw, self.writer)
        gives = kind.gives(shape, layer["args"])
        if min(gives, default=1) < 1:
            return
        if draw.chance(0.1):
            slashes = ["tower/fc", "a.b"] if self.slashes else []
            stem = draw.one(["fc", "block_1", "Layer", "a-b", *slashes])
            layer["name"] = f"{stem}{len(values)}"
        if draw.chance(0.04):
            layer["args"]["trainable"] = False
        if draw.chance(0.02) and not kind.custom and takes == kind.makes == "float":
            layer["args"]["dtype"] = draw.one(["float64", "mixed_bfloat16"])
        if all("batch" in i for i in spec["inputs"]) and draw.chance(0.8):
            if kind.name in STATES:
                layer["args"]["stateful"] = True
            elif kind.name == "Bidirectional" and "backward_layer" not in layer["args"]:
                layer["args"]["layer"] = with_arguments(layer["args"]["layer"], stateful=True)
        node = {"layer": layer, "on": [source]}
        may_fix = self.fixes and not chain and not kind.random
        if kind.name in TRAINED and may_fix and draw.chance(0.25):
            node["call"] = {"training": draw.one([True, False])}
        if not chain and kind.name in STATES and draw.chance(0.3):
            refs = self.states(spec, values, loose, source, STATES[kind.name])
            node["call"] = {"initial_state": {"refs": refs}}
        if not chain and kind.name in MASKED and draw.chance(0.15):
            positive = {"layer": {"class": "Positive", "args": {}}, "on": [source]}
            self.add(spec, values, loose, positive, shape[:1], "bool")
            node["call"] = {**node.get("call", {}), "mask": {"refs": [len(values) - 1]}}
        if kind.name == "Switch" and draw.chance(0.7):
            node["call"] = draw.one([{"scale": 2.0}, {"flip": True}, {"scale": 0.5, "flip": True}])
        if kind.random:
            node["random"] = True
        self.add(spec, values, loose, node, gives, kind.makes)

    def states(
        self, spec: Spec, values: list[Any], loose: set[int], source: int, count: int
    ) -> list[int]:
        """Values that a recurrent layer of three units can begin with."""
        flat = {"layer": {"class": "Flatten", "args": {}}, "on": [source]}
        self.add(spec, values, loose, flat, (_size(values[source][0]),))
        at, found = len(values) - 1, []
        for _ in range(count):
            layer = {"class": "Dense", "args": {"units": 3, "activation": "tanh"}}
            self.add(spec, values, loose, {"layer": layer, "on": [at]}, (3,))
            found.append(len(values) - 1)
        return found

    def kind(self, shape: Shape, takes: str) -> Kind | None:
        """A layer that takes this shape."""
        fitting = [
            kind
            for kind in KINDS
            if len(shape) in kind.ranks
            and self.writer in kind.writers
            and kind.takes == takes
            and kind.fits(shape)
            and not (self.in_class and kind.name == "ThresholdedReLU")
        ]
        weights = {
            (kind.name, kind.custom): 0.3 if kind.random or kind.custom else 1.0 for kind in fitting
        }
        name = self.draw.often(weights) if weights else None
        same = [kind for kind in fitting if (kind.name, kind.custom) == name]
        return self.draw.one(same) if same else None

    def join(self, spec: Spec, values: list[Any], loose: set[int]) -> None:
        """Two loose values become one, by a merge where their shapes allow it."""
        first, second = self.draw.some(sorted(loose), 2)
        for at in (first, second):
            if values[at][1] != "float":
                loose.discard(at)
                self.node(spec, values, loose, at, True, 1)
                return
        one, two = values[first][0], values[second][0]
        if one == two:
            name = self.draw.one(MERGES)
            name = "Gate" if name == "Dot" and len(one) > 1 else name
            shape = (*one[:-1], one[-1] * 2) if name == "Concatenate" else one
            shape = (1,) if name == "Dot" else shape
            args = {"axes": 1, "normalize": True} if name == "Dot" else {}
            layer = {"class": name, "args": args}
            self.add(spec, values, loose, {"layer": layer, "on": [first, second]}, shape)
            return
        for at in (first, second):
            size = 4 if len(values[at][0]) == 1 else 0
            layer = (
                {"class": "Dense", "args": {"units": size}}
                if size
                else {"class": "Flatten", "args": {}}
            )
            if values[at][0] != (4,):
                self.add(
                    spec,
                    values,
                    loose,
                    {"layer": layer, "on": [at]},
                    (size,) if size else (_size(values[at][0]),),
                )

    def heads(self, spec: Spec, values: list[Any], loose: set[int], chain: bool) -> None:
        """A few units at each end, so that each model has something to learn."""
        ends = [len(values) - 1] if chain else sorted(loose)
        for at in ends[:2]:
            while values[at][1] != "float":
                self.node(spec, values, loose, at, True, 1)
                at = len(values) - 1
            if self.draw.chance(0.7):
                layer = {"class": "Dense", "args": {"units": 2}}
                self.add(
                    spec, values, loose, {"layer": layer, "on": [at]}, (*values[at][0][:-1], 2)
                )
        for at in ends[2:]:
            loose.discard(at)


def _size(shape: Shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


__all__ = ["EVERYONE", "draw_spec"]
