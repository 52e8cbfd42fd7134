"""Tables of columns of all scales, with targets of each kind."""

from __future__ import annotations

import numpy as np
import polars as pl

N = 3000
SCALES = np.array([1e-6, 1e-3, 1.0, 1e3, 1e6])
COEF = np.array([1.0, -2.0, 0.5, 1.5, -1.0])


def columns(n=N, seed=0, scales=SCALES):
    """Return raw columns of all scales, far from zero, and the normal numbers behind them."""
    x = np.random.default_rng(seed).normal(size=(n, scales.size))
    raw = (x + np.array([3.0, -5.0, 100.0, 0.0, -2.0])) * scales
    return {f"x{j}": raw[:, j] for j in range(scales.size)}, x


def linear(n=N, seed=0, noise=0.1, scales=SCALES):
    raw, x = columns(n, seed, scales)
    y = x @ COEF + 4.0 + noise * np.random.default_rng(seed + 1).normal(size=n)
    return pl.DataFrame({**raw, "y": y})


def logistic(n=N, seed=0):
    raw, x = columns(n, seed)
    y = x @ COEF + np.random.default_rng(seed + 1).logistic(size=n) > 0.5
    return pl.DataFrame({**raw, "y": np.where(y, "yes", "no")})


def three(n=N, seed=0):
    raw, x = columns(n, seed)
    scores = np.column_stack([x @ COEF, -x @ COEF, np.zeros(n)])
    y = (scores + np.random.default_rng(seed + 1).gumbel(size=(n, 3))).argmax(axis=1)
    return pl.DataFrame({**raw, "y": np.array(["a", "b", "c"])[y]})


def counts(n=N, seed=0):
    raw, x = columns(n, seed)
    y = np.random.default_rng(seed + 1).poisson(np.exp(0.3 * x @ COEF + 0.5))
    return pl.DataFrame({**raw, "y": y.astype(float)})
