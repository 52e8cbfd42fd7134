"""What large tables take on many workers: a simulation, from what is measured here.

Measured: how long a thread computes on a byte of a shard, how that scatters, and how long workers
prepare a byte (of processor time: others may run beside); what a round costs, at least, with few
tasks and with many. Simulated: a scheduler that hands tasks out and takes results in one after
another, and workers of one thread each, which read their shards at a given rate. Shards and tasks
are cut as the package cuts them.
"""

from __future__ import annotations

import heapq
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import gradstep
from benchmarks.grids import Grid
from benchmarks.machines import fitted, prepared, running, table
from gradstep.engine.executor import Threads
from gradstep.engine.row_tasks import Evaluate
from gradstep.machines.dask_executor import _TASKS_A_THREAD, DaskExecutor, even_parts
from gradstep.machines.worker import NOWHERE
from gradstep.objective.classification import LogLoss
from gradstep.rows.shards import shard_bounds

FEATURES = 100
ROW_BYTES = 8 * FEATURES
PASSES = 6  # to 1e-8 of the gap, where columns have no heavy tails: `--part passes`
DISK = 1e9  # bytes a second that a worker reads, where the table is not in its memory


class Constants(NamedTuple):
    """What is measured.

    Attributes
    ----------
    byte : float
        Seconds that a thread computes on a byte.
    scatter : float
        Standard deviation of the time of equal shards, as a share.
    fixed, task : float
        Seconds of a round, besides, and for each task.
    preparing : float
        Seconds that a worker of one thread prepares a byte of Parquet's numbers.
    """

    byte: float
    scatter: float
    fixed: float
    task: float
    preparing: float


def _nothing(_shard: object) -> float:
    return 0.0


def constants(*, quick: bool) -> Constants:
    """Measure them."""
    rows = 50_000 if quick else 400_000
    with tempfile.TemporaryDirectory() as folder:
        data = prepared(Path(folder) / "t", "log_loss", rows, FEATURES, coded=False)
        fitted(data, "log_loss", max_iter=1, tol=None)  # compiles
        own, times = Threads(data.train), []
        task = Evaluate((LogLoss(), None, None), 1, np.full(FEATURES + 1, 0.01))
        for _ in range(5):
            for bounds in data.train.shards()[:16]:
                began = time.thread_time()
                own.run(task, [[bounds]])
                times.append((time.thread_time() - began) / (bounds[1] - bounds[0]) / ROW_BYTES)
        times = times[16:]
        with running(2) as (_, client):
            there = Path(folder) / "there"
            there.mkdir()
            for number in range(8):
                frame = table("log_loss", rows // 8, FEATURES, coded=False)
                frame.write_parquet(there / f"{number}.parquet")
            began = sum(client.run(time.process_time).values())
            gradstep.prepare(str(there), "y", out=Path(folder) / "p", client=client)
            worked = sum(client.run(time.process_time).values()) - began
            preparing = worked / (rows * ROW_BYTES)
            executor = DaskExecutor(client, NOWHERE, [], apart=True)
            rounds = {}
            for tasks in (8, 64):
                each = []
                for _ in range(5 if quick else 20):
                    began = time.perf_counter()
                    executor.run(_nothing, [[(0, 0)]] * tasks)
                    each.append(time.perf_counter() - began)
                rounds[tasks] = min(each)
    per_task = (rounds[64] - rounds[8]) / 56
    median = statistics.median(times)
    scatter = statistics.median(abs(t - median) for t in times) * 1.48 / median
    fixed = max(rounds[8] - 8 * per_task, 0.0)
    return Constants(median, scatter, fixed, per_task, preparing)


def simulated(rows: float, workers: int, found: Constants, disk: float) -> tuple[float, float]:
    """Return the seconds of a pass, and the share of them that all workers compute."""
    shards = shard_bounds(int(rows), ROW_BYTES, FEATURES)
    rng = np.random.default_rng(0)
    rate = max(found.byte, 1.0 / disk)
    work = [
        sum((hi - lo) * ROW_BYTES * rate for lo, hi in shards[part])
        for part in even_parts(len(shards), min(len(shards), _TASKS_A_THREAD * workers))
    ]
    free = [0.0] * workers
    ended = []
    for number, seconds in enumerate(work):  # half of what a task costs is handing it out
        ready = max(heapq.heappop(free), 0.5 * found.task * (number + 1))
        end = ready + seconds * max(0.5, 1.0 + found.scatter * rng.standard_normal())
        heapq.heappush(free, end)
        ended.append(end)
    now = 0.0
    for end in sorted(ended):
        now = max(now, end) + 0.5 * found.task
    total = now + found.fixed
    return total, sum(work) / workers / total


def efficiency(found: Constants) -> Grid:
    """Simulate passes over 100 GB and 1 TB."""
    grid = Grid(
        "A pass, simulated: workers of one thread", ["table", "shards", "workers", "seconds",
        "efficiency", "from memory: seconds", "efficiency"],
    )  # fmt: skip
    for size, counts in ((1e11, (4, 16, 64)), (1e12, (16, 64, 256))):
        rows = size / ROW_BYTES
        shards = len(shard_bounds(int(rows), ROW_BYTES, FEATURES))
        for workers in counts:
            (cold, share), (warm, of_warm) = (
                simulated(rows, workers, found, disk) for disk in (DISK, math.inf)
            )
            grid.rows.append(
                [f"{size / 1e9:,.0f} GB", str(shards), str(workers), f"{cold:.1f}", f"{share:.0%}",
                 f"{warm:.1f}", f"{of_warm:.0%}"]
            )  # fmt: skip
    computes, prepares = 1e-9 / found.byte, 1e-6 / found.preparing
    grid.notes = [
        f"a thread computes {computes:.1f} GB/s, scatter {found.scatter:.0%}",
        f"a thread prepares {prepares:.0f} MB/s; a worker reads {DISK / 1e9:.0f} GB/s, or memory",
        f"a round costs {1e3 * found.fixed:.0f} ms and {1e3 * found.task:.1f} a task",
    ]
    return grid


def costs(found: Constants) -> Grid:
    """Simulate fits of up to 10¹¹ rows."""
    counts = (1, 16, 256)
    grid = Grid(
        f"A fit of {FEATURES} columns: {PASSES} passes, minutes; before it, preparing",
        ["rows", "GB", *(f"{workers} workers: fit" for workers in counts),
         *(f"{workers}: prepare" for workers in counts)],
    )  # fmt: skip
    for power in (9, 10, 11):
        rows = 10.0**power
        fits = [PASSES * simulated(rows, w, found, DISK)[0] / 60.0 for w in counts]
        made = [rows * ROW_BYTES * found.preparing / w / 60.0 for w in counts]
        grid.rows.append(
            [f"10^{power}", f"{rows * ROW_BYTES / 1e9:,.0f}", *(f"{m:,.1f}" for m in fits),
             *(f"{m:,.0f}" for m in made)]
        )  # fmt: skip
    return grid
