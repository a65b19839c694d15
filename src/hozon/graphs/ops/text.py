"""Ops of the library ``tensorflow_text`` that need nothing but Unicode's tables.

Their definitions are not in TensorFlow's registry; names and attributes are those of
tensorflow_text/core/ops/normalize_ops.cc.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value

TEXT = OpTable("text")

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
FORMS: dict[str, Form] = {"NFC": "NFC", "NFD": "NFD", "NFKC": "NFKC", "NFKD": "NFKD"}


def _each(change: Callable[[str], str]) -> Kernel:
    """A kernel that changes every text; ill-formed UTF-8 becomes U+FFFD, as in ICU."""

    def one(text: bytes) -> bytes:
        return change(text.decode("utf-8", "replace")).encode()

    def kernel(texts: Value) -> Value:
        given = np.asarray(texts, object)
        changed = np.empty(given.shape, object)
        changed.reshape(-1)[:] = [one(text) for text in given.reshape(-1).tolist()]
        return changed

    return kernel


@TEXT.op("NormalizeUTF8", host=True)
def normalize(node: NodeView) -> Kernel:
    """The normalization form that attribute ``normalization_form`` names, NFKC by default."""
    name: Any = node.text("normalization_form") if node.has("normalization_form") else "NFKC"
    if name not in FORMS:
        raise node.refuse(f"normalization form {name!r}")
    form = FORMS[name]
    return _each(lambda text: unicodedata.normalize(form, text))


@TEXT.op("CaseFoldUTF8", host=True)
def case_fold(node: NodeView) -> Kernel:
    """NFKC with case folding: what is folded is normalized, and both once more."""

    def fold(text: str) -> str:
        normal = unicodedata.normalize("NFKC", text).casefold()
        return unicodedata.normalize("NFKC", normal.replace("\u00ad", "")).casefold()

    return _each(fold)
