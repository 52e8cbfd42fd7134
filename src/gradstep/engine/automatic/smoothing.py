"""How losses with kinks are smoothed: over which width of scores, and how that width evolves.

A *kink* is a score at which the slope of a loss jumps (hinge, pinball) or its second derivative
does (Huber). Newton's method needs a second derivative that tells of kinks which a step may cross,
so two things are replaced, both over a *width* w, which is a distance in scores:

- The second derivative of a row's loss at the score z becomes a difference quotient of slopes,
  (slope(z + v) - slope(z - v)) / 2v. It is formed for v = w, 2w, 4w, ..., and the largest is taken.
  The first `doublings` doublings have the weight 1, so that a kink counts before a long step meets
  it; wider ones have the weight `beyond` < 1, so that each feature has some second derivative.
- Where the slope itself jumps, the loss becomes its mean over the scores within w of z
  (`gradstep.objective.smoothed`). Where only the second derivative jumps, it stays as it is.

During a run:

- w begins as a fraction of the unit of scores. When an epoch gains little, w is divided by 4 and
  `doublings` rises by 2, so that w·2^doublings, how far a kink is seen with full weight, stays the
  same. This ends when w is small and what smoothing adds to the objective is little
  (`optimality.is_narrow_enough`).
- `doublings` falls by 1 with each step that is taken whole, and rises when a step had to be
  shortened, since the Hessian was too small there. `beyond` rises with it, and falls with it if the
  second derivative has a bound.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from gradstep.objective.smoothed import smoothed
from gradstep.rows.readonly import readonly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem

__all__ = ["Smoothing"]

# All widths are in units of scores (`ScaledProblem.score_unit`).
# Width of the difference quotient for a loss without kinks.
_WIDTH = 1e-4
# First width where the slope jumps, for numeric targets and for classes (ADR 0010).
_FIRST_WIDTH, _FIRST_MARGIN = 0.5, 1.0
# First width where only the second derivative jumps, for numeric targets and for classes.
_BENT_WIDTH, _BENT_MARGIN = 0.25, 0.0625
# First width where the slope jumps and the run starts near the optimum.
_NEAR = 0.0625
# Width that is narrow enough for most problems, and the narrowest of all (ADR 0010).
_LAST_WIDTH, _LEAST_WIDTH = 1e-4, 1e-8
# What the width is divided by when it is narrowed.
_NARROWING = 4.0
# Doublings of full weight at first, and at most (ADR 0010).
_DOUBLINGS, _MOST_DOUBLINGS = 3, 20
# Weight of wider doublings at first and at most, and at least.
_BEYOND, _LEAST_BEYOND = 0.1, 1e-6


class Smoothing(NamedTuple):
    """The smoothing width and its doublings; each method returns another such record.

    Attributes
    ----------
    width, before : float
        The width, and that of the last snapshot's objective. The next objective is taken over both,
        so that the two can be compared.
    doublings : int
        How many doublings of the width have full weight.
    beyond : float
        Weight of widths doubled more than `doublings` times.
    """

    width: float
    before: float
    doublings: int = _DOUBLINGS
    beyond: float = _BEYOND

    @classmethod
    def first(cls, of: ScaledProblem, *, near: bool) -> Self:
        """Return the widths that a run begins with."""
        first = _FIRST_MARGIN if of.of_classes else _FIRST_WIDTH
        if of.has_optimality:
            first = _BENT_MARGIN if of.of_classes else _BENT_WIDTH
        elif near:
            first = _NEAR
        width = (_WIDTH if of.smooth else first) * of.score_unit
        return cls(width, width)

    def loss(self, of: ScaledProblem) -> Any:
        """Return the loss that is minimised at this width: smoothed, if its slope jumps."""
        return of.problem.loss if of.has_optimality else smoothed(of.problem.loss, self.width)

    def loss_before(self, of: ScaledProblem) -> Any:
        """Return the loss that was minimised at the last snapshot, before the width narrowed."""
        return self._replace(width=self.before).loss(of)

    def widths(self, of: ScaledProblem) -> NDArray[np.float64]:
        """Return the widths of difference quotients, and the weight of each: shape (2, widths)."""
        if of.smooth:
            return _single(self.width)
        powers = np.arange(_MOST_DOUBLINGS + 1)
        counts = np.where(powers <= self.doublings, 1.0, self.beyond)
        return np.array([self.width * 2.0**powers, counts])

    # ------------------------------------------------------------------ how narrow it is

    def is_narrow(self, of: ScaledProblem) -> bool:
        """Tell whether the width is as small as it usually needs to be."""
        return of.smooth or self.width <= _LAST_WIDTH * of.score_unit

    def is_narrowest(self, of: ScaledProblem) -> bool:
        """Tell whether numbers leave no room for a smaller width."""
        return self.width <= _LEAST_WIDTH * of.score_unit

    def narrowed(self) -> Self:
        """Divide the width, and see kinks as far away as before."""
        doublings = min(self.doublings + 2, _MOST_DOUBLINGS)
        return self._replace(before=self.width, width=self.width / _NARROWING, doublings=doublings)

    def settled(self) -> Self:
        """Go on from a snapshot whose objective is that of the present width."""
        return self if self.before == self.width else self._replace(before=self.width)

    # ------------------------------------------------------------------ how often it is doubled

    def is_widest(self, of: ScaledProblem) -> bool:
        """Tell whether as many doublings as there may be have full weight."""
        return of.smooth or self.doublings >= _MOST_DOUBLINGS

    def doubled_often(self) -> Self:
        """Give full weight to many more doublings: no step led down."""
        return self._replace(
            doublings=min(2 * self.doublings + 2, _MOST_DOUBLINGS), beyond=_BEYOND
        )  # fmt: skip

    def shortened(self, of: ScaledProblem) -> Self:
        """Give full weight to a doubling less, as after a step that was taken whole."""
        beyond = self.beyond
        if of.has_curvature_bound:  # the Hessian is large enough without wide doublings
            beyond = max(0.1 * beyond, _LEAST_BEYOND)
        return type(self)(self.width, self.before, max(0, self.doublings - 1), beyond)

    def lengthened(self, t: float) -> Self:
        """Give full weight to more doublings, since a step had to be shortened to t."""
        return self._replace(
            doublings=min(self.doublings + round(-math.log2(t)), _MOST_DOUBLINGS),
            beyond=min(10.0 * self.beyond, _BEYOND),
        )


@lru_cache(maxsize=16)
def _single(width: float) -> NDArray[np.float64]:
    """Return the width of a loss without kinks, as `Smoothing.widths` does."""
    widths: NDArray[np.float64] = readonly(np.array([[width], [1.0]]))
    return widths
