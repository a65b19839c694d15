"""Attacks on SavedModel directories: what is refused, by which words, and what is never touched."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hozon
import hozon.saved_model
from hozon.errors import FormatError, HozonError, MismatchError, UnsafeError, UnsupportedError
from hozon.formats.protos import saved_model_pb2 as pb
from tests.oracle.client import Oracle

SOURCE = """
import os
os.makedirs(path + "-src")
open(path + "-src/words.txt", "w").write("red\\ngreen\\n")
class M(tf.Module):
    def __init__(self):
        super().__init__()
        self.v = tf.Variable([[1., 2.], [3., 4.]], name="v")
        self.items = [tf.Variable(1.), {"k": tf.Variable(2.)}]
        self.pair = (tf.Variable(1.), tf.Variable(2.))
        self.table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(
            path + "-src/words.txt", tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER), -1)
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def f(self, x):
        return {"y": tf.nn.relu(x @ self.v)}
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string, name="words")])
    def look(self, words):
        return {"ids": self.table.lookup(words)}
m = M()
tf.saved_model.save(m, path, signatures={"f": m.f, "look": m.look})
"""
X = np.ones((1, 2), "float32")
#: No attack may take longer, loading and calling together.
SECONDS = 10.0


@pytest.fixture(scope="module")
def sound(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "model"
    oracle.python(SOURCE, path=str(path))
    return path


@pytest.fixture
def model(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "model"))


def change(model: Path, edit: Callable[[Any], None]) -> None:
    """Edit the meta graph of a model."""
    file = model / "saved_model.pb"
    message = pb.SavedModel.FromString(file.read_bytes())
    edit(message.meta_graphs[0])
    file.write_bytes(message.SerializeToString())


def run(model: Path) -> None:
    """Load, call everything and look inside; errors come through."""
    started = time.process_time()
    try:
        loaded = hozon.saved_model.load(model)
        loaded.signatures["f"](x=X)
        loaded.signatures["look"](words=["red"])
        loaded.f(X)
        loaded.look(["red"])
        hozon.inspect(model)
    finally:
        assert time.process_time() - started < SECONDS


#: What `run` meets when the damage renamed or emptied an object, which is no error of the file.
RENAMED = ("LoadedModel", "has no __call__ function", "'f'", "'look'")


def bodies(meta: Any) -> list[Any]:
    """The function that computes f, and its callers, by their nodes."""
    return [f for f in meta.graph_def.library.function if any(n.op == "MatMul" for n in f.node_def)]


def test_the_model_itself_is_sound(model: Path) -> None:
    run(model)


def test_cut_and_flipped_files_raise_only_our_errors(model: Path) -> None:
    file = model / "saved_model.pb"
    data = file.read_bytes()
    random = np.random.default_rng(5)
    refused = 0
    for trial in range(40):
        damaged = bytearray(data)
        if trial % 4 == 0:
            del damaged[int(random.integers(len(data))) :]
        else:
            damaged[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
        file.write_bytes(bytes(damaged))
        try:
            run(model)
        except HozonError:
            refused += 1
        except (TypeError, AttributeError, KeyError) as error:
            if not any(word in str(error) for word in RENAMED):
                raise
    assert refused > 10


@pytest.mark.parametrize(
    "name", ["variables/variables.index", "variables/variables.data-00000-of-00001", "variables"]
)
def test_missing_variables(model: Path, name: str) -> None:
    victim = model / name
    shutil.rmtree(victim) if victim.is_dir() else victim.unlink()
    with pytest.raises(FormatError) as caught:
        run(model)
    wanted = "variables.data-00000-of-00001" if "data" in name else "variables.index"
    assert wanted in str(caught.value)


def variable(meta: Any) -> Any:
    return next(n.variable for n in meta.object_graph_def.nodes if n.variable.name == "v")


@pytest.mark.parametrize("shape", [[2, 3], [4], [1 << 40, 1 << 20], []])
def test_another_shape_than_stored(model: Path, shape: list[int]) -> None:
    def edit(meta: Any) -> None:
        del variable(meta).shape.dim[:]
        for size in shape:
            variable(meta).shape.dim.add(size=size)

    change(model, edit)
    with pytest.raises(FormatError, match="variable 'v'") as caught:
        run(model)
    assert str(tuple(shape)) in str(caught.value)


def test_another_dtype_than_stored(model: Path) -> None:
    change(model, lambda meta: setattr(variable(meta), "dtype", 2))
    with pytest.raises(FormatError, match=r"variable 'v'.*float64.*float32"):
        run(model)


@pytest.mark.parametrize("target", [10_000, -1])
def test_edges_that_lead_nowhere(model: Path, target: int) -> None:
    def edit(meta: Any) -> None:
        meta.object_graph_def.nodes[0].children[0].node_id = target

    change(model, edit)
    with pytest.raises(FormatError, match=str(target)):
        run(model)


def container(meta: Any, identifier: str) -> int:
    return next(
        i
        for i, n in enumerate(meta.object_graph_def.nodes)
        if n.user_object.identifier == identifier
    )


@pytest.mark.parametrize("identifier", ["trackable_list_wrapper", "trackable_dict_wrapper"])
def test_containers_that_contain_themselves(model: Path, identifier: str) -> None:
    def edit(meta: Any) -> None:
        index = container(meta, identifier)
        meta.object_graph_def.nodes[index].children[0].node_id = index

    change(model, edit)
    run(model)


def test_a_tuple_that_contains_itself(model: Path) -> None:
    def edit(meta: Any) -> None:
        index = container(meta, "trackable_tuple_wrapper")
        meta.object_graph_def.nodes[index].children[0].node_id = index

    change(model, edit)
    with pytest.raises(FormatError, match="contains itself"):
        run(model)


def test_a_root_that_is_no_object(model: Path) -> None:
    change(model, lambda meta: meta.object_graph_def.nodes[0].variable.SetInParent())
    with pytest.raises(FormatError, match="root"):
        run(model)


def test_a_function_that_captures_itself(model: Path) -> None:
    def edit(meta: Any) -> None:
        graph = meta.object_graph_def
        name, record = next((k, v) for k, v in graph.concrete_functions.items() if v.bound_inputs)
        body = next(f for f in meta.graph_def.library.function if f.signature.name == name)
        node = graph.nodes.add()
        node.captured_tensor.name = body.signature.input_arg[-1].name
        node.captured_tensor.concrete_function = name
        record.bound_inputs[-1] = len(graph.nodes) - 1

    change(model, edit)
    with pytest.raises(FormatError, match="contains itself"):
        run(model)


def test_a_table_that_needs_itself(model: Path) -> None:
    def edit(meta: Any) -> None:
        nodes = meta.object_graph_def.nodes
        owner = next(
            i
            for i, n in enumerate(nodes)
            if any(c.local_name == "_create_resource" for c in n.children)
        )
        edge = next(c for c in nodes[owner].children if c.local_name == "_create_resource")
        (name,) = nodes[edge.node_id].function.concrete_functions
        meta.object_graph_def.concrete_functions[name].bound_inputs.append(owner)

    change(model, edit)
    with pytest.raises(FormatError, match="table itself"):
        run(model)


def test_more_captures_than_arguments(model: Path) -> None:
    def edit(meta: Any) -> None:
        for record in meta.object_graph_def.concrete_functions.values():
            record.bound_inputs.extend([0, 0, 0])

    change(model, edit)
    with pytest.raises(FormatError):
        run(model)


def test_functions_that_are_not_there(model: Path) -> None:
    change(model, lambda meta: meta.object_graph_def.ClearField("concrete_functions"))
    with pytest.raises(FormatError, match="is not described"):
        run(model)


def test_a_library_that_is_not_there(model: Path) -> None:
    change(model, lambda meta: meta.graph_def.ClearField("library"))
    with pytest.raises(FormatError, match="not defined"):
        run(model)


def test_a_function_that_calls_itself(model: Path) -> None:
    def edit(meta: Any) -> None:
        for body in bodies(meta):
            node = body.node_def.add(name="again", op="PartitionedCall", input=["x"])
            node.attr["f"].func.name = body.signature.name
            body.control_ret["again"] = "again"

    change(model, edit)
    with pytest.raises(UnsupportedError, match="calls itself"):
        run(model)


def test_a_cycle_of_nodes(model: Path) -> None:
    def edit(meta: Any) -> None:
        for body in bodies(meta):
            product = next(n for n in body.node_def if n.op == "MatMul")
            product.input[0] = "Relu:activations:0"

    change(model, edit)
    with pytest.raises(FormatError, match="depends on itself"):
        run(model)


@pytest.mark.parametrize(
    "text",
    [
        "nowhere:product:0",
        "MatMul:product:7",
        "MatMul:nothing:0",
        "x:5",
        "MatMul:product:99999999999999999999",
        "^MatMul",
    ],
)
def test_a_node_that_reads_what_is_not_there(model: Path, text: str) -> None:
    def edit(meta: Any) -> None:
        for body in bodies(meta):
            next(n for n in body.node_def if n.op == "Relu").input[0] = text

    change(model, edit)
    with pytest.raises((FormatError, MismatchError)):
        run(model)


def test_a_signature_of_missing_tensors(model: Path) -> None:
    def edit(meta: Any) -> None:
        meta.ClearField("object_graph_def")
        meta.signature_def["f"].outputs["y"].name = "nowhere:0"

    change(model, edit)
    with pytest.raises(FormatError, match="nowhere:0"):
        run(model)


DANGEROUS = [
    "ReadFile",
    "WriteFile",
    "PyFunc",
    "EagerPyFunc",
    "PyFuncStateless",
    "MergeV2Checkpoints",
    "SaveV2",
    "Save",
    "DatasetFromGraph",
    "DeleteFile",
    "MatchingFiles",
    "LoadLibrary",
    "ShardedFilename2",
]


@pytest.mark.parametrize("op", DANGEROUS)
def test_ops_that_touch_the_world_are_refused_by_name(model: Path, op: str) -> None:
    victim = model.parent / "victim"

    def edit(meta: Any) -> None:
        for body in bodies(meta):
            name = body.node_def.add(name="path", op="Const")
            name.attr["dtype"].type = 7
            name.attr["value"].tensor.dtype = 7
            name.attr["value"].tensor.string_val.append(str(victim).encode())
            node = body.node_def.add(name="evil", op=op, input=["path:output:0", "path:output:0"])
            node.attr["output_stream"].s = b"file://" + str(victim).encode()
            body.control_ret["evil"] = "evil"

    change(model, edit)
    loaded = hozon.saved_model.load(model)
    for call in (lambda: loaded.f(X), lambda: loaded.signatures["f"](x=X)):
        with pytest.raises((UnsupportedError, UnsafeError), match=op):
            call()
    assert not victim.exists()


def test_nothing_is_printed_to_files(model: Path) -> None:
    victim = model.parent / "victim"

    def edit(meta: Any) -> None:
        for body in bodies(meta):
            text = body.node_def.add(name="text", op="AsString", input=["x"])
            text.attr["T"].type = 1
            node = body.node_def.add(name="print", op="PrintV2", input=["text:output:0"])
            node.attr["output_stream"].s = b"file://" + str(victim).encode()
            body.control_ret["print"] = "print"

    change(model, edit)
    run(model)
    assert not victim.exists()


def rename_asset(model: Path, name: str) -> None:
    def edit(meta: Any) -> None:
        meta.asset_file_def[0].filename = name

    change(model, edit)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt",
        "/etc/passwd",
        "a/../../../secret.txt",
        "link.txt",
        "folder/secret.txt",
        "nul\0.txt",
        "..",
        "/",
    ],
)
def test_assets_outside_of_their_folder(model: Path, name: str) -> None:
    (model.parent / "secret.txt").write_text("secret\n")
    (model / "secret.txt").write_text("secret\n")
    (model / "assets" / "link.txt").symlink_to(model.parent / "secret.txt")
    (model / "assets" / "folder").symlink_to(model.parent)
    rename_asset(model, name)
    with pytest.raises(UnsafeError) as caught:
        run(model)
    assert caught.value.refused is not None
    assert "saved_model.pb" in str(caught.value)


def test_an_assets_folder_that_leads_outside(model: Path) -> None:
    shutil.move(model / "assets", model.parent / "elsewhere")
    (model / "assets").symlink_to(model.parent / "elsewhere")
    with pytest.raises(UnsafeError, match=r"words\.txt"):
        run(model)


def test_a_missing_asset(model: Path) -> None:
    shutil.rmtree(model / "assets")
    with pytest.raises(FormatError, match=r"words\.txt.* is missing"):
        run(model)


def test_a_table_that_reads_a_path_of_the_machine(model: Path) -> None:
    def edit(meta: Any) -> None:
        for body in meta.graph_def.library.function:
            for node in body.node_def:
                if node.op == "InitializeTableFromTextFileV2":
                    node.input[1] = "path:output:0"
                    path = body.node_def.add(name="path", op="Const")
                    path.attr["dtype"].type = 7
                    path.attr["value"].tensor.dtype = 7
                    path.attr["value"].tensor.string_val.append(b"/etc/passwd")
                    break

    change(model, edit)
    with pytest.raises(UnsafeError, match="/etc/passwd"):
        run(model)


@pytest.mark.parametrize("text", ["no json", "[" * 100_000, "[]", "3", '{"class_name": 3', ""])
def test_keras_metadata_that_is_no_object(model: Path, text: str) -> None:
    from hozon.formats.protos import keras_metadata_pb2 as keras_pb

    data = keras_pb.KerasMetadata()
    data.nodes.add(node_id=0, node_path="root", identifier="_tf_keras_model", metadata=text)
    (model / "keras_metadata.pb").write_bytes(data.SerializeToString())
    with pytest.raises(FormatError, match="JSON") as caught:
        run(model)
    assert "keras_metadata.pb" in str(caught.value)


def test_keras_metadata_that_is_foreign(model: Path) -> None:
    (model / "keras_metadata.pb").write_bytes(b"\xff" * 100)
    with pytest.raises(FormatError, match=r"keras_metadata\.pb"):
        run(model)
