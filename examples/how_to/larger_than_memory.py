"""
A table larger than memory
==========================

A table is read in pieces, encoded and shuffled once, and written to a folder of plain arrays that
training maps into memory, page by page. So a fit needs no more memory for a hundred gigabytes than
for one. Here a small budget stands for a small machine.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from matplotlib import pyplot as plt

import gradstep

# %%
# Three and a half million trips, a file for each day: a folder is a table, too.
rng = np.random.default_rng(0)
folder = TemporaryDirectory()
table, prepared = Path(folder.name) / "trips", Path(folder.name) / "prepared"
table.mkdir()
for day in range(7):
    numbers = rng.gamma(2.0, 3.0, (500_000, 6))
    zone = rng.choice(["airport", "centre", "north"], 500_000)
    fare = numbers @ [2.5, 0.5, 0.0, 0.0, 0.0, -0.1] + 12.0 * (zone == "airport")
    trips = pl.DataFrame(numbers, schema=["km", "minutes", "tolls", "stops", "wait", "rain"])
    trips = trips.with_columns(zone=zone, fare=fare + rng.normal(size=500_000))
    trips.write_parquet(table / f"day-{day}.parquet")

# %%
# Prepared once, and kept. The least budget is 128 MB; what the compiler and reading take comes
# besides, whatever the table's size.
budget = 128 * 2**20
gradstep.prepare(table, "fare", memory=budget, out=prepared)
sizes = {path.name: path.stat().st_size / 1e6 for path in sorted(prepared.rglob("*.npy"))}
for name, size in sizes.items():
    print(f"{name:21} {size:4.0f} MB")

# %%
# Another day, another process: the folder opens at once, and any number of fits train from it. The
# budget changes no bit of a model.
fit = gradstep.fit_table(gradstep.open_prepared(prepared))
print(f"R² {fit.validation['r2']:.4f} after {fit.history[-1].passes:.1f} passes over the rows")

# %%
# What was allowed in memory, and what lies on the disk:
figure, axes = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
on_disk = sum(path.stat().st_size for path in table.iterdir()) / 1e6
axes.barh(["budget", "arrays", "Parquet"], [budget / 1e6, sum(sizes.values()), on_disk])
axes.set(xlabel="MB", title="Larger than the budget")
plt.show()
folder.cleanup()
