"""Vocabularies: tokens to indices and back (tf_keras ``index_lookup``).

Indices start with the mask token's 0 (where there is one and the outputs are indices), then the
indices for unknown tokens, then the tokens in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from hozon.config.text_layers.encode import (
    COUNT,
    INT,
    MULTI_HOT,
    NOTHING,
    ONE_HOT,
    TF_IDF,
    encode,
    encoded_shape,
    mode_of,
)
from hozon.config.text_layers.hashes import bucket_of, salt_of
from hozon.config.text_layers.host import (
    Array,
    HostLayer,
    batches_of,
    decoded,
    encoded,
    no_sparse,
    object_array,
    to_bytes,
)
from hozon.errors import MismatchError, UnsafeError
from hozon.typing import Config, Shape

register = keras.saving.register_keras_serializable(package="hozon")
MODES = (INT, ONE_HOT, MULTI_HOT, COUNT, TF_IDF)
#: How several indices are shared by integers that are not in a vocabulary.
MODULO, HASHED = "floormod", "farmhash"
#: What Keras calls strings that are not in a vocabulary.
UNKNOWN = "[UNK]"
#: What the weights of "tf_idf" are called in Keras' files.
IDF_KEY = "idf_weights"
#: Keys of old configs that say nothing here.
DROPPED = ("has_static_table", "vocabulary_dtype")


class IndexLookup(HostLayer):
    """What StringLookup and IntegerLookup share; see the module."""

    key_dtype: str

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: Any = None,
        oov_token: Any = None,
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = INT,
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        vocabulary_size: int | None = None,
        oov_method: str = MODULO,
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        for key in DROPPED:
            kwargs.pop(key, None)
        #: Whether the vocabulary is part of the config, not learned or set later.
        self.has_input_vocabulary = bool(kwargs.pop("has_input_vocabulary", vocabulary is not None))
        self.output_mode = mode_of(output_mode, MODES)
        kwargs["dtype"] = self._dtype(kwargs.get("dtype"))
        super().__init__(**kwargs)
        self.max_tokens, self.num_oov_indices = max_tokens, int(num_oov_indices)
        self.mask_token, self.oov_token = self._key(mask_token), self._key(oov_token)
        self.invert, self.sparse = bool(invert), no_sparse(self.name, sparse)
        self.pad_to_max_tokens = bool(pad_to_max_tokens)
        self._expected_size = vocabulary_size
        self.oov_method, self.salt = oov_method or MODULO, salt_of(salt, self.name)
        if self.oov_method not in (MODULO, HASHED):
            raise MismatchError(
                f"layer {self.name!r} has oov_method {oov_method!r}; there are {MODULO}, {HASHED}"
            )
        if self.salt is not None and not self.hashes_unknown:
            raise MismatchError(
                f"layer {self.name!r} has a salt, but finds integers by oov_method={MODULO!r}"
            )
        self.tokens: list[Any] = []
        self.idf: Array | None = None
        self._table: dict[Any, int] = {}
        if vocabulary is not None:
            self.load_vocabulary(vocabulary, idf_weights)

    def _dtype(self, dtype: Any) -> Any:
        """Indices are int64 and vectors floats, whatever older versions wrote."""
        if dtype is None or dtype == "string" or (self.output_mode != INT and dtype == "int64"):
            return "int64" if self.output_mode == INT else keras.config.floatx()
        return dtype

    def _key(self, token: Any) -> Any:
        """A token as it is looked up."""
        raise NotImplementedError

    @property
    def hashes_unknown(self) -> bool:
        """Whether a hash spreads unknown keys over their indices, not the remainder."""
        return self.key_dtype == "string" or self.oov_method == HASHED

    @property
    def oov_start(self) -> int:
        return 1 if self.mask_token is not None and self.output_mode == INT else 0

    @property
    def token_start(self) -> int:
        return self.oov_start + self.num_oov_indices

    @property
    def _special(self) -> list[Any]:
        return [self.mask_token] * self.oov_start + [self.oov_token] * self.num_oov_indices

    @property
    def depth(self) -> int | None:
        """Length of the vectors of all modes but "int", None while there is no vocabulary."""
        if self.pad_to_max_tokens:
            return self.max_tokens
        return self.vocabulary_size() if self.tokens else self._expected_size

    def load_vocabulary(self, tokens: Sequence[Any], idf: Any = None) -> None:
        """Take a vocabulary, with or without the special tokens at its start.

        Args:
            tokens: in order of their indices.
            idf: for "tf_idf", a weight for each of `tokens`, or for each index.

        Raises:
            UnsafeError: `tokens` is a path.
            MismatchError: a token is there twice, or there are more than `max_tokens`.
        """
        if isinstance(tokens, (str, bytes)):
            raise UnsafeError(
                f"layer {self.name!r} names the file of its vocabulary, which is never opened",
                refused=str(decoded(tokens)),
                record=self.name,
            )
        given = [self._key(token) for token in np.asarray(tokens).tolist()]
        start = self.token_start
        whole = start > 0 and given[:start] == self._special
        self.tokens = given[start:] if whole else given
        self._table = {token: start + i for i, token in enumerate(self.tokens)}
        if len(self._table) != len(self.tokens):
            raise MismatchError(f"the vocabulary of layer {self.name!r} repeats tokens")
        if self.max_tokens is not None and start + len(self.tokens) > self.max_tokens:
            raise MismatchError(
                f"the vocabulary of layer {self.name!r} has {start + len(self.tokens)} entries, "
                f"more than max_tokens={self.max_tokens}"
            )
        if idf is not None and self.output_mode == TF_IDF:
            self.load_idf(idf)

    set_vocabulary = load_vocabulary

    def load_table(self, keys: Sequence[Any], values: Sequence[Any]) -> None:
        """Take the entries of a table: tokens and their indices; the other way if `invert`.

        Raises MismatchError unless the indices follow each other from where tokens start.
        """
        pairs = zip(values, keys, strict=True) if self.invert else zip(keys, values, strict=True)
        start = self.token_start
        found = sorted((int(index), token) for token, index in pairs if int(index) >= start)
        if [index for index, _ in found] != list(range(start, start + len(found))):
            raise MismatchError(
                f"the table of layer {self.name!r} has indices with gaps or twice",
                mismatches=[f"tokens have indices from {start} on"],
            )
        self.load_vocabulary([token for _, token in found])

    def load_idf(self, idf: Any) -> None:
        """Take the weights of "tf_idf": one for each index, or for each token.

        Special tokens without weights get the average, indices up to `max_tokens` zero.
        """
        weights = np.asarray(idf, np.float64).reshape(-1)
        if len(weights) == len(self.tokens) and self.token_start:
            front = np.full(self.token_start, weights.mean() if len(weights) else 0.0)
            weights = np.concatenate([front, weights])
        if self.tokens and len(weights) not in (self.vocabulary_size(), self.depth):
            raise MismatchError(
                f"layer {self.name!r} has {len(weights)} weights for a vocabulary of "
                f"{len(self.tokens)} tokens"
            )
        missing = (self.depth or 0) - len(weights)
        self.idf = np.pad(weights, (0, max(0, missing))).astype(self.compute_dtype)

    def vocabulary_size(self) -> int:
        """Number of indices, those of special tokens included."""
        return self.token_start + len(self.tokens)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens in order of their indices; strings as text."""
        special = self._special if include_special_tokens else []
        return [decoded(token) for token in (*special, *self.tokens)]

    def require_vocabulary(self, of: str = "") -> None:
        """Raise MismatchError unless there is what a call needs; `of`: the layer to name."""
        name = of or self.name
        if not self.tokens:
            raise MismatchError(
                f"layer {name!r} has no vocabulary yet: adapt it, or call set_vocabulary"
            )
        if self.output_mode == TF_IDF and self.idf is None:
            raise MismatchError(f"layer {name!r} has no idf_weights for its vocabulary")

    def require_sizes(self, of: str = "") -> None:
        """Raise MismatchError where vectors have a length that the vocabulary tells."""
        if self.output_mode != INT and self.depth is None:
            self.require_vocabulary(of)

    def compute(self, inputs: Any) -> Array:
        """Indices, vectors, or tokens of `inputs`."""
        if self.invert:
            return self._inverted(np.asarray(inputs))
        return self.encode(self.indices(inputs))

    def encode(self, indices: Array) -> Array:
        """Indices in the output mode."""
        return encode(
            indices, self.output_mode, self.depth or 0, np.dtype(self.output_dtype), self.idf
        )

    def indices(self, values: Any) -> Array:
        """The index of each value, int64; `NOTHING` for the mask token where it has none."""
        keys = self._keys(values)
        flat = keys.reshape(-1).tolist()
        found = np.fromiter((self._table.get(key, -1) for key in flat), np.int64, len(flat))
        if self.mask_token is not None:
            masked = np.fromiter((key == self.mask_token for key in flat), bool, len(flat))
            found[masked] = 0 if self.output_mode == INT else NOTHING
        for at in np.flatnonzero(found == -1).tolist():
            found[at] = self._unknown(flat[at])
        return found.reshape(keys.shape)

    def _keys(self, values: Any) -> Array:
        raise NotImplementedError

    def _unknown(self, key: Any) -> int:
        """The index of a token that is not in the vocabulary."""
        if self.num_oov_indices == 0:
            raise MismatchError(
                f"layer {self.name!r} has no {decoded(key)!r} in its vocabulary, "
                "and num_oov_indices=0"
            )
        if self.num_oov_indices == 1:
            return self.oov_start
        if not self.hashes_unknown:
            return self.oov_start + int(key) % self.num_oov_indices
        text = key if isinstance(key, bytes) else encoded(str(key))
        return self.oov_start + bucket_of(text, self.num_oov_indices, self.salt)

    def _inverted(self, indices: Array) -> Array:
        """Tokens by index, the unknown token for what has none."""
        names = dict(enumerate(self.tokens, self.token_start))
        if self.mask_token is not None:
            names[0] = self.mask_token
        flat = [names.get(i, self.oov_token) for i in indices.reshape(-1).tolist()]
        if self.key_dtype == "string":
            return object_array(flat, indices.shape)
        return np.asarray(flat, np.int64).reshape(indices.shape)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Shape of the outputs, None for an unknown size of the vocabulary."""
        return encoded_shape(tuple(input_shape), self.output_mode, self.depth)

    @property
    def output_dtype(self) -> str:
        """The vocabulary's dtype where tokens are the outputs."""
        return self.key_dtype if self.invert else str(self.compute_dtype)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Make a vocabulary of data: its tokens, the most frequent first.

        Args:
            data: an array or list of tokens, or an iterable of such, as of a data set.
            batch_size: as in Keras; it changes nothing.
            steps: how many batches of an iterable count; None for all.
        """
        self.adapt_documents(row for batch in batches_of(data, steps) for row in self._keys(batch))

    def adapt_documents(self, documents: Any) -> None:
        """Make a vocabulary of documents, each a sequence of tokens.

        Of equally frequent tokens the greater one comes first.
        """
        rows = [np.asarray(row, object).reshape(-1).tolist() for row in documents]
        counts = Counter(token for row in rows for token in row)
        counts.pop(self.mask_token, None)
        counts.pop(self.oov_token, None)
        tokens = sorted(counts, key=lambda token: (counts[token], token), reverse=True)
        if self.max_tokens:
            tokens = tokens[: self.max_tokens - self.token_start]
        self.load_vocabulary(tokens)
        if self.output_mode == TF_IDF:
            present = Counter(token for row in rows for token in set(row))
            self.load_idf([np.log(1 + len(rows) / (1 + present[token])) for token in tokens])

    def save_own_variables(self, store: Any) -> None:
        """The weights of "tf_idf", as Keras' files have them beside the vocabulary."""
        if self.output_mode == TF_IDF and self.idf is not None:
            store[IDF_KEY] = self.idf

    def load_own_variables(self, store: Any) -> None:
        """Take what `save_own_variables` gave."""
        if self.output_mode == TF_IDF and IDF_KEY in store:
            self.load_idf(store[IDF_KEY])

    def get_config(self) -> Config:
        """Constructor arguments, the vocabulary among them: special tokens too if they have weights."""
        return {
            **super().get_config(),
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "mask_token": decoded(self.mask_token),
            "oov_token": decoded(self.oov_token),
            "invert": self.invert,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "oov_method": self.oov_method,
            "salt": self.salt,
            "vocabulary": self.get_vocabulary(self.idf is not None) or None,
            "idf_weights": None
            if self.idf is None
            else self.idf[: self.vocabulary_size()].tolist(),
            "vocabulary_size": self.vocabulary_size() if self.tokens else self._expected_size,
            "has_input_vocabulary": self.has_input_vocabulary,
        }


@register
class StringLookup(IndexLookup):
    """Strings to indices, or back."""

    key_dtype = "string"

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: Any = None,
        oov_token: Any = UNKNOWN,
        encoding: str = "utf-8",
        **kwargs: Any,
    ) -> None:
        super().__init__(max_tokens, num_oov_indices, mask_token, oov_token, **kwargs)
        self.encoding = encoding
        self.supports_jit = False

    def _key(self, token: Any) -> Any:
        return token if token is None or isinstance(token, bytes) else encoded(str(token))

    def _keys(self, values: Any) -> Array:
        return to_bytes(values)

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {**super().get_config(), "encoding": self.encoding}


@register
class IntegerLookup(IndexLookup):
    """Integers to indices, or back."""

    key_dtype = "int64"

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: Any = None,
        oov_token: Any = -1,
        **kwargs: Any,
    ) -> None:
        max_tokens = kwargs.pop("max_values", max_tokens)
        mask_token = kwargs.pop("mask_value", mask_token)
        oov_token = kwargs.pop("oov_value", oov_token)
        super().__init__(max_tokens, num_oov_indices, mask_token, oov_token, **kwargs)

    def _key(self, token: Any) -> Any:
        try:
            return None if token is None else int(token)
        except (TypeError, ValueError) as error:
            raise MismatchError(f"a vocabulary of integers holds {token!r}") from error

    def _keys(self, values: Any) -> Array:
        return np.asarray(values).astype(np.int64)
