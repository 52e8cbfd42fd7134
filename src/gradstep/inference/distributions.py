"""The laws of statistics under no effect, each with `sf` and `ppf`, as SciPy's distributions have.

They are SciPy's special functions: to import its distributions takes longer than most fits do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Normal", "Student", "above_chi_square", "above_f"]


class Normal:
    """The standard normal law.

    Examples
    --------
    >>> f"{Normal().ppf(0.975):.3f} {Normal().sf(1.96):.3f}"
    '1.960 0.025'
    """

    def sf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of a larger value."""
        found: NDArray[np.float64] = special.ndtr(np.negative(x))
        return found

    def ppf(self, q: ArrayLike) -> NDArray[np.float64]:
        """Return the value that others are below with a probability."""
        found: NDArray[np.float64] = special.ndtri(q)
        return found


class Student(NamedTuple):
    """Student's law.

    Attributes
    ----------
    degrees : float
        Degrees of freedom.
    """

    degrees: float

    def sf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of a larger value."""
        found: NDArray[np.float64] = special.stdtr(self.degrees, np.negative(x))
        return found

    def ppf(self, q: ArrayLike) -> NDArray[np.float64]:
        """Return the value that others are below with a probability."""
        found: NDArray[np.float64] = special.stdtrit(self.degrees, q)
        return found


def above_f(x: float, df: float, degrees: float) -> float:
    """Return the probability of a larger value of F."""
    return float(special.fdtrc(df, degrees, x))


def above_chi_square(x: float, df: float) -> float:
    """Return the probability of a larger value of χ²."""
    return float(special.chdtrc(df, x))
