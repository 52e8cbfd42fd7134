"""All that came of a comparison: the runs, what they are measured by, and frames of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from gradstep.comparing.noise import Noise
    from gradstep.comparing.runs import Run
    from gradstep.comparing.surface import Surface
    from gradstep.reporting.document import Report

__all__ = ["WITHIN", "Arrival", "Comparison"]

WITHIN = 0.01  # of the optimum's objective: as near as makes little difference


@dataclass(frozen=True)
class Arrival:
    """When a run first came within 1 % of the optimum, at the end of an epoch."""

    epoch: int
    rows: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Runs side by side, from one start on one table; `gradstep.compare` makes one.

    Attributes
    ----------
    runs : list of Run
        Those of the textbook's loop, in the order in which they were asked for.
    automatic : Run
        What the automatic method does with the same problem.
    about : dict
        "source", "target", "rows", "held_out", "features", "loss", "penalty", "steps" (on which
        columns), "start" and "seed", in words and numbers.
    mean_square : bool
        Whether people are shown the mean square, which is twice the loss.
    noise : dict of Noise
        Of gradients, at the "start" and "near" the optimum; empty where it was not computed.
    surface : Surface or None
        The paths over the objective, where there is a plane to draw.
    interrupted : bool
        Whether there were to be more runs.
    """

    runs: list[Run]
    automatic: Run
    about: dict[str, Any]
    mean_square: bool = False
    noise: dict[str, Noise] = field(default_factory=dict)
    surface: Surface | None = None
    interrupted: bool = False

    @property
    def optimum(self) -> float:
        """The least objective that any run came to: that of the automatic method."""
        each = (run.curve.objective for run in (self.automatic, *self.runs))
        return min(value for values in each for value in values if math.isfinite(value))

    @property
    def near(self) -> float:
        """The objective that is within 1 % of the optimum; of the way there, if that is no loss."""
        optimum, start = self.optimum, self.start
        if optimum > 1e-9 * start:
            return optimum + WITHIN * optimum
        return optimum + WITHIN * (start - optimum)

    @property
    def start(self) -> float:
        """The objective that the runs started from."""
        return (self.runs or [self.automatic])[0].curve.objective[0]

    @property
    def unit(self) -> float:
        """What a loss is multiplied by for people."""
        return 2.0 if self.mean_square else 1.0

    @property
    def loss_name(self) -> str:
        """What the loss is called for people."""
        return "mean square" if self.mean_square else "loss"

    def excess(self, run: Run) -> list[float]:
        """Return how far a run's objective was above the optimum: at the start and each epoch."""
        return [value - self.optimum for value in run.curve.objective]

    def arrival(self, run: Run) -> Arrival | None:
        """Return when a run first came within 1 % of the optimum; None if it did not."""
        curve = run.curve
        for at, value in enumerate(curve.objective):
            if at and value <= self.near:
                return Arrival(at, curve.rows[at], curve.seconds[at])
        return None

    @property
    def best(self) -> Run | None:
        """The run of the textbook's loop that ended lowest; None if all diverged."""
        ended = [run for run in self.runs if run.diverged is None and run.curve.epochs]
        return min(ended, key=lambda run: run.curve.objective[-1], default=None)

    # ------------------------------------------------------------------ as frames

    @property
    def epochs(self) -> pl.DataFrame:
        """A row for each epoch of each run, its start as epoch 0; the automatic method last."""
        import polars as pl

        parts = []
        for run in (*self.runs, self.automatic):
            curve, n = run.curve, len(run.curve.rows)
            columns = {
                "run": [run.name] * n,
                "epoch": list(range(n)),
                "rows": curve.rows,
                "seconds": curve.seconds,
                "loss": curve.loss,
                "held_out": curve.held_out,
                "objective": curve.objective,
                "excess": self.excess(run),
            }
            parts.append(pl.DataFrame(columns, schema_overrides={"held_out": pl.Float64}))
        return pl.concat(parts)

    @property
    def table(self) -> pl.DataFrame:
        """A row for each run; the automatic method last."""
        import polars as pl

        rows = []
        for run in (*self.runs, self.automatic):
            curve, there = run.curve, self.arrival(run)
            rows.append({
                "run": run.name,
                "batch_size": run.problem.batch_size or None,
                "optimizer": repr(run.problem.optimizer),
                "learning_rate": None if run.trial is None else repr(run.problem.schedule),
                "epochs": curve.epochs,
                "steps": curve.steps or None,
                "seconds": curve.seconds[-1],
                "loss": curve.loss[-1],
                "held_out": curve.held_out[-1],
                "objective": curve.objective[-1],
                "excess": self.excess(run)[-1],
                "epochs_to_1_percent": None if there is None else there.epoch,
                "rows_to_1_percent": None if there is None else there.rows,
                "seconds_to_1_percent": None if there is None else there.seconds,
                "diverged_in_epoch": None if run.diverged is None else run.diverged.epoch,
                "why": None if run.diverged is None else f"{run.diverged.what} {run.diverged.why}",
            })  # fmt: skip
        return pl.DataFrame(rows, infer_schema_length=None)

    # ------------------------------------------------------------------ to be looked at

    def report(self) -> Report:
        """Return the comparison as a page of HTML that needs nothing else."""
        from gradstep.comparing.page import page_of

        return page_of(self)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the page to a file; see `Report.save`."""
        self.report().save(path, force=force)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the page, in a frame."""
        return self.report()._repr_html_()

    def __str__(self) -> str:
        """Return the table and what it says, as text."""
        from gradstep.comparing.words import as_text

        return as_text(self)

    def __repr__(self) -> str:
        names = ", ".join(run.name for run in self.runs)
        return f"<Comparison: {names}; print shows it, save(path) writes a page>"
