"""``gradstep demo``: the notebook that gradstep grew out of, to the digit.

The same trainer and kernel as any other fit. What is the notebook's own is given from
outside: its data, its starting weights, and its order of rows, each drawn from one generator
in the order in which the notebook draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.cli import options as opt
from gradstep.cli.terminal import say
from gradstep.comparing.notebook import Notebook

if TYPE_CHECKING:
    from gradstep.engine.callbacks import EpochEnd

__all__ = ["demo"]


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
