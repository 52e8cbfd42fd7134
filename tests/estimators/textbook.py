"""The estimators as the textbook has them: a constant rate, columns and penalty as they are.

For tests of what the plain algorithm does; what the defaults do is tested by name.
"""

from __future__ import annotations

from functools import partial

import gradstep

__all__ = ["PLAIN", "MiniBatchClassifier", "MiniBatchRegressor"]

PLAIN = {"learning_rate": "constant", "penalty_scale": "unit"}
MiniBatchRegressor = partial(gradstep.MiniBatchRegressor, **PLAIN)
MiniBatchClassifier = partial(gradstep.MiniBatchClassifier, **PLAIN)
