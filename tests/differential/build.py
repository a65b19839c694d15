"""A spec becomes a model, in tf_keras or in Keras 3. Imports neither: it is told which."""

from __future__ import annotations

import json
from functools import reduce
from typing import Any

import numpy as np

from tests.differential.customs import custom_layers

Spec = dict[str, Any]
BATCH = 4
WORDS = ["apple", "Pear", "plum", "fig", "kiwi", "a pear"]
#: Layers that keep something of what they are trained on.
COUNTING = ("BatchNormalization", "Block", "Counter", "Raw")
#: How attention layers take one value as query, value and key.
SELF_ATTENTION = {
    "MultiHeadAttention": lambda x: (x, x),
    "Attention": lambda x: ([x, x],),
    "AdditiveAttention": lambda x: ([x, x],),
}


class Builder:
    """Builds what specs say with one Keras."""

    def __init__(self, keras: Any, customs: dict[str, Any]) -> None:
        self.keras = keras
        self.customs = customs
        self.adapting: set[int] = set()
        self.outer: list[list[Any]] = []  # the layers of the models around one that is built

    def thing(self, value: Any) -> Any:
        """A value of a spec: an object, a layer, a custom function, or plain data."""
        if isinstance(value, list):
            return [self.thing(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "object" in value:
            made = self.customs.get(value["object"])
            made = made or reduce(getattr, value["object"].split("."), self.keras)
            return made(**self.thing(value["args"]))
        if "class" in value:
            return self.layer(value)
        if "custom" in value:
            return self.customs[value["custom"]]
        return {key: self.thing(item) for key, item in value.items()}

    def layer(self, spec: Spec) -> Any:
        """A layer."""
        args = self.thing(spec["args"])
        adapted = args.pop("adapted", False)
        if "name" in spec:
            args["name"] = spec["name"]
        made = self.customs.get(spec["class"]) or getattr(self.keras.layers, spec["class"])
        layer = made(**args)
        if adapted:
            self.adapting.add(id(layer))
        return layer

    def node(self, node: Spec, made: list[Any]) -> Any:
        """The layer or model of a node; `made` are those of the nodes before it."""
        if "again" in node:
            return made[node["again"]]
        if "outer" in node:
            return self.outer[-2][node["outer"]]
        return self.model(node["model"]) if "model" in node else self.layer(node["layer"])

    def nodes(self, graph: Spec) -> list[Any]:
        """The layer of each node."""
        made: list[Any] = []
        self.outer.append(made)
        for node in graph["nodes"]:
            made.append(self.node(node, made))
        self.outer.pop()
        return made

    def model(self, graph: Spec) -> Any:
        """A model; one without Input is not built yet."""
        return getattr(self, f"_{graph['way']}")(graph, **_named(graph))

    def inputs(self, graph: Spec) -> list[Any]:
        """Keras' inputs."""
        return [
            self.keras.Input(
                _shape(i),
                dtype={"ids": "int32", "text": "string"}.get(i["takes"]),
                batch_size=i.get("batch"),
                **_named(i),
            )
            for i in graph["inputs"]
        ]

    def _sequential(self, graph: Spec, **named: Any) -> Any:
        kind = self.customs[graph["class"]] if "class" in graph else self.keras.Sequential
        return kind([*self.inputs(graph), *self.adapted(graph)], **named)

    def _sequential_bare(self, graph: Spec, **named: Any) -> Any:
        return self.keras.Sequential(self.adapted(graph), **named)

    def adapted(self, graph: Spec) -> list[Any]:
        """The layers; those that adapt have seen some data (of the shape that comes to them)."""
        layers = self.nodes(graph)
        for node, layer in zip(graph["nodes"], layers, strict=True):
            if id(layer) in self.adapting:
                layer.adapt(adapted_to(node))
        return layers

    def _ends(self, graph: Spec) -> tuple[Any, Any]:
        inputs = self.inputs(graph)
        outputs = run(graph, inputs, self.adapted(graph))
        return given(graph, inputs), outputs

    def _functional(self, graph: Spec, **named: Any) -> Any:
        inputs, outputs = self._ends(graph)
        return self.added_to(self.keras.Model(inputs, outputs, **named), graph)

    def added_to(self, model: Any, graph: Spec) -> Any:
        """With a loss and a metric from outside, which Keras 2's models take."""
        if graph.get("added") and self.keras.__name__.startswith("tf_keras"):
            import tensorflow as tf

            first = model.outputs[0]
            model.add_loss(0.1 * tf.reduce_mean(tf.square(first)))
            model.add_metric(first, name="seen", aggregation="mean")
        return model

    def _functional_subclass(self, graph: Spec, **named: Any) -> Any:
        if graph.get("class") == "Planned":
            return self.customs["Planned"](json.dumps(graph), **named)
        inputs, outputs = self._ends(graph)
        made = self.customs[graph.get("class", "Net")]
        return self.added_to(made(inputs=inputs, outputs=outputs, **named), graph)

    def _subclass(self, graph: Spec, **named: Any) -> Any:
        return net_class(self, graph)(**named)

    def _subclass_config(self, graph: Spec, **named: Any) -> Any:
        return self.customs["Configured"](json.dumps(graph), **named)

    def custom_objects(self, graph: Spec) -> dict[str, Any]:
        """What a reader with the classes passes."""
        found = dict(self.customs)
        if graph["way"] == "subclass":
            found["Bare"] = net_class(self, graph)
        return found

    def compiled(self, model: Any, spec: Spec, **extra: Any) -> None:
        """Compile a model as its spec says."""
        if "compile" in spec:
            model.compile(**self.thing(spec["compile"]["args"]), **extra)


def adapted_to(node: Spec) -> Any:
    """Some data for a layer to adapt to."""
    r = np.random.default_rng(5)
    if "takes" not in node:
        return r.choice(WORDS[:-2], (16, 1))
    return r.normal(1.0, 2.0, (16, *node["takes"])).astype("float32")


def _shape(given: Spec) -> tuple[int | None, ...]:
    """The shape that an input is declared with."""
    free = given.get("free", ())
    return tuple(None if axis in free else size for axis, size in enumerate(given["shape"]))


def given(graph: Spec, values: list[Any]) -> Any:
    """Inputs as the model takes them."""
    if graph.get("named inputs"):
        return {i["name"]: value for i, value in zip(graph["inputs"], values, strict=True)}
    return values[0] if len(values) == 1 else values


def _named(spec: Spec) -> dict[str, str]:
    return {"name": spec["name"]} if "name" in spec else {}


def run(graph: Spec, inputs: list[Any], layers: list[Any], **call: Any) -> Any:
    """The outputs of a graph of layers on its inputs, symbolic or not."""
    values = list(inputs)
    for node, layer in zip(graph["nodes"], layers, strict=True):
        taken = [values[i] for i in node["on"]]
        arguments = {**node.get("call", {})}
        for name, value in arguments.items():
            if isinstance(value, dict):
                refs = [values[i] for i in value["refs"]]
                arguments[name] = refs[0] if len(refs) == 1 else refs
        if type(layer).__name__ in SELF_ATTENTION:  # what asks is what is asked
            values.append(layer(*SELF_ATTENTION[type(layer).__name__](taken[0]), **arguments))
            continue
        values.append(layer(taken[0] if len(taken) == 1 else taken, **arguments))
    outputs = graph["outputs"]
    if isinstance(outputs, dict):
        return {name: values[at] for name, at in outputs.items()}
    return values[outputs[0]] if len(outputs) == 1 else [values[at] for at in outputs]


def net_class(builder: Builder, graph: Spec) -> Any:
    """A subclassed model without a config: its constructor takes nothing."""

    class Bare(builder.keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            parts = builder.adapted(graph)
            for i, part in enumerate(parts):
                setattr(self, f"part{i}", part)

        def call(self, inputs: Any, training: Any = None) -> Any:
            taken = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            layers = [getattr(self, f"part{i}") for i in range(len(graph["nodes"]))]
            return run(graph, list(taken), layers)

    return Bare


def customs(keras: Any) -> dict[str, Any]:
    """The custom classes of specs, by name."""
    found: dict[str, Any] = custom_layers(keras)

    class Net(keras.Model):  # type: ignore[misc, name-defined]
        """A functional subclass."""

    class Doubled(keras.Model):  # type: ignore[misc, name-defined]
        """A functional subclass with a loss of its own making."""

        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            **more: Any,
        ) -> Any:
            return 2.0 * super().compute_loss(x, y, y_pred, sample_weight, **more)

    class Stepped(keras.Model):  # type: ignore[misc, name-defined]
        """A functional subclass with a step of its own, which shows more."""

        def train_step(self, *given: Any) -> Any:
            made = super().train_step(*given)
            logs, *state = made if isinstance(made, tuple) else (made,)
            logs = {**logs, "own": 2.0 * logs["loss"]}
            return (logs, *state) if state else logs

    class Chain(keras.Sequential):  # type: ignore[misc, name-defined]
        """A chain of layers with a class of its own."""

    class Planned(keras.Model):  # type: ignore[misc, name-defined]
        """A functional subclass that makes its own inputs and outputs, of a plan."""

        def __init__(self, plan: str, **kwargs: Any) -> None:
            inputs, outputs = Builder(keras, found)._ends(json.loads(plan))
            super().__init__(inputs=inputs, outputs=outputs, **kwargs)
            self.plan = plan

        def get_config(self) -> dict[str, Any]:
            return {"plan": self.plan, "name": self.name}

        @classmethod
        def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:  # noqa: ARG003
            return cls(**config)

    class Configured(keras.Model):  # type: ignore[misc, name-defined]
        """A subclassed model with a config: its graph, as JSON."""

        def __init__(self, graph: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.text = graph
            for i, part in enumerate(Builder(keras, found).adapted(json.loads(graph))):
                setattr(self, f"part{i}", part)

        def call(self, inputs: Any, training: Any = None) -> Any:
            graph = json.loads(self.text)
            taken = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            return run(
                graph, list(taken), [getattr(self, f"part{i}") for i in range(len(graph["nodes"]))]
            )

        def get_config(self) -> dict[str, Any]:
            return {"graph": self.text, "name": self.name}

        @classmethod
        def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:  # noqa: ARG003
            return cls(**config)

    found.update(Net=Net, Doubled=Doubled, Stepped=Stepped, Configured=Configured)
    found.update(Chain=Chain, Planned=Planned)
    return found


def all_nodes(graph: Spec) -> list[Spec]:
    """The nodes of a graph and of the models within."""
    return [
        one
        for node in graph["nodes"]
        for one in (node, *(all_nodes(node["model"]) if "model" in node else ()))
    ]


def has_state(node: dict[str, Any]) -> bool:
    """Whether a layer remembers the batch before, in prediction too."""
    layer = node.get("layer", {"class": "", "args": {}})
    fixed = node.get("call", {}).get("training")
    named = (*COUNTING, "SpectralNormalization")  # which then changes its kernel in each call
    counts = fixed and any(f"'{name}'" in str(node) for name in named)
    return bool("'stateful': True" in str(layer["args"]) or counts)


def batch(graph: Spec, number: int = 0) -> list[Any]:
    """The inputs of one batch."""
    r = np.random.default_rng(11 + number)
    makers = {
        "ids": lambda shape: r.integers(0, 7, shape).astype("int32"),
        "text": lambda shape: r.choice(WORDS, shape),
        "float": lambda shape: r.normal(size=shape).astype("float32"),
    }
    return [makers[i["takes"]]((BATCH, *i["shape"])) for i in graph["inputs"]]


def targets(kinds: list[str], outputs: list[Any]) -> list[Any]:
    """What the outputs are to learn."""
    r = np.random.default_rng(12)
    found = []
    for kind, output in zip(kinds, outputs, strict=True):
        shape = output.shape
        if kind == "real":
            value = r.normal(size=shape).astype("float32")
        elif kind == "sign":
            value = r.choice([-1.0, 1.0], shape).astype("float32")
        elif kind == "binary":
            value = r.integers(0, 2, shape).astype("float32")
        elif kind == "onehot":
            value = np.eye(shape[-1], dtype="float32")[r.integers(0, shape[-1], shape[:-1])]
        else:
            value = r.integers(0, shape[-1], shape[:-1]).astype("int32")
        found.append(value)
    return found
