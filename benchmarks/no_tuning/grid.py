"""The fewest epochs that plain SGD needs, at the best of a grid of rates and batch sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.no_tuning.fits import estimator, fit
from benchmarks.no_tuning.high_precision import digest, digest_of
from benchmarks.no_tuning.losses import LOG_LINEAR
from gradstep.errors import Diverged

if TYPE_CHECKING:
    from benchmarks.no_tuning.high_precision import Keeper
    from benchmarks.no_tuning.objective import Objective

BATCHES = (16, 64, 256)
# Nine rates, half a decade apart, around that of the mean row: 1 / (curvature · (1 + mean ‖x‖²)).
FACTORS = tuple(10.0 ** (half / 2.0) for half in (0, -1, 1, -2, 2, -3, 3, -4, 4))
CURVATURE = {"log_loss": 0.25, "squared_hinge": 2.0, "modified_huber": 2.0}
LEAST_CAP, MOST_CAP, CELLS = 60, 300, 1_000_000_000


class Best(NamedTuple):
    """The fewest epochs, and at which rate and batch; None if no point of the grid arrives."""

    epochs: int | None
    rate: float
    batch: int


class _Until:
    """A callback that ends a run at the target, or when it has plainly left."""

    def __init__(self, objective: Objective, target: float) -> None:
        self.objective, self.target = objective, target
        self.arrived: int | None = None

    def on_epoch_end(self, event: Any) -> bool:
        """Evaluate the objective of all rows."""
        o = self.objective
        value = o.value(*o.split(event.state.current()))
        if value <= self.target:
            self.arrived = event.record.epoch
        return value <= self.target or not value - o.floor < 1e3 * (o.of_constant - o.floor)


def cap(cells: int) -> int:
    """Return how many epochs a point of the grid is given; cells: rows times weights."""
    return int(np.clip(CELLS // cells, LEAST_CAP, MOST_CAP))


def usual_rate(objective: Objective) -> float:
    """Return 1 / (curvature · (1 + mean ‖x‖²)), the middle of the grid."""
    o = objective
    spread = float(np.sqrt(o.row_weights @ (o.y - o.row_weights @ o.y) ** 2)) or 1.0
    curve = CURVATURE.get(o.loss, 2.0 if o.loss.startswith("squared_eps") else 1.0)
    if o.loss in {"pinball", "epsilon_insensitive"}:
        curve = 1.0 / spread  # a slope of 1 that goes a deviation of the targets far
    elif o.loss == "huber":
        curve = min(1.0, 0.1 / spread)
    elif o.loss in LOG_LINEAR:
        power = {"poisson": 1.0, "gamma": 2.0, "tweedie": 1.5}[o.loss]
        curve = float(o.row_weights @ o.y) ** (2.0 - power)
    elif o.joint:
        curve = 0.5
    return 1.0 / (curve * (1.0 + float(o.row_weights @ (o.X**2).sum(axis=1))))


def fewest_epochs(objective: Objective, target: float, keeper: Keeper) -> Best:
    """Search the grid; `objective` is on standardised columns, its penalty on their weights."""
    key = f"grid-{digest(digest_of(objective), FACTORS, BATCHES)}"
    kept = keeper.get(key)
    if kept is None:
        kept = list(_search(objective, target))
        keeper.put(key, kept)
    return Best(*kept)


def _search(objective: Objective, target: float) -> Best:
    best, most = Best(None, 0.0, 0), cap(objective.X.size * objective.k)
    middle = usual_rate(objective)
    for batch in BATCHES:
        for factor in FACTORS:
            if most < 1:
                return best
            arrived = _epochs(objective, target, middle * factor, batch, most)
            if arrived is not None:
                best, most = Best(arrived, middle * factor, batch), arrived - 1
    return best


def _epochs(objective: Objective, target: float, rate: float, batch: int, most: int) -> int | None:
    until = _Until(objective, target)
    model = estimator(
        objective,
        learning_rate=rate,
        batch_size=batch,
        optimizer="sgd",
        penalty_scale="unit",
        tol=None,
        max_iter=most,
        callbacks=[until],
    )
    try:
        fit(model, objective)
    except Diverged:
        return None
    return until.arrived
