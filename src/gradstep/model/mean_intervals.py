"""Intervals of what is predicted for rows of a table: of the mean, and of a target to come.

They follow from the covariance of the parameters. Those of means are taken for the scores, and
turned into predictions; of several classes for the log-odds of each class against the others (the
delta method).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.matching import readable
from gradstep.errors import InvalidModel, InvalidParameter
from gradstep.model.intervals import inference_of
from gradstep.objective.classification import Softmax
from gradstep.objective.losses import is_quadratic

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoded
    from gradstep.model.model import Model

__all__ = ["ends_of_means", "ends_of_targets", "intervals_of_table", "means_of",
           "refuse_intervals", "scores_and_ends"]  # fmt: skip

_MOST_PRODUCTS = 1 << 20  # scores under the covariance's factor, of rows that go together
_MOST_EXPONENT = 700.0
# How far a row may lie along a direction that the training rows did not, in standard deviations:
# what determined each other there did so to rounding, and to what is as small.
_ALONG = 1e-4


def means_of(model: Model, z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return predictions for scores, (n, outputs): of two classes the probability of the second.

    Scores, where a loss of classes gives no probabilities.
    """
    if model.target.classes is None:
        return model.means(z)[:, None]
    if not model.gives_probabilities:
        return z
    found = model.probabilities(z)
    return found[:, 1:] if model.n_outputs == 1 else found


def refuse_intervals(model: Model, level: float, *, of_targets: bool) -> None:
    """Refuse intervals that a model does not have.

    Raises
    ------
    InvalidModel, InvalidParameter
        If the model has no covariance, or its loss no such intervals: why, and what to do.
    """
    if of_targets and not is_quadratic(model.loss):
        msg = (
            f"Prediction intervals are those of squared error; the loss is {model.loss!r}. Fit two "
            "quantiles (loss='pinball') for an interval that supposes no shape."
        )
        raise InvalidParameter(msg)
    if model.n_outputs > 1 and not isinstance(model.loss, Softmax):
        msg = (
            f"{model.loss!r} predicts each class by itself, and how their scores depend on each "
            "other is not known: there are no intervals. loss='log_loss' has them."
        )
        raise InvalidParameter(msg)
    if model.covariance is None:
        why = str(model.provenance.get("no_inference", "its file keeps none. Train it again"))
        msg = f"The model has no standard errors, so there are no intervals: {why}."
        raise InvalidModel(msg)
    inference_of(model).quantile(level)  # refuses what is no level


def intervals_of_table(
    model: Model, table: Any, level: float, *, of_targets: bool, encoding: str = ""
) -> NDArray[np.float64]:
    """Return the intervals of the rows of a table: (n, outputs, 2).

    Parameters
    ----------
    model : Model
        The model.
    table : table
        The rows.
    level : float
        The share of samples, or of targets, that an interval holds.
    of_targets : bool
        Whether they are of new targets, not of the mean.
    encoding : str
        Of text files, if it is not UTF-8.

    Raises
    ------
    InvalidModel, InvalidParameter
        As of `refuse_intervals`.
    """
    refuse_intervals(model, level, of_targets=of_targets)
    found = [np.empty((0, model.n_outputs, 2))]
    for frame in model.chunks(table, encoding=encoding):
        _, *ends = scores_and_ends(model, frame, level, of_targets=of_targets)
        found.append(np.stack(ends, axis=-1))
    return np.concatenate(found)


def scores_and_ends(
    model: Model, frame: pl.DataFrame, level: float, *, of_targets: bool, each_class: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the scores of the rows of a frame, (n, outputs), and the ends of their intervals.

    Parameters
    ----------
    model, level, of_targets
        As `refuse_intervals` lets them pass.
    frame : polars.DataFrame
        The rows.
    each_class : bool
        Whether to return ends for both of two classes, not for the second alone.

    Returns
    -------
    scores, low, high : ndarray
        NaN where a row has something that the training rows did not tell.
    """
    ends: Any = ends_of_targets if of_targets else ends_of_means
    if each_class and model.target.classes is not None:
        ends = _ends_of_classes
    encoding: Any = model.encoding  # sparse text has no covariance
    q = encoding.n_features + 1
    step = max(1, _MOST_PRODUCTS // (model.n_outputs**2 * q))
    found = []
    for at in range(0, max(frame.height, 1), step):
        part = frame[at : at + step]
        encoded = encoding.encode(readable(part, encoding), model.unseen)
        z = model.scores_of(encoded, part)
        found.append((z, *ends(model, z, encoded, level)))
    z, low, high = map(np.concatenate, zip(*found, strict=True))
    return z, low, high


def ends_of_means(
    model: Model, z: NDArray[np.float64], encoded: Encoded, level: float = 0.95
) -> tuple[Any, Any]:
    """Return the ends of the intervals of means, (n, outputs) each; None where there are none.

    NaN where a row has something that the training rows did not tell.
    """
    joint = isinstance(model.loss, Softmax)
    if model.covariance is None or (model.n_outputs > 1 and not joint):
        return None, None
    if not joint:
        low, high = _score_ends(model, z, encoded, level)
        return means_of(model, low), means_of(model, high)
    covariances, lost = _of_scores(model, encoded)
    return _log_odds_ends(model, z, covariances, lost, inference_of(model).quantile(level))


def _ends_of_classes(
    model: Model, z: NDArray[np.float64], encoded: Encoded, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the intervals of each class's probability, (n, n_classes) each."""
    if model.n_outputs > 1:
        return ends_of_means(model, z, encoded, level)
    one, other = (model.probabilities(end) for end in _score_ends(model, z, encoded, level))
    return np.minimum(one, other), np.maximum(one, other)


def ends_of_targets(
    model: Model, z: NDArray[np.float64], encoded: Encoded, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the intervals of new targets, whose residuals are taken as normal."""
    assert model.covariance is not None  # noqa: S101
    return _score_ends(model, z, encoded, level, model.covariance.dispersion)


def _score_ends(
    model: Model,
    z: NDArray[np.float64],
    encoded: Encoded,
    level: float,
    more: NDArray[np.float64] | float = 0.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the intervals of one output's scores, with more variance than theirs."""
    covariances, lost = _of_scores(model, encoded)
    variance = np.maximum(covariances[:, :, 0], 0.0) + more
    half = inference_of(model).quantile(level) * np.sqrt(variance)
    half[lost] = np.nan
    return z - half, z + half


def _of_scores(
    model: Model, encoded: Encoded
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:  # fmt: skip
    """Return the covariances of scores (n, k, k), and for which rows they are not known.

    Of a covariance F·D·Fᵀ they are products of the rows' scores under the columns of F, and a
    kernel gives a row the same score whatever rows come with it.
    """
    from gradstep.engine.evaluation import scores  # imports Numba

    assert model.covariance is not None  # noqa: S101
    rows, k = model.encoding.rows(encoded), model.n_outputs
    factor, signs = model.covariance.factor
    of_outputs = factor[0].reshape(k, -1, signs.shape[1])
    each = np.stack(
        [
            scores(rows, np.concatenate([own[:-1].T.ravel(), own[-1]]), own.shape[1])
            for own in of_outputs
        ],
        axis=1,
    )
    lines = model.covariance.unknown()
    lost: NDArray[np.bool_] = np.zeros(each.shape[0], bool)
    if len(lines):
        along = scores(rows, np.concatenate([lines[:, :-1].ravel(), lines[:, -1]]), len(lines))
        lost = np.asarray((np.abs(along) > _ALONG).any(axis=1))
    return (each * signs[0]) @ each.transpose(0, 2, 1), lost


def _log_odds_ends(
    model: Model,
    z: NDArray[np.float64],
    covariance: NDArray[np.float64],
    lost: NDArray[np.bool_],
    width: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends for each class's probability, from those of its log-odds."""
    p = model.probabilities(z)
    k = p.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        others = np.maximum(1.0 - p, np.finfo(float).tiny)
        slope = np.eye(k) - p[:, None, :] * (1.0 - np.eye(k)) / others[:, :, None]
        square = np.einsum("ncd,nde,nce->nc", slope, covariance, slope)
        half = width * np.sqrt(np.maximum(square, 0.0))
        half[lost] = np.nan
        odds = p / others
        low, high = odds * np.exp(-half), odds * np.exp(np.minimum(half, _MOST_EXPONENT))
        return low / (1.0 + low), np.where(np.isinf(high), 1.0, high / (1.0 + high))
