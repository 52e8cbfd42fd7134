"""A damped proximal Newton method for convex problems of a few hundred weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from scipy.linalg import LinAlgError, cho_factor, cho_solve

BLOCK = 16384
SWEEPS, ROUNDS, CROSSINGS = 60, 12, 60


class Margins:
    """Mean loss of one score a row: weights u (p + 1,) of A (n, p + 1)."""

    def __init__(self, A: Any, weights: Any, y: Any, loss: Any) -> None:
        self.A, self.weights, self.y, self.loss = A, weights, y, loss

    def scores(self, u: Any) -> Any:
        """Return the scores."""
        return self.A @ u

    def mean(self, z: Any) -> float:
        """Return the mean loss."""
        return float(self.weights @ self.loss.value(self.y, z))

    def gradient(self, z: Any) -> Any:
        """Return the gradient in u."""
        return self.A.T @ (self.weights * self.loss.slope(self.y, z))

    def hessian(self, z: Any) -> Any:
        """Return the Hessian in u."""
        return gram(self.A, self.weights * self.loss.curve(self.y, z))


class Softmax:
    """Mean softmax loss: weights u (k (p + 1),), class by class, of A (n, p + 1)."""

    def __init__(self, A: Any, weights: Any, y: Any, k: int) -> None:
        self.A, self.weights, self.k = A, weights, k
        self.y, self.rows = y.astype(int), np.arange(len(y))

    def scores(self, u: Any) -> Any:
        """Return the scores (n, k)."""
        return self.A @ u.reshape(self.k, -1).T

    def mean(self, Z: Any) -> float:
        """Return the mean loss."""
        top = Z.max(axis=1)
        total = np.log(np.exp(Z - top[:, None]).sum(axis=1)) + top
        return float(self.weights @ (total - Z[self.rows, self.y]))

    def gradient(self, Z: Any) -> Any:
        """Return the gradient in u."""
        P = self._shares(Z)
        P[self.rows, self.y] -= 1.0
        return ((P * self.weights[:, None]).T @ self.A).ravel()

    def hessian(self, Z: Any) -> Any:
        """Return the Hessian in u."""
        P, k, q = self._shares(Z), self.k, self.A.shape[1]
        H = np.empty((k, q, k, q))
        for a in range(k):
            for b in range(a + 1):
                h = self.weights * P[:, a] * ((a == b) - P[:, b])
                block = gram(self.A, h) if a == b else -gram(self.A, -h)
                H[a, :, b, :], H[b, :, a, :] = block, block.T
        return H.reshape(k * q, k * q)

    @staticmethod
    def _shares(Z: Any) -> Any:
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        return E / E.sum(axis=1, keepdims=True)


def gram(A: Any, h: Any) -> Any:
    """Return A' diag(h) A for h >= 0, leaving out rows where h is 0 if they are many."""
    rows = np.flatnonzero(h > 0.0)
    if len(rows) == len(h) or 2 * len(rows) > len(h):
        rows = None
    root = np.sqrt(h if rows is None else h[rows])
    H = np.zeros((A.shape[1], A.shape[1]))
    for at in range(0, len(root), BLOCK):
        part = slice(at, at + BLOCK)
        B = (A[part] if rows is None else A[rows[part]]) * root[part, None]
        H += B.T @ B
    return H


class Found(NamedTuple):
    """Weights, the objective there, and how far below it the optimum lies; inf if unknown."""

    u: Any
    value: float
    foreseen: float


def minimise(
    problem: Any, u: Any, l1: Any, l2: Any, *, enough: float, max_steps: int = 200
) -> Found:
    """Minimise problem.mean + Σ l1 |u| + ½ l2 u² until a step foresees less than `enough`."""
    z = problem.scores(u)
    value, damping, foreseen = _total(problem, z, u, l1, l2), 1e-9, np.inf
    for _ in range(max_steps):
        gradient = problem.gradient(z) + l2 * u
        H = problem.hessian(z)
        H[np.diag_indices_from(H)] += l2
        unit = max(float(np.trace(H)) / len(H), float(np.linalg.norm(gradient)), 1e-300)
        moved, least_damped = False, np.inf
        while not moved and damping < 1e12:
            ridge = damping * unit
            step = _direction(H, ridge, gradient, u, l1)
            foreseen = -float(gradient @ step + (l1 * (np.abs(u + step) - np.abs(u))).sum())
            if damping <= 1e-4 and least_damped == np.inf:
                least_damped = max(foreseen, 0.0)
            if damping <= 1e-6 and foreseen <= max(enough, 4e-16 * abs(value)):
                return _last(problem, u, step, value, max(foreseen, 0.0), l1, l2)
            t, lower = _search(problem, z, u, step, l1, l2, value, foreseen)
            if t > 0.0:
                u = u + t * step  # not in place: the caller's array is not to change
                z, value, moved = problem.scores(u), lower, True
                damping = max(damping / 10.0, 1e-12) if t == 1.0 else min(damping * 3.0, 1e3)
            else:
                damping *= 30.0
        if not moved:  # nothing goes down any more: the end of the digits
            return Found(u, value, least_damped)
        damping = min(damping, 1e4)
    return Found(u, value, np.inf)


def _last(
    problem: Any, u: Any, step: Any, value: float, foreseen: float, l1: Any, l2: Any
) -> Found:
    """Take the last step, too small to be seen in the objective, unless it goes up plainly."""
    final = _total(problem, problem.scores(u + step), u + step, l1, l2)
    if final <= value + 1e-14 * abs(value):
        return Found(u + step, min(final, value), foreseen)
    return Found(u, value, foreseen)


def _total(problem: Any, z: Any, u: Any, l1: Any, l2: Any) -> float:
    return problem.mean(z) + float((l1 * np.abs(u) + 0.5 * l2 * u * u).sum())


def _search(
    problem: Any, z: Any, u: Any, step: Any, l1: Any, l2: Any, value: float, foreseen: float
) -> tuple[float, float]:
    """Return the share of the step that goes down enough, and the value there; or 0."""
    along, t = problem.scores(step), 1.0
    for _ in range(12):
        lower = _total(problem, z + t * along, u + t * step, l1, l2)
        if lower <= value - 1e-4 * t * foreseen and lower < value:
            return t, lower
        t *= 0.5
    return 0.0, value


def _direction(H: Any, ridge: float, gradient: Any, u: Any, l1: Any) -> Any:
    damped = H.copy()
    damped[np.diag_indices_from(damped)] += ridge
    if not l1.any():
        return _solve(damped, -gradient)
    step = np.zeros(len(u))
    for _ in range(ROUNDS):
        step, done = _descend(damped, gradient, u, l1, step)
        if done:
            break
        step = _on_face(damped, gradient, u, l1, step)
    return step


def _solve(H: Any, right: Any) -> Any:
    """Solve H x = right, with as much more of a ridge as that takes."""
    ridge = 0.0
    while True:
        try:
            return cho_solve(cho_factor(H + ridge * np.eye(len(H)), overwrite_a=True), right)
        except LinAlgError:
            ridge = 10.0 * max(ridge, 1e-14 * float(np.trace(H)) / len(H), 1e-300)


def _on_face(H: Any, gradient: Any, u: Any, l1: Any, step: Any) -> Any:
    """Go to the least value with these signs, leaving out weights that reach 0 on the way."""
    v = u + step
    for _ in range(CROSSINGS):
        active = np.flatnonzero((v != 0.0) | (l1 == 0.0))
        slope = gradient[active] + H[active] @ (v - u) + l1[active] * np.sign(v[active])
        move = _solve(H[np.ix_(active, active)], -slope)
        crosses = (v[active] * (v[active] + move) < 0.0) & (l1[active] > 0.0)
        if not crosses.any():
            v[active] += move
            break
        shares = np.where(crosses, -v[active] / np.where(crosses, move, 1.0), np.inf)
        first = int(shares.argmin())
        v[active] += shares[first] * move
        v[active[first]] = 0.0
    return v - u


@njit(cache=True)
def _descend(H: Any, gradient: Any, u: Any, l1: Any, step: Any) -> Any:  # pragma: no cover
    """Lower gradient·d + ½ d'Hd + Σ l1 |u + d| by coordinate descent; tell if that is done."""
    p = len(u)
    step = step.copy()
    slope = gradient + H @ step
    for _ in range(SWEEPS):
        largest, total = 0.0, 0.0
        for j in range(p):
            curve = H[j, j]
            if curve <= 0.0:
                continue
            here = u[j] + step[j]
            target = here * curve - slope[j]
            new = np.sign(target) * max(abs(target) - l1[j], 0.0) / curve
            change = new - here
            if change != 0.0:
                step[j] = new - u[j]
                for i in range(p):
                    slope[i] += change * H[j, i]
            largest = max(largest, curve * change * change)
            total = max(total, curve * step[j] * step[j])
        if largest <= 1e-20 * total:
            return step, True
    return step, False
