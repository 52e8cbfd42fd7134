"""What is fixed for each run: one loss and one penalty on one table, steps as a trial says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.fit.components import optimizer_of
from gradstep.fit.plan import plan
from gradstep.optim.automatic import stable_rate
from gradstep.rows.dataset import mean_square_norm, score_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.comparing.trials import Trial
    from gradstep.fit.plan import Plan, Settings
    from gradstep.optim.automatic import Rate
    from gradstep.rows.dataset import Dataset

__all__ = ["Compared", "Units", "automatic_plan", "plan_of", "units_of"]

_TOL = 1e-10  # of the automatic method's first step: what others are measured by


@dataclass(frozen=True)
class Units:
    """How columns were stored, x ↦ (x - mean) / scale, so that steps can be taken on them as given.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
        0 and 1 for levels and the like.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def change(self) -> bool:
        """Whether any column was stored otherwise than it is."""
        return bool((self.mean != 0.0).any() or (self.scale != 1.0).any())


def units_of(encoding: Any) -> Units:
    """Return how the columns of a prepared table were stored."""
    scale, mean = encoding.stored_in(), np.zeros(encoding.n_features)
    numbers = getattr(encoding, "numbers", [])  # sparse text is scaled alone
    mean[: len(numbers)] = [each.mean for each in numbers]
    return Units(mean, scale)


@dataclass(frozen=True)
class Compared:
    """What all runs have in common.

    Attributes
    ----------
    settings : Settings
        But for what a trial says.
    loss : Loss
        What is minimised.
    data : Dataset
        The training rows.
    k : int
        Number of outputs.
    units : Units or None
        How columns were stored; None where they were not.
    standardised : bool
        Whether steps are those behind a StandardScaler; else on the columns as they are.
    """

    settings: Settings
    loss: Any
    data: Dataset
    k: int
    units: Units | None
    standardised: bool

    @property
    def stored_in(self) -> NDArray[np.float64] | None:
        """What numbers were divided by."""
        return None if self.units is None else self.units.scale


def plan_of(of: Compared, trial: Trial) -> Plan:
    """Return what is fixed for a trial."""
    settings = replace(
        of.settings,
        batch_size=trial.rows_of_batch(of.data),
        optimizer=trial.optimizer,
        learning_rate=trial.learning_rate,
        shuffle=_order(trial.shuffle),
        precondition=of.standardised,
    )
    as_given = not of.standardised and of.units is not None and of.units.change
    rate = _rate_as_given(of, trial) if as_given and isinstance(trial.learning_rate, str) else None
    made = plan(settings, of.loss, of.data, of.k, stored_in=of.stored_in, rate=rate)
    if not as_given:
        return made
    assert of.units is not None  # noqa: S101
    mean, scale = of.units.mean, of.units.scale
    # stored ↦ (stored + mean / scale)·scale, which is the column
    return replace(made, problem=replace(made.problem, center=-mean / scale, scale=1.0 / scale))


def automatic_plan(of: Compared) -> Plan:
    """Return what is fixed for the automatic method on the same problem."""
    settings = replace(
        of.settings, optimizer="svrg", learning_rate="auto", batch_size="auto",
        precondition="auto", tol=_TOL, max_iter=1000, shuffle=True,
    )  # fmt: skip
    return plan(settings, of.loss, of.data, of.k, stored_in=of.stored_in)


def _order(shuffle: Any) -> Any:
    """Return an order of rows as settings have it."""
    return {"exact": True, "none": False}.get(shuffle, shuffle)


def _rate_as_given(of: Compared, trial: Trial) -> Rate:
    """Return the rate that is stable for columns as they are: stored ones have deviation 1."""
    assert of.units is not None  # noqa: S101
    numbers = (of.units.mean != 0.0) | (of.units.scale != 1.0)
    larger = of.units.scale**2 + of.units.mean**2 - 1.0
    square = mean_square_norm(of.data) + float(larger[numbers].sum())
    sample = of.data.sample()
    mean = float(np.average(sample.targets().mean(axis=1), weights=sample.weights()))
    unit = score_unit(of.loss, of.data) if trial.learning_rate == "auto" else 1.0
    return stable_rate(optimizer_of(trial.optimizer), of.loss, square, mean, unit)
