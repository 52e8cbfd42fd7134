"""The scikit-learn front: parameters, validation and labels. No arithmetic lives here.

`MiniBatchRegressor` and `MiniBatchClassifier` take every keyword of `SGDRegressor` and
`SGDClassifier`, and more. What they share is in functions, not in a base class: each is one
class with scikit-learn's mixins.
"""

from gradstep.estimators.classifier import MiniBatchClassifier
from gradstep.estimators.regressor import MiniBatchRegressor

__all__ = ["MiniBatchClassifier", "MiniBatchRegressor"]
