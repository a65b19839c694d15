"""All rules, in one list."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hozon.graphs.emit.arithmetic import ARITHMETIC
from hozon.graphs.emit.contract import CONTRACT
from hozon.graphs.emit.control import CONTROL
from hozon.graphs.emit.conversions import CONVERSIONS
from hozon.graphs.emit.convolve import CONVOLVE
from hozon.graphs.emit.custom import differentiated
from hozon.graphs.emit.elementwise import ELEMENTWISE
from hozon.graphs.emit.gamma import GAMMA
from hozon.graphs.emit.index import INDEX
from hozon.graphs.emit.linalg import LINALG
from hozon.graphs.emit.loops import LOOPS
from hozon.graphs.emit.platform import PLATFORM
from hozon.graphs.emit.random import RANDOM
from hozon.graphs.emit.reduce import REDUCE
from hozon.graphs.emit.rules import Rule, merge
from hozon.graphs.emit.scatter import SCATTER
from hozon.graphs.emit.shapes import SHAPES
from hozon.graphs.emit.slices import SLICES
from hozon.graphs.emit.special import SPECIAL
from hozon.graphs.emit.windows import WINDOWS

#: Primitives whose derivative is not that of their ops: at a kink, where values are equal, or, for
#: a remainder, everywhere.
DERIVED = ("abs", "clamp", "cummax", "cummin", "cumprod", "max", "min", "rem")
_ALL = merge(
    [
        ARITHMETIC,
        CONTRACT,
        CONTROL,
        CONVERSIONS,
        CONVOLVE,
        ELEMENTWISE,
        GAMMA,
        INDEX,
        LINALG,
        LOOPS,
        PLATFORM,
        RANDOM,
        REDUCE,
        SCATTER,
        SHAPES,
        SLICES,
        SPECIAL,
        WINDOWS,
    ]
)
#: Every primitive with native TensorFlow ops.
PRIMITIVES: Mapping[str, Rule] = MappingProxyType(
    {**_ALL, **{name: differentiated(_ALL[name]) for name in DERIVED}}
)
