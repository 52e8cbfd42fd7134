"""What a model keeps of its training rows: which columns matter there, and what a constant does.

The score of a row is a sum of one part for each column: all its levels, its days and months, and
what stands for missing, together. The variance of the score over the rows is the sum of its
covariances with the parts, which are thus each column's share in it: columns that say the same and
cancel have little, however large their coefficients. A share may be below zero. Parts of several
classes are taken about their mean, on which softmax does not depend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gradstep.data.features.encoding import HashColumn
from gradstep.data.features.sparse_encoding import SparseEncoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoding
    from gradstep.rows.dataset import Dataset

__all__ = ["TrainingRows", "parts_of", "training_rows"]

_MOST_ROWS, _FEWEST_ROWS = 1 << 17, 1 << 12  # of more, as many at random are measured
_NUMBERS, _CHUNK_NUMBERS = 1 << 25, 1 << 21  # parts of scores, of all rows and at a time


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
    variances, covariances : tuple of tuple of float
        For each column that is read, the variance of its part of each score, and the covariance
        of the part with the score.
    """

    constant: tuple[float, ...]
    deviations: tuple[float, ...] = ()
    levels: tuple[tuple[float, ...], ...] = ()
    variances: tuple[tuple[float, ...], ...] = ()
    covariances: tuple[tuple[float, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, content: Mapping[str, Any], encoding: Any, n_outputs: int) -> Self:
        """Return what `to_json` wrote, for a model of this encoding.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it is no such thing, or of another encoding.
        """
        one, more = ("constant", "deviations"), ("levels", "variances", "covariances")
        found = cls(
            *(tuple(content[name]) for name in one),
            *(tuple(map(tuple, content[name])) for name in more),
        )
        columns = (*found.variances, *found.covariances)
        rows = [found.constant, found.deviations, *found.levels, *columns]
        numbers = all(type(x) in {int, float} and math.isfinite(x) for row in rows for x in row)
        known = not isinstance(encoding, SparseEncoding)
        fits = (
            [len(found.constant), *map(len, columns)]
            == [n_outputs] * (1 + 2 * len(encoding.sources))
            and len(found.deviations) == (encoding.n_values if known else 0)
            and list(map(len, found.levels)) == [_n_levels(column) for column in encoding.coded]
        )
        if not (numbers and fits):
            msg = "what is kept of the training rows is not of this model"
            raise ValueError(msg)
        return found


def _n_levels(column: Any) -> int:
    return 0 if isinstance(column, HashColumn) else len(column.names)


def parts_of(encoding: Encoding) -> dict[str, tuple[list[int], list[int]]]:
    """Return for each column its features among the numbers, and its places among the codes."""
    places: dict[str, tuple[list[int], list[int]]] = {name: ([], []) for name in encoding.sources}
    flag = len(encoding.numbers)
    for j, number in enumerate(encoding.numbers):
        places[number.source][0].append(j)
        if number.indicator:
            places[number.source][0].append(flag)
            flag += 1
    for q, column in enumerate(encoding.coded):
        places[column.source][1].append(q)
    return places


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
    rows: Any = data.rows
    fixed = tuple(map(float, constant))
    if isinstance(encoding, SparseEncoding):
        return TrainingRows(fixed)
    coef = coef - coef.mean(axis=0) if coef.shape[0] > 1 else coef
    with_none = np.vstack([coef.T, np.zeros(coef.shape[0])])
    places = parts_of(encoding).values()
    numbers, parts, with_score = _Moments(), _Moments(), _Moments()
    levels = [np.zeros(_n_levels(column)) for column in encoding.coded]
    weights = data.weights()
    each_row = max(1, len(places) * coef.shape[0])
    n = min(data.n, max(_FEWEST_ROWS, min(_MOST_ROWS, _NUMBERS // each_row)))
    chunk = max(1, _CHUNK_NUMBERS // each_row)
    for lo in range(0, n, chunk):
        index = data.rows_between(lo, min(lo + chunk, n))
        weight = np.ones(index.size) if weights is None else weights[lo : lo + index.size]
        values = rows.values[index].astype(np.float64)
        codes = rows.codes[index] if encoding.coded else np.empty((index.size, 0), np.int32)
        each = np.stack([_part(with_none, values, codes, *place) for place in places], axis=1)
        numbers.add(values, values, weight)
        parts.add(each, each, weight)
        with_score.add(each, each.sum(axis=1, keepdims=True), weight)
        for q, size in enumerate(map(len, levels)):
            if size:
                inside = np.maximum(codes[:, q] - encoding.starts[q], -1) + 1
                levels[q] += np.bincount(inside, weight, minlength=size + 1)[1:]
    return TrainingRows(
        fixed,
        tuple(np.sqrt(numbers.covariance()).tolist()),
        tuple(tuple((counts / numbers.weight).tolist()) for counts in levels),
        tuple(map(tuple, parts.covariance().tolist())),
        tuple(map(tuple, with_score.covariance().tolist())),
    )


def _part(
    coef: NDArray[np.float64], values: NDArray[np.float64], codes: NDArray[np.int32],
    numbers: list[int], columns: list[int],
) -> NDArray[np.float64]:  # fmt: skip
    """Return what a column's features add to the scores of rows, shape (n, k).

    The last coefficients are those of no feature, whose code is -1: zeros.
    """
    part = values[:, numbers] @ coef[numbers]
    for q in columns:
        part += coef[codes[:, q]]
    return part


class _Moments:
    """Weighted means and co-moments of two arrays whose rows come in chunks (Chan et al., 1979)."""

    def __init__(self) -> None:
        self.weight = 0.0
        self._means: Any = (0.0, 0.0)
        self._products: Any = 0.0

    def add(self, a: Any, b: Any, weight: NDArray[np.float64]) -> None:
        """Add rows."""
        both = self.weight + float(weight.sum())
        s = weight.reshape(-1, *(1,) * (a.ndim - 1))
        means = tuple((s * x).sum(axis=0) / (both - self.weight) for x in (a, b))
        products = (s * (a - means[0]) * (b - means[1])).sum(axis=0)
        apart = [new - old for new, old in zip(means, self._means, strict=True)]
        share = 1.0 - self.weight / both
        self._products = self._products + products + apart[0] * apart[1] * self.weight * share
        self._means = tuple(old + x * share for old, x in zip(self._means, apart, strict=True))
        self.weight = both

    def covariance(self) -> NDArray[np.float64]:
        """Return the covariance of each column of the one with that of the other."""
        found: NDArray[np.float64] = np.asarray(self._products / self.weight)
        return found
