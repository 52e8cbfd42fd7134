"""Logistic regression on parts of the rows in turn, all of them at once.

Each part of the rows is predicted by a model of the other parts, under one strength of an l2
penalty after another. The models differ little, so they are trained together:

- Scores, losses and slopes of all models at all rows are a few products of matrices. They give
  objective and gradient of each model, and the losses of the rows that it has not seen.
- The Hessians of all models come from one pass over the rows at their mean: the Hessian of the
  rows of each part, left out of the sum of all in turn. They serve for further steps, and under
  the next strengths, until a step shrinks the excess too little.

So a step costs what a few products cost, however many models there are. Rows lie in memory as dense
numbers; `class_folds_pay` tells where that is worth it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.automatic.scaled_problem import ScaledProblem
from gradstep.engine.automatic.standardised_rows import standardised_rows, strength_of
from gradstep.engine.blas import one_blas_thread
from gradstep.objective.classification import LogLoss, Softmax, as_codes, class_probabilities
from gradstep.objective.penalties import L2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["ClassFolds", "class_folds_pay"]

# Numbers of dense rows, and parameters of all classes together, at most.
_MOST_NUMBERS, _MOST_PARAMETERS = 4_000_000, 256
# A model is good enough if its objective is above the least by this share of a constant's loss; a
# model of separable classes, whose loss has a tenth of that and less, needs it (ADR 0047).
_ENOUGH = 1e-5
# Steps under one strength, at most.
_MOST_STEPS = 40
# The Hessians are summed anew if a step leaves more than this share of the excess.
_SLOW = 0.1
# Halvings of a step that raises the objective, at most.
_HALVINGS = 12
# Share of the diagonal that is added to it, so that dependent columns have a step.
_JITTER = 1e-10
# Rows for each parameter that tell the Hessian at the mean of all models.
_ROWS = 40
# Scores of a block of rows, and numbers of one whose products make a Hessian: they stay in a cache.
_NUMBERS, _BLOCK = 1 << 13, 1 << 16


def class_folds_pay(problem: Problem, data: Dataset) -> bool:
    """Tell whether `ClassFolds` can be used, and its rows are few enough."""
    if not isinstance(problem.penalty, L2) or problem.constraints is not None:
        return False
    q = problem.n_features + 1
    logistic = isinstance(problem.loss, LogLoss | Softmax)
    few = data.n * q <= _MOST_NUMBERS and q * problem.n_outputs <= _MOST_PARAMETERS
    return logistic and few


class ClassFolds:
    """Losses of classes on parts of the rows, each predicted by a model of the other rows.

    Parameters
    ----------
    problem : Problem
        One that `class_folds_pay` allows.
    data : Dataset
        All rows.
    columns : Columns
        The statistics of the columns.
    parts : sequence of ndarray
        Positions of the rows of each part that is predicted.
    start : ndarray of shape (size,)
        Parameters of the best constant.
    """

    def __init__(
        self, problem: Problem, data: Dataset, columns: Columns,
        parts: Sequence[NDArray[np.uint32]], start: NDArray[np.float64],
    ) -> None:  # fmt: skip
        of = ScaledProblem(problem, data, columns)
        self._of, self._data, self._columns, self._problem = of, data, columns, problem
        self._k, self._q, self._n_folds = of.k, of.q, len(parts)
        rest = np.setdiff1d(np.arange(data.n), np.concatenate(parts), assume_unique=True)
        order = np.concatenate([*parts, rest])  # so that each part is a slice
        ends = np.cumsum([part.size for part in parts])
        self._slices = [slice(end - part.size, end) for end, part in zip(ends, parts, strict=True)]
        self._rest = slice(int(ends[-1]), data.n)
        self._x = standardised_rows(of, data)[order]
        if not problem.fit_intercept:
            self._x[:, -1] = 0.0
        weights = data.weights()
        own = (np.ones(data.n) if weights is None else weights)[order]
        self._own_weights, total = own, float(own.sum())
        self._weights = np.repeat(own[None] / total, self._n_folds, axis=0)
        for fold, at in enumerate(self._slices):
            self._weights[fold, at] = 0.0
        # Of the weights, in the rows that each model is trained on: one less the share of its part
        # would cancel where a row there has nearly all.
        self._left = self._weights.sum(axis=1)
        self._weights /= self._left[:, None]
        targets = data.targets()[order, 0]
        self._code, self._sign = as_codes(targets, self._k), np.where(targets > 0.0, 1.0, -1.0)
        self._each = np.empty((self._n_folds, data.n))  # losses of each model at each row
        first = of.standardisation.scaled_params(start)
        self._at = np.repeat(first[None], self._n_folds, axis=0)
        self._found: dict[float, NDArray[np.float64]] = {}
        self._each_own = False  # whether the mean has no Hessian that is good for all models
        with one_blas_thread():
            self._evaluate(self._at)
            self._sum_hessians()
        self._losses_of_constant = self._losses.copy()

    def loss(self, problem: Problem) -> float:
        """Return the mean loss of the parts under the penalty of a problem, which `evaluate` tells.

        The penalty of a row is the same as for all rows.
        """
        strength = strength_of(problem)
        ridge = ScaledProblem(problem, self._data, self._columns).ridge / self._left[:, None]
        with one_blas_thread():
            if self._found:
                near = min(self._found, key=lambda known: abs(math.log(known / strength)))
                if self._found[near] is not self._at:
                    self._evaluate(self._found[near])
            self._to_optimum(ridge)
        self._found[strength] = self._at
        return self._loss_held_out()

    def params(self, problem: Problem) -> NDArray[np.float64]:
        """Return the mean of the models under a penalty tried before, in the features' units."""
        found = self._found[strength_of(problem)]
        return self._of.standardisation.in_units(found.mean(axis=0))

    # ------------------------------------------------------------------ steps of all models

    def _to_optimum(self, ridge: NDArray[np.float64]) -> None:
        """Take steps until the excess of each model is a small share of a constant's loss."""
        before, fresh = np.full(self._n_folds, np.inf), False
        for _ in range(_MOST_STEPS):
            gradient = self._gradient + ridge[:, None, :] * self._at
            step = self._steps(gradient, ridge)
            excess = -0.5 * np.einsum("fki,fki->f", gradient, step)
            enough = excess <= _ENOUGH * self._losses_of_constant
            if enough.all():
                return
            if (excess > _SLOW * before)[~enough].any():
                self._each_own = self._each_own or fresh
                self._sum_hessians()
                step = self._steps(gradient, ridge)
                excess, fresh = -0.5 * np.einsum("fki,fki->f", gradient, step), True
            else:
                fresh = False
            if not self._line_search(step, ridge, -2.0 * excess) and self._each_own:
                return  # to rounding
            before = excess

    def _line_search(
        self, step: NDArray[np.float64], ridge: NDArray[np.float64], slope: NDArray[np.float64]
    ) -> bool:
        """Go a step, or for models whose objective would rise a part of it; tell whether any has.

        A part is the minimum of the parabola through the objectives and the slope, within bounds.
        """
        start, before = self._at, self._objective(self._at, ridge)
        length = np.ones(self._n_folds)
        for _ in range(_HALVINGS):
            with np.errstate(over="ignore", invalid="ignore"):  # not finite is worse
                self._evaluate(start + length[:, None, None] * step)
                after = self._objective(self._at, ridge)
            worse = ~(after <= before + 1e-4 * length * slope + 1e-15 * np.abs(before))
            if not worse.any():
                return True
            with np.errstate(all="ignore"):
                best = -0.5 * slope * length**2 / (after - before - slope * length)
            best = np.where(np.isfinite(best), best, 0.0)
            length = np.where(worse, np.clip(best, 0.1 * length, 0.5 * length), length)
        length[worse] = 0.0
        self._evaluate(start + length[:, None, None] * step)
        return bool((length > 0.0).any())

    def _objective(
        self, at: NDArray[np.float64], ridge: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        penalties: NDArray[np.float64] = np.einsum("fki,fi->f", at * at, ridge)
        objectives: NDArray[np.float64] = self._losses + 0.5 * penalties
        return objectives

    def _steps(
        self, gradient: NDArray[np.float64], ridge: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the steps to the minimum of each model's quadratic objective."""
        k, q = self._k, self._q
        whole = self._hessians.copy()
        diagonal = np.einsum("fii->fi", whole)
        diagonal += np.tile(ridge, (1, k))
        if k > 1:  # the loss is blind to a shift of all intercepts: it gets a second derivative
            at = np.arange(k) * q + q - 1
            whole[:, at[:, None], at] += diagonal[:, at].mean(axis=1)[:, None, None]
        known = diagonal > 0.0
        scale = np.where(known, 1.0 / np.sqrt(np.where(known, diagonal, 1.0)), 0.0)
        whole *= scale[:, :, None] * scale[:, None, :]
        np.einsum("fii->fi", whole)[:] += np.where(known, _JITTER, 1.0)
        right = -gradient.reshape(self._n_folds, k * q) * scale
        step: Any = np.linalg.solve(whole, right[:, :, None])[:, :, 0] * scale
        found: NDArray[np.float64] = step.reshape(self._n_folds, k, q)
        return found

    # ------------------------------------------------------------------ sums over the rows

    def _evaluate(self, at: NDArray[np.float64]) -> None:
        """Go to parameters; compute losses and gradients of all models there."""
        n, folds, k = self._x.shape[0], self._n_folds, self._k
        self._at, flat = at, at.reshape(folds * k, -1)
        gradient, rows = np.zeros_like(flat), max(1, _NUMBERS // (folds * k))
        for lo in range(0, n, rows):
            some = slice(lo, min(lo + rows, n))
            x = self._x[some]
            z = (flat @ x.T).reshape(folds, k, -1)
            each, slopes = self._losses_and_slopes(z, some)
            self._each[:, some] = each
            gradient += slopes.reshape(folds * k, -1) @ x
        self._losses = np.einsum("fn,fn->f", self._weights, self._each)
        self._gradient = gradient.reshape(folds, k, -1)

    def _losses_and_slopes(
        self, z: NDArray[np.float64], some: slice
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return losses (folds, rows) and weighted slopes (folds, k, rows) at scores."""
        weights = self._weights[:, some]
        if self._k == 1:
            sign = self._sign[some]
            margin = sign * z[:, 0]
            small = np.exp(-np.abs(margin))
            share = np.where(margin >= 0.0, small, 1.0) / (1.0 + small)
            return np.maximum(-margin, 0.0) + np.log1p(small), (-sign * share * weights)[:, None]
        code, rows = self._code[some], np.arange(z.shape[2])
        z -= z.max(axis=1, keepdims=True)
        own = z[:, code, rows]
        np.exp(z, out=z)
        total = z.sum(axis=1)
        z *= (weights / total)[:, None]
        z[:, code, rows] -= weights
        return np.log(total) - own, z

    def _sum_hessians(self) -> None:
        """Sum the Hessian of each model: at the mean of all parameters, or each at its own."""
        k, q = self._k, self._q
        share = self._own_weights / self._own_weights.sum()
        if self._each_own:
            blocks = [
                self._hessian_of(slice(0, share.size), at, weights)
                for at, weights in zip(self._at, self._weights, strict=True)
            ]
        else:
            mean = self._at.mean(axis=0)
            parts = [self._hessian_of(at, mean, share[at]) for at in self._slices]
            rest = self._hessian_of(self._rest, mean, share[self._rest])
            blocks = [
                (sum(parts[:fold] + parts[fold + 1 :]) + rest) / left
                for fold, left in enumerate(self._left)
            ]
        whole = np.empty((self._n_folds, k, q, k, q))
        for pair, (c, d) in enumerate(_pairs(k)):
            whole[:, c, :, d, :] = whole[:, d, :, c, :] = [block[pair] for block in blocks]
        self._hessians = whole.reshape(self._n_folds, k * q, k * q)

    def _hessian_of(
        self, some: slice, params: NDArray[np.float64], share: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return what some rows add to the Hessian, a block for each pair of outputs."""
        k, q, x = self._k, self._q, self._x[some]
        if not self._each_own:  # a sample of rows tells enough
            apart = max(1, self._x.shape[0] // (_ROWS * k * q))
            whole, x, share = float(share.sum()), x[::apart], share[::apart]
            share = share * (whole / max(float(share.sum()), np.finfo(float).tiny))
        each = class_probabilities(self._problem.loss, x @ params.T)
        if k == 1:
            second = (each[:, 0] * each[:, 1] * share)[:, None]
        else:
            second = np.stack(
                [each[:, c] * ((c == d) - each[:, d]) * share for c, d in _pairs(k)], axis=1
            )
        n_pairs = second.shape[1]
        found, rows = np.zeros((n_pairs * q, q)), max(1, _BLOCK // (n_pairs * q))
        for lo in range(0, x.shape[0], rows):
            block = x[lo : lo + rows]
            wide = second[lo : lo + rows, :, None] * block[:, None, :]
            found += wide.reshape(block.shape[0], n_pairs * q).T @ block
        return found.reshape(n_pairs, q, q)

    def _loss_held_out(self) -> float:
        """Return the mean loss of the rows of the parts; none costs more than in `evaluate`."""
        most = -np.log(np.finfo(np.float64).eps)
        total = weight = 0.0
        for fold, at in enumerate(self._slices):
            own = self._own_weights[at]
            total += float((np.minimum(self._each[fold, at], most) * own).sum())
            weight += float(own.sum())
        return total / weight


def _pairs(k: int) -> list[tuple[int, int]]:
    return [(c, d) for c in range(k) for d in range(c + 1)]
