"""
A loss of one's own
===================

Bread that is missing in the evening costs three times what bread that is left over costs. A loss
says so, as a class of two lines of mathematics, and is compiled into the same loop as the built-in
ones.
"""

from typing import NamedTuple

import numpy as np
from matplotlib import pyplot as plt

from gradstep import MiniBatchRegressor


# %%
# ``value`` is the loss of a row with target y and score z, ``slope`` its derivative by z. Fields
# are hyper-parameters; ``curvature`` bounds the second derivative.
class Lopsided(NamedTuple):
    """½ (z - y)², and ``missing`` times as much where z < y: the loss of an expectile."""

    missing: float = 3.0

    def value(self, y, z):
        return 0.5 * (self.missing if z < y else 1.0) * (z - y) ** 2

    def slope(self, y, z):
        return (self.missing if z < y else 1.0) * (z - y)

    def curvature(self):
        return self.missing


# %%
# A slope is wrong until differences agree with it. Methods are plain Python, so that is quick.
loss, h = Lopsided(), 1e-6
for z in (-3.0, 0.5, 2.0):
    difference = (loss.value(1.0, z + h) - loss.value(1.0, z - h)) / (2 * h)
    assert abs(difference - loss.slope(1.0, z)) < 1e-6

# %%
# An instance goes where a name goes.
rng = np.random.default_rng(0)
warmth = rng.uniform(0.0, 30.0, (1000, 1))
loaves = 120.0 - 2.0 * warmth[:, 0] + rng.gamma(2.0, 10.0, 1000)
usual = MiniBatchRegressor(penalty=None).fit(warmth, loaves)
careful = MiniBatchRegressor(loss=Lopsided(missing=3.0), penalty=None).fit(warmth, loaves)
for name, model in (("usual", usual), ("careful", careful)):
    short = model.predict(warmth) - loaves
    cost = np.mean(np.where(short < 0.0, 3.0, 1.0) * short**2)
    print(f"{name:8} too few on {np.mean(short < 0.0):.0%} of the days, mean cost {cost:.0f}")

# %%
figure, axes = plt.subplots(layout="constrained")
axes.plot(warmth[:, 0], loaves, ".", markersize=3, color="grey")
ends = np.array([[0.0], [30.0]])
axes.plot(ends, usual.predict(ends), label="squared error")
axes.plot(ends, careful.predict(ends), label="missing counts three times")
axes.set(xlabel="degrees at noon", ylabel="loaves sold", title="Two losses, two lines")
axes.legend()
plt.show()

# %%
# Penalties, optimizers and callbacks of one's own work alike, see docs/own_components.md.
