"""Kill `gradstep train` again and again, let it go on, and compare the models.

python -m tests.crash                      1,000 kills
python -m tests.crash --kills 50 --seed 1  fewer, at other instants

Processes of their own with `--checkpoint` are ended by SIGKILL at random instants: while they
prepare their table, train, write a checkpoint or the model (imports are behind them). Each is begun
again with `--resume`, killed up to eight times, and then let run to its end. The model must be that
of a run that nobody killed, byte for byte; what lies in the checkpoint's folder must be readable
after every kill; and nothing may be left in the end but the model, one checkpoint, and the prepared
table.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.crash.runs import JOBS, Count, Job, trial, write_tables

_parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__.split("\n")[0])
_parser.add_argument("--kills", type=int, default=1000)
_parser.add_argument("--seed", type=int, default=0)
_parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))


def main() -> int:
    """Return the exit status: 0 if nothing was lost."""
    asked = _parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="gradstep-crash-") as home:
        write_tables(Path(home))
        with ThreadPoolExecutor(asked.workers) as pool:  # beside each other, as they are killed
            jobs = list(pool.map(partial(Job.measured, Path(home)), range(len(JOBS))))
        count = Count(asked.kills)

        def work(worker: int) -> None:
            number = worker
            while count.kills < asked.kills:
                trial(Path(home), jobs[number % len(jobs)], count, (asked.seed, number))
                number += asked.workers

        with ThreadPoolExecutor(asked.workers) as pool:
            list(pool.map(work, range(asked.workers)))
    print(count, f"{time.perf_counter() - began:.0f} s", sep="\n")  # noqa: T201  (a command)
    return 0 if count.is_good else 1


sys.exit(main())
