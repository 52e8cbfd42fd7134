"""The covariance of fitted parameters: how far a fit of other rows of the kind would lie from it.

At the optimum of a smooth objective the parameters are, for many rows, normal around those of the
population, with the covariance H⁻¹·S·H⁻¹: H is the Hessian of the objective, S the sum of the
products of rows' gradients. It holds whether or not the loss is the true likelihood (Huber, "The
behavior of maximum likelihood estimates under nonstandard conditions", 1967; White, "Maximum
likelihood estimation of misspecified models", Econometrica 50, 1982), which is what is meant by
*robust*. Of rows in clusters, S is the sum over clusters of the products of their sums (Liang and
Zeger, Biometrika 73, 1986); of two ways to cluster, those of each less those of both (Cameron,
Gelbach and Miller, JBES 29, 2011). If the loss is the likelihood, H⁻¹ alone is enough: *model*.

With an l2 penalty, H is that of the penalised objective, gradients are taken about their mean, and
the intervals are for the parameters that the penalised objective has in the population.

All is computed for standardised features, where the numbers are of one size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.row_sums import RowSums
from gradstep.engine.row_tasks import Evaluate, HessianOptions
from gradstep.errors import InvalidData, InvalidParameter
from gradstep.inference.blocks import BlockedProblem
from gradstep.inference.clusters import both_ways
from gradstep.inference.generalised_inverse import generalised_inverse
from gradstep.inference.quantile import bandwidth_of
from gradstep.inference.record import Covariance
from gradstep.inference.sums import AtMeans, PearsonSum, Residuals, ScoreProducts, cluster_sums
from gradstep.inference.validity import why_not
from gradstep.objective.losses import is_quadratic
from gradstep.objective.regression import Pinball
from gradstep.objective.smoothed import as_trained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["KINDS", "covariance_of"]

KINDS = ("robust", "HC0", "model")
_WIDTH = 1e-4  # of scores, between slopes that a second derivative is taken from
_FAR = 1.0  # standard errors from the optimum that are not accepted
_MOST_CLUSTER_BYTES = 1 << 31


def covariance_of(
    problem: Problem,
    data: Dataset,
    params: NDArray[np.float64],
    columns: Columns,
    kind: str = "robust",
    clusters: Sequence[NDArray[np.intp]] = (),
    shared: NDArray[np.float64] | None = None,
) -> Covariance:
    """Return the covariance of parameters at the optimum.

    Parameters
    ----------
    problem : Problem
        What was minimised.
    data : Dataset
        The rows that it was minimised on.
    params : ndarray of shape (size,)
        The optimum, in the features' own units.
    columns : Columns
        Statistics of the columns.
    kind : {"robust", "HC0", "model"}
        "HC0" is "robust" without the factor n / (n - parameters).
    clusters : sequence of ndarray of shape (n,), at most two
        The cluster of each row that counts, from 0: for dependent rows.
    shared : ndarray of shape (directions, q), optional
        Directions that no score depends on, and that nobody asks about: all levels of a category
        higher, the intercept lower. What depends on other ones is undetermined.

    Raises
    ------
    InvalidParameter, InvalidData
        Where no such covariance is valid: the reason, and what to do.
    """
    if why := why_not(problem):
        msg = f"No standard errors: {why}."
        raise InvalidParameter(msg)
    of = BlockedProblem(problem, data, columns)
    if kind == "model" and of.power is None and not of.is_likelihood:
        msg = (
            f"covariance='model' needs a loss that is a likelihood, which "
            f"{type(problem.loss).__name__} is not: use 'robust'."
        )
        raise InvalidParameter(msg)
    with RowSums(data, of.k) as sums:
        return _Sandwich(of, sums, np.ascontiguousarray(params), shared).covariance(kind, clusters)


class _Sandwich:
    """H and S at a point, and what they come to."""

    def __init__(
        self, of: BlockedProblem, sums: RowSums, params: NDArray[np.float64],
        shared: NDArray[np.float64] | None,
    ) -> None:  # fmt: skip
        self.of, self.sums, self.params = of, sums, params
        self.shared = np.zeros((0, of.q)) if shared is None else shared
        self.how = of.scaled.standardisation
        self.weight, self.n, self.rank = of.data.weight_sum, of.data.n, of.rank
        if self.n <= of.rank:
            msg = (
                f"No standard errors: {self.n:,} rows are too few for {of.rank:,} parameters. Use "
                "fewer features, or more rows."
            )
            raise InvalidData(msg)

    def covariance(self, kind: str, clusters: Sequence[NDArray[np.intp]]) -> Covariance:
        of = self.of
        ridge = np.tile(of.scaled.ridge, of.k) if of.joint else of.scaled.ridge
        hessian = self._hessian(expected=kind == "model" and not clusters)
        whole = self.weight * (hessian + np.eye(ridge.size) * ridge)
        shared = self._shared_directions()
        found = [generalised_inverse(block, of.free, shared) for block in whole]
        inverse = np.array([each.matrix for each in found])
        dependent = np.array([each.dependent for each in found])
        self.rank = min(of.rank, max(each.rank for each in found))
        gradient = self._gradient()
        degrees = self.n - self.rank
        dispersion = self._dispersion(degrees)
        if clusters:
            middle = self._of_clusters(clusters, gradient)
        elif kind == "model":
            middle = self.weight * hessian * self._by_block(dispersion)
        else:
            middle = self._score_products(gradient)
            if kind == "robust":
                middle = middle * (self.n / degrees)
        matrix = inverse @ middle @ inverse
        lines = of.lines(self.how.scaled_params(self.params))
        step = np.einsum("bij,bj->bi", inverse, gradient + self.weight * ridge * lines)
        errors = np.sqrt(np.maximum(np.einsum("bii->bi", matrix), 0.0))
        distance = float(np.divide(np.abs(step), errors, where=errors > 0, out=0.0 * step).max())
        if not distance <= _FAR:
            msg = (
                f"No standard errors: a coefficient lies {distance:.3g} standard errors from the "
                "optimum, where these hold. Fit with optimizer='auto' and a smaller tol, on the "
                "same rows, weights and penalty."
            )
            raise InvalidData(msg)
        return Covariance(
            kind="cluster" if clusters else kind,
            matrix=self._in_units(matrix),
            params=self._centred_params(),
            undetermined=self._undetermined(dependent),
            n_rows=self.n,
            rank=self.rank,
            clusters=tuple(int(codes.max()) + 1 for codes in clusters),
            dispersion=dispersion if self._power is None else dispersion / of.data.mean_weight,
            distance=distance,
            penalised=of.penalised,
            degrees=self._degrees(clusters),
            directions=self._directions([each.null for each in found]),
        )

    def _degrees(self, clusters: Sequence[NDArray[np.intp]]) -> int | None:
        if not is_quadratic(self.of.loss):
            return None
        if clusters:
            return int(min(codes.max() for codes in clusters))
        return self.n - self.rank

    # ------------------------------------------------------------------ sums

    def _hessian(self, *, expected: bool) -> NDArray[np.float64]:
        """Return the mean Hessian of the loss, by blocks."""
        of, width = self.of, _WIDTH * self.of.scaled.score_unit
        if isinstance(of.loss, Pinball):
            residuals = self.sums.each(Residuals(of.k, self.params))
            width = bandwidth_of(of.loss, np.concatenate(residuals))
        widths = np.array([[width], [1.0]])
        blocks = 1 if is_quadratic(of.loss) else of.scaled.blocks
        options = HessianOptions(blocks, widths, self.how.shift, self.how.scale)
        loss, _, plain = as_trained(of.loss)
        if not (expected and of.power and of.power != 1.0):  # Poisson's are the same
            return of.blocks(self.sums.hessian(loss, self.params, options, plain=plain))
        task = Evaluate(
            (loss, None, None), of.k, self.params, options, with_losses=False, with_gradient=False
        )
        total = self.sums.total(AtMeans(task, of.loss, of.k, self.params))[2]
        return of.blocks(total / self.weight)

    def _gradient(self) -> NDArray[np.float64]:
        """Return the sum of the rows' gradients, by blocks."""
        mean = self.sums.gradient(self.of.loss, self.params)[1]
        return self.of.lines(self.weight * self.how.gradient(mean))

    def _score_products(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        of = self.of
        blocks = of.k * (of.k + 1) // 2 if of.joint else of.k
        task = ScoreProducts(of.loss, of.k, self.params, blocks, self.how.shift, self.how.scale)
        found = of.blocks(self.sums.total(task, 8 * blocks * of.q * of.q))
        if not of.penalised:
            return found
        return found - gradient[:, :, None] * gradient[:, None, :] / self.n

    def _of_clusters(
        self, clusters: Sequence[NDArray[np.intp]], gradient: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the products of clusters' gradients, with the usual factor for few clusters."""
        ways = [*clusters]
        signs = [1.0] * len(ways)
        if len(ways) == 2:
            ways, signs = [*ways, both_ways(*ways)], [1.0, 1.0, -1.0]
        total = np.zeros(1)
        for codes, sign in zip(ways, signs, strict=True):
            total = total + sign * self._of_one_way(codes, gradient)
        return total

    def _of_one_way(
        self, codes: NDArray[np.intp], gradient: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        of, counts = self.of, np.bincount(codes)
        n_clusters = counts.size
        if n_clusters < 2:
            msg = "Clustered standard errors need two clusters or more; there is one."
            raise InvalidData(msg)
        if 8 * n_clusters * self.params.size > _MOST_CLUSTER_BYTES:
            msg = (
                f"Clustered standard errors of {n_clusters:,} clusters and {self.params.size:,} "
                "parameters need more than 2 GiB: cluster by a column of fewer values."
            )
            raise InvalidData(msg)
        own = cluster_sums(of.data, of.loss, of.k, self.params, codes)
        p = of.q - 1
        w, b = own[:, : of.k * p].reshape(-1, of.k, p), own[:, of.k * p :]
        lines = np.concatenate(
            [(w - self.how.shift * b[:, :, None]) * self.how.scale, b[:, :, None]], axis=2
        )
        blocks = of.lines(lines)
        if of.penalised:
            blocks = blocks - counts[:, None, None] * gradient / self.n
        factor = n_clusters / (n_clusters - 1) * (self.n - 1) / (self.n - self.rank)
        products: NDArray[np.float64] = factor * np.einsum("gbi,gbj->bij", blocks, blocks)
        return products

    def _dispersion(self, degrees: int) -> NDArray[np.float64]:
        """Return Pearson's statistic over its degrees of freedom, for each output."""
        of = self.of
        if self._power is None:
            return np.ones(of.k)
        if self.sums.follows_from_moments(of.loss):
            half = self.sums.mean_loss(of.loss, self.params)
            return np.array([2.0 * self.weight * half / degrees])
        total = self.sums.total(PearsonSum(of.loss, of.k, self.params, self._power))
        found: NDArray[np.float64] = total / degrees
        return found

    @property
    def _power(self) -> float | None:
        """Of the variance function, where its size is to be measured: a count's is its mean."""
        return None if self.of.power == 1.0 else self.of.power

    def _by_block(self, of_outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return of_outputs[:1, None, None] if self.of.joint else of_outputs[:, None, None]

    # ------------------------------------------------------------------ matrices

    def _shared_directions(self) -> NDArray[np.float64]:
        """Return directions that change nothing, standardised: (directions, size of a block)."""
        of, scale = self.of, self.how.scale
        with np.errstate(divide="ignore"):
            wide = np.append(np.where(scale > 0.0, 1.0 / scale, 0.0), 1.0)
        own: NDArray[np.float64] = self.shared * wide
        own[:, -1] += self.shared[:, :-1] @ self.how.shift
        if not of.joint:
            return own
        each = np.eye(of.q)[of.free[: of.q]]  # what all classes share is no parameter
        return np.vstack([np.kron(np.eye(of.k), own), np.tile(each, of.k)])

    def _centred_params(self) -> NDArray[np.float64]:
        of = self.of
        p = of.q - 1
        w, b = self.params[: of.k * p].reshape(of.k, p), self.params[of.k * p :]
        lines: NDArray[np.float64] = np.concatenate([w, b[:, None]], axis=1)
        return lines - lines.mean(axis=0) if of.joint else lines

    def _undetermined(self, dependent: NDArray[np.bool_]) -> NDArray[np.bool_]:
        of = self.of
        found = dependent.reshape(-1, of.q)
        if of.joint:
            found = np.broadcast_to(found.any(axis=0), (of.k, of.q))
        lost: NDArray[np.bool_] = found & np.append(
            np.ones(of.q - 1, bool), of.problem.fit_intercept
        )
        return lost

    def _directions(self, null: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return what spans the null spaces of blocks in the features' own units, (n, k, q).

        And each feature that was constant: by itself.
        """
        of, found = self.of, []
        for block, columns in enumerate(null):
            for column in (self._to_units() @ columns).T:
                own = np.zeros((of.k, of.q))
                own[slice(None) if of.joint else block] = column.reshape(-1, of.q)
                found.append(own / (np.linalg.norm(own) or 1.0))
        for j in np.flatnonzero(self.how.scale <= 0.0):
            own = np.zeros((of.k, of.q))
            own[0, j] = 1.0
            found.append(own)
        return np.array(found).reshape(-1, of.k, of.q)

    def _to_units(self) -> NDArray[np.float64]:
        """Return what turns a block of standardised features' parameters into their own units."""
        found = np.diag(np.append(self.how.scale, 1.0))
        found[-1, :-1] = -self.how.scale * self.how.shift
        if not self.of.joint:
            return found
        about_mean = np.eye(self.of.k) - 1.0 / self.of.k
        return np.asarray(np.kron(about_mean, found), np.float64)

    def _in_units(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a covariance of standardised features' parameters as one in their own units."""
        to_units = self._to_units()
        found = to_units @ matrix @ to_units.T
        symmetric: NDArray[np.float64] = 0.5 * (found + np.transpose(found, (0, 2, 1)))
        return symmetric
