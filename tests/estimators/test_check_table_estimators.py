"""Every check that scikit-learn has, on estimators of tables, with no expected failure.

But for what cross-validation does: rows that come twice may lie in two parts, and a row of weight 2
in one alone. So which alpha is chosen may differ, and with one that is given nothing may.
"""

from __future__ import annotations

import pytest

from gradstep import TableClassifier, TableRegressor
from tests.estimators.test_check_estimator import every_check, run

pytestmark = [
    # The checks train on anything; whether that converges, or is too easy, is not what they check.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*predicts the target almost perfectly"),
]


_OF_WEIGHTS = "check_sample_weight_equivalence_on_dense_data"


@every_check([TableRegressor(), TableClassifier()])
def test_defaults_pass(estimator, check):
    if getattr(check, "func", check).__name__ == _OF_WEIGHTS:
        estimator.set_params(alpha=1e-4)
    run(estimator, check)
