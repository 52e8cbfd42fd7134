"""What both estimators of tables do: hand everything to `fit_table`, and show what came of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

from gradstep.data.features.terms.formula import with_formula
from gradstep.data.preparing.place import prepared_in
from gradstep.data.preparing.prepared import PreparedTable
from gradstep.diagnostics.catalogue import GRAVE
from gradstep.diagnostics.diagnostic import warn
from gradstep.diagnostics.of_fits import MAX_ITER
from gradstep.engine.records import Outcome
from gradstep.errors import InvalidData, InvalidModel, InvalidParameter
from gradstep.estimators.convergence import ConvergenceWarning
from gradstep.estimators.inputs import draw_seed, sample_weight_of
from gradstep.estimators.of_tables import display
from gradstep.estimators.of_tables.inputs import is_frame, joined, library_of, table_of
from gradstep.fit.plan import Settings, is_auto
from gradstep.fit.table import fit_table
from gradstep.model import file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from gradstep.fit.table import TableFit
    from gradstep.model.model import Model
    from gradstep.model.summary import Summary

__all__ = ["TableEstimator"]

# Of preparing: a table that is prepared has been asked for them already.
_OF_PREPARING = (
    "kinds", "drop", "only", "max_levels", "decimal", "thousands", "na", "encoding", "validation",
    "time_column", "missing", "missing_target", "memory", "cache", "class_weight", "splines",
    "crosses", "polynomials", "logs", "formula",
)  # fmt: skip
_MOST_TO_KEEP_WHOLE = 10_000  # rows of which none is held out by itself


def _same(value: Any, default: Any) -> bool:
    """Tell whether a parameter is the default one; a table never is."""
    return value is default or (isinstance(value, (str, int, float)) and value == default)


class TableEstimator:
    """The methods of `TableRegressor` and `TableClassifier`; neither overrides any."""

    _task: str
    random_state: Any
    tol: float | None
    alpha: float | str
    encoding: str
    formula: str | None
    model_: Model
    _library: str

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether there is a model."""
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        """Say that text and missing values are welcome."""
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.string = tags.input_tags.allow_nan = True
        return tags

    # ------------------------------------------------------------------ fitting

    def _fit(self, X: Any, y: Any, sample_weight: Any, **shift: Any) -> None:
        """Fit, and set the fitted attributes."""
        self._forget()
        X = prepared_in(X)
        if y is None and self.formula is not None and not isinstance(X, PreparedTable):
            y, _ = with_formula(None, {"formula": self.formula})
        if y is None and not isinstance(X, PreparedTable):
            msg = (
                f"{type(self).__name__} requires y to be passed, but the target y is None: give a "
                "column's name, or an array."
            )
            raise InvalidData(msg)
        table = table_of(self, X, reset=True)
        columns = list(table.columns) if isinstance(table, pl.DataFrame) else None
        weight = sample_weight
        if weight is not None and not isinstance(weight, str):
            rows = 0 if columns is None else table.height
            weight = sample_weight_of(weight, rows) if rows else weight
        table, weight = joined(table, weight, "sample_weight")
        roles: dict[str, str | None] = {"sample_weight": weight}
        for role, values in shift.items():
            table, roles[role] = joined(table, values, role)
        target, labels = y, None
        if y is not None and not isinstance(y, str):
            labels = self._targets(y, None if weight is None else table[weight].to_numpy())
            own_name = getattr(y, "name", None)  # of a series
            called = own_name if isinstance(own_name, str) and own_name else "y"
            table, target = joined(table, labels, "y", called)
        elif columns is not None and y in columns:  # of files it is known when they are read
            self._check_column(table[y].drop_nulls())
        self.seed_ = draw_seed(self.random_state)
        fit = fit_table(table, target, **self._asked(table, roles))
        if columns is not None and is_frame(X):
            named = {target, *roles.values()}
            self._set_names([name for name in columns if name not in named])
        self._library = library_of(X)
        self._show(fit.model, labels)
        self._tell(fit)

    def _asked(self, table: Any, roles: dict[str, str | None]) -> dict[str, Any]:
        """Return the arguments of `fit_table`: the parameters, but for what has another form."""
        asked: dict[str, Any] = self.get_params(deep=False)  # type: ignore[attr-defined]
        asked["callbacks"] = asked["callbacks"] or ()
        del asked["random_state"]
        if isinstance(table, PreparedTable):
            default = type(self)().get_params(deep=False)  # type: ignore[attr-defined]
            of_preparing = [name for name in _OF_PREPARING if name in asked]
            idle = [name for name in of_preparing if not _same(asked.pop(name), default[name])]
            idle += [name for name, column in roles.items() if column is not None]
            if idle:
                msg = f"The table is prepared already: {', '.join(idle)} would change nothing."
                raise InvalidParameter(msg)
            return asked
        validation = asked["validation"]
        if isinstance(validation, str) and validation == "auto":
            small = isinstance(table, pl.DataFrame) and table.height <= _MOST_TO_KEEP_WHOLE
            asked["validation"] = 0.0 if small and asked["time_column"] is None else 0.1
        elif not isinstance(validation, (int, float, np.number)):
            asked["validation_table"] = asked.pop("validation")
        asked["kinds"] = asked["kinds"] or {}
        return {**asked, **roles, "task": self._task, "random_state": self.seed_}

    def _targets(self, y: Any, weight: NDArray[np.float64] | None) -> NDArray[Any]:
        """Return targets that came apart, checked."""
        raise NotImplementedError

    def _check_column(self, y: pl.Series) -> None:
        """Refuse a target's column of which each number would be a class."""
        if self._task == "classification" and y.dtype.is_float():
            self._targets(y.drop_nans().to_numpy(), None)

    def _set_names(self, names: list[str]) -> None:
        self.feature_names_in_ = np.array(names, dtype=object)
        self.n_features_in_ = len(names)

    def _forget(self) -> None:
        """Drop what an earlier fit left."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            del vars(self)[name]

    def _show(self, model: Model, labels: NDArray[Any] | None = None) -> None:
        """Set the fitted attributes that a model has."""
        self.model_ = model
        self.intercept_ = model.intercept_
        self.feature_names_out_ = np.array(model.encoding.feature_names(), dtype=object)
        if not hasattr(self, "n_features_in_"):
            self._set_names(list(dict.fromkeys(c.source for c in model.encoding.columns)))
        if model.target.classes is None:
            self.coef_ = model.coef_[0]
        else:
            self.coef_ = model.coef_
            classes = np.array(model.target.classes)
            if labels is not None:  # in their own type: True is no "true", 1.0 no 1
                distinct = np.unique(labels)
                classes = distinct[np.isin(distinct.astype(classes.dtype), classes)]
            self.classes_ = classes

    def _tell(self, fit: TableFit) -> None:
        """Set what the run left, and warn of what a person should know."""
        self.outcome_, self.history_ = fit.outcome, fit.history
        self.n_iter_ = len(fit.history)
        self.loss_curve_ = [record.loss for record in fit.history]
        self.converged_ = fit.outcome in {Outcome.OPTIMAL, Outcome.CONVERGED, Outcome.VALIDATION}
        self.validation_, self.baseline_ = fit.validation, fit.baseline
        self.plan_, self.notes_ = fit.plan, fit.notes
        chosen = Settings.alpha if is_auto(self.alpha) else self.alpha
        self.alpha_ = chosen if fit.alpha is None else fit.alpha.value
        if fit.refit is not None and fit.refit.alpha is not None:
            self.alpha_ = fit.refit.alpha
        for note in fit.plan.notes:
            if note.code in GRAVE:  # fit_table has warned of it
                continue
            warn(note.reworded(f"{type(self).__name__}: {note.text}"))
        if fit.outcome is Outcome.MAX_EPOCHS and self.tol is not None:
            MAX_ITER.warn(
                f"{type(self).__name__} ran all max_iter={self.n_iter_} epochs before "
                f"tol={self.tol} was reached. Raise max_iter or tol.",
                ConvergenceWarning,
            )

    # ------------------------------------------------------------------ predicting

    def _scores(self, X: Any, **shift: Any) -> NDArray[np.float64]:
        """Return scores, shape (n, n_outputs); an offset or exposure may come apart."""
        check_is_fitted(self)
        table = self._shifted(table_of(self, X, reset=False), shift)
        return self.model_.table_scores(table, encoding=self.encoding)

    def _shifted(self, table: Any, shift: Mapping[str, Any]) -> Any:
        """Return a table with the offset or exposure that came apart in its column."""
        known = {"offset": self.model_.offset, "exposure": self.model_.exposure}
        for role, values in shift.items():
            column = known[role]
            if values is not None and column is None:
                msg = f"{role} was given, and this {type(self).__name__} was fitted without one."
                raise InvalidParameter(msg)
            table, name = joined(table, values, role)
            if name is None or name == column:
                continue
            if not isinstance(table, pl.DataFrame):
                msg = f"The {role} must be the column {column!r}, as when it was fitted."
                raise InvalidParameter(msg)
            table = table.with_columns(pl.col(name).alias(str(column)))
        return table

    def _score_of_table(
        self, X: Any, y: str | None, sample_weight: Any, metric: str, **shift: Any
    ) -> float:
        """Return a metric on a table that has the target as one of its columns."""
        from gradstep.model.evaluation import evaluate

        check_is_fitted(self)
        if y is not None and y != self.model_.target.column:
            msg = f"y={y!r} is not the target that was fitted, {self.model_.target.column!r}."
            raise InvalidParameter(msg)
        table = self._shifted(table_of(self, X, reset=False), shift)
        table, weight = joined(table, sample_weight, "sample_weight")
        found = evaluate(self.model_, table, sample_weight=weight, encoding=self.encoding)
        return float(found[metric])

    # ------------------------------------------------------------------ what it learned

    def coefficients(self) -> Any:
        """Return the coefficients in the columns' own units, those of important columns first.

        Returns
        -------
        frame of the library of X, of Polars for files
            `feature`, `class` (of more than two); `against`, of a level the most frequent one,
            from which its `coefficient` is the difference (of several classes it is about their
            mean); `importance`, what it has in the variance of the score; where intervals are
            known, `standard_error`, `p`, `low` and `high` of the same coefficient. The sums that
            predictions are made of are in `coef_`.
        """
        check_is_fitted(self)
        return display.frame(display.coefficient_columns(self.model_), self._library)

    def summary(self, level: float = 0.95) -> Summary:
        """Return the coefficients as a table of statistics: standard errors, tests, intervals.

        Which standard errors, `inference` says.

        Parameters
        ----------
        level : float
            Of the confidence intervals.

        Returns
        -------
        Summary
            Printed, it is a table; ``frame()`` has it as a Polars frame.
        """
        check_is_fitted(self)
        return self.model_.summary(level)

    def importance(self) -> Any:
        """Return each column's share of the variance of the score, the largest first.

        All features of a column count together, over the rows that were trained on.

        Returns
        -------
        frame of the library of X, of Polars for files
            `column`, `share`, and `deviation` of the column's part of the score, with the sign of
            its coefficient where it is a number; for more than two classes, instead, that for each
            class.

        Raises
        ------
        InvalidModel
            If a file of an older gradstep was loaded, which does not say, or one of sparse text.
        """
        check_is_fitted(self)
        return display.frame(display.importance_columns(self.model_), self._library)

    # ------------------------------------------------------------------ files

    def save(self, path: str | Path) -> None:
        """Write the model to a file, which `load` and the command line read.

        Raises
        ------
        CannotWrite
            If the file cannot be written.
        """
        check_is_fitted(self)
        simple = (str, int, float, bool, type(None))
        asked = self.get_params(deep=False)  # type: ignore[attr-defined]
        known = {
            "parameters": {k: v for k, v in asked.items() if isinstance(v, simple)},
            "feature_names_in": list(getattr(self, "feature_names_in_", ())),
            "n_features_in": self.n_features_in_,
        }
        provenance = {**self.model_.provenance, "estimator": known}
        file.save(replace(self.model_, provenance=provenance), path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an estimator that `save` or `gradstep train` wrote.

        Parameters that are no numbers, texts or truths (objects, tables) are not kept in a file,
        nor is how the run went (`history_`).

        Raises
        ------
        InvalidModel
            If there is none, it is damaged, or of the other task.
        """
        model = file.load(path)
        if model.target.task != cls._task:
            other = "TableRegressor" if cls._task == "classification" else "TableClassifier"
            msg = f"{path} is a model of {model.target.task}: {other}.load reads it."
            raise InvalidModel(msg)
        known = model.provenance.get("estimator", {})
        try:
            return cls()._restored(model, known)
        except (AttributeError, TypeError, ValueError) as error:
            msg = f"{path} misstates the estimator that wrote it ({error})."
            raise InvalidModel(msg) from error

    def _restored(self, model: Model, known: Mapping[str, Any]) -> Self:
        """Return this estimator with what a file says of the one that wrote it."""
        self.set_params(**known.get("parameters", {}))  # type: ignore[attr-defined]
        if known.get("feature_names_in"):
            self._set_names(list(known["feature_names_in"]))
        elif known.get("n_features_in"):
            self.n_features_in_ = int(known["n_features_in"])
        self._library = "polars"
        self._show(model)
        return self

    # ------------------------------------------------------------------ notebooks

    def _repr_html_inner(self) -> str:
        """Return scikit-learn's diagram and, once fitted, the strongest coefficients."""
        found: str = estimator_html_repr(self)
        return found + (display.html(self.model_) if hasattr(self, "model_") else "")

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        """Return what notebooks show."""
        found: dict[str, str] = super()._repr_mimebundle_(**options)  # type: ignore[misc]
        return {**found, **({"text/html": self._repr_html_inner()} if "text/html" in found else {})}
