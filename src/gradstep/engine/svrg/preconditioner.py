"""Metrics from the data: in which a gradient step goes straight to the optimum, or nearly.

A metric is the curvature of the objective (loss and l2) in centred and scaled features, the
intercept being the last. *Full*: a matrix for each output, or one for all outputs of a joint
loss together, from all rows or a sample. *Diagonal*: where there are too many features for a
matrix, or where they are sparse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.kernels.linalg import factor, inverse, minimise_quadratic, solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FullMetric"]

_MOST_SWEEPS = 20_000
_BLIND = 1e-4
_DEGENERATE = 1e-3  # of the mean curvature: given to a direction that the loss is blind to


class FullMetric:
    """The matrix of curvatures, and what is made of it.

    Parameters
    ----------
    matrices : ndarray of shape (pairs, q, q)
        Mean curvatures, as `Passes.curvatures` returns them: one for each output, or for each
        pair of outputs.
    k : int
        Number of outputs.
    ridge : ndarray of shape (q,)
        Curvature of the l2 penalty.
    at : ndarray of shape (size,)
        The parameters at which the curvatures were taken, in the features' own units.
    fit_intercept : bool
        Whether the last of the q moves.

    Attributes
    ----------
    is_solved : bool
        Whether the last step was the minimum of the model: coordinate descent may give up.
    """

    def __init__(
        self,
        matrices: NDArray[np.float64],
        k: int,
        ridge: NDArray[np.float64],
        at: NDArray[np.float64],
        *,
        fit_intercept: bool,
    ) -> None:
        self.at = at
        q = matrices.shape[1]
        if not fit_intercept:
            matrices[:, -1, :] = matrices[:, :, -1] = 0.0
        self.k, self.q = k, q
        self.joint = matrices.shape[0] > k
        blocks = _joined(matrices, k, ridge) if self.joint else matrices
        self.ridge = np.tile(ridge, k) if self.joint else ridge
        self.curvature = blocks
        whole = blocks + np.eye(self.ridge.size) * self.ridge
        own = np.sqrt(np.einsum("bii->bi", whole))
        with np.errstate(divide="ignore"):
            self.unit = np.where(own > 0.0, 1.0 / own, 0.0)
        self._lower = whole * self.unit[:, :, None] * self.unit[:, None, :]
        for block in self._lower:
            factor(block)
        self.is_solved = True

    def _blocks(self, each: NDArray[np.float64]) -> NDArray[np.float64]:
        return each.reshape(1, -1) if self.joint else each

    def direction(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the step to the minimum of the quadratic model: (k, q), for a smooth penalty."""
        blocks = self._blocks(gradient)
        step = np.empty_like(blocks)
        for c, g in enumerate(blocks):
            at = c % self._lower.shape[0]
            x = -g * self.unit[at]
            solve(self._lower[at], x)
            step[c] = x * self.unit[at]
        return step.reshape(gradient.shape)

    def direction_with_l1(
        self, gradient: NDArray[np.float64], params: NDArray[np.float64], l1: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the step to the minimum of the quadratic model with an l1 penalty.

        Parameters
        ----------
        gradient : ndarray of shape (k, q)
            Of loss and l2 penalty.
        params : ndarray of shape (k, q)
            Where it was taken.
        l1 : ndarray of shape (q,)
            Strengths.
        """
        self.is_solved = True
        blocks, at_params = self._blocks(gradient), self._blocks(params)
        strengths = np.tile(l1, self.k) if self.joint else l1
        step = np.empty_like(blocks)
        for c, (g, x0) in enumerate(zip(blocks, at_params, strict=True)):
            at = c % self.curvature.shape[0]
            unit, matrix = self.unit[at], self.curvature[at]
            # Scaled to a unit diagonal, in terms of the parameters themselves: y = x / unit.
            scaled = matrix * unit[:, None] * unit[None, :]
            ridge = self.ridge * unit * unit
            with np.errstate(divide="ignore", invalid="ignore"):
                y0 = np.where(unit > 0.0, x0 / unit, 0.0)
            linear = g * unit - np.einsum("ij,j->i", scaled, y0) - ridge * y0
            y = y0.copy()
            solved = minimise_quadratic(scaled, linear, y, strengths * unit, ridge, _MOST_SWEEPS)
            self.is_solved = self.is_solved and bool(solved)
            step[c] = (y - y0) * unit
        return step.reshape(gradient.shape)

    def square(self, step: NDArray[np.float64]) -> float:
        """Return the square of a step's length in the metric."""
        total = 0.0
        for c, d in enumerate(self._blocks(step)):
            matrix = self.curvature[c % self.curvature.shape[0]]
            total += float(np.einsum("i,ij,j->", d, matrix, d) + (self.ridge * d * d).sum())
        return total

    def inverses(self) -> NDArray[np.float64]:
        """Return the inverse of each output's matrix, (k or 1, q, q)."""
        out = np.empty_like(self._lower)
        for lower, inverted in zip(self._lower, out, strict=True):
            inverse(lower, inverted)
        whole: NDArray[np.float64] = out * self.unit[:, :, None] * self.unit[:, None, :]
        return whole

    def diagonal(self) -> NDArray[np.float64]:
        """Return the loss's curvature along each parameter: (k, q)."""
        own = np.einsum("bii->bi", self.curvature)
        if self.joint:
            return np.asarray(own.reshape(self.k, self.q))
        return np.broadcast_to(own, (self.k, self.q)).copy() if own.shape[0] == 1 else own.copy()


def _joined(
    matrices: NDArray[np.float64], k: int, ridge: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the matrix of all outputs together, from those of the pairs of outputs."""
    q = matrices.shape[1]
    whole = np.zeros((k, q, k, q))
    pair = 0
    for c in range(k):
        for d in range(c + 1):
            whole[c, :, d, :] = whole[d, :, c, :] = matrices[pair]
            pair += 1
    # A joint loss may be blind to what all outputs have in common (softmax is): then differences
    # of slopes must not say otherwise. Where no penalty sees it either, it gets a little
    # curvature, which changes no optimum.
    common = whole.sum(axis=2)
    if np.abs(common).max(initial=0.0) <= _BLIND * np.abs(whole).max(initial=0.0):
        for c in range(k):
            whole[c, :, c, :] -= common[c]
    own = np.mean([np.diag(whole[c, :, c, :]) for c in range(k)], axis=0)
    blind = np.where(ridge > 0.0, 0.0, _DEGENERATE * own)
    for c in range(k):
        for d in range(k):
            whole[c, :, d, :][np.diag_indices(q)] += blind / k
    return whole.reshape(1, k * q, k * q)
