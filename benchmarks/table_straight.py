"""Least squares with standard errors straight from a file, beside polars-ds and reading alone."""

from __future__ import annotations

from importlib import import_module
from math import sqrt
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

import gradstep
from benchmarks import table_data as data
from benchmarks.table_figures import PARQUET_ROWS, SAMPLE_ROWS, Bench, Sample
from benchmarks.turns import Asked, Report, Side, Turn, compare, take_turns

if TYPE_CHECKING:
    from pathlib import Path


def straight(bench: Bench) -> Report:
    """Fit 5,000,000 × 20 of a Parquet file, by default and without a penalty."""
    rows = bench.rows(PARQUET_ROWS)
    path = bench.folder / "linear.parquet"
    bench.say(f"straight: writing {rows:,} rows")
    data.write_parquet(path, rows)
    sample = Sample(pl.read_parquet(path, n_rows=SAMPLE_ROWS))

    def ours(**how: Any) -> Turn:
        start = perf_counter()
        model = gradstep.fit_table(path, data.TARGET, cache=False, **how).model
        return Turn({"all": perf_counter() - start}, sample.of_model(model))

    def read() -> Turn:
        start = perf_counter()
        pl.read_parquet(path)
        return Turn({"all": perf_counter() - start})

    default = Side("gradstep: alpha chosen, judged, refitted", ours)
    plain = Side("gradstep: no penalty, no rows held out", lambda: ours(penalty=None, validation=0))
    peer = Side("polars-ds", lambda: _polars_ds(path, sample))
    reading = Side("Polars, reading alone", read)
    try:
        import_module("polars_ds")
    except ImportError:
        peer.skipped = "polars-ds is not installed"
    sides = [default, plain, peer, reading]
    take_turns(sides, bench.repeats, bench.say)
    what = f"{rows:,} × {data.FEATURES} Parquet to least squares with robust errors"
    report = Report(sides=sides)
    for side in (plain, default):
        words = f"{what}, {side.name.partition(': ')[2]}"
        report.lines.append(compare(f"{words}, beside polars-ds", Asked("≥", 1.0), side, peer))
        report.lines.append(compare(f"{words}, of reading", Asked("≤", 1.5), reading, side))
    path.unlink()
    return report


def _polars_ds(path: Path, sample: Sample) -> Turn:
    """Read, and report coefficients with robust errors (HC1)."""
    pds = import_module("polars_ds")
    start = perf_counter()
    names = data.names()
    found = pl.scan_parquet(path).select(
        pds.lin_reg_report(*names, target=data.TARGET, add_bias=True, std_err="hc1").alias("r")
    )
    beta = found.collect().unnest("r")["beta"].to_numpy()
    seconds = perf_counter() - start

    def error() -> float:
        predicted = sample.array() @ beta[:-1] + beta[-1]
        return sqrt(float(np.mean((predicted - sample.y) ** 2)))

    return Turn({"all": seconds}, error)
