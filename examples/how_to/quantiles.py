"""
Quantiles along a curve
=======================

How long does the way to work take on nine days of ten? ``loss="pinball"`` predicts a quantile
instead of the mean, and ``splines=`` lets it follow a curve.
"""

import numpy as np
import polars as pl
from matplotlib import pyplot as plt

import gradstep

# %%
# Six thousand trips. Around eight in the morning they take longer, and vary more: the mean and a
# single deviation would miss that.
rng = np.random.default_rng(0)
hour = rng.uniform(5.0, 12.0, 6000)
rush = np.exp(-((hour - 8.0) ** 2))
minutes = 20.0 + 15.0 * rush + (2.0 + 6.0 * rush) * rng.gamma(2.0, size=6000)
trips = pl.DataFrame({"hour": hour, "minutes": minutes})

# %%
# A model for each quantile. A tenth of the rows is held out, and ``coverage`` is the share of them
# that a model was not exceeded by: the quantile, but for chance.
fits = {}
for quantile in (0.1, 0.5, 0.9):
    fits[quantile] = gradstep.fit_table(
        trips, "minutes", loss="pinball", quantile=quantile, splines=["hour"]
    )
    print(f"quantile {quantile}: {fits[quantile].validation['coverage']:.1%} stay below")

# %%
# Whoever leaves at eight and wants to be late one day in ten plans for the upper line.
at = pl.DataFrame({"hour": np.linspace(5.0, 12.0, 141)})
low, middle, high = (fit.model.predict(at) for fit in fits.values())
figure, axes = plt.subplots(layout="constrained")
axes.plot(hour, minutes, ".", markersize=2, color="grey", alpha=0.5)
axes.fill_between(at["hour"], low, high, alpha=0.3, label="eight days of ten")
axes.plot(at["hour"], middle, label="the median")
axes.set(xlabel="hour of departure", ylabel="minutes", ylim=(15.0, 75.0))
axes.set(title="How long the way takes on eight days of ten")
axes.legend()
plt.show()

# %%
# The quantiles are fitted one by one, so nothing keeps the lines from crossing where rows are few.
# Here they do not cross:
print(bool(np.all((low < middle) & (middle < high))))
