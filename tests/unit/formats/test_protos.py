"""Hozon's own .proto files against TensorFlow's: numbers, types, and life in one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracle.client import ROOT, Oracle

COMPARE = """
import importlib, sys
sys.path.insert(0, root)
from google.protobuf.descriptor import FieldDescriptor as F
from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2, fingerprint_pb2
from tensorflow.core.framework import variable_pb2
from tf_keras.protobuf import saved_metadata_pb2
from google.protobuf import descriptor_pool

pool = descriptor_pool.Default()
TRACKABLE = "tensorflow.TrackableObjectGraph.TrackableObject."
RENAMED = {
    "ShapeProto": "tensorflow.TensorShapeProto",
    "VariantProto": "tensorflow.VariantTensorDataProto",
    "ObjectReference": TRACKABLE + "ObjectReference",
    "SlotVariableReference": TRACKABLE + "SlotVariableReference",
    "KerasMetadata": "third_party.py.tf_keras.protobuf.SavedMetadata",
    "KerasObject": "third_party.py.tf_keras.protobuf.SavedObject",
    "AnyProto": "google.protobuf.Any",
    "BoolWrapper": "google.protobuf.BoolValue",
}

def theirs(name):
    first, dot, rest = name.partition(".")
    return pool.FindMessageTypeByName(RENAMED.get(first, "tensorflow." + first) + dot + rest)

def differences(message):
    name = message.full_name.removeprefix("hozon.formats.")
    other = theirs(name)
    for field in message.fields:
        twin = other.fields_by_number.get(field.number)
        if twin is None or twin.name != field.name:
            yield f"{name}.{field.name} = {field.number}"
        elif (twin.type, twin.is_repeated, twin.is_packed) != (
                field.type, field.is_repeated, field.is_packed):
            yield f"{name}.{field.name} has another type"
        elif bool(twin.containing_oneof) != bool(field.containing_oneof):
            yield f"{name}.{field.name} is not in the same oneof"
        elif field.enum_type and dict(field.enum_type.values_by_name.items()).keys() != dict(
                twin.enum_type.values_by_name.items()).keys():
            yield f"{name}.{field.name} has other enum values"
        elif field.enum_type and any(
                value.number != twin.enum_type.values_by_name[value.name].number
                for value in field.enum_type.values):
            yield f"{name}.{field.name} has other enum numbers"
    for nested in message.nested_types:
        yield from differences(nested)

out["seen"], out["wrong"] = [], []
for name in modules:
    module = importlib.import_module("hozon.formats.protos." + name)
    for message in module.DESCRIPTOR.message_types_by_name.values():
        out["seen"].append(message.name)
        out["wrong"] += differences(message)
"""


def test_numbers_and_types_are_those_of_tensorflow(oracle: Oracle) -> None:
    folder = ROOT / "src" / "hozon" / "formats" / "protos"
    modules = sorted(path.stem for path in folder.glob("*_pb2.py"))
    answer = oracle.python(COMPARE, root=str(ROOT / "src"), modules=modules)
    assert answer["wrong"] == []
    assert len(answer["seen"]) > 50


def test_generated_modules_are_those_of_the_protos(tmp_path: Path) -> None:
    """The checked-in modules are what the compiler makes of the .proto files today."""
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    source = ROOT / "src"
    protos = sorted((source / "hozon/formats/protos").glob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(source)]
    subprocess.run([*command, f"--python_out={tmp_path}", *map(str, protos)], check=True)
    made = sorted(tmp_path.rglob("*_pb2.py"))
    assert len(made) == len(protos)
    for path in made:
        checked_in = source / path.relative_to(tmp_path)
        assert serialized(path) == serialized(checked_in), f"run the command for {checked_in}"


def serialized(path: Path) -> list[str]:
    """The line that holds the descriptors; the rest depends on the compiler's version."""
    lines = path.read_text().splitlines()
    return [line for line in lines if line.startswith("DESCRIPTOR = ")]
