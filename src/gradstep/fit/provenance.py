"""The provenance of a model: what its file says about the table and the settings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.optim.solvers import is_automatic
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradstep.engine.records import EpochRecord
    from gradstep.engine.state import Problem
    from gradstep.fit.table import TableFit

__all__ = ["provenance_of"]

_MOST_EPOCHS = 500  # of the history that is kept; of more, as many apart from each other
_KEPT = ("epoch", "loss", "validation", "passes", "optimality", "excess")
_OF_COLUMNS = ("missing", "levels", "low", "high")


def provenance_of(fit: TableFit, problem: Problem) -> dict[str, Any]:
    """Return the provenance of a model; it depends on the table and the settings, on no clock."""
    meta = fit.prepared.meta
    return {
        "version": VERSION,
        "source": meta["source"],
        "fingerprint": meta["fingerprint"],
        "asked": meta["asked"],
        "rows": meta["rows"],
        "loss": repr(problem.loss),
        "penalty": repr(problem.penalty),
        "optimizer": repr(problem.optimizer),
        "learning_rate": "auto" if is_automatic(problem.optimizer) else repr(problem.schedule),
        "alpha": None if fit.alpha is None else fit.alpha.in_words,
        "batch_size": problem.batch_size or "auto",
        "seed": problem.seed,
        "epochs": len(fit.history),
        "kept_epoch": fit.kept_epoch,
        "outcome": fit.outcome.name.lower(),
        "history": _history(fit.history),
        "refit": None if fit.refit is None else fit.refit.to_json(),
        "validation": _finite(fit.validation),
        "baseline": _finite(fit.baseline),
        "notes": fit.notes,
        "words": dict(fit.plan.words),
        "columns": {
            column: {name: known[name] for name in _OF_COLUMNS if name in known}
            for column, known in meta["columns"].items()
        },
    }


def _history(records: Sequence[EpochRecord]) -> dict[str, list[float | None]]:
    """Return what is known of the epochs, a list each; without seconds, which differ each time."""
    at = np.unique(np.linspace(0, len(records) - 1, min(len(records), _MOST_EPOCHS)).round())
    some = [records[int(i)] for i in at] if records else []
    lists = {name: [_number(getattr(record, name)) for record in some] for name in _KEPT}
    return {name: values for name, values in lists.items() if any(v is not None for v in values)}


def _number(value: float | None) -> float | None:
    """Return a number that JSON has a word for, or None."""
    return value if value is not None and math.isfinite(value) else None


def _finite(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics that are finite; JSON has no word for the others."""
    return {
        name: value
        for name, value in metrics.items()
        if not isinstance(value, float) or math.isfinite(value)
    }
