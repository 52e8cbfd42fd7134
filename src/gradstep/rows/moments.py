"""Means and products of features and target: all that least squares asks of rows.

The mean loss, its gradient and its Hessian at any point follow from them, without another pass.
Sums are kept about the mean, and parts are merged by the formulas of Chan, Golub and LeVeque
(1983), so that no digits cancel, however far a column lies from zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Moments"]


@dataclass(frozen=True)
class Moments:
    """Weighted means and products of features and target.

    Attributes
    ----------
    weight : float
        Sum of the weights.
    mean : ndarray of shape (p + 1,)
        Means: of the features, then of the target.
    products : ndarray of shape (p + 1, p + 1)
        Sums of products about these means.

    Examples
    --------
    >>> X, y = np.array([[1.0], [2.0], [4.0]]), np.array([1.0, 2.0, 6.0])
    >>> moments = Moments.of(np.column_stack([X, y]).T)
    >>> loss, gradient = moments.squared_error(np.array([1.5, 0.0]))  # a weight and the intercept
    >>> round(loss, 12), round(float(0.5 * np.mean((1.5 * X[:, 0] - y) ** 2)), 12)
    (0.208333333333, 0.208333333333)
    """

    weight: float
    mean: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def of(cls, lines: NDArray[np.float64]) -> Self:
        """Return those of rows of weight 1; a line for each feature, and one for the target."""
        if not lines.shape[1]:
            return cls.of_none(len(lines))
        mean = lines.mean(axis=1)
        centred = lines - mean[:, None]
        return cls(float(lines.shape[1]), mean, centred @ centred.T)

    @classmethod
    def of_none(cls, size: int) -> Self:
        """Return those of no rows."""
        return cls(0.0, np.zeros(size), np.zeros((size, size)))

    def merged(self, other: Moments) -> Moments:
        """Return those of both parts together."""
        if not self.weight > 0.0:
            return other
        if not other.weight > 0.0:
            return self
        weight, apart = self.weight + other.weight, other.mean - self.mean
        between = np.outer(apart, apart) * (self.weight * other.weight / weight)
        return Moments(
            weight,
            self.mean + apart * (other.weight / weight),
            self.products + other.products + between,
        )

    def scaled(self, shift: NDArray[np.float64], scale: NDArray[np.float64]) -> Moments:
        """Return those of lines that are shifted, then divided by a scale."""
        products = self.products / scale / scale[:, None]
        return Moments(self.weight, (self.mean - shift) / scale, products)

    def lines(self, at: NDArray[np.intp]) -> Moments:
        """Return those of some of the lines, the last of which is the target."""
        return Moments(self.weight, self.mean[at], self.products[np.ix_(at, at)])

    @property
    def least_share(self) -> float:
        """The least share of a line's variance that the lines before it leave unexplained.

        What is computed from moments has lost about as many digits as this has zeros.
        """
        deviation = np.sqrt(self.products.diagonal())
        if not (deviation > 0.0).all():
            return 0.0
        try:
            factor = np.linalg.cholesky(self.products / deviation / deviation[:, None])
        except np.linalg.LinAlgError:
            return 0.0
        return float(np.square(factor.diagonal()).min())

    # ------------------------------------------------------------------ least squares

    def squared_error(
        self, params: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:  # fmt: skip
        """Return the mean of half the squared error, and its gradient, at weights and intercept."""
        line = np.append(params[:-1], -1.0)  # the error is a line's product with each row
        error = float(line @ self.mean) + float(params[-1])
        along = self.products @ line / self.weight
        loss = 0.5 * (float(line @ along) + error * error)
        return loss, np.append(along[:-1] + error * self.mean[:-1], error)

    def hessian(
        self, shift: NDArray[np.float64], scale: NDArray[np.float64]
    ) -> NDArray[np.float64]:  # fmt: skip
        """Return the Hessian for standardised features, (p + 1, p + 1); last is the intercept."""
        off = np.append((self.mean[:-1] - shift) * scale, 1.0)
        found = np.outer(off, off)
        found[:-1, :-1] += self.products[:-1, :-1] / self.weight * scale * scale[:, None]
        return found
