"""The warning of a run that has not come to its end: scikit-learn's, with a code."""

from __future__ import annotations

from sklearn.exceptions import ConvergenceWarning as OfScikitLearn

from gradstep.errors import GradstepWarning

__all__ = ["ConvergenceWarning"]


class ConvergenceWarning(GradstepWarning, OfScikitLearn):
    """Training has not come to the optimum, or there is none."""
