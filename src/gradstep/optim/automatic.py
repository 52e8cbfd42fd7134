"""A learning rate from the data: constant, and stable where the theory's assumptions hold.

For least squares, a constant step of mini-batch SGD is stable up to 2 / (κ R²), whatever the
batch size, κ being the loss's largest curvature and R² = E‖x‖² (light tails; Jain et al.,
JMLR 18(223), 2018). A quarter of that leaves room for tails that are not light. The intercept
counts as a feature as long as half a row: its steps are longer than the weights' by that
length squared, so that the rate's effect does not depend on the unit of the features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gradstep.objective.losses import curvature

if TYPE_CHECKING:
    from gradstep.optim.optimizers import Optimizer

__all__ = ["Rate", "depends_on_unit", "stable_rate"]

_SCALE_FREE_RATE = 0.01


class Rate(NamedTuple):
    """A constant learning rate, and what the intercept's is multiplied by."""

    eta0: float
    intercept_factor: float


def depends_on_unit(optimizer: Optimizer, loss: Any) -> bool:
    """Tell whether a stable rate depends on how far scores have to go."""
    free = getattr(optimizer, "scale_free", False)
    return free or (curvature(loss) is None and not hasattr(loss, "curvature_at"))


def stable_rate(
    optimizer: Optimizer,
    loss: Any,
    mean_square_norm: float,
    mean_target: float,
    score_unit: float = 1.0,
) -> Rate:
    """Return a constant learning rate for rows of this size.

    Parameters
    ----------
    optimizer : Optimizer
        Those that divide by the size of past gradients (``scale_free``) get 0.01.
    loss : Loss
        Gives its largest curvature; if it has none, that at the mean target; else 1.
    mean_square_norm : float
        Mean of ‖x‖² over the rows.
    mean_target : float
        Mean of y, used only by losses with a logarithmic link.
    score_unit : float
        How far scores have to go: the spread of targets that are scores themselves. Steps whose
        length does not grow with the distance (of scale-free optimizers, and of losses whose
        slopes have a bound) are as many times as long.

    Examples
    --------
    >>> from gradstep.objective.regression import SquaredError
    >>> from gradstep.optim.optimizers import SGD
    >>> stable_rate(SGD(), SquaredError(), mean_square_norm=4.0, mean_target=0.0)
    Rate(eta0=0.1, intercept_factor=1.0)
    """
    if getattr(optimizer, "scale_free", False):
        return Rate(_SCALE_FREE_RATE * score_unit, 1.0)
    bound = curvature(loss)
    if bound is None and hasattr(loss, "curvature_at"):
        bound = max(1.0, loss.curvature_at(mean_target))
    square = mean_square_norm if mean_square_norm > 0.0 else 1.0
    farther = score_unit if bound is None and not hasattr(loss, "curvature_at") else 1.0
    return Rate(farther / (2.0 * (bound or 1.0) * 1.25 * square), 0.25 * square)
