"""Each row left out in turn, beside ridge regressions that are fitted without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from gradstep.engine.automatic.leave_one_out import LeaveOneOut
from gradstep.engine.statistics import columns_of
from gradstep.objective.penalties import L2
from tests.engine.automatic.problems import problem
from tests.engine.cases import dense, regression


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n, p", [(31, 4), (20, 26)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dependent", [False, True])
def test_losses_are_those_of_fits_without_the_row(n, p, fit_intercept, weighted, dependent):
    """The centre of the features is that of all rows, which matters where there is an intercept."""
    data = regression(n, p, weighted=weighted)
    X = data.rows.values.copy()
    X[:, 1] = 2.0 * X[:, 0] if dependent else X[:, 1] * 1e3
    X[:, 2] = 1.0
    data, scales = replace(data, rows=dense(X)), np.linspace(0.5, 2.0, p)
    own = problem(data, fit_intercept=fit_intercept, penalty_scales=scales)
    folds = LeaveOneOut(own, data, columns_of(data), np.zeros(own.size))
    weight = np.ones(n) if data.sample_weight is None else data.sample_weight
    y = data.y[:, 0]
    for alpha in (1.0, 1e-2, 1e-4):
        losses = []
        for i in range(n):
            rest = np.arange(n) != i
            model = Ridge(alpha * weight.sum(), fit_intercept=fit_intercept)
            model.fit(X[rest] / scales, y[rest], weight[rest])
            losses.append(0.5 * (model.predict(X[[i]] / scales)[0] - y[i]) ** 2)
        found = folds.loss(replace(own, penalty=L2(alpha)))
        assert found == pytest.approx(np.average(losses, weights=weight), rel=1e-6)
