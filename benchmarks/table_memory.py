"""Peak memory of the commands, on a table of 5 and of 20 million rows.

What counts is anonymous memory (``RssAnon``): pages of mapped files, which the system drops when
it needs them, are no demand on memory.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from benchmarks import table_data as data
from benchmarks.startup import gradstep
from benchmarks.turns import MEGABYTES, TIMES, Asked, Line, Report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.table_figures import Bench

SMALL_ROWS, LARGE_ROWS = 5_000_000, 20_000_000
MOST_BYTES = 600e6
MOST_GROWTH = 1.1  # what the noise of a peak comes to
EPOCHS = 2
INTERVAL = 0.01
ROW_BYTES = 84
FILES = 4  # the table, its prepared form twice, and room
VERBS = ("prepare", "train", "predict")


def memory(bench: Bench) -> Report:
    """Measure the commands' peaks on both tables."""
    sizes = [bench.rows(SMALL_ROWS), bench.rows(LARGE_ROWS)]
    reason = _hindrance(bench.folder, sizes[-1])
    if reason:
        return Report([Line("peak anonymous memory", Asked("<", MOST_BYTES), [], "", "", reason)])
    peaks: dict[tuple[str, int], list[float]] = {}
    for rows in sizes:
        path = bench.folder / "long.parquet"
        bench.say(f"memory: writing {rows:,} rows")
        data.write_parquet(path, rows)
        # The first run of all may compile kernels, which takes memory of its own.
        for turn in range(-1 if rows == sizes[0] else 0, bench.repeats):
            for verb, arguments in _commands(path, bench.folder).items():
                start = time.perf_counter()
                peak = peak_bytes(arguments)
                seconds = time.perf_counter() - start
                if turn >= 0:
                    peaks.setdefault((verb, rows), []).append(peak)
                bench.say(f"{verb}, {rows:,} rows: {peak / 1e6:.0f} MB, {seconds:.1f} s")
            _clear(bench.folder)
        path.unlink()
    return _report(peaks, sizes)


def _report(peaks: Mapping[tuple[str, int], list[float]], sizes: Sequence[int]) -> Report:
    small, large = sizes
    report = Report(notes=[f"memory: RssAnon of the process, looked at every {INTERVAL:g} s"])
    for verb in VERBS:
        few, many = peaks[verb, small], peaks[verb, large]
        told = [f"{rows:,} rows {median(p) / 1e6:.0f} MB" for rows, p in
                ((large, many), (small, few))]  # fmt: skip
        what = f"gradstep {verb}, {large:,} rows: peak memory"
        report.lines.append(Line(what, Asked("<", MOST_BYTES), many, MEGABYTES))
        growth = [b / a for a, b in zip(few, many, strict=True)]
        what = f"  its growth from {small:,} rows"
        report.lines.append(Line(what, Asked("≤", MOST_GROWTH), growth, TIMES, *told))
    return report


def _hindrance(folder: Path, rows: int) -> str:
    """Say why it cannot be measured here; empty if it can."""
    status = Path("/proc/self/status")
    if not status.exists() or "RssAnon" not in status.read_text(encoding="utf-8"):
        return "needs /proc/PID/status with RssAnon (Linux)"
    needed, free = FILES * rows * ROW_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        return f"needs {needed / 1e9:.1f} GB of disk in {folder}, where {free / 1e9:.1f} are free"
    return ""


def _commands(path: Path, folder: Path) -> dict[str, list[str]]:
    model, target = str(folder / "long.safetensors"), ("--target", data.TARGET)
    out, cache = str(folder / "long"), str(folder / "cache")
    return {
        "prepare": gradstep("prepare", str(path), *target, "--out", out),
        "train": gradstep(
            *("train", str(path), *target, "--cache", cache),
            *("--max-iter", str(EPOCHS), "--tol", "none", "--model", model),
        ),
        "predict": gradstep("predict", model, str(path), "--out", f"{out}.predicted.parquet"),
    }


def _clear(folder: Path) -> None:
    for made in (folder / "long", folder / "cache"):
        shutil.rmtree(made)
    (folder / "long.predicted.parquet").unlink()


def peak_bytes(arguments: Sequence[str]) -> float:
    """Run a process and return its largest anonymous memory.

    Parameters
    ----------
    arguments : sequence of str
        Its command line; ends the benchmark with its message if it fails.

    Returns
    -------
    float
        Bytes, of what was seen every hundredth of a second.
    """
    peak = 0.0
    with TemporaryFile("w+") as told:
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=told)
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            peak = max(peak, _anonymous(status))
            time.sleep(INTERVAL)
        if process.returncode:
            told.seek(0)
            message = f"{' '.join(arguments)}\nended with code {process.returncode}:\n{told.read()}"
            raise SystemExit(message)
    return peak


def _anonymous(status: Path) -> float:
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
    except OSError:  # it has just ended
        return 0.0
    found = [line.split()[1] for line in lines if line.startswith("RssAnon:")]
    return 1024.0 * float(found[0]) if found else 0.0
