"""
A model at work elsewhere
=========================

A model of a table is one file, which runs no code when it is read: numbers, and JSON that says what
they mean. Here it is written, read, applied to a stream, and applied once more without gradstep.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from matplotlib import pyplot as plt
from safetensors import safe_open

import gradstep

# %%
# Trained where the data is:
rng = np.random.default_rng(0)
km, zone = rng.gamma(2.0, 3.0, 3000), rng.choice(["airport", "centre", "north"], 3000)
fare = 3.0 + 2.5 * km + 12.0 * (zone == "airport") + rng.normal(scale=10.0, size=3000)
trips = pl.DataFrame({"km": km, "zone": zone, "fare": fare})
folder = TemporaryDirectory()
path = Path(folder.name) / "fares.safetensors"
gradstep.save(gradstep.fit_table(trips, "fare").model, path)
print(f"{path.stat().st_size:,} bytes")

# %%
# Applied where it is needed, to a stream of frames, each as it comes. A level that training has not
# seen adds nothing, and is counted.
model = gradstep.load(path)
stream = (pl.DataFrame({"km": [day, 20.0], "zone": ["centre", "harbour"]}) for day in (1.0, 2.0))
for frame in stream:
    print(model.predict(frame).round(2), "not seen in training:", dict(model.unseen))

# %%
# Without gradstep: a service in another language needs what a safetensors file and its JSON hold.
# A number counts as (x - mean) / scale, and has one weight; a category has one for each level, in
# order; the last of ``params`` is the intercept.
with safe_open(path, "numpy") as file:
    weights = file.get_tensor("params")
    about = json.loads(file.metadata()["gradstep"])
number, category = about["encoding"]["columns"]
print(number, category, sep="\n")


def predict(km, zone):
    score = weights[0] * (km - number["mean"]) / number["scale"] + weights[-1]
    return score + weights[1 + category["levels"].index(zone)]


print(predict(10.0, "airport"), model.predict(pl.DataFrame({"km": [10.0], "zone": ["airport"]})))

# %%
# The file holds standard errors, too, so whoever gets it can look at the model.
figure, axes = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
gradstep.CoefficientDisplay.from_model(model, ax=axes)
axes.set(title="What moves the fare")
plt.show()
folder.cleanup()
