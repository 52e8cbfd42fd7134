"""Random generalised linear problems, one from each seed, meaner than most real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.no_tuning.losses import CLASSIFICATION, LOG_LINEAR, REGRESSION
from benchmarks.no_tuning.objective import Objective, deviations

USUAL_CELLS, MOST_CELLS = 2_000_000, 10_000_000
SEED_SPACE = 20_261


def random_problem(seed: int) -> tuple[Objective, str]:
    """Return the problem of a seed, and what is special about it in words."""
    rng = np.random.default_rng([SEED_SPACE, seed])
    told: list[str] = []
    loss = str(rng.choice([*REGRESSION, *CLASSIFICATION]))
    cells = MOST_CELLS if rng.random() < 0.03 else USUAL_CELLS
    n, p = round(10.0 ** rng.uniform(1.0, 5.0)), round(500.0 ** rng.uniform(0.0, 1.0))
    p = max(min(p, cells // n), 1)
    sparse = bool(rng.random() < 0.15)
    Z = _sparse_columns(rng, n, p) if sparse else _dense_columns(rng, n, p, told)
    score = _true_score(rng, Z, told)
    X = _rescaled(rng, Z, told)
    y, n_classes = _targets(rng, loss, score, told)
    weight = None
    if rng.random() < 0.25:
        told.append("weighted")
        weight = rng.exponential(size=n) * (rng.random(n) < 0.9)
        weight[: max(n_classes, 2)] = 1.0
    penalty = [None, "l2", "l1", "elasticnet"][rng.integers(4)]
    alpha = 1e-4 if rng.random() < 0.6 else float(10.0 ** rng.uniform(-6.0, -1.0))
    objective = Objective(
        X=X,
        y=y,
        loss=loss,
        penalty=penalty,
        scale=deviations(X, weight),
        n_classes=n_classes,
        parameter=_parameter(rng, loss),
        alpha=alpha,
        weight=weight,
    )
    layout = "CSR" if sparse else f"{X.dtype}"
    what = f"{loss} {penalty} alpha={alpha:.2g} {n}x{p} {layout} classes={n_classes}"
    return objective, " ".join([what, *told])


def _sparse_columns(rng: np.random.Generator, n: int, p: int) -> Any:
    density = min(1.0, max(10.0 ** rng.uniform(-3.0, -1.0), 1.0 / p))
    count = max(int(n * p * density), 1)
    cells = (rng.normal(size=count), (rng.integers(n, size=count), rng.integers(p, size=count)))
    return sp.csr_matrix(cells, shape=(n, p))


def _dense_columns(rng: np.random.Generator, n: int, p: int, told: list[str]) -> Any:
    tails = rng.choice(
        ["normal", "t2", "lognormal", "uniform", "binary"], p=[0.4, 0.2, 0.2, 0.1, 0.1]
    )
    told.append(f"{tails} columns")
    if tails == "t2":
        Z = rng.standard_t(2.0, size=(n, p))
    elif tails == "lognormal":
        Z = rng.lognormal(sigma=rng.uniform(0.5, 2.0), size=(n, p))
    elif tails == "binary":
        Z = (rng.random((n, p)) < 10.0 ** rng.uniform(-2.0, -0.3, size=p)).astype(float)
    else:
        Z = rng.normal(size=(n, p)) if tails == "normal" else rng.random((n, p))
    if p > 1 and rng.random() < 0.3:
        told.append("correlated")
        rank = max(1, p // 10)
        factors = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, p)) / np.sqrt(rank)
        Z = factors + 10.0 ** rng.uniform(-4.0, 0.0) * Z
    if rng.random() < 0.2:
        told.append("outliers")
        Z[rng.random(n) < 0.001 + 1.0 / n] *= 10.0 ** rng.uniform(1.0, 4.0)
    if p > 1 and rng.random() < 0.15:
        told.append("constant columns")
        Z[:, rng.random(p) < 0.2] = 1.0
    if p > 1 and rng.random() < 0.15:
        told.append("duplicate columns")
        Z[:, rng.integers(p, size=max(p // 5, 1))] = Z[:, [rng.integers(p)]]
    return Z


def _true_score(rng: np.random.Generator, Z: Any, told: list[str]) -> Any:
    """Return scores of deviation up to 10 or so, from a third of the columns."""
    p = Z.shape[1]
    sizes = deviations(Z) if not sp.issparse(Z) else np.ones(p)
    w = rng.normal(size=p) * (rng.random(p) < 0.35) / np.where(sizes > 0.0, sizes, 1.0)
    score = np.asarray(Z @ w)
    spread = score.std()
    strength = 10.0 ** rng.uniform(-1.0, 1.0)
    told.append(f"signal {strength:.2g}")
    return strength * (score - score.mean()) / spread if spread > 0.0 else 0.0 * score


def _rescaled(rng: np.random.Generator, Z: Any, told: list[str]) -> Any:
    """Give each column a scale, and dense ones a shift, of its own."""
    p = Z.shape[1]
    scale = 10.0 ** (rng.uniform(-6.0, 6.0, size=p) if rng.random() < 0.7 else np.zeros(p))
    if sp.issparse(Z):
        return sp.csr_matrix(Z @ sp.diags(scale))
    narrow = bool(rng.random() < 0.15)
    shift = np.zeros(p)
    if rng.random() < 0.6:
        most = 2.0 if narrow else 6.0
        told.append(f"shifts up to 1e{most:.0f}")
        shift = rng.choice([-1.0, 1.0], size=p) * 10.0 ** rng.uniform(-1.0, most, size=p)
    X = (Z + shift * Z.std(axis=0)) * scale
    return X.astype(np.float32) if narrow else X


def _targets(rng: np.random.Generator, loss: str, score: Any, told: list[str]) -> tuple[Any, int]:
    n = len(score)
    if loss in CLASSIFICATION:
        return _classes(rng, score, told)
    if loss in LOG_LINEAR:
        level = 10.0 ** rng.uniform(-1.0, 4.0)
        told.append(f"level {level:.2g}")
        mean = level * np.exp(np.clip(score, -8.0, 8.0))
        if loss == "poisson":
            y = rng.poisson(mean).astype(float)
        else:
            shape = rng.uniform(0.5, 5.0)
            y = mean * rng.gamma(shape, 1.0 / shape, size=n) + 1e-12 * level
        if loss == "tweedie":
            y *= rng.random(n) < 0.7
        y[:2] = np.maximum(y[:2], level)  # a mean of 0 has no logarithm
        return y, 0
    noise = rng.normal(size=n) if rng.random() < 0.7 else rng.standard_t(2.0, size=n)
    scale = 10.0 ** rng.uniform(-3.0, 4.0)
    shift = rng.choice([0.0, 10.0, 1e4])
    told.append(f"target scale {scale:.2g} shift {shift:g}")
    return scale * (score + noise + shift), 0


def _classes(rng: np.random.Generator, score: Any, told: list[str]) -> tuple[Any, int]:
    n = len(score)
    k = int(rng.choice([2, 2, 2, 3, 4, 5, 6]))
    noisy = score + rng.logistic(size=n) * rng.choice([0.0, 1.0])
    if rng.random() < 0.3:
        told.append("imbalanced")
        cuts = 1.0 - 10.0 ** -np.linspace(rng.uniform(1.0, 3.0), 3.0, k - 1)
    else:
        cuts = np.arange(1, k) / k
    y = np.searchsorted(np.quantile(noisy, cuts), noisy)
    y[:k] = np.arange(k)  # each class is there
    return y, k


def _parameter(rng: np.random.Generator, loss: str) -> float | None:
    if rng.random() < 0.5:
        return None
    if loss == "pinball":
        return float(rng.uniform(0.05, 0.95))
    if loss == "tweedie":
        return float(rng.uniform(1.05, 1.95))
    if loss in {"huber", "epsilon_insensitive", "squared_epsilon_insensitive"}:
        return float(10.0 ** rng.uniform(-2.0, 1.0))
    return None
