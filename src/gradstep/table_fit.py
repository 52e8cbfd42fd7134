"""From a table to a model: what the command line's `train` does, as a function.

Chooses the loss from the target, a rate that is stable on columns that `prepare` has scaled, and
when to stop; keeps the best weights; says how good the model is beside the best constant.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import gradstep
from gradstep.components import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    loss_of,
    optimizer_of,
    penalty_of,
    schedule_of,
)
from gradstep.data.dataset import mean_square_norm
from gradstep.data.prepare import prepare
from gradstep.data.prepared import PreparedTable, class_codes
from gradstep.engine.callbacks import History
from gradstep.engine.state import Outcome, Problem, TrainState, Validation
from gradstep.errors import Diverged, InvalidParameter, InvalidTable
from gradstep.metrics import ClassificationMetrics, RegressionMetrics
from gradstep.model import Model
from gradstep.objective.classification import OneVsRest, Softmax
from gradstep.objective.losses import slope, target_range
from gradstep.optim.automatic import stable_rate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from gradstep.engine.callbacks import EpochEnd
    from gradstep.engine.state import EpochRecord

__all__ = ["TableFit", "evaluate", "fit_table", "preparing_for"]

_ALPHAS = tuple(10.0**-power for power in range(1, 8))
_EPOCHS_AN_ALPHA = 20
_MOST_EPOCHS = 1000
_PATIENCE = 3
_IMPROVEMENT = 1e-4  # of the baseline's loss
_BRAKES = 12
_LOG_POWER = {"poisson": 1.0, "gamma": 2.0}


@dataclass
class TableFit:
    """What came of a fit.

    Attributes
    ----------
    model : Model
        The fitted model.
    prepared : PreparedTable
        What it was trained on.
    outcome : Outcome
        How the run ended.
    history : list of EpochRecord
        One for each epoch.
    validation, baseline : dict
        How good the model is on the rows held out, and how good the best constant; empty if none
        are.
    notes : list of str
        What a person should know: warnings, brakes, the penalty that was chosen.
    seconds : dict
        Of "preparing" and "training".
    """

    model: Model
    prepared: PreparedTable
    outcome: Outcome
    history: list[EpochRecord]
    validation: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def fit_table(
    table: Any,
    target: str | None = None,
    *,
    loss: Any = None,
    penalty: Any = "l2",
    alpha: float | str = 1e-4,
    l1_ratio: float = 0.15,
    epsilon: float = 0.1,
    quantile: float = 0.5,
    power: float = 1.5,
    optimizer: Any = "sgd",
    learning_rate: Any = "adaptive",
    eta0: float | None = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    tol: float | None = _IMPROVEMENT,
    patience: int = _PATIENCE,
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> TableFit:
    """Fit a model to a table.

    Parameters
    ----------
    table : table or PreparedTable
        As for `gradstep.prepare`, or what it returned.
    target : str
        The column to predict; of a PreparedTable it is known.
    loss : str or Loss, optional
        By default 'log_loss' for classes, else 'squared_error'.
    penalty, l1_ratio, epsilon, quantile, power, optimizer, learning_rate, eta0
        As of `MiniBatchRegressor`; the penalty is on weights of scaled columns.
    alpha : float or "auto", default=1e-4
        Strength of the penalty; "auto" chooses it on the validation rows, along a path of
        falling strength, each run going on from the one before.
    batch_size : int, optional
        By default a hundredth of the rows, from 8 to 64.
    epochs : int, default=1000
        Most epochs.
    tol : float, optional
        Least improvement that counts, as a share of the loss of the best constant prediction;
        None to run all epochs.
    patience : int, default=3
        Epochs in a row without it after which the rate comes down, and in the end training stops.
    callbacks : sequence
        As of `MiniBatchRegressor`.
    **options
        As of `gradstep.prepare`.

    Returns
    -------
    TableFit
        The model, and how it came about. After an interruption (Ctrl-C) it is the best so far.

    Raises
    ------
    InvalidTable, InvalidParameter
        The message says what, where, why, and what to do.
    """
    began = time.perf_counter()
    numbers = {"epsilon": epsilon, "quantile": quantile, "power": power}
    first_alpha = _ALPHAS[0] if alpha == "auto" else alpha
    shrinking = penalty_of(penalty, {"alpha": first_alpha, "l1_ratio": l1_ratio})
    stepping = optimizer_of(optimizer)
    _check_before_reading(loss, numbers, learning_rate, alpha, options.get("task", "auto"))
    for name, number in (("batch_size", batch_size), ("epochs", epochs), ("patience", patience)):
        if number is not None and number < 1:
            msg = f"{name}={number!r} must be at least 1."
            raise InvalidParameter(msg)
    prepared = _prepared(table, target, loss, power, options)
    component = _loss(loss, prepared, numbers)
    _check_range(component, prepared)
    prepared_at = time.perf_counter()
    run = _Run(prepared, component, callbacks)
    run.problem = _problem(prepared, component, stepping, batch_size, epochs, patience, shrinking)
    run.set_rate(learning_rate, eta0, tol, alpha)
    try:
        start = run.choose_alpha(penalty, l1_ratio) if alpha == "auto" else None
        run.train(start)
    except KeyboardInterrupt:
        run.interrupted()
    model = Model(
        prepared.encoding, prepared.target, component, run.params(),
        prepared.meta["asked"].get("offset"),
    )  # fmt: skip
    fit = TableFit(model, prepared, run.outcome, run.records, notes=run.notes)
    fit.notes[:0] = prepared.meta["warnings"]
    fit.seconds = {
        "preparing": prepared_at - began,
        "training": time.perf_counter() - prepared_at,
    }
    if prepared.validation is not None:
        fit.validation = _judge(model, prepared)
        fit.baseline = _judge(model, prepared, constant=True)
    held_out = options.get("validation_table")
    model.provenance = _provenance(fit, run.problem)
    if isinstance(held_out, (str, Path)):
        model.provenance["validation_source"] = str(held_out)
    return fit


def _check_before_reading(
    loss: Any, numbers: Mapping[str, Any], learning_rate: Any, alpha: Any, task: str
) -> None:
    """Refuse what is known to be wrong without the table, which may take long to read."""
    if isinstance(loss, str):
        named = {"regression": REGRESSION_LOSSES, "classification": CLASSIFICATION_LOSSES}
        known = {**REGRESSION_LOSSES, **CLASSIFICATION_LOSSES}
        loss_of(loss, numbers, known)
        if task in named and loss not in named[task]:
            msg = (
                f"loss={loss!r} is none of {task}: with task={task!r} it must be one of "
                f"{', '.join(named[task])}."
            )
            raise InvalidParameter(msg)
    if learning_rate == "optimal" and alpha == "auto":
        msg = "learning_rate='optimal' is 1/(alpha·t): alpha must be a number, not 'auto'."
        raise InvalidParameter(msg)
    schedule_of(
        learning_rate,
        {"eta0": 1.0, "power_t": 0.25, "alpha": alpha, "slope": lambda y, z: z - y},
    )


def _prepared(
    table: Any, target: str | None, loss: Any, power: float, options: Mapping[str, Any]
) -> PreparedTable:
    if isinstance(table, PreparedTable):
        if options:
            msg = f"The table is prepared already: {', '.join(options)} would change nothing."
            raise InvalidParameter(msg)
        if target not in {None, table.target.column}:
            msg = f"The table was prepared for the target {table.target.column!r}, not {target!r}."
            raise InvalidParameter(msg)
        was = table.meta["asked"]
        if "offset" in was and _log_power(loss, power) != was.get("log_power"):
            msg = (
                f"The offset {was['offset']!r} became part of the rows when the table was "
                "prepared, for another loss. Give the same loss both times (prepare's --loss)."
            )
            raise InvalidParameter(msg)
        return table
    if target is None:
        msg = "A target is needed: the column to predict."
        raise InvalidParameter(msg)
    return prepare(table, target, **{**options, **preparing_for(loss, power, options)})


def preparing_for(
    loss: Any, power: float = 1.5, asked: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a loss asks of `gradstep.prepare`: the task, and how an offset acts.

    Parameters
    ----------
    loss : str, Loss or None
        The loss.
    power : float
        That of "tweedie".
    asked : mapping
        What is asked already: a task stays, and without an offset none acts.
    """
    asked = asked or {}
    found: dict[str, Any] = {}
    if loss is not None and asked.get("task", "auto") == "auto":
        name = _plain_name(loss)
        if name in map(_plain_name, REGRESSION_LOSSES):
            found["task"] = "regression"
        elif name in map(_plain_name, CLASSIFICATION_LOSSES) or hasattr(loss, "row_slopes"):
            found["task"] = "classification"
    if asked.get("offset") is not None:
        found["log_power"] = _log_power(loss, power)
    return found


def _plain_name(loss: Any) -> str:
    """Return a loss's name: that of ``SquaredError()`` and of ``"squared_error"`` are one."""
    name = loss if isinstance(loss, str) else type(loss).__name__
    return name.replace("_", "").lower()


def _log_power(loss: Any, power: float) -> float | None:
    """Return the power of the variance of a loss whose link is the logarithm; None of others."""
    name = _plain_name(loss)
    if name == "tweedie":
        return power if isinstance(loss, str) else float(loss.power)
    if name not in _LOG_POWER and hasattr(loss, "inverse_link"):
        msg = f"An offset is known to act on {', '.join(_LOG_POWER)} and tweedie; not on {loss!r}."
        raise InvalidParameter(msg)
    return _LOG_POWER.get(name)


def _loss(loss: Any, prepared: PreparedTable, parameters: Mapping[str, Any]) -> Any:
    """Return the loss, over all classes at once where there are more than two."""
    target = prepared.target
    if target.classes is None:
        return loss_of("squared_error" if loss is None else loss, parameters, REGRESSION_LOSSES)
    found = loss_of("log_loss" if loss is None else loss, parameters, CLASSIFICATION_LOSSES)
    if target.n_outputs == 1 or hasattr(found, "row_slopes"):
        return found
    return Softmax() if loss in {None, "log_loss"} else OneVsRest(found)


def _check_range(loss: Any, prepared: PreparedTable) -> None:
    """Refuse targets for which the loss is not defined."""
    allowed, known = target_range(loss), prepared.meta["target"]
    if prepared.target.classes is None and not allowed.holds(np.array([known["low"]]))[0]:
        msg = (
            f"The target {known['column']!r} goes down to {known['low']:g}; the loss "
            f"{type(loss).__name__} needs {allowed}. Use another loss, or correct the column."
        )
        raise InvalidTable(msg)


def _problem(
    prepared: PreparedTable, loss: Any, optimizer: Any, batch_size: int | None,
    epochs: int | None, patience: int, penalty: Any,
) -> Problem:  # fmt: skip
    n = prepared.train.n
    return Problem(
        loss=loss,
        penalty=penalty,
        optimizer=optimizer,
        schedule=None,  # type: ignore[arg-type]  # set_rate follows
        n_features=prepared.encoding.n_features,
        n_outputs=prepared.target.n_outputs,
        batch_size=batch_size or min(64, max(8, n // 100)),
        seed=int(prepared.meta["asked"]["seed"]),
        max_epochs=_MOST_EPOCHS if epochs is None else epochs,
        patience=patience,
    )


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

    def forget(self) -> None:
        """Forget those of a run that diverged, unless validation rows have judged them."""
        if self.score == -math.inf:
            self.params = None


class _Run:
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

    def set_rate(
        self, learning_rate: Any, eta0: float | None, tol: float | None, alpha: Any
    ) -> None:
        """Choose the learning rate, what counts as improvement, and where to start.

        That is the best constant: levels, whose weights together could take the intercept's
        place, then say how they differ from it.
        """
        from gradstep.engine.baseline import Baseline, best_constant  # imports Numba

        data, loss = self.prepared.train, self.loss
        sample = data.sample()
        mean = float(np.average(sample.y[:, 0], weights=sample.sample_weight))
        rate = stable_rate(self.problem.optimizer, loss, mean_square_norm(data), mean)
        baseline = Baseline(loss, data, self.problem.n_outputs, np.zeros(self.problem.size))
        constant = best_constant(loss, baseline.constant, self.problem.n_outputs)
        self.start = self.problem.start(intercept=constant)
        start = rate.eta0 if eta0 is None else float(eta0)
        one = loss.loss if isinstance(loss, OneVsRest) else loss
        parameters = {
            "eta0": start, "power_t": 0.25, "alpha": alpha,
            "slope": lambda y, z: slope(one, y, z) if hasattr(one, "slope") else 1.0,
        }  # fmt: skip
        self.problem = replace(
            self.problem,
            schedule=schedule_of(learning_rate, parameters),
            intercept_factor=rate.intercept_factor if eta0 is None else 1.0,
            tol=None if tol is None else tol * max(baseline.at_best, 1e-300),
        )

    def train(self, start: TrainState | None = None) -> None:
        """Train to the end; if that diverges, again with a shorter step."""
        from gradstep.engine.training import train  # imports Numba

        state = self.start if start is None else start
        for brake in range(_BRAKES):
            try:
                self.state, self.outcome = train(
                    self.problem, self.prepared.train, state,
                    validation=self.validation, callbacks=self.callbacks,
                )  # fmt: skip
            except Diverged as error:
                self.best.forget()
                schedule = self.problem.schedule
                if brake == _BRAKES - 1 or not hasattr(schedule, "eta0"):
                    msg = (
                        f"Training diverged in epoch {error.epoch}: the steps of {schedule!r} are "
                        "too long for this table. Use another learning rate: 'adaptive' comes "
                        "down by itself, a number is constant."
                    )
                    raise Diverged(msg, epoch=error.epoch) from error
                shorter = schedule._replace(eta0=schedule.eta0 / 4.0)  # type: ignore[attr-defined]
                self.problem = replace(self.problem, schedule=shorter)
                self.notes.append(
                    f"The step was too long for this data: the learning rate was brought down to "
                    f"{shorter.eta0:.3g}."
                )
            else:
                break
        self.records = list(self.history.records)

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
        for alpha in _ALPHAS:
            chosen = penalty_of(penalty, {"alpha": alpha, "l1_ratio": l1_ratio})
            self.problem = replace(
                whole, penalty=chosen, max_epochs=min(_EPOCHS_AN_ALPHA, whole.max_epochs)
            )
            self.train(start)
            whole = replace(whole, schedule=self.problem.schedule)
            state = self.state
            assert state is not None  # noqa: S101
            found.append((state.best_score, alpha, state))
            best = state.best_params if state.best_params is not None else state.params
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
        best = state.best_params if state.best_params is not None else state.params
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


# --------------------------------------------------------------------------- how good it is


def _metrics(model: Model) -> Any:
    if model.target.classes is not None:
        return ClassificationMetrics(model.target.classes)
    name = type(model.loss).__name__.lower()
    power = _LOG_POWER.get(name, model.loss.power if name == "tweedie" else None)
    return RegressionMetrics(power, model.loss.quantile if name == "pinball" else None)


def _add(
    metrics: Any, model: Model, z: NDArray[np.float64], y: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
) -> None:  # fmt: skip
    """Add rows to the metrics: scores, and targets as numbers or codes of classes."""
    if isinstance(metrics, RegressionMetrics):
        metrics.add(y, model.means(z), weight)
        return
    each = model.probabilities(z) if model.gives_probabilities else None
    score = z[:, 0] if z.shape[1] == 1 else None
    metrics.add(y.astype(np.intp), model.class_codes(z), each, score, weight)


def _judge(model: Model, prepared: PreparedTable, *, constant: bool = False) -> dict[str, Any]:
    """Judge the model, or the best constant of the training rows, on the rows held out."""
    from gradstep.engine.baseline import best_constant, without_features  # imports Numba
    from gradstep.engine.evaluation import scores

    held_out, k = prepared.validation, model.n_outputs
    assert held_out is not None  # noqa: S101
    params = model.params
    if constant:
        params = np.zeros(params.size)
        params[-k:] = best_constant(model.loss, without_features(prepared.train.sample()), k)
    metrics = _metrics(model)
    step = 1 << 16
    for lo in range(0, held_out.n, step):
        index = held_out.rows_between(lo, min(lo + step, held_out.n))
        z = scores(held_out.rows, params, k, index)
        y, weight = held_out.y[index, 0], None
        if held_out.sample_weight is not None:
            weight = held_out.sample_weight[index]
        if prepared.offset is not None:
            y, z, weight = _without_offset(prepared, y, z, weight, index)
        if model.target.classes is not None and k == 1:
            y = (y + 1.0) / 2.0
        _add(metrics, model, z, y, weight)
    found: dict[str, Any] = metrics.result()
    return found


def _without_offset(
    prepared: PreparedTable, y: NDArray[np.float64], z: NDArray[np.float64],
    weight: NDArray[np.float64] | None, index: Any,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:  # fmt: skip
    """Return targets, scores and weights as they were before `with_offset`."""
    assert prepared.offset is not None  # noqa: S101
    offset = prepared.offset[index]
    power = prepared.meta["asked"].get("log_power")
    if power is None:
        return y + offset, z + offset[:, None], weight
    exposure = np.exp(offset)
    if weight is not None and power != 2.0:
        weight = weight / exposure ** (2.0 - power)
    return y * exposure, z + offset[:, None], weight


def evaluate(model: Model, table: Any, *, weight: str | None = None) -> dict[str, Any]:
    """Return how good a model's predictions are on a table that has the target.

    Parameters
    ----------
    model : Model
        The model.
    table : table
        With the columns that the model reads, and the target; rows without one are left out.
    weight : str, optional
        Column of row weights.

    Returns
    -------
    dict
        ``rows``; for numbers ``rmse``, ``mae``, ``r2``, and the deviance or pinball loss of the
        model's loss; for classes ``accuracy``, ``log_loss``, ``auc`` (two classes) and
        ``confusion`` (a row for each class, a column for each prediction). ``missing_target``
        counts the rows left out.
    """
    metrics, missing = _metrics(model), 0
    target, weighed = model.target.column, 0.0
    for chunk in model.chunks(table, [target, *([weight] if weight else [])]):
        there = chunk[target].is_not_null()
        if chunk[target].dtype.is_float():
            there &= chunk[target].is_not_nan().fill_null(value=False)
        frame = chunk.filter(there)
        missing += chunk.height - frame.height
        if frame.height:
            s = None if weight is None else _weights(frame[weight], weight)
            weighed += frame.height if s is None else float(s.sum())
            _add(metrics, model, model.scores(frame), _targets(model, frame[target]), s)
    found: dict[str, Any] = metrics.result()
    if found["rows"] == 0:
        msg = f"The table has no row with a value of the target {target!r}: nothing to judge."
        raise InvalidTable(msg)
    if not weighed > 0.0:
        msg = f"The weights {weight!r} are all zero: no row counts."
        raise InvalidTable(msg)
    if missing:
        found["missing_target"] = missing
    return found


def _targets(model: Model, column: pl.Series) -> NDArray[np.float64]:
    """Return targets as numbers, or as codes of the classes."""
    target = model.target
    if target.classes is not None:
        return class_codes(column, target.classes, target.column)
    return _numbers(column, f"The target {target.column!r}")


def _numbers(column: pl.Series, what: str) -> NDArray[np.float64]:
    import polars as pl

    found = column.cast(pl.Float64, strict=False)
    bad = found.is_null() & column.is_not_null()
    if bad.any():
        msg = f"{what} has the value {column.filter(bad)[0]!r}, which is no number."
        raise InvalidTable(msg)
    return found.to_numpy()


def _weights(column: pl.Series, name: str) -> NDArray[np.float64]:
    weight = _numbers(column, f"The weight {name!r}")
    bad = ~(np.isfinite(weight) & (weight >= 0.0))
    if bad.any():
        value = column[int(bad.argmax())]
        msg = f"The weight {name!r} has the value {value!r}: it must be a finite number from 0 on."
        raise InvalidTable(msg)
    return weight


def _provenance(fit: TableFit, problem: Problem) -> dict[str, Any]:
    """Return where a model comes from; a function of the table and what was asked, no clock."""
    meta = fit.prepared.meta
    return {
        "version": gradstep.__version__,
        "source": meta["source"],
        "fingerprint": meta["fingerprint"],
        "asked": meta["asked"],
        "rows": meta["rows"],
        "loss": repr(problem.loss),
        "penalty": repr(problem.penalty),
        "optimizer": repr(problem.optimizer),
        "learning_rate": repr(problem.schedule),
        "batch_size": problem.batch_size,
        "seed": problem.seed,
        "epochs": len(fit.history),
        "outcome": fit.outcome.name.lower(),
        "validation": _finite(fit.validation),
        "baseline": _finite(fit.baseline),
        "notes": fit.notes,
    }


def _finite(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics without those that are not defined, which JSON has no word for."""
    return {
        name: value
        for name, value in metrics.items()
        if not isinstance(value, float) or math.isfinite(value)
    }
