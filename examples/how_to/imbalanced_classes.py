"""
Rare classes
============

Few payments are fraud. A model that calls all of them honest is nearly always right, and useless.
There are two remedies: another threshold from which a payment is called fraud, and weights of the
classes.
"""

import numpy as np
import polars as pl
from matplotlib import pyplot as plt
from sklearn.metrics import precision_recall_curve

import gradstep

# %%
# Twenty thousand payments, half of them to fit and half to judge.
rng = np.random.default_rng(0)
amount, night = rng.gamma(1.0, 50.0, 20_000), rng.random(20_000) < 0.2
chance = 1.0 / (1.0 + np.exp(-(-5.5 + 0.015 * amount + 2.0 * night)))
fraud = np.where(rng.random(20_000) < chance, "yes", "no")
payments = pl.DataFrame({"amount": amount, "night": night, "fraud": fraud})
train, test = payments[:10_000], payments[10_000:]

# %%
# As it is, the model tells probabilities, and calls fraud what is more likely than not. Weights of
# the classes, ``class_weight={"yes": 10}`` or ``"balanced"``, change the model; a threshold changes
# only what is called fraud.
plain = gradstep.fit_table(train, "fraud").model
balanced = gradstep.fit_table(train, "fraud", class_weight="balanced").model
cost = 10  # of a fraud that is missed, where a look at a payment costs 1
models = {
    "as it is": plain,
    "threshold": plain.with_threshold(1 / cost),
    "class weights": balanced,
}
true = test["fraud"].to_numpy() == "yes"
points = {}
for name, model in models.items():
    called = model.predict(test) == "yes"
    found, looks = np.sum(called & true), np.sum(called)
    points[name] = found / true.sum(), found / looks
    print(f"{name}: {found} of {true.sum()} found by {looks} looks,", end=" ")
    print(f"which costs {looks + cost * (true.sum() - found)} in all;", end=" ")
    print(f"mean probability {model.predict_proba(test)[:, 1].mean():.3f}")

# %%
# Where the costs are known, the threshold follows from them, and probabilities stay true: with
# class weights they are those of payments of which half are fraud. Both models rank payments alike.
figure, axes = plt.subplots(layout="constrained")
for name, model in (("as it is", plain), ("class weights", balanced)):
    precision, recall, _ = precision_recall_curve(true, model.predict_proba(test)[:, 1])
    axes.plot(recall[:-1], precision[:-1], label=f"{name}, all thresholds")
for name, point in points.items():
    axes.plot(*point, "o", label=name)
axes.set(xlabel="share of the fraud that is found", ylabel="share of the alarms that are true")
axes.set(title="What is found, and how many alarms are true")
axes.legend()
plt.show()
