"""Notices a model that does worse on the rows held out than on those that it was trained on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.diagnostics.of_models import DRIFT, NO_BETTER, OVERFITTING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.diagnostics.diagnostic import Note
    from gradstep.model.model import Model
    from gradstep.rows.dataset import Dataset

__all__ = ["notes_of_held_out"]

_FEWEST_ROWS, _ROWS = 50, 1 << 17
# How much larger the loss is, relative to a constant's, before it is noticed: so many times, by so
# much, and by so many standard errors of a mean of squares.
_TIMES, _BY, _ERRORS = 1.5, 0.1, 4.0


def notes_of_held_out(model: Model, prepared: PreparedTable) -> list[Note]:
    """Return a note if the rows held out tell another story than the training rows.

    Parameters
    ----------
    model : Model
        The model of the training rows.
    prepared : PreparedTable
        The rows.
    """
    held_out = prepared.validation
    if held_out is None or held_out.n < _FEWEST_ROWS or not model.coef_.any():
        return []
    trained, held = (_relative_loss(model, data) for data in (prepared.train, held_out))
    if not (math.isfinite(trained) and math.isfinite(held)):
        return []
    times = max(_TIMES, 1.0 + _ERRORS * math.sqrt(2.0 / held_out.n))
    larger = held > times * trained and held > trained + _BY
    by_time = "time" in prepared.meta["asked"]
    told = f"is {trained:.2g} on the rows trained on and {held:.2g} on the {held_out.n:,} held out"
    if by_time and (larger or held >= 1.0):
        return [
            DRIFT.note(
                f"Later rows differ: the loss, relative to the best constant's, {told}, which come "
                "later. Expect errors as on these; train on recent rows, and again often."
            )
        ]
    if larger:
        return [
            OVERFITTING.note(
                f"The model is much better on its training rows: the loss, relative to the best "
                f"constant's, {told}. Use fewer features, more rows or a stronger penalty."
            )
        ]
    if held >= 1.0:
        return [
            NO_BETTER.note(
                f"The model is no better than a constant: the loss, relative to the best "
                f"constant's, {told}."
            )
        ]
    return []


def _some(data: Dataset) -> Dataset:
    """Return rows enough to tell a mean loss by: the first, where they lie in random order."""
    if data.index is not None or not data.shuffled:
        return data.sample()
    return data.part(0, min(data.n, _ROWS))


def _relative_loss(model: Model, data: Dataset) -> float:
    """Return the mean loss over that of the training rows' best constant, both above the least."""
    from gradstep.engine.baseline import Baseline  # these import Numba
    from gradstep.engine.evaluation import mean_loss

    assert model.training is not None  # noqa: S101
    data, k = _some(data), model.n_outputs
    constant: NDArray[np.float64] = np.zeros(model.params.size)
    constant[-k:] = model.training.constant
    least = Baseline(model.loss, data, k, constant).floor
    of: Any = [mean_loss(model.loss, data, at, k) - least for at in (model.params, constant)]
    return float(of[0] / of[1]) if of[1] > 0.0 else math.nan
