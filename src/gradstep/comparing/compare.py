"""`gradstep.compare`: the textbook's loop in many ways, side by side on one table."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.checks import check_choice, check_number
from gradstep.comparing.comparison import Comparison
from gradstep.comparing.notebook import Notebook
from gradstep.comparing.problems import Compared, automatic_plan, plan_of, units_of
from gradstep.comparing.runs import PLACES, Run, first_epoch, follow
from gradstep.comparing.trials import trials_of
from gradstep.comparing.words import AUTOMATIC
from gradstep.data.preparing.place import prepared_in
from gradstep.engine.state import Validation
from gradstep.errors import InvalidParameter
from gradstep.fit.checks import check_before_reading
from gradstep.fit.components import LOSSES, loss_of
from gradstep.fit.plan import Settings, checked_optimizer
from gradstep.fit.prepare import loss_of_target, prepared_of
from gradstep.fit.run import start_of
from gradstep.floating_point import as_by_default
from gradstep.objective.losses import has_optimum
from gradstep.objective.regression import SquaredError
from gradstep.rows.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradstep.comparing.trials import Trial

__all__ = ["compare"]

_EPOCHS, _BATCHES, _OF_NOTEBOOK = 20, (1, 16, 64, 256, "all"), (1, 64, "all")
_MOST_KEPT = 10_000_000  # numbers of all paths, beyond which none is kept, nor drawn


@as_by_default
def compare(
    table: Any = None,
    target: str | None = None,
    *,
    batch_size: Any = None,
    optimizer: Any = "sgd",
    learning_rate: Any = None,
    shuffle: Any = None,
    max_iter: int | None = None,
    precondition: bool | None = None,
    loss: Any = None,
    epsilon: float = 0.1,
    quantile: float = 0.5,
    power: float = 1.5,
    penalty: Any = "l2",
    alpha: float = 1e-4,
    l1_ratio: float = 0.15,
    penalty_scale: str = "deviation",
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> Comparison:
    """Run the textbook's loop with each batch size, side by side from one start and one seed.

    Parameters
    ----------
    table, target
        As of `gradstep.fit_table`. Without a table it is the notebook that gradstep grew out of:
        its 1,000 rows, its start, its order of rows, its rate 0.05 and its 50 epochs, as in
        ``gradstep demo``.
    batch_size : int, "all", or list of these, default=[1, 16, 64, 256, "all"]
        Rows of a step; "all" is all of them. Of the notebook [1, 64, "all"].
    optimizer : str, Optimizer, or list of these, default="sgd"
        Those of the textbook. The automatic method is shown beside them, whatever is named here.
    learning_rate : float, str, or list of these, default="constant"
        As of `MiniBatchRegressor`; "constant" is a rate that is stable on this table.
    shuffle : bool, str, callable, or list of these, default=True
        As of `MiniBatchRegressor`. All combinations of these four are run: at most 24.
    max_iter : int, default=20
        Epochs of each run, which nothing else ends.
    precondition : bool, default=True
        Whether steps are those behind a StandardScaler, or on the columns as they are; of the
        notebook False.
    loss, epsilon, quantile, power, penalty, alpha, l1_ratio, penalty_scale
        As of `gradstep.fit_table`; alpha is a number here. The notebook has no penalty.
    callbacks : sequence
        Called in each run.
    **options
        As of `gradstep.prepare`.

    Returns
    -------
    Comparison
        `epochs` and `table` are frames; `print` shows the table and what it says, `save(path)`
        writes a page, and a notebook shows it. After an interruption (Ctrl-C) it has the runs until
        then.

    Raises
    ------
    InvalidTable, InvalidParameter
        The message says what, where, why, and what to do.

    Examples
    --------
    >>> import gradstep
    >>> found = gradstep.compare(batch_size=[64, "all"], max_iter=2)
    >>> found.epochs.filter(run="batch 64")["loss"].to_list()[1:]  # half of the mean square
    [1.4863..., 0.4026...]
    """
    asked = Settings(
        penalty=penalty, alpha=alpha, l1_ratio=l1_ratio, penalty_scale=penalty_scale, tol=None,
        max_iter=_EPOCHS if max_iter is None else max_iter,
    )  # fmt: skip
    if precondition is not None:
        check_choice("compare", "precondition", precondition, (True, False))
    if table is None:
        _refuse_for_notebook(target, loss, options)
        notebook = Notebook()
        trials = trials_of(
            list(_OF_NOTEBOOK) if batch_size is None else batch_size, optimizer,
            notebook.learning_rate if learning_rate is None else learning_rate,
            notebook.order if shuffle is None else shuffle,
        )  # fmt: skip
        settings = replace(
            asked, penalty=None, max_iter=notebook.epochs if max_iter is None else max_iter
        )
        _check(settings, trials, None)
        return _of_notebook(notebook, settings, trials, callbacks, bool(precondition))
    trials = trials_of(
        list(_BATCHES) if batch_size is None else batch_size, optimizer,
        "constant" if learning_rate is None else learning_rate,
        True if shuffle is None else shuffle,
    )  # fmt: skip
    numbers = {"epsilon": epsilon, "quantile": quantile, "power": power}
    component = None if loss is None else loss_of(loss, numbers, LOSSES)
    _check(asked, trials, component)
    prepared = prepared_of(prepared_in(table), target, component, options, None)
    component = loss_of_target(loss, numbers, prepared)
    _refuse_without_optimum(component)
    meta = prepared.meta
    of = Compared(
        replace(asked, seed=int(meta["asked"]["seed"])), component, prepared.train,
        prepared.target.n_outputs, units_of(prepared.encoding), precondition is not False,
    )  # fmt: skip
    about = {"source": meta["source"], "target": prepared.target.column, "start": "zeros"}
    return _compared(of, _Given(trials, None, prepared.validation, callbacks, about))


@dataclass(frozen=True)
class _Given:
    """What is run, from where, and what is told of it."""

    trials: list[Trial]
    start: NDArray[np.float64] | None  # (size,); zeros by default
    held_out: Dataset | None
    callbacks: Sequence[Any]
    about: dict[str, Any]


def _check(settings: Settings, trials: Sequence[Trial], loss: Any) -> None:
    """Refuse what is known to be wrong without the table."""
    check_number("compare", "max_iter", settings.max_iter, low=1, whole=True)
    check_number("compare", "alpha", settings.alpha, low=0.0)
    for trial in trials:
        each = replace(
            settings, batch_size="auto", optimizer=trial.optimizer,
            learning_rate=trial.learning_rate,
        )  # fmt: skip
        check_before_reading(None, None, each, "auto")
        if loss is not None:
            checked_optimizer(each, loss)
    if loss is not None:
        _refuse_without_optimum(loss)


def _refuse_without_optimum(loss: Any) -> None:
    if not has_optimum(loss):
        msg = (
            f"loss={loss!r} has its least value at no weights at all: there is no optimum to "
            "compare runs by. Use loss='hinge'."
        )
        raise InvalidParameter(msg)


def _refuse_for_notebook(target: Any, loss: Any, options: dict[str, Any]) -> None:
    given = {"target": target, "loss": loss, **options}
    idle = [name for name, value in given.items() if value is not None]
    if idle:
        msg = (
            f"{' and '.join(idle)} would change nothing without a table: what is compared then is "
            "the notebook that gradstep grew out of. Name a table."
        )
        raise InvalidParameter(msg)


def _of_notebook(
    notebook: Notebook, settings: Settings, trials: list[Trial], callbacks: Sequence[Any],
    standardised: bool,
) -> Comparison:  # fmt: skip
    from gradstep.rows.layouts import DenseRows

    data = Dataset(DenseRows(notebook.X), notebook.y[:, None])
    start = np.concatenate([notebook.coef_init, notebook.intercept_init])
    about = {"source": "the notebook", "target": "y", "start": "the notebook's weights"}
    of = Compared(settings, SquaredError(), data, 1, None, standardised)
    return _compared(of, _Given(trials, start, None, callbacks, about))


def _compared(of: Compared, given: _Given) -> Comparison:
    """Run all, and look at what came of it."""
    plan = automatic_plan(of)
    validation = None
    if given.held_out is not None:
        validation = Validation(given.held_out, stops=False, keeps=False)
    first = start_of(plan.problem, of.data, at_constant=True)
    automatic = follow(
        AUTOMATIC, plan, of.data, first, validation=validation, callbacks=given.callbacks
    )
    about = {
        **given.about,
        "rows": of.data.n,
        "held_out": 0 if given.held_out is None else given.held_out.n,
        "features": plan.problem.n_features,
        "loss": repr(of.loss),
        "penalty": repr(plan.problem.penalty),
        "steps": "standardised columns" if of.standardised else "the columns as they are",
        "seed": of.settings.seed,
        "epochs": of.settings.max_iter,
    }
    squared = isinstance(of.loss, SquaredError)
    if automatic.interrupted:
        return Comparison([], automatic, about, squared, interrupted=True)
    runs: list[Run] = []
    places = len(given.trials) * (1 + PLACES + of.settings.max_iter)
    keeps_path = places * automatic.curve.params[0].size <= _MOST_KEPT
    for trial in given.trials:
        made = plan_of(of, trial)
        coef, intercept = (None, None) if given.start is None else made.problem.split(given.start)
        try:
            found = follow(
                trial.name, made, of.data, made.problem.start(coef, intercept),
                validation=validation, callbacks=given.callbacks, trial=trial,
                keeps_path=keeps_path,
            )  # fmt: skip
        except KeyboardInterrupt:
            return Comparison(runs, automatic, about, squared, interrupted=True)
        runs.append(found)
        if found.interrupted:
            return Comparison(runs, automatic, about, squared, interrupted=True)
    return _with_surface(Comparison(runs, automatic, about, squared), of)


def _with_surface(found: Comparison, of: Compared) -> Comparison:
    """Return a comparison with why runs diverged, the noise of gradients, and the surface."""
    from gradstep.comparing.noise import noise_at  # these import Numba
    from gradstep.comparing.steps import StepSpace
    from gradstep.comparing.surface import surface_of

    runs = _explained(found.runs, of.data, standardised=of.standardised)
    space = StepSpace(runs[0].problem)
    data = of.data
    start, optimum = runs[0].curve.params[0], found.automatic.curve.params[-1]
    origin = space.point(optimum)
    heights = found.near - found.optimum, found.start - found.optimum
    way = math.sqrt(heights[0] / heights[1]) if heights[1] > heights[0] else 1.0
    near = space.params(origin + way * (space.point(start) - origin))  # exact for a quadratic
    noise = {
        where: noise_at(space, data, params) for where, params in (("start", start), ("near", near))
    }
    paths = {
        run.name: [*first_epoch(run, data), *run.curve.params[1:]]
        for run in runs
        if run.diverged is None and run.curve.epochs and run.curve.keeps_path
    }
    surface = None
    if paths:
        shown = [
            params
            for run in runs
            if run.name in paths
            for params, height in zip(run.curve.params, run.curve.objective, strict=True)
            if height <= found.start
        ]
        surface = surface_of(space, data, paths, shown, optimum)
    return replace(found, runs=runs, noise=noise, surface=surface)


def _explained(runs: Sequence[Run], data: Dataset, *, standardised: bool) -> list[Run]:
    """Return runs, those that diverged with what curvature has to do with it."""
    from gradstep.comparing.steps import StepSpace, most_rate, why_too_long  # imports Numba

    found: list[Run] = []
    known: dict[float, tuple[float, float | None]] = {}  # by how long an intercept's steps are
    for run in runs:
        if run.diverged is None or run.trial is None:
            found.append(run)
            continue
        factor = run.problem.intercept_factor
        if factor not in known:
            space = StepSpace(run.problem)
            known[factor] = (
                space.largest_curvature(data, run.curve.params[0]), space.largest_of_a_row(data)
            )  # fmt: skip
        rows = run.trial.rows_of_batch(data)
        why = why_too_long(run.problem, rows, *known[factor], standardised=standardised)
        most = most_rate(run.problem, rows, *known[factor])
        found.append(replace(run, diverged=replace(run.diverged, why=why, most=most)))
    return found
