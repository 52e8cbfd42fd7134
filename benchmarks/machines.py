"""One model, many machines: the same bits, killed workers, lost schedulers, what a round costs.

Workers are processes of this machine, each with a thread: what is tested is the protocol. Run
``python -m benchmarks.machines``; parts by name: ``--part bits --part kills``.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import polars as pl
import typer

import gradstep
from benchmarks.grids import Grid
from benchmarks.machine import describe_machine
from gradstep.errors import ClusterLost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PARTS = ("bits", "kills", "lost", "passes", "overhead", "model", "huge", "peers")
LOSSES = ("log_loss", "squared_error", "poisson", "softmax")
KILL_EVERY = 5.0
WITHIN = 65.0
MOST_FITS = 4000
ROWS = 20_000_000


@dataclass
class Cluster:
    """A scheduler and workers, each a process."""

    folder: Path
    failures: int = 3
    memory: str = "0"
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    scheduler: subprocess.Popen[bytes] | None = None

    @property
    def file(self) -> Path:
        """Where the scheduler writes its address."""
        return self.folder / "scheduler.json"

    def start(self, workers: int) -> None:
        """Start the scheduler and some workers."""
        self.file.unlink(missing_ok=True)
        self.scheduler = _process(
            "scheduler", f"--host 127.0.0.1 --port 0 --no-dashboard --scheduler-file {self.file}",
            DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=str(self.failures),
        )  # fmt: skip
        while not self.file.exists():
            time.sleep(0.05)
        for _ in range(workers):
            self.add()

    def add(self) -> None:
        """Start a worker."""
        options = (
            f"--scheduler-file {self.file} --nthreads 1 --no-nanny --no-dashboard --host 127.0.0.1 "
            f"--memory-limit {self.memory} --local-directory {self.folder}"
        )
        self.processes.append(_process("worker", options))

    def kill_one(self, chosen: random.Random) -> None:
        """Kill a worker, and start another."""
        worker = chosen.choice(self.processes)
        worker.kill()
        worker.wait()
        self.processes.remove(worker)
        self.add()

    def end(self) -> None:
        """End all that still runs."""
        for process in [*self.processes, self.scheduler]:
            if process is not None:
                process.kill()
                process.wait()
        self.processes.clear()


# A module that ends with whoever holds the other end of its standard input, however that one ends.
_ENDS_WITH_US = """
import os, runpy, sys, threading

def watch():
    sys.stdin.buffer.read()
    os._exit(1)

threading.Thread(target=watch, daemon=True).start()
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def _process(what: str, options: str, **environment: str) -> subprocess.Popen[bytes]:
    module = f"distributed.cli.dask_{what}"
    command = [sys.executable, "-c", _ENDS_WITH_US, module, *options.split()]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet,
        env={**os.environ, **environment},
    )  # fmt: skip


@contextmanager
def running(workers: int, *, failures: int = 3, memory: str = "0") -> Iterator[tuple[Cluster, Any]]:
    """Run a cluster; yield it and a client."""
    from distributed import Client

    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder), failures, memory)
        try:
            cluster.start(workers)
            with Client(scheduler_file=str(cluster.file)) as client:
                if workers:
                    client.wait_for_workers(workers, timeout=60)
                yield cluster, client
        finally:
            cluster.end()


def digest(fit: gradstep.TableFit) -> str:
    """Return the start of the SHA-256 of a model's parameters."""
    params: NDArray[np.float64] = fit.model.params
    return hashlib.sha256(params.tobytes()).hexdigest()[:12]


def table(loss: str, rows: int, columns: int, *, coded: bool, tails: str = "") -> pl.DataFrame:
    """Draw a table for a loss; `coded` adds a column of fifty levels, "t3" makes tails heavy."""
    rng = np.random.default_rng([rows, columns])
    shape = rows, columns
    X = rng.standard_t(int(tails[1:]), shape) if tails else rng.normal(size=shape)
    z = X @ rng.normal(size=columns) / np.sqrt(columns)
    frame = {f"x{j}": X[:, j] for j in range(columns)}
    if coded:
        levels = rng.integers(0, 50, rows)
        z = z + np.sin(levels)
        frame["level"] = np.char.add("l", levels.astype(str))
    noise = rng.logistic(size=rows)
    y = {
        "log_loss": lambda: np.where(z + noise > 0.0, "yes", "no"),
        "softmax": lambda: np.array(["low", "middle", "high"])[np.digitize(z + noise, [-1.0, 1.0])],
        "poisson": lambda: rng.poisson(np.exp(np.clip(0.4 * z, -3.0, 3.0))).astype(float),
        "squared_error": lambda: z + noise,
    }[loss]()
    return pl.DataFrame({**frame, "y": y})


def prepared(folder: Path, loss: str, rows: int, columns: int, **kind: bool) -> Any:
    """Return a prepared table in a folder."""
    task = "classification" if loss in {"log_loss", "softmax"} else "regression"
    return gradstep.prepare(table(loss, rows, columns, **kind), "y", out=folder, task=task)


def fitted(data: Any, loss: str, **options: Any) -> gradstep.TableFit:
    """Fit, to the optimum."""
    name = "log_loss" if loss == "softmax" else loss
    return gradstep.fit_table(data, loss=name, **{"tol": 1e-8, **options})


def bits(quick: bool) -> Grid:
    """Compare the bits of models without a cluster and on some workers."""
    grid = Grid("The model's SHA-256", ["loss", "table", "alone", "1", "2", "3", "7", "same"])
    rows = 20_000 if quick else 200_000
    cases = [(loss, coded, "l2") for loss in LOSSES for coded in (False, True)]
    cases += [("log_loss", False, "l1"), ("squared_error", True, "l1")]
    with tempfile.TemporaryDirectory() as folder:
        tables = []
        for i, (loss, coded, penalty) in enumerate(cases):
            data = prepared(Path(folder) / str(i), loss, rows, 30, coded=coded)
            how = {"penalty": penalty, "alpha": 1e-3 if penalty == "l1" else 1e-4}
            tables.append((data, loss, coded, how, [digest(fitted(data, loss, **how))]))
        for workers in (1, 2, 3, 7):
            with running(workers) as (_, client):
                for data, loss, _, how, found in tables:
                    found.append(digest(fitted(data, loss, client=client, **how)))
        for _, loss, coded, how, found in tables:
            name = f"{'coded' if coded else 'dense'}, {how['penalty']}"
            grid.rows.append([loss, name, *found, "yes" if len(set(found)) == 1 else "NO"])
    return grid


def kills(quick: bool) -> Grid:
    """Kill registered workers while a model is trained; compare bits and time."""
    header = ["allowed failures", "kills", "seconds", "without kills", "times", "same bits"]
    grid = Grid(f"A worker killed every {KILL_EVERY:.0f} s, another started", header)
    grid.notes = ["seconds: mean of the fits"]
    with tempfile.TemporaryDirectory() as folder:
        rows = 50_000 if quick else 400_000
        data = prepared(Path(folder) / "t", "log_loss", rows, 60, coded=True)
        alone = digest(fitted(data, "log_loss"))
        for failures in (0, 3):
            with running(3, failures=failures) as (cluster, client):
                fitted(data, "log_loss", client=client)
                began = time.perf_counter()
                fitted(data, "log_loss", client=client)
                calm = time.perf_counter() - began
                killer = Killer(cluster, client, failures)
                began, found, runs = time.perf_counter(), set(), 0
                killer.start()
                try:
                    while killer.kills < (3 if quick else 15) and runs < MOST_FITS:
                        found.add(digest(fitted(data, "log_loss", client=client)))
                        runs += 1
                    seconds = (time.perf_counter() - began) / runs
                finally:
                    killer.end()  # or it would go on to start workers
                same = "yes" if found == {alone} else "NO"
                grid.rows.append(
                    [str(failures), f"{killer.kills} in {runs} fits", f"{seconds:.2f}",
                     f"{calm:.2f}", f"{seconds / calm:.2f}", same]
                )  # fmt: skip
    return grid


class Killer(threading.Thread):
    """Kills a registered worker now and then, and starts another."""

    def __init__(self, cluster: Cluster, client: Any, seed: int) -> None:
        super().__init__()
        self.kills = 0
        self._cluster, self._client = cluster, client
        self._chosen, self._over = random.Random(seed), threading.Event()  # noqa: S311

    def run(self) -> None:
        """Go on until told to end."""
        while not self._over.wait(KILL_EVERY):
            with suppress(TimeoutError):
                self._client.wait_for_workers(3, timeout=30)
            self._cluster.kill_one(self._chosen)
            self.kills += 1

    def end(self) -> None:
        """Kill no more."""
        self._over.set()
        self.join()


def lost(quick: bool) -> Grid:
    """Take the workers, or the scheduler, away for good: an error of ours, and soon."""
    grid = Grid("What is lost for good", ["what", "error", "seconds", "asked"])
    with tempfile.TemporaryDirectory() as folder:
        rows = 50_000 if quick else 400_000
        data = prepared(Path(folder) / "t", "log_loss", rows, 60, coded=True)
        for what in ("all workers", "the scheduler", "all of it, stopped"):
            with running(2) as (cluster, client):
                fitted(data, "log_loss", client=client)
                strike = threading.Timer(0.3, _take_away, (cluster, what))
                strike.daemon = True
                began = time.perf_counter()
                strike.start()
                try:
                    while True:
                        fitted(data, "log_loss", client=client)
                except ClusterLost as error:
                    name = type(error).__name__
                except Exception as error:  # noqa: BLE001  (what is reported)
                    name = f"{type(error).__name__}: {error!s:.60}"
                seconds = time.perf_counter() - began - 0.3
                for process in [*cluster.processes, cluster.scheduler]:
                    if process is not None:
                        process.send_signal(signal.SIGCONT)
                grid.rows.append([what, name, f"{seconds:.1f}", f"{WITHIN:.0f}"])
    return grid


def _take_away(cluster: Cluster, what: str) -> None:
    victims = [*cluster.processes]
    if what != "all workers":
        victims = [cluster.scheduler] if what == "the scheduler" else [*victims, cluster.scheduler]
    for process in victims:
        if process is not None:
            process.send_signal(signal.SIGSTOP if "stopped" in what else signal.SIGKILL)


def passes(quick: bool) -> Grid:
    """Count the passes over all rows to an excess of 1e-8 of what the best constant leaves."""
    grid = Grid("Passes to 1e-8 of the gap", ["table", "passes", "epochs"])
    rows = 50_000 if quick else 1_000_000
    cases = [
        ("log_loss", 100, ""), ("log_loss", 100, "t3"), ("log_loss", 100, "t2"),
        ("poisson", 100, ""), ("poisson", 100, "t3"), ("squared_error", 60, ""),
        ("squared_error", 100, "t3"), ("log_loss", 300, ""),
    ]  # fmt: skip
    for loss, columns, tails in cases:
        n = rows if columns < 200 else rows // 5
        data = gradstep.prepare(
            table(loss, n, columns, coded=False, tails=tails), "y",
            task="classification" if loss == "log_loss" else "regression",
        )  # fmt: skip
        fit = fitted(data, loss, tol=1e-10, penalty_scale="unit", alpha=1e-4)
        least = min(record.loss for record in fit.history)
        gap = _of_best_constant(fit, data) - least
        at = next(r for r in fit.history if r.loss - least <= 1e-8 * gap)
        name = f"{loss} {n:,} x {columns}{', ' if tails else ''}{tails}"
        grid.rows.append([name, f"{at.passes:.2f}", str(at.epoch)])
    grid.notes = ["the columns are measured in preparing; t3, t2: columns of these tails"]
    return grid


def _of_best_constant(fit: gradstep.TableFit, data: Any) -> float:
    from gradstep.engine.baseline import best_constant
    from gradstep.engine.row_sums import RowSums

    k, params = fit.model.n_outputs, np.zeros_like(fit.model.params)
    params[-k:] = best_constant(fit.model.loss, data.train.without_features(), k)
    with RowSums(data.train, k) as sums:
        return sums.mean_loss(fit.model.loss, params)


def overhead(quick: bool) -> Grid:
    """Time rounds of next to no work: what a round costs besides."""
    from gradstep.machines.cluster import spread

    grid = Grid(
        "A round of 8 tasks of no work, ms", ["workers", "median", "least", "most", "asked"]
    )
    with tempfile.TemporaryDirectory() as folder:
        data = prepared(Path(folder) / "t", "log_loss", 100_000, 60, coded=False)
        for workers in (1, 2, 4):
            with running(workers) as (_, client):
                executor = spread(data, client).train.executor
                each = []
                for _ in range(10 if quick else 50):
                    began = time.perf_counter()
                    executor.run(_nothing, [[(i, i + 1)] for i in range(8)])
                    each.append(1e3 * (time.perf_counter() - began))
                each = sorted(each[2:])
                figures = statistics.median(each), each[0], each[-1]
                grid.rows.append([str(workers), *(f"{ms:.1f}" for ms in figures), "60"])
    return grid


def _nothing(_shard: Any) -> float:
    return 0.0


def model(quick: bool) -> Grid:
    """Simulate large tables on many workers, from what is measured here."""
    from benchmarks.machines_model import constants, costs, efficiency

    found = constants(quick=quick)
    print(costs(found).markdown(), flush=True)
    return efficiency(found)


def peers(quick: bool) -> Grid:
    """Compare with dask-ml and Spark, if they are installed."""
    from benchmarks.machines_peers import measure

    return measure(50_000 if quick else 1_000_000, ("newton", "lbfgs"))


def huge(quick: bool) -> Grid:
    """Prepare and train as many rows as are asked for, with little memory."""
    from benchmarks.machines_huge import measure

    return measure(2_000_000 if quick else ROWS)


def main(
    part: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PARTS)}.")] = None,
    quick: Annotated[bool, typer.Option(help="Small, to see that all runs.")] = False,
    rows: Annotated[
        int, typer.Option(help="Of the part 'huge'; 300 bytes each on the disk.")
    ] = ROWS,
) -> None:
    """Run the parts and print a table for each."""
    globals()["ROWS"] = rows
    for number in (signal.SIGINT, signal.SIGTERM):  # a fit takes Ctrl-C for its own end alone
        signal.signal(number, _end)
    print(", ".join(f"{name}: {value}" for name, value in describe_machine().items()))
    for name in part or PARTS:
        print(globals()[name](quick).markdown(), flush=True)


def _end(number: int, _frame: Any) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    typer.run(main)
