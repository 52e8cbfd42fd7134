"""Statistical inference: covariances of fitted parameters, standard errors, intervals, tests.

Predictions are `gradstep.model`'s.
"""
