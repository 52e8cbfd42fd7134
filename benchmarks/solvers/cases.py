"""The cases: what is fitted, drawn anew by each process that needs it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from benchmarks.no_tuning.objective import Objective
from benchmarks.no_tuning.optimum import columns_of_condition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["KINDS", "Case", "Task", "cases", "papers", "rough", "scaling"]

CONDITION = 1e3
COUNTS = 75  # features that a row of text has
TWEEDIE = 1.5
# Levels of the categories, and numbers beside them: shapes like those of motor insurance.
SHAPES = {
    "narrow": ((11, 22), 4),
    "intermediate": ((100, 80, 50, 30, 20, 15, 10, 8), 1),
    "wide": ((150, 120, 100, 80, 50, 40, 30, 22, 20, 15, 11, 10), 4),
    "airline": ((12, 31, 7, 22, 300, 300), 2),  # months, days, carriers, airports; time, distance
}
_INSURANCE = ("narrow", "intermediate", "wide")


@dataclass(frozen=True)
class Task:
    """What all sides fit.

    Attributes
    ----------
    objective : Objective
        Of the features as numbers; of coded rows, one column for each level.
    frame : polars.DataFrame or None
        Of coded rows, the table; its target is called ``y``, its weight ``w``.
    """

    objective: Objective
    frame: pl.DataFrame | None = None


class Case(NamedTuple):
    """A case, by what it is made from.

    Attributes
    ----------
    layout : {"dense", "normal", "text", "binary", or a key of `SHAPES`}
        How rows are drawn.
    loss, penalty : str
        The objective.
    n, p : int
        Rows and features; of coded rows their shape says the latter.
    alpha : float
        Strength of the penalty.
    k : int
        Classes, where there are more than two.
    """

    layout: str
    loss: str
    penalty: str
    n: int
    p: int
    alpha: float = 1e-4
    k: int = 2

    @property
    def name(self) -> str:
        """For the report."""
        size = f"{self.n:,}" if self.layout in SHAPES else f"{self.n:,} x {self.p:,}"
        classes = f", {self.k} classes" if self.k > 2 else ""
        return f"{self.layout} {size}, {self.loss}{classes}, {self.penalty} {self.alpha:g}"

    def make(self) -> Task:
        """Draw it."""
        rng = np.random.default_rng([self.n, self.p, self.k])
        if self.layout in SHAPES:
            return self._coded(rng)
        X = _ROWS[self.layout](rng, self.n, self.p)
        score = np.asarray(X @ rng.normal(size=(self.p, self.k if self.k > 2 else 1)))
        score = (score - score.mean(axis=0)) / score.std(axis=0)
        if self.layout == "normal":  # classes without noise, numbers of nothing else
            y = score[:, 0] > 0.0 if self.loss == "log_loss" else rng.normal(size=self.n)
            return Task(self._objective(X, y.astype(float)))
        return Task(self._objective(X, self._targets(rng, score)))

    def _objective(self, X: Any, y: Any, weight: Any = None) -> Objective:
        return Objective(
            X, y, self.loss, self.penalty, np.ones(X.shape[1]),
            self.k if self.loss in _OF_CLASSES else 0,
            TWEEDIE if self.loss == "tweedie" else None, self.alpha, 0.5, weight,
        )  # fmt: skip

    def _targets(self, rng: np.random.Generator, score: Any) -> Any:
        if self.k > 2:
            return (1.5 * score + rng.gumbel(size=score.shape)).argmax(axis=1)
        return _TARGETS[self.loss](rng, score[:, 0])

    def _coded(self, rng: np.random.Generator) -> Task:
        levels, numbers = SHAPES[self.layout]
        n = self.n
        codes = [
            np.minimum(rng.zipf(1.5, n) - 1, size - 1) if size >= 50 else rng.integers(0, size, n)
            for size in levels
        ]
        x = rng.normal(size=(n, numbers))
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        score = x @ np.full(numbers, 0.3)
        for size, code in zip(levels, codes, strict=True):
            score = score + rng.normal(0.0, 0.3, size)[code]
        y = _TARGETS[self.loss](rng, score)
        weight = rng.uniform(0.2, 1.0, n)
        hot = [_csr(np.ones(n), np.arange(n), code, n, code.max() + 1) for code in codes]
        X = sp.csr_array(sp.hstack([sp.csr_array(x), *hot]))
        target = np.where(y > 0, "b", "a") if self.loss == "log_loss" else y
        columns = {f"x{j}": x[:, j] for j in range(numbers)}
        columns |= {f"c{q}": np.char.add("l", code.astype(str)) for q, code in enumerate(codes)}
        frame = pl.DataFrame(columns | {"w": weight, "y": target})
        return Task(self._objective(X, y, weight), frame)


def _text(rng: np.random.Generator, n: int, p: int) -> Any:
    """Draw rows of words that are rarer the higher their number, scaled to length 1."""
    chance = 1.0 / np.arange(1, p + 1) ** 0.8
    columns = rng.choice(p, size=n * COUNTS, p=chance / chance.sum())
    rows = np.repeat(np.arange(n), COUNTS)
    X = _csr(rng.exponential(size=n * COUNTS), rows, columns, n, p)
    X.data /= np.repeat(np.sqrt(np.add.reduceat(X.data**2, X.indptr[:-1])), np.diff(X.indptr))
    return X


def _binary(rng: np.random.Generator, n: int, p: int) -> Any:
    """Draw rows of which each has 14 features, all of them 1."""
    columns = np.concatenate([rng.integers(lo, hi, (n, 1)) for lo, hi in _spans(p)], axis=1)
    rows = np.repeat(np.arange(n), columns.shape[1])
    return _csr(np.ones(columns.size), rows, columns.ravel(), n, p)


def _csr(values: Any, rows: Any, columns: Any, n: int, p: int) -> Any:
    """Return sparse rows with indices of 32 bits, as scikit-learn's solvers ask for."""
    return sp.csr_array((values, (rows.astype(np.int32), columns.astype(np.int32))), shape=(n, p))


def _spans(p: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, p, 15).astype(int)
    return [(int(lo), int(hi)) for lo, hi in pairwise(edges)]


def _classes(rng: np.random.Generator, score: NDArray[np.float64]) -> Any:
    return (1.5 * score + rng.logistic(size=score.size) > 0.0).astype(float)


def _mean(score: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(0.5 * np.clip(score, -6.0, 6.0))


_OF_CLASSES = ("log_loss",)
_ROWS = {
    "dense": lambda rng, n, p: columns_of_condition(rng, n, p, CONDITION, ""),
    "normal": lambda rng, n, p: rng.normal(size=(n, p)),
    "text": _text,
    "binary": _binary,
}
_TARGETS = {
    "squared_error": lambda rng, score: score + rng.normal(size=score.size),
    "log_loss": _classes,
    "poisson": lambda rng, score: rng.poisson(_mean(score)).astype(float),
    "gamma": lambda rng, score: _mean(score) * rng.gamma(2.0, 0.5, score.size) + 1e-9,
    "tweedie": lambda rng, score: rng.poisson(_mean(score)) * rng.gamma(2.0, 0.5, score.size),
}


def scaling(*, quick: bool) -> Iterator[Case]:
    """Yield cases of which one number grows: rows, features, classes."""
    share = 10 if quick else 1
    for n in (1000, 10_000, 100_000, 1_000_000):
        yield Case("dense", "log_loss", "l2", max(100, n // share), 30)
    for p in (10, 100, 300, 1000):
        yield Case("dense", "log_loss", "l2", 20_000 // share, p)
    for k in (3, 10, 30, 100):
        yield Case("dense", "log_loss", "l2", 20_000 // share, 64, 1e-4, k)


def papers(*, quick: bool) -> Iterator[Case]:
    """Yield cases of others' benchmarks: benchopt's `logreg_l2` and `ols`, szilard's benchm-ml.

    The first have no intercept there; the last is drawn in the shape of the airline table.
    """
    share = 10 if quick else 1
    for n, p in ((200, 500), (1000, 10), (100_000, 400)):
        yield Case("normal", "log_loss", "l2", n // share, p, share / n)
    for n, p in ((1000, 500), (5000, 200)):
        yield Case("normal", "squared_error", "l2", n // share, p, 0.0)
    for n in (100_000, 1_000_000, 10_000_000):
        yield Case("airline", "log_loss", "l2", n // share, 0, 1e-6)


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield all cases, or each with a tenth of its rows."""
    share = 10 if quick else 1
    for loss in ("squared_error", "log_loss", "poisson", "gamma", "tweedie"):
        yield Case("dense", loss, "l2", 500_000 // share, 30)
    yield Case("dense", "log_loss", "l2", 200_000 // share, 300)
    yield Case("dense", "log_loss", "l2", 40_000 // share, 1000)
    yield Case("dense", "squared_error", "l2", 50_000 // share, 30)
    for loss in ("squared_error", "log_loss"):
        for n in (5000, 500):
            yield Case("dense", loss, "l2", n // share, 2000)
    yield Case("dense", "poisson", "l2", 500 // share, 2000)
    yield Case("dense", "squared_error", "l1", 200_000 // share, 100, 1e-2)
    yield Case("dense", "log_loss", "l1", 200_000 // share, 100, 1e-3)
    yield Case("text", "log_loss", "l2", 20_000 // share, 47_000, 1e-5)
    yield Case("text", "log_loss", "l1", 20_000 // share, 47_000, 1e-4)
    yield Case("text", "squared_error", "l1", 20_000 // share, 47_000, 1e-4)
    yield Case("binary", "log_loss", "l2", 32_000 // share, 123, 1e-4)
    for k in (5, 50):
        yield Case("dense", "log_loss", "l2", 20_000 // share, 512, 1e-4, k)
    yield Case("dense", "log_loss", "l2", 200_000 // share, 50, 1e-4, 5)
    for shape in _INSURANCE:
        for loss in ("squared_error", "log_loss", "poisson", "gamma", "tweedie"):
            yield Case(shape, loss, "l2", 600_000 // share, 0)
        yield Case(shape, "poisson", "l1", 600_000 // share, 0, 1e-3)
        yield Case(shape, "poisson", "elasticnet", 600_000 // share, 0, 1e-3)


def rough(*, quick: bool) -> Iterator[Case]:
    """Yield cases to race to a loose target, which libraries with small steps can reach, too."""
    share = 10 if quick else 1
    for loss in ("log_loss", "squared_error"):
        yield Case("dense", loss, "l2", 500_000 // share, 30)
    yield Case("text", "log_loss", "l2", 20_000 // share, 47_000, 1e-5)
    yield Case("intermediate", "log_loss", "l2", 600_000 // share, 0)


KINDS: dict[str, Callable[..., Iterator[Case]]] = {
    "cases": cases, "scaling": scaling, "papers": papers, "rough": rough,
}  # fmt: skip
