"""Text: a weight for each word and each pair of words, by how often a row has it (tf-idf).

Words are what scikit-learn's `TfidfVectorizer` takes for words: two letters, digits or underscores
or more, in lower case. A row's amount of a word, or of two words in a row, is how often it has it
times ln((1 + rows) / (1 + rows with it)) + 1, and the amounts of a row have the Euclidean length 1.

While a table is read, words are counted in 2²¹ buckets by their hash, so that memory is bounded;
words that share a bucket count as one. Those of the most rows become features.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_WORDS", "MOST_WORDS_ASKED", "TextColumn", "TextProfile", "words_of"]

MOST_WORDS = 1 << 15  # features of a column, unless others are asked for
MOST_WORDS_ASKED = 1 << 17
MOST_IN_ROW = 256  # of them, those that weigh most
_BUCKETS = 1 << 21
_LONGEST = 60  # characters that are kept of a word's name
_WORD = r"\b\w\w+\b"


def words_of(text: pl.Series) -> pl.DataFrame:
    """Return which words, and pairs of words in a row, each row has, and how often.

    Parameters
    ----------
    text : polars.Series
        Text; a missing one has no words.

    Returns
    -------
    polars.DataFrame
        Columns `row`, `word` and `n`, in no order.

    Examples
    --------
    >>> words_of(pl.Series(["not good", None])).sort("word").rows()
    [(0, 'good', 1), (0, 'not', 1), (0, 'not good', 1)]
    """
    tokens = text.cast(pl.String).fill_null("").str.to_lowercase().str.extract_all(_WORD)
    single = (
        pl.DataFrame({"row": np.arange(text.len(), dtype=np.int64), "word": tokens})
        .explode("word")
        .drop_nulls()
    )
    after = single.select(pl.all().shift(-1).name.prefix("next_"))
    pairs = (
        pl.concat([single, after], how="horizontal")
        .filter(pl.col("row") == pl.col("next_row"))
        .select("row", word=pl.col("word") + " " + pl.col("next_word"))
    )
    return pl.concat([single, pairs]).group_by("row", "word").agg(n=pl.len())


def _in_buckets(words: pl.DataFrame) -> pl.DataFrame:
    """Add the bucket of each word: BLAKE2b, the same everywhere."""
    distinct = words["word"].unique()
    buckets = [
        int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little") % _BUCKETS
        for word in distinct.to_list()
    ]
    of_words = pl.DataFrame({"word": distinct, "bucket": pl.Series(buckets, dtype=pl.Int64)})
    return words.join(of_words, on="word")


def _simplicity(word: str) -> tuple[int, int, str]:
    """Return what words that share a bucket are ordered by: the first gives it its name."""
    return word.count(" "), len(word), word


@dataclass
class TextProfile:
    """What is known of a column of text.

    Attributes
    ----------
    column : str
        Its name.
    rows, missing, first_missing : int
        Rows; how many have no text, and the first of them.
    counts : dict of int
        By bucket, the rows that have a word of it.
    names : dict of str
        By bucket, a word of it: a single one if there is one, the shortest, the first in
        alphabetical order, whichever rows come first.
    most : int
        The most buckets that a row has.
    """

    column: str
    rows: int = 0
    missing: int = 0
    first_missing: int = -1
    counts: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    most: int = 0

    def add(self, series: pl.Series, rows: NDArray[np.int64], _y: Any = None) -> None:
        """Add the next rows, which have these numbers in the table."""
        self.rows += series.len()
        gone = series.null_count()
        if gone:
            if self.first_missing < 0:
                self.first_missing = int(rows[series.is_null().arg_max() or 0])
            self.missing += gone
        words = _in_buckets(words_of(series))
        own = words.group_by("row").agg(pl.col("bucket").n_unique())
        self.most = max(self.most, *own["bucket"].to_list(), 0)
        found = words.group_by("bucket").agg(pl.col("row").n_unique(), pl.col("word").unique())
        names = [min(each, key=_simplicity) for each in found["word"].to_list()]
        self._add(found["bucket"].to_list(), found["row"].to_list(), names)

    def merge(self, other: TextProfile, shift: int, *, mirrored: bool = False) -> None:
        """Add what is known of later rows, whose numbers are counted from `shift`."""
        del mirrored  # nothing here goes with the target
        if self.first_missing < 0 <= other.first_missing:
            self.first_missing = other.first_missing + shift
        self.missing += other.missing
        self.rows += other.rows
        self.most = max(self.most, other.most)
        names = [other.names[bucket] for bucket in other.counts]
        self._add(list(other.counts), list(other.counts.values()), names)

    def _add(self, buckets: list[int], counts: list[int], words: list[str]) -> None:
        for bucket, n, word in zip(buckets, counts, words, strict=True):
            self.counts[bucket] = self.counts.get(bucket, 0) + n
            self.names[bucket] = min(
                word[:_LONGEST], self.names.get(bucket, word[:_LONGEST]), key=_simplicity
            )

    def column_of(self, most_words: int) -> TextColumn:
        """Return the column that it becomes: of the words that more than one row has, if any."""
        chosen = [bucket for bucket, n in self.counts.items() if n > 1] or list(self.counts)
        chosen.sort(key=lambda bucket: (-self.counts[bucket], bucket))
        chosen = sorted(chosen[:most_words])
        return TextColumn(
            self.column, self.rows, max(1, min(self.most, MOST_IN_ROW)), tuple(chosen),
            tuple(self.counts[bucket] for bucket in chosen),
            tuple(self.names[bucket] for bucket in chosen),
        )  # fmt: skip


@dataclass(frozen=True)
class TextColumn:
    """A column of text: a feature for each word, and for two in a row, that counts.

    Attributes
    ----------
    source : str
        The column.
    rows : int
        Rows that words were counted in.
    width : int
        Words that a row may have; of more those that weigh most.
    buckets, counts : tuple of int
        The hash of each feature's word, in rising order, and the rows that have it.
    words : tuple of str
        What the features are called.
    """

    source: str
    rows: int
    width: int
    buckets: tuple[int, ...]
    counts: tuple[int, ...]
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the column is called."""
        return self.source

    @property
    def group(self) -> str:
        """What it counts as a part of, where importance is told."""
        return self.source

    @property
    def size(self) -> int:
        """How many features it has."""
        return len(self.buckets)

    @cached_property
    def names(self) -> list[str]:
        """What the features are called: ``comment: not good``."""
        return [f"{self.source}: {word}" for word in self.words]

    @cached_property
    def _idf(self) -> NDArray[np.float64]:
        return np.asarray(np.log((1.0 + self.rows) / (1.0 + np.array(self.counts)))) + 1.0

    def amounts(self, text: pl.Series) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return for each row the features that it has, -1 for no more, and their amounts.

        Parameters
        ----------
        text : polars.Series
            Text of n rows.

        Returns
        -------
        features : ndarray of shape (n, width)
        amounts : ndarray of shape (n, width)
        """
        n = text.len()
        features = np.full((n, self.width), -1, np.int32)
        amounts = np.zeros((n, self.width))
        known = pl.DataFrame({
            "bucket": pl.Series(self.buckets, dtype=pl.Int64),
            "feature": np.arange(self.size, dtype=np.int32), "idf": self._idf,
        })  # fmt: skip
        found = (
            _in_buckets(words_of(text))
            .group_by("row", "bucket")
            .agg(pl.col("n").sum())
            .join(known, on="bucket")
            .select("row", "feature", amount=pl.col("n") * pl.col("idf"))
            .sort("row", "feature")
        )
        if not found.height:
            return features, amounts
        found = found.with_columns(
            rank=pl.col("amount").rank("ordinal", descending=True).over("row")
        ).filter(pl.col("rank") <= self.width)
        row, amount = found["row"].to_numpy(), found["amount"].to_numpy()
        begins = np.flatnonzero(np.diff(row, prepend=-1))
        sizes = np.diff(np.append(begins, row.size))
        place = np.arange(row.size) - np.repeat(begins, sizes)
        length = np.sqrt(np.add.reduceat(amount * amount, begins))
        features[row, place] = found["feature"].to_numpy()
        amounts[row, place] = amount / np.repeat(length, sizes)
        return features, amounts

    def check(self) -> bool:
        """Tell whether there is a word for each bucket, in order, and the width is one."""
        rising = all(a < b for a, b in zip(self.buckets, self.buckets[1:], strict=False))
        return (
            rising
            and 0 < len(self.buckets) == len(self.counts) == len(self.words) <= MOST_WORDS_ASKED
            and self.buckets[0] >= 0
            and self.buckets[-1] < _BUCKETS
            and all(0 < n <= self.rows for n in self.counts)
            and 1 <= self.width <= MOST_IN_ROW
        )
