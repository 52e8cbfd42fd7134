"""From anchor to anchor: how `optimizer="svrg"` comes to the optimum.

An *anchor* is a point where objective and gradient of all rows are known. An epoch goes from one
to the next, by whichever step is cheapest for its worth (`Facts.way`):

- a *plain* one: mini-batch steps over all rows once, averaged; only the first, with many rows;
- *variance-reduced*: mini-batch steps on a share of the rows, corrected by the anchor's gradient;
- *Newton*: the minimum of the quadratic model (with l1: by coordinate descent), shortened until
  the objective falls. With few features the curvature costs no more than a gradient does.

All work in centred and scaled features and in the metric of the curvature, full where there are
up to about a thousand features, else diagonal. The objective is known at every anchor, so an
epoch that does not lower it is taken back and the step shortened: it never rises.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gradstep.engine.baseline import without_features
from gradstep.engine.svrg.hessian import Curvatures
from gradstep.engine.svrg.mini_batches import MiniBatches
from gradstep.engine.svrg.scaled_problem import Facts, Way

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.engine.row_sums import Passes
    from gradstep.engine.state import Problem
    from gradstep.engine.statistics import Columns
    from gradstep.engine.svrg.preconditioner import FullMetric
    from gradstep.rows.dataset import Dataset

__all__ = ["Anchor", "Rounds", "Step", "Way"]

_POOR = 0.25  # a round should shrink the square of the step more than that
_HALVINGS = 40
_FEW_HALVINGS = 6  # where slopes jump, and to look farther ahead is what helps
_ENOUGH = 1e-4  # share of the step's promise that a step must keep (Armijo)
_STEEP = 0.25  # share of a step's slope that is still there at its end, for a longer one to pay
_MOST_STEPS = 8.0
_ROUNDING = 1e-14
_NO_STEP = 1e-9
_LITTLE = 1e-3  # of the fall so far
_FAR = 0.02  # of the fall so far: below it, a width has done its work
_MOST_ROWS = 8  # times as many rows as usual in the sample of a metric


@dataclass(frozen=True)
class Anchor:
    """A point where objective and gradient are known.

    Attributes
    ----------
    params : ndarray of shape (size,)
        Parameters in the features' own units.
    seen : ndarray of shape (k, p + 1)
        The same for centred and scaled features.
    objective : float
        Mean loss (smoothed, where slopes jump) and penalty.
    before : float
        The same with the loss smoothed as it was for the anchor before.
    true : float
        The same with the loss as it is.
    raw : ndarray of shape (size,)
        Gradient of the mean loss in the features' own units.
    curvatures : ndarray of shape (pairs, p + 1, p + 1) or None
        What the look has seen of the curvature, where the next step needs it.
    """

    params: NDArray[np.float64]
    seen: NDArray[np.float64]
    objective: float
    before: float
    true: float
    raw: NDArray[np.float64]
    curvatures: NDArray[np.float64] | None


@dataclass(frozen=True)
class Step:
    """What an epoch did.

    Attributes
    ----------
    way : Way
        How.
    rate : float
        Length of its steps, 1 being as long as they are by themselves.
    note : str
        What a person should know.
    taken_back : bool
        Whether the anchor is that of before, with something changed for the next epoch.
    """

    way: Way
    rate: float
    note: str = ""
    taken_back: bool = False


class Rounds:
    """What takes a problem from anchor to anchor.

    Parameters
    ----------
    problem : Problem
        What is fixed.
    data : Dataset
        The rows.
    columns : Columns
        Their statistics.
    passes : Passes
        What sums over rows.

    Attributes
    ----------
    facts : Facts
        What is known of the problem.
    way : Way
        How epochs go now.
    metric : FullMetric or None
        The last full metric.
    stuck : bool
        Whether there is no way down any more.
    fall : float
        How far the objective has fallen since the start; told by who knows.
    """

    def __init__(self, problem: Problem, data: Dataset, columns: Columns, passes: Passes) -> None:
        self.facts = facts = Facts(problem, data, columns)
        self._passes = passes
        self._curvatures = Curvatures(facts, passes)
        self._batches = MiniBatches(facts, passes, self._curvatures)
        self.way = facts.way()
        self.metric: FullMetric | None = None
        self.stuck = False
        self.fall = 0.0
        self._poor = 0
        self._narrows = False
        self._at_start = self._offset = 0.0
        self._smoothing = math.inf
        self._metric_of: Anchor | None = None
        self._known: tuple[Anchor, FullMetric, NDArray[np.float64]] | None = None

    # ------------------------------------------------------------------ looking at the rows

    def look(self, params: NDArray[np.float64]) -> Anchor:
        """Return an anchor at a point: one pass over the rows."""
        facts, curvatures = self.facts, self._curvatures
        newton = self.way is Way.NEWTON and curvatures.takes_all and not self._knows_curvature
        bends = curvatures.of_looks if newton else None
        loss = curvatures.loss
        with np.errstate(all="ignore"):
            if facts.has_optimality:
                seen = self._passes.look(loss, params, bends)
                losses = np.full(3, seen.loss)
            else:
                plain = facts.problem.loss
                seen = self._passes.look(
                    loss, params, bends, before=curvatures.loss_before, plain=plain
                )
                losses = np.array([seen.loss, seen.before, seen.plain])
            objective, before, true = (losses + facts.problem.penalty_of(params)).tolist()
        return Anchor(
            params, facts.lens.seen(params), objective, before, true, seen.gradient,
            seen.curvatures,
        )  # fmt: skip

    @property
    def _knows_curvature(self) -> bool:
        """Whether the curvature is the same everywhere, and known."""
        return self.facts.quadratic and self.metric is not None and self._curvatures.is_whole

    def objective(self, params: NDArray[np.float64]) -> float:
        """Return the objective at a point; cheap, if no feature has a weight there."""
        problem, data, k = self.facts.problem, self.facts.data, self.facts.k
        if params[:-k].any():
            loss = self.facts.loss_at(params, data)
            self._passes.rows_read += data.n
        else:  # what is read is targets alone
            loss = self.facts.loss_at(params[-k:].copy(), without_features(data))
        return loss + problem.penalty_of(params)

    def noise(self, anchor: Anchor) -> float:
        """Return what falls of the objective are below what can be told."""
        return _ROUNDING * self.size_of_sums(anchor)

    def size_of_sums(self, anchor: Anchor) -> float:
        """Return the size of the numbers that the objective is a sum of.

        Where targets lie far from zero, so do scores, and their difference has lost digits.
        """
        return abs(anchor.objective) + (1.0 + self._offset) * abs(self._at_start)

    def begin(self, start: NDArray[np.float64]) -> float:
        """Return the objective where a run begins; from it follows what rounding is."""
        facts = self.facts
        self._at_start = self.objective(start)
        self._offset = float(np.abs(facts.lens.seen(start)[:, -1]).max()) / facts.score_unit
        return self._at_start

    # ------------------------------------------------------------------ the step, its length

    def _gradient(self, anchor: Anchor) -> NDArray[np.float64]:
        """Return the gradient of loss and l2 penalty, for centred and scaled features."""
        return self.facts.lens.gradient(anchor.raw) + self.facts.ridge * anchor.seen

    def _direction(self, anchor: Anchor) -> NDArray[np.float64]:
        """Return the step to the minimum of the model in the full metric."""
        assert self.metric is not None  # noqa: S101
        known = self._known
        if known is not None and known[0] is anchor and known[1] is self.metric:
            return known[2]
        gradient = self._gradient(anchor)
        if self.facts.has_l1:
            step = self.metric.direction_with_l1(gradient, anchor.seen, self.facts.l1)
        else:
            step = self.metric.direction(gradient)
        self._known = anchor, self.metric, step
        return step

    def _take_metric_of(self, anchor: Anchor) -> None:
        """Go on in the metric of an anchor: what its look has seen, if it is not in use yet."""
        if self._knows_curvature or self._metric_of is anchor:
            return
        self.metric = self._curvatures.for_newton(anchor.params, anchor.curvatures)
        self._metric_of = anchor

    def _square(self, anchor: Anchor) -> float:
        """Return the square of the length of the next step in the full metric."""
        assert self.metric is not None  # noqa: S101
        return max(self.metric.square(self._direction(anchor)), 0.0)

    def solution(self, start: NDArray[np.float64]) -> tuple[FullMetric, NDArray[np.float64]]:
        """Return the metric and the minimum, behind the lens, of an objective that is quadratic."""
        anchor = self.look(start)
        self._take_metric_of(anchor)
        assert self.metric is not None  # noqa: S101
        return self.metric, anchor.seen + self._direction(anchor)

    def step_length(self, anchor: Anchor) -> float | None:
        """Return the length of the next step in the metric; None if it is not known.

        There is no metric yet, or coordinate descent did not come to the model's minimum.
        """
        if self.way is Way.DIAGONAL:
            return self._proximal_length(anchor)
        if self.way is Way.NEWTON and anchor.curvatures is not None:
            self._take_metric_of(anchor)
        if self.metric is None:
            return None
        square = self._square(anchor)
        return math.sqrt(square) if self.metric.is_solved else None

    def _proximal_length(self, anchor: Anchor) -> float:
        """Return the length of the proximal gradient step in the diagonal metric."""
        facts = self.facts
        batch = facts.batch_size(Way.DIAGONAL, float(facts.q))
        inverse, rate, _ = self._curvatures.diagonal(anchor.params, batch)
        own = rate * inverse
        moved = anchor.seen - own * facts.lens.gradient(anchor.raw)
        unit = np.broadcast_to(facts.unit, moved[:, :-1].shape)
        at = (own[:, :-1] > 0.0) & (unit > 0.0)
        x, steps, units = moved[:, :-1][at], own[:, :-1][at], unit[at]
        if facts.only_prox:
            prox = np.vectorize(facts.problem.penalty.prox, otypes=[np.float64])
            moved[:, :-1][at] = prox(x * units, steps * units * units) / units
        else:
            l1 = np.broadcast_to(facts.l1[:-1], at.shape)[at]
            l2 = np.broadcast_to(facts.ridge[:-1], at.shape)[at]
            cut = steps * l1
            moved[:, :-1][at] = (x - np.clip(x, -cut, cut)) / (1.0 + steps * l2)
        step = (moved - anchor.seen) / rate
        there = inverse > 0.0
        return math.sqrt(float((step[there] * step[there] / inverse[there]).sum()))

    @property
    def knows_excess(self) -> bool:
        """Whether half the square of the step's length is the objective above its least value."""
        return self.facts.quadratic and self._curvatures.is_whole and not self.facts.has_l1

    @property
    def is_narrow(self) -> bool:
        """Whether slopes are taken as near to each other as they need to be.

        What smoothing adds to the loss must be little beside what there is to gain.
        """
        curvatures = self._curvatures
        little = self._smoothing <= _LITTLE * self.fall
        return curvatures.is_narrow and (little or curvatures.is_narrowest)

    # ------------------------------------------------------------------ epochs

    def first(self, start: NDArray[np.float64]) -> tuple[Anchor, Step | None]:
        """Return the first anchor: after a plain epoch where that pays, else where `begin` was."""
        facts, batches = self.facts, self._batches
        if not facts.starts_plain(self.way):
            return self.look(start), None
        if self.way is not Way.DIAGONAL:  # an l1 penalty is left to what follows: this is a start
            self.metric = batches.metric = self._curvatures.for_steps(start)
        candidate = batches.run(start, None, None, facts.data.n)
        if candidate is not None:
            anchor = self.look(candidate)
            if anchor.true <= self._at_start:
                return anchor, Step(Way.PLAIN, batches.short)
        batches.short /= 4.0
        self._fall_back()
        anchor, step = self.advance(self.look(start))
        note = "plain steps were too long for this data: taken back"
        return anchor, replace(step, note=f"{note}; {step.note}" if step.note else note)

    def advance(self, anchor: Anchor) -> tuple[Anchor, Step]:
        """Return the next anchor, whose objective is no higher, and how it was come to."""
        self._curvatures.forget_before()
        after, step = self._newton(anchor) if self.way is Way.NEWTON else self._reduced(anchor)
        self._smoothing = after.objective - after.true
        if not step.taken_back and not self.is_narrow:
            least = self._at_start - self.fall
            gained = min(anchor.true, least) - after.true
            self._narrows = gained <= max(_FAR * self.fall, self.noise(after))
        return after, step

    def _narrow_if_due(self) -> None:
        """Let the next look be one through a narrower width, if this one has done its work."""
        if self._narrows:
            self._curvatures.narrow()
            self._narrows = False

    def _newton(self, anchor: Anchor) -> tuple[Anchor, Step]:
        """Take a Newton step, shortened until it keeps enough of its promise."""
        facts, curvatures = self.facts, self._curvatures
        self._take_metric_of(anchor)
        step = self._direction(anchor)
        slope = float((self._gradient(anchor) * step).sum())
        if facts.has_l1:
            slope += float(((np.abs(anchor.seen + step) - np.abs(anchor.seen)) * facts.l1).sum())
        noise, t = self.noise(anchor), 1.0
        self._narrow_if_due()
        curvatures.shorten_reach()
        for _ in range(_HALVINGS if facts.smooth else _FEW_HALVINGS):
            trial = self.look(facts.lens.raw(anchor.seen + t * step))
            if trial.before <= anchor.objective + _ENOUGH * t * min(slope, 0.0):
                break
            if trial.before <= anchor.objective + noise and -slope <= 1e3 * noise:
                break  # what is left to gain is below what can be told
            t /= 2.0
        else:
            return self._no_way_down(anchor)
        if t < 1.0:
            curvatures.lengthen_reach(t)
            if not facts.smooth:  # it was seen with the reach of a whole step
                trial = replace(trial, curvatures=None)
        elif facts.smooth and not facts.has_l1:
            trial, t = self._farther(anchor, step, slope, trial)
        if (
            not curvatures.is_whole
            and t == 1.0
            and self._square(trial) > _POOR * self._square(anchor)
        ):
            curvatures.more_rows *= 4  # the sample does not lead on fast enough
        return trial, Step(Way.NEWTON, t)

    def _farther(
        self, anchor: Anchor, step: NDArray[np.float64], slope: float, trial: Anchor
    ) -> tuple[Anchor, float]:
        """Go on in the direction of a step while it leads down nearly as steeply as it began."""
        t = 1.0
        while t < _MOST_STEPS and (self._gradient(trial) * step).sum() < _STEEP * slope:
            farther = self.look(self.facts.lens.raw(anchor.seen + 2.0 * t * step))
            if not farther.objective < trial.objective:
                break
            trial, t = farther, 2.0 * t
        return trial, t

    def _no_way_down(self, anchor: Anchor) -> tuple[Anchor, Step]:
        """Look farther ahead, or from nearer, if slopes jump; else this is the end."""
        curvatures = self._curvatures
        curvatures.keep_reach()
        if not curvatures.reaches_farthest:
            curvatures.reach_farther()
        elif not self.is_narrow:
            curvatures.narrow()
        else:
            self.stuck = True
        return self._seen_anew(anchor), Step(Way.NEWTON, 0.0, taken_back=True)

    def _seen_anew(self, anchor: Anchor) -> Anchor:
        """Return an anchor as it is seen now that widths, or the reach, are others."""
        if self.stuck or self.facts.smooth:
            return anchor
        if self.facts.has_optimality:
            return replace(anchor, curvatures=None)
        return self.look(anchor.params)

    def _reduced(self, anchor: Anchor) -> tuple[Anchor, Step]:
        """Take variance-reduced steps from an anchor, in the full or the diagonal metric."""
        facts, batches = self.facts, self._batches
        if self.way is Way.REDUCED and (batches.metric is None or self._poor):
            self.metric = batches.metric = self._curvatures.for_steps(anchor.params)
        share = getattr(facts.problem.optimizer, "share", 0.25)
        rows = max(1, int(share * facts.data.n))
        candidate = batches.run(anchor.params, anchor.params, anchor.raw, rows)
        self._narrow_if_due()
        trial = None if candidate is None else self.look(candidate)
        if trial is None or not trial.before <= anchor.objective + self.noise(anchor):
            return self._taken_back(anchor)
        step = Step(self.way, batches.short)
        if self.way is Way.REDUCED:
            self._poor = self._poor + 1 if self._is_poor(anchor, trial) else 0
            if self._poor == 1:
                self._curvatures.more_rows = min(2 * self._curvatures.more_rows, _MOST_ROWS)
            elif self._poor == 2:
                batches.short /= 2.0
            elif self._poor > 2 and self._fall_back():
                step = replace(step, note="variance-reduced steps led on slowly: Newton steps now")
        return trial, step

    def _is_poor(self, before: Anchor, after: Anchor) -> bool:
        """Tell whether a round has brought little."""
        return self._square(after) > _POOR * self._square(before)

    def _taken_back(self, anchor: Anchor) -> tuple[Anchor, Step]:
        self._batches.short /= 2.0
        self._poor += 1
        note = "steps were too long for this data: taken back, and shortened"
        if self._poor > 1 and self._fall_back():
            note = "steps were too long for this data: taken back; Newton steps now"
        elif self._batches.short < _NO_STEP:
            self.stuck = True
        step = Step(self.way, self._batches.short, note, taken_back=True)
        return self._seen_anew(anchor), step

    def _fall_back(self) -> bool:
        """Go on by Newton steps, if that can be; return whether."""
        if self.way is not Way.REDUCED or not self.facts.can_step_as_newton:
            return False
        self.way = Way.NEWTON
        return True
