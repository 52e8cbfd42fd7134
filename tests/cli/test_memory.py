"""Memory at its peak: of real processes, on tables that are larger than what they may take.

What counts is anonymous memory: pages of mapped files, which the system drops when it needs them,
are no demand on memory.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it is told there"),
]
MB = 1 << 20


def peak_of(*arguments):
    """Return the most bytes that a command took, looked at every 10 ms."""
    command = [sys.executable, "-m", "gradstep", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        peak = 0
        while process.poll() is None:
            found = re.search(
                r"RssAnon:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text()
            )
            peak = max(peak, int(found[1]) << 10 if found else 0)
            time.sleep(0.01)
    assert process.returncode == 0
    return peak


def test_rows_beyond_the_budget_are_not_in_memory(tmp_path):
    """They are 170 MB once encoded."""
    rng, n = np.random.default_rng(0), 500_000
    table = {f"x{i}": rng.integers(0, 50, n).astype(float) for i in range(42)}
    table["y"] = table["x0"] - table["x1"] + rng.normal(size=n)
    pl.DataFrame(table).write_parquet(tmp_path / "t.parquet", row_group_size=50_000)
    pl.DataFrame(table).head(50_000).write_parquet(tmp_path / "small.parquet")
    options = ("-t", "y", "--no-cache", "--max-iter", 1, "--model", tmp_path / "m", "--memory")
    peak_of("train", tmp_path / "small.parquet", *options, "1GB")  # compiles, which takes memory
    in_memory, kept = (
        peak_of("train", tmp_path / "t.parquet", *options, budget) for budget in ("1GB", "135MB")
    )
    assert kept < in_memory - 100 * MB
    assert kept < 450 * MB


def test_long_texts(tmp_path):
    """Their words take a hundred times the memory that they take, and a row keeps 256 of them."""
    words = np.random.default_rng(0).zipf(1.3, size=(8_000, 100)) % 50_000
    table = pl.DataFrame({
        "t": [" ".join(f"w{word}" for word in row) for row in words.tolist()],
        "y": words.sum(axis=1).astype(float),
    })  # fmt: skip
    table.write_parquet(tmp_path / "t.parquet")
    options = ("-t", "y", "--as", "t=text", "-o", tmp_path / "out")
    assert peak_of("prepare", tmp_path / "t.parquet", *options) < 320 * MB


def test_small_packed_sparse_text_with_millions_of_rows(tmp_path):
    """Each row has numbers of its own (label, length, place), which are mapped, too."""
    block = b"".join(b"%d 1:%d\n" % (i % 2, i % 3) for i in range(60_000))
    path = tmp_path / "t.svm.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(160):
            file.write(block)
    assert path.stat().st_size < MB
    assert peak_of("prepare", path, "-t", "label", "-o", tmp_path / "out") < 300 * MB
