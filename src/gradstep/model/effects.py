"""What is predicted as one column changes, while the others stay at a typical value.

Typical is the mean of a number and the most frequent level of a category. Intervals are those of
the mean (`gradstep.model.mean_intervals`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.columns import LevelColumn, LogColumn
from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.data.features.terms.crosses import PairColumn
from gradstep.data.features.terms.spline import SplineColumn
from gradstep.floating_point import as_by_default
from gradstep.model.coefficients import importance
from gradstep.model.mean_intervals import ends_of_means, means_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoded, Encoding
    from gradstep.model.model import Model

__all__ = ["Effect", "effects"]

_POINTS = 61
_MOST_NUMBERS = 1 << 24  # points by features, above which there are no intervals
_DEVIATIONS = 2.5  # from the mean of a number, at most
_MOST_EXPONENT = 700.0


@dataclass(frozen=True)
class Effect:
    """What is predicted along one column.

    Attributes
    ----------
    column : str
        The column, with the part of it (a date's month).
    at : ndarray or list of str
        Numbers (of dates, days since 1970), or levels, the most frequent first.
    outputs : list
        What is predicted: the classes of several, else one entry, the target or the second class.
    mean : ndarray of shape (points, outputs)
        Predictions: numbers, probabilities, or scores where there are none.
    low, high : ndarray of shape (points, outputs), or None
        Ends of 95 % intervals of the mean, where they are known; NaN where they are not.
    is_date : bool
        Whether `at` are days.
    more : int
        Levels that are not among these.
    shares : list of float
        Of levels, the share of the training rows; empty where that is not known.
    """

    column: str
    at: Any
    outputs: list[Any]
    mean: NDArray[np.float64]
    low: NDArray[np.float64] | None
    high: NDArray[np.float64] | None
    is_date: bool = False
    more: int = 0
    shares: Sequence[float] = ()

    @property
    def is_curve(self) -> bool:
        """Whether it is of a number."""
        return isinstance(self.at, np.ndarray)


@as_by_default
def effects(model: Model, most: int = 12, levels: int = 20) -> list[Effect]:
    """Return the effects of the columns that matter most.

    Parameters
    ----------
    model : Model
        The model; one of sparse text has none, nor have categories that are hashed.
    most : int
        How many.
    levels : int
        How many levels of a category, at most.

    Examples
    --------
    >>> import polars as pl
    >>> from gradstep import fit_table
    >>> x = [0.0, 1.0, 2.0, 3.0] * 25
    >>> frame = pl.DataFrame({"x": x, "y": [1.1, 2.9, 5.1, 6.9] * 12 + [0.9, 3.1, 4.9, 7.1] * 13})
    >>> effect = effects(fit_table(frame, "y", validation=0.0).model)[0]
    >>> effect.column, effect.at[[0, -1]], effect.mean[[0, -1], 0].round(1)
    ('x', array([0., 3.]), array([1., 7.]))
    """
    if isinstance(model.encoding, SparseEncoding):
        return []
    found: list[Effect] = []
    order = {entry["column"]: at for at, entry in enumerate(importance(model))}
    typical = _Typical(model, model.encoding)
    columns = sorted(typical.columns(), key=lambda each: order.get(each[0], len(order)))
    for _, at, is_level in columns[:most]:
        found.append(typical.of_levels(at, levels) if is_level else typical.of_number(at))
    return found


class _Typical:
    """Rows that differ in one column."""

    def __init__(self, model: Model, encoding: Encoding) -> None:
        self.model, self.encoding = model, encoding
        self.own = [
            (q, column)
            for q, column in enumerate(encoding.coded)
            if not isinstance(column, PairColumn)
        ]
        known = model.training.levels if model.training is not None else ()
        self.shares = [tuple(known[q]) if known else () for q, _ in self.own]

    def columns(self) -> Iterator[tuple[str, int, bool]]:
        """Yield each column: what it counts as, its number, whether it is a category."""
        for at, number in enumerate(self.encoding.read_as_numbers):
            yield number.source, at, False
        for at, (_, column) in enumerate(self.own):
            if isinstance(column, LevelColumn):
                yield column.source, at, True

    def of_number(self, at: int) -> Effect:
        column = self.encoding.read_as_numbers[at]
        x = self._range(column)
        encoded = self._rows(x.size, number=(at, x))
        shown = np.exp(np.minimum(x, _MOST_EXPONENT)) if isinstance(column, LogColumn) else x
        return self._effect(column.source, shown, encoded, is_date=bool(column.part))

    def of_levels(self, at: int, most: int) -> Effect:
        column, shares = self.own[at][1], np.array(self.shares[at])
        assert isinstance(column, LevelColumn)  # noqa: S101
        chosen = np.argsort(-shares, kind="stable") if shares.size else np.arange(column.size)
        chosen = chosen[:most]
        if column.part:  # of a date, in the order of the year
            order = [name.removeprefix(f"{column.name}=").zfill(2) for name in column.names]
            chosen = np.array(sorted(chosen.tolist(), key=order.__getitem__))
        encoded = self._rows(chosen.size, level=(at, chosen.astype(np.int32)))
        start = len(column.name) + 1
        names = [column.names[i][start:] for i in chosen.tolist()]
        return self._effect(
            column.name, names, encoded, more=column.size - chosen.size,
            shares=shares[chosen].tolist() if shares.size else (),
        )  # fmt: skip

    def _range(self, column: Any) -> NDArray[np.float64]:
        """Return numbers from low to high: where most rows are, as far as there were any."""
        low = column.mean - _DEVIATIONS * column.scale
        high = column.mean + _DEVIATIONS * column.scale
        if isinstance(column, SplineColumn):
            low, high = column.knots[0], column.knots[-1]
        known = self._known(column.source)
        ends: list[Any] = [known.get(name) for name in ("low", "high")]
        if all(type(end) in {int, float} and math.isfinite(end) for end in ends):
            if isinstance(column, LogColumn):
                ends = [math.log(end) if end > 0.0 else -math.inf for end in ends]
            if ends[0] < ends[1]:
                low, high = max(low, ends[0]), min(high, ends[1])
        return np.linspace(low, high, _POINTS)

    def _known(self, source: str) -> dict[str, Any]:
        columns = self.model.provenance.get("columns")
        known = columns.get(source) if isinstance(columns, dict) else None
        return known if isinstance(known, dict) else {}

    def _rows(self, n: int, number: Any = (-1, None), level: Any = (-1, None)) -> Encoded:
        """Return n typical rows, but for one column."""
        numbers = [
            number[1] if at == number[0] else np.full(n, column.mean)
            for at, column in enumerate(self.encoding.read_as_numbers)
        ]
        levels = []
        for at, ((_, column), shares) in enumerate(zip(self.own, self.shares, strict=True)):
            usual = int(np.argmax(shares)) if shares else 0
            usual = usual if isinstance(column, LevelColumn) else -1
            levels.append(level[1] if at == level[0] else np.full(n, usual, np.int32))
        return self.encoding.encoded(n, numbers, levels)

    def _effect(self, column: str, at: Any, encoded: Encoded, **more: Any) -> Effect:
        model = self.model
        z = self._scores(encoded)
        outputs = list(model.target.classes or (model.target.column,))
        if model.target.classes is not None and model.n_outputs == 1:
            outputs = outputs[1:]
        low = high = None
        if z.shape[0] * self.encoding.n_features <= _MOST_NUMBERS:
            low, high = ends_of_means(model, z, encoded)
        return Effect(column, at, outputs, means_of(model, z), low, high, **more)

    def _scores(self, encoded: Encoded) -> NDArray[np.float64]:
        k, p = self.model.n_outputs, self.encoding.n_features
        w = np.vstack([self.model.params[: k * p].reshape(k, p).T, np.zeros(k)])
        z: NDArray[np.float64] = encoded.values @ w[: encoded.values.shape[1]]
        z += self.model.params[k * p :]
        z += w[encoded.codes].sum(axis=1)  # -1 is of no feature
        z += (w[encoded.places] * encoded.amounts[:, :, None]).sum(axis=1)
        return z
