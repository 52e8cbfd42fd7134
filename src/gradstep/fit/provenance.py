"""The provenance of a model: what its file says about the table and the settings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gradstep.optim.solvers import is_automatic
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradstep.engine.state import Problem
    from gradstep.fit.table import TableFit

__all__ = ["provenance_of"]


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
        "batch_size": problem.batch_size or "auto",
        "seed": problem.seed,
        "epochs": len(fit.history),
        "kept_epoch": fit.kept_epoch,
        "outcome": fit.outcome.name.lower(),
        "refit": None if fit.refit is None else fit.refit.to_json(),
        "validation": _finite(fit.validation),
        "baseline": _finite(fit.baseline),
        "notes": fit.notes,
    }


def _finite(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics that are finite; JSON has no word for the others."""
    return {
        name: value
        for name, value in metrics.items()
        if not isinstance(value, float) or math.isfinite(value)
    }
