"""How fits get faster with threads, and whether they keep their bits.

python -m benchmarks.threads
python -m benchmarks.threads --rows 6000000 --features 50 --threads 1,2,4,8,16
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

_SGD = {"optimizer": "sgd", "learning_rate": 0.01, "max_iter": 1, "tol": None}
# What is fitted, to which target, with which parameters.
_FITS: dict[str, tuple[str, dict[str, Any]]] = {
    "squared error, to the optimum": ("number", {}),
    "log loss, to the optimum": ("class", {}),
    "one epoch of sgd, batch 256": ("class", {**_SGD, "batch_size": 256}),
    "one epoch of sgd, batch 8192": ("class", {**_SGD, "batch_size": 8192}),
}
_FEW, _TIMES, _BLOCK = 2_000, 2, 100_000


def _write(folder: Path, rows: int, features: int) -> None:
    """Write standard normal columns, and targets of a linear model with noise."""
    rng = np.random.default_rng(0)
    coef = np.linspace(-1.0, 1.0, features)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float64, (rows, features))
    score = np.empty(rows)
    for at in range(0, rows, _BLOCK):
        X[at : at + _BLOCK] = rng.standard_normal(X[at : at + _BLOCK].shape)
        score[at : at + _BLOCK] = X[at : at + _BLOCK] @ coef
    np.save(folder / "number.npy", score + rng.standard_normal(rows))
    np.save(folder / "class.npy", (score + rng.logistic(size=rows) > 0.0).astype(np.int64))


def _fit(folder: Path) -> None:
    """Print the least time of each fit, and a digest of its coefficients."""
    from gradstep import MiniBatchClassifier, MiniBatchRegressor

    X = np.load(folder / "X.npy")
    for target, options in _FITS.values():
        y = np.load(folder / f"{target}.npy")
        kind = MiniBatchClassifier if target == "class" else MiniBatchRegressor
        kind(**options).fit(X[:_FEW], y[:_FEW])  # compiled, or read from the disk
        seconds = []
        for _ in range(_TIMES):
            began = time.perf_counter()
            model = kind(**options).fit(X, y)
            seconds.append(time.perf_counter() - began)
        digest = hashlib.sha256(np.ravel(model.coef_).tobytes()).hexdigest()[:12]
        print(min(seconds), digest)


def main() -> None:
    """Fit in a process for each number of threads, bound to as many cores; print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--threads", default="1,2", help="numbers with commas between them")
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fit:
        _fit(asked.fit)
        return
    numbers = [int(n) for n in asked.threads.split(",")]
    cores = sorted(os.sched_getaffinity(0))
    found: dict[str, list[list[str]]] = {name: [] for name in _FITS}
    with tempfile.TemporaryDirectory() as home:
        _write(Path(home), asked.rows, asked.features)
        for n in numbers:
            os.sched_setaffinity(0, cores[:n])  # which the process takes over
            run = subprocess.run(
                [sys.executable, "-m", "benchmarks.threads", "--fit", home],
                env={**os.environ, "NUMBA_NUM_THREADS": str(n)}, stdout=subprocess.PIPE,
                text=True, check=True,
            )  # fmt: skip
            os.sched_setaffinity(0, cores)
            for name, line in zip(_FITS, run.stdout.splitlines(), strict=True):
                found[name].append(line.split())
    print(f"{asked.rows:,} × {asked.features}, seconds of a whole fit (least of {_TIMES})")
    print("| fit |", " | ".join(f"{n} threads" for n in numbers), "| same bits |")
    print("|---" * (len(numbers) + 2) + "|")
    for name, lines in found.items():
        same = "yes" if len({digest for _, digest in lines}) == 1 else "NO"
        print(f"| {name} |", " | ".join(f"{float(s):.2f}" for s, _ in lines), f"| {same} |")


if __name__ == "__main__":
    main()
