"""The table of optimizers: for each class its published formula, in a few lines of NumPy.

A transcription yields the iterates. With a penalty it is the proximal form: the map of l1 and
l2 in each coordinate's own step (FTRL: the closed form of the paper, the penalty counted once
a step).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.optim.optimizers import (
    FTRL,
    SGD,
    AdaGrad,
    Adam,
    Momentum,
    Nesterov,
    RMSprop,
)
from gradstep.optim.schedules import Constant, Exponential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["OPTIMIZERS", "OptimizerCase", "Steps"]


@dataclass(frozen=True)
class Steps:
    """What a run consists of.

    For each step the gradient as a function of the weights, the learning rate, and the share of
    the penalty; l1 and l2 for each coordinate (0 for the intercept).
    """

    gradients: list[Callable[[np.ndarray], np.ndarray]]
    rates: np.ndarray
    shares: np.ndarray
    l1: np.ndarray
    l2: np.ndarray

    def __iter__(self) -> Iterator[Any]:
        return zip(self.gradients, self.rates, self.shares, strict=True)

    def prox(self, x: np.ndarray, step: Any) -> np.ndarray:
        """Return argmin ½ (w - x)² + step·(l1 |w| + ½ l2 w²)."""
        return np.sign(x) * np.maximum(np.abs(x) - step * self.l1, 0.0) / (1.0 + step * self.l2)


@dataclass(frozen=True)
class OptimizerCase:
    """How an optimizer is tested.

    Under the schedule `converges` full batches come `within` this of the minimiser; `rate` is that
    of the comparison with the transcription.
    """

    optimizers: tuple[Any, ...]
    transcription: Callable[[Any, Steps, np.ndarray], Iterator[np.ndarray]]
    converges: Any
    within: float = 1e-8
    rate: float = 0.05
    name: str = ""
    unnamed: str = ""
    refused: dict[str, Any] = field(default_factory=dict)


def sgd(_: SGD, steps: Steps, w: np.ndarray) -> Iterator[np.ndarray]:
    for gradient, rate, share in steps:
        w = steps.prox(w - rate * gradient(w), rate * share)
        yield w


def momentum(o: Momentum, steps: Steps, w: np.ndarray) -> Iterator[np.ndarray]:
    """Polyak 1964: the velocity is what the weights moved by."""
    velocity = np.zeros_like(w)
    for gradient, rate, share in steps:
        new = steps.prox(w + o.momentum * velocity - rate * gradient(w), rate * share)
        velocity, w = new - w, new
        yield w


def nesterov(o: Nesterov, steps: Steps, w: np.ndarray) -> Iterator[np.ndarray]:
    """Sutskever et al. 2013, equations 3 and 4: the gradient is taken ahead."""
    velocity = np.zeros_like(w)
    for gradient, rate, share in steps:
        ahead = w + o.momentum * velocity
        new = steps.prox(ahead - rate * gradient(ahead), rate * share)
        velocity, w = new - w, new
        yield w


def adagrad(o: AdaGrad, steps: Steps, w: np.ndarray) -> Iterator[np.ndarray]:
    """Duchi et al. 2011, figure 1 (diagonal)."""
    history = np.zeros_like(w)
    for gradient, rate, share in steps:
        g = gradient(w)
        history = history + g**2
        step = rate / (np.sqrt(history) + o.epsilon)
        w = steps.prox(w - step * g, step * share)
        yield w


def rmsprop(o: RMSprop, steps: Steps, w: np.ndarray) -> Iterator[np.ndarray]:
    """Hinton's lecture 6.5, slide 29."""
    mean_square = np.zeros_like(w)
    for gradient, rate, share in steps:
        g = gradient(w)
        mean_square = o.decay * mean_square + (1.0 - o.decay) * g**2
        step = rate / (np.sqrt(mean_square) + o.epsilon)
        w = steps.prox(w - step * g, step * share)
        yield w


def adam(o: Adam, steps: Steps, w: np.ndarray) -> Iterator[np.ndarray]:
    """Kingma and Ba 2015, algorithm 1; with amsgrad the largest second moment so far."""
    m, v, largest = np.zeros((3, w.size))
    for t, (gradient, rate, share) in enumerate(steps, start=1):
        g = gradient(w)
        m = o.beta1 * m + (1.0 - o.beta1) * g
        v = o.beta2 * v + (1.0 - o.beta2) * g**2
        largest = np.maximum(largest, v)
        v_hat = (largest if o.amsgrad else v) / (1.0 - o.beta2**t)
        step = rate / (np.sqrt(v_hat) + o.epsilon)
        w = steps.prox(w - step * m / (1.0 - o.beta1**t), step * share)
        yield w


def ftrl(o: FTRL, steps: Steps, w: np.ndarray) -> Iterator[np.ndarray]:
    """McMahan et al. 2013, algorithm 1, from w = 0; sigma is the change of 1 / step."""
    z, n, inverse_step, counted = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), 0.0
    for gradient, rate, share in steps:
        g = gradient(w)
        n = n + g**2
        sigma = (o.beta + np.sqrt(n)) / rate - inverse_step
        inverse_step = inverse_step + sigma
        z = z + g - sigma * w
        counted += share
        l1, l2 = counted * steps.l1, counted * steps.l2
        w = np.where(np.abs(z) <= l1, 0.0, -(z - np.sign(z) * l1) / (inverse_step + l2))
        yield w


OPTIMIZERS: dict[type, OptimizerCase] = {
    SGD: OptimizerCase(
        optimizers=(SGD(),),
        transcription=sgd,
        converges=Constant(0.4),
        name="sgd",
    ),
    Momentum: OptimizerCase(
        optimizers=(Momentum(), Momentum(0.5)),
        transcription=momentum,
        converges=Constant(0.3),
        rate=0.02,
        name="momentum",
        refused={"momentum": 1.0},
    ),
    Nesterov: OptimizerCase(
        optimizers=(Nesterov(), Nesterov(0.5)),
        transcription=nesterov,
        converges=Constant(0.2),
        rate=0.02,
        name="nesterov",
        refused={"momentum": -0.1},
    ),
    AdaGrad: OptimizerCase(
        optimizers=(AdaGrad(), AdaGrad(epsilon=0.1)),
        transcription=adagrad,
        converges=Constant(1.0),
        name="adagrad",
        refused={"epsilon": 0.0},
    ),
    RMSprop: OptimizerCase(
        optimizers=(RMSprop(), RMSprop(decay=0.97, epsilon=1e-5)),
        transcription=rmsprop,
        converges=Exponential(0.1, factor=0.99),
        within=1e-6,  # its steps stay as long as the rate however small the gradients
        rate=0.01,
        name="rmsprop",
        refused={"decay": 1.0, "epsilon": -1.0},
    ),
    Adam: OptimizerCase(
        optimizers=(Adam(), Adam(0.5, 0.9, 1e-3), Adam(amsgrad=True)),
        transcription=adam,
        converges=Exponential(0.3, factor=0.99),
        rate=0.02,
        name="adam",
        refused={"beta1": 1.0, "beta2": -0.1, "epsilon": 0.0, "amsgrad": None},
    ),
    FTRL: OptimizerCase(
        optimizers=(FTRL(), FTRL(beta=0.1)),
        transcription=ftrl,
        converges=Constant(1.0),
        name="ftrl",
        refused={"beta": 0.0},
    ),
}
