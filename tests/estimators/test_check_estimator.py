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


def every_check(estimators, *, of_all_rows=False):
    """Have estimators checked; other rows than dense ones of float64 compiled if so, for one."""
    mark = parametrize_with_checks(estimators)
    names, cases = mark.args

    def is_compiled(case):
        estimator, check = case
        name = name_of(check)
        single = name == "check_estimators_dtypes" or "X_dtype" in check.keywords
        if of_all_rows:
            return not single or type(estimator) is MiniBatchRegressor
        return not single and "sparse" not in name

    chosen = [case for case in cases if name_of(case[1]) not in OF_OTHER_ARRAYS]
    return pytest.mark.parametrize(names, compiled_if(is_compiled, chosen), **mark.kwargs)


@every_check([MiniBatchRegressor(), MiniBatchClassifier()], of_all_rows=True)
def test_defaults_pass(estimator, check):
    run(estimator, check)


@pytest.mark.slow
@every_check(VARIANTS)
def test_variants_pass(estimator, check):
    if name_of(check) not in NEED_THE_OPTIMUM:
        estimator.set_params(max_iter=100)  # what is checked is there by then
        run(estimator, check)
