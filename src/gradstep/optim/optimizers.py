"""How a step is taken: optimizers as small functions over explicit state.

An optimizer is a NamedTuple of its hyper-parameters with

- ``n_slots()``: how many numbers per weight it keeps (zero at the start);
- ``step(penalty, params, gradient, slots, lo, hi, at)``: updates ``params[lo:hi]`` and
  ``slots[:, lo:hi]`` in place, given the gradient of the batch's mean loss there;
- optionally ``lookahead(params, slots, point)``: fills and returns the point at which the
  gradient is to be taken (without it, that is `params`).

`params` is flat: weights, output after output, then intercepts. `step` is called once for the
weights with the penalty, once for the intercepts without. The penalty enters as its proximal
map with each coordinate's own step, so with full batches every optimizer's fixed point is
the minimiser of the penalised objective. Momentum acts on the iterates (w minus the
previous w), not on the gradients, for the same reason.

The methods are compiled; the same code runs uncompiled.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from gradstep.errors import InvalidParameter
from gradstep.objective.penalties import prox

if TYPE_CHECKING:
    from gradstep.objective.penalties import Penalty

__all__ = [
    "FTRL",
    "SGD",
    "AdaGrad",
    "Adam",
    "At",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSprop",
    "lookahead",
    "step",
]


class At(NamedTuple):
    """Where a run stands when a step is taken.

    Attributes
    ----------
    rate : float
        The learning rate of this step.
    share : float
        The batch's share of the penalty: its rows over the rows that it is divided by (1,
        and less for a short last batch under ``last_batch="scale"``).
    number : int
        The number of this step, from 1.
    total_share : float
        Sum of `share` over all steps up to and with this one.
    """

    rate: float
    share: float
    number: int
    total_share: float


@runtime_checkable
class Optimizer(Protocol):
    """What an optimizer must have."""

    def n_slots(self) -> int:
        """Return how many numbers per weight the optimizer keeps."""

    def step(
        self, penalty: Any, params: Any, gradient: Any, slots: Any, lo: int, hi: int, at: At
    ) -> None:
        """Update ``params[lo:hi]`` and ``slots[:, lo:hi]`` in place."""


def step(
    optimizer: Optimizer,
    penalty: Penalty,
    params: Any,
    gradient: Any,
    slots: Any,
    lo: int,
    hi: int,
    at: At,
) -> None:
    """Take a step on ``params[lo:hi]`` (kernels call this)."""
    optimizer.step(penalty, params, gradient, slots, lo, hi, at)


def lookahead(optimizer: Any, params: Any, slots: Any, point: Any) -> Any:
    """Return the point at which the gradient is taken (kernels call this)."""
    method = getattr(optimizer, "lookahead", None)
    return params if method is None else method(params, slots, point)


def _check_fraction(owner: str, name: str, number: float) -> None:
    if not 0.0 <= number < 1.0:
        msg = f"{name}={number!r} of {owner} must lie in [0, 1)."
        raise InvalidParameter(msg)


def _check_positive(owner: str, name: str, number: float) -> None:
    if not (number > 0.0 and math.isfinite(number)):
        msg = f"{name}={number!r} of {owner} must be a finite number > 0."
        raise InvalidParameter(msg)


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


class Momentum(NamedTuple):
    """w ← prox(w + momentum·(w - w_prev) - rate·g), Polyak's heavy ball.

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

    def check(self) -> None:
        """Refuse a momentum outside [0, 1)."""
        _check_fraction("Momentum", "momentum", self.momentum)


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
        _check_fraction("Nesterov", "momentum", self.momentum)


class AdaGrad(NamedTuple):
    """h ← h + g²; step rate / (√h + epsilon) in each coordinate.

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

    def check(self) -> None:
        """Refuse an epsilon that is not above zero."""
        _check_positive("AdaGrad", "epsilon", self.epsilon)


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
        _check_fraction("RMSprop", "decay", self.decay)
        _check_positive("RMSprop", "epsilon", self.epsilon)


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
        correct1 = 1.0 - self.beta1**at.number
        correct2 = 1.0 - self.beta2**at.number
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
        _check_fraction("Adam", "beta1", self.beta1)
        _check_fraction("Adam", "beta2", self.beta2)
        _check_positive("Adam", "epsilon", self.epsilon)


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

    def check(self) -> None:
        """Refuse a beta that is not above zero."""
        _check_positive("FTRL", "beta", self.beta)
