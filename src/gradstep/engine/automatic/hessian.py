"""The Hessian of a problem: of all rows or a sample, as a matrix or its diagonal."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.automatic.choice import (
    CHEAP_PRODUCTS,
    all_rows_are_cheap,
    can_take_newton_steps,
    hessian_rows,
    is_summed_in_single,
)
from gradstep.engine.automatic.sampling import Sampler
from gradstep.engine.automatic.state import Diagonal, Factors, Matrices
from gradstep.engine.blas import one_blas_thread
from gradstep.engine.row_sums import HessianOptions, RowSums
from gradstep.engine.standardisation import Standardisation
from gradstep.objective.regression import SquaredError
from gradstep.rows.dataset import scattered
from gradstep.rows.layouts import DenseRows
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem
    from gradstep.engine.automatic.smoothing import Smoothing
    from gradstep.engine.automatic.state import Sampling
    from gradstep.rows.dataset import Dataset

__all__ = ["Hessians"]

_NEWTON_ROWS_A_FEATURE = 100
_LARGEST_ROWS = 4096
# Rows per feature that the products of features are taken from.
_ROWS_OF_FACTORS = 20
# Rows that tell the products of outputs, and the second derivative of a rough diagonal.
_SCATTERED_ROWS = 4096
# The same for a rough diagonal of dense rows, which is copied: numbers, and rows at least.
_SCATTERED_NUMBERS, _FEWEST_SCATTERED = 1 << 20, 512
_POWER_STEPS = 8


class Hessians:
    """Sums the Hessian of a problem; keeps nothing that a result depends on.

    Parameters
    ----------
    of : ScaledProblem
        The problem.
    row_sums : RowSums
        What sums over rows.
    """

    def __init__(self, of: ScaledProblem, row_sums: RowSums) -> None:
        self._of, self._row_sums = of, row_sums
        self._sampler = Sampler(of, row_sums)
        self._always_all = of.wants_exact or all_rows_are_cheap(of)
        self._standardised = (
            readonly(of.standardisation.shift), readonly(of.standardisation.scale),
        )  # fmt: skip
        self._steps: dict[int, tuple[NDArray[np.float64], float, float]] = {}
        self._steps_of: Diagonal | None = None

    def options(self, smoothing: Smoothing, blocks: int | None = None) -> HessianOptions:
        """Return how the Hessian is summed: so many blocks of it, all by default."""
        of = self._of
        blocks = of.blocks if blocks is None else blocks
        return HessianOptions(blocks, smoothing.widths(of), *self._standardised)

    # ------------------------------------------------------------------ matrices

    def takes_all_rows(self, sampling: Sampling) -> bool:
        """Tell whether Newton steps use the Hessian of all rows, or of at least half of them."""
        return self._newton_rows(sampling) >= self._of.data.n // 2

    def _newton_rows(self, sampling: Sampling) -> int:
        """Return the sample size of a Newton step's Hessian: all rows, or as many as affordable."""
        of, n = self._of, self._of.data.n
        if self._always_all:
            return n
        wanted = max(_NEWTON_ROWS_A_FEATURE * of.q, CHEAP_PRODUCTS / of.products)
        return int(min(n, wanted * sampling.factor))

    def for_newton(
        self, params: NDArray[np.float64], evaluated: NDArray[np.float64] | None,
        smoothing: Smoothing, sampling: Sampling,
    ) -> tuple[Matrices, Sampling]:  # fmt: skip
        """Return the Hessian of a Newton step: as evaluated already, or summed here."""
        whole = self.takes_all_rows(sampling)
        if evaluated is None:
            sample = None
            if not whole:
                rows = self._newton_rows(sampling)
                sample, sampling = self.draw(params, rows, smoothing, sampling)
            evaluated = self._sum(params, sample, self.options(smoothing), smoothing)
        return Matrices(evaluated, params, whole), sampling

    def for_steps(
        self, params: NDArray[np.float64], smoothing: Smoothing, sampling: Sampling
    ) -> tuple[Matrices, Sampling]:
        """Return the Hessian of quasi-Newton steps, from a sample: of joint losses, too, if small.

        Else it has a block for each output.
        """
        of = self._of
        rows = min(of.data.n, hessian_rows(of) * sampling.factor)
        sample = None
        if rows < of.data.n:
            sample, sampling = self.draw(params, rows, smoothing, sampling)
        blocks = of.blocks if can_take_newton_steps(of) else min(of.blocks, of.k)
        single = is_summed_in_single(of)
        options = self.options(smoothing, blocks)._replace(single=single)
        hessian = self._sum(params, sample, options, smoothing)
        if sample is not None:
            self._fill(hessian, sampling)
        return Matrices(hessian, params, whole=sample is None and not single), sampling

    def of_sample(self, known: Matrices, sampling: Sampling) -> Matrices:
        """Return the Hessian of a sample that was trained on, as one of quasi-Newton steps."""
        hessian = known.hessian.copy()
        self._fill(hessian, sampling)
        return Matrices(hessian, known.at, whole=False)

    def _fill(self, hessian: NDArray[np.float64], sampling: Sampling) -> None:
        """Give features that no row of a sample has their own second derivative, in place."""
        of, k = self._of, self._of.k
        if not sampling.squares.size:  # rows are standardised: they all have every feature
            return
        own = np.einsum("bii->bi", hessian)[:, :-1]  # a view
        missed = ~own.any(axis=0) & (of.standardisation.scale > 0.0)
        if hessian.shape[0] <= k:
            own[:, missed] = sampling.squares[missed]
            return
        first = [c * (c + 1) // 2 + c for c in range(k)]  # the blocks of an output with itself
        own[:, missed] = -sampling.squares[missed] / k  # what all outputs share has none
        own[first] += np.where(missed, sampling.squares, 0.0)

    def _sum(
        self, params: NDArray[np.float64], sample: Dataset | None, options: HessianOptions,
        smoothing: Smoothing,
    ) -> NDArray[np.float64]:  # fmt: skip
        of = self._of
        plain = None if of.has_optimality else of.problem.loss
        loss = smoothing.loss(of)
        if sample is None:
            return self._row_sums.hessian(loss, params, options, plain=plain)
        with RowSums(sample, of.k) as sums:
            self._row_sums.rows_read += sample.n
            return sums.hessian(loss, params, options, plain=plain)

    def draw(
        self, params: NDArray[np.float64], rows: int, smoothing: Smoothing, sampling: Sampling
    ) -> tuple[Dataset, Sampling]:
        """Return a sample of rows."""
        of = self._of
        # Where columns are measured, rows are standardised: all squares have the mean 1.
        if not of.columns.measured and not sampling.squares.size:
            k, p = of.k, of.q - 1
            loss, widths = of.problem.loss, smoothing.widths(of)
            found = self._row_sums.rough_hessian_diagonal(loss, params, widths)[: k * p]
            squares = found.reshape(k, p).mean(axis=0) * of.standardisation.scale**2
            sampling = sampling._replace(squares=squares)
        return self._sampler.draw(rows, sampling, smoothing)

    # ------------------------------------------------------------------ of many outputs

    def factors(
        self, params: NDArray[np.float64], smoothing: Smoothing, sampling: Sampling,
        features: NDArray[np.float64] | None,
    ) -> tuple[Factors, Sampling]:  # fmt: skip
        """Return the factors of the Hessian of many outputs; `features`, if that is known."""
        of, sums = self._of, self._row_sums
        loss: Any = of.problem.loss  # `has_factors` says that it knows this Hessian
        if features is None:
            data, rows = of.data, _ROWS_OF_FACTORS * of.q
            if rows < of.data.n:
                data, sampling = self.draw(params, rows, smoothing, sampling)
            sums.rows_read += data.n
            with RowSums(data, 1) as one:
                options = self.options(smoothing, 1)
                features = one.hessian(SquaredError(), np.zeros(of.q), options)[0]
        some = self._scattered()
        with RowSums(some, of.k) as part, one_blas_thread():
            outputs = loss.score_hessian(part.scores(params), some.weights())
        return Factors(features, outputs), sampling

    def _scattered(self, rows: int = _SCATTERED_ROWS) -> Dataset:
        """Return so many rows, or up to twice, from all over the data."""
        some = self._row_sums.take(scattered(self._of.data.n, rows))
        self._row_sums.rows_read += some.n
        return some

    # ------------------------------------------------------------------ the diagonal

    def diagonal(
        self, params: NDArray[np.float64], smoothing: Smoothing, *, rough: bool = False
    ) -> Diagonal:
        """Return what the diagonal preconditioner is made of, at some parameters.

        If it may be rough, some rows tell it.
        """
        of, k, p = self._of, self._of.k, self._of.q - 1
        scale, sums = of.standardisation.scale, self._row_sums
        at = of.problem.loss, params, smoothing.widths(of)
        dense = isinstance(of.data.rows, DenseRows)
        if rough and dense and of.quadratic:
            found = np.ones(k * (p + 1))
        elif rough and dense:
            rows = max(_FEWEST_SCATTERED, min(_SCATTERED_ROWS, _SCATTERED_NUMBERS // max(1, p)))
            with RowSums(self._scattered(rows), k) as part:
                found = part.hessian_diagonal(*at)
        else:
            found = sums.rough_hessian_diagonal(*at) if rough else sums.hessian_diagonal(*at)
        intercepts = found[k * p :]
        if dense:  # standardised: all squares have the mean 1
            own = intercepts[:, None] * np.ones(p)
        else:
            own = found[: k * p].reshape(k, p) * scale**2
        return Diagonal(own * (scale > 0.0), intercepts)

    def diagonal_steps(
        self, diagonal: Diagonal, batch: int
    ) -> tuple[NDArray[np.float64], float, float]:
        """Return how mini-batch steps are taken in the diagonal preconditioner.

        A feature that few rows have is in few batches: its step must not be that of a feature
        whose second derivative is as small, but the same in every batch. So the mean length of
        rows, over the rows of a batch, is added to all.

        Returns
        -------
        inverse : ndarray of shape (k, p + 1)
            Of the preconditioner.
        rate : float
            The longest safe step.
        of_scores : float
            Mean second derivative of the loss.
        """
        if self._steps_of is not diagonal:
            self._steps, self._steps_of = {}, diagonal
        if batch in self._steps:
            return self._steps[batch]
        own, intercepts = diagonal
        scale = self._of.standardisation.scale
        length = own.sum(axis=1) + intercepts
        whole = np.concatenate([own, intercepts[:, None]], axis=1) + length[:, None] / batch
        with np.errstate(divide="ignore"):
            inverse = np.where(whole > 0.0, 1.0 / whole, 0.0)
        inverse[:, :-1] *= scale > 0.0
        inverse[:, -1] *= self._of.problem.fit_intercept
        of_scores = float(intercepts.mean())
        rate = 1.0 / (1.0 + self._largest(inverse[0], of_scores))
        self._steps[batch] = inverse, rate, of_scores
        return self._steps[batch]

    def _largest(self, inverse: NDArray[np.float64], of_scores: float) -> float:
        """Return the largest eigenvalue of the preconditioned Hessian, by power iteration."""
        standardisation = self._of.standardisation
        at = scattered(self._of.data.n, _LARGEST_ROWS)
        part = replace(self._row_sums.take(at), y=np.zeros((at.size, 1)))
        one = Standardisation(standardisation.shift, standardisation.scale, 1)
        half = np.sqrt(inverse)
        x, most = np.ones((1, half.size)), 0.0
        with RowSums(part, 1) as row_sums:
            for _ in range(_POWER_STEPS):
                x /= math.sqrt(float((x * x).sum()))
                _, gradient = row_sums.gradient(SquaredError(), one.in_units(x * half))
                x = one.gradient(gradient) * half * of_scores
                size = math.sqrt(float((x * x).sum()))
                most = max(most, size)
                if not size > 0.0:
                    break
        return most
