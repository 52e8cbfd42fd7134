"""What a model keeps of its training rows: which columns matter there, and what a constant does.

The score of a row is a sum of one part for each column, and each cross: all its levels, its days
and months, its curve, and what stands for missing, together. The variance of the score over the
rows is the sum of its covariances with the parts, which are thus each column's share in it: columns
that say the same and cancel have little, however large their coefficients. A share may be below
zero. Parts of several classes are taken about their mean, on which softmax does not depend.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from gradstep.data.features.columns import HashColumn, LeftOut
from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.data.features.terms.crosses import PairColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoding
    from gradstep.rows.dataset import Dataset

__all__ = ["Part", "TrainingRows", "parts_of", "training_rows"]

_MOST_ROWS, _FEWEST_ROWS = 1 << 16, 1 << 12  # of more, as many at random are measured
# Parts of scores, of all rows and at a time: these stay in the second-level cache. Of very many
# columns so few rows would cost a call for each number: they come in some rows, or 64 MB.
_NUMBERS, _CHUNK_NUMBERS, _CHUNK_ROWS, _LARGE_CHUNK = 1 << 25, 1 << 17, 64, 1 << 23
_LARGEST = sys.float_info.max
_OF_ANOTHER = "what is kept of the training rows is not of this model"


@dataclass(frozen=True)
class TrainingRows:
    """What is kept of the rows that a model was trained on, all with their weights.

    Attributes
    ----------
    constant : tuple of float
        The scores of the best constant prediction, before offsets.
    deviations : tuple of float
        Of each feature that is a number, encoded; then of those that say one was missing.
    levels : tuple of tuple of float
        For each category, the share of rows of each of its features; empty if it is hashed.
    squares : tuple of tuple of float
        For each column of amounts, the mean square of each of its features.
    variances, covariances : tuple of tuple of float
        For each column that is read, and each cross, the variance of its part of each score, and
        the covariance of the part with the score.
    """

    constant: tuple[float, ...]
    deviations: tuple[float, ...] = ()
    levels: tuple[tuple[float, ...], ...] = ()
    variances: tuple[tuple[float, ...], ...] = ()
    covariances: tuple[tuple[float, ...], ...] = ()
    squares: tuple[tuple[float, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return {name: kept for name, kept in vars(self).items() if kept or name != "squares"}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], encoding: Any, n_outputs: int) -> Self:
        """Return what `to_json` wrote, for a model of this encoding.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it is no such thing, or of another encoding.
        """
        kept = {"squares": (), **content}
        found = cls(
            _floats(kept["constant"]),
            _floats(kept["deviations"]),
            *(
                tuple(map(_floats, kept[name]))
                for name in ("levels", "variances", "covariances", "squares")
            ),
        )
        columns = (*found.variances, *found.covariances)
        known = not isinstance(encoding, SparseEncoding)
        fits = (
            [len(found.constant), *map(len, columns)]
            == [n_outputs] * (1 + 2 * (len(parts_of(encoding)) if known else 0))
            and len(found.deviations) == (encoding.n_values if known else 0)
            and list(map(len, found.levels))
            == [_n_levels(encoding, column) for column in encoding.coded]
            and list(map(len, found.squares)) == [encoding.terms.size(c) for c in encoding.placed]
        )
        if not fits:
            raise ValueError(_OF_ANOTHER)
        return found


def _floats(numbers: Any) -> tuple[float, ...]:
    """Return numbers of a JSON file; integers of any size would be no array of numbers."""
    if not all(type(x) in {int, float} and -_LARGEST <= x <= _LARGEST for x in numbers):
        raise ValueError(_OF_ANOTHER)
    return tuple(map(float, numbers))


def _n_levels(encoding: Encoding, column: Any) -> int:
    return 0 if isinstance(column, (HashColumn, PairColumn)) else encoding.terms.size(column)


class Part(NamedTuple):
    """What a column, or a cross, adds to scores.

    Attributes
    ----------
    numbers, codes, places : list of int
        Its features among the numbers; its places among the codes, and among the amounts.
    features : list of slice
        All of its features.
    """

    numbers: list[int]
    codes: list[int]
    places: list[int]
    features: list[slice]


def parts_of(encoding: Encoding) -> dict[str, Part]:
    """Return the part of each column, and of each cross."""
    names = [*encoding.sources, *(c.group for c in encoding.columns if not isinstance(c, LeftOut))]
    parts = {name: Part([], [], [], []) for name in names}
    indicators = [c for c in encoding.read_as_numbers if c.indicator]
    for j, number in enumerate([*encoding.numbers, *indicators]):
        parts[number.group].numbers.append(j)
        parts[number.group].features.append(slice(j, j + 1))
    for q, column in enumerate(encoding.coded):
        parts[column.group].codes.append(q)
    at = 0
    for placed in encoding.placed:
        width = encoding.terms.n_places(placed)
        parts[placed.group].places.extend(range(at, at + width))
        at += width
    for q, any_of in enumerate((*encoding.coded, *encoding.placed)):
        span = slice(encoding.starts[q], encoding.starts[q + 1])
        parts[any_of.group].features.append(span)
    return parts


def training_rows(
    encoding: Any, data: Dataset, coef: NDArray[np.float64], constant: NDArray[np.float64]
) -> TrainingRows:
    """Measure the rows that a model was trained on.

    Parameters
    ----------
    encoding : Encoding or SparseEncoding
        What became of each column; of sparse text, nothing but the constant is kept.
    data : Dataset
        The rows, in random order.
    coef : ndarray of shape (n_outputs, n_features)
        Coefficients of encoded features.
    constant : ndarray of shape (n_outputs,)
        The scores of the best constant prediction.
    """
    fixed = tuple(map(float, constant))
    if isinstance(encoding, SparseEncoding):
        return TrainingRows(fixed)
    coef = coef - coef.mean(axis=0) if coef.shape[0] > 1 else coef
    with_none = np.hstack([coef, np.zeros((coef.shape[0], 1))])
    columns = parts_of(encoding).values()
    numbers, parts = _Moments(), _Moments(with_sum=True)
    levels = [np.zeros(_n_levels(encoding, column)) for column in encoding.coded]
    squares = [np.zeros(encoding.terms.size(c)) for c in encoding.placed]
    each_row = max(1, len(columns) * coef.shape[0])
    n = min(data.n, max(_FEWEST_ROWS, min(_MOST_ROWS, _NUMBERS // each_row)))
    chunk = max(1, _CHUNK_NUMBERS // each_row, min(_CHUNK_ROWS, _LARGE_CHUNK // each_row))
    data = data.part(0, n)
    weights = data.weights()
    rows: Any = data.rows
    for lo in range(0, n, chunk):
        hi = min(lo + chunk, n)
        weight = np.ones(hi - lo) if weights is None else weights[lo:hi]
        some = _Some.of(rows, slice(lo, hi) if data.index is None else data.index[lo:hi])
        each = np.stack([some.part(with_none, column) for column in columns])
        numbers.add(some.values, weight)
        parts.add(each, weight)
        for q, size in enumerate(map(len, levels)):
            if size:  # codes of a damaged folder may be any
                inside = np.clip(some.codes[q] - (encoding.starts[q] - 1), 0, size + 1)
                levels[q] += np.bincount(inside, weight, minlength=size + 2)[1:-1]
        some.add_squares(encoding, weight, squares)
    return TrainingRows(
        fixed,
        tuple(np.sqrt(numbers.variances).tolist()),
        tuple(tuple((counts / numbers.weight).tolist()) for counts in levels),
        tuple(map(tuple, parts.variances.tolist())),
        tuple(map(tuple, parts.covariances.tolist())),
        tuple(tuple((sums / numbers.weight).tolist()) for sums in squares),
    )


class _Some(NamedTuple):
    """Some of the rows, as they are encoded: an array has a line for each number, or column."""

    values: NDArray[np.float64]
    codes: NDArray[np.int32]
    places: NDArray[np.int32]
    amounts: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Any, at: slice | NDArray[np.uint32]) -> Self:
        """Return rows of any layout of tables."""
        none = np.empty((0, 0))
        found: list[Any] = [
            np.ascontiguousarray(getattr(rows, name)[at].T) if hasattr(rows, name) else none
            for name in cls._fields
        ]
        values, codes, places, amounts = found
        numbers = [each.astype(np.float64, copy=False) for each in (values, amounts)]
        return cls(numbers[0], codes, places, numbers[1])

    def part(self, coef: NDArray[np.float64], column: Part) -> NDArray[np.float64]:
        """Return what a column adds to the scores of the rows, shape (k, n).

        Of coefficients (k, p + 1) the last are those of no feature, whose code is -1: zeros.
        """
        found: NDArray[np.float64] | None = None
        for each in self._terms(coef, column):
            found = each if found is None else np.add(found, each, out=found)
        return np.zeros((coef.shape[0], self.values.shape[1])) if found is None else found

    def _terms(self, coef: NDArray[np.float64], column: Part) -> Iterator[NDArray[np.float64]]:
        """Yield what each feature, code and amount of a column adds."""
        for j in column.numbers:
            yield coef[:, j, None] * self.values[j]
        for q in column.codes:
            yield coef.take(self.codes[q], axis=1)
        for q in column.places:
            yield coef.take(self.places[q], axis=1) * self.amounts[q]

    def add_squares(
        self, encoding: Encoding, weight: NDArray[np.float64], sums: list[NDArray[np.float64]]
    ) -> None:
        """Add the squares of the features with an amount."""
        at = 0
        for q, placed in enumerate(encoding.placed):
            start = encoding.starts[len(encoding.coded) + q]
            for column in range(at, at := at + encoding.terms.n_places(placed)):
                inside = np.maximum(self.places[column] - start, -1) + 1
                own = weight * self.amounts[column] ** 2
                sums[q] += np.bincount(inside, own, minlength=sums[q].size + 1)[1:]


class _Moments:
    """Weighted co-moments of lines, each with itself and, if that is wanted, with the sum of all.

    Their numbers come in chunks (Chan, Golub and LeVeque, 1979).
    """

    def __init__(self, *, with_sum: bool = False) -> None:
        self.weight, self._wants_sum = 0.0, with_sum
        self._mean: Any = 0.0
        self._own: Any = 0.0
        self._with_sum: Any = 0.0

    def add(self, lines: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
        """Add a number to each line, for each weight."""
        both = self.weight + float(weight.sum())
        mean = np.einsum("...n,n->...", lines, weight) / (both - self.weight)
        centred = lines - mean[..., None]
        weighted = centred * weight
        apart, share = mean - self._mean, 1.0 - self.weight / both
        between = apart * self.weight * share
        own = np.einsum("...n,...n->...", weighted, centred)
        self._own = self._own + own + between * apart
        if self._wants_sum:
            with_sum = np.einsum("...n,...n->...", weighted, centred.sum(axis=0)[None])
            self._with_sum = self._with_sum + with_sum + between * apart.sum(axis=0)
        self._mean = self._mean + apart * share
        self.weight = both

    @property
    def variances(self) -> NDArray[np.float64]:
        """The variance of each line."""
        return np.asarray(self._own / self.weight)

    @property
    def covariances(self) -> NDArray[np.float64]:
        """The covariance of each line with the sum of all."""
        return np.asarray(self._with_sum / self.weight)
