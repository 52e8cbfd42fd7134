"""Learning rates: what a step's rate is, as a function of the step and of the epoch.

A schedule is a NamedTuple with ``rates(steps, epochs, horizon)``: given the numbers of updates done
before each step (from 0), and the time in epochs at which each begins (0.25 after a quarter of the
first), it returns the rates. `Horizon` says how many epochs are planned and how many steps one has.
Schedules are plain NumPy, called once for a run of batches, never per step.

`Adaptive` also has ``after_stall(factor)``: the factor on all later rates once nothing improves, or
None to end. `Optimal` also has ``settles``: whether one far above the best constant's may decrease.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from gradstep.checks import check_number
from gradstep.errors import InvalidComponent, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "Adaptive",
    "Constant",
    "Cosine",
    "Exponential",
    "Horizon",
    "InvScaling",
    "OneCycle",
    "Optimal",
    "Schedule",
    "StepDecay",
    "UserSchedule",
    "WarmUp",
]

_FAR, _LITTLE_STEEPER = 1e4, 4.0  # of scores, and of slopes that have a bound


class Horizon(NamedTuple):
    """How long a run is planned to be.

    Attributes
    ----------
    epochs : float
        Epochs planned.
    steps_per_epoch : float
        Steps in an epoch.
    """

    epochs: float
    steps_per_epoch: float


@runtime_checkable
class Schedule(Protocol):
    """What a schedule must have."""

    def rates(
        self, steps: NDArray[np.int64], epochs: NDArray[np.float64], horizon: Horizon
    ) -> NDArray[np.float64]:
        """Return the learning rate of each step."""


def _check(owner: str, **numbers: float) -> None:
    for name, number in numbers.items():
        check_number(owner, name, number, low=0.0, open_low=True, finite=True)


class Constant(NamedTuple):
    """eta0, always.

    Examples
    --------
    >>> Constant(0.1).rates(np.arange(3), np.zeros(3), Horizon(10, 1))
    array([0.1, 0.1, 0.1])
    """

    eta0: float = 0.01

    def rates(self, steps: Any, epochs: Any, horizon: Horizon) -> NDArray[np.float64]:
        """Return the learning rate of each step."""
        return np.full(len(steps), self.eta0)

    def check(self) -> None:
        """Refuse rates that are not above zero."""
        _check("Constant", eta0=self.eta0)


class InvScaling(NamedTuple):
    """eta0 / t^power_t, t counting the steps from 1.

    Examples
    --------
    >>> InvScaling(0.1, 0.5).rates(np.array([0, 3]), np.zeros(2), Horizon(10, 1))
    array([0.1 , 0.05])
    """

    eta0: float = 0.01
    power_t: float = 0.25

    def rates(self, steps: Any, epochs: Any, horizon: Horizon) -> NDArray[np.float64]:
        """Return the learning rate of each step."""
        scaled: NDArray[np.float64] = self.eta0 / (np.asarray(steps) + 1.0) ** self.power_t
        return scaled

    def check(self) -> None:
        """Refuse an eta0 that is not above zero."""
        _check("InvScaling", eta0=self.eta0)


class Optimal(NamedTuple):
    """1 / (alpha·(t0 + t)), t the rows seen before: Bottou's rate for l2-penalised losses.

    The first steps may be far too long for the data. Where the loss's slope is bounded they lead
    no farther than they are long, and are made good once the rate has come down: a loss that is
    far too large on the way is then no sign of divergence.

    Parameters
    ----------
    alpha : float
        The strength of the penalty.
    t0 : float
        Chosen so that the first steps are as long as weights can be expected to be; see
        `Optimal.for_slope`.
    batch_size : float
        Rows of a step.
    settles : bool
        Whether the loss's slope is bounded.

    Examples
    --------
    >>> Optimal(0.1, t0=10.0, batch_size=5.0).rates(np.array([0, 2]), np.zeros(2), Horizon(1, 9))
    array([1. , 0.5])

    References
    ----------
    L. Bottou, "Stochastic gradient descent tricks", 2012; `SGDClassifier`'s "optimal".
    """

    alpha: float = 1e-4
    t0: float = 1e4
    batch_size: float = 1.0
    settles: bool = False

    @classmethod
    def for_slope(
        cls, alpha: float, slope: Callable[[float, float], float], batch_size: float = 1.0
    ) -> Optimal:
        """Return the schedule for a loss, given its slope(y, z), and the rows of a step."""
        if not alpha > 0.0:
            msg = (
                f"learning_rate='optimal' needs alpha > 0, not alpha={alpha!r}: it is 1/(alpha·t)."
            )
            raise InvalidParameter(msg)
        typical_weight = math.sqrt(1.0 / math.sqrt(alpha))
        first = typical_weight / max(1.0, slope(1.0, -typical_weight))
        near, far = (abs(slope(1.0, -z)) for z in (typical_weight, _FAR * typical_weight))
        settles = far <= _LITTLE_STEEPER * max(1.0, near)
        return cls(alpha, 1.0 / (first * alpha), float(batch_size), settles)

    def rates(self, steps: Any, epochs: Any, horizon: Horizon) -> NDArray[np.float64]:
        """Return the learning rate of each step."""
        rows = self.batch_size * np.asarray(steps)
        decayed: NDArray[np.float64] = 1.0 / (self.alpha * (self.t0 + rows))
        return decayed

    def check(self) -> None:
        """Refuse numbers that are not above zero, and a `settles` that is no truth."""
        _check("Optimal", alpha=self.alpha, t0=self.t0, batch_size=self.batch_size)
        if self.settles not in {True, False}:
            msg = f"settles={self.settles!r} of Optimal must be True or False."
            raise InvalidParameter(msg)


class Adaptive(NamedTuple):
    """eta0, divided by `divisor` each time training stalls, while above `smallest`.

    Stalling is what would otherwise end the run: no improvement by `tol` in
    `n_iter_no_change` epochs.
    """

    eta0: float = 0.01
    divisor: float = 5.0
    smallest: float = 1e-6

    def rates(self, steps: Any, epochs: Any, horizon: Horizon) -> NDArray[np.float64]:
        """Return the learning rate of each step, before any stall."""
        return np.full(len(steps), self.eta0)

    def after_stall(self, factor: float) -> float | None:
        """Return the new factor on the rates, or None if they are small enough."""
        return factor / self.divisor if self.eta0 * factor > self.smallest else None

    def check(self) -> None:
        """Refuse numbers that are not above zero, and a divisor up to 1."""
        _check("Adaptive", eta0=self.eta0, smallest=self.smallest)
        check_number("Adaptive", "divisor", self.divisor, low=1.0, open_low=True)


class StepDecay(NamedTuple):
    """eta0·factor^(number of whole periods of `every` epochs gone by).

    Examples
    --------
    >>> StepDecay(0.1, every=2, factor=0.5).rates(
    ...     np.arange(3), np.array([0.0, 2.5, 4.0]), Horizon(9, 1)
    ... )
    array([0.1  , 0.05 , 0.025])
    """

    eta0: float = 0.01
    every: float = 10.0
    factor: float = 0.5

    def rates(self, steps: Any, epochs: Any, horizon: Horizon) -> NDArray[np.float64]:
        """Return the learning rate of each step."""
        decayed: NDArray[np.float64] = self.eta0 * self.factor ** np.floor(
            np.asarray(epochs) / self.every
        )
        return decayed

    def check(self) -> None:
        """Refuse numbers that are not above zero."""
        _check("StepDecay", eta0=self.eta0, every=self.every, factor=self.factor)


class Exponential(NamedTuple):
    """eta0·factor^epoch, epochs counted whole.

    Examples
    --------
    >>> Exponential(0.1, factor=0.5).rates(np.arange(2), np.array([0.9, 2.1]), Horizon(9, 1))
    array([0.1  , 0.025])
    """

    eta0: float = 0.01
    factor: float = 0.95

    def rates(self, steps: Any, epochs: Any, horizon: Horizon) -> NDArray[np.float64]:
        """Return the learning rate of each step."""
        decayed: NDArray[np.float64] = self.eta0 * self.factor ** np.floor(np.asarray(epochs))
        return decayed

    def check(self) -> None:
        """Refuse numbers that are not above zero."""
        _check("Exponential", eta0=self.eta0, factor=self.factor)


def _cosine(start: float, end: float, progress: NDArray[np.float64]) -> NDArray[np.float64]:
    """Go from start to end along half a cosine as progress goes from 0 to 1."""
    cut = np.clip(progress, 0.0, 1.0)
    curve: NDArray[np.float64] = end + (start - end) * 0.5 * (1.0 + np.cos(np.pi * cut))
    return curve


class Cosine(NamedTuple):
    """From eta0 down to `final` along half a cosine over the planned epochs.

    Examples
    --------
    >>> Cosine(0.1).rates(np.arange(3), np.array([0.0, 5.0, 10.0]), Horizon(10, 1)).round(3)
    array([0.1 , 0.05, 0.  ])

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR", ICLR 2017.
    """

    eta0: float = 0.01
    final: float = 0.0

    def rates(self, steps: Any, epochs: Any, horizon: Horizon) -> NDArray[np.float64]:
        """Return the learning rate of each step."""
        return _cosine(self.eta0, self.final, np.asarray(epochs) / horizon.epochs)

    def check(self) -> None:
        """Refuse an eta0 that is not above zero, and a final rate outside [0, eta0]."""
        _check("Cosine", eta0=self.eta0)
        if not 0.0 <= self.final <= self.eta0:
            msg = f"final={self.final!r} of Cosine must lie between 0 and eta0={self.eta0!r}."
            raise InvalidParameter(msg)


class OneCycle(NamedTuple):
    """Up to eta0 and down again, both along half a cosine, over the planned epochs.

    Starts at eta0 / `start_divisor`, reaches eta0 after the share `rise` of the epochs, and
    ends at eta0 / `end_divisor`.

    References
    ----------
    L. Smith, N. Topin, "Super-convergence", 2017.
    """

    eta0: float = 0.01
    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4

    def rates(self, steps: Any, epochs: Any, horizon: Horizon) -> NDArray[np.float64]:
        """Return the learning rate of each step."""
        progress = np.asarray(epochs) / horizon.epochs
        up = _cosine(self.eta0 / self.start_divisor, self.eta0, progress / self.rise)
        down = _cosine(
            self.eta0, self.eta0 / self.end_divisor, (progress - self.rise) / (1.0 - self.rise)
        )
        return np.where(progress < self.rise, up, down)

    def check(self) -> None:
        """Refuse numbers that are not above zero, and a rise outside (0, 1)."""
        _check(
            "OneCycle",
            eta0=self.eta0,
            start_divisor=self.start_divisor,
            end_divisor=self.end_divisor,
        )
        check_number(
            "OneCycle", "rise", self.rise, low=0.0, high=1.0, open_low=True, open_high=True
        )


class WarmUp(NamedTuple):
    """A linear rise over the first `epochs` epochs, then another schedule from its start.

    Parameters
    ----------
    then : Schedule
        What follows; its time starts when the rise ends.
    epochs : float
        Length of the rise; may be a fraction of an epoch.

    Examples
    --------
    >>> schedule = WarmUp(Constant(0.1), epochs=2)
    >>> schedule.rates(np.arange(4), np.array([0.0, 1.0, 2.0, 3.0]), Horizon(10, 1))
    array([0.05, 0.1 , 0.1 , 0.1 ])
    """

    then: Any
    epochs: float = 1.0

    def rates(self, steps: Any, epochs: Any, horizon: Horizon) -> NDArray[np.float64]:
        """Return the learning rate of each step."""
        steps, epochs = np.asarray(steps), np.asarray(epochs, dtype=np.float64)
        rise = np.minimum(1.0, (epochs + 1.0 / horizon.steps_per_epoch) / self.epochs)
        rise_steps = round(self.epochs * horizon.steps_per_epoch)
        base: NDArray[np.float64] = self.then.rates(
            np.maximum(0, steps - rise_steps),
            np.maximum(0.0, epochs - self.epochs),
            horizon._replace(epochs=max(horizon.epochs - self.epochs, 1e-12)),
        )
        risen: NDArray[np.float64] = base * rise
        return risen

    def check(self) -> None:
        """Refuse a rise that is not longer than zero."""
        _check("WarmUp", epochs=self.epochs)

    def after_stall(self, factor: float) -> float | None:
        """Do as the schedule that follows does."""
        method = getattr(self.then, "after_stall", None)
        return None if method is None else method(factor)


class UserSchedule(NamedTuple):
    """A user's function (epoch, step) → rate; epochs and steps are counted from 0.

    Examples
    --------
    >>> halving = UserSchedule(lambda epoch, step: 0.1 * 0.5**epoch)
    >>> halving.rates(np.arange(2), np.array([0.0, 1.5]), Horizon(10, 1))
    array([0.1 , 0.05])
    """

    function: Callable[[int, int], float]

    def rates(self, steps: Any, epochs: Any, horizon: Horizon) -> NDArray[np.float64]:
        """Return the learning rate of each step."""
        return np.array(
            [self._rate(int(e), int(s)) for e, s in zip(epochs, steps, strict=True)],
            dtype=np.float64,
        )

    def _rate(self, epoch: int, step: int) -> float:
        """Return the rate of one step; NaN is refused later, with the others."""
        rate = self.function(epoch, step)
        try:
            return float(rate)
        except (TypeError, ValueError) as error:
            msg = (
                f"The learning rate function must return a number >= 0; for epoch {epoch}, step "
                f"{step} it returned {rate!r}."
            )
            raise InvalidComponent(msg) from error
