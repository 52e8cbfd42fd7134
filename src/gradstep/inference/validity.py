"""Which fits have standard errors: the reasons why others have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.objective.classification import OneVsRest
from gradstep.objective.regression import Pinball

if TYPE_CHECKING:
    from gradstep.engine.state import Problem

__all__ = ["MOST_FEATURES", "RANDOM_SCALING", "why_not"]

MOST_FEATURES = 2000
RANDOM_SCALING = "random_scaling"  # of averaged iterates, no covariance of the optimum


def why_not(problem: Problem) -> str | None:
    """Return why parameters have no covariance of this kind, None if they have one."""
    loss, penalty = problem.loss, problem.penalty
    inner = loss.loss if isinstance(loss, OneVsRest) else loss
    strengths = getattr(penalty, "strengths", None)
    if strengths is None:
        return f"{type(penalty).__name__} is known by its proximal map alone"
    if strengths()[0] > 0.0:
        return (
            "an l1 penalty moves coefficients to zero, and their distribution is not normal. Fit "
            "without it (penalty='l2', or None) on the features that it has kept, on other rows"
        )
    smooth = getattr(loss, "curvature", None) is not None or getattr(loss, "is_smooth", False)
    if not smooth and not isinstance(loss, Pinball):
        return (
            f"the slope of {type(inner).__name__} jumps, so that it has no Hessian. Use a smooth "
            "loss: 'log_loss' for classes, 'squared_error' or 'huber' for numbers"
        )
    if problem.constraints is not None:
        return (
            "constraints move coefficients to their bounds, and their distribution is not normal. "
            "Fit without them"
        )
    if problem.n_features > MOST_FEATURES:
        return (
            f"{problem.n_features:,} features are more than the {MOST_FEATURES:,} for which a "
            "covariance is computed. Use fewer"
        )
    return None
