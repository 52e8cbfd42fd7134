"""The columns of predictions: what they are called, what is in them, what is copied beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from gradstep.checks import check_choice, check_number
from gradstep.data.sources.local_copy import STDIN
from gradstep.errors import InvalidParameter
from gradstep.objective.losses import is_quadratic
from gradstep.objective.regression import Pinball

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gradstep.model.model import Model

__all__ = ["PredictionColumns"]

_ENDS = ("low", "high")


@dataclass(frozen=True)
class PredictionColumns:
    """What is told of each row: kept columns, ``prediction``, probabilities, ends of intervals.

    Attributes
    ----------
    model : Model
        The model.
    keep : tuple of str
        Columns of the table that are copied.
    probabilities : bool
        Whether there is a column for each class.
    level : float or None
        Of the intervals; None if there are none.
    of_targets : bool
        Whether these are of new targets, not of means.
    """

    model: Model
    keep: tuple[str, ...] = ()
    probabilities: bool = True
    level: float | None = None
    of_targets: bool = False

    @classmethod
    def asked(
        cls, model: Model, *, keep: Sequence[str] = (), probabilities: bool = True,
        interval: float | None = None, interval_of: str | None = None,
    ) -> Self:  # fmt: skip
        """Return the columns that are asked for; the parameters are `Model.predict_batches`'s.

        Raises
        ------
        InvalidModel, InvalidParameter
            If there are no such intervals, or two columns would have one name.
        """
        of_targets = _of_targets(model, interval, interval_of, probabilities=probabilities)
        shown = probabilities and model.gives_probabilities
        found = cls(model, tuple(dict.fromkeys(keep)), shown, interval, of_targets)
        names = found.names
        if taken := [name for name in keep if name in names]:
            msg = (
                f"The column {taken[0]!r} cannot be kept: that is what a column of predictions is "
                "called. Rename the table's column, or do not keep it."
            )
            raise InvalidParameter(msg)
        if twice := [name for at, name in enumerate(names) if name in names[:at]]:
            msg = (
                f"Two columns would be called {twice[0]!r}: the probability of a class, and the "
                "end of another one's interval. Rename a class, or ask for no interval."
            )
            raise InvalidParameter(msg)
        return found

    @property
    def names(self) -> list[str]:
        """What the columns of predictions are called."""
        first, *each = self.model.target.column_names(probabilities=self.probabilities)
        if self.level is None:
            return [first, *each]
        if self.model.target.classes is None:
            return [first, *(f"{self._of_what}_{end}" for end in _ENDS)]
        return [first, *(name for p in each for name in (p, *(f"{p}_{end}" for end in _ENDS)))]

    @property
    def _of_what(self) -> str:
        if self.of_targets:
            return "prediction"
        return "quantile" if isinstance(self.model.loss, Pinball) else "mean"

    @property
    def told(self) -> dict[str, Any]:
        """What is told of the intervals, to machines; nothing if there are none."""
        if self.level is None:
            return {}
        return {"interval": {"level": self.level, "of": "target" if self.of_targets else "mean"}}

    @property
    def in_words(self) -> str:
        """The intervals, for people; nothing if there are none."""
        if self.level is None:
            return ""
        from gradstep.model.intervals import kind_of_errors  # imports SciPy's statistics

        what = {"prediction": "a new target", "quantile": "the quantile", "mean": "the mean"}
        of = what[self._of_what] if self.model.target.classes is None else "the probabilities"
        return f", with {100.0 * self.level:g} % intervals of {of} ({kind_of_errors(self.model)})"

    # ------------------------------------------------------------------ of rows

    def of_table(self, table: Any, encoding: str = "") -> Iterator[pl.DataFrame]:
        """Yield the columns for the rows of a table of any size, in order: once at least."""
        empty = True
        for frame in self.model.chunks(table, copied=self.keep, encoding=encoding):
            empty = False
            yield self._of_frame(frame)
        if empty:
            yield self._of_none(table, encoding)

    def _of_frame(self, frame: pl.DataFrame) -> pl.DataFrame:
        if self.level is None:
            found = self.of_scores(self.model.scores(frame))
        else:
            from gradstep.model.mean_intervals import scores_and_ends

            z, low, high = scores_and_ends(
                self.model, frame, self.level, of_targets=self.of_targets, each_class=True
            )
            found = self.of_scores(z, (low, high))
        return pl.DataFrame([*(frame[name] for name in self.keep), *found])

    def of_scores(
        self, z: NDArray[np.float64], ends: Sequence[NDArray[np.float64]] = ()
    ) -> pl.DataFrame:
        """Return the columns of predictions for scores.

        Parameters
        ----------
        z : ndarray of shape (n, n_outputs)
            The scores.
        ends : two ndarrays, each of shape (n, 1), or (n, n_classes) of classes
            Low and high ends of intervals, if there are any.
        """
        of, of_ends = self.model, [end.T for end in ends]
        if of.target.classes is None:
            columns = [of.means(z), *(end[0] for end in of_ends)]
            return _filled(self.names, columns)
        found: list[Any] = [of.target.labels(of.codes(z))]
        if self.probabilities:
            for each in zip(of.probabilities(z).T, *of_ends, strict=True):
                found += each
        return _filled(self.names, found)

    def _of_none(self, table: Any, encoding: str) -> pl.DataFrame:
        """Return the columns of a table that has no rows."""
        known: dict[str, Any] = dict.fromkeys(self.keep, pl.String())
        if self.keep and not (isinstance(table, str) and table == STDIN):  # gone once it is read
            known = self.model.opened(table, copied=self.keep, encoding=encoding).schema
        kept = pl.DataFrame(schema={name: known[name] for name in self.keep})
        outputs = self.model.n_outputs
        classes = len(self.model.target.classes or ())
        ends = () if self.level is None else (np.empty((0, classes or outputs)),) * 2
        return pl.DataFrame([*kept, *self.of_scores(np.empty((0, outputs)), ends)])


def _filled(names: Sequence[str], columns: Sequence[Any]) -> pl.DataFrame:
    """Return columns by these names; an end that is not known is missing."""
    found = [pl.Series(name, column) for name, column in zip(names, columns, strict=True)]
    ends = tuple(f"_{end}" for end in _ENDS)
    return pl.DataFrame([
        column.fill_nan(None) if column.name.endswith(ends) and column.dtype.is_float() else column
        for column in found
    ])  # fmt: skip


def _of_targets(
    model: Model, interval: float | None, interval_of: str | None, *, probabilities: bool
) -> bool:
    """Return whether intervals are of new targets; refuse those that there are not."""
    if interval is None:
        if interval_of is not None:
            msg = (
                f"interval_of={interval_of!r} would change nothing: it is a part of interval=0.95."
            )
            raise InvalidParameter(msg)
        return False
    from gradstep.model.mean_intervals import refuse_intervals  # imports SciPy's statistics

    check_number("Model", "interval", interval, low=0.0, high=1.0, open_low=True, open_high=True)
    of_numbers = model.target.classes is None
    of_targets = of_numbers and is_quadratic(model.loss)
    if interval_of is not None:
        check_choice("Model", "interval_of", interval_of, ("target", "mean"))
        of_targets = interval_of == "target"
    if of_targets and not of_numbers:
        msg = (
            f"interval_of={interval_of!r} is for numbers, and {model.target.column!r} has classes: "
            "their probabilities have intervals (interval_of='mean')."
        )
        raise InvalidParameter(msg)
    refuse_intervals(model, interval, of_targets=of_targets)
    if not of_numbers and not (probabilities and model.gives_probabilities):
        why = "which are left out here" if probabilities is False else (
            f"and {model.loss!r} gives none. loss='log_loss' does"
        )  # fmt: skip
        msg = f"interval={interval:g} is of the probabilities of classes, {why}."
        raise InvalidParameter(msg)
    return of_targets
