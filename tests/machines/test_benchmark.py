"""The benchmark's scheduler and workers end with it, however it ends."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.machines import _ENDS_WITH_US


def test_a_process_ends_with_the_one_that_started_it():
    words = "timeit", "-n", "1", "-r", "1", "import time; time.sleep(60)"
    command = [sys.executable, "-c", _ENDS_WITH_US, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        process.stdin.close()  # as the system does where the other one is killed
        assert process.wait(30) == 1
