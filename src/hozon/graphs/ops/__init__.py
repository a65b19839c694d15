"""Every op that Hozon runs, one table per family."""

from __future__ import annotations

from hozon.graphs.ops.array import ARRAY
from hozon.graphs.ops.audio import AUDIO
from hozon.graphs.ops.bits import BITS
from hozon.graphs.ops.blocks import BLOCKS
from hozon.graphs.ops.boxes import BOXES
from hozon.graphs.ops.cells import CELLS
from hozon.graphs.ops.colour import COLOUR
from hozon.graphs.ops.compare import COMPARE
from hozon.graphs.ops.control import CONTROL
from hozon.graphs.ops.conv import CONV
from hozon.graphs.ops.core import CORE
from hozon.graphs.ops.cross import CROSS
from hozon.graphs.ops.ctc import CTC
from hozon.graphs.ops.ctc_beam import CTC_BEAM
from hozon.graphs.ops.decode import DECODE
from hozon.graphs.ops.diagonal import DIAGONAL
from hozon.graphs.ops.fractional import FRACTIONAL
from hozon.graphs.ops.gather import GATHER
from hozon.graphs.ops.generator import GENERATOR
from hozon.graphs.ops.image import IMAGE
from hozon.graphs.ops.linalg import LINALG
from hozon.graphs.ops.lists import LISTS
from hozon.graphs.ops.loops import LOOPS
from hozon.graphs.ops.math import MATH
from hozon.graphs.ops.nn import NN
from hozon.graphs.ops.normalize import NORMALIZE
from hozon.graphs.ops.numerals import NUMERALS
from hozon.graphs.ops.parsing import PARSING
from hozon.graphs.ops.pictures import PICTURES
from hozon.graphs.ops.pool import POOL
from hozon.graphs.ops.quantize import QUANTIZE
from hozon.graphs.ops.ragged import RAGGED
from hozon.graphs.ops.random import RANDOM
from hozon.graphs.ops.rank import RANK
from hozon.graphs.ops.reduce import REDUCE
from hozon.graphs.ops.regex import REGEX
from hozon.graphs.ops.scatter import SCATTER
from hozon.graphs.ops.search import SEARCH
from hozon.graphs.ops.segment import SEGMENT
from hozon.graphs.ops.sequences import SEQUENCES
from hozon.graphs.ops.shape import SHAPE
from hozon.graphs.ops.signal import SIGNAL
from hozon.graphs.ops.slice import SLICE
from hozon.graphs.ops.sparse import SPARSE
from hozon.graphs.ops.sparse_math import SPARSE_MATH
from hozon.graphs.ops.sparse_store import SPARSE_STORE
from hozon.graphs.ops.special import SPECIAL
from hozon.graphs.ops.stateless import STATELESS
from hozon.graphs.ops.string import STRING
from hozon.graphs.ops.table import TABLE
from hozon.graphs.ops.tensorarray import TENSOR_ARRAY
from hozon.graphs.ops.text import TEXT
from hozon.graphs.ops.train import TRAIN
from hozon.graphs.ops.unicode import UNICODE
from hozon.graphs.ops.warp import WARP
from hozon.graphs.ops.xla import XLA
from hozon.graphs.ops.xla_module import XLA_MODULE
from hozon.graphs.table import merge, without_gradient

__all__ = ["OPS"]

#: Ops of numbers that TensorFlow gives no gradient, although they have one.
UNDIFFERENTIATED = (
    "FakeQuantWithMinMaxArgsGradient",
    "FakeQuantWithMinMaxVarsGradient",
    "FakeQuantWithMinMaxVarsPerChannelGradient",
    "HSVToRGB",
    "LinSpace",
    "OneHot",
    "ParameterizedTruncatedNormal",
    "ResizeBilinearGrad",
    "SparseConcat",
    "StatelessRandomPoisson",
)

_ALL = merge(
    (
        CORE,
        MATH,
        COMPARE,
        BITS,
        SPECIAL,
        REDUCE,
        RANK,
        LINALG,
        DIAGONAL,
        SEGMENT,
        SHAPE,
        ARRAY,
        SLICE,
        SEARCH,
        SCATTER,
        GATHER,
        BLOCKS,
        NN,
        POOL,
        FRACTIONAL,
        CONV,
        NORMALIZE,
        CELLS,
        CTC,
        CTC_BEAM,
        IMAGE,
        COLOUR,
        WARP,
        BOXES,
        PICTURES,
        SIGNAL,
        AUDIO,
        QUANTIZE,
        RANDOM,
        STATELESS,
        GENERATOR,
        TRAIN,
        CONTROL,
        LOOPS,
        LISTS,
        TENSOR_ARRAY,
        STRING,
        REGEX,
        NUMERALS,
        UNICODE,
        TABLE,
        RAGGED,
        SPARSE,
        SPARSE_MATH,
        CROSS,
        SPARSE_STORE,
        PARSING,
        SEQUENCES,
        DECODE,
        TEXT,
        XLA,
        XLA_MODULE,
    )
)

#: Handlers by op type; an op in two families is refused here.
OPS = without_gradient(_ALL, UNDIFFERENTIATED)
