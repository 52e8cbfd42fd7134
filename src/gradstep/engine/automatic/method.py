"""The automatic method: a run goes from snapshot to snapshot until it is at the optimum.

A *snapshot* is a point where objective and gradient of all rows are known (Johnson and Zhang,
"Accelerating stochastic gradient descent using predictive variance reduction", NIPS 2013). An
epoch goes from one to the next:

1. It takes the step that the rules of `choice` have chosen, for standardised features:

   - a Newton step: to the minimum of the quadratic model (with l1 by coordinate descent, under
     constraints by `box`), shortened until the objective falls enough (`line_search`);
   - a quasi-Newton step: L-BFGS, which begins with the Hessian of a sample (PROMISE; Frangella,
     Rathore, Zhao and Udell, JMLR 25(346), 2024), or with a diagonal if there are more than about
     a thousand features, or if that leads on as fast (`quasi_newton`);
   - the optimum of a working set, if the penalty has l1 and a matrix of all features has no room
     (`working_set`);
   - variance-reduced mini-batch steps in a diagonal preconditioner, with the penalty's proximal
     map, if the penalty has no derivative and neither is possible (`variance_reduced`).

   With many rows, the first epoch goes to the solution of a sample of 40 rows per feature or more
   (`solved_samples`).
2. It evaluates all rows there: this gives the next snapshot, and the Hessian if the next step is to
   use it. Of least squares it follows from the Hessian, mostly to digits enough; with l1, a Hessian
   that leads far is used again.
3. It accepts the step if the objective has not risen; else it rejects the step and shortens the
   next. So the objective never rises.
4. If the loss has kinks, it narrows the width that they are smoothed over (`smoothing`), once
   epochs gain little at the present width.
5. It tells how near the optimum is, from the length of the next step and from what the last epochs
   gained (`optimality`).
"""

from __future__ import annotations

import math
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from gradstep.diagnostics.of_fits import CONSTANT_COLUMNS, REJECTED_STEPS
from gradstep.engine.automatic.choice import (
    WHY_DESCENT,
    StepKind,
    batch_size,
    rule_for,
    sample_rows,
)
from gradstep.engine.automatic.mini_batches import MiniBatches
from gradstep.engine.automatic.newton import newton_step
from gradstep.engine.automatic.optimality import (
    how_it_ends,
    is_narrow_enough,
    noise_of,
    progressed,
    proximal_length,
)
from gradstep.engine.automatic.quadratic_model import QuadraticModel
from gradstep.engine.automatic.quasi_newton import quasi_newton_step
from gradstep.engine.automatic.scaled_problem import ScaledProblem
from gradstep.engine.automatic.smoothing import Smoothing
from gradstep.engine.automatic.solved_samples import SolvedSamples
from gradstep.engine.automatic.variance_reduced import reduced_steps
from gradstep.engine.automatic.working_set import WorkingSets
from gradstep.engine.records import Epoch, joined
from gradstep.engine.row_sums import RowSums
from gradstep.engine.statistics import columns_of
from gradstep.errors import Diverged, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradstep.engine.automatic.preconditioner import Preconditioner
    from gradstep.engine.automatic.state import AutomaticState
    from gradstep.engine.records import Outcome
    from gradstep.engine.state import Problem
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = ["Automatic"]

# An epoch that gains less than this share of the decrease so far narrows the smoothing width.
_FAR = 0.02
# A Newton step has led far if the next is no longer than this, times it.
_LED_FAR = 0.25
# Constant columns that a note names.
_NAMED = 5
_NOT_SPREAD = (
    "This problem takes mini-batch steps ({}), which cannot be spread over machines: use an l2 "
    "penalty, or fewer features, or train on this machine."
)
_NOT_WITHIN = (
    "Constraints on coefficients need a matrix of all of them, and {:,} features are too many for "
    "one. Leave constraints or features out."
)


class Automatic:
    """The automatic method for a problem.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    data : Dataset
        The rows.
    columns : Columns, optional
        Their statistics, if they are known.
    is_sample : bool
        Whether the rows are a sample or a part of others: no sample of them is solved first.
    tilt : ndarray of shape (size,), optional
        As of `QuadraticModel`.
    """

    def __init__(
        self, problem: Problem, data: Dataset, columns: Columns | None = None, *,
        is_sample: bool = False, tilt: NDArray[np.float64] | None = None,
    ) -> None:  # fmt: skip
        self.row_sums = RowSums(data, problem.n_outputs)
        self._columns = columns_of(data) if columns is None else columns
        self.of = ScaledProblem(problem, data, self._columns)
        self.rule = rule_for(self.of)
        if self.rule.kind is StepKind.VARIANCE_REDUCED and data.executor is not None:
            raise InvalidParameter(_NOT_SPREAD.format(self.rule.why))
        if problem.constraints is not None and self.rule.kind is not StepKind.NEWTON:
            raise InvalidParameter(_NOT_WITHIN.format(problem.n_features))
        self._is_sample = is_sample
        self._sample_rows = 0 if is_sample else sample_rows(self.of, self.rule.kind)
        self._model = QuadraticModel(self.of, self.row_sums, tilt)
        self._batches = MiniBatches(self.of, self.row_sums)
        self._samples = SolvedSamples(self._model, self._columns, _run)
        self._working_sets = WorkingSets(self._model, self._columns, _run)

    def close(self) -> None:
        """End the threads."""
        self.row_sums.close()

    def epoch(
        self, state: AutomaticState, _max_batches: int | None = None, *, more: bool = True
    ) -> tuple[AutomaticState, Epoch, None]:
        """Go to the next snapshot; see `gradstep.engine.method.Method`."""
        del more
        of = self.of
        self.row_sums.rows_read = state.rows_read
        note, step, first = "", None, state.kind < 0
        if first:
            state, step, note = self._first(state)
        if step is None:
            state, step, own = self._advance(state)
            note = joined(note, own)
        state = self._with_length(state)
        if first:
            note = self._with_constant_columns(note, state)
        read = self.row_sums.rows_read
        progress = state.progress
        known = not math.isnan(progress.optimality)
        excess = None
        if known and self._model.knows_excess(state):
            excess = 0.5 * progress.length * progress.length
        report = Epoch(
            loss=state.least,
            learning_rate=state.rate,
            rows=read - state.rows_read,
            passes=read / of.data.n,
            optimality=progress.optimality if known else None,
            excess=excess,
            note=note,
            step=f"{step.words}: {self._why(step)}" if first else step.words,
        )
        return state.changed(epoch=state.epoch + 1, rows_read=read), report, None

    def _why(self, step: StepKind) -> str:
        return WHY_DESCENT if step is StepKind.DESCENT else self.rule.why

    def show(self, state: AutomaticState) -> None:
        """Do nothing: a run does not pause within epochs."""

    def outcome(
        self, state: AutomaticState, _epoch: Epoch, *, by_score: bool = False
    ) -> Outcome | None:
        """Return how the run ends, or None; see `gradstep.engine.method.Method`."""
        del by_score
        return how_it_ends(self.of, state, narrow=is_narrow_enough(self.of, state))

    def _with_constant_columns(self, note: str, state: AutomaticState) -> str:
        """Add to a note which columns are constant."""
        columns = self._columns
        if not columns.measured or not self.of.problem.fit_intercept:
            return note
        alike = columns.low >= columns.high
        if not alike.any():
            return note
        zero = ~state.params[: -self.of.k].reshape(self.of.k, -1).any(axis=0)  # unless held off it
        constant = (zero & alike).nonzero()[0]
        if not constant.size:
            return note
        more = ", ..." if constant.size > _NAMED else ""
        which = ", ".join(map(str, constant[:_NAMED])) + more
        own = CONSTANT_COLUMNS.note(f"constant columns have the coefficient 0: {which}")
        return joined(note, own)

    def _first(self, state: AutomaticState) -> tuple[AutomaticState, StepKind | None, str]:
        """Take the first snapshot: at the solution of a sample where that pays, or at the start."""
        of, rows = self.of, self._sample_rows
        for_this_run = of.data.columns is None or of.data.moments_at_constants
        if self._columns.measured and not self._is_sample and for_this_run:
            self.row_sums.rows_read += of.data.n  # they were measured, perhaps with moments
        params = of.within(state.params)
        start = params.copy()
        state = state.changed(
            params=params, kind=int(self.rule.kind), smoothing=Smoothing.first(of, near=rows > 0)
        )
        known = None
        # Where a start is not even, few rows may decide there, as near the optimum.
        even = not start[: -of.k].any()
        uneven = self._columns.measured and not even
        at_once = even and self._model.quick_steps is not None
        if not (rows or at_once) or (uneven and self._samples.is_decided_by_few(rows)):
            known = self._model.evaluate(state, start)
        at_start = self._model.objective(start) if known is None else known.true
        begun = at_start
        if (state.start != start).any():  # it goes on from another run's result
            begun = max(at_start, self._model.objective(state.start))
        offset = float(np.abs(self._model.scaled_at(start)[:, -1]).max()) / of.score_unit
        state = state.changed(least=at_start,
            progress=state.progress._replace(at_start=begun, last=at_start, offset=offset),
        )  # fmt: skip
        note = ""
        if rows:
            snapshot = known
            if snapshot is None:
                state, found = self._samples.solution(state, rows)
                snapshot = self._model.evaluate(state, found)
            worse = not snapshot.true <= at_start
            if self._samples.is_decided_by_few(rows) and (self._columns.measured or worse):
                state, snapshot = self._samples.corrected(state, snapshot, worse=worse)
            if snapshot.true <= at_start:
                return state.accepted(snapshot, 1.0), StepKind.SAMPLE, note
            # Not the record of draws: where a sample led astray, no diagonal is tried.
            state = state.changed(
                smoothing=Smoothing.first(of, near=False), matrices=None, diagonal=None
            )
            known = None
            note = REJECTED_STEPS.note(
                "the solution of a sample was worse than the start: not taken"
            )
        if even and (there := self._from_constant(state, start)) is not None:
            return (*there, note)
        snapshot = self._model.evaluate(state, start) if known is None else known
        if not math.isfinite(snapshot.objective):
            msg = (
                "The objective is not a finite number where training starts: the numbers of the "
                "data, or the weights to start from (coef_init, intercept_init), are too large. "
                "Scale the target, or leave the start to gradstep."
            )
            raise Diverged(msg, epoch=0)
        far = int(self.rule.kind is StepKind.NEWTON)  # no step has told that the optimum is near
        return state.changed(snapshot=snapshot, poor=far), None, note

    def _from_constant(
        self, state: AutomaticState, start: NDArray[np.float64]
    ) -> tuple[AutomaticState, StepKind] | None:
        """Return the state near the minimum that is found at once, and how, from a constant."""
        model = self._model
        quick = model.quick_steps
        if quick is not None:
            found = quick.solution(start, state.smoothing)
            self.row_sums.rows_read += quick.passes * self.of.data.n
            if found is not None:
                snapshot = model.evaluate(state, found, with_hessian=False)
                if snapshot.true <= state.least:
                    return state.accepted(snapshot, 1.0), StepKind.DESCENT
        if model.in_row_space:
            found = model.row_space.solution(start, state.smoothing)
            self.row_sums.rows_read += model.row_space.passes * self.of.data.n
            snapshot = model.evaluate(state, found)
            if snapshot.true <= state.least:
                return state.accepted(snapshot, 1.0), self.rule.kind
        return None

    def _advance(self, state: AutomaticState) -> tuple[AutomaticState, StepKind, str]:
        """Go to the next snapshot, whose objective is no higher; return how."""
        smoothing, before = state.smoothing.settled(), state.at
        if smoothing is not state.smoothing:
            state = state.changed(smoothing=smoothing)
        kind = StepKind(state.kind)
        note = ""
        if kind is StepKind.WORKING_SET:
            state = self._working_sets.step(state)
            kind = StepKind(state.kind)  # mini-batches take over where a set has no room
        if kind is StepKind.NEWTON:
            state = newton_step(self._model, state)
        elif kind is StepKind.QUASI_NEWTON:
            state = quasi_newton_step(self._model, state)
        elif kind is StepKind.VARIANCE_REDUCED:
            state, note = reduced_steps(self._model, self._batches, state)
        after = state.at
        gap = after.objective - after.true
        state = state if gap == state.gap else state.changed(gap=gap)
        if not state.rejected and not is_narrow_enough(self.of, state):
            least = state.progress.at_start - state.decrease
            gained = min(before.true, least) - after.true
            due = gained <= max(_FAR * state.decrease, noise_of(state, after))
            state = state.changed(narrowing=due)
        return state, kind, note

    def _with_length(self, state: AutomaticState) -> AutomaticState:
        """Return the state with the length of its next step, if there is one, and its progress."""
        of, length = self.of, math.nan
        if of.has_optimality:
            snapshot = state.at
            if state.kind == StepKind.VARIANCE_REDUCED:
                if state.diagonal is not None:
                    inverse, rate, _ = self._model.hessians.diagonal_steps(
                        state.diagonal, batch_size(of)
                    )
                    length = proximal_length(of, snapshot, inverse, rate)
            elif state.kind == StepKind.WORKING_SET:
                length = self._working_sets.length(state)
            elif (left := self._model.square_left(snapshot)) is not None:
                length = math.sqrt(max(left, 0.0))
            else:
                there = snapshot.hessian is not None or self._model.in_row_space
                if state.kind == StepKind.NEWTON and there:
                    state = self._model.with_hessian_of_snapshot(state)
                if state.has_preconditioner or self._model.in_row_space:
                    square = self._model.square(state, snapshot)
                    if self._model.direction(state, snapshot)[1]:
                        length = math.sqrt(square)
                    before = state.progress.length
                    if state.kind == StepKind.NEWTON and not math.isnan(before):
                        poor = int(not length <= _LED_FAR * before)
                        state = state if poor == state.poor else state.changed(poor=poor)
        return progressed(of, state, length)

    def solution(
        self, state: AutomaticState
    ) -> tuple[Preconditioner, NDArray[np.float64]]:  # fmt: skip
        """Return the preconditioner and the minimum, standardised, of a quadratic objective."""
        smoothing = Smoothing.first(self.of, near=False)
        state = state.changed(kind=int(StepKind.NEWTON), smoothing=smoothing)
        state = state.changed(snapshot=self._model.evaluate(state, state.params))
        state = self._model.with_hessian_of_snapshot(state)
        snapshot = state.at
        step, _ = self._model.direction(state, snapshot)
        scaled = self.of.standardisation.scaled_params(snapshot.params)
        return self._model.full_preconditioner(state), scaled + step


def _run(
    problem: Problem, data: Dataset, columns: Columns, state: AutomaticState,
    is_enough: Callable[[AutomaticState], bool], tilt: NDArray[np.float64] | None = None,
) -> AutomaticState:  # fmt: skip
    """Return where a run of some rows or features ends, or is enough."""
    with closing(Automatic(problem, data, columns, is_sample=True, tilt=tilt)) as method:
        outcome = None
        while outcome is None and state.epoch < problem.max_epochs and not is_enough(state):
            state, epoch, _ = method.epoch(state)
            outcome = method.outcome(state, epoch)
    return state
