"""Optimizers with one step for all weights: plain gradient descent, and with momentum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from gradstep.checks import check_number
from gradstep.objective.penalties import prox, prox_in_turn, strengths

if TYPE_CHECKING:
    from gradstep.optim.optimizers.base import At

__all__ = ["SGD", "Momentum", "Nesterov"]


class SGD(NamedTuple):
    """w ← prox(w - rate·g), plain (stochastic, proximal) gradient descent."""

    def n_slots(self) -> int:
        """Return 0."""
        return 0

    def step(
        self, penalty: Any, params: Any, gradient: Any, slots: Any, lo: int, hi: int, at: At
    ) -> None:
        """Update ``params[lo:hi]``."""
        rate = at.rate
        prox_step = rate * at.share
        for j in range(lo, hi):
            params[j] = prox(penalty, params[j] - rate * gradient[j], prox_step)

    def clock_shape(self, period: int) -> tuple[int, int]:
        """Return the shape of the clock: two sums, up to each step."""
        return period + 1, 2

    def tick(self, penalty: Any, clock: Any, now: int, at: At) -> bool:
        """Add the step up, and log(1 + l2·step)."""
        if now == 1:
            clock[0] = 0.0
        l2 = strengths(penalty)[1]
        prox_step = at.rate * at.share
        clock[now, 0] = clock[now - 1, 0] + prox_step
        clock[now, 1] = clock[now - 1, 1] + math.log1p(l2 * prox_step)
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
        steps = clock[now, 0] - clock[since, 0]
        logs = clock[now, 1] - clock[since, 1]
        params[j] = prox_in_turn(penalty, params[j], steps, logs)


def compose(clock: Any, one: int, two: int, both: int) -> None:
    """Write to a row of the clock of `Momentum` the map of two others, one after another."""
    a, b, c = clock[one], clock[two], clock[both]
    for i in (0, 3):
        c[i] = b[i] * a[0] + b[i + 1] * a[3]
        c[i + 1] = b[i] * a[1] + b[i + 1] * a[4]
        c[i + 2] = b[i] * a[2] + b[i + 1] * a[5] + b[i + 2]
    c[6] = min(a[6], b[6])


def keeps_sign(clock: Any, row: int, w: float, m: float, sign: float) -> bool:
    """Tell whether a row of the clock of `Momentum` says that a weight keeps its sign."""
    end = sign * (clock[row, 0] * w + clock[row, 1] * m) + clock[row, 2]
    return bool(sign == 0.0 or (end > 0.0 and clock[row, 6] > 0.0))


def longest(clock: Any, at: int, now: int, w: float, m: float, sign: float) -> tuple[int, int]:
    """Return a row of the clock of `Momentum` for steps from `at` on, and their number.

    The weight keeps its sign in them; no steps, if it may not in the first one. Sign 0 stands for
    a map that does not depend on it.
    """
    period = clock.shape[0] // 3
    beginnings = 2 * period
    if clock[beginnings + now, 7] > 0.0:
        length, longer = now - at, now - at
        if not keeps_sign(clock, beginnings + length, w, m, sign):
            length = 0
            while longer - length > 1 and clock[beginnings + 1, 6] > 0.0:
                half = (longer + length) // 2
                if keeps_sign(clock, beginnings + half, w, m, sign):
                    length = half
                else:
                    longer = half
        return beginnings + length, length
    row, length = period + at, 1
    while row % 2 == 0 and at + 2 * length <= now:
        row //= 2
        length *= 2
    while length > 0 and not keeps_sign(clock, row, w, m, sign):
        row *= 2
        length //= 2
    return row, length


class Momentum(NamedTuple):
    """w ← prox(w + momentum·(w - w_prev) - rate·g), Polyak's heavy ball.

    An idle weight still moves, w ← prox(w + momentum·m), m the last movement. As long as it
    keeps its sign this is linear: with f = 1 / (1 + l2·step), in the direction of that sign,

        w' = f·(w + momentum·m) - l1·step·f,    m' = w' - w.

    So any number of steps in a row are one such map, of six numbers. The clock has those of n
    steps from the first on, which are those of any n steps if all are alike; and for when they are
    not, those of blocks of 1, 2, 4, 8, ... steps as a binary tree: n steps are some 2·log2(n)
    blocks.

    Parameters
    ----------
    momentum : float in [0, 1)
        Share of the last movement that goes on.

    References
    ----------
    B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    """

    momentum: float = 0.9

    def n_slots(self) -> int:
        """Return 1: the last movement."""
        return 1

    def step(
        self, penalty: Any, params: Any, gradient: Any, slots: Any, lo: int, hi: int, at: At
    ) -> None:
        """Update ``params[lo:hi]`` and the last movement."""
        rate = at.rate
        prox_step = rate * at.share
        momentum = self.momentum
        for j in range(lo, hi):
            w = params[j]
            new = prox(penalty, w + momentum * slots[0, j] - rate * gradient[j], prox_step)
            slots[0, j] = new - w
            params[j] = new

    def clock_shape(self, period: int) -> tuple[int, int]:
        """Return the shape of the clock: the nodes of a tree over the steps, and their beginnings.

        A row is a map, ((w', w, m, 1), (m', w, m, 1)), then whether it tells where w changes its
        sign, and at last the proximal step, or whether all of a beginning are alike.
        """
        return 3 * period + 1, 8

    def tick(self, penalty: Any, clock: Any, now: int, at: At) -> bool:
        """Write the map of a step, and those that it completes."""
        l1, l2 = strengths(penalty)
        momentum = self.momentum
        prox_step = at.rate * at.share
        factor = 1.0 / (1.0 + l2 * prox_step)
        period = clock.shape[0] // 3
        node = period + now - 1
        leaf = clock[node]
        leaf[0], leaf[1], leaf[2] = factor, factor * momentum, -l1 * prox_step * factor
        leaf[3], leaf[4], leaf[5] = -l2 * prox_step * factor, leaf[1], leaf[2]
        short = math.sqrt(momentum) * (2.0 + l2 * prox_step) <= 1.0 + momentum
        leaf[6] = 1.0 if short else 0.0
        leaf[7] = prox_step
        beginning = 2 * period + now
        if now == 1:
            clock[beginning, :7] = leaf[:7]
            clock[beginning, 7] = 1.0
        else:
            compose(clock, beginning - 1, node, beginning)
            alike = l1 + l2 == 0.0 or prox_step == clock[node - 1, 7]
            clock[beginning, 7] = clock[beginning - 1, 7] if alike else 0.0
        while node % 2 == 1 and node > 1:
            compose(clock, node - 1, node, node // 2)
            node //= 2
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
        """Apply maps of steps in which the weight keeps its sign, as long ones as there are.

        It keeps it if it has it at the end. For w in the direction of its sign: let w' <= 0 < w,
        so that s = w' - √μ·w <= 0. With d = 1 + l2·step the next s is

            s' = ((1 + μ)/d - √μ)·w' - (μ/d)·w - l1·step/d <= ((1 + μ)/d - √μ - √μ/d)·w',

        since w >= w'/√μ; that is <= 0 as long as √μ·(1 + d) <= 1 + μ. So s stays <= 0, and with it
        w. Longer steps are taken one by one: weights shrink fast there.
        """
        w, m = params[j], slots[0, j]
        l1, l2 = strengths(penalty)
        period = clock.shape[0] // 3
        at = since
        while at < now and (m != 0.0 or (w != 0.0 and l1 + l2 > 0.0)) and math.isfinite(w):
            sign = 0.0
            if l1 > 0.0:
                sign = 1.0 if w > 0.0 or (w == 0.0 and m > 0.0) else -1.0
            row, length = longest(clock, at, now, w, m, sign)
            if length > 0:
                w, m = (
                    clock[row, 0] * w + clock[row, 1] * m + sign * clock[row, 2],
                    clock[row, 3] * w + clock[row, 4] * m + sign * clock[row, 5],
                )
                at += length
            else:
                new = prox(penalty, w + self.momentum * m, clock[period + at, 7])
                w, m = new, new - w
                at += 1
        params[j], slots[0, j] = w, m

    def check(self) -> None:
        """Refuse a momentum outside [0, 1)."""
        check_number("Momentum", "momentum", self.momentum, low=0.0, high=1.0, open_high=True)


class Nesterov(NamedTuple):
    """u = w + momentum·(w - w_prev); w ← prox(u - rate·g(u)), Nesterov's acceleration.

    Parameters
    ----------
    momentum : float in [0, 1)
        Share of the last movement that goes on.

    References
    ----------
    Y. Nesterov, "A method for solving the convex programming problem with convergence rate
    O(1/k²)", 1983; in the form of Sutskever et al., ICML 2013.
    """

    momentum: float = 0.9

    def n_slots(self) -> int:
        """Return 1: the last movement."""
        return 1

    def lookahead(self, params: Any, slots: Any, point: Any) -> Any:
        """Fill `point` with w + momentum·(w - w_prev)."""
        momentum = self.momentum
        for j in range(params.size):
            point[j] = params[j] + momentum * slots[0, j]
        return point

    def step(
        self, penalty: Any, params: Any, gradient: Any, slots: Any, lo: int, hi: int, at: At
    ) -> None:
        """Update ``params[lo:hi]`` and the last movement."""
        rate = at.rate
        prox_step = rate * at.share
        momentum = self.momentum
        for j in range(lo, hi):
            w = params[j]
            new = prox(penalty, w + momentum * slots[0, j] - rate * gradient[j], prox_step)
            slots[0, j] = new - w
            params[j] = new

    def check(self) -> None:
        """Refuse a momentum outside [0, 1)."""
        check_number("Nesterov", "momentum", self.momentum, low=0.0, high=1.0, open_high=True)
