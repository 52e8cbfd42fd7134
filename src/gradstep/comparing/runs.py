"""A run, followed epoch by epoch; one that diverges ends there, and says why."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradstep.engine.records import Outcome
from gradstep.errors import Diverged
from gradstep.fit.run import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.comparing.trials import Trial
    from gradstep.engine.callbacks import EpochEnd, Start
    from gradstep.engine.state import Problem, TrainState, Validation
    from gradstep.fit.plan import Plan
    from gradstep.rows.dataset import Dataset

__all__ = ["PLACES", "Curve", "Divergence", "Run", "batches_between", "first_epoch", "follow"]

_FEW_BYTES = 10_000_000
PLACES = 50  # within the first epoch


@dataclass
class Curve:
    """What is known after each epoch, and of the start, which is epoch 0.

    Attributes
    ----------
    rows : list of float
        Rows read so far.
    seconds : list of float
        Of the loop, without compilation and without these evaluations.
    loss, objective : list of float
        Of all training rows; the objective has the penalty.
    held_out : list of float or None
        Loss of the rows held out, if any are; of the start it is not known.
    params : list of ndarray
        The parameters, in the features' units as they are stored; of a path that is not kept those
        of the start and of the last epoch.
    steps : int
        Steps taken in all; 0 where they are not counted.
    keeps_path : bool
        Whether the parameters of each epoch are kept.
    """

    rows: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    objective: list[float] = field(default_factory=list)
    held_out: list[float | None] = field(default_factory=list)
    params: list[NDArray[np.float64]] = field(default_factory=list)
    steps: int = 0
    keeps_path: bool = False

    # ------------------------------------------------------------------ a callback

    def on_start(self, start: Start) -> None:
        """Begin with the start."""
        from gradstep.engine.evaluation import mean_loss  # imports Numba

        problem, params = start.problem, start.state.current()
        loss = mean_loss(problem.loss, start.data, params, problem.n_outputs)
        self._add(0.0, 0.0, loss, loss + problem.penalty_of(params), None, params)

    def on_epoch_end(self, event: EpochEnd) -> None:
        """Add an epoch."""
        record, n, params = event.record, event.data.n, event.params
        passes = record.epoch if record.passes is None else record.passes
        loss = event.full_loss
        held_out = None if record.validation is None else -record.validation
        objective = loss + event.problem.penalty_of(params)
        seconds = self.seconds[-1] + record.seconds
        self._add(float(n * passes), seconds, loss, objective, held_out, params)
        self.steps = event.state.steps

    def _add(
        self, rows: float, seconds: float, loss: float, objective: float,
        held_out: float | None, params: NDArray[np.float64],
    ) -> None:  # fmt: skip
        self.rows.append(rows)
        self.seconds.append(seconds)
        self.loss.append(loss)
        self.objective.append(objective)
        self.held_out.append(held_out)
        if not self.keeps_path:
            del self.params[1:]
        self.params.append(params.copy())

    @property
    def epochs(self) -> int:
        """Epochs that were run to their end."""
        return len(self.rows) - 1


@dataclass(frozen=True)
class Divergence:
    """Where a run diverged.

    Attributes
    ----------
    epoch : int
        In which epoch it was seen.
    what : str
        What was seen.
    why : str
        What the rate has to do with it, once that is known.
    most : float or None
        What the rate must stay below, as far as curvature tells.
    """

    epoch: int
    what: str
    why: str = ""
    most: float | None = None


@dataclass(frozen=True)
class Run:
    """What came of a run.

    Attributes
    ----------
    name : str
        What it is called.
    problem : Problem
        What was fixed.
    curve : Curve
        How it went.
    trial : Trial or None
        What it was told; None of the automatic method.
    diverged : Divergence or None
        Where it diverged, if it did.
    outcome : Outcome or None
        How it ended; None where it diverged.
    """

    name: str
    problem: Problem
    curve: Curve
    trial: Trial | None = None
    diverged: Divergence | None = None
    outcome: Outcome | None = None

    @property
    def interrupted(self) -> bool:
        """Whether it was cut short."""
        return self.outcome is Outcome.INTERRUPTED


def batches_between(batch_size: int, n: int) -> int:
    """Return how many batches lie between two places within the first epoch."""
    return -(-n // (batch_size * PLACES))


def first_epoch(found: Run, data: Dataset) -> list[NDArray[np.float64]]:
    """Return the parameters at the start and at some places within the first epoch, run again.

    Of a run on many rows the start alone: what comes next is the end of the epoch.
    """
    from gradstep.engine.training import train  # imports Numba

    start = found.curve.params[0]
    if data.n * data.rows.row_bytes() >= _FEW_BYTES or found.problem.batch_size >= data.n:
        return [start]
    state, path = found.problem.start(*found.problem.split(start)), [start]
    apart = batches_between(found.problem.batch_size, data.n)
    while True:
        state, _ = train(found.problem, data, state, max_batches=apart)
        if state.epoch:
            return path
        path.append(state.current().copy())


def follow(
    name: str, chosen: Plan, data: Dataset, start: TrainState, *,
    validation: Validation | None = None, callbacks: Sequence[Any] = (),
    trial: Trial | None = None, keeps_path: bool = False,
) -> Run:  # fmt: skip
    """Run a plan to its end, or as far as it goes.

    A first batch is taken and forgotten, so that no kernel is compiled, or read from the disk,
    while the clock runs; of the automatic method, where rows are few, a first run.
    """
    from gradstep.engine.training import train  # imports Numba

    with suppress(Diverged):
        if trial is not None:
            train(chosen.problem, data, start, max_batches=1)
        elif data.n * data.rows.row_bytes() < _FEW_BYTES:
            train(chosen.problem, data, start)
    curve = Curve(keeps_path=keeps_path)
    diverged, outcome = None, None
    try:
        outcome = run(
            chosen, data, start, validation=validation, callbacks=[curve, *callbacks],
            keep_interrupted=True,
        ).outcome  # fmt: skip
    except Diverged as error:
        diverged = Divergence(
            error.epoch, str(error).partition(". ")[0].removeprefix("Training ") + "."
        )
    except KeyboardInterrupt:
        if not curve.rows:
            raise
        outcome = Outcome.INTERRUPTED
    return Run(name, chosen.problem, curve, trial, diverged, outcome)
