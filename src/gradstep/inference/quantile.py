"""The bandwidth of the kernel density that a quantile's standard errors need."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from gradstep.errors import InvalidData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.objective.regression import Pinball

__all__ = ["bandwidth_of"]

_NORMAL = NormalDist()
_LEVEL = 0.05


def bandwidth_of(loss: Pinball, residuals: NDArray[np.float64]) -> float:
    """Return half the width of the residuals around zero that count (Powell's estimator).

    The Hessian of the pinball loss is the sum of f·x·xᵀ, f being the density of the residual at
    zero: the share of residuals within this of zero, over twice this. Source: Powell, "Censored
    regression quantiles", J. Econometrics 32 (1986); the bandwidth is Hall's and Sheather's
    (J. R. Stat. Soc. B 50, 1988), brought to the residuals' scale as in Koenker, "Quantile
    Regression" (2005), section 3.4.

    Parameters
    ----------
    loss : Pinball
        The loss.
    residuals : ndarray of shape (n, 1)
        Targets less fitted quantiles.

    Raises
    ------
    InvalidData
        If more than half of the residuals are equal.
    """
    n, tau = residuals.size, loss.quantile
    at = _NORMAL.inv_cdf(tau)
    density = _NORMAL.pdf(at)
    z = _NORMAL.inv_cdf(1.0 - _LEVEL / 2.0)
    h = n ** (-1 / 3) * z ** (2 / 3) * (1.5 * density**2 / (2.0 * at * at + 1.0)) ** (1 / 3)
    h = min(h, 0.999 * min(tau, 1.0 - tau))
    low, high = np.quantile(residuals, [0.25, 0.75])
    spread = min(float(residuals.std()), float(high - low) / 1.34)
    if not spread > 0.0:
        msg = (
            "No standard errors: more than half of the residuals are equal, so that they have no "
            "density."
        )
        raise InvalidData(msg)
    return spread * (_NORMAL.inv_cdf(tau + h) - _NORMAL.inv_cdf(tau - h))
