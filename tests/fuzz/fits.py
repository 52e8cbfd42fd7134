"""Random generalised linear models, fitted by gradstep and by others: nobody may find a lower one.

python -m tests.fuzz.fits                       2,000 problems
python -m tests.fuzz.fits --problems 300 --seed 1
python -m tests.fuzz.fits --problem 17          one again

Losses × layouts (arrays, CSR, tables) × weights × offsets × penalties, each solved by scikit-learn,
statsmodels and glum, as far as they are installed (`pip install statsmodels glum`) and can. What is
compared is the objective, computed a third time in NumPy. A problem is a finding if ours is higher
than the lowest by more than a millionth of what there was to gain, or if ours is an error.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings
from collections import Counter

import numpy as np

from tests.fuzz.problems import Problem, problem, rivals

__all__ = ["compared"]

EXCESS, ROUNDING = 1e-6, 1e-10
_parser = argparse.ArgumentParser(
    prog="python -m tests.fuzz.fits", description=__doc__.split("\n")[0]
)
_parser.add_argument("--problems", type=int, default=2000)
_parser.add_argument("--seed", type=int, default=0)
_parser.add_argument("--problem", type=int, help="fit one again")


def compared(one: Problem) -> tuple[list[str], str]:
    """Return whose solutions ours was compared with, and what is wrong with it, or nothing."""
    found = {name: one.value(solution) for name, solution in rivals(one)}
    if not found:
        return [], ""
    lowest = min(found.values())
    zeros = np.zeros((max(1, one.classes if one.classes > 2 else 1), one.X.shape[1]))
    gain = max(one.value((zeros, zeros[:, 0])) - lowest, 0.0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = one.value(one.ours())
    except Exception:  # noqa: BLE001  (that is the finding)
        return list(found), traceback.format_exc()
    if ours - lowest <= EXCESS * gain + ROUNDING * (1.0 + abs(lowest)):
        return list(found), ""
    told = ", ".join(f"{name} {value:.12g}" for name, value in found.items())
    return list(found), f"ours {ours:.12g}, {told}"


def main() -> int:
    """Return the exit status: 0 if nothing was found."""
    asked = _parser.parse_args()
    numbers = range(asked.problems) if asked.problem is None else [asked.problem]
    began, counts, findings = time.perf_counter(), Counter[str](), 0
    for number in numbers:
        one = problem(asked.seed, number)
        names, wrong = compared(one)
        counts.update(names or ["nobody"])
        if wrong:
            findings += 1
            print(f"problem {number}, seed {asked.seed}: {one}\n  {wrong}", flush=True)  # noqa: T201
    told = ", ".join(f"{name} {count}" for name, count in counts.items())
    seconds = time.perf_counter() - began
    print(f"{len(numbers)} problems in {seconds:.0f} s, compared with {told}: {findings} findings")  # noqa: T201
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
