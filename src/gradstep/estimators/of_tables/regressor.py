"""`TableRegressor`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import column_or_1d

from gradstep.errors import GradstepError
from gradstep.estimators.of_tables.base import TableEstimator
from gradstep.estimators.targets import check_targets, numbers_of
from gradstep.fit.components import REGRESSION_LOSSES, loss_of
from gradstep.floating_point import as_by_default
from gradstep.objective.losses import target_range

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["TableRegressor"]


class TableRegressor(TableEstimator, RegressorMixin, BaseEstimator):
    """Linear, robust, quantile and log-linear regression on tables with columns of all kinds.

    What `gradstep train` does, as a scikit-learn estimator: numbers are scaled, text and
    categories get a weight for each level, dates become days, months, weekdays and hours, and
    missing values are encoded (docs/tables.md). X is a frame of pandas, Polars or pyarrow, a
    Polars query, an array, a `PreparedTable`, or files that need not fit into memory.

    What each row has besides (`sample_weight`, `offset`, `exposure`) is given to `fit`.

    Parameters
    ----------
    loss : str or Loss, default=None
        As of `MiniBatchRegressor`; None is 'squared_error'.
    penalty, l1_ratio, penalty_scale, epsilon, quantile, power
        As of `MiniBatchRegressor`.
    alpha : float or 'auto', default='auto'
        Strength of the penalty; 'auto' chooses it by cross-validation, or where rows are many on
        some of them, along a path; 1e-4 with optimizers other than 'auto', 'svrg' and 'exact'.
    optimizer, learning_rate, eta0, power_t, average, batch_size, precondition, last_batch
        As of `MiniBatchRegressor`.
    max_iter : int, default=1000
        Most epochs.
    tol : float or None, default=1e-4
        As of `MiniBatchRegressor`.
    n_iter_no_change : int, default=3
        Epochs in a row without improvement after which to end, with other optimizers than 'auto'
        and 'svrg'.
    random_state : int, RandomState or None, default=0
        Seed of the order of rows and of those held out.
    callbacks : list of Callback or None, default=None
        As of `MiniBatchRegressor`.
    kinds : dict or None, default=None
        Columns with what to treat them as: 'number', 'category', 'date', 'date:PATTERN', 'hash',
        'hash:BITS'.
    drop, only : list of str or None, default=None
        Columns to leave out, or the only ones to use.
    max_levels : int, default=1000
        Levels of a category that get a weight each; the rarer ones share one.
    splines : list of str, dict or None, default=None
        Columns of numbers or dates that become curves; a dict says with how many knots.
    crosses : list of (str, str) or None, default=None
        Pairs of columns whose joint effect is learned, too; also written 'color:clarity'.
    polynomials : dict or None, default=None
        Columns of numbers with their highest power.
    logs : list of str or None, default=None
        Columns of numbers whose logarithm takes their place.
    formula : str or None, default=None
        All of these, and `only`, as a formula: "price ~ bs(carat) + color*clarity" (of frames, and
        with `gradstep[formula]` installed).
    decimal, thousands : str or None, default=None
        Marks of numbers that are text; None finds them in each column's values.
    na : list of str or None, default=None
        More values of text and of numbers that are missing.
    encoding : str, default=''
        Of text files, if it is not UTF-8; of those to predict, too.
    validation : float, 'auto' or table, default='auto'
        Share of the rows to hold out, on which the best epoch is chosen and `validation_`
        measured; or a table with the same columns. 'auto' is 0.1, as on the command line, but
        0 for a frame or an array of 10,000 rows or fewer, unless there is a `time_column`.
    nonnegative, bounds, monotone
        Constraints on the coefficients of columns; see `fit_table`.
    refit : bool, default=True
        Whether the rows held out go into the model, too, once they have judged it.
    inference : {"robust", "model", "none"} or str, default="robust"
        Which standard errors `coefficients` and `summary` give, where any are valid;
        "cluster=COLUMN", or "cluster=ONE,OTHER", where rows of one value may depend on each other.
    time_column : str or None, default=None
        Hold out the latest rows by this column, not random ones.
    missing : {'encode', 'error'}, default='encode'
        Whether missing values are encoded or refused.
    missing_target : {'drop', 'error'}, default='drop'
        Whether rows are dropped that lack the target, where that is a column of the table.
    memory : int, default=1 GB
        Bytes that the encoded rows may take in memory; more go to a temporary folder.
    cache : bool or path, default=False
        Whether files, once they are prepared, are kept so for the next fit.
    ignore : str, or sequence of str, default=None
        Codes of notes to leave out of `notes_`, of warnings and of the model's file, as "GS004".

    Attributes
    ----------
    model_ : Model
        The fitted model.
    coef_ : ndarray of shape (n_features_out,)
        Coefficients in the columns' own units.
    intercept_ : ndarray of shape (1,)
        Intercept.
    feature_names_out_ : ndarray of str
        The features that columns became: ``age``, ``colour=red``, ``age is missing``.
    feature_names_in_, n_features_in_
        The columns of X; names only where it has any.
    validation_, baseline_ : dict
        Metrics on the rows held out, of the model before they go into it and of the best constant;
        empty if none are.
    alpha_ : float
        The strength that was given or chosen.
    notes_ : list of str
        What a person should know.
    outcome_, converged_, n_iter_, history_, loss_curve_, seed_
        As of `MiniBatchRegressor`.

    See Also
    --------
    TableClassifier : The same for classes.
    fit_table : The function behind it.
    MiniBatchRegressor : For arrays of numbers, with `partial_fit`.

    Examples
    --------
    >>> import polars as pl
    >>> from gradstep import TableRegressor
    >>> trips = pl.DataFrame(
    ...     {
    ...         "km": [1.0, 1.0, 2.0, 2.0] * 25,
    ...         "colour": ["red", "green"] * 50,
    ...         "fare": [5.0, 4.0, 7.0, 6.0] * 25,
    ...     }
    ... )
    >>> model = TableRegressor(alpha=1e-9).fit(trips, "fare")
    >>> model.predict(pl.DataFrame({"colour": ["red"], "km": [5.0]})).round(2)
    array([13.])
    >>> model.score(trips, "fare")
    1.0
    """

    _task = "regression"

    def __init__(
        self,
        loss: Any = None,
        *,
        penalty: Any = "l2",
        alpha: float | str = "auto",
        l1_ratio: float = 0.15,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        power: float = 1.5,
        penalty_scale: str = "deviation",
        optimizer: Any = "auto",
        learning_rate: Any = "auto",
        eta0: float | None = None,
        power_t: float = 0.25,
        average: bool | int = False,
        batch_size: int | str = "auto",
        precondition: bool | str = "auto",
        last_batch: str = "scale",
        max_iter: int = 1000,
        tol: float | None = 1e-4,
        n_iter_no_change: int = 3,
        random_state: Any = 0,
        callbacks: Any = None,
        kinds: Any = None,
        drop: Any = None,
        only: Any = None,
        max_levels: int = 1000,
        splines: Any = None,
        crosses: Any = None,
        polynomials: Any = None,
        logs: Any = None,
        formula: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        na: Any = None,
        encoding: str = "",
        validation: Any = "auto",
        nonnegative: Any = None,
        bounds: Any = None,
        monotone: Any = None,
        refit: bool = True,
        inference: str = "robust",
        time_column: str | None = None,
        missing: str = "encode",
        missing_target: str = "drop",
        memory: int = 1 << 30,
        cache: Any = False,
        ignore: Any = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.epsilon = epsilon
        self.quantile = quantile
        self.power = power
        self.penalty_scale = penalty_scale
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.average = average
        self.batch_size = batch_size
        self.precondition = precondition
        self.last_batch = last_batch
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.callbacks = callbacks
        self.kinds = kinds
        self.drop = drop
        self.only = only
        self.max_levels = max_levels
        self.splines = splines
        self.crosses = crosses
        self.polynomials = polynomials
        self.logs = logs
        self.formula = formula
        self.decimal = decimal
        self.thousands = thousands
        self.na = na
        self.encoding = encoding
        self.validation = validation
        self.nonnegative = nonnegative
        self.bounds = bounds
        self.monotone = monotone
        self.refit = refit
        self.inference = inference
        self.time_column = time_column
        self.missing = missing
        self.missing_target = missing_target
        self.memory = memory
        self.cache = cache
        self.ignore = ignore

    def __sklearn_tags__(self) -> Any:
        """Say which losses need positive targets."""
        tags = super().__sklearn_tags__()
        with suppress(GradstepError):  # that a parameter is wrong is said by fit
            tags.target_tags.positive_only = target_range(self._loss()).low >= 0.0
        return tags

    def _loss(self) -> Any:
        names = {"epsilon": self.epsilon, "quantile": self.quantile, "power": self.power}
        return loss_of(self.loss or "squared_error", names, REGRESSION_LOSSES)

    def _targets(self, y: Any, weight: NDArray[Any] | None) -> NDArray[Any]:
        targets = numbers_of(column_or_1d(y, warn=True), "Input y", "TableClassifier")
        check_targets(self._loss(), targets, weight)
        return targets[:, 0]

    @as_by_default
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, offset: Any = None,
        exposure: Any = None,
    ) -> TableRegressor:  # fmt: skip
        """Fit the model.

        Parameters
        ----------
        X : table
            A frame, a query, an array, a path, a list of paths, a glob, a folder; or,
            alone, a `PreparedTable` or the folder of one.
        y : str or array of shape (n_rows,), optional
            The column to predict, or numbers apart. A formula may name it.
        sample_weight : str or array of shape (n_rows,), optional
            How often each row counts: a column, or numbers apart.
        offset : str or array of shape (n_rows,), optional
            What is added to the score, as the logarithm of an exposure: a column, or numbers
            apart. `predict` needs it again.
        exposure : str or array of shape (n_rows,), optional
            The exposure itself (a time, an area), whose logarithm is added.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InvalidData, InvalidTable, InvalidParameter, Diverged
            What is wrong, where, and what to do.
        """
        self._fit(X, y, sample_weight, offset=offset, exposure=exposure)
        return self

    @as_by_default
    def predict(self, X: Any, offset: Any = None, exposure: Any = None) -> NDArray[Any]:
        """Predict the mean (the quantile, under 'pinball') for each row.

        Parameters
        ----------
        X : table
            With the columns that the model reads, in any order; others are ignored.
        offset, exposure : str or array of shape (n_rows,), optional
            Of a model with one, in place of the column of the table that it was fitted with.

        Returns
        -------
        ndarray of shape (n_rows,)
            Predictions.
        """
        z = self._scores(X, offset=offset, exposure=exposure)
        return self.model_.means(z)

    @as_by_default
    def score(
        self, X: Any, y: ArrayLike | str | None = None, sample_weight: Any = None,
        offset: Any = None, exposure: Any = None,
    ) -> float:  # fmt: skip
        """Return R² of the predictions.

        Parameters
        ----------
        X : table
            As for `predict`.
        y : str or array of shape (n_rows,), optional
            The target's column, by default as it was fitted; or targets apart.
        sample_weight : optional
            As in `fit`.
        offset, exposure : optional
            As in `predict`.
        """
        if y is None or isinstance(y, str):
            return self._score_of_table(X, y, sample_weight, "r2", offset=offset, exposure=exposure)
        from sklearn.metrics import r2_score  # takes longer to import than most fits do

        predicted = self.predict(X, offset, exposure)
        return float(r2_score(y, predicted, sample_weight=sample_weight))
