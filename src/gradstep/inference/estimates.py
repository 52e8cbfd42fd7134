"""Estimates with their standard errors: intervals, tests, and intervals of predictions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.diagnostics.of_models import (
    FEW_ITERATES,
    NOT_AT_OPTIMUM,
    PENALISED_INTERVALS,
    SCALED_RANDOMLY,
    UNDETERMINED,
)
from gradstep.errors import InvalidParameter
from gradstep.figures import aligned, number, p_value
from gradstep.inference.clusters import note_of_few
from gradstep.inference.distributions import Normal, Student, above_chi_square, above_f
from gradstep.inference.validity import RANDOM_SCALING
from gradstep.markup import table_of, tag
from gradstep.objective.losses import inverse_link, is_quadratic

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.inference.record import Covariance

__all__ = ["INTERCEPT", "Inference"]

INTERCEPT = "(intercept)"
_CHUNK = 1 << 22  # numbers of the rows that intervals are computed of at a time
_FEW_ITERATES = 1000
_DISTANT = 0.05  # standard errors from the optimum that are told


@dataclass(frozen=True, eq=False)
class Inference:
    """How sure the coefficients of a fit are.

    Attributes
    ----------
    features : list of str
        Names of the features, then "(intercept)".
    outputs : list
        Targets or classes, one for each line of the coefficients; of one output, [None].
    covariance : Covariance
        What the standard errors come from.
    loss : Loss
        The loss.

    Examples
    --------
    >>> from gradstep import MiniBatchRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> y = 3.0 + X @ [2.0, 0.0] + rng.normal(size=500)
    >>> found = MiniBatchRegressor(penalty=None).fit(X, y).inference(X, y)
    >>> print(found)
    feature      coefficient  std. error        t        p  95 % from       to
    x0                 2.036      0.0436     46.7  < 1e-16       1.95    2.122
    x1              -0.04652     0.05041  -0.9229    0.357    -0.1456  0.05252
    (intercept)        3.053     0.04551     67.1  < 1e-16      2.964    3.143
    >>> found.wald(["x1"])["p"].__round__(3)
    0.357
    """

    features: list[str]
    outputs: list[Any]
    covariance: Covariance
    loss: Any = field(repr=False)

    # ------------------------------------------------------------------ of single coefficients

    @property
    def estimates(self) -> NDArray[np.float64]:
        """Coefficients and the intercept, shape (k, q)."""
        return self.covariance.params

    @property
    def standard_errors(self) -> NDArray[np.float64]:
        """Standard errors, shape (k, q); NaN where a feature is constant or others determine it."""
        return self.covariance.standard_errors

    @property
    def statistics(self) -> NDArray[np.float64]:
        """Estimates over their standard errors, shape (k, q)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: NDArray[np.float64] = self.estimates / self.standard_errors
        return found

    @property
    def p_values(self) -> NDArray[np.float64]:
        """Probability of an estimate as far from zero, were the coefficient zero; two-sided."""
        found: NDArray[np.float64] = 2.0 * self._distribution().sf(np.abs(self.statistics))
        return found

    def intervals(self, level: float = 0.95) -> NDArray[np.float64]:
        """Return confidence intervals.

        Parameters
        ----------
        level : float
            The share of samples whose interval holds the coefficient.

        Returns
        -------
        ndarray of shape (k, q, 2)
            Low and high ends.
        """
        half = self.quantile(level) * self.standard_errors
        return np.stack([self.estimates - half, self.estimates + half], axis=-1)

    def _distribution(self) -> Any:
        if self._by_random_scaling:
            from gradstep.inference.random_scaling import RandomScaling

            return RandomScaling()
        degrees = self.covariance.degrees
        return Normal() if degrees is None else Student(degrees)

    @property
    def _by_random_scaling(self) -> bool:
        return self.covariance.kind == RANDOM_SCALING

    def p_of(self, statistic: float) -> float:
        """Return the two-sided p-value of a statistic."""
        return float(2.0 * self._distribution().sf(abs(statistic)))

    def quantile(self, level: float) -> float:
        """Return how many standard errors an interval reaches to each side."""
        if not 0.0 < level < 1.0:
            msg = f"level={level!r} must be a share between 0 and 1, such as 0.95."
            raise InvalidParameter(msg)
        return float(self._distribution().ppf(0.5 + 0.5 * level))

    # ------------------------------------------------------------------ of several together

    def wald(self, features: Sequence[str | int]) -> dict[str, float]:
        """Test whether the coefficients of several features are all zero.

        Parameters
        ----------
        features : sequence of str or int
            Names or numbers of features: all levels of a category, say.

        Returns
        -------
        dict
            ``statistic``: θᵀV⁻¹θ, of squared error over its degrees of freedom (F); ``df``, how
            many coefficients are tested; ``p``.
        """
        at = [self._number(feature) for feature in features]
        k, q = self.estimates.shape
        lines = np.zeros((k * len(at), k * q))
        for i, (c, j) in enumerate((c, j) for c in range(k) for j in at):
            lines[i, c * q + j] = 1.0
        return self.wald_of(lines)

    def wald_of(self, contrasts: NDArray[np.float64]) -> dict[str, float]:
        """Test whether several linear combinations of parameters are all zero.

        Parameters
        ----------
        contrasts : ndarray of shape (tests, k·q)
            Combinations of the parameters, output by output.
        """
        theta = contrasts @ self.estimates.reshape(-1)
        values, vectors = np.linalg.eigh(contrasts @ self.whole() @ contrasts.T)
        kept = values > 1e-10 * max(values.max(initial=0.0), 0.0)
        df = int(kept.sum())
        if self._by_random_scaling and df > 1:
            msg = (
                f"Random scaling has intervals and tests of one combination at a time, and these "
                f"are {df}."
            )
            raise InvalidParameter(msg)
        square = float(((vectors[:, kept].T @ theta) ** 2 / values[kept]).sum())
        degrees = self.covariance.degrees
        if degrees is not None and df:
            p = above_f(square / df, df, degrees)
            return {"statistic": square / df, "df": df, "p": p}
        p = self.p_of(square**0.5) if self._by_random_scaling else above_chi_square(square, df)
        return {"statistic": square, "df": df, "p": p}

    def whole(self) -> NDArray[np.float64]:
        """Return the covariance of all parameters, (k·q, k·q): outputs apart know no other."""
        blocks = self.covariance.matrix
        if blocks.shape[0] == 1:
            alone: NDArray[np.float64] = blocks[0]
            return alone
        k, q = self.estimates.shape
        whole = np.zeros((k, q, k, q))
        for c in range(k):
            whole[c, :, c, :] = blocks[c]
        return whole.reshape(k * q, k * q)

    def _number(self, feature: str | int) -> int:
        if isinstance(feature, str):
            if feature not in self.features:
                msg = f"There is no feature {feature!r}. There are {', '.join(self.features)}."
                raise InvalidParameter(msg)
            return self.features.index(feature)
        return int(feature)

    # ------------------------------------------------------------------ of predictions

    def of_scores(self, X: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the scores of rows, and the standard errors of these: (n, k) each.

        Parameters
        ----------
        X : ndarray or sparse array of shape (n, p)
            Rows.
        """
        k, q = self.estimates.shape
        if X.ndim != 2 or X.shape[1] != q - 1:
            msg = f"X must have {q - 1} columns, one a feature; its shape is {X.shape}."
            raise InvalidParameter(msg)
        whole = self.whole().reshape(k, q, k, q)
        z, errors = np.empty((X.shape[0], k)), np.empty((X.shape[0], k))
        step = max(1, _CHUNK // q)
        for at in range(0, X.shape[0], step):
            part = X[at : at + step]
            rows = part.toarray() if hasattr(part, "toarray") else np.asarray(part, np.float64)
            rows = np.column_stack([rows, np.ones(rows.shape[0])])
            z[at : at + step] = rows @ self.estimates.T
            for c in range(k):
                square = np.einsum("ij,ij->i", rows @ whole[c, :, c, :], rows)
                errors[at : at + step, c] = np.sqrt(np.maximum(square, 0.0))
        return z, errors

    def mean_intervals(self, X: Any, level: float = 0.95) -> NDArray[np.float64]:
        """Return intervals of the mean at rows: (n, k, 2).

        For a loss of two classes, of the probability of the second; for one with a log link, of
        what is predicted; for several classes, of the scores.
        """
        z, errors = self.of_scores(X)
        half = self.quantile(level) * errors
        ends = np.stack([z - half, z + half], axis=-1)
        probability = getattr(self.loss, "probability", None)
        if probability is not None:
            found: NDArray[np.float64] = probability(ends)
            return found
        return inverse_link(self.loss, ends)

    def prediction_intervals(self, X: Any, level: float = 0.95) -> NDArray[np.float64]:
        """Return intervals that hold the target of a new row with this probability: (n, k, 2).

        For squared error, whose residuals are taken as normal and of one variance.
        """
        if self._by_random_scaling:
            msg = "Prediction intervals need the variance of residuals, which no path tells."
            raise InvalidParameter(msg)
        if not is_quadratic(self.loss):
            msg = (
                f"Prediction intervals are those of squared error; the loss is {self.loss!r}. "
                "Fit two quantiles (loss='pinball') for an interval that supposes no shape."
            )
            raise InvalidParameter(msg)
        z, errors = self.of_scores(X)
        half = self.quantile(level) * np.sqrt(errors**2 + self.covariance.dispersion)
        return np.stack([z - half, z + half], axis=-1)

    # ------------------------------------------------------------------ for people

    @property
    def notes(self) -> list[Note]:
        """What a person should know of these intervals."""
        of, notes = self.covariance, []
        if of.penalised:
            notes.append(
                PENALISED_INTERVALS.note(
                    "The objective has an l2 penalty: intervals are for the coefficients that it "
                    "shrinks, not for those without it."
                )
            )
        if of.distance > _DISTANT:
            notes.append(
                NOT_AT_OPTIMUM.note(
                    f"A coefficient lies {of.distance:.2g} standard errors from the optimum: a "
                    "smaller tol brings it nearer."
                )
            )
        lost = [self.features[j] for j in np.flatnonzero(of.undetermined.any(axis=0))]
        if lost:
            more = ", ..." if len(lost) > 5 else ""
            notes.append(
                UNDETERMINED.note(
                    f"No standard errors of {', '.join(lost[:5])}{more}: constant, or determined "
                    "by other features."
                )
            )
        if self._by_random_scaling:
            notes.append(
                SCALED_RANDOMLY.note(
                    f"By random scaling (Lee et al., 2022), from the path of {of.iterates:,} "
                    f"averaged iterates: 95 % is {self.quantile(0.95):.2f} of a scale that is no "
                    "standard error."
                )
            )
            if of.iterates < _FEW_ITERATES:
                few = f"{of.iterates:,} averaged iterates are few: intervals may not hold."
                notes.append(FEW_ITERATES.note(few))
        return notes + note_of_few(of.clusters)

    def rows(self, level: float = 0.95) -> list[dict[str, Any]]:
        """Return a dict for each coefficient: what `frame` has as columns."""
        ends, errors = self.intervals(level), self.standard_errors
        statistics, p_values = self.statistics, self.p_values
        found = []
        for c, output in enumerate(self.outputs):
            for j, feature in enumerate(self.features):
                entry: dict[str, Any] = {} if output is None else {"output": output}
                entry |= {
                    "feature": feature, "coefficient": float(self.estimates[c, j]),
                    "standard_error": float(errors[c, j]), "statistic": float(statistics[c, j]),
                    "p": float(p_values[c, j]), "low": float(ends[c, j, 0]),
                    "high": float(ends[c, j, 1]),
                }  # fmt: skip
                found.append(entry)
        return found

    def frame(self, level: float = 0.95) -> pl.DataFrame:
        """Return the coefficients as a Polars frame.

        Its columns: output (of several), feature, coefficient, standard_error, statistic, p, and
        low and high, the ends of the confidence interval.
        """
        import polars as pl

        return pl.DataFrame(self.rows(level))

    def __str__(self) -> str:
        """Return the coefficients as a table."""
        return "\n".join([aligned(self._lines()), *(note.labelled("Note") for note in self.notes)])

    def _repr_html_(self) -> str:
        """Return the same table for a notebook."""
        titles, *lines = self._lines()
        notes = [tag("p", note.labelled("Note")) for note in self.notes]
        return str(tag("div", table_of(titles, lines), *notes, class_="gradstep-inference"))

    def _lines(self) -> list[list[str]]:
        titles = ["std. error", "z" if self.covariance.degrees is None else "t"]
        if self._by_random_scaling:
            titles = ["scale", "statistic"]
        lines = [["feature", "coefficient", *titles, "p", "95 % from", "to"]]
        for entry in self.rows():
            label = entry["feature"]
            if "output" in entry:
                label = f"{entry['output']}: {label}"
            numbers = [entry["coefficient"], entry["standard_error"], entry["statistic"]]
            lines.append([
                label, *map(number, numbers), p_value(entry["p"]),
                number(entry["low"]), number(entry["high"]),
            ])  # fmt: skip
        return lines
