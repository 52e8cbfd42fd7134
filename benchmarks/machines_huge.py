"""As many rows as the disk holds, prepared and trained by two workers of 1 GB each.

Dask is told the limit: it writes to the disk beyond 60 % of it, and pauses a worker at 80 %.
Anonymous memory is what counts; pages of mapped files are told, too, since Dask counts them.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

import gradstep
from benchmarks.grids import Grid
from benchmarks.machines import running

if TYPE_CHECKING:
    from benchmarks.machines import Cluster

LIMIT = "1GB"
FILE_ROWS = 1_000_000
COLUMNS = 8


def write(folder: Path, rows: int) -> None:
    """Write Parquet files of random rows: numbers, and a column of a hundred levels."""
    folder.mkdir()
    for number, first in enumerate(range(0, rows, FILE_ROWS)):
        n = min(FILE_ROWS, rows - first)
        rng = np.random.default_rng(number)
        X = rng.normal(size=(n, COLUMNS))
        levels = rng.integers(0, 100, n)
        z = X.sum(axis=1) / 2.0 + np.sin(levels)
        columns = {f"x{j}": X[:, j] for j in range(COLUMNS)}
        y = np.where(z + rng.logistic(size=n) > 0.0, "yes", "no")
        frame = pl.DataFrame({**columns, "level": [f"l{k}" for k in levels], "y": y})
        frame.write_parquet(folder / f"{number:05}.parquet")


class Watch(threading.Thread):
    """Looks at what memory the workers have, and what they have spilled."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self.anonymous = self.resident = self.spilled = 0
        self._cluster, self._over = cluster, threading.Event()

    def run(self) -> None:
        """Look until told to end."""
        while not self._over.wait(0.05):
            for process in self._cluster.processes:
                path = Path(f"/proc/{process.pid}/status")
                status = path.read_text(encoding="utf-8") if path.exists() else ""
                sizes = {
                    name: int(value.split()[0])
                    for name, _, value in (line.partition(":") for line in status.splitlines())
                    if name in {"VmRSS", "RssAnon"}
                }
                self.anonymous = max(self.anonymous, sizes.get("RssAnon", 0))
                self.resident = max(self.resident, sizes.get("VmRSS", 0))
            spilled = sum(1 for _ in self._cluster.folder.glob("**/storage/*"))
            self.spilled = max(self.spilled, spilled)

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()


def measure(rows: int) -> Grid:
    """Prepare and train; report times and memory."""
    header = ["step", "seconds", "worker: anonymous MB", "with mapped files MB", "spilled files"]
    grid = Grid(f"{rows:,} rows, two workers of {LIMIT} each", header)
    with tempfile.TemporaryDirectory() as home:
        table, out = Path(home) / "table", Path(home) / "prepared"
        write(table, rows)
        with running(2, memory=LIMIT) as (cluster, client):

            def step(name: str, do: Any) -> Any:
                watch, began = Watch(cluster), time.perf_counter()
                watch.start()
                found = do()
                watch.end()
                seconds = f"{time.perf_counter() - began:.1f}"
                memory = f"{watch.anonymous / 1e3:.0f}", f"{watch.resident / 1e3:.0f}"
                grid.rows.append([name, seconds, *memory, str(watch.spilled)])
                return found

            step("prepare", lambda: gradstep.prepare(str(table), "y", out=out, client=client))
            prepared = gradstep.open_prepared(out)
            fit = step("train", lambda: gradstep.fit_table(prepared, client=client))
            alive = sum(process.poll() is None for process in cluster.processes)
    grid.notes = [
        f"{fit.outcome.name} after {fit.history[-1].passes:.1f} passes; {alive} of 2 workers alive"
    ]
    return grid
