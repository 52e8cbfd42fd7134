"""Some rows of a table, evenly apart: what figures of residuals and ranks are drawn of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SampledRows"]

MOST, _FEWEST = 1 << 17, 1 << 11  # rows that are kept
_NUMBERS = 1 << 20  # scores that are kept, of many classes


@dataclass
class SampledRows:
    """Targets, scores and weights of every row, or of every second, fourth, ... of many.

    Which rows are kept depends on their number and order alone.

    Attributes
    ----------
    most : int
        How many are kept.
    n : int
        How many there were.
    apart : int
        Each of how many rows is kept.

    Examples
    --------
    >>> some = SampledRows(most=4)
    >>> for part in (np.arange(3.0), np.arange(3.0, 10.0)):
    ...     some.add(part, part[:, None], None)
    >>> some.y, some.n
    (array([0., 4., 8.]), 10)
    """

    most: int = MOST
    n: int = 0
    apart: int = 1
    _kept: list[tuple[NDArray[np.float64], ...]] = field(default_factory=list)

    def add(
        self, y: NDArray[Any], z: NDArray[np.float64], weight: NDArray[np.float64] | None
    ) -> None:
        """Add rows: targets or codes of classes, scores (n, k), weights."""
        s = np.ones(y.size) if weight is None else weight
        some = slice(-self.n % self.apart, None, self.apart)
        self._kept.append((y[some].astype(np.float64), z[some], s[some]))
        self.n += y.size
        self._thin()

    def merged(self, other: SampledRows) -> SampledRows:
        """Return what is kept of these rows and of others that come after them."""
        while self.apart < other.apart:
            self._halve()
        while other.apart < self.apart:
            other._halve()
        self._kept += other._kept
        self.n += other.n
        self._thin()
        return self

    def _thin(self) -> None:
        while sum(y.size for y, _, _ in self._kept) > self.most:
            self._halve()

    def _halve(self) -> None:
        self.apart *= 2
        if self._kept:
            self._kept = [tuple(each[::2] for each in self._whole())]

    def _whole(self) -> tuple[NDArray[np.float64], ...]:
        if len(self._kept) != 1:
            none = (np.empty(0), np.empty((0, 1)), np.empty(0))
            self._kept = [tuple(map(np.concatenate, zip(*(self._kept or [none]), strict=True)))]
        return self._kept[0]

    @classmethod
    def of(cls, n_outputs: int) -> Self:
        """Return one for rows with so many scores: of many classes fewer rows are kept."""
        return cls(min(MOST, max(_FEWEST, _NUMBERS // n_outputs)))

    @property
    def y(self) -> NDArray[np.float64]:
        """Targets, or codes of classes."""
        return self._whole()[0]

    @property
    def z(self) -> NDArray[np.float64]:
        """Scores, shape (n, k)."""
        return self._whole()[1]

    @property
    def weight(self) -> NDArray[np.float64]:
        """Weights."""
        return self._whole()[2]
