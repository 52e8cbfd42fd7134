"""From a user's settings to a fitted model: components by name, the plan, its runs.

`gradstep.engine` trains a problem that is fully specified; this package specifies it, for both
fronts. `gradstep.estimators.fitting` is how scikit-learn's estimators call it.
"""
