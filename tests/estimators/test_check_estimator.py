"""Every check that scikit-learn has for an estimator, with no expected failure."""

from __future__ import annotations

from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from gradstep import MiniBatchClassifier, MiniBatchRegressor

# The checks train on anything; whether that converges is not what they check.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Needs SCIPY_ARRAY_API to be set before SciPy is imported.
MAY_BE_SKIPPED = {"check_array_api_input"}

# Compare two fits to seven digits, which a run that stops on the way to the optimum cannot give.
NEED_THE_OPTIMUM = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}

VARIANTS = [
    MiniBatchRegressor(optimizer="adam", average=True, shuffle="blocks"),
    MiniBatchRegressor("huber", penalty="l1", learning_rate="adaptive", batch_size=8),
    MiniBatchClassifier("hinge", penalty="elasticnet", learning_rate="invscaling"),
    MiniBatchClassifier("modified_huber", optimizer="momentum", last_batch="mean"),
]


def name_of(check):
    return getattr(check, "func", check).__name__


def run(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        if name_of(check) in MAY_BE_SKIPPED:
            raise
        pytest.fail(f"{name_of(check)} was skipped: {reason}")


@parametrize_with_checks([MiniBatchRegressor(), MiniBatchClassifier()])
def test_defaults_pass(estimator, check):
    run(estimator, check)


@pytest.mark.slow
@parametrize_with_checks(VARIANTS)
def test_variants_pass(estimator, check):
    if name_of(check) not in NEED_THE_OPTIMUM:
        run(estimator, check)
