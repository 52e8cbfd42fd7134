"""How near epochs come to what the memory gives, measured in the same run.

Run from the root of the repository::

    python -m benchmarks.limit [--quick] [--only share,optimizers] [--markdown] [--json FILE]

The bandwidth is that of a compiled sum of the same array, by one thread and by two. Epochs are
those of `fit` after the first two, their order included; float64 unless said.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable  # noqa: TC003  (in an alias)
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import numba
import numpy as np
import polars as pl
import scipy.sparse as sp
import typer

import gradstep
from benchmarks.grids import Grid, print_grids
from benchmarks.machine import describe_machine
from benchmarks.turns import PERCENT, TIMES, Asked, Line
from gradstep import MiniBatchClassifier, MiniBatchRegressor

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS = 50_000_000  # of an array: 400 MB in float64, beyond any cache
EPOCHS, ROUNDS = 4, 3
FEATURES = (10, 30, 100, 300, 1000)
NONZEROS = 75
Points = list[dict[str, Any]]


# --------------------------------------------------------------------------- what the memory gives


@numba.njit(nogil=True, fastmath=True, cache=True)
def _sum(x: Any) -> float:
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total


def bandwidth(X: NDArray[Any], threads: int) -> float:
    """Return the bytes a second at which so many threads read an array: the best of some."""
    parts = np.array_split(X.reshape(-1), threads)
    with ThreadPoolExecutor(threads) as pool:

        def once() -> float:
            began = perf_counter()
            list(pool.map(_sum, parts))
            return perf_counter() - began

        once()
        return float(X.nbytes / min(once() for _ in range(5)))


def dense(n: int, p: int, dtype: Any = np.float64) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return rows of random numbers, and a target that is linear in them."""
    rng = np.random.default_rng(p)
    X = np.empty((n, p), dtype)
    for lo in range(0, n, 1 << 16):
        X[lo : lo + (1 << 16)] = rng.normal(size=X[lo : lo + (1 << 16)].shape)
    return X, (X[:, :10] @ np.ones(min(10, p), dtype)).astype(np.float64) + rng.normal(size=n)


def epoch(X: Any, y: Any, kind: Any = MiniBatchRegressor, **how: Any) -> float:
    """Return the seconds of an epoch: the least of those after the second."""
    settings = {
        "penalty": None, "learning_rate": 1e-4, "batch_size": 256, "tol": None, "random_state": 0,
        "optimizer": "sgd", "max_iter": EPOCHS,
    }  # fmt: skip
    fitted = kind(**(settings | how)).fit(X, y)
    return min(record.seconds for record in fitted.history_[2:])


# --------------------------------------------------------------------------- figures


def share(numbers: int, points: Points) -> list[Line]:
    """Compare epochs with what two threads read: the share."""
    lines = []
    for p in FEATURES:
        X, y = dense(numbers // p, p)
        found: dict[str, list[float]] = {"blocks": [], "exact": []}
        speeds = []
        for _ in range(ROUNDS):
            one, two = bandwidth(X, 1), bandwidth(X, 2)
            speeds.append((one, two))
            for order, shares in found.items():
                shares.append(X.nbytes / epoch(X, y, shuffle=order) / two)
        one, two = (max(each) for each in zip(*speeds, strict=True))
        for order, shares in found.items():
            least = {"blocks": (100, 0.6), "exact": (300, 0.35)}[order]
            asked = Asked("≥", least[1]) if p >= least[0] else None
            told = f"of {two / 1e9:.1f} GB/s (one thread {one / 1e9:.1f})"
            lines.append(Line(f"{order}, {p:,} features", asked, shares, PERCENT, "", told))
            points.append({"figure": "share", "order": order, "p": p, "shares": shares})
    return lines


def single(numbers: int, points: Points) -> list[Line]:
    """Compare float32 with float64: times as many rows a second."""
    lines = []
    for p in FEATURES:
        X, y = dense(numbers // p, p)
        half = X.astype(np.float32)
        ratios = [
            epoch(X, y, shuffle="blocks") / epoch(half, y, shuffle="blocks") for _ in range(ROUNDS)
        ]
        asked = Asked("≥", 1.6) if p >= 100 else None
        lines.append(Line(f"float32, {p:,} features", asked, ratios, TIMES, "", "float64"))
        points.append({"figure": "single", "p": p, "ratios": ratios})
    return lines


def optimizers(numbers: int, points: Points) -> list[Line]:
    """Compare optimizers that have a state with plain steps: times as long."""
    lines = []
    for p in (10, 100, 1000):
        X, y = dense(numbers // p, p)
        for name in ("momentum", "adagrad", "adam"):
            ratios = [epoch(X, y, optimizer=name) / epoch(X, y) for _ in range(ROUNDS)]
            lines.append(Line(f"{name}, {p:,} features", Asked("≤", 1.5), ratios, TIMES, "", "sgd"))
            points.append({"figure": "optimizers", "optimizer": name, "p": p, "ratios": ratios})
    return lines


def hashed(numbers: int, points: Points) -> list[Line]:
    """Compare as many numbers a row in many features with those in few: times as long."""
    n = numbers // 250
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    times: dict[int, list[float]] = {}
    for bits in (12, 20):
        columns = np.sort(rng.integers(0, 1 << bits, (n, NONZEROS)), axis=1)
        X = sp.csr_array(
            (np.ones(columns.size), columns.ravel(), np.arange(0, columns.size + 1, NONZEROS)),
            shape=(n, 1 << bits),
        )
        X.sum_duplicates()
        times[bits] = [epoch(X, y, MiniBatchClassifier, batch_size=32) for _ in range(ROUNDS)]
    ratios = [many / few for few, many in zip(times[12], times[20], strict=True)]
    points.append({"figure": "hashed", "ratios": ratios})
    what = f"{NONZEROS} numbers a row in 2²⁰ features"
    return [Line(what, Asked("≤", 2.0), ratios, TIMES, "", "in 2¹²")]


def flat(numbers: int, points: Points) -> list[Line]:
    """Compare the cost of a number in larger arrays with that in a small one."""
    lines, at = [], {}
    sizes = [(100, m) for m in (numbers // 5, numbers, 5 * numbers)]
    for p, m in sizes:
        X, y = dense(m // p, p)
        at[m] = [epoch(X, y) / X.size for _ in range(ROUNDS)]
        points.append({"figure": "flat", "p": p, "numbers": m, "seconds": at[m]})
        del X
    first = at[sizes[0][1]]
    for _, m in sizes[1:]:
        ratios = [b / a for a, b in zip(first, at[m], strict=True)]
        what = f"a number of {m:,} (100 features)"
        lines.append(Line(what, Asked("≤", 1.2), ratios, TIMES, "", f"one of {sizes[0][1]:,}"))
    return lines


def predicting(numbers: int, points: Points) -> list[Line]:
    """Compare predicting and evaluating a file with reading it: times as long."""
    n, p = numbers // 20, 20
    X, y = dense(n, p, np.float32)
    frame = pl.DataFrame({f"x{j}": X[:, j] for j in range(p)} | {"y": y})
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "rows.parquet"
        frame.write_parquet(path)
        model = gradstep.fit_table(frame[:100_000], "y", validation=0.0).model

        def seconds(work: Callable[[], Any]) -> float:
            began = perf_counter()
            work()
            return perf_counter() - began

        works: dict[str, Callable[[], Any]] = {
            "reading": lambda: pl.read_parquet(path),
            "predict": lambda: model.predict(path),
            "evaluate": lambda: gradstep.evaluate(model, path),
        }
        for work in works.values():
            work()
        turns = [{name: seconds(work) for name, work in works.items()} for _ in range(ROUNDS)]
    lines = []
    for name in ("predict", "evaluate"):
        ratios = [turn[name] / turn["reading"] for turn in turns]
        lines.append(
            Line(f"{name}, {n:,} x {p} Parquet", Asked("≤", 1.5), ratios, TIMES, "", "reading")
        )
        points.append({"figure": name, "ratios": ratios})
    return lines


FIGURES: dict[str, Callable[[int, Points], list[Line]]] = {
    "share": share, "single": single, "optimizers": optimizers, "hashed": hashed, "flat": flat,
    "predicting": predicting,
}  # fmt: skip


def main(
    *,
    quick: Annotated[bool, typer.Option(help="A twentieth of the numbers, no verdicts.")] = False,
    only: Annotated[str, typer.Option(help=f"Of {', '.join(FIGURES)}; comma between.")] = "",
    out: Annotated[Path | None, typer.Option("--json", help="Results are written here.")] = None,
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
) -> None:
    """Measure epochs beside the bandwidth of the memory."""
    warnings.simplefilter("ignore")  # runs that end after so many epochs
    chosen = [name.strip() for name in only.split(",") if name.strip()] or list(FIGURES)
    for name in chosen:
        if name not in FIGURES:
            message = f"no figure is called {name!r}; they are {', '.join(FIGURES)}"
            raise typer.BadParameter(message, param_hint="--only")
    numbers = NUMBERS // 20 if quick else NUMBERS
    points: Points = []
    grids = []
    for name in chosen:
        grid = Grid(
            (FIGURES[name].__doc__ or "").strip(),
            ["figure", "asked for", "measured", "least to most", "beside", "result"],
        )
        for line in FIGURES[name](numbers, points):
            row = line.row(judged=not quick)
            grid.rows.append([*row[:4], *row[5:]])
        grids.append(grid)
    machine = describe_machine()
    if out is not None:
        date = datetime.now(UTC).date().isoformat()
        content = {"date": date, "machine": machine, "quick": quick, "points": points}
        out.write_text(json.dumps(content, indent=1) + "\n")
    grids.append(Grid("Measured on", list(machine), [list(machine.values())]))
    print_grids(grids, markdown=markdown)


if __name__ == "__main__":
    typer.run(main)
