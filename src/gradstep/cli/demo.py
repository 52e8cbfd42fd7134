"""``gradstep demo``: the notebook that gradstep grew out of, to the digit.

The same trainer and kernel as any other fit. What is the notebook's own is given from
outside: its data, its starting weights, and its order of rows, each drawn from one generator
in the order in which the notebook draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradstep.cli import options as opt
from gradstep.cli.terminal import say

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.callbacks import EpochEnd

__all__ = ["Notebook", "demo"]

_SEED = 42
_ROWS = 1000


class Notebook:
    """The notebook's data, start and order of rows, replayed from its seed.

    Attributes
    ----------
    X : ndarray of shape (1000, 1)
        Uniform numbers.
    y : ndarray of shape (1000,)
        3 x + 2 with normal noise of deviation 0.1.
    coef_init : ndarray of shape (1,)
        The weight to start from.
    intercept_init : ndarray of shape (1,)
        The intercept to start from.
    """

    learning_rate = 0.05
    batch_size = 64
    epochs = 50

    def __init__(self) -> None:
        generator = np.random.RandomState(_SEED)
        self.X = generator.rand(_ROWS, 1)
        self.y = (3 * self.X + 2 + generator.randn(_ROWS, 1) * 0.1)[:, 0]
        self.coef_init = generator.randn(1, 1)[0]
        self.intercept_init = np.zeros(1)
        self._after_start = generator.get_state(legacy=False)

    def order(self, epoch: int, n: int) -> NDArray[np.int64]:
        """Return the order of rows of an epoch: each epoch shuffles what the last one left."""
        generator = np.random.RandomState()
        generator.set_state(self._after_start)
        order = np.arange(n)
        for _ in range(epoch + 1):
            shuffled = np.arange(n)
            generator.shuffle(shuffled)
            order = order[shuffled]
        return order


class _PrintLoss:
    """Tells the notebook's loss after each epoch, the mean square: twice ours."""

    def __init__(self, *, aloud: bool) -> None:
        self.aloud = aloud
        self.losses: list[float] = []

    def on_epoch_end(self, event: EpochEnd) -> None:
        """Keep it, and print the notebook's line."""
        self.losses.append(2.0 * event.full_loss)
        if self.aloud:
            of = event.problem.max_epochs
            say(f"Epoch {event.record.epoch}/{of} | Loss: {self.losses[-1]:.4f}")


def demo(*, json: opt.Json = False) -> None:
    """Run the notebook that gradstep grew out of, to the digit."""
    from gradstep.engine.state import Problem
    from gradstep.engine.training import train
    from gradstep.objective.penalties import NoPenalty
    from gradstep.objective.regression import SquaredError
    from gradstep.optim.optimizers import SGD
    from gradstep.optim.schedules import Constant
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.layouts import DenseRows

    notebook = Notebook()
    problem = Problem(
        loss=SquaredError(),
        penalty=NoPenalty(),
        optimizer=SGD(),
        schedule=Constant(notebook.learning_rate),
        n_features=1,
        batch_size=notebook.batch_size,
        shuffle=notebook.order,
        max_epochs=notebook.epochs,
        tol=None,
    )
    printer = _PrintLoss(aloud=not json)
    state, _ = train(
        problem,
        Dataset(DenseRows(notebook.X), notebook.y[:, None]),
        problem.start(notebook.coef_init, notebook.intercept_init),
        callbacks=[printer],
    )
    (coef,), (intercept,) = problem.split(state.params)
    if json:
        from gradstep.cli.report import print_json

        print_json({"losses": printer.losses, "w": float(coef[0]), "b": float(intercept)})
        return
    say("")
    say("Learned parameters:")
    say(f"w = {coef[0]:.3f}, b = {intercept:.3f}")
