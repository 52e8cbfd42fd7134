"""The objective of a fit in NumPy, float64: what every part of this benchmark measures with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.no_tuning.losses import CLASSIFICATION, LOG_LINEAR, least_of_rows, loss_named

SHARES = {None: 0.0, "l2": 0.0, "l1": 1.0}
BISECTIONS = 90


@dataclass(frozen=True)
class Objective:
    """Weighted mean loss plus alpha times the penalty of the scaled weights.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n, p)
        Features.
    y : ndarray of shape (n,)
        Numbers, or the index of each row's class.
    loss : str
        Its name.
    parameter : float or None
        Its epsilon, quantile or power; None is the default.
    n_classes : int
        0 for numbers.
    penalty : str or None
        Its name.
    alpha, l1_ratio : float
        Its strength, and the share of l1 in an elastic net.
    scale : ndarray of shape (p,)
        What the penalty multiplies each weight by.
    weight : ndarray of shape (n,) or None
        Weights of the rows.
    """

    X: Any
    y: Any
    loss: str
    penalty: str | None
    scale: Any
    n_classes: int = 0
    parameter: float | None = None
    alpha: float = 1e-4
    l1_ratio: float = 0.15
    weight: Any = None

    @property
    def k(self) -> int:
        """How many scores a row has."""
        return self.n_classes if self.n_classes > 2 else 1

    @property
    def joint(self) -> bool:
        """Whether the loss looks at all scores of a row together."""
        return self.k > 1 and self.loss == "log_loss"

    @property
    def l1_share(self) -> float:
        """How much of the penalty is l1."""
        return SHARES.get(self.penalty, self.l1_ratio)

    @property
    def strength(self) -> float:
        """Alpha, or 0 without a penalty."""
        return 0.0 if self.penalty is None else self.alpha

    @cached_property
    def row_weights(self) -> Any:
        """Weights of the rows, which sum to 1."""
        n = len(self.y)
        if self.weight is None:
            return np.full(n, 1.0 / n)
        return np.asarray(self.weight, dtype=np.float64) / np.sum(self.weight, dtype=np.float64)

    def targets(self, output: int) -> Any:
        """Return what a score is compared with: the number, or -1 and 1."""
        if self.n_classes == 0:
            return self.y
        return np.where(self.y == (1 if self.k == 1 else output), 1.0, -1.0)

    def split(self, params: Any) -> tuple[Any, Any]:
        """Cut flat parameters into weights (k, p) and intercepts (k,)."""
        k, p = self.k, self.X.shape[1]
        params = np.asarray(params)
        return params[: k * p].reshape(k, p), params[k * p :]

    def value(self, W: Any, b: Any) -> float:
        """Return the objective of weights (k, p) and intercepts (k,)."""
        with np.errstate(all="ignore"):
            Z = np.asarray(self.X @ np.asarray(W, dtype=np.float64).T) + b
            return self.mean_loss(Z) + self.penalty_of(W)

    def value_of(self, model: Any) -> float:
        """Return the objective of a fitted estimator."""
        return self.value(np.reshape(model.coef_, (self.k, -1)), np.ravel(model.intercept_))

    def mean_loss(self, Z: Any) -> float:
        """Return the mean loss of scores (n, k)."""
        if self.joint:
            top = Z.max(axis=1)
            own = Z[np.arange(len(Z)), self.y.astype(int)]
            rows = np.log(np.exp(Z - top[:, None]).sum(axis=1)) + top - own
        else:
            value = loss_named(self.loss, self.parameter).value
            rows = sum(value(self.targets(c), Z[:, c]) for c in range(self.k))
        return float(self.row_weights @ rows)

    def penalty_of(self, W: Any) -> float:
        """Return the penalty, alpha included."""
        S = np.abs(W * self.scale)
        share = self.l1_share
        # Squares of huge weights of zero share must not make a NaN of the sum.
        l1 = share * float(S.sum()) if share else 0.0
        l2 = 0.5 * (1.0 - share) * float((S * S).sum()) if share < 1.0 else 0.0
        return self.strength * (l1 + l2) if self.strength else 0.0

    @cached_property
    def constant(self) -> Any:
        """The scores (k,) of the best constant prediction."""
        if self.joint:
            shares = np.bincount(self.y.astype(int), self.row_weights, minlength=self.k)
            return np.log(np.maximum(shares, 1e-300))
        return np.array([self._constant_of(c) for c in range(self.k)])

    def _constant_of(self, output: int) -> float:
        y, weights = self.targets(output), self.row_weights
        if self.loss in LOG_LINEAR:
            return float(np.log(weights @ y))
        if self.loss == "squared_error":
            return float(weights @ y)
        low, high = float(y.min()), float(y.max())
        if self.loss in CLASSIFICATION:
            low, high = (-40.0, 40.0) if self.loss == "log_loss" else (-1.0, 1.0)
        slope = loss_named(self.loss, self.parameter).slope
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            if weights @ slope(y, np.full(len(y), middle)) < 0.0:
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)

    @cached_property
    def of_constant(self) -> float:
        """The objective of the best constant prediction."""
        return self.mean_loss(np.tile(self.constant, (len(self.y), 1)))

    @cached_property
    def floor(self) -> float:
        """The mean of the least loss that each row allows."""
        if self.n_classes:
            return 0.0
        return float(self.row_weights @ least_of_rows(self.loss, self.parameter, self.y))


def deviations(X: Any, weight: Any = None) -> Any:
    """Return the columns' standard deviations; 0 if constant, and 1 for sparse columns."""
    if sp.issparse(X):
        return np.ones(X.shape[1])
    mean = np.average(X, axis=0, weights=weight).astype(np.float64)
    counted = X if weight is None else X[np.asarray(weight) > 0.0]
    varies = counted.max(axis=0) > counted.min(axis=0)
    square = np.zeros(X.shape[1])
    weights = np.full(len(X), 1.0 / len(X)) if weight is None else weight / np.sum(weight)
    for at in range(0, len(X), 65536):
        part = slice(at, at + 65536)
        square += weights[part] @ (X[part].astype(np.float64) - mean) ** 2
    return np.where(varies, np.sqrt(square), 0.0)
