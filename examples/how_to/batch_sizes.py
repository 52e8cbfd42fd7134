"""
How large a batch?
==================

``gradstep.compare`` runs the textbook's loop with each batch size, side by side, from the same
start with the same seed, on a table of one's own.
"""

import numpy as np
import polars as pl
from matplotlib import pyplot as plt

import gradstep

# %%
# Two thousand trips:
rng = np.random.default_rng(0)
km, hour = rng.gamma(2.0, 3.0, 2000), rng.integers(0, 24, 2000)
fare = 3.0 + 2.5 * km + 0.2 * hour + rng.normal(scale=3.0, size=2000)
trips = pl.DataFrame({"km": km, "hour": hour, "fare": fare})

# %%
# Without a learning rate, each size gets a constant one that is stable on this table.
found = gradstep.compare(trips, "fare", batch_size=[1, 16, 256, "all"], max_iter=30)
print(found)

# %%
# How far each run is above the optimum, after epochs and after seconds. ``found.epochs`` is a
# frame, and ``found.save("compare.html")`` writes a page with more pictures.
figure, panels = plt.subplots(1, 2, figsize=(9.0, 3.6), sharey=True, layout="constrained")
for (name,), epochs in found.epochs.group_by("run", maintain_order=True):
    if name != "automatic":  # it is at the optimum after one
        panels[0].semilogy(epochs["epoch"], epochs["excess"], label=name)
        panels[1].loglog(epochs["seconds"][1:], epochs["excess"][1:])
panels[0].set(xlabel="epochs", ylabel="objective above its least value")
panels[1].set(xlabel="seconds")
panels[0].legend()
figure.suptitle("Four batch sizes, after epochs and after seconds")
plt.show()

# %%
# Small batches come near with few rows, and then jump around the optimum: a rate that is constant
# keeps noise of its size. All rows at once take one step an epoch, and are still on their way.
