"""A failing spec becomes as small as it can be and still fail alike."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

Spec = dict[str, Any]


def reduced(spec: Spec, fails: Callable[[Spec], bool], tries: int = 150) -> Spec:
    """The smallest spec that was found; `fails` says whether one still fails alike."""
    left = tries
    smaller = True
    while smaller:
        smaller = False
        for candidate in candidates(spec):
            if left == 0:
                return spec
            left -= 1
            if fails(candidate):
                spec, smaller = candidate, True
                break
    return spec


def candidates(spec: Spec) -> Iterator[Spec]:
    """Specs that are a step simpler, the boldest first."""
    if "compile" in spec:
        yield _without(spec, "compile", "steps")
        if spec.get("steps"):
            yield {**spec, "steps": 0 if spec["steps"] == 1 else 1}
        yield from _compile(spec)
    for name in ("jit", "freeze", "tuned", "policy", "lora", "quantize"):
        if name in spec:
            yield _without(spec, name)
    hops = spec["hops"]
    if len(hops) > 1:
        yield {**spec, "hops": hops[:-1]}
        # the writer and Hozon's first save become one where Hozon can write the model itself
        if spec["writer"] == "hozon":
            yield {**spec, "hops": hops[1:]}
    for i, hop in enumerate(hops):
        if "after" in hop:
            yield {**spec, "hops": [*hops[:i], _without(hop, "after"), *hops[i + 1 :]]}
        if hop["reader"] in ("bare", "dropin"):
            yield {**spec, "hops": [*hops[:i], {**hop, "reader": "hozon"}, *hops[i + 1 :]]}
    for graph in graphs(spec["model"]):
        yield {**spec, "model": graph}


def _without(spec: Spec, *names: str) -> Spec:
    return {key: value for key, value in spec.items() if key not in names}


def _compile(spec: Spec) -> Iterator[Spec]:
    args = spec["compile"]["args"]

    def with_args(changed: Spec) -> Spec:
        return {**spec, "compile": {**spec["compile"], "args": changed}}

    for name in args:
        if name not in ("optimizer", "loss"):
            yield with_args(_without(args, name))
    plain = {"object": "optimizers.SGD", "args": {"learning_rate": 0.05}}
    if args["optimizer"] != plain:
        yield with_args({**args, "optimizer": plain})
        optimizer = args["optimizer"]
        for name in optimizer["args"]:
            fewer = {**optimizer, "args": _without(optimizer["args"], name)}
            yield with_args({**args, "optimizer": fewer})
    if args["loss"] != "mse":
        count = len(spec["compile"]["targets"])
        simple = {"args": {"optimizer": args["optimizer"], "loss": "mse"}}
        yield {**spec, "compile": {**simple, "targets": ["real"] * count}}


def graphs(graph: Spec) -> Iterator[Spec]:
    """Simpler graphs."""
    if graph["way"] not in ("sequential", "functional"):
        yield {**graph, "way": "functional"}
    for name in ("class", "added", "named inputs", "name"):
        if name in graph:
            yield _without(graph, name)
    outputs = graph["outputs"]
    if isinstance(outputs, list) and len(outputs) > 1:
        for i in range(len(outputs)):
            yield trimmed({**graph, "outputs": [*outputs[:i], *outputs[i + 1 :]]})
    for i in reversed(range(pinned(graph) + 1, len(graph["nodes"]))):
        yield from _bypassed(graph, i)
    if graph["way"] == "functional" and _is_chain(graph):
        yield {**graph, "way": "sequential"}
    for i, node in enumerate(graph["nodes"]):
        for simpler in _nodes(node):
            yield {**graph, "nodes": [*graph["nodes"][:i], simpler, *graph["nodes"][i + 1 :]]}


def _nodes(node: Spec) -> Iterator[Spec]:
    if "call" in node:
        yield _without(node, "call")
    if "model" in node:
        for graph in graphs(node["model"]):
            yield {**node, "model": graph}
    if "layer" in node:
        layer = node["layer"]
        if "name" in layer:
            yield {**node, "layer": _without(layer, "name")}
        for name in layer["args"]:
            yield {**node, "layer": {**layer, "args": _without(layer["args"], name)}}


def pinned(graph: Spec) -> int:
    """The last node whose layer a model within shares; those up to it keep their numbers."""
    shared = [
        inner["outer"]
        for node in graph["nodes"]
        for inner in node.get("model", {"nodes": []})["nodes"]
        if "outer" in inner
    ]
    return max(shared, default=-1)


def _is_chain(graph: Spec) -> bool:
    return (
        len(graph["inputs"]) == 1
        and all(
            node["on"] == [i] and {"call", "again", "outer"}.isdisjoint(node)
            for i, node in enumerate(graph["nodes"])
        )
        and graph["outputs"] == [len(graph["nodes"])]
    )


def _bypassed(graph: Spec, at: int) -> Iterator[Spec]:
    """Without one node: what took it takes what it took (invalid where shapes do not fit)."""
    value = len(graph["inputs"]) + at
    node = graph["nodes"][at]
    if any(n.get("again") == at for n in graph["nodes"]):
        return
    for source in node["on"]:

        def moved(i: int, source: int = source) -> int:
            i = source if i == value else i
            return i - 1 if i > value else i

        changed = copy.deepcopy(graph)
        del changed["nodes"][at]
        for other in changed["nodes"]:
            other["on"] = [moved(i) for i in other["on"]]
            if other.get("again", -1) > at:
                other["again"] -= 1
            for value_ in other.get("call", {}).values():
                if isinstance(value_, dict):
                    value_["refs"] = [moved(i) for i in value_["refs"]]
        outputs = graph["outputs"]
        if isinstance(outputs, dict):
            changed["outputs"] = {name: moved(i) for name, i in outputs.items()}
        else:
            changed["outputs"] = list(dict.fromkeys(moved(i) for i in outputs))
        yield trimmed(changed)


def trimmed(graph: Spec) -> Spec:
    """Without nodes and inputs that lead to no output."""
    count = len(graph["inputs"])
    outputs = graph["outputs"]
    needed = set(outputs.values() if isinstance(outputs, dict) else outputs)
    needed.update(range(count, count + pinned(graph) + 1))
    for i in reversed(range(len(graph["nodes"]))):
        if count + i in needed:
            node = graph["nodes"][i]
            needed.update(node["on"])
            for value in node.get("call", {}).values():
                if isinstance(value, dict):
                    needed.update(value["refs"])
            if "again" in node:
                needed.add(count + node["again"])
    if graph["way"].startswith("sequential"):
        return graph
    kept = sorted(i for i in range(count + len(graph["nodes"])) if i in needed)
    new = {old: i for i, old in enumerate(kept)}
    nodes = []
    for i, node in enumerate(graph["nodes"]):
        if count + i not in needed:
            continue
        node = {**copy.deepcopy(node), "on": [new[j] for j in node["on"] if j in new]}
        if "again" in node:
            node["again"] = new[count + node["again"]] - sum(i in needed for i in range(count))
        for value in node.get("call", {}).values():
            if isinstance(value, dict):
                value["refs"] = [new[j] for j in value["refs"]]
        nodes.append(node)
    found = {
        **graph,
        "inputs": [x for i, x in enumerate(graph["inputs"]) if i in needed],
        "nodes": nodes,
    }
    if isinstance(outputs, dict):
        found["outputs"] = {name: new[i] for name, i in outputs.items()}
    else:
        found["outputs"] = [new[i] for i in outputs]
    return found
