"""The report of a fit: that of its model, with seconds, and with the rows that were held out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradstep.model.evaluation import evaluate_held_out
from gradstep.model.sample import SampledRows
from gradstep.reporting.page import HeldOut, report_of, tested_on

if TYPE_CHECKING:
    from gradstep.fit.table import TableFit
    from gradstep.reporting.document import Report

__all__ = ["report_of_fit"]


def report_of_fit(fit: TableFit, table: Any, sample_weight: str | None) -> Report:
    """Return the report of a fit, and of a table if one is given (`TableFit.report`)."""
    held_out = None
    if fit.prepared.validation is not None:
        rows = SampledRows.of(fit.model.n_outputs)
        evaluate_held_out(fit.judged, fit.prepared, sample=rows)
        held_out = HeldOut(fit.judged, rows)
    encoding = fit.prepared.meta["asked"].get("encoding", "")
    tested = None if table is None else tested_on(fit.model, table, sample_weight, encoding)
    seconds = [record.seconds for record in fit.history]
    return report_of(fit.model, tested=tested, held_out=held_out, seconds=seconds)
