"""Every check that scikit-learn has for an estimator, with no expected failure."""

from __future__ import annotations

from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from gradstep import MiniBatchClassifier, MiniBatchRegressor
from tests.uncompiled import compiled_if

# The checks train on anything; whether that converges is not what they check.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Looks at arrays of other libraries where SCIPY_ARRAY_API was set before SciPy was imported, at
# nothing elsewhere; the estimators promise nothing of them.
OF_OTHER_ARRAYS = {"check_array_api_input"}

# Compare two fits to seven digits, which a run that stops on the way to the optimum cannot give.
NEED_THE_OPTIMUM = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}

# Each compiles kernels of its own, so few have all that differs.
VARIANTS = [
    MiniBatchRegressor(
        "huber", penalty="l1", optimizer="adam", learning_rate="adaptive", batch_size=8,
        average=True, shuffle="blocks",
    ),
    MiniBatchClassifier(
        "hinge", penalty="elasticnet", optimizer="momentum", learning_rate="invscaling",
        last_batch="mean",
    ),
]  # fmt: skip


def name_of(check):
    return getattr(check, "func", check).__name__


def run(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        pytest.fail(f"{name_of(check)} was skipped: {reason}")


def with_checks(estimators):
    """Have estimators checked, all compiled."""
    mark = parametrize_with_checks(estimators)
    names, cases = mark.args
    chosen = [case for case in cases if name_of(case[1]) not in OF_OTHER_ARRAYS]
    return pytest.mark.parametrize(names, chosen, **mark.kwargs)


def every_check(estimators):
    """Have estimators checked; float32 rows, which are a layout of their own, compiled for one."""
    mark = with_checks(estimators)
    names, cases = mark.args

    def is_compiled(case):
        estimator, check = case
        single = name_of(check) == "check_estimators_dtypes" or "X_dtype" in check.keywords
        return not single or type(estimator) is MiniBatchRegressor

    return pytest.mark.parametrize(names, compiled_if(is_compiled, cases), **mark.kwargs)


@every_check([MiniBatchRegressor(), MiniBatchClassifier()])
def test_defaults_pass(estimator, check):
    run(estimator, check)


@pytest.mark.slow
@with_checks(VARIANTS)
def test_variants_pass(estimator, check):
    if name_of(check) not in NEED_THE_OPTIMUM:
        estimator.set_params(max_iter=100)  # what is checked is there by then
        run(estimator, check)
