"""Small data, problems and a plain NumPy trainer that the engine's tests compare with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

from gradstep.engine.callbacks import History
from gradstep.engine.records import Outcome
from gradstep.engine.state import Problem
from gradstep.engine.training import train
from gradstep.objective.penalties import L2
from gradstep.objective.regression import SquaredError
from gradstep.optim import schedules
from gradstep.optim.optimizers import SGD
from gradstep.optim.schedules import Constant
from gradstep.rows.dataset import Dataset
from gradstep.rows.layouts import CsrRows, DenseRows
from tests.examples import examples
from tests.slow import slow_unless


def usual_first(losses):
    """Mark the losses that few use as slow: to compile each for each kernel takes seconds."""
    usual = {"SquaredError", "LogLoss", "Poisson", "Softmax", "Pinball"}
    return slow_unless(lambda loss: type(loss).__name__ in usual, losses)


def matrix(n=53, p=3, seed=0, density=None):
    """Return normal numbers, most of them replaced by zeros if a density is given."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X if density is None else np.where(rng.random((n, p)) < density, X, 0.0)


def dense(X):
    return DenseRows(np.ascontiguousarray(X))


def csr(X):
    X = sp.csr_matrix(X)
    return CsrRows(X.data, X.indices.astype(np.int32), X.indptr.astype(np.int64), X.shape[1])


def regression(n=53, p=3, k=1, seed=0, *, weighted=False, layout=dense, density=None):
    """Return a dataset with k targets: linear in the features, plus 1 and noise."""
    X = matrix(n, p, seed, density)
    rng = np.random.default_rng(seed + 1000)
    y = X @ rng.normal(size=(p, k)) + 1.0 + 0.1 * rng.normal(size=(n, k))
    weight = rng.integers(1, 5, n).astype(float) if weighted else None
    return Dataset(layout(X), y, weight)


def classes(n=53, p=3, k=3, seed=0, *, layout=dense, density=None):
    """Return a dataset with a class index (k > 2) or a sign (k = 2) for each row."""
    X = matrix(n, p, seed, density)
    rng = np.random.default_rng(seed + 1000)
    y = (X @ rng.normal(size=(p, k)) + rng.gumbel(size=(n, k))).argmax(axis=1).astype(float)
    return Dataset(layout(X), (2.0 * y - 1.0 if k == 2 else y)[:, None])


def problem(data, **changes):
    """Return a problem for the data: ridge regression by SGD, three epochs, unless changed."""
    return replace(
        Problem(
            loss=SquaredError(),
            penalty=L2(0.01),
            optimizer=SGD(),
            schedule=Constant(0.05),
            n_features=data.rows.n_features,
            n_outputs=data.y.shape[1],
            batch_size=8,
            max_epochs=3,
            tol=None,
        ),
        **changes,
    )


def fit(of, data, state=None, **options):
    """Train from the start, or from a state; return state, outcome and what each epoch gave."""
    history = History()
    callbacks = [history, *options.pop("callbacks", ())]
    state, outcome = train(of, data, state or of.start(), callbacks=callbacks, **options)
    return (
        state,
        outcome,
        [(r.epoch, r.loss, r.validation, r.learning_rate) for r in history.records],
    )


def fit_in_parts(of, data, parts, **options):
    """Train with a pause after each of these numbers of batches, then to the end."""
    state, told = of.start(), []
    for batches in parts:
        state, outcome, epochs = fit(of, data, state, max_batches=batches, **options)
        told += epochs
        if outcome is not Outcome.PAUSED:
            return state, outcome, told
    state, outcome, epochs = fit(of, data, state, **options)
    return state, outcome, told + epochs


def same_bits(one, other):
    """Tell whether two states are the same, to the bit."""
    ours, theirs = vars(one), vars(other)
    return ours.keys() == theirs.keys() and all(
        np.asarray(ours[name]).tobytes() == np.asarray(theirs[name]).tobytes()
        if isinstance(ours[name], (np.ndarray, float))
        else ours[name] == theirs[name]
        for name in ours
    )


def by_hand(
    X, y, orders, rate=0.05, batch_size=8, alpha=0.01, weight=None, last_batch="scale", start=None
):
    """Ridge regression by mini-batches in plain NumPy, as the definition of a step reads.

    Yields, for each batch, the epoch, the rows, the sum of their weighted losses before the
    step, and the parameters after it (weights, then intercept).
    """
    n, p = X.shape
    s = np.ones(n) if weight is None else weight
    size = min(batch_size, n)
    w, b = (np.zeros(p), 0.0) if start is None else (start[:p].copy(), start[p])
    for epoch, order in enumerate(orders):
        for at in range(0, n, size):
            rows = order[at : at + size]
            if rows.size < size and last_batch == "drop":
                continue
            r = rows.size if last_batch == "mean" else size
            error = X[rows] @ w + b - y[rows]
            loss = float(np.sum(s[rows] * 0.5 * error**2))
            g_w = X[rows].T @ (s[rows] * error) / (r * s.mean())
            g_b = np.sum(s[rows] * error) / (r * s.mean())
            w = (w - rate * g_w) / (1.0 + rate * rows.size / r * alpha)
            b -= rate * g_b
            yield epoch, rows, loss, np.append(w, b)


def reversed_odd(epoch, n):
    """Return storage order, backwards in odd epochs."""
    return np.arange(n)[:: -1 if epoch % 2 else 1]


# --- problems of all kinds, and ways to interrupt them ------------------------------------

# Rates that are stable for every optimizer, batch size and weight.
SCHEDULES = [
    schedules.Constant(0.01),
    schedules.InvScaling(0.01, 0.3),
    schedules.Optimal(1.0, 100.0),
    schedules.Adaptive(0.01),
    schedules.StepDecay(0.01, every=2),
    schedules.Exponential(0.01),
    schedules.Cosine(0.01),
    schedules.OneCycle(0.01),
    schedules.WarmUp(schedules.Cosine(0.01), epochs=1.5),
    schedules.UserSchedule(lambda epoch, step: 0.01 / (1 + epoch + step)),
]
PROBLEMS = st.fixed_dictionaries(
    {
        "schedule": st.sampled_from(SCHEDULES),
        "batch_size": st.integers(1, 60),
        "last_batch": st.sampled_from(["scale", "mean", "drop"]),
        "shuffle": st.sampled_from(["exact", "blocks", "none", reversed_odd]),
        "average_from": st.sampled_from([0, 1, 70]),
        "seed": st.integers(0, 3),
        "tol": st.sampled_from([None, 1e-3, 1e-1]),
        "patience": st.integers(1, 2),
        "max_epochs": st.integers(1, 4),
        "fit_intercept": st.booleans(),
        "intercept_factor": st.sampled_from([1.0, 0.5]),
    }
)
PARTS = st.lists(st.integers(0, 40), max_size=4)
SOME = examples(80)
