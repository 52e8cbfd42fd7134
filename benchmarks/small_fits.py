"""What calls take on small data, where little of it is arithmetic: beside scikit-learn's.

python -m benchmarks.small_fits
    --quick       few rounds
    --json FILE   results are written here
    --markdown    the table as Markdown

CPU seconds of this process, on one thread of BLAS (set OPENBLAS_NUM_THREADS=1, and pin the process
to a core). The sides take turns within a round; a ratio is the median of the rounds' own ratios,
beside its quartiles. Off the clock: compiling, and one unmeasured call of each.
"""

from __future__ import annotations

import argparse
import gc
import time
import warnings
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score

from benchmarks.grids import Grid, print_grids, write_grids
from benchmarks.machine import describe_machine
from gradstep import MiniBatchClassifier, MiniBatchRegressor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SHAPES = ((100, 5), (1_000, 10), (5_000, 20))
_ROUNDS, _FEW = 21, 5
_CALLS = 10  # of a side in a round, as a search over parameters makes them
_STRENGTHS = np.logspace(-6, -1, 20)  # times five folds: 100 fits


class Cell(NamedTuple):
    """A call of ours and the same of a peer's, and how many of them make a round."""

    name: str
    peer: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    calls: int = _CALLS


def _rows(n: int, p: int) -> tuple[Any, Any, Any]:
    """Return features, a target with noise, and two classes, not separable."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    y = X @ rng.normal(size=p) + rng.normal(size=n)
    return X, y, (y > 0.0).astype(int)


def _fit(estimator: type, X: Any, y: Any) -> Callable[[], Any]:
    return lambda: estimator().fit(X, y)


def _one_row(estimator: Any, X: Any, y: Any, **first: Any) -> Callable[[], Any]:
    """Return a call of `partial_fit` on one row, of an estimator that has had all."""
    estimator.partial_fit(X, y, **first)
    return lambda: estimator.partial_fit(X[:1], y[:1])


def _search(estimator: Any, X: Any, y: Any) -> Callable[[], Any]:
    return lambda: GridSearchCV(estimator, {"alpha": _STRENGTHS}, cv=5, refit=False).fit(X, y)


def _cells() -> Iterator[Cell]:
    for n, p in _SHAPES:
        X, y, classes = _rows(n, p)
        shape = f"{n:,} × {p}"
        yield Cell(
            f"fit, numbers, {shape}", "Ridge",
            _fit(MiniBatchRegressor, X, y), _fit(Ridge, X, y),
        )  # fmt: skip
        yield Cell(
            f"fit, two classes, {shape}", "LogisticRegression",
            _fit(MiniBatchClassifier, X, classes), _fit(LogisticRegression, X, classes),
        )  # fmt: skip
    X, y, classes = _rows(1_000, 10)
    yield Cell(
        "partial_fit of one row, numbers", "SGDRegressor",
        _one_row(MiniBatchRegressor(), X, y), _one_row(SGDRegressor(), X, y),
    )  # fmt: skip
    of_two = {"classes": [0, 1]}
    yield Cell(
        "partial_fit of one row, two classes", "SGDClassifier",
        _one_row(MiniBatchClassifier(), X, classes, **of_two),
        _one_row(SGDClassifier(), X, classes, **of_two),
    )  # fmt: skip
    yield Cell(
        "GridSearchCV, 100 fits, 1,000 × 10", "SGDClassifier(loss='log_loss')",
        _search(MiniBatchClassifier(), X, classes),
        _search(SGDClassifier(loss="log_loss"), X, classes), calls=1,
    )  # fmt: skip
    yield Cell(
        "cross_val_score, 5 folds, 1,000 × 10", "LogisticRegression",
        lambda: cross_val_score(MiniBatchClassifier(), X, classes, cv=5),
        lambda: cross_val_score(LogisticRegression(), X, classes, cv=5), calls=2,
    )  # fmt: skip


def _seconds(call: Callable[[], Any], times: int) -> float:
    """Return the CPU seconds of a call, one of several."""
    began = time.process_time_ns()
    for _ in range(times):
        call()
    return (time.process_time_ns() - began) / (1e9 * times)


def _row(cell: Cell, rounds: int) -> list[str]:
    """Let both sides of a cell take turns; return its line of the table."""
    for call in (cell.ours, cell.theirs):
        call()
    gc.collect()
    sides, calls = (cell.ours, cell.theirs), cell.calls
    pairs = [[_seconds(side, calls) for side in sides] for _ in range(rounds)]
    ratios = [ours / theirs for ours, theirs in pairs]
    low, _, high = quantiles(ratios, n=4)
    ours, theirs = (1e3 * median(each) for each in zip(*pairs, strict=True))
    spread = f"{low:.2f}–{high:.2f}"
    return [
        cell.name, cell.peer, f"{ours:.3g} ms", f"{theirs:.3g} ms", f"{median(ratios):.2f}", spread
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_fits")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="results are written here")
    asked = parser.parse_args(arguments)
    rounds = _FEW if asked.quick else _ROUNDS
    grid = Grid(
        "Small data: CPU time of a call",
        ["call", "beside", "gradstep", "scikit-learn", "ratio", "quartiles"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        grid.rows = [_row(cell, rounds) for cell in _cells()]
    grid.notes = [f"{rounds} rounds in turn; a ratio above 1 says that gradstep takes longer"]
    if asked.json is not None:
        write_grids(asked.json, [grid], describe_machine())
    print_grids([grid], markdown=asked.markdown)


if __name__ == "__main__":
    main()
