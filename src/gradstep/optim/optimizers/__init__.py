"""How a step is taken: optimizers as small functions over explicit state."""

from gradstep.optim.optimizers.adaptive import FTRL, AdaGrad, Adam, RMSprop
from gradstep.optim.optimizers.base import At, Optimizer, idle, lookahead, step, tick
from gradstep.optim.optimizers.descent import SGD, Momentum, Nesterov

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
    "idle",
    "lookahead",
    "step",
    "tick",
]
