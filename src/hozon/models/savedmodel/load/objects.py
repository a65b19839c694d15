"""The Keras objects of a SavedModel: class, config and children by node of the object graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hozon.containers.savedmodel.read import SavedModel, parse_metadata
from hozon.errors import FormatError
from hozon.formats.protos.object_graph import Function as SavedFunction
from hozon.formats.protos.object_graph import UserObject
from hozon.formats.protos.object_graph import Variable as SavedVariable
from hozon.typing import ConfigEntry

#: Key of the root's metadata under which Hozon writes what Keras 3 itself says of a model.
NATIVE = "keras3"
#: Edge from an object to what Keras 2 keeps of it beside its attributes.
KERAS_API = "keras_api"
#: Edge from a stateful RNN layer to what it keeps between calls, in what Hozon wrote at first.
STATES = "rnn_states"
MODELS = ("_tf_keras_model", "_tf_keras_network", "_tf_keras_sequential")
LAYERS = ("_tf_keras_layer", "_tf_keras_rnn_layer", "_tf_keras_input_layer", *MODELS)
#: Children that are bookkeeping of Keras, not attributes of the user.
BOOKKEEPING = frozenset(
    {
        "variables",
        "trainable_variables",
        "non_trainable_variables",
        "regularization_losses",
        "losses",
        KERAS_API,
        "signatures",
        "layers",
        "metrics",
        "layer_metrics",
        "__call__",
        "call_and_return_all_conditional_losses",
        "call_and_return_conditional_losses",
        "_default_save_signature",
        "activity_regularizer_fn",
        "optimizer",
        "loss",
    }
)


@dataclass(frozen=True, slots=True)
class KerasNode:
    """One Keras object. `config` is None where the object was saved without one."""

    node: int
    path: str
    identifier: str
    class_name: str
    name: str
    config: ConfigEntry | None
    metadata: ConfigEntry

    @property
    def is_model(self) -> bool:
        """Whether this was a model."""
        return self.identifier in MODELS

    @property
    def is_layer(self) -> bool:
        """Whether this was a layer (a model is one)."""
        return self.identifier in LAYERS

    @property
    def is_input(self) -> bool:
        """Whether this was an input layer; TensorFlow 2.0 calls it a layer like others."""
        return self.identifier == "_tf_keras_input_layer" or self.class_name == "InputLayer"


class KerasObjects:
    """All Keras objects of an artifact and how they hang together."""

    def __init__(self, artifact: SavedModel) -> None:
        graph = artifact.meta_graph.object_graph
        if graph is None:
            raise FormatError(
                f"{artifact.path} holds no object graph, so no Keras model", file=artifact.path
            )
        self.artifact = artifact
        self.graph = graph
        self.nodes = {i: self._node(i) for i in artifact.keras_metadata}

    @property
    def root(self) -> KerasNode | None:
        """The root, when it is a Keras layer or model."""
        node = self.nodes.get(0)
        return node if node is not None and node.is_layer else None

    def _node(self, node_id: int) -> KerasNode:
        item = self.artifact.keras_metadata[node_id]
        parsed = dict(parse_metadata(item, self.artifact.path))
        native = parsed.pop(NATIVE, None)
        metadata = {**untagged(parsed), **({} if native is None else {NATIVE: native})}
        config = metadata.get("config")
        if not isinstance(config, dict) or config.get("layer was saved without config"):
            config = None
        return KerasNode(
            node_id,
            item.path or ("root" if node_id == 0 else f"object {node_id}"),
            item.identifier,
            str(metadata.get("class_name", "")),
            str(metadata.get("name", "")),
            config,
            metadata,
        )

    def children(self, node_id: int) -> dict[str, int]:
        """The named edges of a node.

        Raises:
            FormatError: the graph has no such node.
        """
        if not 0 <= node_id < len(self.graph.nodes):
            raise FormatError(
                f"{self.artifact.path} refers to object {node_id}, which its graph does not have",
                file=self.artifact.path,
                expected=f"0 to {len(self.graph.nodes) - 1}",
                found=node_id,
            )
        return {edge.name: edge.node for edge in self.graph.nodes[node_id].children}

    def attributes(self, node_id: int) -> dict[str, int]:
        """The edges that are attributes of the saved object, Keras' bookkeeping left out."""
        return {
            name: child
            for name, child in self.children(node_id).items()
            if name not in BOOKKEEPING
            and not name.startswith(("layer-", "layer_with_weights-", "_layer_call_fn"))
        }

    def layers(self, node_id: int) -> Iterator[KerasNode]:
        """The layers of a model in order, from its ``layer-N`` edges."""
        edges = self.children(node_id)
        numbered = [
            (int(name[6:]), child)
            for name, child in edges.items()
            if name.startswith("layer-") and name[6:].isdigit()
        ]
        for _, child in sorted(numbered):
            if child in self.nodes:
                yield self.nodes[child]

    def items(self, node_id: int) -> list[int]:
        """The members of a saved list."""
        edges = self.children(node_id)
        numbered = [(int(name), child) for name, child in edges.items() if name.isdigit()]
        return [child for _, child in sorted(numbered)]

    def is_list(self, node_id: int) -> bool:
        """Whether a node is a saved list or tuple."""
        payload = self.graph.nodes[node_id].payload
        return isinstance(payload, UserObject) and payload.identifier in (
            "trackable_list_wrapper",
            "trackable_tuple_wrapper",
        )

    def is_dictionary(self, node_id: int) -> bool:
        """Whether a node is a saved dictionary, whose edges are its keys."""
        payload = self.graph.nodes[node_id].payload
        return isinstance(payload, UserObject) and payload.identifier == "trackable_dict_wrapper"

    def weights(self, node_id: int) -> list[int]:
        """The variable nodes of a layer in the order of Keras' ``layer.weights``.

        Layers that tf_keras restores from their config alone list none; theirs are attributes.
        """
        children = self.children(node_id)
        if "variables" not in children:
            return [c for c in dict.fromkeys(children.values()) if self.variable(c) is not None]
        trainable = (
            self.items(children["trainable_variables"])
            if ("trainable_variables" in children)
            else []
        )
        everything = self.items(children["variables"]) if "variables" in children else []
        return [*trainable, *(v for v in everything if v not in trainable)]

    def frozen(self, node_id: int) -> set[int]:
        """The variables of a layer that belong to frozen layers in it."""
        children = self.children(node_id)
        if "trainable_variables" not in children or "variables" not in children:
            return set()
        trained = self.items(children["trainable_variables"])
        return set() if not trained else {*self.items(children["variables"])} - {*trained}

    def states(self, node_id: int) -> list[int]:
        """The variables that a stateful RNN layer keeps between calls."""
        edges = self.children(node_id)
        api = edges.get(KERAS_API)
        listed = edges.get(STATES) if api is None else self.children(api).get("states")
        if listed is None:
            return []
        found, waiting = [], [listed]
        while waiting:
            node = waiting.pop(0)
            if self.variable(node) is not None:
                found.append(node)
            else:
                waiting = [*self.items(node), *waiting]
        return found

    @cached_property
    def batch_of_states(self) -> int | None:
        """The size of the batch that stateful RNN layers were called on; None without any."""
        states = (self.variable(state) for node in self.nodes for state in self.states(node))
        sizes = {dims[0] for v in states if v is not None and (dims := v.shape.dims)}
        return sizes.pop() if len(sizes) == 1 else None

    def penalties(self, node_id: int) -> Iterator[tuple[int, int]]:
        """The penalties of a layer's own weights: nodes of the variable and of the function."""
        api = self.children(node_id).get(KERAS_API)
        listed = None if api is None else self.children(api).get("layer_regularization_losses")
        for function in () if listed is None else self.items(listed):
            payload = self.graph.nodes[function].payload
            traces = payload.concrete_functions if isinstance(payload, SavedFunction) else ()
            bound = (n for t in traces for n in self.graph.concrete_functions[t].bound_inputs)
            variable = next((n for n in bound if self.variable(n) is not None), None)
            if variable is not None:
                yield variable, function

    def variable(self, node_id: int) -> SavedVariable | None:
        """The variable at a node, None if there is something else."""
        payload = self.graph.nodes[node_id].payload
        return payload if isinstance(payload, SavedVariable) else None

    @cached_property
    def by_name(self) -> Mapping[str, int]:
        """Layers by name; of several with one name, the first."""
        found: dict[str, int] = {}
        for node_id, node in sorted(self.nodes.items()):
            if node.is_layer:
                found.setdefault(node.name, node_id)
        return found


def untagged(value: Any) -> Any:
    """JSON as Keras 2 wrote it, with its tagged tuples, shapes and types as plain values."""
    if isinstance(value, dict):
        tag = value.get("class_name")
        if tag in ("__tuple__", "tuple") and "items" in value:
            return [untagged(item) for item in value["items"]]
        if tag == "TensorShape" and "items" in value:
            return untagged(value["items"])
        if tag == "__ellipsis__":
            return Ellipsis
        return {key: untagged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [untagged(item) for item in value]
    return value
