"""Text: a weight for each word and each pair of words, by how often a row has it (tf-idf).

Words are what scikit-learn's `TfidfVectorizer` takes for words: two letters, digits or underscores
or more, in lower case. A row's amount of a word, or of two words in a row, is how often it has it
times ln((1 + rows) / (1 + rows with it)) + 1, and the amounts of a row have the Euclidean length 1.

While a table is read, words are counted in 2²¹ buckets by their hash, so that memory is bounded;
words that share a bucket count as one. Those of the most rows become features. Words take a hundred
times the memory of the text, so it is taken in pieces, and of a longer one the beginning.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gradstep.data.features.missing import add_nulls, merge_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["MOST_WORDS", "MOST_WORDS_ASKED", "TextColumn", "TextProfile", "words_of"]

MOST_WORDS = 1 << 15  # features of a column, unless others are asked for
MOST_WORDS_ASKED = 1 << 17
MOST_IN_ROW = 256  # of them, those that weigh most
_BUCKETS = 1 << 21
_LONGEST = 60  # characters that are kept of a word's name
_WORD = r"\b\w\w+\b"
_PIECE_BYTES = 1 << 20  # of text whose words are in memory together
LONGEST_TEXT = 1 << 20  # characters of a row that words are looked for in


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


def _pieces(text: pl.Series) -> Iterator[tuple[int, pl.Series]]:
    """Yield the rows in pieces of few bytes, and the number of the first of each."""
    text = text.cast(pl.String).str.slice(0, LONGEST_TEXT)
    size = text.str.len_bytes().fill_null(0).to_numpy().astype(np.int64)
    piece = (np.cumsum(size) - size) // _PIECE_BYTES
    begins = np.flatnonzero(np.diff(piece, prepend=-1)).tolist()
    for first, end in pairwise([*begins, text.len()]):
        yield first, text.slice(first, end - first)


def _by_bucket(words: pl.DataFrame, rows: pl.Expr) -> pl.DataFrame:
    """Return for each bucket how many rows have a word of it, and the name of one of them.

    Of several words it is a single one if there is one, the shortest, the first in alphabetical
    order, whichever rows come first.
    """
    word = pl.col("word")
    return (
        words.sort(word.str.count_matches(" ", literal=True), word.str.len_chars(), word)
        .group_by("bucket", maintain_order=True)
        .agg(rows.cast(pl.Int64).alias("rows"), word.first())
    )


def _none() -> pl.DataFrame:
    return pl.DataFrame(schema={"bucket": pl.Int64, "rows": pl.Int64, "word": pl.String})


@dataclass
class TextProfile:
    """What is known of a column of text.

    Attributes
    ----------
    column : str
        Its name.
    rows, missing, first_missing : int
        Rows; how many have no text, and the first of them.
    most : int
        The most buckets that a row has.
    words : polars.DataFrame
        A row for each `bucket`: how many `rows` have a word of it, and one such `word`.
    """

    column: str
    rows: int = 0
    missing: int = 0
    first_missing: int = -1
    most: int = 0
    words: pl.DataFrame = field(default_factory=_none)

    def add(self, series: pl.Series, rows: NDArray[np.int64], _y: Any = None) -> None:
        """Add the next rows, which have these numbers in the table."""
        self.rows += series.len()
        add_nulls(self, series, rows)
        for _, piece in _pieces(series):
            words = _in_buckets(words_of(piece))
            own = words.group_by("row").agg(pl.col("bucket").n_unique())
            self.most = max(self.most, *own["bucket"].to_list(), 0)
            names = words.with_columns(pl.col("word").str.slice(0, _LONGEST))
            self._add(_by_bucket(names, pl.col("row").n_unique()))

    def merge(self, other: TextProfile, shift: int, *, mirrored: bool = False) -> None:
        """Add what is known of later rows, whose numbers are counted from `shift`."""
        del mirrored  # nothing here goes with the target
        merge_missing(self, other, shift)
        self.rows += other.rows
        self.most = max(self.most, other.most)
        self._add(other.words)

    def _add(self, found: pl.DataFrame) -> None:
        known = self.words.join(found, on="bucket", how="semi")
        others = self.words.join(found, on="bucket", how="anti")
        both = _by_bucket(pl.concat([known, found]), pl.col("rows").sum())
        self.words = pl.concat([others, both], rechunk=True)

    def column_of(self, most_words: int) -> TextColumn:
        """Return the column that it becomes: of the words that more than one row has, if any."""
        several = self.words.filter(pl.col("rows") > 1)
        found = several if several.height else self.words
        found = found.sort(-pl.col("rows"), "bucket").head(most_words).sort("bucket")
        columns = (tuple(found[name].to_list()) for name in ("bucket", "rows", "word"))
        width = max(1, min(self.most, MOST_IN_ROW))
        return TextColumn(self.column, self.rows, width, *columns)


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
        for first, piece in _pieces(text):
            rows = slice(first, first + piece.len())
            self._fill(piece, features[rows], amounts[rows])
        return features, amounts

    @cached_property
    def _known(self) -> pl.DataFrame:
        return pl.DataFrame({
            "bucket": pl.Series(self.buckets, dtype=pl.Int64),
            "feature": np.arange(self.size, dtype=np.int32), "idf": self._idf,
        })  # fmt: skip

    def _fill(
        self, text: pl.Series, features: NDArray[np.int32], amounts: NDArray[np.float64]
    ) -> None:
        """Write the features of a piece of text, and their amounts."""
        found = (
            _in_buckets(words_of(text))
            .group_by("row", "bucket")
            .agg(pl.col("n").sum())
            .join(self._known, on="bucket")
            .select("row", "feature", amount=pl.col("n") * pl.col("idf"))
            .sort("row", "feature")
        )
        if not found.height:
            return
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
