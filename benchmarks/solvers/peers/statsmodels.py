"""statsmodels: least squares and generalised linear models, with an intercept as a column of ones.

With l2 it has ridge in closed form (``OLS.fit_regularized``, a strength for each column, so that
the intercept has none), and BFGS for binomial and Poisson models; for those with a dispersion it
penalises another likelihood, so gamma and Tweedie take part without a penalty alone. Sparse rows,
and several classes with a penalty, it does not do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from benchmarks.solvers.side import TOLERANCES, Fitted, Side

if TYPE_CHECKING:
    from benchmarks.no_tuning.objective import Objective
    from benchmarks.solvers.cases import Task

PACKAGE = MODULE = "statsmodels"


def sides(task: Task, *, small_batches: bool) -> list[Side]:
    """Return its side of dense rows without weights, of one output, without l1."""
    del small_batches
    o = task.objective
    if sp.issparse(o.X) or o.k > 1 or o.weight is not None or (o.l1_share and o.strength):
        return []
    sm = import_module("statsmodels.api")
    X = np.column_stack([o.X, np.ones(len(o.y))])
    strengths = np.append(np.full(o.X.shape[1], o.strength), 0.0)
    if o.loss == "squared_error":
        return [Side("statsmodels OLS", _least_squares(sm, X, o, strengths), _value(o), (0.1,))]
    if o.strength and o.loss not in {"log_loss", "poisson"}:
        return []
    links = sm.families.links
    family = {
        "log_loss": sm.families.Binomial, "poisson": sm.families.Poisson,
        "gamma": lambda: sm.families.Gamma(links.Log()),
        "tweedie": lambda: sm.families.Tweedie(links.Log(), o.parameter, eql=True),
    }[o.loss]  # fmt: skip

    def fit(tol: float) -> Any:
        model = sm.GLM(o.y, X, family=family())
        if o.strength:  # to a gradient that SciPy chooses
            return model.fit_regularized(alpha=strengths, L1_wt=0.0).params
        return model.fit(tol=tol).params

    return [Side("statsmodels GLM", fit, _value(o), TOLERANCES[:1] if o.strength else TOLERANCES)]


def _least_squares(sm: Any, X: Any, o: Objective, strengths: Any) -> Any:
    def fit(_tol: float) -> Any:
        model = sm.OLS(o.y, X)
        if o.strength:
            return model.fit_regularized(alpha=strengths, L1_wt=0.0).params
        return model.fit().params

    return fit


def _value(o: Objective) -> Any:
    return lambda params: o.value_of(Fitted(params[:-1], params[-1]))
