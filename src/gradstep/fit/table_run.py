"""A run on a prepared table, and what may happen to it: a brake, a search for alpha, an end."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.callbacks import History
from gradstep.engine.records import Outcome
from gradstep.engine.state import Problem, TrainState, Validation
from gradstep.errors import Diverged, InvalidParameter
from gradstep.fit.components import penalty_of
from gradstep.fit.plan import is_auto, plan
from gradstep.optim.solvers import works_in_rounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.engine.callbacks import End, EpochEnd
    from gradstep.engine.records import EpochRecord
    from gradstep.fit.plan import Settings

__all__ = ["ALPHAS", "TableRun"]

ALPHAS = tuple(10.0**-power for power in range(1, 8))
_EPOCHS_AN_ALPHA = 20


class _Best:
    """Keeps the best parameters of all runs so far: by validation, else the last epoch's."""

    def __init__(self) -> None:
        self.params: NDArray[np.float64] | None = None
        self.score = -math.inf

    def on_epoch_end(self, event: EpochEnd) -> None:
        """Keep them."""
        state = event.state
        if state.best_params is None:
            self.params = state.current().copy()
        elif self.params is None or state.best_score > self.score:
            self.params, self.score = state.best_params, state.best_score

    def on_end(self, end: End) -> None:
        """Forget those of a run that diverged, unless validation rows have judged them."""
        if isinstance(end.error, Diverged) and self.score == -math.inf:
            self.params = None


class TableRun:
    """A run, and what may happen to it: a brake, a search for alpha, an interruption."""

    def __init__(self, prepared: PreparedTable, loss: Any, callbacks: Sequence[Any]) -> None:
        self.prepared, self.loss = prepared, loss
        self.problem: Problem
        self.history, self.best = History(), _Best()
        self.callbacks = [self.history, self.best, *callbacks]
        self.records: list[EpochRecord] = []
        self.notes: list[str] = []
        self.outcome = Outcome.MAX_EPOCHS
        self.state: TrainState | None = None
        self.choosing = False
        held_out = prepared.validation
        self.validation = None if held_out is None else Validation(held_out)

    def plan(self, asked: Settings) -> None:
        """Choose how to run, what counts as improvement, and where to start.

        That is the best constant: levels, whose weights together could take the intercept's
        place, then say how they differ from it.
        """
        from gradstep.engine.baseline import Baseline, best_constant  # imports Numba
        from gradstep.engine.statistics import Columns

        data, loss, k = self.prepared.train, self.loss, self.prepared.target.n_outputs
        chosen = plan(asked, loss, data, k, stored_in=self.prepared.encoding.stored_in())
        problem = chosen.problem
        self.columns = chosen.columns or Columns.unmeasured(problem.n_features)
        baseline = Baseline(loss, data, k, np.zeros(problem.size))
        self.start = problem.start(intercept=best_constant(loss, baseline.constant, k))
        self.brake = is_auto(asked.learning_rate) or asked.learning_rate == "adaptive"
        if works_in_rounds(problem.optimizer):
            if self.validation is not None:  # it keeps the best, and rounds end at the optimum
                self.validation = replace(self.validation, stops=False)
        elif problem.tol is not None:
            problem = replace(problem, tol=problem.tol * baseline.unit)
        self.problem = problem

    def train(self, start: TrainState | None = None) -> None:
        """Train to the end; if that diverges, again with a shorter step."""
        from gradstep.engine.running import run  # imports Numba

        try:
            ran = run(
                self.problem, self.prepared.train, self.start if start is None else start,
                columns=self.columns, validation=self.validation, callbacks=self.callbacks,
                brake=self.brake,
            )  # fmt: skip
        except Diverged as error:
            msg = (
                f"Training diverged in epoch {error.epoch}: the steps of {self.problem.schedule!r} "
                "are too long for this table. Use another learning rate: 'auto' follows from the "
                "data, a number is constant."
            )
            raise Diverged(msg, epoch=error.epoch) from error
        self.problem, self.state, self.outcome = ran.problem, ran.state, ran.outcome
        self.notes += ran.notes
        self.records = list(self.history.records)
        if not self.choosing:
            noted = [record for record in self.records if record.note]
            self.notes += [f"Epoch {record.epoch}: {record.note}." for record in noted]

    def choose_alpha(self, penalty: Any, l1_ratio: float) -> TrainState:
        """Choose the strength of the penalty on the validation rows, from strong to weak.

        Returns where the final run starts from.
        """
        if self.validation is None or not isinstance(penalty, str):
            msg = (
                "alpha='auto' needs validation rows to choose on and a penalty by name: hold some "
                "rows out (--validation 0.1), or give alpha a number."
            )
            raise InvalidParameter(msg)
        whole, self.choosing = self.problem, True
        found: list[tuple[float, float, TrainState]] = []
        start: TrainState | None = None
        for alpha in ALPHAS:
            chosen = penalty_of(penalty, {"alpha": alpha, "l1_ratio": l1_ratio})
            self.problem = replace(
                whole, penalty=chosen, max_epochs=min(_EPOCHS_AN_ALPHA, whole.max_epochs)
            )
            self.train(start)
            whole = replace(whole, schedule=self.problem.schedule)
            state = self.state
            assert state is not None  # noqa: S101
            found.append((state.best_score, alpha, state))
            best = state.best_params if state.best_params is not None else state.current()
            start = self.problem.start(*self.problem.split(best))
            if len(found) > 2 and max(f[0] for f in found[-2:]) < max(f[0] for f in found[:-2]):
                break  # two in a row are worse: weaker ones will be, too
        score, alpha, state = max(found, key=lambda f: f[0])
        self.notes.append(
            f"alpha={alpha:g} was chosen on the validation rows (loss {-score:.6g}), of "
            + ", ".join(f"{f[1]:g} ({-f[0]:.6g})" for f in found)
            + "."
        )
        chosen = penalty_of(penalty, {"alpha": alpha, "l1_ratio": l1_ratio})
        self.problem, self.choosing = replace(whole, penalty=chosen), False
        best = state.best_params if state.best_params is not None else state.current()
        start = self.problem.start(*self.problem.split(best))
        return replace(start, best_params=best, best_score=score)

    def interrupted(self) -> None:
        """Say so, if there is a model to keep."""
        self.records = list(self.history.records)
        if self.best.params is None:
            raise KeyboardInterrupt
        self.outcome = Outcome.INTERRUPTED
        if self.choosing:
            self.notes.append("Interrupted while alpha was being chosen: it is the best so far.")

    def params(self) -> NDArray[np.float64]:
        """Return the parameters of the model."""
        state = self.state
        if self.outcome is Outcome.INTERRUPTED or state is None:
            assert self.best.params is not None  # noqa: S101
            return self.best.params
        return state.best_params if state.best_params is not None else state.current()
