"""The least objective to many digits, in standardised coordinates, independent of gradstep.

Smooth losses: a damped Newton method, proximal for l1. Kinked losses: their Moreau envelopes,
ever narrower; the envelope's least value lies below the least objective, and its minimiser's
objective above, so the two bracket it. Softmax of many weights: L-BFGS, or FISTA for l1.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize

from benchmarks.no_tuning.losses import KINKED, loss_named, smoothed
from benchmarks.no_tuning.newton import Margins, Softmax, minimise
from benchmarks.no_tuning.objective import deviations

if TYPE_CHECKING:
    from benchmarks.no_tuning.objective import Objective

NEWTON_WEIGHTS = 1600
BRACKET = 1e-5
STEPS = 300  # of each envelope
VERSION = 1  # of the method: a new one does not read what an older one has kept


class Least(NamedTuple):
    """The least objective, a lower bound, and where it is taken."""

    value: float
    low: float
    W: Any
    b: Any


@dataclass
class Keeper:
    """Keeps what was found in a folder, by a digest of the question."""

    folder: Path = Path(tempfile.gettempdir()) / "nt_cache"

    def get(self, key: str) -> Any:
        """Return what was kept, or None."""
        path = self.folder / f"{key}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def put(self, key: str, what: Any) -> None:
        """Keep something that JSON can write."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{key}.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(what), encoding="utf-8")
        new.replace(path)


def digest(*parts: Any) -> str:
    """Return a short digest of arrays, matrices, and what `repr` tells apart."""
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        if sp.issparse(part):
            arrays = [part.data, part.indices, part.indptr]
        else:
            arrays = [part] if isinstance(part, np.ndarray) else []
        for array in arrays:
            total.update(np.ascontiguousarray(array).data)
            total.update(repr(array.shape).encode())
        total.update(b"-" if arrays else repr(part).encode())
    return total.hexdigest()


def digest_of(objective: Objective) -> str:
    """Return a digest of an objective and its data."""
    o = objective
    settings = (o.loss, o.parameter, o.penalty, o.strength, o.l1_share, o.n_classes)
    return digest(VERSION, o.X, o.y, o.scale, o.weight, settings)


def least_value(objective: Objective, keeper: Keeper) -> Least:
    """Return the least objective, from the keeper if it is there."""
    key = f"least-{digest_of(objective)}"
    kept = keeper.get(key)
    if kept is None:
        found = least(objective)
        kept = [found.value, found.low, found.W.tolist(), found.b.tolist()]
        keeper.put(key, kept)
    return Least(kept[0], kept[1], np.array(kept[2]), np.array(kept[3]))


def least(objective: Objective, precision: float = 1e-11) -> Least:
    """Find the least objective, to a precision relative to that of the best constant."""
    o = objective
    X = o.X.toarray() if sp.issparse(o.X) else o.X
    # A sparse matrix's own scale is 1, but here its columns are scaled like any others.
    s = deviations(X, o.weight)
    used = s > 0.0
    mean = o.row_weights @ X[:, used]
    A = np.empty((len(X), int(used.sum()) + 1))
    np.subtract(X[:, used], mean, out=A[:, :-1])
    A[:, :-1] /= s[used]
    A[:, -1] = 1.0
    factor = np.append(o.scale[used] / s[used], 0.0)
    l1 = o.strength * o.l1_share * factor
    l2 = o.strength * (1.0 - o.l1_share) * factor**2
    enough = precision * max(abs(o.of_constant - o.floor), 1e-300)
    with np.errstate(all="ignore"):
        U, low = (_jointly if o.joint else _each_output)(o, A, l1, l2, enough)
    W = np.zeros((o.k, X.shape[1]))
    W[:, used] = U[:, :-1] / s[used]
    b = U[:, -1] - W[:, used] @ mean
    # In these coordinates: raw ones with a large mean would cost digits.
    value = o.mean_loss(A @ U.T) + float((l1 * np.abs(U) + 0.5 * l2 * U * U).sum())
    return Least(value, min(low, value), W, b)


def _each_output(o: Objective, A: Any, l1: Any, l2: Any, enough: float) -> tuple[Any, float]:
    """Solve for each score by itself."""
    U, low = np.zeros((o.k, A.shape[1])), 0.0
    for c in range(o.k):
        y = o.targets(c)
        U[c, -1] = o.constant[c]
        if o.loss in KINKED:
            U[c], bound = _by_envelopes(o, A, y, U[c], l1, l2, enough)
        else:
            problem = Margins(A, o.row_weights, y, loss_named(o.loss, o.parameter))
            found = minimise(problem, U[c], l1, l2, enough=enough)
            U[c], bound = found.u, found.value - found.foreseen
        low += bound
    return U, low


def _by_envelopes(
    o: Objective, A: Any, y: Any, u: Any, l1: Any, l2: Any, enough: float
) -> tuple[Any, float]:
    """Follow the minimiser through ever narrower envelopes."""
    true = Margins(A, o.row_weights, y, loss_named(o.loss, o.parameter))
    start = true.mean(true.scores(u))
    spread = float(np.sqrt(o.row_weights @ (y - o.row_weights @ y) ** 2))
    width = spread if o.n_classes == 0 and spread > 0.0 else 1.0
    # Huber is its own envelope, of width epsilon, times epsilon.
    last = (0.1 if o.parameter is None else o.parameter) if o.loss == "huber" else 0.0
    best, best_value, low = u, np.inf, -np.inf
    for _ in range(24):
        width = max(width / 4.0, last)
        problem = Margins(A, o.row_weights, y, smoothed(o.loss, o.parameter, width))
        found = minimise(problem, u, l1, l2, enough=enough, max_steps=STEPS)
        u = found.u
        value = true.mean(true.scores(u)) + float((l1 * np.abs(u) + 0.5 * l2 * u * u).sum())
        if value < best_value:
            best, best_value = u, value
        low = max(low, found.value - found.foreseen)
        narrow = best_value - low <= BRACKET * max(start - best_value, 1e-9 * abs(start))
        if (narrow and o.loss != "huber") or width == last:
            break
    return best, low


def _jointly(o: Objective, A: Any, l1: Any, l2: Any, enough: float) -> tuple[Any, float]:
    """Solve softmax, all scores together."""
    k, q = o.k, A.shape[1]
    problem = Softmax(A, o.row_weights, o.y, k)
    u = np.zeros((k, q))
    u[:, -1] = o.constant - o.constant.mean()
    l1, l2 = np.tile(l1, k), np.tile(l2, k)
    if k * q <= NEWTON_WEIGHTS:
        found = minimise(problem, u.ravel(), l1, l2, enough=enough)
        return found.u.reshape(k, q), found.value - found.foreseen
    solve = _fista if l1.any() else _lbfgs
    u = solve(problem, u.ravel(), l1, l2)
    return u.reshape(k, q), -np.inf


def _lbfgs(problem: Softmax, u: Any, _l1: Any, l2: Any) -> Any:
    def both(u: Any) -> tuple[float, Any]:
        Z = problem.scores(u)
        return problem.mean(Z) + 0.5 * float(l2 @ u**2), problem.gradient(Z) + l2 * u

    options = {"maxiter": 4000, "maxfun": 6000, "ftol": 1e-14, "gtol": 1e-9, "maxcor": 30}
    return minimize(both, u, jac=True, method="L-BFGS-B", options=options).x


def _fista(problem: Softmax, u: Any, l1: Any, l2: Any, steps: int = 4000) -> Any:
    """Run accelerated proximal steps, restarted when they go up."""
    curve = 0.5 * _largest_eigenvalue(problem.A, problem.weights) + float(l2.max())
    y, momentum, before, still = u, 1.0, np.inf, 0
    for _ in range(steps):
        slope = problem.gradient(problem.scores(y)) + l2 * y
        raw = y - slope / curve
        new = np.sign(raw) * np.maximum(np.abs(raw) - l1 / curve, 0.0)
        value = problem.mean(problem.scores(new)) + float((l1 * np.abs(new)).sum())
        value += 0.5 * float(l2 @ new**2)
        if value > before:
            y, momentum, still = u, 1.0, still + 1
            if still >= 20:
                break
            continue
        still = still + 1 if before - value <= 1e-10 * abs(value) else 0
        following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        y = new + (momentum - 1.0) / following * (new - u)
        u, momentum, before = new, following, value
        if still >= 20:
            break
    return u


def _largest_eigenvalue(A: Any, weights: Any) -> float:
    v = np.ones(A.shape[1])
    length = 1.0
    for _ in range(60):
        v = A.T @ (weights * (A @ v))
        length = float(np.linalg.norm(v))
        v /= length
    return 1.01 * length
