"""Intervals of what is predicted for rows of a table: of the mean, and of a target to come.

They follow from the covariance of the parameters. Those of means are taken for the scores, and
turned into predictions; of several classes for the log-odds of each class against the others (the
delta method).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.data.features.matching import readable
from gradstep.data.features.sparse_encoding import SparseEncoding
from gradstep.errors import InvalidModel, InvalidParameter
from gradstep.model.intervals import inference_of
from gradstep.objective.classification import Softmax
from gradstep.objective.losses import is_quadratic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gradstep.data.features.encoding import Encoded
    from gradstep.model.model import Model

__all__ = ["MOST_NUMBERS", "ends_of_means", "ends_of_targets", "intervals_of_table", "means_of"]

MOST_NUMBERS = 1 << 24  # of rows with all their features
_MOST_EXPONENT = 700.0


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
        If the model has no covariance, or its loss no such intervals.
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
        why = str(model.provenance.get("no_inference", "its file keeps none"))
        msg = f"The model has no standard errors, so there are no intervals: {why}."
        raise InvalidModel(msg)
    inference_of(model).quantile(level)  # refuses what is no level
    ends = ends_of_targets if of_targets else ends_of_means
    found = [np.empty((0, model.n_outputs, 2))]
    for encoded, z in _encoded(model, table, encoding):
        found.append(np.stack(ends(model, z, encoded, level), axis=-1))
    return np.concatenate(found)


def _encoded(
    model: Model, table: Any, text_encoding: str
) -> Iterator[tuple[Encoded, NDArray[np.float64]]]:
    """Yield the rows of a table in parts of bounded size, encoded, and their scores."""
    encoding = model.encoding
    assert not isinstance(encoding, SparseEncoding)  # noqa: S101  (which has no covariance)
    step = max(1, MOST_NUMBERS // (encoding.n_features + 1))
    for frame in model.chunks(table, encoding=text_encoding):
        for at in range(0, frame.height, step):
            part = frame[at : at + step]
            yield encoding.encode(readable(part, encoding), model.unseen), model.scores(part)


def ends_of_means(
    model: Model, z: NDArray[np.float64], encoded: Encoded, level: float = 0.95
) -> tuple[Any, Any]:
    """Return the ends of the intervals of means, (n, outputs) each; None where there are none.

    NaN where a row has something that the training rows did not tell.
    """
    joint = isinstance(model.loss, Softmax)
    if model.covariance is None or (model.n_outputs > 1 and not joint):
        return None, None
    covariances, lost = _of_scores(model, encoded)
    width = inference_of(model).quantile(level)
    if joint:
        return _log_odds_ends(model, z, covariances, lost, width)
    half = width * np.sqrt(np.maximum(covariances[:, :, 0], 0.0))
    half[lost] = np.nan
    return means_of(model, z - half), means_of(model, z + half)


def ends_of_targets(
    model: Model, z: NDArray[np.float64], encoded: Encoded, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the intervals of new targets, whose residuals are taken as normal."""
    assert model.covariance is not None  # noqa: S101
    covariances, lost = _of_scores(model, encoded)
    variance = np.maximum(covariances[:, :, 0], 0.0) + model.covariance.dispersion
    half = inference_of(model).quantile(level) * np.sqrt(variance)
    half[lost] = np.nan
    return z - half, z + half


def _of_scores(
    model: Model, encoded: Encoded
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:  # fmt: skip
    """Return the covariances of scores (n, k, k), and for which rows they are not known."""
    assert model.covariance is not None  # noqa: S101
    k, p = model.n_outputs, model.encoding.n_features
    n = encoded.values.shape[0]
    x = np.zeros((n, p + 2))  # the last is of no feature
    x[:, : encoded.values.shape[1]] = encoded.values
    rows = np.arange(n)[:, None]
    np.add.at(x, (rows, np.where(encoded.codes < 0, p + 1, encoded.codes)), 1.0)
    places = np.where(encoded.places < 0, p + 1, encoded.places)
    np.add.at(x, (rows, places), encoded.amounts)
    x[:, p] = 1.0  # the intercept
    x = x[:, : p + 1]
    whole = inference_of(model).whole().reshape(k, p + 1, k, p + 1)
    each = np.empty((n, k, k))
    for c in range(k):
        for d in range(k):
            each[:, c, d] = np.einsum("ni,ij,nj->n", x, whole[c, :, d, :], x, optimize=True)
    lost: NDArray[np.bool_] = (x @ model.covariance.undetermined.any(axis=0)) != 0.0
    return each, lost


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
