"""A fitted model of a table: weights, classes, encoding; it predicts rows and tables.

The weights are those of the encoded features (numbers centred and scaled), in which predictions
lose no digits; `coef_` and `intercept_` are in the columns' own units.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gradstep.checks import check_number
from gradstep.data.features.encoding import Encoding
from gradstep.data.features.matching import chunks_as, open_as, readable
from gradstep.data.roles import Offset
from gradstep.errors import InvalidParameter
from gradstep.figures import count
from gradstep.floating_point import as_by_default
from gradstep.model.prediction_columns import PredictionColumns
from gradstep.objective.classification import (
    class_probabilities,
    gives_probabilities,
    winners,
)
from gradstep.objective.losses import inverse_link

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gradstep.data.features.sparse_encoding import SparseEncoding
    from gradstep.data.roles import Target
    from gradstep.inference.record import Covariance
    from gradstep.model.summary import Summary
    from gradstep.model.training_rows import TrainingRows

__all__ = ["Model"]


@dataclass
class Model:
    """A fitted model that reads tables by the names of their columns.

    `gradstep.fit_table` and the command line make one; `gradstep.load` reads one.

    Attributes
    ----------
    encoding : Encoding
        What becomes of each column.
    target : Target
        What is predicted.
    loss : Loss
        What was minimised.
    params : ndarray of shape (n_outputs * (n_features + 1),)
        Weights of each output, then intercepts, for encoded features.
    offset : str or None
        The column that is added to scores.
    exposure : str or None
        The column whose logarithm is added to scores.
    training : TrainingRows or None
        What is kept of the training rows; None in files of gradstep before 0.1.
    covariance : Covariance or None
        Of the parameters, for encoded features, where it is known.
    threshold : float
        The probability from which on the second of two classes is predicted.
    provenance : dict
        Where the model comes from: source, counts, options, metrics, version.
    unseen : Counter
        Of the last table: by column, the values that training did not see.

    Examples
    --------
    >>> import polars as pl
    >>> import gradstep
    >>> x = [0.0, 1.0, 2.0, 3.0] * 25
    >>> frame = pl.DataFrame({"x": x, "y": [1.1, 2.9, 5.1, 6.9] * 12 + [0.9, 3.1, 4.9, 7.1] * 13})
    >>> model = gradstep.fit_table(frame, "y", validation=0.0, max_iter=200).model
    >>> model
    <Model of 'y', SquaredError(), 1 feature>
    >>> model.predict(pl.DataFrame({"x": [4.0]})).round(1)
    array([9.])
    """

    encoding: Encoding | SparseEncoding
    target: Target
    loss: Any
    params: NDArray[np.float64]
    offset: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    unseen: Counter[str] = field(default_factory=Counter, compare=False)
    training: TrainingRows | None = None
    exposure: str | None = None
    covariance: Covariance | None = None
    threshold: float = 0.5

    def __repr__(self) -> str:
        """Return what it predicts, by which loss, and from how many features."""
        features = count(self.encoding.n_features, "feature", "features")
        return f"<Model of {self.target.column!r}, {self.loss!r}, {features}>"

    @property
    def n_outputs(self) -> int:
        """Scores of a row."""
        return self.target.n_outputs

    @property
    def shift(self) -> Offset | None:
        """What is added to scores."""
        return Offset.of(self.offset, self.exposure)

    @property
    def classes_(self) -> NDArray[Any] | None:
        """The classes; None for numbers."""
        return None if self.target.classes is None else np.array(self.target.classes)

    @property
    def gives_probabilities(self) -> bool:
        """Whether the loss is one whose scores are probabilities."""
        return self.target.classes is not None and gives_probabilities(self.loss)

    @cached_property
    @as_by_default
    def _in_units(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        k, p = self.n_outputs, self.encoding.n_features
        coef = self.params[: k * p].reshape(k, p)
        return self.encoding.in_units(coef, self.params[k * p :])

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Coefficients (n_outputs, n_features), in the columns' own units."""
        return self._in_units[0]

    @property
    def intercept_(self) -> NDArray[np.float64]:
        """Intercepts (n_outputs,), for columns in their own units."""
        return self._in_units[1]

    def summary(self, level: float = 0.95) -> Summary:
        """Return the coefficients as a table of statistics: standard errors, tests, intervals.

        Parameters
        ----------
        level : float
            Of the confidence intervals.

        Returns
        -------
        Summary
            Printed, it is a table; ``frame()`` has it as a frame.
        """
        from gradstep.model.summary import summary_of

        return summary_of(self, level)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a few facts, and what matters most."""
        from gradstep.model.in_html import in_html

        return in_html(self)

    # ------------------------------------------------------------------ predicting

    @as_by_default
    def scores(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Return the scores (n, n_outputs) of rows of `chunks`, which refuses infinite numbers."""
        frame, encoding = readable(frame, self.encoding), self.encoding
        pieces: Any = [frame]
        if isinstance(encoding, Encoding):
            pieces = (frame[span] for span in encoding.spans(frame.height))
        return np.concatenate(
            [self.scores_of(encoding.encode(each, self.unseen), each) for each in pieces]
        )

    def scores_of(self, encoded: Any, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Return the scores of rows that are encoded; the frame has what is added to them."""
        from gradstep.engine.evaluation import scores  # imports Numba

        z = scores(self.encoding.rows(encoded), self.params, self.n_outputs)
        return z if self.shift is None else z + self.shift.values(frame)[:, None]

    def constant_scores(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Return the scores of the best constant prediction of the training rows."""
        assert self.training is not None  # noqa: S101
        z = np.tile(self.training.constant, (frame.height, 1))
        return z if self.shift is None else z + self.shift.values(frame)[:, None]

    @as_by_default
    def means(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is predicted for scores of a regression, shape (n,)."""
        return inverse_link(self.loss, z[:, 0])

    @as_by_default
    def probabilities(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class for scores, shape (n, n_classes)."""
        if not self.gives_probabilities:
            msg = f"The loss {self.loss!r} gives no probabilities."
            raise InvalidParameter(msg)
        return class_probabilities(self.loss, z)

    def codes(self, z: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the number of the predicted class for scores, shape (n,)."""
        if self.threshold == 0.5:
            return winners(z)
        return np.asarray(self.probabilities(z)[:, 1] >= self.threshold, dtype=np.intp)

    def with_threshold(self, threshold: float) -> Model:
        """Return the model that predicts the second of two classes from another probability on.

        Parameters
        ----------
        threshold : float
            The probability, between 0 and 1; 0.5 for the likelier class.

        Raises
        ------
        InvalidParameter
            If the model has no probabilities of two classes.

        Examples
        --------
        >>> import polars as pl
        >>> import gradstep
        >>> spam = ["no", "no", "no", "yes"] * 20
        >>> mail = pl.DataFrame({"words": [1, 2, 3, 4] * 20, "spam": spam})
        >>> model = gradstep.fit_table(mail, "spam", alpha=1.0).model
        >>> new = pl.DataFrame({"words": [3]})
        >>> model.predict(new).tolist(), model.with_threshold(0.2).predict(new).tolist()
        (['no'], ['yes'])
        """
        check_number(
            "Model", "threshold", threshold, low=0.0, high=1.0, open_low=True, open_high=True
        )
        if not self.gives_probabilities or self.n_outputs != 1:
            msg = f"threshold={threshold:g} is for two classes with probabilities: there are none."
            raise InvalidParameter(msg)
        return replace(self, threshold=float(threshold))

    @as_by_default
    def predict(
        self, table: Any, *, encoding: str = "", client: Any = None, allow_mixed: bool = False
    ) -> NDArray[Any]:
        """Return the prediction for each row of a table: a class, or a number.

        Parameters
        ----------
        table : path, glob, folder, frame or query
            With the columns that the model reads, in any order; others are ignored.
        encoding : str
            Of text files, if it is not UTF-8.
        client : distributed.Client, optional
            A Dask cluster whose workers predict, a task a file; they find the files under the same
            path. `gradstep.predict_parts` writes predictions that are too many for memory.
        allow_mixed : bool
            Whether workers may compute with other versions or processors; bits may differ then.

        Raises
        ------
        InvalidTable
            If the table cannot be read, or lacks a column.
        """
        columns = PredictionColumns(self, probabilities=False)
        if client is not None:
            how: dict[str, Any] = {"client": client, "allow_mixed": allow_mixed}
            found = columns.of_scores(self.table_scores(table, encoding=encoding, **how))
        else:
            found = pl.concat(columns.of_table(table, encoding))
        return found["prediction"].to_numpy()

    @as_by_default
    def predict_proba(
        self, table: Any, *, encoding: str = "", client: Any = None, allow_mixed: bool = False
    ) -> NDArray[np.float64]:
        """Return the probability of each class for each row of a table; as `predict`."""
        self.probabilities(np.zeros((1, self.n_outputs)))
        how: dict[str, Any] = {"encoding": encoding, "client": client, "allow_mixed": allow_mixed}
        return self.probabilities(self.table_scores(table, **how))

    @as_by_default
    def mean_intervals(
        self, table: Any, level: float = 0.95, *, encoding: str = ""
    ) -> NDArray[np.float64]:
        """Return confidence intervals of the mean, for rows like those of a table.

        Parameters
        ----------
        table, encoding
            As of `predict`.
        level : float
            The share of samples whose interval holds the mean.

        Returns
        -------
        ndarray of shape (n, 2), or (n, n_classes, 2) of several classes
            Low and high ends: of what is predicted, of two classes of the probability of the
            second, of several of each probability. NaN where the training rows do not tell.

        Raises
        ------
        InvalidModel, InvalidParameter
            If the model keeps no standard errors, or its loss has no such intervals.
        """
        from gradstep.model.mean_intervals import intervals_of_table

        found = intervals_of_table(self, table, level, of_targets=False, encoding=encoding)
        return found if self.n_outputs > 1 else found[:, 0]

    @as_by_default
    def prediction_intervals(
        self, table: Any, level: float = 0.95, *, encoding: str = ""
    ) -> NDArray[np.float64]:
        """Return intervals that hold the targets of new rows, of a model of squared error.

        Residuals are taken as normal and of one variance; two models of `loss="pinball"` suppose
        nothing of the kind.

        Parameters
        ----------
        table, encoding
            As of `predict`.
        level : float
            The share of targets that an interval holds.

        Returns
        -------
        ndarray of shape (n, 2)
            Low and high ends.
        """
        from gradstep.model.mean_intervals import intervals_of_table

        return intervals_of_table(self, table, level, of_targets=True, encoding=encoding)[:, 0]

    def table_scores(
        self, table: Any, *, encoding: str = "", client: Any = None, allow_mixed: bool = False
    ) -> NDArray[np.float64]:
        """Return the scores of the rows of a table, shape (n, n_outputs)."""
        if client is not None:
            from gradstep.model.by_pieces import scores_there

            opened = self.opened(table, encoding=encoding)
            return scores_there(self, opened, client, allow_mixed=allow_mixed)
        found = [self.scores(frame) for frame in self.chunks(table, encoding=encoding)]
        return np.concatenate([np.empty((0, self.n_outputs)), *found])

    def chunks(
        self, table: Any, more: Sequence[str] = (), copied: Sequence[str] = (), encoding: str = ""
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a table with the columns that the model reads, `more` and `copied`."""
        self.unseen.clear()
        extra = self._besides(more)
        yield from chunks_as(table, self.encoding, self.target, extra, copied, encoding)

    def opened(
        self, table: Any, more: Sequence[str] = (), copied: Sequence[str] = (), encoding: str = ""
    ) -> Any:
        """Return a table opened as `chunks` reads it."""
        return open_as(table, self.encoding, self.target, self._besides(more), copied, encoding)

    def _besides(self, more: Sequence[str]) -> list[str]:
        return [*more, *([self.shift.column] if self.shift else [])]

    def predict_batches(
        self, table: Any, *, keep: Sequence[str] = (), probabilities: bool = True,
        encoding: str = "", interval: float | None = None, interval_of: str | None = None,
    ) -> Iterator[pl.DataFrame]:  # fmt: skip
        """Yield predictions for the rows of a table of any size, in order.

        Parameters
        ----------
        table : table
            As for `predict`.
        keep : sequence of str
            Columns to copy; of text files as they are written there, unless the model reads them.
        probabilities : bool
            Whether to add ``probability_<class>``, where the loss gives any.
        encoding : str
            Of text files, if it is not UTF-8.
        interval : float, optional
            The level of intervals to add, such as 0.95.
        interval_of : {"target", "mean"}, optional
            Whether they are `prediction_intervals` (the default of squared error), columns
            ``prediction_low`` and ``prediction_high``, or `mean_intervals`: ``mean_low``,
            ``quantile_low``, or ``probability_<class>_low`` of each class.

        Yields
        ------
        polars.DataFrame
            The kept columns, ``prediction``, and what else is asked for; without rows if the table
            has none.
        """
        columns = PredictionColumns.asked(
            self, keep=keep, probabilities=probabilities, interval=interval, interval_of=interval_of
        )
        yield from columns.of_table(table, encoding)
