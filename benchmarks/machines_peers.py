"""A logistic regression on a Dask Array, by gradstep, dask-ml and Spark, with two cores.

Without a penalty, which dask-ml's Newton method does not have. Both are given the array in the
workers' memory; gradstep's time has the writing of it to the disk in it. gradstep fits a part
first, since kernels are compiled once.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.grids import Grid
from benchmarks.machines_spark import by_spark
from gradstep import MiniBatchClassifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FEATURES, PARTS = 100, 8
SOLVERS = ("newton", "lbfgs", "admm")
WEAK = 1e9  # C of those that have a penalty


def _gradstep(X: Any, y: Any) -> tuple[NDArray[np.float64], float]:
    fit = MiniBatchClassifier(penalty=None, tol=1e-6).fit(X, y)
    return fit.coef_.ravel(), float(fit.intercept_[0])


def _dask_ml(solver: str) -> Callable[[Any, Any], tuple[NDArray[np.float64], float]]:
    from dask_ml.linear_model import LogisticRegression

    def fit(X: Any, y: Any) -> tuple[NDArray[np.float64], float]:
        found = LogisticRegression(solver=solver, C=WEAK, max_iter=100).fit(X, y)
        return np.ravel(found.coef_), float(np.ravel(found.intercept_)[0])

    return fit


def measure(rows: int, solvers: tuple[str, ...] = SOLVERS) -> Grid:
    """Fit by all; report seconds and the mean loss that each comes to."""
    import dask.array as da
    from distributed import Client, LocalCluster

    grid = Grid(
        f"Logistic regression, {rows:,} x {FEATURES} in a Dask Array, two processes",
        ["by", "seconds", "times", "mean log loss"],
    )
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, FEATURES))
    z = X @ rng.normal(size=FEATURES) / 5.0
    y = (z + rng.logistic(size=rows) > 0.0).astype(float)
    fits: dict[str, Any] = {"gradstep": _gradstep}
    try:
        fits |= {f"dask-ml, {solver}": _dask_ml(solver) for solver in solvers}
    except ImportError as error:
        grid.notes = [f"dask-ml: {error}"]
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=0, host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster),
        warnings.catch_warnings(),
    ):  # fmt: skip
        warnings.simplefilter("ignore")
        some = rows // PARTS
        far = da.from_array(X, chunks=(some, FEATURES)).persist()
        labels = da.from_array(y, chunks=some).persist()
        first = 0.0
        for name, fit in fits.items():
            if name == "gradstep":
                fit(far[: 2 * some], labels[: 2 * some])
            began = time.perf_counter()
            coef, intercept = fit(far, labels)
            seconds = time.perf_counter() - began
            first = first or seconds
            scores = X @ coef + intercept
            loss = float(np.mean(np.logaddexp(0.0, scores) - y * scores))
            grid.rows.append([name, f"{seconds:.1f}", f"{seconds / first:.1f}", f"{loss:.8f}"])
    try:
        seconds, coef, intercept = by_spark(X, y)
    except ImportError as error:
        grid.notes.append(f"Spark: {error}")
    else:
        scores = X @ coef + intercept
        loss = float(np.mean(np.logaddexp(0.0, scores) - y * scores))
        grid.rows.append(["Spark ML", f"{seconds:.1f}", f"{seconds / first:.1f}", f"{loss:.8f}"])
    return grid


if __name__ == "__main__":
    import sys

    print(measure(int(sys.argv[1]), tuple(sys.argv[2:]) or SOLVERS).markdown())
