"""Texts to indices or vectors: standardize, split, combine, look up."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from hozon.config.text_layers.encode import (
    COUNT,
    INT,
    MULTI_HOT,
    TF_IDF,
    mode_of,
    padded,
    padded_vectors,
)
from hozon.config.text_layers.host import Array, HostLayer, batches_of, object_array, to_bytes
from hozon.config.text_layers.lookup import IndexLookup, StringLookup
from hozon.errors import MismatchError, MissingObjectError, UnsupportedError
from hozon.typing import Config, Shape

register = keras.saving.register_keras_serializable(package="hozon")
PUNCTUATION = string.punctuation.encode()
Words = list[bytes]


def _strip(text: bytes) -> bytes:
    return text.translate(None, PUNCTUATION)


def _characters(text: bytes) -> Words:
    return [character.encode() for character in text.decode("utf-8", "replace")]


#: TensorFlow lowers ASCII letters only.
STANDARDIZE: Mapping[str, Callable[[bytes], bytes]] = {
    "lower_and_strip_punctuation": lambda text: _strip(text.lower()),
    "lower": bytes.lower,
    "strip_punctuation": _strip,
}
SPLIT: Mapping[str, Callable[[bytes], Words]] = {
    "whitespace": bytes.split,
    "character": _characters,
}


@register
class TextVectorization(HostLayer):
    """Texts, shape (batch,) or (batch, 1), to indices (batch, length) or vectors (batch, depth).

    `standardize` and `split` may be functions of yours: of an object array of ``bytes`` to one of
    the same shape, and to a list of lists of ``bytes``.
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        ngrams: Any = None,
        output_mode: Any = INT,
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        vocabulary_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("dtype", None)
        given = bool(kwargs.pop("has_input_vocabulary", vocabulary is not None))
        modes = (INT, MULTI_HOT, COUNT, TF_IDF)
        self.output_mode = None if output_mode is None else mode_of(output_mode, modes)
        super().__init__(dtype="int64" if self.output_mode in (INT, None) else "float32", **kwargs)
        self.supports_jit = False
        self.standardize = _known(standardize, STANDARDIZE, "standardize")
        self.split = _known(split, SPLIT, "split")
        self.ngrams = ngrams if ngrams is None or isinstance(ngrams, int) else tuple(ngrams)
        self.output_sequence_length = output_sequence_length
        if ragged or (output_mode is None and not self._is_dense):
            raise UnsupportedError(f"layer {self.name!r} gives ragged tensors; JAX has none")
        # Files name the layer that has the vocabulary by this attribute, as in Keras.
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            mask_token="",
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            output_mode=self.output_mode or INT,
            sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens,
            vocabulary_size=vocabulary_size,
            encoding=encoding,
            has_input_vocabulary=given,
        )

    def save_own_variables(self, store: Any) -> None:
        """Those of the layer inside, which Keras keeps here too."""
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Any) -> None:
        """Take what `save_own_variables` gave."""
        self._lookup_layer.load_own_variables(store)

    @property
    def _is_dense(self) -> bool:
        """Whether all texts have equally many tokens: those that they came with."""
        return self.split is None and self.ngrams is None

    def load_vocabulary(self, tokens: Any, idf: Any = None) -> None:
        """Take a vocabulary; see `IndexLookup.load_vocabulary`."""
        self._lookup_layer.load_vocabulary(tokens, idf)

    set_vocabulary = load_vocabulary

    def load_table(self, keys: Any, values: Any) -> None:
        """Take the entries of a table; see `IndexLookup.load_table`."""
        self._lookup_layer.load_table(keys, values)

    def load_idf(self, idf: Any) -> None:
        """Take the weights of "tf_idf"; see `IndexLookup.load_idf`."""
        self._lookup_layer.load_idf(idf)

    def vocabulary_size(self) -> int:
        """Number of indices."""
        return self._lookup_layer.vocabulary_size()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The tokens in order of their indices."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Make a vocabulary of texts, the most frequent token first.

        Args:
            data: an array or list of texts, or an iterable of such, as of a data set.
            batch_size: as in Keras; it changes nothing.
            steps: how many batches of an iterable count; None for all.
        """
        batches = (self._of_documents(to_bytes(batch)) for batch in batches_of(data, steps))
        self._lookup_layer.adapt_documents(row for batch in batches for row in self.words(batch))

    def _of_documents(self, texts: Array) -> Array:
        """A batch to adapt to, in which a text that is not split is a document of its own."""
        return texts[:, None] if self.split is None and texts.ndim == 1 else texts

    def words(self, texts: Array) -> list[Words]:
        """The tokens of each text: standardized, split, combined."""
        texts = self._standardized(texts)
        if self.split is None:
            rows = [row.reshape(-1).tolist() for row in np.atleast_2d(texts)]
        else:
            rows = self._rows(texts)
        widths = self.widths()
        return rows if widths is None else [_combined(row, widths) for row in rows]

    def _standardized(self, texts: Array) -> Array:
        if self.standardize is None:
            return texts
        if callable(self.standardize):
            return to_bytes(self.standardize(texts))
        function = STANDARDIZE[self.standardize]
        return object_array([function(text) for text in texts.reshape(-1).tolist()], texts.shape)

    def _rows(self, texts: Array) -> list[Words]:
        if texts.ndim > 1 and texts.shape[-1] != 1:
            raise MismatchError(
                f"layer {self.name!r} splits texts of shape (batch,) or (batch, 1), "
                f"not {texts.shape}"
            )
        if callable(self.split):
            return [list(to_bytes(row)) for row in self.split(texts.reshape(-1))]
        function = SPLIT[self.split]
        return [function(text) for text in texts.reshape(-1).tolist()]

    def widths(self) -> tuple[int, ...] | None:
        if isinstance(self.ngrams, int):
            return tuple(range(1, self.ngrams + 1))
        return self.ngrams

    def require_vocabulary(self) -> None:
        """Raise MismatchError unless there is what a call needs."""
        if self.output_mode is not None:
            self._lookup_layer.require_vocabulary(self.name)

    def require_sizes(self) -> None:
        """Raise MismatchError where vectors have a length that the vocabulary tells."""
        if self.output_mode is not None:
            self._lookup_layer.require_sizes(self.name)

    def compute(self, inputs: Any) -> Array:
        """Indices or vectors of texts."""
        texts = to_bytes(inputs)
        if self.output_mode is None:
            return self._standardized(texts)
        rows = [self._lookup_layer.indices(object_array(row)) for row in self.words(texts)]
        if self.output_mode == INT:
            outputs = padded(rows, self.output_sequence_length).astype(self.output_dtype)
        else:
            outputs = padded_vectors(
                rows,
                self.output_mode,
                self._lookup_layer.depth or 0,
                np.dtype(self.output_dtype),
                self._lookup_layer.idf,
            )
        if self.split is None and texts.ndim == 0 and self.output_mode == INT:
            return outputs.reshape(())
        return outputs[0] if texts.ndim < self._rank else outputs

    @property
    def _rank(self) -> int:
        """The axes of a batch of texts: of those that are not split, their tokens' as well."""
        return 2 if self.split is None else 1

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Batch, and the length of sequences or the depth of vectors, None where unknown."""
        if self.output_mode is None:
            return tuple(input_shape)
        lead = tuple(input_shape[:1]) if len(input_shape) >= self._rank else ()
        if self.output_mode != INT:
            return (*lead, self._lookup_layer.depth)
        length = self.output_sequence_length
        if length is None and self._is_dense and input_shape:
            length = input_shape[-1]
        return (*lead, length)

    @property
    def output_dtype(self) -> str:
        """Indices, vectors, or strings without an output mode."""
        return "string" if self.output_mode is None else str(self.compute_dtype)

    def get_config(self) -> Config:
        """Constructor arguments, the vocabulary among them."""
        inner = self._lookup_layer.get_config()
        config = {
            key: inner[key]
            for key in (
                "max_tokens",
                "pad_to_max_tokens",
                "vocabulary",
                "idf_weights",
                "sparse",
                "encoding",
                "vocabulary_size",
                "has_input_vocabulary",
            )
        }
        outer = super().get_config()
        outer.pop("dtype", None)
        return {
            **outer,
            **config,
            "standardize": self.standardize,
            "split": self.split,
            "ngrams": self.ngrams,
            "output_mode": self.output_mode,
            "ragged": False,
            "output_sequence_length": self.output_sequence_length,
        }


def lookup_of(layer: keras.Layer) -> IndexLookup:
    """The layer that has the vocabulary: the one inside a TextVectorization, or the layer itself."""
    found: IndexLookup = getattr(layer, "_lookup_layer", layer)
    return found


def _known(value: Any, names: Mapping[str, Any], argument: str) -> Any:
    """A known name, a function of the caller, or None."""
    if value is None or callable(value) or (isinstance(value, str) and value in names):
        return value
    name = value["config"] if isinstance(value, Mapping) and "config" in value else value
    raise MissingObjectError(
        f"TextVectorization has a function of its own as {argument}", names=[f"{name!s:.100}"]
    )


def _combined(words: Words, widths: tuple[int, ...]) -> Words:
    """Every run of neighbours of each width, joined by spaces."""
    return [
        b" ".join(words[i : i + width]) for width in widths for i in range(len(words) - width + 1)
    ]
