"""gradstep's side: an estimator of arrays, or a fit of a prepared table of coded rows."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import gradstep
from benchmarks.solvers.side import Side
from gradstep import MiniBatchClassifier, MiniBatchRegressor
from gradstep.objective.regression import Tweedie

if TYPE_CHECKING:
    from benchmarks.no_tuning.objective import Objective
    from benchmarks.solvers.cases import Task

__all__ = ["NAME", "ours"]

NAME = "gradstep"


def ours(task: Task) -> Side:
    """Return gradstep's side of a task."""
    o = task.objective
    own = {
        "loss": Tweedie(o.parameter) if o.loss == "tweedie" else o.loss, "penalty": o.penalty,
        "alpha": o.alpha, "l1_ratio": o.l1_ratio, "penalty_scale": "unit",
    }  # fmt: skip
    if task.frame is not None:
        return _of_table(task, own)
    kind = MiniBatchClassifier if o.n_classes else MiniBatchRegressor
    return Side(NAME, lambda tol: kind(tol=tol, **own).fit(o.X, o.y), o.value_of)


def _of_table(task: Task, own: dict[str, Any]) -> Side:
    o: Objective = task.objective
    frame = task.frame
    folder = tempfile.TemporaryDirectory()  # lives as long as the side
    prepared = gradstep.prepare(
        frame, "y", sample_weight="w", validation=0.0, out=f"{folder.name}/prepared"
    )

    def fit(tol: float, _folder: Any = folder) -> Any:
        return gradstep.fit_table(prepared, tol=tol, inference="none", **own).model

    def value(model: Any) -> float:
        return o.mean_loss(model.scores(frame)) + o.penalty_of(model.coef_)

    return Side(NAME, fit, value)
