"""The cases of part `deep`: large dense problems, drawn or real, by condition and tails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.no_tuning import real_sets
from benchmarks.no_tuning.objective import Objective
from benchmarks.no_tuning.optimum import columns_of_condition

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASSES = 5
CONDITIONS = (1.0, 1e3, 1e6)
KINDS = ("well specified", "misspecified", "t3 columns")
# Columns by loss; the rows, and more shapes at condition 1e3, well specified.
COLUMNS = {"log_loss": 100, "softmax": 50, "poisson": 100}
ROWS = 200_000
MORE = (("log_loss", 500_000, 30), ("log_loss", 200_000, 300), ("poisson", 500_000, 30))
REAL = {
    "flights-late": "log_loss",
    "flights-delay-of-5": "softmax",
    "flights-air-time": "poisson",
}


class DeepCase(NamedTuple):
    """A name, and what makes its objective (large, so one at a time)."""

    name: str
    loss: str
    kind: str
    condition: float
    n: int
    p: int

    def make(self) -> Objective:
        """Draw or load the data."""
        if self.kind == "real":
            return _real(self.name.partition(" ")[2].partition(",")[0], self.loss)
        return _drawn(self)


def cases(*, quick: bool) -> Iterator[DeepCase]:
    """Yield all cases, or a small one of each loss."""
    rows = 20_000 if quick else ROWS
    for loss, p in COLUMNS.items():
        for kind in KINDS[:1] if quick else KINDS:
            for condition in CONDITIONS[1:2] if quick else CONDITIONS:
                yield _case(loss, kind, condition, rows, p)
    if quick:
        return
    for loss, n, p in MORE:
        yield _case(loss, KINDS[0], 1e3, n, p)
    for name, loss in REAL.items():
        yield DeepCase(f"{loss} {name}", loss, "real", np.nan, 0, 0)


def _case(loss: str, kind: str, condition: float, n: int, p: int) -> DeepCase:
    name = f"{loss} {n:,} x {p}, {kind}, condition {condition:.0e}"
    return DeepCase(name.replace("e+0", "e"), loss, kind, condition, n, p)


def objective_of(X: Any, y: Any, loss: str) -> Objective:
    """Return the l2 objective of raw columns, alpha 1e-4."""
    n_classes = {"log_loss": 2, "softmax": CLASSES}.get(loss, 0)
    name = "log_loss" if loss == "softmax" else loss
    return Objective(X, y, name, "l2", np.ones(X.shape[1]), n_classes)


def _drawn(case: DeepCase) -> Objective:
    rng = np.random.default_rng([case.n, case.p, int(case.condition)])
    n, p = case.n, case.p
    X = columns_of_condition(rng, n, p, case.condition, "t3" if case.kind == "t3 columns" else "")
    k = CLASSES if case.loss == "softmax" else 1
    scores = X @ rng.normal(size=(p, k))
    scores /= scores.std(axis=0)
    amiss = case.kind == "misspecified"
    if amiss:  # a bend that no linear model has
        scores += scores**2 - 1.0
    if case.loss == "softmax":
        noisy = 1.5 * scores + rng.gumbel(size=(n, k))
        y = noisy.argmax(axis=1)
    elif case.loss == "log_loss":
        y = (1.5 * scores[:, 0] + rng.logistic(size=n) > 0.0).astype(np.intp)
    if case.loss == "poisson":
        mean = np.exp(0.5 * np.clip(scores[:, 0], -6.0, 6.0))
        y = rng.poisson(mean * rng.gamma(0.5, 2.0, size=n) if amiss else mean).astype(float)
    elif amiss:  # wrong labels
        wrong = rng.random(n) < 0.1
        y[wrong] = rng.integers(max(k, 2), size=int(wrong.sum()))
    return objective_of(X, y, case.loss)


def _real(name: str, loss: str) -> Objective:
    """Load flights, on standardised columns: the form that suits the peers."""
    data = real_sets.load("flights-delay" if name == "flights-delay-of-5" else name)
    y = data.y
    if loss == "softmax":
        y = np.searchsorted(np.quantile(y, [0.2, 0.4, 0.6, 0.8]), y)
    spread = data.X.std(axis=0)
    X = (data.X - data.X.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    return objective_of(X, y, loss)
