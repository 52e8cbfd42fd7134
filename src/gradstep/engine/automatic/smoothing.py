"""Losses with kinks: over which widths of scores their slopes and second derivatives are taken.

Where the slope of a loss jumps (hinge, pinball), or its second derivative does (Huber), the
Hessian is taken from the rise of the slope over a *width* of scores, and over that width doubled
up to `doublings` times, so that a kink counts before a long step meets it. Both come down as a
run comes to its end. Wider doublings count for a part, so that no feature is without a
second derivative. Where slopes jump, the loss itself is smoothed over the width, too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from gradstep.objective.smoothed import smoothed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.automatic.scaled_problem import ScaledProblem

__all__ = ["Smoothing"]

_WIDTH = 1e-4  # of scores, between slopes that a second derivative is taken from
# At first, of targets and of classes: wide where the slope jumps, so that few steps come near,
_FIRST_WIDTH, _FIRST_MARGIN = 0.5, 1.0
_BENT_WIDTH, _BENT_MARGIN = 0.25, 0.0625  # and narrower where the second derivative does
_NEAR = 0.0625  # the same, where a run starts near the optimum
_LAST_WIDTH, _LEAST_WIDTH = 1e-4, 1e-8
_NARROWING = 4.0
_DOUBLINGS, _MOST_DOUBLINGS = 3, 20
_BEYOND, _LEAST_BEYOND = 0.1, 1e-6


class Smoothing(NamedTuple):
    """Over which widths slopes are taken; each method returns another such record.

    Attributes
    ----------
    width, before : float
        The width, and that of the snapshot before, by which it is compared with what follows.
    doublings : int
        How often the width is doubled.
    beyond : float
        What widths beyond that count for.
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
        """Return the loss that slopes are taken of: smoothed, where they jump."""
        return of.problem.loss if of.has_optimality else smoothed(of.problem.loss, self.width)

    def loss_before(self, of: ScaledProblem) -> Any:
        """Return the loss that slopes were taken of before the width was narrowed last."""
        return self._replace(width=self.before).loss(of)

    def widths(self, of: ScaledProblem) -> NDArray[np.float64]:
        """Return widths, and what the rise over each counts for: beyond `doublings`, a part."""
        if of.smooth:
            return np.array([[self.width], [1.0]])
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
        """Take slopes that are nearer to each other from now on."""
        doublings = min(self.doublings + 2, _MOST_DOUBLINGS)
        return self._replace(before=self.width, width=self.width / _NARROWING, doublings=doublings)

    def settled(self) -> Self:
        """Go on from a snapshot that is known by the loss as it is smoothed now."""
        return self._replace(before=self.width)

    # ------------------------------------------------------------------ how often it is doubled

    def is_widest(self, of: ScaledProblem) -> bool:
        """Tell whether the width is doubled as often as it may be."""
        return of.smooth or self.doublings >= _MOST_DOUBLINGS

    def doubled_often(self) -> Self:
        """Double the width much more often from now on."""
        return self._replace(
            doublings=min(2 * self.doublings + 2, _MOST_DOUBLINGS), beyond=_BEYOND
        )  # fmt: skip

    def shortened(self, of: ScaledProblem) -> Self:
        """Double the width less often, as after a whole step."""
        beyond = self.beyond
        if of.bounded:  # the Hessian is large enough without
            beyond = max(0.1 * beyond, _LEAST_BEYOND)
        return self._replace(doublings=max(0, self.doublings - 1), beyond=beyond)

    def lengthened(self, t: float) -> Self:
        """Double the width more often, since a step had to be shortened to t."""
        return self._replace(
            doublings=min(self.doublings + round(-math.log2(t)), _MOST_DOUBLINGS),
            beyond=min(10.0 * self.beyond, _BEYOND),
        )
