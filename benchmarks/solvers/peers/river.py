"""River: linear models that learn from mini-batches of a frame, dense rows alone.

Of sparse rows its penalty acts only on the features that a row has, which is another objective.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmarks.solvers.side import EPOCHS, Fitted, Side

if TYPE_CHECKING:
    from benchmarks.solvers.cases import Task

PACKAGE = MODULE = "river"
BATCH = 256
RATES = (1.0, 0.3, 0.1, 0.03, 0.01)
_MODELS = {"squared_error": ("LinearRegression", 2.0), "log_loss": ("LogisticRegression", 1.0)}


def sides(task: Task, *, small_batches: bool) -> list[Side]:
    """Return its side of squared and log loss with l2 or without, of one output."""
    o = task.objective
    wanted = small_batches and o.loss in _MODELS and o.k == 1 and not o.l1_share
    if not wanted or sp.issparse(o.X) or o.weight is not None:
        return []
    linear_model, optim = import_module("river.linear_model"), import_module("river.optim")
    name, factor = _MODELS[o.loss]  # its squared loss has no half
    features = [f"x{j}" for j in range(o.X.shape[1])]
    frame = pd.DataFrame(o.X, columns=features)
    target = pd.Series(o.y.astype(bool) if o.n_classes else o.y, name="y")

    def fit(epochs: float, rate: float) -> Any:
        model = getattr(linear_model, name)(
            optimizer=optim.SGD(rate), l2=factor * o.strength, intercept_lr=rate
        )
        rng = np.random.default_rng(0)
        for _ in range(int(epochs)):
            order = rng.permutation(len(target))
            for at in range(0, len(order), BATCH):
                rows = order[at : at + BATCH]
                model.learn_many(frame.iloc[rows], target.iloc[rows])
        return model

    def value(model: Any) -> float:
        weights = [model.weights.get(feature, 0.0) for feature in features]
        return o.value_of(Fitted(np.array(weights), model.intercept))

    return [Side(f"River, batches of {BATCH}", fit, value, EPOCHS, RATES)]
