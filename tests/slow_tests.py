"""Which tests `make test` leaves to `make test-slow`, besides those marked where they stand.

`make test` is to end within four minutes on two cores with no compiled kernel on the disk, so what
takes a fifth of a second or more then is in slow_tests.txt. What a test takes depends on which
kernels others have compiled before it, so the list is measured, not written::

    export GRADSTEP_CACHE_DIR=$(mktemp -d)
    make test PYTEST_ADDOPTS='--durations=0 --durations-min=0.02' | tee log
    python -m tests.slow_tests log

adds what has become slow; a test that has become quick, or has gone, is taken out by hand.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

LIST = Path(__file__).with_suffix(".txt")
SECONDS = 0.2
_DURATION = re.compile(r"\s*([\d.]+)s (?:call|setup|teardown)\s+(tests/\S.*)")


def listed():
    """Return the names of the tests that are listed."""
    return LIST.read_text(encoding="utf-8").splitlines()


def slow_ones(log):
    """Return the names of the tests that took long by what pytest printed.

    Blocks of pages are none: they need those before them, so a page is slow or not as a whole.
    """
    seconds = Counter()
    for found in map(_DURATION.fullmatch, log.splitlines()):
        if found:
            seconds[found[2]] += float(found[1])
    return {name for name, value in seconds.items() if value >= SECONDS}


if __name__ == "__main__":
    before, more = set(listed()), slow_ones(Path(sys.argv[1]).read_text(encoding="utf-8"))
    LIST.write_text("".join(f"{name}\n" for name in sorted(before | more)), encoding="utf-8")
    sys.stdout.write(f"{len(more - before)} more tests are slow\n")
