"""What is fixed for a run (Problem, Validation), and what evolves (a state for each method)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from gradstep.engine.average_path import AveragePath, path_of
from gradstep.engine.records import Outcome
from gradstep.engine.standardisation import Standardisation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gradstep.engine.constraints import Constraints
    from gradstep.objective.losses import JointLoss, Loss
    from gradstep.objective.penalties import Penalty
    from gradstep.optim.optimizers import Optimizer
    from gradstep.optim.schedules import Schedule
    from gradstep.optim.solvers import SVRG, Exact
    from gradstep.rows.dataset import Dataset

__all__ = ["Problem", "TextbookState", "TrainState", "Validation"]

# What has no numbers may be shared.
_NONE, _NO_MATRIX, _NO_STEPS = np.zeros(0), np.zeros((0, 0)), np.zeros(0, np.int32)


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
        The order of rows is a function of it and of the epoch.
    intercept_factor : float
        The learning rate of intercepts is multiplied by this.
    average_from : int
        Iterates are averaged once so many rows have been seen; 0 for never.
    max_epochs : int
        Epochs after which a run ends.
    tol : float or None
        Smallest improvement that counts; None to run all epochs.
    patience : int
        Epochs in a row without improvement after which a run ends.
    center, scale : ndarray of shape (n_features,) or None
        Means and deviations; steps are those after a StandardScaler with these.
    penalty_scales : ndarray of shape (n_features,) or None
        Weights are multiplied by these before they are penalised; None for ones.
    constraints : Constraints or None
        Constraints on the coefficients of a single output; steps of mini-batches keep to bounds.
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
    constraints: Constraints | None = None

    @property
    def size(self) -> int:
        """Number of parameters: weights, then an intercept for each output."""
        return self.n_outputs * (self.n_features + 1)

    def start(
        self,
        coef: NDArray[np.float64] | None = None,
        intercept: NDArray[np.float64] | None = None,
    ) -> TextbookState:
        """Return the state before the first step: zeros, or the given weights."""
        raw = np.zeros(self.size)
        n_weights = self.n_outputs * self.n_features
        if coef is not None:
            raw[:n_weights] = np.reshape(coef, -1)
        if intercept is not None:
            raw[n_weights:] = np.reshape(intercept, -1)
        how = self.standardisation
        return TextbookState(
            start=raw,
            params=raw.copy() if how is None else how.flat(raw),
            slots=np.zeros((self.optimizer.n_slots(), self.size)),
            average=np.zeros(self.size) if self.average_from else _NONE,
            shift=_NONE if how is None else how.shift,
            scale=_NONE if how is None else how.scale,
            path=path_of(self),
        )

    @cached_property
    def standardisation(self) -> Standardisation | None:
        """How features are standardised for the steps; None if they are not."""
        if self.scale is None or self.center is None:
            return None
        center = self.center if self.fit_intercept else np.zeros(self.n_features)
        return Standardisation.of(center, self.scale, self.n_outputs)

    @property
    def penalty_units(self) -> NDArray[np.float64] | None:
        """Factors of the weights before they are penalised, for features as steps see them."""
        how = self.standardisation
        if how is None:
            return self.penalty_scales
        if self.penalty_scales is None:
            return how.scale
        if self.penalty_scales is self.scale and how.has_all:
            return None
        there = how.scale > 0.0
        if np.array_equal(self.penalty_scales[there], np.asarray(self.scale)[there]):
            return None  # the two scales cancel
        return self.penalty_scales * how.scale

    def split(self, params: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weights (n_outputs, n_features) and intercepts (n_outputs,), as views."""
        n_weights = self.n_outputs * self.n_features
        return params[:n_weights].reshape(self.n_outputs, self.n_features), params[n_weights:]

    def penalty_of(self, params: NDArray[np.float64]) -> float:
        """Return the penalty of the weights."""
        with np.errstate(over="ignore", invalid="ignore"):  # weights of a run that has diverged
            return self.penalty_as_it_is(params)

    def penalty_as_it_is(self, params: NDArray[np.float64]) -> float:
        """Return the same where overflow is ignored anyway."""
        coef = self.split(params)[0]
        if self.penalty_scales is not None:
            coef = coef * self.penalty_scales
        try:
            each = self.penalty.value(coef)
        except (TypeError, ValueError):  # a user's own penalty, written for a single weight
            each = np.vectorize(self.penalty.value, otypes=[np.float64])(coef)
        return float(np.add.reduce(each, axis=None))


@dataclass(kw_only=True)
class TrainState:
    """What evolves in a run of any method: arrays and numbers, and all that the next step needs.

    Each method has a record of its own, with these fields and more: `TextbookState` here, and
    `gradstep.engine.automatic.state.AutomaticState`.

    Attributes
    ----------
    start : ndarray of shape (size,)
        The parameters before the first step, in the features' own units.
    params : ndarray of shape (size,)
        The weights of each output, then all intercepts.
    epoch : int
        Number of epochs done.
    best : float
        The best monitored value so far (larger is better).
    stalled : int
        Epochs in a row without improvement.
    best_score : float
        The best validation score; -inf without any.
    best_params : ndarray or None
        The parameters at the best validation score.
    restarts : int
        How often the run was started again with a shorter step (`gradstep.engine.restart`).
    """

    start: NDArray[np.float64]
    params: NDArray[np.float64]
    epoch: int = 0
    best: float = -np.inf
    stalled: int = 0
    best_score: float = -np.inf
    best_params: NDArray[np.float64] | None = None
    restarts: int = 0

    RECORDS: ClassVar[dict[str, type]] = {}

    @property
    def steps(self) -> int:
        """Number of mini-batch steps taken; 0 where steps are not counted."""
        return 0

    @property
    def averaged(self) -> bool:
        """Whether the model is a mean of iterates."""
        return False

    def current(self) -> NDArray[np.float64]:
        """Return the model's parameters in the features' own units: weights, then intercepts."""
        return self.params

    def changed(self, **fields: Any) -> Self:
        """Return the same state with other values of some fields: a quick `dataclasses.replace`."""
        other = object.__new__(type(self))
        other.__dict__ = vars(self) | fields
        assert len(vars(other)) == len(vars(self)), fields.keys()  # noqa: S101  (no other field)
        return other

    def copy(self) -> Self:
        """Return a copy; neither state writes to an array of the other."""
        arrays = {
            name: value.copy()
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        return self.changed(**arrays)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays by name; a field of a record is named ``record.field``."""
        found: dict[str, NDArray[Any]] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            named = {each.name: value}
            if each.name in self.RECORDS and value is not None:
                named = {f"{each.name}.{k}": v for k, v in value._asdict().items()}
            found |= {name: np.array(v) for name, v in named.items() if v is not None}
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the state from the arrays of `to_arrays`."""
        values: dict[str, Any] = {}
        for each in fields(cls):
            if each.name not in cls.RECORDS:
                if each.name in arrays:
                    values[each.name] = _value(arrays[each.name])
                continue
            record = cls.RECORDS[each.name]
            own = {
                name: _value(arrays[key]) if (key := f"{each.name}.{name}") in arrays else None
                for name in record._fields  # type: ignore[attr-defined]
            }
            whole = record(**own) if any(v is not None for v in own.values()) else None
            values[each.name] = whole
        return cls(**values)


def _value(array: NDArray[Any]) -> Any:
    """Return a copy of an array, or its number if it is one."""
    return array.item() if array.ndim == 0 else np.array(array)


@dataclass(kw_only=True)
class TextbookState(TrainState):
    """What evolves in a run of mini-batches; its size is O(features · outputs).

    Attributes
    ----------
    slots : ndarray of shape (n_slots, size)
        What the optimizer keeps.
    average : ndarray of shape (size,) or (0,)
        Mean of the iterates.
    counters : ndarray of shape (5,)
        Steps taken, rows seen, iterates averaged, sum of the steps' shares of the penalty, and
        the factor that `params` have still to be multiplied by (1 except within an epoch).
    sums : ndarray of shape (2,)
        The current epoch's sum of weighted losses and of weights.
    batch : int
        Batches done of the current epoch.
    rate_factor : float
        What an adaptive schedule multiplies its rates by now.
    since : ndarray of int32, shape (n_features + 1,) or (0,)
    clock : ndarray of shape (steps, numbers) or (0, 0)
        Within an epoch with lazy steps (`gradstep.engine.kernels.lazy`): the last step that each
        feature has taken, and what the optimizer noted of the steps since.
    behind : ndarray of shape (1 + n_slots, size) or (0, 0)
        At a pause of such an epoch: `params` and `slots` from before all features were brought up
        to date. The run goes on from these.
    shift, scale : ndarray of shape (n_features,) or (0,)
        How the features of `params` are standardised, if they are.
    seen : ndarray of shape (3,)
        Over all rows of an incremental run: the weighted sum of the losses at score zero, the sum
        of weights, the number of rows.
    path : AveragePath or None
        What is kept of the path of averages, for random scaling.
    """

    slots: NDArray[np.float64]
    average: NDArray[np.float64]
    counters: NDArray[np.float64] = field(
        default_factory=lambda: np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    )
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    batch: int = 0
    rate_factor: float = 1.0
    since: NDArray[np.int32] = field(default_factory=lambda: _NO_STEPS)
    clock: NDArray[np.float64] = field(default_factory=lambda: _NO_MATRIX)
    behind: NDArray[np.float64] = field(default_factory=lambda: _NO_MATRIX)
    shift: NDArray[np.float64] = field(default_factory=lambda: _NONE)
    scale: NDArray[np.float64] = field(default_factory=lambda: _NONE)
    seen: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    path: AveragePath | None = None

    RECORDS: ClassVar[dict[str, type]] = {"path": AveragePath}

    @property
    def steps(self) -> int:
        """Number of steps taken."""
        return int(self.counters[0])

    @property
    def averaged(self) -> bool:
        """Whether the model is a mean of iterates."""
        return bool(self.counters[2] > 0)

    def _in_units(self, params: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self.scale.size:
            return params
        k = params.size // (self.scale.size + 1)
        return Standardisation(self.shift, self.scale, k).flat_in_units(params)

    def current(self) -> NDArray[np.float64]:
        """Return the model's parameters, in the features' own units: the average once there is one.

        Weights of each output, then intercepts.
        """
        if self.averaged:
            return self._in_units(self.average)
        scale = self.counters[4]
        return self._in_units(self.params if scale == 1.0 else self.params * scale)

    def standardised(
        self, how: Standardisation | None, shown: NDArray[np.float64] | None = None
    ) -> TextbookState:
        """Return the same state for another standardisation: statistics of a stream change.

        `shown` is what `current` returns, if that is known.
        """
        if not self.scale.size if how is None else how.is_by(self.shift, self.scale):
            return self
        if shown is None or self.averaged or self.counters[4] != 1.0:
            shown = self._in_units(self.params)
        average = self._in_units(self.average) if self.average.size else self.average
        if how is None:
            return self.changed(params=shown, average=average, shift=_NONE, scale=_NONE)
        average = how.flat(average) if average.size else average
        return self.changed(
            params=how.flat(shown), average=average, shift=how.shift, scale=how.scale
        )  # fmt: skip

    def multiply_scale_in(self) -> None:
        """Multiply `params` by the factor in `counters`, which is 1 afterwards."""
        if self.counters[4] != 1.0:
            self.params *= self.counters[4]
            self.counters[4] = 1.0


@dataclass(frozen=True)
class Validation:
    """Held-out rows and how predictions on them are scored.

    Attributes
    ----------
    data : Dataset
        The rows.
    score : callable, optional
        From scores (n, n_outputs) to a number, larger is better; by default minus the mean loss.
    stops : bool
        Whether the run ends when the score stops improving (else when the objective does).
    keeps : bool
        Whether the parameters of the best score are the model's (else those of the last epoch).
    keeps_optimum : bool
        Whether the optimum, where a run ends there, is the model's whatever its score.
    """

    data: Dataset
    score: Callable[[NDArray[np.float64]], float] | None = None
    stops: bool = True
    keeps: bool = True
    keeps_optimum: bool = False

    def takes_last(self, outcome: Outcome | None) -> bool:
        """Tell whether a run that ended so has its last parameters, whatever the scores were."""
        return self.keeps_optimum and outcome is Outcome.OPTIMAL
