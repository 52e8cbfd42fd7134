"""How good a model is: on the rows that were held out, and on a table that has the target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradstep.data.roles import has_value, weights_of
from gradstep.data.sources.pieces import pieces_of
from gradstep.errors import InvalidParameter, InvalidTable, nearest
from gradstep.floating_point import as_by_default
from gradstep.model.by_pieces import apart, run_on_pieces
from gradstep.model.metrics import ClassificationMetrics, RegressionMetrics
from gradstep.model.sample import SampledRows
from gradstep.objective.classification import as_codes
from gradstep.objective.losses import variance_power
from gradstep.objective.regression import Pinball
from gradstep.parameters import names_of
from gradstep.renamed import under_new_names

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.model.model import Model
    from gradstep.rows.dataset import Dataset

__all__ = ["evaluate", "evaluate_held_out", "evaluate_with_rows", "without_class_weights"]


def _metrics(model: Model) -> Any:
    if model.target.classes is not None:
        return ClassificationMetrics(model.target.classes)
    quantile = model.loss.quantile if isinstance(model.loss, Pinball) else None
    return RegressionMetrics(variance_power(model.loss), quantile)


def _result(metrics: Any, model: Model, *, constant: bool = False) -> dict[str, Any]:
    """Return what metrics tell; the best constant prediction has no calibration."""
    found: dict[str, Any]
    if not model.gives_probabilities or constant:
        found = metrics.result()
    elif model.n_outputs == 1:
        found = metrics.result(lambda z: model.probabilities(z[:, None])[:, 1])
    else:
        found = metrics.result(lambda p: p)
    return found


def _add(
    metrics: Any, model: Model, z: NDArray[np.float64], y: NDArray[Any],
    weight: NDArray[np.float64] | None,
) -> None:  # fmt: skip
    """Add rows to the metrics: scores, and targets as numbers or codes of classes."""
    if isinstance(metrics, RegressionMetrics):
        metrics.add(y, model.means(z), weight)
        return
    each = model.probabilities(z) if model.gives_probabilities else None
    score = z[:, 0] if z.shape[1] == 1 else None
    metrics.add(y.astype(np.intp), model.codes(z), each, score, weight)


def evaluate_held_out(
    model: Model,
    prepared: PreparedTable,
    *,
    constant: bool = False,
    sample: SampledRows | None = None,
) -> dict[str, Any]:
    """Evaluate the model, or the best constant of the training rows, on the rows held out.

    Whoever computes on these rows evaluates them. `sample` gets the rows.
    """
    from gradstep.engine.executor import executor_of  # imports Numba

    held_out, k = prepared.validation, model.n_outputs
    assert held_out is not None  # noqa: S101
    params = model.params
    if constant:
        params = np.zeros(params.size)
        assert model.training is not None  # noqa: S101
        params[-k:] = model.training.constant
    shards, offset = held_out.shards(), prepared.offset
    task = _EvaluateRows(
        apart(model), params, prepared.meta.get("class_weights"),
        prepared.meta["asked"].get("log_power"), sampling=sample is not None,
    )  # fmt: skip
    own = None
    if offset is not None:
        own = [offset[held_out.rows_between(*bounds)] for bounds in shards]
    executor = executor_of(held_out)
    try:
        found = executor.run(task, [[bounds] for bounds in shards], own)
    finally:
        if held_out.executor is None:
            executor.close()
    for _, rows in found:
        if sample is not None:
            sample.merged(rows)
    metrics = reduce(lambda one, other: one.merged(other), (each for each, _ in found))
    return _result(metrics, model, constant=constant)


@dataclass(frozen=True)
class _EvaluateRows:
    """Evaluates parameters of a model on rows that were held out: a task."""

    model: Model
    params: NDArray[np.float64]
    class_weights: list[float] | None
    log_power: float | None
    sampling: bool

    def __call__(
        self, shard: Dataset, offset: NDArray[np.float64] | None = None
    ) -> tuple[Any, SampledRows | None]:
        """Return the metrics of a shard, and the rows if they are wanted."""
        from gradstep.engine.evaluation import scores  # imports Numba

        model, k = self.model, self.model.n_outputs
        z = scores(shard.rows, self.params, k, shard.rows_between(0, shard.n))
        y, weight = shard.targets()[:, 0], shard.weights()
        if self.class_weights is not None:
            weight = without_class_weights(self.class_weights, weight, y)
        if offset is not None:
            y, z, weight = _without_offset(self.log_power, y, z, weight, offset)
        own: NDArray[Any] = y if model.target.classes is None else as_codes(y, k)
        metrics = _metrics(model)
        _add(metrics, model, z, own, weight)
        if not self.sampling:
            return metrics, None
        rows = SampledRows.of(k)
        rows.add(own, z, weight)
        return metrics, rows


def without_class_weights(class_weights: Sequence[float], weight: Any, y: Any) -> Any:
    """Return the weights of rows of these encoded targets as they were before those of classes."""
    code = as_codes(y, 1 if len(class_weights) == 2 else len(class_weights))
    return weight / np.array(class_weights)[code.astype(np.intp)]


def _without_offset(
    power: float | None, y: NDArray[np.float64], z: NDArray[np.float64],
    weight: NDArray[np.float64] | None, offset: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:  # fmt: skip
    """Return targets, scores and weights as they were before `with_offset`."""
    if power is None:
        return y + offset, z + offset[:, None], weight
    exposure = np.exp(offset)
    if weight is not None and power != 2.0:
        weight = weight / exposure ** (2.0 - power)
    return y * exposure, z + offset[:, None], weight


@as_by_default
def evaluate(
    model: Model, table: Any, *, sample_weight: str | None = None, encoding: str = "",
    client: Any = None, allow_mixed: bool = False, **old: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return how good a model's predictions are on a table that has the target.

    Parameters
    ----------
    model : Model
        The model.
    table : table
        With the columns that the model reads, and the target; rows without one are left out.
    sample_weight : str, optional
        Column of row weights; a row of weight 0 is no row.
    encoding : str, optional
        Of text files, if it is not UTF-8.
    client : distributed.Client, optional
        A Dask cluster whose workers evaluate, a task a file; they find the files under the same
        path. The figures are the same as without.
    allow_mixed : bool
        Whether workers may compute with other versions or processors; last digits may differ then.
    **old
        `weight`, as it was called.

    Returns
    -------
    dict
        ``rows``; for numbers ``rmse``, ``mae``, ``r2``, of a loss of counts and rates ``deviance``
        (its mean), of a quantile ``pinball`` and ``coverage`` (the share of targets that are at
        most what is predicted); for classes ``accuracy``, ``f1`` (of the second of two classes,
        else the mean over classes), ``confusion`` (a row for each class, a column for each
        prediction), with probabilities ``log_loss``, ``brier`` and ``calibration``: by tenths of
        the rows the mean probability of the second of two classes, of more that of the predicted
        class, and how often it was there; of two classes ``auc`` (ROC) and ``pr_auc`` (average
        precision). Areas and calibration keep up to 262,144 scores of each class, and of more a
        bounded sample by rank, to 1e-4 or so.
        ``baseline`` has the same of the best constant of the training rows, where the model's file
        has it. ``missing_target`` counts the rows left out.

    Examples
    --------
    >>> import polars as pl
    >>> import gradstep
    >>> fares = [5.0, 8.5, 12.5, 6.0, 7.5, 13.5] * 10
    >>> trips = pl.DataFrame({"km": [1.0, 2.0, 4.0] * 20, "fare": fares})
    >>> model = gradstep.fit_table(trips, "fare").model
    >>> later = pl.DataFrame({"km": [3.0, 5.0], "fare": [10.0, 16.0]})
    >>> found = gradstep.evaluate(model, later)
    >>> round(found["rmse"], 2), round(found["baseline"]["rmse"], 2)
    (0.5, 5.13)
    """
    renamed = under_new_names("evaluate", old, sample_weight=sample_weight)
    weight = renamed.pop("sample_weight", sample_weight)
    if renamed:
        name = min(renamed)
        msg = f"evaluate has no parameter {name!r}.{nearest(name, names_of(evaluate))}"
        raise InvalidParameter(msg)
    return _evaluated(
        model, table, _Evaluate(apart(model), weight), encoding, client, allow_mixed=allow_mixed
    )[0]


@as_by_default
def evaluate_with_rows(
    model: Model, table: Any, *, sample_weight: str | None = None, encoding: str = ""
) -> tuple[dict[str, Any], SampledRows]:
    """Return what `evaluate` returns, and some rows of the table that it was found with."""
    task = _Evaluate(apart(model), sample_weight, sampling=True)
    found, sample = _evaluated(model, table, task, encoding)
    assert sample is not None  # noqa: S101
    return found, sample


def _evaluated(
    model: Model, table: Any, task: _Evaluate, encoding: str, client: Any = None, *,
    allow_mixed: bool = False,
) -> tuple[dict[str, Any], SampledRows | None]:  # fmt: skip
    target, weight = model.target.column, task.weight
    opened = model.opened(table, task.more, encoding=encoding)
    pieces = pieces_of(opened, elsewhere=client is not None)
    each = run_on_pieces(task, pieces, client, allow_mixed=allow_mixed)
    whole = reduce(_Evaluated.merged, each)
    model.unseen.clear()
    model.unseen.update(whole.unseen)
    found = _result(whole.metrics, model)
    if whole.baseline is not None:
        found["baseline"] = _result(whole.baseline, model, constant=True)
    if found["rows"] == 0 and whole.weightless:
        msg = f"The weights {weight!r} are all zero: no row counts."
        raise InvalidTable(msg)
    if found["rows"] == 0:
        msg = f"The table has no row with a value of the target {target!r}: nothing to evaluate."
        raise InvalidTable(msg)
    if whole.missing:
        found["missing_target"] = whole.missing
    return found, whole.sample


class _Evaluated(NamedTuple):
    """What an evaluation of some rows tells."""

    metrics: Any
    baseline: Any
    missing: int
    weightless: int
    unseen: Counter[str]
    sample: SampledRows | None

    def merged(self, other: _Evaluated) -> _Evaluated:
        """Return what is told of these rows and of others that come after them."""
        return _Evaluated(
            self.metrics.merged(other.metrics),
            None if self.baseline is None else self.baseline.merged(other.baseline),
            self.missing + other.missing,
            self.weightless + other.weightless,
            self.unseen + other.unseen,
            self.sample
            if self.sample is None or other.sample is None
            else self.sample.merged(other.sample),
        )


@dataclass(frozen=True)
class _Evaluate:
    """Evaluates a piece of a table."""

    model: Model
    weight: str | None
    sampling: bool = False

    @property
    def more(self) -> list[str]:
        """The columns that are read besides the model's."""
        return [self.model.target.column, *([self.weight] if self.weight else [])]

    @as_by_default
    def __call__(self, _rows: None, piece: Any) -> _Evaluated:
        model, weight, target = apart(self.model), self.weight, self.model.target.column
        metrics, missing, weightless = _metrics(model), 0, 0
        baseline = None if model.training is None else _metrics(model)
        sample = SampledRows.of(model.n_outputs) if self.sampling else None
        for chunk in model.chunks(piece.open(), self.more):
            there = has_value(chunk[target])
            frame = chunk if there.all() else chunk.filter(there)
            missing += chunk.height - frame.height
            s = None if weight is None else weights_of(frame[weight])
            if s is not None:  # a row of weight 0 is no row
                weightless += int((s == 0.0).sum())
                frame, s = frame.filter(s > 0.0), s[s > 0.0]
            if frame.height:
                y, z = model.target.values(frame[target]), model.scores(frame)
                _add(metrics, model, z, y, s)
                if sample is not None:
                    sample.add(y, z, s)
                if baseline is not None:
                    _add(baseline, model, model.constant_scores(frame), y, s)
        return _Evaluated(metrics, baseline, missing, weightless, model.unseen, sample)
