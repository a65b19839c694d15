"""``XlaCallModule``: a StableHLO module inside a graph, as jax2tf and Keras's JAX export make it.

The calling convention is that of tensorflow/compiler/tf2xla/ops/xla_ops.cc and of ``jax.export``
(docs/export: module calling convention). Versions 5 and later have no dimension arguments.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import jax
import jax.numpy as jnp

from hozon.errors import FormatError
from hozon.graphs.table import Kernel, NodeView, OpTable

XLA_MODULE = OpTable("xla_module")

VERSIONS = range(4, 11)


@XLA_MODULE.op("XlaCallModule")
def call_module(node: NodeView) -> Kernel:
    """Runs the module for the shapes of the arguments; its declared result shapes are not used."""
    version = int(node.attr("version"))
    if version not in VERSIONS:
        raise node.refuse(f"calling convention {version}; versions 4 to 10 are known")
    if node.attr("function_list"):
        raise node.refuse("a module that calls back into functions of the graph")
    for name in ("disabled_checks", "use_shardy_partitioner", "Sout"):
        node.attr(name)  # of placement and checks
    module = _modules(node).Module(
        bytes(node.attr("module")),
        tuple(p.decode().lower() for p in node.attr("platforms")),
        tuple(_dimension(node, spec.decode()) for spec in node.attr("dim_args_spec")),
        tuple(dtype.numpy for dtype in node.dtypes("Tout")),
    )
    run = module.caller()
    return lambda *arguments: run(*map(jnp.asarray, arguments))


def _modules(node: NodeView) -> ModuleType:
    """Loaded when a graph needs it: it depends on the inside of JAX, which changes."""
    try:
        return import_module("hozon.graphs._jax")
    except (ImportError, AttributeError) as error:
        raise node.refuse(f"JAX {jax.__version__} does not let modules in: {error}") from error


def _dimension(node: NodeView, spec: str) -> tuple[int, int]:
    argument, dot, axis = spec.partition(".")
    if not (dot and argument.isdecimal() and axis.isdecimal()):
        raise FormatError(f"node {node.name!r} (XlaCallModule): dim_args_spec {spec!r}")
    return int(argument), int(axis)
