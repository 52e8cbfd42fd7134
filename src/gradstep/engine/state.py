"""The records of a run: what is fixed (Problem), what evolves (TrainState), what is reported."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.engine.standardisation import Lens

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gradstep.objective.losses import JointLoss, Loss
    from gradstep.objective.penalties import Penalty
    from gradstep.optim.optimizers import Optimizer
    from gradstep.optim.schedules import Schedule
    from gradstep.optim.solvers import SVRG, Exact
    from gradstep.rows.dataset import Dataset

__all__ = ["EpochRecord", "Outcome", "Problem", "TrainState", "Validation"]


@dataclass(frozen=True)
class Problem:
    """What is fixed for a run.

    Attributes
    ----------
    loss, penalty, optimizer, schedule
        The components.
    n_features, n_outputs : int
        The shape of the weights.
    fit_intercept : bool
        Whether each output has an intercept.
    batch_size : int
        Rows of a batch; above the number of rows it means all of them.
    last_batch : {"scale", "mean", "drop"}
        What a short last batch is divided by: `batch_size`, its own size, or it is left out.
    shuffle : {"exact", "blocks", "none"} or callable
        The order of rows (`gradstep.rows.order.order_of`).
    seed : int
        What the order is a function of.
    intercept_factor : float
        What the learning rate of intercepts is multiplied by.
    average_from : int
        Rows to have seen before iterates are averaged; 0 for never.
    max_epochs : int
        Epochs after which a run ends.
    tol : float or None
        Least improvement that counts; None to run all epochs.
    patience : int
        Epochs in a row without improvement after which a run ends.
    center, scale : ndarray of shape (n_features,) or None
        The lens: steps are those behind a StandardScaler with these means and deviations.
    penalty_scales : ndarray of shape (n_features,) or None
        What weights are multiplied by to be penalised; None for ones.
    """

    loss: Loss | JointLoss
    penalty: Penalty
    optimizer: Optimizer | SVRG | Exact
    schedule: Schedule
    n_features: int
    n_outputs: int = 1
    fit_intercept: bool = True
    batch_size: int = 64
    last_batch: str = "scale"
    shuffle: str | Callable[[int, int], Any] = "exact"
    seed: int = 0
    intercept_factor: float = 1.0
    average_from: int = 0
    max_epochs: int = 1000
    tol: float | None = 1e-3
    patience: int = 5
    center: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None
    penalty_scales: NDArray[np.float64] | None = None

    @property
    def size(self) -> int:
        """Number of parameters: weights, then an intercept for each output."""
        return self.n_outputs * (self.n_features + 1)

    def start(
        self,
        coef: NDArray[np.float64] | None = None,
        intercept: NDArray[np.float64] | None = None,
    ) -> TrainState:
        """Return the state before the first step: zeros, or the given weights."""
        raw = np.zeros(self.size)
        n_weights = self.n_outputs * self.n_features
        if coef is not None:
            raw[:n_weights] = np.reshape(coef, -1)
        if intercept is not None:
            raw[n_weights:] = np.reshape(intercept, -1)
        lens = self.lens
        return TrainState(
            start=raw,
            params=raw.copy() if lens is None else lens.standardised(raw),
            slots=np.zeros((self.optimizer.n_slots(), self.size)),
            average=np.zeros(self.size if self.average_from else 0),
            shift=np.zeros(0) if lens is None else lens.shift,
            scale=np.zeros(0) if lens is None else lens.scale,
        )

    @property
    def lens(self) -> Lens | None:
        """The lens that steps are taken behind."""
        if self.scale is None or self.center is None:
            return None
        center = self.center if self.fit_intercept else np.zeros(self.n_features)
        return Lens.through(center, self.scale, self.n_outputs)

    @property
    def penalty_units(self) -> NDArray[np.float64] | None:
        """What the weights that steps are taken on are multiplied by to be penalised."""
        lens = self.lens
        if lens is None:
            return self.penalty_scales
        if self.penalty_scales is None:
            return lens.scale
        seen = lens.scale > 0.0
        if np.array_equal(self.penalty_scales[seen], np.asarray(self.scale)[seen]):
            return None  # one is the inverse of the other
        return self.penalty_scales * lens.scale

    def split(self, params: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weights (n_outputs, n_features) and intercepts (n_outputs,), as views."""
        n_weights = self.n_outputs * self.n_features
        return params[:n_weights].reshape(self.n_outputs, self.n_features), params[n_weights:]

    def penalty_of(self, params: NDArray[np.float64]) -> float:
        """Return the penalty of the weights."""
        coef = self.split(params)[0]
        if self.penalty_scales is not None:
            coef = coef * self.penalty_scales
        with np.errstate(over="ignore", invalid="ignore"):  # weights of a run that has diverged
            try:
                each = self.penalty.value(coef)
            except (TypeError, ValueError):  # a user's own, written for one weight
                each = np.vectorize(self.penalty.value, otypes=[np.float64])(coef)
            return float(np.sum(each))


@dataclass
class TrainState:
    """All that evolves: arrays and numbers, of size O(features times outputs).

    Attributes
    ----------
    start : ndarray of shape (size,)
        The parameters before the first step, in the features' own units.
    params : ndarray of shape (size,)
        Weights of each output, then intercepts; of features seen through the lens, if there is one.
    slots : ndarray of shape (n_slots, size)
        What the optimizer keeps.
    average : ndarray of shape (size,) or (0,)
        Mean of the iterates.
    counters : ndarray of shape (5,)
        Steps taken, rows seen, iterates averaged, sum of the steps' shares of the penalty, and
        what `params` are to be multiplied by (not 1 only in the middle of an epoch).
    sums : ndarray of shape (2,)
        The current epoch's sum of weighted losses and of weights.
    epoch, batch : int
        Epochs done; batches done of the current one.
    rate_factor : float
        What an adaptive schedule has come down to.
    best : float
        The best monitored value so far (larger is better).
    stalled : int
        Epochs in a row without improvement.
    best_score : float
        The best validation score; -inf without any.
    best_params : ndarray or None
        The parameters at the best validation score.
    since : ndarray of int32, shape (n_features + 1,) or (0,)
    clock : ndarray of shape (steps, numbers) or (0, 0)
        In the middle of an epoch with lazy steps (`gradstep.engine.kernels.lazy`): the step up to
        which each feature has been brought, and what the optimizer noted of the steps since.
    behind : ndarray of shape (1 + n_slots, size) or (0, 0)
        At a pause of such an epoch, `params` and `slots` as they were before all features were
        brought up to date: what to go on from.
    shift, scale : ndarray of shape (n_features,) or (0,)
        The lens (`gradstep.engine.standardisation`), if there is one.
    seen : ndarray of shape (3,)
        Of all rows of an incremental run: weighted sum of the losses at score zero, sum of
        weights, number of rows.
    """

    start: NDArray[np.float64]
    params: NDArray[np.float64]
    slots: NDArray[np.float64]
    average: NDArray[np.float64]
    counters: NDArray[np.float64] = field(
        default_factory=lambda: np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    )
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    epoch: int = 0
    batch: int = 0
    rate_factor: float = 1.0
    best: float = -np.inf
    stalled: int = 0
    best_score: float = -np.inf
    best_params: NDArray[np.float64] | None = None
    since: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    clock: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    behind: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    shift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    scale: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    seen: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))

    @property
    def steps(self) -> int:
        """Number of steps taken."""
        return int(self.counters[0])

    def _in_units(self, params: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self.scale.size:
            return params
        return Lens(self.shift, self.scale, params.size // (self.scale.size + 1)).in_units(params)

    def current(self) -> NDArray[np.float64]:
        """Return the model's parameters, in the features' own units: the average once there is one.

        Weights of each output, then intercepts.
        """
        if self.counters[2] > 0:
            return self._in_units(self.average)
        scale = self.counters[4]
        return self._in_units(self.params if scale == 1.0 else self.params * scale)

    def _is_seen_through(self, lens: Lens | None) -> bool:
        """Tell whether the parameters are those behind a lens."""
        if lens is None:
            return not self.scale.size
        same = np.array_equal(self.scale, lens.scale)
        return same and np.array_equal(self.shift, lens.shift)

    def seen_through(self, lens: Lens | None) -> TrainState:
        """Return the same state behind a lens: of a stream, for one, whose statistics grow."""
        if self._is_seen_through(lens):
            return self
        k = self.params.size // (lens.scale.size + 1) if lens is not None else 0
        shift, scale = (lens.shift, lens.scale) if lens is not None else (np.zeros(0),) * 2

        def seen(params: NDArray[np.float64]) -> NDArray[np.float64]:
            raw = self._in_units(params)
            return raw if lens is None else Lens(shift, scale, k).standardised(raw)

        average = seen(self.average) if self.average.size else self.average
        return replace(self, params=seen(self.params), average=average, shift=shift, scale=scale)

    def multiply_scale_in(self) -> None:
        """Make `params` the parameters themselves."""
        if self.counters[4] != 1.0:
            self.params *= self.counters[4]
            self.counters[4] = 1.0

    def copy(self) -> TrainState:
        """Return a state that shares no array with this one."""
        arrays = {
            name: value.copy()
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        return replace(self, **arrays)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Validation:
    """Held-out rows and how predictions on them are judged.

    Attributes
    ----------
    data : Dataset
        The rows.
    score : callable, optional
        From scores (n, n_outputs) to a number, larger is better; by default minus the mean loss.
    stops : bool
        Whether the run ends when the score stops improving (else when the objective does).
    """

    data: Dataset
    score: Callable[[NDArray[np.float64]], float] | None = None
    stops: bool = True


class EpochRecord(NamedTuple):
    """What is known at the end of an epoch.

    Attributes
    ----------
    epoch : int
        Number of the epoch, from 1.
    loss : float
        The running objective: mean loss of each row before the step that it took part in,
        plus the penalty at the end of the epoch. Of rounds, the objective itself at the end.
    validation : float or None
        The validation score, if there are validation rows.
    learning_rate : float
        The rate of the epoch's last step; of rounds, what their steps were shortened to.
    rows_per_second, seconds : float
        Speed, and time since the start of the epoch; validation not included.
    passes : float or None
        Rows read since the run began, a row as often as it was read, over the number of rows;
        None where an epoch is a pass.
    optimality : float or None
        Length of the (proximal) gradient step in the metric, relative to that at the start; None
        where there is no metric.
    excess : float or None
        The objective above its least value, where that is known.
    note : str
        What happened that a person should know: a step taken back, a switch of the method.
    """

    epoch: int
    loss: float
    validation: float | None
    learning_rate: float
    rows_per_second: float
    seconds: float
    passes: float | None = None
    optimality: float | None = None
    excess: float | None = None
    note: str = ""


class Outcome(Enum):
    """How a run ended; the value is a sentence that says so."""

    OPTIMAL = "The optimum was reached: the gradient step became shorter than tol of the first."
    ROUNDING = "The optimum was reached as closely as floating-point numbers allow."
    CONVERGED = (
        "The training objective stopped improving: by less than tol in n_iter_no_change epochs."
    )
    VALIDATION = (
        "The validation score stopped improving: by less than tol in n_iter_no_change epochs."
    )
    MAX_EPOCHS = "All epochs were run: max_iter of them."
    CALLBACK = "A callback asked to stop."
    INTERRUPTED = "The run was interrupted; the model is the best so far."
    PAUSED = "The number of batches or epochs asked for was run."

    @property
    def sentence(self) -> str:
        """The sentence."""
        return self.value

    @property
    def in_short(self) -> str:
        """The sentence up to its colon: without the parameters that decided."""
        return self.value.partition(":")[0].rstrip(".") + "."
