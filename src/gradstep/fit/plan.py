"""The plan of a fit: from its settings to the fixed part of a run, with a value for each "auto"."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gradstep.engine.state import Problem
from gradstep.errors import InvalidParameter
from gradstep.fit.components import optimizer_of, penalty_of, schedule_of
from gradstep.fit.constraints import bounds_of, check_constraints
from gradstep.objective.losses import has_optimum, is_quadratic, slope
from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty
from gradstep.objective.regression import SquaredError
from gradstep.optim.automatic import Rate, depends_on_unit, stable_rate
from gradstep.optim.schedules import Adaptive, Constant
from gradstep.optim.solvers import Exact, is_automatic
from gradstep.rows.dataset import mean_square_norm, score_unit
from gradstep.rows.layouts import DenseRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.rows.dataset import Dataset
    from gradstep.rows.statistics import Columns

__all__ = [
    "Plan",
    "Settings",
    "batch_size_of",
    "checked_optimizer",
    "is_auto",
    "plan",
    "with_moments",
]

# Features of which statistics are a part that counts of what products of features take.
_MOST_FEATURES = 256
_PENALTIES = (NoPenalty, L1, L2, ElasticNet)  # under which one step ends there

# Rows of a batch by default: a hundredth of all rows, but no more than 64 and no fewer than 8.
_BATCH = 64
_LEAST_BATCH, _BATCHES = 8, 100


def is_auto(value: Any) -> bool:
    """Tell whether a parameter is left to gradstep."""
    return isinstance(value, str) and value == "auto"


@dataclass(frozen=True)
class Settings:
    """How to fit: the parameters of `MiniBatchRegressor`, and the seed."""

    penalty: Any = "l2"
    alpha: float = 1e-4
    l1_ratio: float | None = 0.15
    fit_intercept: bool = True
    max_iter: int = 1000
    tol: float | None = 1e-3
    shuffle: Any = True
    learning_rate: Any = "auto"
    eta0: float | None = None
    power_t: float = 0.25
    n_iter_no_change: int = 5
    average: bool | int = False
    batch_size: int | str = "auto"
    optimizer: Any = "auto"
    precondition: bool | str = "auto"
    last_batch: str = "scale"
    penalty_scale: str = "deviation"
    bounds: Any = None
    seed: int = 0

    @classmethod
    def of(cls, estimator: Any) -> Self:
        """Return the parameters of an estimator."""
        given = {name: getattr(estimator, name) for name in _of_estimators()}
        return cls(**given, seed=estimator.seed_)


@cache
def _of_estimators() -> tuple[str, ...]:
    """Return the settings that estimators have as parameters."""
    return tuple(each.name for each in fields(Settings) if each.name != "seed")


@dataclass(frozen=True)
class Plan:
    """What a fit is going to do.

    Attributes
    ----------
    problem : Problem
        The fixed part of the run.
    columns : Columns or None
        Statistics of the columns, if the problem uses them.
    rate : Rate or None
        The learning rate, chosen or given; None if none is used.
    """

    problem: Problem
    columns: Columns | None
    rate: Rate | None


def plan(
    settings: Settings,
    loss: Any,
    data: Dataset,
    n_outputs: int,
    *,
    incremental: bool = False,
    earlier: Columns | None = None,
    stored_in: NDArray[np.float64] | None = None,
    rate: Rate | None = None,
) -> Plan:
    """Return the plan of a fit.

    Parameters
    ----------
    settings : Settings
        The parameters.
    loss : Loss
        What is minimised.
    data : Dataset
        The training rows.
    n_outputs : int
        Number of outputs.
    incremental : bool
        Whether the rows are one part of a stream.
    earlier : Columns, optional
        Statistics of the parts before.
    stored_in : ndarray of shape (n_features,), optional
        What the columns' numbers were divided by when they were stored, if they come from a
        prepared table.
    rate : Rate, optional
        The learning rate that was chosen for an earlier part.
    """
    auto = is_auto(settings.learning_rate)
    optimizer = checked_optimizer(settings, loss, incremental=incremental)
    automatic = is_automatic(optimizer)
    penalty = penalty_of(settings.penalty, {"alpha": settings.alpha, "l1_ratio": settings.l1_ratio})
    by_deviation = settings.penalty_scale == "deviation" and not isinstance(penalty, NoPenalty)
    # 'optimal' gets the length of its steps from the penalty, and so their unit
    by_itself = auto or (settings.learning_rate == "optimal" and by_deviation)
    standardised = not automatic and (
        by_itself if is_auto(settings.precondition) else settings.precondition
    )
    batch_size = batch_size_of(settings, data.n, automatic=automatic)
    columns = None
    if automatic or standardised or by_deviation:
        from gradstep.engine.statistics import columns_of  # imports Numba

        columns = columns_of(data)
        if earlier is not None:
            columns = earlier.merged(columns)
            if optimizer.n_slots():  # its slots are in the units of the first part
                columns = earlier.kept(columns)
    center = scale = None
    if standardised and columns is not None and columns.measured:
        center = columns.mean if settings.fit_intercept else np.zeros_like(columns.mean)
        scale = columns.deviation if settings.fit_intercept else columns.length
        if settings.bounds is not None:  # a constant column's coefficient has them, too
            scale = np.where(scale > 0.0, scale, 1.0)
    if rate is None:
        rate = _rate(settings, loss, optimizer, data, scale)
    shuffle: Any = settings.shuffle
    if isinstance(shuffle, (bool, np.bool_)):
        shuffle = "exact" if shuffle else "none"
    if (incremental or automatic) and shuffle == "blocks":
        shuffle = "exact"  # a permuted copy would be used for one epoch, or parts of some
    problem = Problem(
        loss=loss,
        penalty=penalty,
        optimizer=optimizer,
        schedule=_schedule(
            settings,
            loss,
            rate,
            min(batch_size, data.n),
            automatic=automatic,
            incremental=incremental,
        ),
        n_features=data.rows.n_features,
        n_outputs=n_outputs,
        fit_intercept=bool(settings.fit_intercept),
        intercept_factor=rate.intercept_factor if rate else 1.0,
        batch_size=batch_size,
        last_batch=settings.last_batch,
        shuffle=shuffle,
        seed=settings.seed,
        average_from=int(settings.average),
        max_epochs=int(settings.max_iter),
        tol=settings.tol,
        patience=int(settings.n_iter_no_change),
        center=center,
        scale=scale,
        penalty_scales=_penalty_scales(settings, penalty, columns, stored_in),
        constraints=bounds_of(settings.bounds, data.rows.n_features, stored_in),
    )
    check_constraints(problem)
    return Plan(problem, columns, rate)


def with_moments(settings: Settings, loss: Any, data: Dataset, n_outputs: int) -> Dataset:
    """Return rows with statistics and moments, if these are all that a fit takes of the rows.

    That is least squares of so few features, or so little data, that one Newton step solves it.
    """
    plain = type(loss) is SquaredError and n_outputs == 1
    if not plain or not isinstance(data.rows, DenseRows) or data.columns is not None:
        return data
    known = {"alpha": settings.alpha, "l1_ratio": settings.l1_ratio}
    if type(penalty_of(settings.penalty, known)) not in _PENALTIES:
        return data
    if not is_automatic(checked_optimizer(settings, loss, incremental=False)):
        return data
    from gradstep.engine.automatic.choice import is_cheap  # imports Numba
    from gradstep.engine.moments import measured_with_moments

    n, p = data.n, data.rows.n_features
    taken = p <= _MOST_FEATURES and n > p + 1 and is_cheap(n, p)
    return measured_with_moments(data) if taken else data


def _penalty_scales(
    settings: Settings, penalty: Any, columns: Columns | None, stored_in: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    """Return the factors of the weights before they are penalised; None for ones."""
    if isinstance(penalty, NoPenalty):
        return None
    if settings.penalty_scale == "unit":
        return None if stored_in is None else 1.0 / stored_in
    return columns.scale if columns is not None and columns.measured else None


def checked_optimizer(settings: Settings, loss: Any, *, incremental: bool = False) -> Any:
    """Return the optimizer; by default SVRG with the automatic rate, and SGD with any other.

    This needs no data, so that a combination can be refused before any is read.

    Raises
    ------
    InvalidParameter
        If the optimizer, the learning rate and the loss do not go together.
    """
    auto = is_auto(settings.learning_rate)
    if auto and settings.eta0 is not None:
        msg = (
            f"eta0={settings.eta0!r} has no meaning with learning_rate='auto', which follows from "
            "the data. Leave it out, or name a schedule that starts from it "
            "(learning_rate='constant')."
        )
        raise InvalidParameter(msg)
    if is_auto(settings.optimizer):
        return optimizer_of("svrg" if auto and has_optimum(loss) and not incremental else "sgd")
    optimizer = optimizer_of(settings.optimizer)
    if not is_automatic(optimizer):
        return optimizer
    name = type(optimizer).__name__.lower()
    if not has_optimum(loss):
        msg = (
            f"optimizer={name!r} goes to the least loss, and the perceptron's is that of no "
            "weights at all: the steps on mistakes make the model. Use optimizer='auto', which is "
            "'sgd' for this loss, or loss='hinge'."
        )
        raise InvalidParameter(msg)
    if incremental:
        msg = (
            f"optimizer={name!r} reads all rows again and again, which partial_fit cannot: use "
            "optimizer='auto', which is 'sgd' there."
        )
        raise InvalidParameter(msg)
    refused = {
        "learning_rate": None if auto else "must be 'auto': the steps follow from the data",
        "precondition": "must be 'auto' or True: it works with a preconditioner"
        if settings.precondition is False
        else None,
        "average": "must be False: it averages by itself" if settings.average else None,
    }
    for parameter, why in refused.items():
        if why is not None:
            value = getattr(settings, parameter)
            msg = f"{parameter}={value!r} cannot be used with optimizer={name!r}: it {why}."
            raise InvalidParameter(msg)
    if isinstance(optimizer, Exact) and not is_quadratic(loss):
        msg = (
            f"optimizer='exact' is the solution of least squares: with {loss!r} there is none in "
            "closed form. Use optimizer='svrg' with tol=1e-8, which comes as close."
        )
        raise InvalidParameter(msg)
    return optimizer


def _rate(settings: Settings, loss: Any, optimizer: Any, data: Dataset, scale: Any) -> Rate | None:
    """Return the rate that was given or one that is stable on this data; None if unused."""
    if is_automatic(optimizer) or not _uses_eta0(settings):
        return None
    if settings.eta0 is not None:
        return Rate(float(settings.eta0), 1.0)
    mean, unit = 0.0, 1.0
    if hasattr(loss, "curvature_at"):
        sample = data.sample_without_features()
        mean = float(np.average(sample.targets().mean(axis=1), weights=sample.weights()))
    square = mean_square_norm(data) if scale is None else float(np.count_nonzero(scale))
    if is_auto(settings.learning_rate) and depends_on_unit(optimizer, loss):
        unit = score_unit(loss, data)
    return stable_rate(optimizer, loss, square, mean, unit)


def _uses_eta0(settings: Settings) -> bool:
    """Tell whether the learning rate is a schedule by name that starts from eta0."""
    return isinstance(settings.learning_rate, str) and settings.learning_rate != "optimal"


def _schedule(
    settings: Settings,
    loss: Any,
    rate: Rate | None,
    batch_size: int,
    *,
    automatic: bool,
    incremental: bool,
) -> Any:
    """Return the schedule of learning rates."""
    if automatic:
        return Constant(1.0)  # never used nor shown: the automatic method chooses its steps
    if is_auto(settings.learning_rate):
        eta0 = 1.0 if rate is None else rate.eta0
        return Constant(eta0) if incremental else Adaptive(eta0)
    two_class = getattr(loss, "loss", loss)
    return schedule_of(
        settings.learning_rate,
        {
            "eta0": None if rate is None else rate.eta0,
            "power_t": settings.power_t,
            "alpha": settings.alpha,
            "batch_size": batch_size,
            "slope": lambda y, z: slope(two_class, y, z) if hasattr(two_class, "slope") else 1.0,
        },
    )


def batch_size_of(settings: Settings, n: int, *, automatic: bool) -> int:
    """Return the number of rows of a batch; 0 if the automatic method chooses it."""
    if not is_auto(settings.batch_size):
        return int(settings.batch_size)
    if automatic:
        return 0
    if not is_auto(settings.learning_rate):
        return _BATCH
    return min(_BATCH, max(_LEAST_BATCH, n // _BATCHES))
