"""
Going on after an interruption
==============================

A long run is killed some day. With a ``Checkpoint`` the same call begins it or goes on with it,
whichever is due, and ends with the same bits as a run that nothing stopped.
"""

from tempfile import TemporaryDirectory

import numpy as np
from matplotlib import pyplot as plt

from gradstep import Checkpoint, LossCurveDisplay, MiniBatchRegressor

# %%
# Rows, and a run of thirty epochs. ``resume=True`` is safe from the first call on: where nothing
# lies in the folder, the run begins.
rng = np.random.default_rng(0)
X = rng.normal(size=(5000, 10))
y = X @ rng.normal(size=10) + rng.normal(size=5000)
folder = TemporaryDirectory()


def train(*callbacks):
    model = MiniBatchRegressor(
        optimizer="adam", learning_rate=0.001, max_iter=30, tol=None, callbacks=callbacks
    )
    return model.fit(X, y)


# %%
# Something ends the process in epoch 12. Here it is an exception, as of Ctrl-C; it may as well be
# ``kill -9``, or the mains.
class PowerCut:
    def on_epoch_end(self, event):
        if event.record.epoch == 12:
            raise KeyboardInterrupt


checkpoint = Checkpoint(folder.name, every="5epochs", resume=True)
try:
    train(PowerCut(), checkpoint)
except KeyboardInterrupt:
    print("interrupted")

# %%
# The same call, in the next process:
model = train(checkpoint)
print("went on", checkpoint.went_on.partition(" (")[0])

# %%
# A run that nothing stopped has the same bits; the history is whole, too.
whole = train()
print(model.coef_.tobytes() == whole.coef_.tobytes(), len(model.history_))
figure, axes = plt.subplots(layout="constrained")
LossCurveDisplay.from_estimator(model, name="resumed", ax=axes, linewidth=5, alpha=0.4)
LossCurveDisplay.from_estimator(whole, name="never stopped", ax=axes, color="black")
axes.axvline(10, linestyle=":", color="grey")
axes.annotate("written down last", (10.3, axes.get_ylim()[1] / 2))
axes.set(title="A run that was interrupted, and one that was not")
axes.legend()
plt.show()
folder.cleanup()

# %%
# On the command line: ``gradstep train trips.csv --target fare --checkpoint run --resume``, every
# time. See docs/checkpoints.md.
