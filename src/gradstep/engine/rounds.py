"""From anchor to anchor: how `optimizer="svrg"` comes to the optimum.

An *anchor* is a point where objective and gradient of all rows are known. An epoch goes from one
to the next, by whichever step is cheapest for its worth:

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
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.order import order_of
from gradstep.engine.baseline import best_constant, without_features
from gradstep.engine.evaluation import mean_loss
from gradstep.engine.inner import run_in_diagonal_metric, run_in_full_metric
from gradstep.engine.kernels import launch
from gradstep.engine.lens import Lens
from gradstep.engine.metric import FullMetric
from gradstep.engine.readonly import readonly
from gradstep.engine.sums import Smoothed
from gradstep.objective.classification import OneVsRest
from gradstep.objective.losses import curvature, floor, is_smooth
from gradstep.objective.regression import SquaredError
from gradstep.optim.solvers import Exact

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.data.dataset import Dataset
    from gradstep.engine.passes import Passes
    from gradstep.engine.state import Problem
    from gradstep.engine.statistics import Columns

__all__ = ["Anchor", "Rounds", "Way"]

_WIDEST = 1024  # parameters that a matrix of curvatures is made for
_ALWAYS_NEWTON = 64  # features up to which the curvature of all rows costs no more than steps
_CHEAP_PRODUCTS = 5e8  # of all curvatures: some 20 ms
_ROWS_A_FEATURE = 20  # of the sample that a metric is made from
_NEWTON_ROWS_A_FEATURE = 100
_STEPS_PAY = 40  # rows a feature from which mini-batch steps beat a Newton step
_PLAIN_PAYS = 200  # rows a feature from which a plain epoch comes within 1 % of the optimum
_PLAIN_ROWS = 2000
_LENGTH_ROWS = 512
_SAFE = 0.5  # of the longest step that is stable on average
_LONGEST = 0.5  # change of scores in a step, where the curvature has no bound
_POOR = 0.25  # a round should shrink the square of the step more than that
_HALVINGS = 40
_FEW_HALVINGS = 6  # where slopes jump, and a narrower width is what helps
_ENOUGH = 1e-4  # share of the step's promise that a step must keep (Armijo)
_ROUNDING = 1e-14
_WIDTH = 1e-4  # of scores, between slopes that a curvature is taken from
_FIRST_WIDTH = 0.25  # where the slope jumps, or the curvature does
_NARROWING = 4.0
_NARROW = 1e-3  # the last width where the slope jumps
_REACH, _FARTHEST_REACH = 3, 16  # doublings of it, up to which a jump is seen coming
_FAR = 1e-3  # of the gap to the best constant: below it, a width has done its work


class Way(Enum):
    """How an epoch goes from anchor to anchor."""

    PLAIN = "mini-batch steps"
    REDUCED = "variance-reduced steps"
    NEWTON = "a Newton step"
    DIAGONAL = "variance-reduced steps in a diagonal metric"


@dataclass(frozen=True)
class Anchor:
    """A point where objective and gradient are known.

    Attributes
    ----------
    params : ndarray of shape (size,)
        Parameters in the features' own units.
    seen : ndarray of shape (k, p + 1)
        The same for centred and scaled features.
    loss, objective : float
        Mean loss; with the penalty.
    raw : ndarray of shape (size,)
        Gradient of the mean loss in the features' own units.
    """

    params: NDArray[np.float64]
    seen: NDArray[np.float64]
    loss: float
    objective: float
    raw: NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """What an epoch did.

    Attributes
    ----------
    way : Way
        How.
    rate : float
        Length of its steps, 1 being the whole way to the minimum of the model.
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
    """

    def __init__(self, problem: Problem, data: Dataset, columns: Columns, passes: Passes) -> None:
        self.problem, self.data, self.passes = problem, data, passes
        self.k, p = problem.n_outputs, problem.n_features
        self.q = p + 1
        centred = problem.fit_intercept and columns.measured
        self.shift = columns.mean if centred else np.zeros(p)
        spread = columns.deviation if centred or not columns.measured else columns.length
        with np.errstate(divide="ignore"):
            self.scale = np.where(spread > 0.0, 1.0 / spread, 0.0)
        self.lens = Lens(self.shift, self.scale, self.k)
        unit = (
            np.ones(p)
            if problem.penalty_scales is None
            else problem.penalty_scales
        )
        self.unit = unit * self.scale  # what a seen parameter is multiplied by to be penalised
        strengths = getattr(problem.penalty, "strengths", None)
        self.separable = strengths is None  # known by its proximal map alone
        l1, l2 = (0.0, 0.0) if strengths is None else strengths()
        self.l1 = np.append(l1 * self.unit, 0.0)
        self.ridge = np.append(l2 * self.unit * self.unit, 0.0)
        self.smooth = is_smooth(problem.loss)
        self.bounded = curvature(problem.loss) is not None
        self.quadratic = isinstance(problem.loss, SquaredError)
        self.width = (_WIDTH if self.smooth else _FIRST_WIDTH) * self.score_unit
        self.reach = _REACH
        self.short = 1.0  # what steps have been shortened to
        self.metric: FullMetric | None = None
        self.metric_is_whole = False
        self.more_rows = 1
        self.poor = 0
        self.done_rows = 0
        self.draws = 0
        self.way = self._choose()
        self.stuck = self.renew = False
        self.rate = 1.0
        self._rows = np.zeros(0, np.uint32)
        self._inverse: tuple[NDArray[np.float64], float] | None = None
        self._diagonal_metric: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._order = order_of(
            problem.shuffle, data.n, problem.seed, data.rows.row_bytes(), shuffled=data.shuffled
        )[0]
        self._orders: dict[int, Any] = {}

    # ------------------------------------------------------------------ what is known beforehand

    @cached_property
    def score_unit(self) -> float:
        """What counts as one in scores: 1, or the deviation of a target that is a score itself."""
        loss = self.problem.loss
        link = getattr(loss, "inverse_link", None)
        if link is not None or hasattr(loss, "row_slopes") or self._classifies:
            return 1.0
        y = self.data.sample().targets()
        spread = float(np.sqrt(((y - y.mean(axis=0)) ** 2).mean()))
        return spread if spread > 0.0 else max(1.0, float(np.abs(y).max()))

    @cached_property
    def _classifies(self) -> bool:
        y = self.data.sample().targets()
        return bool(np.isin(y, (-1.0, 1.0)).all())

    def _pairs(self) -> int:
        """Return how many matrices there are: one for each pair of outputs of a joint loss."""
        if self.quadratic:
            return 1
        joint = hasattr(self.problem.loss, "row_slopes")
        if joint and not isinstance(self.problem.loss, OneVsRest):
            return self.k * (self.k + 1) // 2
        return self.k

    def _choose(self) -> Way:
        """Choose how epochs go, once the first is over."""
        n, q, pairs = self.data.n, self.q, self._pairs()
        width = q * self.k if pairs > self.k else q
        if isinstance(self.problem.optimizer, Exact):
            return Way.NEWTON
        if q - 1 > _WIDEST or self.separable:
            return Way.DIAGONAL
        newton = (
            (q <= _ALWAYS_NEWTON and pairs <= self.k)
            or n * pairs * q * q <= _CHEAP_PRODUCTS
            or n <= _STEPS_PAY * width
            or not self.smooth
            or bool(self.l1.any())
        )
        if newton and width <= _WIDEST + self.k:
            return Way.NEWTON
        return Way.DIAGONAL if self.l1.any() else Way.REDUCED

    @property
    def starts_plain(self) -> bool:
        """Whether the first epoch takes plain steps."""
        n = self.data.n
        if isinstance(self.problem.optimizer, Exact):
            return False
        if self.way is Way.DIAGONAL:
            return True
        if self.quadratic and self.way is Way.NEWTON and not self.l1.any():
            return False  # the first Newton step is the last
        return n >= _PLAIN_PAYS * self.q and n >= _PLAIN_ROWS

    def batch_size(self, length: float) -> int:
        """Return the rows of a batch: as given, or by what a step and a row cost.

        With t0 the time of a step and t1 that of a row, sqrt(t0 / t1 · (R² - 1)) rows are best
        (where mini-batches pay off linearly up to R²), R² being the mean length of rows.
        """
        n = self.data.n
        if self.problem.batch_size:
            return min(self.problem.batch_size, n)
        touched = max(1, self.data.rows.row_bytes() // 8)
        if self.way is Way.DIAGONAL:
            best = self.q * self.k / (4.0 * touched)
            least, most = 64, 4096
        else:
            best = math.sqrt((self.q / 10.0 + 1000.0 / self.q) * max(length, 1.0))
            least, most = 16, 256
        power = 2 ** round(math.log2(min(max(best, least), most)))
        return max(1, min(power, n // 50))

    @cached_property
    def constant(self) -> float:
        """The objective of the best constant prediction."""
        alone = without_features(self.data)
        scores = best_constant(self.problem.loss, alone, self.k)
        return mean_loss(self.problem.loss, alone, np.ascontiguousarray(scores), self.k)

    @cached_property
    def gap(self) -> float:
        """How far the best constant prediction is above the least loss that targets allow."""
        data = self.data
        least = floor(self.problem.loss, data.targets()).sum(axis=1)
        return self.constant - float(np.average(least, weights=data.weights()))

    @cached_property
    def scale_of_loss(self) -> float:
        """The size of numbers that the objective is a sum of."""
        zero = mean_loss(self.problem.loss, without_features(self.data), np.zeros(self.k), self.k)
        return abs(zero) + abs(self.constant)

    @property
    def widths(self) -> NDArray[np.float64]:
        """Distances of the slopes that curvatures are taken from."""
        if self.smooth:
            return np.array([self.width])
        return np.asarray(self.width * 2.0 ** np.arange(self.reach + 1))

    # ------------------------------------------------------------------ looking at the rows

    @property
    def loss(self) -> Any:
        """The loss that slopes are taken of: smoothed, where they jump."""
        loss = self.problem.loss
        if self.smooth or self.bounded:
            return loss
        if isinstance(loss, OneVsRest):
            return OneVsRest(Smoothed(loss.loss, self.width))
        return loss if hasattr(loss, "row_slopes") else Smoothed(loss, self.width)

    def look(self, params: NDArray[np.float64]) -> Anchor:
        """Return an anchor at a point: one pass over the rows."""
        with np.errstate(all="ignore"):
            loss, raw = self.passes.gradient(self.loss, params)
            return Anchor(
                params, self.lens.seen(params), loss, loss + self.problem.penalty_of(params), raw
            )

    def gradient(self, anchor: Anchor) -> NDArray[np.float64]:
        """Return the gradient of loss and l2 penalty, for centred and scaled features."""
        return self.lens.gradient(anchor.raw) + self.ridge * anchor.seen

    def _sample(self, rows: int) -> NDArray[np.uint32]:
        """Return numbers of rows drawn at random among those that weigh anything."""
        self.draws += 1
        rng = np.random.default_rng(
            np.random.SeedSequence([self.problem.seed, 1 << 20, self.draws])
        )
        weight = self.data.weights()
        if weight is None or weight.min() > 0.0:
            at = rng.integers(0, self.data.n, rows).astype(np.uint32)
        else:
            at = rng.choice(np.flatnonzero(weight > 0.0), rows).astype(np.uint32)
        return np.asarray(self.data.rows_at(np.sort(at)), np.uint32)

    def _curvatures(
        self, params: NDArray[np.float64], rows: NDArray[np.uint32] | None, pairs: int
    ) -> FullMetric:
        matrices, _ = self.passes.curvatures(
            self.problem.loss, params, rows,
            pairs=pairs, widths=self.widths, shift=self.shift, scale=self.scale,
        )  # fmt: skip
        return FullMetric(matrices, self.k, self.ridge, fit_intercept=self.problem.fit_intercept)

    def _newton_metric(self, params: NDArray[np.float64]) -> FullMetric:
        """Return the metric for a Newton step: of all rows, or of as many as are affordable."""
        n, pairs = self.data.n, self._pairs()
        each = pairs * self.q * self.q
        rows = n
        if not isinstance(self.problem.optimizer, Exact) and self.q > _ALWAYS_NEWTON:
            wanted = max(_NEWTON_ROWS_A_FEATURE * self.q, _CHEAP_PRODUCTS / each)
            rows = int(min(n, wanted * self.more_rows))
        self.metric_is_whole = rows >= n // 2
        sample = None if self.metric_is_whole else self._sample(rows)
        return self._curvatures(params, sample, pairs)

    def _step_metric(self, params: NDArray[np.float64]) -> tuple[FullMetric, NDArray[np.uint32]]:
        """Return the metric for mini-batch steps, from a sample, and the sample."""
        rows = min(self.data.n, _ROWS_A_FEATURE * self.q * self.more_rows)
        sample = self._sample(rows)
        self.metric_is_whole = False
        return self._curvatures(params, sample, 1 if self.quadratic else self.k), sample

    # ------------------------------------------------------------------ the direction, its length

    def direction(self, anchor: Anchor) -> NDArray[np.float64]:
        """Return the step to the minimum of the model in the full metric."""
        assert self.metric is not None  # noqa: S101
        gradient = self.gradient(anchor)
        if self.l1.any():
            return self.metric.direction_with_l1(gradient, anchor.seen, self.l1)
        return self.metric.direction(gradient)

    def step_length(self, anchor: Anchor) -> float | None:
        """Return the length of the next step in the metric; None if there is no metric yet."""
        if self.metric is not None:
            return math.sqrt(max(self.metric.square(self.direction(anchor)), 0.0))
        if self._diagonal_metric is None or self.way is not Way.DIAGONAL:
            return None
        return self._proximal_length(anchor)

    def _proximal_length(self, anchor: Anchor) -> float:
        inverse, rate, _ = self._diagonal(anchor.params, self.batch_size(1.0))
        k, p = self.k, self.q - 1
        seen, g = anchor.seen, self.lens.gradient(anchor.raw)
        each = np.concatenate([inverse[: k * p].reshape(k, p), inverse[k * p :, None]], axis=1)
        if not self.problem.fit_intercept:
            each[:, -1] = 0.0
        own = rate * each
        moved = seen - own * g
        weights, steps = moved[:, :-1], own[:, :-1]
        penalty = self.problem.penalty
        for c in range(k):
            for j in np.flatnonzero((steps[c] > 0.0) & (self.unit > 0.0)):
                s = self.unit[j]
                weights[c, j] = penalty.prox(weights[c, j] * s, steps[c, j] * s * s) / s
        step = (moved - seen) / rate
        with np.errstate(divide="ignore", invalid="ignore"):
            return math.sqrt(float(np.where(each > 0.0, step * step / each, 0.0).sum()))

    @property
    def knows_excess(self) -> bool:
        """Whether half the square of the step's length is the objective above its least value."""
        return self.quadratic and self.metric_is_whole and not self.l1.any()

    @property
    def has_optimality(self) -> bool:
        """Whether the length of the step says how near the optimum is: not where slopes jump."""
        return self.smooth or self.bounded

    @property
    def is_narrow(self) -> bool:
        """Whether slopes are averaged over as little as they will ever be."""
        return self.way is Way.DIAGONAL or self.width <= _NARROW * self.score_unit

    def true_objective(self, anchor: Anchor) -> float:
        """Return the objective itself, where an anchor's is that of a smoothed loss."""
        return anchor.objective if self.has_optimality else self.objective(anchor.params)

    def noise(self, anchor: Anchor) -> float:
        """Return what falls of the objective are below what can be told."""
        return _ROUNDING * (abs(anchor.objective) + self.scale_of_loss)

    # ------------------------------------------------------------------ epochs

    def first(self, start: NDArray[np.float64]) -> tuple[Anchor, Step | None]:
        """Return the first anchor: after a plain epoch where that pays, else the start."""
        if not self.starts_plain:
            return self.look(start), None
        before = self.objective(start)
        candidate = self._mini_batches(start, None, self.data.n)
        if candidate is not None:
            anchor = self.look(candidate)
            if anchor.objective <= before:
                return anchor, Step(Way.PLAIN, self.short)
        self.short /= 4.0
        note = "the first epoch's steps were too long for this data: taken back"
        self._fall_back()
        return self.look(start), Step(Way.PLAIN, self.short, note, taken_back=True)

    def objective(self, params: NDArray[np.float64]) -> float:
        """Return the objective at a point; cheap, if no feature has a weight there."""
        k = self.k
        if params[:-k].any():
            loss = mean_loss(self.problem.loss, self.data, params, k)
        else:  # no feature has a say: what is read is targets alone
            loss = mean_loss(self.problem.loss, without_features(self.data), params[-k:].copy(), k)
        return loss + self.problem.penalty_of(params)

    def advance(self, anchor: Anchor) -> tuple[Anchor, Step]:
        """Return the next anchor, whose objective is no higher, and how it was come to."""
        if self.way is Way.NEWTON:
            return self._newton(anchor)
        return self._reduced(anchor)

    def _newton(self, anchor: Anchor) -> tuple[Anchor, Step]:
        """Take a Newton step, shortened until it keeps enough of its promise."""
        if self.metric is None or not (self.quadratic and self.metric_is_whole):
            self.metric = self._newton_metric(anchor.params)
        step = self.direction(anchor)
        gradient = self.gradient(anchor)
        slope = float((gradient * step).sum())
        if self.l1.any():
            there = np.abs(anchor.seen + step) * self.l1
            slope += float((there - np.abs(anchor.seen) * self.l1).sum())
        noise = self.noise(anchor)
        t = 1.0
        for _ in range(_HALVINGS if self.smooth else _FEW_HALVINGS):
            trial = self.look(self.lens.raw(anchor.seen + t * step))
            promised = _ENOUGH * t * min(slope, 0.0)
            if trial.objective <= anchor.objective + promised:
                break
            if trial.objective <= anchor.objective + noise and -slope <= 1e3 * noise:
                break  # what is left to gain is below what can be told
            t /= 2.0
        else:
            return self._no_way_down(anchor)
        note = "" if t > 1e-3 else f"a step was shortened to {t:.1g}"
        self.reach = max(0, self.reach - 1) if t == 1.0 else min(self.reach + 1, _FARTHEST_REACH)
        self._grow(anchor, trial, t)
        self._after_kinks(anchor, trial)
        if self.renew:  # the objective is that of another smoothing now
            trial, self.renew = self.look(trial.params), False
        return trial, Step(Way.NEWTON, t, note)

    def _no_way_down(self, anchor: Anchor) -> tuple[Anchor, Step]:
        if self.reach < _FARTHEST_REACH and not self.smooth:
            self.reach = min(2 * self.reach + 2, _FARTHEST_REACH)
            return anchor, Step(Way.NEWTON, 0.0, taken_back=True)
        if not self.smooth and not self.is_narrow:
            self.width /= _NARROWING
            return self.look(anchor.params), Step(Way.NEWTON, 0.0, taken_back=True)
        self.stuck = True
        return anchor, Step(Way.NEWTON, 0.0)

    def _after_kinks(self, before: Anchor, after: Anchor) -> None:
        """Narrow what slopes are averaged over, once it has done its work."""
        if self.smooth or self.is_narrow:
            return
        if before.objective - after.objective < _FAR * self.gap:
            self.width /= _NARROWING
            self.reach += 2
            self.renew = not self.has_optimality

    def _grow(self, before: Anchor, after: Anchor, t: float) -> None:
        """Take more rows for the metric, if those of the sample do not lead on fast enough."""
        if self.metric is None or self.metric_is_whole:
            return
        was = self.metric.square(self.direction(before))
        now = self.metric.square(self.direction(after))
        if now > _POOR * was and t == 1.0:
            self.more_rows *= 4

    def _reduced(self, anchor: Anchor) -> tuple[Anchor, Step]:
        """Take variance-reduced steps, or steps in a diagonal metric, from an anchor."""
        way = self.way
        if way is Way.REDUCED and (self.metric is None or self.poor):
            self.metric, self._rows = self._step_metric(anchor.params)
            self._inverse = None
        share = getattr(self.problem.optimizer, "share", 0.25)
        candidate = self._mini_batches(anchor.params, anchor, max(1, int(share * self.data.n)))
        trial = None if candidate is None else self.look(candidate)
        noise = self.noise(anchor)
        if trial is None or not trial.objective <= anchor.objective + noise:
            return self._taken_back(anchor)
        step = Step(way, self.short)
        if way is Way.REDUCED and self.metric is not None:
            was = self.metric.square(self.direction(anchor))
            now = self.metric.square(self.direction(trial))
            self.poor = self.poor + 1 if now > _POOR * was else 0
            if self.poor == 1:
                self.more_rows = min(self.more_rows * 2, 8)
            elif self.poor == 2:
                self.short /= 2.0
            elif self.poor > 2 and self._fall_back():
                step = replace(step, note="variance-reduced steps led on slowly: Newton steps now")
        return trial, step

    def _taken_back(self, anchor: Anchor) -> tuple[Anchor, Step]:
        self.short /= 2.0
        self.poor += 1
        note = "steps were too long for this data: taken back, and shortened"
        if self.poor > 1 and self._fall_back():
            note = "steps were too long for this data: taken back; Newton steps now"
        elif self.short < 1e-9:
            self.stuck = True
        return anchor, Step(self.way, self.short, note, taken_back=True)

    def _fall_back(self) -> bool:
        """Go on by Newton steps, if that can be; return whether."""
        if self.way is not Way.REDUCED:
            return False
        if self._pairs() * self.q > _WIDEST + self.k and self.q * self.k > _WIDEST + self.k:
            return False
        self.way = Way.NEWTON
        return True

    # ------------------------------------------------------------------ mini-batches

    def _mini_batches(
        self, start: NDArray[np.float64], anchor: Anchor | None, rows: int
    ) -> NDArray[np.float64] | None:
        """Return the average of mini-batch steps from a point; None if they left the numbers."""
        full = self.way is not Way.DIAGONAL and not self.l1.any()
        if full and self.metric is None:
            self.metric, self._rows = self._step_metric(start)
            self._inverse = None
        seen = self.lens.seen(start)
        params = np.concatenate([seen[:, :-1].reshape(-1), seen[:, -1]])
        average = np.empty_like(params)
        data, k = self.data, self.k
        arrays = (readonly(data.rows), readonly(data.y), readonly(data.sample_weight))
        at = None if anchor is None else readonly(anchor.params)
        raw = np.zeros(params.size) if anchor is None else readonly(anchor.raw)
        fixed = (k, data.rows.tile_rows(), readonly(self.shift), readonly(self.scale))
        longest = math.inf
        if full:
            inverse, length = self._inverses(start)
            batch = self.batch_size(length)
            rate = _SAFE * self.short / (1.0 + length / batch)
            if not self.bounded:
                longest = _LONGEST * math.sqrt(float(self.metric.diagonal()[:, -1].mean()))
            of_metric = (readonly(inverse), readonly(self.ridge))
        else:
            batch = self.batch_size(float(self.q))
            inverse, rate, mean = self._diagonal(start, batch)
            rate *= _SAFE * self.short
            if not self.bounded:
                longest = _LONGEST * math.sqrt(mean)
            of_metric = (readonly(inverse), readonly(self.unit))
        if not self.problem.fit_intercept:
            inverse[..., -1] = 0.0
        order = self._take(rows // batch * batch)
        steps = order.size // batch
        kernel = run_in_full_metric if full else run_in_diagonal_metric
        components = (self.loss,) if full else (self.loss, self.problem.penalty)
        launch(
            kernel, components, *arrays, readonly(order), batch, data.mean_weight, *fixed,
            *of_metric, rate, longest, at, raw, steps // 2, params, average,
        )  # fmt: skip
        self.rate = rate
        self.passes.rows_read += order.size
        if not np.isfinite(average).all():
            return None
        p = self.q - 1
        seen = np.concatenate([average[: k * p].reshape(k, p), average[k * p :, None]], axis=1)
        return self.lens.raw(seen)

    def _take(self, rows: int) -> NDArray[np.uint32]:
        """Return the next rows of the shuffled order, going on from one epoch to the next."""
        n = self.data.n
        epoch, at = divmod(self.done_rows, n)
        if at + rows > n:  # what is left of an order is fewer rows than asked for: the next one
            epoch, at = epoch + 1, 0
        if epoch not in self._orders:
            self._orders = {epoch: self._order(epoch)}
        self.done_rows = epoch * n + at + rows
        return np.asarray(self.data.rows_at(self._orders[epoch][at : at + rows]), np.uint32)

    def _inverses(self, params: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Return the inverse metric, and the mean length of rows in it, long rows counting more."""
        if self._inverse is None:
            assert self.metric is not None  # noqa: S101
            inverse = self.metric.inverses()
            rows = self._rows[:: max(1, self._rows.size // _LENGTH_ROWS)]
            lengths = self.passes.lengths(
                self.problem.loss, params, rows, widths=self.widths, shift=self.shift,
                scale=self.scale, inverse=inverse,
            ) / self.k  # fmt: skip
            total = float(lengths.sum())
            mean = float((lengths * lengths).sum()) / total if total > 0.0 else 1.0
            self._inverse = (inverse, max(mean, 1.0))
        return self._inverse

    def _diagonal(
        self, params: NDArray[np.float64], batch: int
    ) -> tuple[NDArray[np.float64], float, float]:
        """Return a diagonal inverse metric (size,), its safe rate, and the mean curvature."""
        k, p = self.k, self.q - 1
        if self._diagonal_metric is None:
            squares = self.passes.squares(self.problem.loss, params, self.widths)
            bend = squares[k * p :]
            if self.data.rows.__class__.__name__ == "DenseRows":
                own = np.where(self.scale > 0.0, bend[:, None], 0.0)
            else:
                own = squares[: k * p].reshape(k, p) * self.scale**2
            self._diagonal_metric = (own, bend)
        own, bend = self._diagonal_metric
        # A feature that few rows have is seen by few batches: its step must not be that of a
        # feature whose curvature is as small but the same in every batch.
        length = own.sum(axis=1, keepdims=True) + bend[:, None]
        whole = np.concatenate([own, bend[:, None]], axis=1) + length / batch
        with np.errstate(divide="ignore"):
            inverse = np.where(whole > 0.0, 1.0 / whole, 0.0)
        inverse[:, :-1] *= self.scale > 0.0
        flat = np.concatenate([inverse[:, :-1].reshape(-1), inverse[:, -1]])
        return flat, 1.0 / (1.0 + self._largest(inverse[0])), float(bend.mean())

    def _positions(self, rows: int) -> NDArray[np.uint32]:
        """Return evenly spaced positions of rows."""
        return np.linspace(0, self.data.n - 1, rows).astype(np.uint32)

    def _largest(self, inverse: NDArray[np.float64]) -> float:
        """Return the largest curvature in a diagonal metric, by power iteration on a sample."""
        rows = min(self.data.n, 4096)
        part = self.data.select(self._positions(rows))
        part = replace(part, y=np.zeros((self.data.y.shape[0], 1)))
        from gradstep.engine.passes import Passes

        lens = Lens(self.shift, self.scale, 1)
        half = np.sqrt(inverse)
        bend = float(self._diagonal_metric[1].mean())
        x, most = np.ones((1, self.q)), 0.0
        with Passes(part, 1) as passes:
            for _ in range(8):
                x /= math.sqrt(float((x * x).sum()))
                _, raw = passes.gradient(SquaredError(), lens.raw(x * half))
                x = lens.gradient(raw) * half * bend
                size = math.sqrt(float((x * x).sum()))
                most = max(most, size)
                if not size > 0.0:
                    break
        return most
