"""The state of the automatic method: all that evolves, and all that its next step depends on.

Arrays and numbers only, of size O(features²) at most. A run that goes on from a written state takes
the same steps, to the bit. A new field belongs in `gradstep.engine.state_check`, too, and
`penalty_path.Path` resets fields by hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from gradstep.engine.automatic.smoothing import Smoothing
from gradstep.engine.state import TrainState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "AutomaticState",
    "Diagonal",
    "Factors",
    "Matrices",
    "Pairs",
    "Progress",
    "Sampling",
    "Snapshot",
]


class Snapshot(NamedTuple):
    """A point where objective and gradient of all rows are known.

    Attributes
    ----------
    params : ndarray of shape (size,)
        Parameters in the features' own units.
    objective : float
        Mean loss (smoothed, if its slope jumps) plus penalty.
    before : float
        The same over the smoothing width of the snapshot before, which it is compared with.
    true : float
        The same without smoothing.
    gradient : ndarray of shape (size,)
        Gradient of the mean loss in the features' own units.
    hessian : ndarray of shape (blocks, p + 1, p + 1) or None
        Of the mean loss, where the next step needs it and this evaluation summed it.
    """

    params: NDArray[np.float64]
    objective: float
    before: float
    true: float
    gradient: NDArray[np.float64]
    hessian: NDArray[np.float64] | None


class Matrices(NamedTuple):
    """What the full preconditioner is made from; changes when a new one is taken.

    Attributes
    ----------
    hessian : ndarray of shape (blocks, p + 1, p + 1)
        Mean Hessian of the loss for standardised features.
    at : ndarray of shape (size,)
        The parameters that it was taken at, in the features' own units.
    whole : bool
        Whether it is summed over all rows, not over a sample.
    """

    hessian: NDArray[np.float64]
    at: NDArray[np.float64]
    whole: bool


class Diagonal(NamedTuple):
    """What the diagonal preconditioner is made from; given up where a matrix takes over.

    Attributes
    ----------
    own : ndarray of shape (k, p)
        Mean second derivative times square of each feature, standardised.
    intercepts : ndarray of shape (k,)
        Mean second derivative of each output.
    """

    own: NDArray[np.float64]
    intercepts: NDArray[np.float64]


class Factors(NamedTuple):
    """Two matrices whose Kronecker product stands for the Hessian of a joint loss of many outputs.

    Attributes
    ----------
    features : ndarray of shape (p + 1, p + 1)
        Mean of x·xᵀ for standardised features x, followed by a 1; taken once.
    outputs : ndarray of shape (k, k)
        Mean Hessian of the loss for the scores, somewhere on the way.
    """

    features: NDArray[np.float64]
    outputs: NDArray[np.float64]


class Pairs(NamedTuple):
    """The pairs (s, y) of L-BFGS: the last steps, and the change of the gradient along each.

    A pair that is multiplied by a number stands for the same second derivative, so all have the
    product sᵀy = 1. And they are kept in single precision, since steps take as long as reading
    them, until one does not keep that product: then all are in double precision.

    Attributes
    ----------
    steps, changes : sequence of ndarray of shape (k, q), float32 or float64
        Steps of the standardised parameters, and changes of their gradient.
    """

    steps: Sequence[NDArray[Any]] = ()
    changes: Sequence[NDArray[Any]] = ()

    def added(
        self, step: NDArray[np.float64], change: NDArray[np.float64], product: float, most: int
    ) -> Pairs:  # fmt: skip
        """Return these pairs with one more, the last `most` of them; arrays are shared.

        `product` is that of the new pair, above zero.
        """
        kept: list[Sequence[NDArray[Any]]] = list(self)
        pair = [np.multiply(each, 1.0 / math.sqrt(product), order="C") for each in (step, change)]
        if len(self.steps) == 0 or self.steps[0].dtype == np.float32:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                s, y = (each.astype(np.float32) for each in pair)
                left = float(np.einsum("ij,ij->", s, y, dtype=np.float64))
            if abs(left - 1.0) < _NEARLY:
                pair = [s, y]
            else:
                kept = [[each.astype(np.float64) for each in part] for part in kept]
        steps, changes = (
            (*part, each)[-most:] for part, each in zip(kept, pair, strict=True)
        )  # fmt: skip
        return Pairs(steps, changes)


class Sampling(NamedTuple):
    """How the sample of a Hessian is drawn.

    Attributes
    ----------
    draws : int
        Samples drawn so far.
    factor : int
        How many times as many rows as usual a sample has.
    pool_draw, pool_rows : int
        The draw that the pool of uneven samples was made for, and its number of rows; 0 for none.
    squares : ndarray of shape (p,) or (0,)
        Mean of h·x² for each feature x, h being the second derivative, where columns are not
        measured; taken once.
    point : ndarray of shape (size,) or (0,)
        Where the second derivatives were taken that the pool's probabilities depend on, if they do.
    """

    draws: int = 0
    factor: int = 1
    pool_draw: int = 0
    pool_rows: int = 0
    squares: NDArray[np.float64] = np.zeros(0)
    point: NDArray[np.float64] = np.zeros(0)

    def at(self, params: NDArray[np.float64]) -> Sampling:
        """Let the next samples be drawn by the second derivatives at a point, from a new pool."""
        return self._replace(pool_draw=0, pool_rows=0, point=params)


class Progress(NamedTuple):
    """How far a run has come; changes every epoch.

    Attributes
    ----------
    at_start, last, highest : float
        The objective at the start, after the last epoch, and the highest after any epoch.
    offset : float
        How far scores lie from zero at the start, in units of scores.
    gained : float
        Decrease of the objective in the last epoch.
    noise : float
        The decrease of the objective below which rounding hides it.
    stalls : int
        Epochs in a row that gained nothing.
    length : float
        Length of the next step, √(dᵀMd), M being the preconditioner; NaN if it is not known.
    optimality : float
        That length divided by the first step's; NaN if it is not known.
    recent : ndarray of shape (max(patience, 10) + 1,) at most
        The objective after the last epochs.
    """

    at_start: float = math.nan
    last: float = math.nan
    highest: float = -math.inf
    offset: float = 0.0
    gained: float = math.inf
    noise: float = 0.0
    stalls: int = 0
    length: float = math.nan
    optimality: float = math.nan
    recent: NDArray[np.float64] = np.zeros(0)


# How near 1 the product of a pair stays where single precision is enough for it.
_NEARLY = 1e-6
_OF_ALL_METHODS = tuple(each.name for each in fields(TrainState))


@dataclass
class AutomaticState(TrainState):
    """The state of a run from snapshot to snapshot; `params` are the best so far.

    Attributes
    ----------
    snapshot : Snapshot or None
        Where the run is; None before the first evaluation.
    kind : int
        The `StepKind` that the rules chose for this run; -1 before the first epoch.
    least : float
        The least objective so far, that of `params`.
    rejected : bool
        Whether the last epoch's step was rejected, so that the snapshot has stayed the same.
    stuck : bool
        Whether no step leads down any more.
    poor : int
        Quasi-Newton epochs in a row, not in a diagonal, that have not halved the step's length
        (`QuadraticModel.is_poor`); of Newton steps, whether the last one has not led far.
    step_factor : float
        What mini-batch steps have been shortened to.
    rate : float
        What the last step was multiplied by; 1 if it was taken whole.
    rows_done, rows_read : int
        Rows of the shuffled order that mini-batches have taken; rows read in all.
    narrowing : bool
        Whether the next evaluation uses a narrower smoothing width.
    gap : float
        What smoothing adds to the objective at the snapshot: `objective - true`.
    smoothing, sampling, matrices, factors, diagonal, pairs, progress
        The records above and that of `smoothing`; `matrices`, `factors` and `diagonal` are None
        until taken.
    matrices_of_snapshot : bool
        Whether the Hessian of the snapshot is the preconditioner's.
    """

    snapshot: Snapshot | None = None
    kind: int = -1
    least: float = math.nan
    rejected: bool = False
    stuck: bool = False
    poor: int = 0
    step_factor: float = 1.0
    rate: float = 1.0
    rows_done: int = 0
    rows_read: int = 0
    narrowing: bool = False
    gap: float = math.inf
    smoothing: Smoothing = Smoothing(math.nan, math.nan)  # noqa: RUF009  (never written to)
    sampling: Sampling = field(default_factory=Sampling)
    matrices: Matrices | None = None
    matrices_of_snapshot: bool = False
    factors: Factors | None = None
    diagonal: Diagonal | None = None
    pairs: Pairs = field(default_factory=Pairs)
    progress: Progress = field(default_factory=Progress)

    RECORDS: ClassVar[dict[str, type]] = {
        "snapshot": Snapshot,
        "smoothing": Smoothing,
        "sampling": Sampling,
        "matrices": Matrices,
        "factors": Factors,
        "diagonal": Diagonal,
        "pairs": Pairs,
        "progress": Progress,
    }

    @classmethod
    def of(cls, state: TrainState) -> Self:
        """Return a state of this method that shares no array: itself, or one that begins there."""
        if isinstance(state, cls):
            return state.copy()
        common = {name: getattr(state, name) for name in _OF_ALL_METHODS}
        best = state.best_params
        return cls(**common).changed(
            start=state.start.copy(), params=state.current().copy(),
            best_params=None if best is None else best.copy(),
        )  # fmt: skip

    @property
    def has_preconditioner(self) -> bool:
        """Whether what a preconditioner is made from has been taken."""
        return any(each is not None for each in (self.matrices, self.factors, self.diagonal))

    @property
    def at(self) -> Snapshot:
        """The snapshot, once there is one."""
        assert self.snapshot is not None  # noqa: S101
        return self.snapshot

    def accepted(self, snapshot: Snapshot, rate: float) -> Self:
        """Return the state at another snapshot, that a step of this length has led to."""
        return self.changed(
            snapshot=snapshot, matrices_of_snapshot=False, rejected=False, rate=rate
        )

    def narrowed_if_due(self) -> Self:
        """Return the state with a narrower smoothing width, if `narrowing` says so."""
        if not self.narrowing:
            return self
        return self.changed(smoothing=self.smoothing.narrowed(), narrowing=False)

    @property
    def decrease(self) -> float:
        """How far the objective has come down since the start."""
        return max(self.progress.at_start - self.least, 0.0)
