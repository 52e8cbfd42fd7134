"""Random scaling: intervals from the path of averaged iterates, without a row.

A coefficient less its true value, over √(V / t) of `gradstep.engine.average_path`, tends to

    W(1) / √∫₀¹ (W(r) - r·W(1))² dr,

W being a Brownian motion. Numerator and denominator are independent, and the square of the
denominator is the limit of the Cramér-von Mises statistic, whose Laplace transform is known. With
Craig's form of the normal tail, that gives the law as an integral.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq

from gradstep.engine.average_path import lines_of, why_no_path
from gradstep.errors import InvalidParameter
from gradstep.inference.record import Covariance
from gradstep.inference.validity import RANDOM_SCALING, why_not

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gradstep.engine.state import Problem, TextbookState

__all__ = ["RandomScaling", "covariance_of_path"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_SINES = np.sin((_NODES + 1.0) * np.pi / 4.0)
_LARGEST = 1e4


class RandomScaling:
    """The law of a statistic under random scaling; `sf` and `ppf` as SciPy's.

    Examples
    --------
    >>> RandomScaling().ppf([0.9, 0.95, 0.975, 0.99]).round(3)  # table 1 of Lee et al.
    array([3.875, 5.323, 6.747, 8.613])
    """

    def sf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of a larger statistic."""
        x = np.asarray(x, np.float64)
        u = np.abs(x)[..., None] / _SINES
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.sqrt(2.0 * u / -np.expm1(-2.0 * u)) * np.exp(-0.5 * u)
        each = np.where(u == 0.0, 1.0, np.where(np.isinf(u), 0.0, each))
        upper = 0.25 * (each @ _WEIGHTS)
        found: NDArray[np.float64] = np.where(x < 0.0, 1.0 - upper, upper)
        return found

    def ppf(self, q: ArrayLike) -> NDArray[np.float64]:
        """Return the statistic that others are below with a probability."""
        tail = np.minimum(np.asarray(q, np.float64), 1.0 - np.asarray(q, np.float64))
        ends = [
            brentq(lambda x, p=p: self.sf(x) - p, 0.0, _LARGEST) if p < self.sf(0.0) else 0.0
            for p in tail.ravel()
        ]
        found: NDArray[np.float64] = np.sign(np.asarray(q) - 0.5) * np.reshape(ends, tail.shape)
        return found


def covariance_of_path(problem: Problem, state: TextbookState) -> Covariance:
    """Return V / t of the run so far, in the place of a covariance.

    Raises
    ------
    InvalidParameter
        Where it says nothing: the reason, and what to do.
    """
    count = float(state.counters[2])
    if why := why_not(problem) or why_no_path(problem) or _why_not_yet(state, count):
        msg = f"No random scaling: {why}."
        raise InvalidParameter(msg)
    path: Any = state.path
    average = lines_of(problem, state.current())
    matrix = path.scaling(count, average)
    return Covariance(
        kind=RANDOM_SCALING,
        matrix=matrix,
        params=average,
        undetermined=np.einsum("bii->bi", matrix) == 0.0,
        n_rows=int(state.counters[1]),
        rank=average.shape[1],
        clusters=(),
        dispersion=np.ones(average.shape[0]),
        distance=0.0,
        penalised=problem.penalty_of(np.ones(problem.size)) > 0.0,
        degrees=None,
        iterates=int(count),
    )


def _why_not_yet(state: TextbookState, count: float) -> str | None:
    if state.path is None:
        return "the average was begun with other rates, or another optimizer: fit anew"
    if count < 2.0:
        return f"{count:.0f} iterates are averaged so far: it needs two at least, and many to hold"
    seen, rows = state.counters[1], state.seen[2]
    if state.epoch > 1 and rows < seen:
        return (
            f"the rows were read {state.epoch} times, and it supposes that each comes once: use "
            "max_iter=1, or partial_fit with new rows each time"
        )
    return None
