"""Optimizers with a step for each weight, from the gradients that it has seen."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gradstep.checks import check_number
from gradstep.objective.penalties import prox, prox_in_turn, strengths
from gradstep.optim.optimizers.base import At, step

__all__ = ["FTRL", "AdaGrad", "Adam", "RMSprop"]


# What the series of AdaGrad leaves out is below 1e-10 of a weight: in each step θ⁸δ⁸/8 of it,
# while it shrinks by θ.
_POWERS = 7
_DEVIATION = 1.0 / 12.0


class AdaGrad(NamedTuple):
    """h ← h + g²; step rate / (√h + epsilon) in each coordinate.

    Of an idle weight h stands still, so that its proximal steps are the same share v of the
    rates. What l2 does in n of them needs Σ log(1 + l2·v·rate): with a rate r near all of them
    and rate = r·(1 + δ) that is

        n·log(1 + x) + Σ log(1 + θδ),    x = l2·v·r,    θ = x / (1 + x),

    and the second sum is a power series in θ, whose coefficients are sums of powers of δ.

    Parameters
    ----------
    epsilon : float
        Added to √h.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods", JMLR 12, 2011.
    """

    epsilon: float = 1e-10

    @property
    def scale_free(self) -> bool:
        """Whether steps do not grow with the gradients."""
        return True

    def n_slots(self) -> int:
        """Return 1: the sum of squares."""
        return 1

    def step(
        self, penalty: Any, params: Any, gradient: Any, slots: Any, lo: int, hi: int, at: At
    ) -> None:
        """Update ``params[lo:hi]`` and the sums of squares."""
        for j in range(lo, hi):
            g = gradient[j]
            slots[0, j] += g * g
            rate = at.rate / (math.sqrt(slots[0, j]) + self.epsilon)
            params[j] = prox(penalty, params[j] - rate * g, rate * at.share)

    def clock_shape(self, period: int) -> tuple[int, int]:
        """Return the shape of the clock: up to each step, r, sum of rates, sums of δ² to δ⁷."""
        return period + 1, _POWERS + 1

    def tick(self, penalty: Any, clock: Any, now: int, at: At) -> bool:
        """Add up the rate, and powers of its deviation from the first one; that must be small."""
        rate = at.rate * at.share
        if now == 1:
            clock[0] = 0.0
            clock[0, 0] = max(rate, 1e-300)
        first = clock[0, 0]
        l2 = strengths(penalty)[1]
        if now > 1 and l2 > 0.0 and abs(rate - first) > _DEVIATION * first:
            return False
        clock[now, 0] = first
        clock[now, 1] = clock[now - 1, 1] + rate
        deviation = (rate - first) / first if l2 > 0.0 else 0.0
        power = deviation
        for m in range(2, _POWERS + 1):
            power *= deviation
            clock[now, m] = clock[now - 1, m] + power
        return True

    def idle(
        self,
        penalty: Any,
        params: Any,
        gradient: Any,
        slots: Any,
        j: int,
        clock: Any,
        since: int,
        now: int,
    ) -> None:
        """Apply the proximal maps of the steps between."""
        share = 1.0 / (math.sqrt(slots[0, j]) + self.epsilon)
        rates = clock[now, 1] - clock[since, 1]
        l2 = strengths(penalty)[1]
        x = l2 * share * clock[now, 0]
        theta = x / (1.0 + x)
        series = 0.0
        for m in range(_POWERS, 1, -1):
            series = theta * ((clock[now, m] - clock[since, m]) / m - series)
        n = now - since
        logs = theta * (rates / clock[now, 0] - n - series)
        if l2 > 0.0:
            logs += n * math.log1p(x)
        params[j] = prox_in_turn(penalty, params[j], share * rates, logs)

    def check(self) -> None:
        """Refuse an epsilon that is not above zero."""
        check_number("AdaGrad", "epsilon", self.epsilon, low=0.0, open_low=True, finite=True)


class RMSprop(NamedTuple):
    """h ← decay·h + (1 - decay)·g²; step rate / (√h + epsilon) in each coordinate.

    Parameters
    ----------
    decay : float in [0, 1)
        Memory of the mean of squares.
    epsilon : float
        Added to √h.

    References
    ----------
    T. Tieleman, G. Hinton, "Lecture 6.5, RMSProp", Coursera, 2012.
    """

    decay: float = 0.99
    epsilon: float = 1e-8

    @property
    def scale_free(self) -> bool:
        """Whether steps do not grow with the gradients."""
        return True

    def n_slots(self) -> int:
        """Return 1: the mean of squares."""
        return 1

    def step(
        self, penalty: Any, params: Any, gradient: Any, slots: Any, lo: int, hi: int, at: At
    ) -> None:
        """Update ``params[lo:hi]`` and the means of squares."""
        for j in range(lo, hi):
            g = gradient[j]
            slots[0, j] = self.decay * slots[0, j] + (1.0 - self.decay) * g * g
            rate = at.rate / (math.sqrt(slots[0, j]) + self.epsilon)
            params[j] = prox(penalty, params[j] - rate * g, rate * at.share)

    def check(self) -> None:
        """Refuse a decay outside [0, 1) and an epsilon that is not above zero."""
        check_number("RMSprop", "decay", self.decay, low=0.0, high=1.0, open_high=True)
        check_number("RMSprop", "epsilon", self.epsilon, low=0.0, open_low=True, finite=True)


class Adam(NamedTuple):
    """Adam, and with ``amsgrad=True`` AMSGrad.

    m ← beta1·m + (1 - beta1)·g; v ← beta2·v + (1 - beta2)·g²; both divided by 1 - beta^t;
    step rate / (√v + epsilon) in each coordinate, along m. AMSGrad divides by the largest v
    so far.

    Parameters
    ----------
    beta1, beta2 : float in [0, 1)
        Memory of the mean and of the mean of squares.
    epsilon : float
        Added to √v.
    amsgrad : bool
        Whether to divide by the largest v so far.

    References
    ----------
    D. Kingma, J. Ba, "Adam", ICLR 2015; S. Reddi, S. Kale, S. Kumar, "On the convergence of
    Adam and beyond", ICLR 2018.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    amsgrad: bool = False

    @property
    def scale_free(self) -> bool:
        """Whether steps do not grow with the gradients."""
        return True

    def n_slots(self) -> int:
        """Return 2 (mean, mean of squares), or 3 with amsgrad (its largest)."""
        return 3 if self.amsgrad else 2

    def step(
        self, penalty: Any, params: Any, gradient: Any, slots: Any, lo: int, hi: int, at: At
    ) -> None:
        """Update ``params[lo:hi]`` and the moments."""
        number = float(at.number)  # a whole number's power is a loop, run anew for each weight
        correct1 = 1.0 - self.beta1**number
        correct2 = 1.0 - self.beta2**number
        for j in range(lo, hi):
            g = gradient[j]
            slots[0, j] = self.beta1 * slots[0, j] + (1.0 - self.beta1) * g
            slots[1, j] = self.beta2 * slots[1, j] + (1.0 - self.beta2) * g * g
            square = slots[1, j]
            if self.amsgrad:
                slots[2, j] = max(slots[2, j], square)
                square = slots[2, j]
            rate = at.rate / (math.sqrt(square / correct2) + self.epsilon)
            mean = slots[0, j] / correct1
            params[j] = prox(penalty, params[j] - rate * mean, rate * at.share)

    def check(self) -> None:
        """Refuse betas outside [0, 1) and an epsilon that is not above zero."""
        check_number("Adam", "beta1", self.beta1, low=0.0, high=1.0, open_high=True)
        check_number("Adam", "beta2", self.beta2, low=0.0, high=1.0, open_high=True)
        check_number("Adam", "epsilon", self.epsilon, low=0.0, open_low=True, finite=True)


class FTRL(NamedTuple):
    """FTRL-proximal: exact zeros under l1 while training row by row.

    n ← n + g²; d = (beta + √n) / rate; z ← z + g - (d - d_prev)·w;
    w ← argmin z·w + ½ d w² + t·penalty(w), t counting the steps. The paper keeps the penalty
    fixed while gradients add up; here it adds up with them, so that its meaning, alpha
    per mean loss, is that of every other optimizer.

    Parameters
    ----------
    beta : float
        Added to √n.

    References
    ----------
    H. B. McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013.
    """

    beta: float = 1.0

    @property
    def scale_free(self) -> bool:
        """Whether steps do not grow with the gradients."""
        return True

    def n_slots(self) -> int:
        """Return 3: z, n and d."""
        return 3

    def step(
        self, penalty: Any, params: Any, gradient: Any, slots: Any, lo: int, hi: int, at: At
    ) -> None:
        """Update ``params[lo:hi]`` and z, n, d."""
        if at.rate <= 0.0:
            return  # d would be infinite: a step of length zero changes nothing
        for j in range(lo, hi):
            g = gradient[j]
            slots[1, j] += g * g
            curvature = (self.beta + math.sqrt(slots[1, j])) / at.rate
            slots[0, j] += g - (curvature - slots[2, j]) * params[j]
            slots[2, j] = curvature
            params[j] = prox(penalty, -slots[0, j] / curvature, at.total_share / curvature)

    def clock_shape(self, period: int) -> tuple[int, int]:
        """Return the shape of the clock: rate and sum of shares, up to each step."""
        return period + 1, 2

    def tick(self, penalty: Any, clock: Any, now: int, at: At) -> bool:
        """Note rate and sum of shares; with a penalty, a period's rates must be equal."""
        l1, l2 = strengths(penalty)
        if now > 1 and l1 + l2 > 0.0 and at.rate != clock[now - 1, 0]:
            return False
        still = now > 1 and at.rate <= 0.0  # as in step
        clock[now, 0] = clock[now - 1, 0] if still else at.rate
        clock[now, 1] = at.total_share
        return True

    def idle(
        self,
        penalty: Any,
        params: Any,
        gradient: Any,
        slots: Any,
        j: int,
        clock: Any,
        since: int,
        now: int,
    ) -> None:
        """Take one step for all: z and d change in the first, and w is what the last one says."""
        at = At(clock[now, 0], 1.0, 0, clock[now, 1])
        step(self, penalty, params, gradient, slots, j, j + 1, at)

    def check(self) -> None:
        """Refuse a beta that is not above zero."""
        check_number("FTRL", "beta", self.beta, low=0.0, open_low=True, finite=True)
