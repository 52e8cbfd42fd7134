"""
Counts over unequal times
=========================

Some policies ran for three years, others for a month, so their numbers of claims cannot be compared
as they are. ``loss="poisson"`` with ``exposure=`` models claims *a year*, and says how sure each
factor is.
"""

import numpy as np
import polars as pl
from matplotlib import pyplot as plt

import gradstep

# %%
# Five thousand policies. A year of age lowers the rate by 2 %; in town it is half as high again.
rng = np.random.default_rng(0)
policies = pl.DataFrame(
    {
        "age": rng.integers(18, 80, 5000),
        "town": rng.choice(["yes", "no"], 5000),
        "years": rng.uniform(0.1, 3.0, 5000),
    }
)


def rate(age, town):
    return 0.3 * np.exp(-0.02 * (age - 18)) * np.where(town == "yes", 1.5, 1.0)


claims = rng.poisson(rate(policies["age"], policies["town"]) * policies["years"])
policies = policies.with_columns(claims=claims)

# %%
# Intervals are those of the coefficients that were fitted, so the penalty, which would pull them
# towards zero, is left out.
model = gradstep.TableRegressor(loss="poisson", penalty=None)
model.fit(policies, "claims", exposure="years")
print(model.summary())

# %%
# Coefficients of counts add to the logarithm: their exponentials are factors.
told = model.coefficients().filter(pl.col("low").is_not_null())
for name, low, high in told.select("feature", "low", "high").rows():
    print(f"{name}: the rate times {np.exp(low):.3f} to {np.exp(high):.3f}")

# %%
# Predictions are of the exposure that a row has; with ``years`` 1 they are claims a year. The bands
# are 95 % intervals of the mean, the dashed lines the truth. The file of the model has what these
# need, see docs/inference.md.
age = np.arange(18, 80)
figure, axes = plt.subplots(layout="constrained")
for town, label in (("yes", "in town"), ("no", "elsewhere")):
    rows = pl.DataFrame({"age": age, "years": 1.0}).with_columns(town=pl.lit(town))
    low, high = model.model_.mean_intervals(rows).T
    line = axes.plot(age, model.predict(rows), label=label)
    axes.fill_between(age, low, high, alpha=0.3)
    axes.plot(age, rate(age, town), "--", color=line[0].get_color())
axes.set(xlabel="age", ylabel="claims a year", title="Claims a year, with 95 % intervals")
axes.legend()
plt.show()
