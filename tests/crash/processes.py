"""Processes that run the command line, forked from one that has imported what it imports.

Half of the time of a short run is that of its imports, in which nothing is written.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from pathlib import Path

__all__ = ["started"]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([
    "gradstep.cli.main", "gradstep.cli.train", "gradstep.cli.train_report", "gradstep.fit.table",
    "gradstep.engine.training", "gradstep.inference.covariance",
])  # fmt: skip


def started(arguments: list[str], out: Path) -> BaseProcess:
    """Return a process that runs the command line, and writes what it tells to a file."""
    process = _CONTEXT.Process(target=_run, args=(arguments, out))
    process.start()
    return process


def _run(arguments: list[str], out: Path) -> None:
    from gradstep.cli.main import main

    with out.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.argv = ["gradstep", *arguments]
    main()
