"""What may be built from a config: the one policy that every entry point goes through.

A config is data of a stranger. Nothing in it is ever imported, run or opened here; this module
finds what asks for that and refuses the whole config, before anything of it is built.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hozon.config.lambdas import known_function
from hozon.config.sizes import largest_side, output_elements, weight_elements
from hozon.config.tagged import is_serialized
from hozon.config.upgrade import short_name
from hozon.errors import FormatError, UnsafeError
from hozon.limits import LIMITS
from hozon.typing import ConfigEntry

#: Layers that run foreign code or open paths that their config names.
FOREIGN = frozenset({"TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "KerasLayer"})
#: Functions stored as Python bytecode.
BYTECODE = frozenset({"__lambda__", "__bytecode__"})
LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"})
#: Modules whose members no model needs, and which turn a name into an action.
MODULES = frozenset(
    {
        "os",
        "posix",
        "nt",
        "sys",
        "subprocess",
        "shutil",
        "importlib",
        "pickle",
        "marshal",
        "socket",
        "ctypes",
        "runpy",
        "code",
        "codeop",
        "pty",
        "urllib",
        "requests",
        "http",
        "pathlib",
        "io",
        "tempfile",
        "webbrowser",
        "multiprocessing",
        "threading",
        "signal",
        "inspect",
        "operator",
        "functools",
        "asyncio",
        "platform",
        "timeit",
        "zipfile",
        "tarfile",
    }
)
#: Parts of Keras that fetch, read, write or unlock.
GADGETS = (
    "keras.utils",
    "keras.saving",
    "keras.config",
    "keras.models.load",
    "keras.export",
    "keras.src.utils",
    "keras.src.saving",
    "keras.src.export",
    "keras.datasets",
    "keras.callbacks",
    "keras.applications",
)
#: Sizes of layers and the most that a model may ask for; real ones stay far below.
SIZES = frozenset(
    {
        "units",
        "filters",
        "input_dim",
        "output_dim",
        "num_tokens",
        "max_tokens",
        "num_bins",
        "n",
        "depth_multiplier",
        "num_heads",
        "key_dim",
        "value_dim",
        "groups",
        "output_sequence_length",
    }
)
LARGEST = 1 << 28


@dataclass(frozen=True, slots=True)
class Policy:
    """What the caller vouches for.

    Attributes:
        custom: names of the caller's custom objects and registered ones.
        layers: names of layers that something else makes in place of their class.
        largest: the largest size that a layer may ask for.
        elements: the most elements that one weight or output may have.
    """

    custom: Collection[str] = field(default_factory=frozenset)
    layers: Collection[str] = field(default_factory=frozenset)
    largest: int = LARGEST
    elements: int = LIMITS.weight_elements


def check(config: Any, policy: Policy | None = None) -> None:
    """Raise UnsafeError if anything in a config, at any depth, must not be built.

    Raises FormatError where values nest too deeply to be a config.
    """
    policy = policy or Policy()
    for entry in _entries(config, 0):
        for rule in RULES:
            rule(entry, policy)


def is_safe(config: Any, policy: Policy | None = None) -> bool:
    """Whether `check` would let a config pass."""
    try:
        check(config, policy)
    except UnsafeError:
        return False
    return True


def _entries(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Every dictionary of a config."""
    if depth > 4 * LIMITS.nesting:
        raise FormatError("the config nests too deeply", expected=4 * LIMITS.nesting)
    if isinstance(value, Mapping):
        yield value
        for item in value.values():
            yield from _entries(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            if isinstance(item, (Mapping, list, tuple)):
                yield from _entries(item, depth + 1)


def _class_of(entry: ConfigEntry) -> str:
    return short_name(entry["class_name"]) if is_serialized(entry) else ""


def _name_of(entry: ConfigEntry) -> str:
    config = entry.get("config")
    inner = config.get("name") if isinstance(config, Mapping) else None
    return str(entry.get("name") or inner or "")


def _refuse_foreign(entry: ConfigEntry, policy: Policy) -> None:
    name = _class_of(entry)
    if name in FOREIGN and not _vouched(entry, policy):
        raise UnsafeError(
            f"layer {_name_of(entry)!r} is a {name}, which runs code or opens paths that the file "
            f"names; pass custom_objects={{{name!r}: YourLayer}} to use a class of yours instead",
            refused=name,
            record=_name_of(entry),
            allow=f"custom_objects={{{name!r}: ...}}",
        )


def _vouched(entry: ConfigEntry, policy: Policy) -> bool:
    return _class_of(entry) in policy.custom or _name_of(entry) in policy.layers


def _refuse_bytecode(entry: ConfigEntry, policy: Policy) -> None:
    if _class_of(entry) in BYTECODE - set(policy.custom):
        raise UnsafeError(
            "the config holds a function as Python bytecode, which is never run; build the model "
            "with your own function passed in custom_objects",
            refused="Python bytecode",
        )


def _refuse_lambda(entry: ConfigEntry, policy: Policy) -> None:
    if _class_of(entry) != "Lambda" or _vouched(entry, policy):
        return
    config = entry.get("config")
    function = config.get("function") if isinstance(config, Mapping) else config
    if isinstance(function, str) and function in policy.custom:
        return
    if isinstance(config, Mapping) and known_function(config) is not None:
        return
    if isinstance(function, str) and (config or {}).get("function_type") != "lambda":
        return
    name = _name_of(entry)
    raise UnsafeError(
        f"Lambda layer {name!r} holds its function as Python bytecode, which is never run; pass "
        f"custom_objects={{{name!r}: your_function}}",
        refused="Lambda",
        record=name,
        allow=f"custom_objects={{{name!r}: ...}}",
    )


def _refuse_modules(entry: ConfigEntry, policy: Policy) -> None:
    """A name that resolves to an action, were it imported; a custom object of that name is fine."""
    module = entry.get("module")
    if not isinstance(module, str) or not is_serialized(entry):
        return
    root = module.split(".", 1)[0]
    named = entry.get("config") if entry["class_name"] == "function" else entry["class_name"]
    if root == "builtins":
        unsafe = isinstance(named, str) and hasattr(builtins, named)
    else:
        unsafe = root in MODULES or module.startswith(GADGETS)
    if unsafe and str(named) not in policy.custom:
        raise UnsafeError(
            f"the config names {module}.{named}, which is no part of a model",
            refused=f"{module}.{named}",
        )


def _refuse_paths(entry: ConfigEntry, policy: Policy) -> None:
    """A vocabulary is data; a path or URL to one would be opened."""
    config = entry.get("config")
    if _class_of(entry) not in LOOKUPS or _vouched(entry, policy):
        return
    if not isinstance(config, Mapping):
        return
    for key in ("vocabulary", "idf_weights"):
        if isinstance(config.get(key), str) and config[key]:
            raise UnsafeError(
                f"{_class_of(entry)} {_name_of(entry)!r} names a file or URL as its {key}, which "
                "is never opened",
                refused=str(config[key]),
                record=_name_of(entry),
            )


def _refuse_sizes(entry: ConfigEntry, policy: Policy) -> None:
    for key in SIZES & entry.keys():
        value = entry[key]
        if isinstance(value, (int, float)) and value > policy.largest:
            raise UnsafeError(
                f"layer {entry.get('name', '')!r} asks for {key}={value}; no model needs that",
                refused=f"{key}={value}",
                record=str(entry.get("name", "")),
            )


def _refuse_sides(entry: ConfigEntry, policy: Policy) -> None:
    key, size = largest_side(entry)
    if size > policy.largest:
        raise UnsafeError(
            f"layer {entry.get('name', '')!r} asks for {key}={size}; no model needs that",
            refused=f"{key}={size}",
            record=str(entry.get("name", "")),
        )


def _refuse_products(entry: ConfigEntry, policy: Policy) -> None:
    config = entry.get("config")
    if is_serialized(entry) and isinstance(config, Mapping):
        check_weight(entry, (), policy)
        _check_elements(entry, "an output", output_elements(config), policy)


def check_weight(entry: ConfigEntry, shape: Sequence[Any], policy: Policy | None = None) -> None:
    """Raise UnsafeError if a layer would make a weight that no model has, of a known input.

    `shape` is the input's, None for unknown sizes.
    """
    config = entry.get("config")
    if isinstance(config, Mapping) and is_serialized(entry):
        elements = weight_elements(_class_of(entry), config, shape)
        _check_elements(entry, "a weight", elements, policy or Policy())


def _check_elements(entry: ConfigEntry, what: str, elements: int, policy: Policy) -> None:
    if elements > policy.elements:
        name = _name_of(entry)
        raise UnsafeError(
            f"layer {name!r} ({_class_of(entry)}) asks for {what} of {elements} elements; no model "
            "needs that",
            refused=f"{what} of {elements} elements",
            record=name,
        )


Rule = Callable[[Mapping[str, Any], Policy], None]
RULES: tuple[Rule, ...] = (
    _refuse_bytecode,
    _refuse_lambda,
    _refuse_foreign,
    _refuse_modules,
    _refuse_paths,
    _refuse_sizes,
    _refuse_sides,
    _refuse_products,
)
