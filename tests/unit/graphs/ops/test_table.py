"""Lookup tables against TensorFlow: small graphs whose steps run one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.oracle.client import Oracle
from tests.unit.graphs.steps import Steps, check, literal, record


def made(op: str, key: str, value: str, **attrs: str) -> str:
    more = "".join(f", {k}={v}" for k, v in attrs.items())
    return f"t = do({op!r}, key_dtype=tf.{key}, value_dtype=tf.{value}{more})\n"


def step(op: str, get: bool = False, table: str = "t", **arguments: Any) -> str:
    listed = {"table_handle": table, **arguments}
    text = ", ".join(
        f"{k}={v if k == 'table_handle' else literal(v)}"
        for k, v in listed.items()
        if v is not None
    )
    return f"{'get' if get else 'do'}({op!r}, {text})\n"


def find(keys: Any, default: Any, op: str = "LookupTableFindV2", **more: Any) -> str:
    return step(op, True, keys=keys, default_value=default, **more)


SIZE = step("LookupTableSizeV2", True)


def export(key: str, value: str) -> str:
    return f"get('LookupTableExportV2', table_handle=t, Tkeys=tf.{key}, Tvalues=tf.{value})\n"


KEYS = {
    "string": np.array([b"a", b"", b"\xffz"], object),
    "int64": np.array([5, -1, 2**40]),
    "int32": np.array([5, -1, 0], np.int32),
}
MISSING = {
    "string": np.array([b"no", b"a ", b"A"], object),
    "int64": np.array([4, 1, 2**32 + 5]),
    "int32": np.array([4, 1, 2], np.int32),
}
VALUES = {
    "string": np.array([b"x", b"", b"y\x80"], object),
    "int64": np.array([2**50, -1, 7]),
    "int32": np.array([3, -1, 7], np.int32),
    "float32": np.array([0.5, -1, np.inf], np.float32),
    "float64": np.array([0.1, -1, 1e300]),
    "bool": np.array([True, False, True]),
}
PAIRS = [
    *(("string", v) for v in ("bool", "float32", "float64", "int32", "int64", "string")),
    *(("int64", v) for v in ("float32", "float64", "int32", "int64", "string")),
    *(("int32", v) for v in ("float32", "float64", "int32", "string")),
]


def looked_up(key: str, value: str, op: str = "LookupTableFindV2") -> str:
    """Known, unknown and mixed keys of several shapes."""
    known, unknown, default = KEYS[key], MISSING[key], VALUES[value][1]
    mixed = np.stack([known, unknown])
    return "".join(find(k, default, op) for k in (known, unknown, mixed, known[0], known[:0]))


INIT = "InitializeTableV2"
CASES: dict[str, Steps] = {}
for k, v in PAIRS:
    start = made("HashTableV2", k, v) + step(INIT, keys=KEYS[k], values=VALUES[v])
    CASES[f"hash-{k}-{v}"] = Steps(start + looked_up(k, v) + SIZE)
    CASES[f"hash-export-{k}-{v}"] = Steps(start + export(k, v), unordered=True)
for k, v in (("string", "int64"), ("int64", "string"), ("int64", "float32")):
    start = made("MutableHashTableV2", k, v)
    put = step("LookupTableInsertV2", keys=KEYS[k], values=VALUES[v])
    CASES[f"mutable-{k}-{v}"] = Steps(
        start
        + looked_up(k, v)
        + SIZE
        + put
        + looked_up(k, v)
        + SIZE
        + step("LookupTableInsertV2", keys=KEYS[k][:1], values=VALUES[v][1:2])
        + looked_up(k, v)
        + SIZE
        + step("LookupTableRemoveV2", keys=np.concatenate([KEYS[k][1:2], MISSING[k]]))
        + SIZE
        + looked_up(k, v)
        + step("LookupTableInsertV2", keys=MISSING[k][0], values=VALUES[v][2])
        + SIZE
        + find(MISSING[k], VALUES[v][0])
    )
    CASES[f"mutable-export-{k}-{v}"] = Steps(
        start + export(k, v) + put + export(k, v), unordered=True
    )
    CASES[f"mutable-import-{k}-{v}"] = Steps(
        start
        + put
        + step("LookupTableImportV2", keys=MISSING[k], values=VALUES[v])
        + looked_up(k, v)
        + SIZE
        + step("LookupTableImportV2", keys=KEYS[k][:0], values=VALUES[v][:0])
        + SIZE
    )
    CASES[f"mutable-twice-{k}-{v}"] = Steps(
        start
        + step("LookupTableInsertV2", keys=KEYS[k][[0, 0, 1]], values=VALUES[v])
        + looked_up(k, v)
        + SIZE
        + step(
            "LookupTableInsertV2",
            keys=np.stack([KEYS[k]] * 2),
            values=np.stack([VALUES[v], VALUES[v][::-1]]),
        )
        + looked_up(k, v)
        + SIZE
    )

TEXT, NUMBERS = KEYS["string"], VALUES["int64"]
PLAIN = made("HashTableV2", "string", "int64")
FILLED = PLAIN + step(INIT, keys=TEXT, values=NUMBERS)
MUTABLE = made("MutableHashTableV2", "string", "int64")
ZERO = np.int64(0)
CASES |= {
    "hash-same-value-twice": Steps(
        PLAIN + step(INIT, keys=TEXT[[0, 0]], values=NUMBERS[[0, 0]]) + SIZE
    ),
    "hash-two-values": Steps(
        PLAIN + step(INIT, keys=TEXT[[0, 0]], values=NUMBERS[[0, 1]]), fails=True
    ),
    "hash-initialized-twice": Steps(FILLED + step(INIT, keys=TEXT, values=NUMBERS) + SIZE),
    "hash-initialized-differently": Steps(
        FILLED + step(INIT, keys=TEXT[:2], values=NUMBERS[:2]), fails=True
    ),
    "hash-uninitialized": Steps(PLAIN + find(TEXT, ZERO), fails=True),
    "hash-uninitialized-size": Steps(PLAIN + SIZE),
    "hash-empty": Steps(PLAIN + step(INIT, keys=TEXT[:0], values=NUMBERS[:0]), fails=True),
    "hash-scalar": Steps(PLAIN + step(INIT, keys=TEXT[0], values=NUMBERS[0]), fails=True),
    "hash-lengths": Steps(PLAIN + step(INIT, keys=TEXT, values=NUMBERS[:2]), fails=True),
    "hash-shared": Steps(
        made("HashTableV2", "string", "int64", shared_name="'one'")
        + step(INIT, keys=TEXT, values=NUMBERS)
        + made("HashTableV2", "string", "int64", shared_name="'one'")
        + SIZE
    ),
    "hash-not-shared": Steps(FILLED + PLAIN + SIZE),
    "hash-shared-by-name": Steps(
        made("HashTableV2", "string", "int64", use_node_name_sharing="True")
        + step(INIT, keys=TEXT, values=NUMBERS)
        + SIZE
    ),
    "references": Steps(
        made("HashTable", "string", "int64")
        + step("InitializeTable", keys=TEXT, values=NUMBERS)
        + looked_up("string", "int64", "LookupTableFind")
        + step("LookupTableSize", True)
    ),
    "references-export": Steps(
        made("HashTable", "int64", "string")
        + step("InitializeTable", keys=KEYS["int64"], values=VALUES["string"])
        + "get('LookupTableExport', table_handle=t, Tkeys=tf.int64, Tvalues=tf.string)",
        unordered=True,
    ),
    "references-mutable": Steps(
        made("MutableHashTable", "string", "int64")
        + step("LookupTableInsert", keys=TEXT, values=NUMBERS)
        + step("LookupTableImport", keys=MISSING["string"], values=NUMBERS)
        + looked_up("string", "int64", "LookupTableFind")
        + step("LookupTableSize", True)
    ),
    "references-tensors": Steps(
        made("MutableHashTableOfTensors", "string", "int64", value_shape="[2]")
        + step("LookupTableInsert", keys=TEXT, values=np.arange(6).reshape(3, 2))
        + find(TEXT[::-1], np.array([9, 8]), "LookupTableFind")
    ),
    "anonymous": Steps(
        made("AnonymousHashTable", "string", "int64")
        + step(INIT, keys=TEXT, values=NUMBERS)
        + looked_up("string", "int64")
        + SIZE
    ),
    "anonymous-mutable": Steps(
        made("AnonymousMutableHashTable", "string", "int64")
        + step("LookupTableInsertV2", keys=TEXT, values=NUMBERS)
        + looked_up("string", "int64")
        + SIZE
    ),
    "anonymous-tensors": Steps(
        made("AnonymousMutableHashTableOfTensors", "string", "int64", value_shape="[2]")
        + step("LookupTableInsertV2", keys=TEXT, values=np.arange(6).reshape(3, 2))
        + find(TEXT[::-1], np.array([9, 8]))
        + SIZE
    ),
    "anonymous-dense": Steps(
        "t = do('AnonymousMutableDenseHashTable', empty_key=np.int64(-9), deleted_key=np.int64(-8),"
        " value_dtype=tf.float32)\n"
        + step("LookupTableInsertV2", keys=np.arange(3), values=VALUES["float32"])
        + find(np.arange(5), np.float32(-2))
        + SIZE
    ),
    "mutable-lengths": Steps(
        MUTABLE + step("LookupTableInsertV2", keys=TEXT, values=NUMBERS[:2]), fails=True
    ),
    "mutable-default-of-each": Steps(
        MUTABLE
        + step("LookupTableInsertV2", keys=TEXT[:1], values=NUMBERS[:1])
        + find(TEXT, np.array([7, 8, 9]))
        + find(np.stack([TEXT, TEXT]), np.arange(6).reshape(2, 3))
    ),
    "mutable-default-misshapen": Steps(MUTABLE + find(TEXT, np.array([7, 8])), fails=True),
    "hash-default-misshapen": Steps(FILLED + find(TEXT, np.array([7, 8])), fails=True),
}

VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)
OF_TENSORS = made("MutableHashTableOfTensorsV2", "int64", "float32", value_shape="[2]")
NUMBERED = KEYS["int64"]
DENSE = (
    "t = do('MutableDenseHashTableV2', empty_key=np.int64(-9), deleted_key=np.int64(-8),"
    " value_dtype=tf.float32{})\n"
)
PUT = step("LookupTableInsertV2", keys=NUMBERED, values=VALUES["float32"])
CASES |= {
    "tensors": Steps(
        OF_TENSORS
        + step("LookupTableInsertV2", keys=NUMBERED, values=VECTORS)
        + SIZE
        + find(np.stack([NUMBERED, MISSING["int64"]]), np.float32([7, 8]))
        + find(NUMBERED[0], np.float32([7, 8]))
        + find(NUMBERED[:0], np.float32([7, 8]))
        + find(MISSING["int64"], VECTORS)
        + step("LookupTableRemoveV2", keys=NUMBERED[:1])
        + SIZE
        + find(NUMBERED, np.float32([0, 1]))
    ),
    "tensors-export": Steps(
        OF_TENSORS
        + export("int64", "float32")
        + step("LookupTableInsertV2", keys=NUMBERED, values=VECTORS)
        + export("int64", "float32"),
        unordered=True,
    ),
    "tensors-import": Steps(
        OF_TENSORS
        + step("LookupTableImportV2", keys=NUMBERED, values=VECTORS)
        + SIZE
        + find(NUMBERED, np.float32([7, 8]))
    ),
    "tensors-strings": Steps(
        made("MutableHashTableOfTensorsV2", "string", "float32", value_shape="[2]")
        + step("LookupTableInsertV2", keys=TEXT, values=VECTORS)
        + find(np.stack([TEXT, MISSING["string"]]), np.float32([0, 1]))
    ),
    "tensors-misshapen": Steps(
        OF_TENSORS + step("LookupTableInsertV2", keys=NUMBERED, values=VECTORS.T), fails=True
    ),
    "tensors-default-misshapen": Steps(
        OF_TENSORS + find(NUMBERED, np.float32([7, 8, 9])), fails=True
    ),
    "dense": Steps(
        DENSE.format("")
        + SIZE
        + PUT
        + SIZE
        + find(NUMBERED, np.float32(-2))
        + find(MISSING["int64"], np.float32(-2))
        + step("LookupTableRemoveV2", keys=NUMBERED[:2])
        + SIZE
        + find(NUMBERED, np.float32(-2))
        + step("LookupTableInsertV2", keys=NUMBERED[:1], values=VALUES["float32"][:1])
        + SIZE
        + find(NUMBERED, np.float32(-2))
    ),
    "dense-many": Steps(
        DENSE.format(", initial_num_buckets=4")
        + step("LookupTableInsertV2", keys=np.arange(40), values=np.arange(40, dtype=np.float32))
        + SIZE
        + find(np.arange(38, 42), np.float32(-2))
    ),
    "dense-vectors": Steps(
        DENSE.format(", value_shape=[2], max_load_factor=0.5")
        + step("LookupTableInsertV2", keys=NUMBERED, values=VECTORS)
        + find(np.concatenate([NUMBERED, MISSING["int64"]]), np.float32([7, 8]))
        + SIZE
    ),
    "dense-keys-of-numbers": Steps(
        "t = do('MutableDenseHashTableV2', empty_key=np.int64([-9, 0]),"
        " deleted_key=np.int64([-8, 0]), value_dtype=tf.float32)\n"
        + step("LookupTableInsertV2", keys=np.array([[1, 2], [-9, 1]]), values=np.float32([1, 2]))
        + find(np.array([[[-9, 1]], [[2, 1]]]), np.float32(-2))
        + step("LookupTableRemoveV2", keys=np.array([[1, 2]]))
        + find(np.array([[1, 2]]), np.float32(-2))
        + SIZE
    ),
    "dense-empty-key": Steps(
        DENSE.format("")
        + step("LookupTableInsertV2", keys=np.array([1, -9]), values=np.float32([1, 2])),
        fails=True,
    ),
    "dense-deleted-key": Steps(
        DENSE.format("")
        + step("LookupTableInsertV2", keys=np.array([1, -8]), values=np.float32([1, 2])),
        fails=True,
    ),
    "dense-finds-empty-key": Steps(
        DENSE.format("") + find(np.array([-9]), np.float32(0)), fails=True
    ),
    "dense-removes-empty-key": Steps(
        DENSE.format("") + step("LookupTableRemoveV2", keys=np.array([-8])), fails=True
    ),
    "dense-strings": Steps(
        "t = do('MutableDenseHashTableV2', empty_key=np.array(b'', object),"
        " deleted_key=np.array(b'-', object),"
        " value_dtype=tf.int64)\n"
        + step("LookupTableInsertV2", keys=MISSING["string"], values=NUMBERS)
        + find(MISSING["string"][::-1], ZERO)
        + find(np.array([b"x"], object), ZERO)
        + SIZE
    ),
}


def from_file(
    data: bytes,
    key: str = "string",
    value: str = "int64",
    key_index: int = -2,
    value_index: int = -1,
    fails: bool = False,
    op: str = "InitializeTableFromTextFileV2",
    **attrs: Any,
) -> Steps:
    more = "".join(f", {k}={v!r}" for k, v in attrs.items())
    name = f"vocabulary{len(data)}.txt"
    fill = (
        f"do({op!r}, table_handle=t, filename=paths[{name!r}], key_index={key_index},"
        f" value_index={value_index}{more})\n"
    )
    keys = np.array([b"a", b"b c", b"1", b"2", b"", b"d"], object)
    asked = keys if key == "string" else np.arange(6)
    return Steps(
        made("HashTable" if "V2" not in op else "HashTableV2", key, value)
        + fill
        + find(
            asked, VALUES[value][1], "LookupTableFind" if "V2" not in op else "LookupTableFindV2"
        )
        + step("LookupTableSize" + "V2" * ("V2" in op), True),
        fails,
        files=((name, data),),
    )


LINES, COLUMNS = b"a\nb c\n1\n2\nd\n", b"a\t1\tx\nb c\t2\ty\nd\t-3\tz\n"
CASES |= {
    "file": from_file(LINES),
    "file-no-last-newline": from_file(LINES[:-1]),
    "file-carriage-returns": from_file(LINES.replace(b"\n", b"\r\n")),
    "file-blank-line": from_file(LINES + b"\n", fails=True),
    "file-part": from_file(LINES, vocab_size=3),
    "file-offset": from_file(LINES, offset=2),
    "file-longer-than-said": from_file(LINES, vocab_size=9, fails=True),
    "file-to-text": from_file(LINES, "int64", "string", -1, -2),
    "file-columns": from_file(COLUMNS, "string", "int64", 0, 1),
    "file-columns-float": from_file(COLUMNS, "string", "float32", 0, 1),
    "file-columns-text": from_file(COLUMNS, "string", "string", 2, 0),
    "file-columns-number": from_file(COLUMNS, "int64", "string", 1, 2),
    "file-delimiter": from_file(
        COLUMNS.replace(b"\t", b","), "string", "int64", 0, 1, delimiter=","
    ),
    "file-missing-column": from_file(COLUMNS, "string", "int64", 0, 3, fails=True),
    "file-not-a-number": from_file(COLUMNS, "string", "int64", 0, 2, fails=True),
    "file-twice-the-same-key": from_file(b"a\na\n", fails=True),
    "file-reference": from_file(LINES, op="InitializeTableFromTextFile"),
    "file-whole": Steps(
        "do('ReadFile', filename=paths['whole.txt'])\n", files=(("whole.txt", COLUMNS),)
    ),
}


@pytest.fixture(scope="module")
def told(oracle: Oracle) -> dict[str, Any]:
    return record(oracle, CASES)


@pytest.mark.parametrize("name", CASES)
def test_like_tensorflow(name: str, told: dict[str, Any]) -> None:
    check(CASES[name], told[name])
