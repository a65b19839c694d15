"""Graphs as data of pictures: what is drawn, what is left out, what unfolds."""

from __future__ import annotations

from hozon.page.pictures import MOST_NODES, Pictures
from hozon.record import Graph, GraphNode, SignatureInfo

SERVE = SignatureInfo("serve", (), ())


def graph(**bodies: list[GraphNode]) -> Graph:
    inner = {name: len(nodes) for name, nodes in bodies.items() if name != "main"}
    held = {"" if name == "main" else name: nodes for name, nodes in bodies.items()}
    return Graph(signatures=(SERVE,), functions=inner, bodies=held, ends={"serve": ("y",)})


MAIN = [
    GraphNode("x", "Placeholder"),
    GraphNode("w", "VarHandleOp"),
    GraphNode("y", "Call", ("x", "w"), ("f",)),
    GraphNode("save", "SaveV2", ("w",)),
]
F = [
    GraphNode("a", "_Arg"),
    GraphNode("two", "Const"),
    GraphNode("doubled", "Mul", ("two", "two")),
    GraphNode("r", "Mul", ("a", "doubled")),
    GraphNode("r", "_Retval", ("r",)),
]


def test_a_signature_is_what_gives_its_outputs() -> None:
    made = Pictures()
    made.add_graph(graph(main=MAIN, f=F))
    told = made.to_dict()
    (picture,) = told["pictures"]
    assert (picture["of"], picture["title"], picture["scoped"]) == ("signature", "serve", True)
    kinds = told["kinds"]
    assert [(name, kinds[kind], inputs) for name, kind, inputs, *_ in picture["nodes"]] == [
        ("x", "Placeholder", []),
        ("y", "Call", [0]),
    ]
    assert picture["nodes"][1][3] == {"calls": ["f"]}


def test_what_is_computed_of_constants_alone_is_left_out() -> None:
    made = Pictures()
    made.add_graph(graph(main=MAIN, f=F))
    assert [node[0] for node in made.functions["f"]] == ["a", "r", "r"]
    assert [node[2] for node in made.functions["f"]] == [[], [0], [1]]


def test_a_function_that_nothing_calls_has_a_picture_of_its_own() -> None:
    made = Pictures()
    made.add_graph(graph(main=MAIN, f=F, g=[*F[:1], GraphNode("s", "Sin", ("a",))]))
    assert [(p["of"], p["title"]) for p in made.pictures] == [
        ("signature", "serve"),
        ("function", "g"),
    ]


def test_a_graph_without_signatures_is_drawn_whole() -> None:
    made = Pictures()
    made.add_graph(Graph(bodies={"": MAIN}))
    assert [node[0] for node in made.pictures[0]["nodes"]] == ["x", "y"]


def test_what_calls_itself_ends() -> None:
    made = Pictures()
    made.add_graph(graph(main=MAIN, f=[*F, GraphNode("again", "Call", ("a",), ("f",))]))
    assert list(made.functions) == ["f"]


def test_a_page_has_so_many_nodes_at_most() -> None:
    long = [GraphNode("a", "_Arg"), *(GraphNode(f"n{i}", "Sin", ("a",)) for i in range(MOST_NODES))]
    made = Pictures()
    made.add_graph(graph(main=MAIN, f=long))
    assert made.functions == {}
    assert len(made.pictures) == 1
