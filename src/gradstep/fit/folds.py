"""Cross-validation of a prepared table: each part of the rows is held out and predicted once."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.checks import check_number
from gradstep.errors import InvalidParameter
from gradstep.model.evaluation import evaluate_held_out
from gradstep.rows.dataset import row_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from gradstep.data.preparing.prepared import PreparedTable
    from gradstep.model.model import Model
    from gradstep.rows.dataset import Dataset

__all__ = ["check_folds", "evaluate_folds", "mean_and_spread"]


def check_folds(folds: int | None, asked: Mapping[str, Any], rows: int | None = None) -> None:
    """Refuse a cross-validation that cannot be, before anything is trained in vain.

    Parameters
    ----------
    folds : int or None
        How many parts, if any.
    asked : mapping
        What was asked for when the table was prepared.
    rows : int, optional
        Rows to train on, once they are known.

    Raises
    ------
    InvalidParameter
        If there are fewer rows than parts, or rows have an offset, which is part of their targets.
    """
    if folds is None:
        return
    check_number(
        "fit_table", "cv", folds, low=2, high=math.inf if rows is None else rows, whole=True
    )
    if any(asked.get(name) is not None for name in ("offset", "exposure")):
        msg = (
            f"cv={folds} cannot be used with an offset or an exposure, which has become part of "
            "the rows. Hold rows out instead (validation=0.1)."
        )
        raise InvalidParameter(msg)


def evaluate_folds(
    prepared: PreparedTable,
    fit: Callable[[PreparedTable], Model | None],
    folds: int,
    *,
    by_index: bool,
) -> list[dict[str, Any]]:
    """Return the metrics of each part of the training rows, predicted by a model of the others.

    The held-out part decides nothing, neither an epoch nor a penalty. The rows are in random order,
    so each part is a range of them.

    Parameters
    ----------
    prepared : PreparedTable
        The table; rows that are held out already are in no part.
    fit : callable
        Returns the model of a table's training rows; None if it was interrupted.
    folds : int
        How many parts; `check_folds` allows it.
    by_index : bool
        Whether fits take mini-batches, whose rows are in one array: then others of it are passed
        over by an index. Else the rows before and after a part are summed over where they are,
        by whoever computes on them.
    """
    from gradstep.engine.parts import between  # imports Numba

    n, found = prepared.train.n, []
    cuts = [n * part // folds for part in range(folds + 1)]
    for lo, hi in pairwise(cuts):
        with (_by_index if by_index else _where_they_are)(prepared.train, lo, hi) as others:
            model = fit(replace(prepared, train=others, validation=None))
        if model is None:
            return []
        held_out = replace(prepared, validation=between(prepared.train, lo, hi))
        found.append(evaluate_held_out(model, held_out))
    return found


@contextmanager
def _by_index(data: Dataset, lo: int, hi: int) -> Iterator[Dataset]:
    """Return all rows but some that follow each other, by an index."""
    rows = row_numbers(np.arange(data.n), data.n)
    yield data.select(np.concatenate([rows[:lo], rows[hi:]]))


@contextmanager
def _where_they_are(data: Dataset, lo: int, hi: int) -> Iterator[Dataset]:
    """Return all rows but some that follow each other, the larger of both parts first."""
    from gradstep.engine.parts import Together, between  # imports Numba

    spans = sorted([(0, lo), (hi, data.n)], key=lambda span: span[0] - span[1])
    parts = [between(data, *span) for span in spans if span[0] < span[1]]
    if len(parts) == 1:
        yield parts[0]
        return
    with Together.of(*parts) as both:
        yield both


def mean_and_spread(folds: Iterable[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation over the folds of each metric that is a number.

    Examples
    --------
    >>> mean_and_spread([{"rows": 5, "r2": 0.5}, {"rows": 5, "r2": 0.7}])["r2"]
    (0.6, 0.14142135623730948)
    """
    folds = list(folds)
    names = [name for name, value in folds[0].items() if isinstance(value, float)] if folds else []
    each = {name: np.array([fold[name] for fold in folds]) for name in names}
    return {name: (float(x.mean()), float(x.std(ddof=1))) for name, x in each.items()}
