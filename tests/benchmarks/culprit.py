"""Stands for the process of a race in which a peer hangs or crashes until it is left out."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from benchmarks.solvers.results import Found, Result
from benchmarks.solvers.trials import Trials


def main():
    """Do what the case's layout says, once; then write a result."""
    order = json.loads(sys.argv[1])
    trials = Trials(Path(order["trials"]))
    if "peer" not in trials.failed:
        does = order["case"][0]
        trials.begin("gradstep" if does == "ours" else "peer", "tolerance 0.1")
        if does == "hangs":
            time.sleep(60)
        if does == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        sys.exit("an error of ours")
    sides = [Found("gradstep", [1.0]), Found("peer", [], skipped=trials.failed["peer"])]
    Path(order["out"]).write_text(json.dumps(Result("case", sides)))


if __name__ == "__main__":
    main()
