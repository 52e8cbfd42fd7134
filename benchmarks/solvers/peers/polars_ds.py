"""polars-ds: ``lin_reg`` of a frame: ridge by a factorisation, the lasso by coordinate descent.

With weights of rows it leaves penalties out, so those cases are not its. Its test for columns that
depend on others is off: a penalty makes them no less fit, and it would return nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from benchmarks.solvers.side import TOLERANCES, Fitted, Side

if TYPE_CHECKING:
    from benchmarks.solvers.cases import Task

PACKAGE, MODULE = "polars-ds", "polars_ds"


def sides(task: Task, *, small_batches: bool) -> list[Side]:
    """Return its side of squared error, dense and without weights of rows."""
    del small_batches
    o = task.objective
    if o.loss != "squared_error" or sp.issparse(o.X) or o.weight is not None:
        return []
    if not o.l1_share and len(o.y) < o.X.shape[1]:
        return []  # "#Data < #features", with a penalty, too
    pds = import_module("polars_ds")
    names = [f"x{j}" for j in range(o.X.shape[1])]
    frame = pl.DataFrame(dict(zip(names, o.X.T, strict=True)) | {"y": o.y})
    share = o.l1_share
    # Coordinate descent averages over the rows, ridge sums.
    scale = 1.0 if share else len(o.y)
    strengths = {"l1_reg": share * o.strength, "l2_reg": scale * (1.0 - share) * o.strength}

    def fit(tol: float) -> Any:
        made = pds.lin_reg(
            *names,
            target="y",
            add_bias=True,
            tol=tol,
            max_iter=100_000,
            singular_x_tol=0.0,
            **strengths,
        )
        return frame.select(made).item()

    def value(coefficients: Any) -> float:
        found = np.asarray(coefficients)
        return o.value_of(Fitted(found[:-1], found[-1]))

    return [Side("polars-ds", fit, value, TOLERANCES if share else TOLERANCES[:1])]
