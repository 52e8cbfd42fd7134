"""NumPy: the loop that everybody writes first, over a shuffled copy each epoch.

Dense rows are copied into the same memory each epoch: fresh memory can cost more.

What is tried out for each problem, off the clock: one thread for the products, or all.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import special
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks.adapters.base import Adapter, fastest, trial_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.problems import Problem, Rows


class NumpyLoop(Adapter):
    """Copy the rows in a new order, then take slices; SciPy's products for CSR."""

    name = "NumPy loop"
    modules: ClassVar[tuple[str, ...]] = ("numpy", "scipy.sparse")

    def prepare(self, problem: Problem) -> None:
        """Choose the number of threads; nothing is converted."""
        self.problem = problem
        self.one_epoch = self._sparse_epoch if problem.is_sparse else self._dense_epoch
        pools = threadpool_info()
        most = max((p["num_threads"] for p in pools if p["user_api"] == "blas"), default=1)
        if not problem.is_sparse:
            self.X_room = np.empty_like(problem.data.X)
            self.y_room = np.empty_like(problem.data.y)
        few = slice(0, trial_rows(problem))
        X, y = problem.data.X[few], problem.data.y[few]
        self._start()
        choices = {f"threads: {n}": n for n in sorted({1, most})}
        trials = {name: partial(self._walk, n, X, y) for name, n in choices.items()}
        self.choice = fastest(trials)
        self.threads = choices[self.choice]

    def epochs(self, count: int) -> None:
        """Run the loop: shuffle, slice, forward, gradient, update."""
        self._start()
        for _ in range(count):
            indices = np.arange(self.problem.rows)
            self.rng.shuffle(indices)
            self._walk(self.threads, *self._shuffled(indices))

    def _shuffled(self, indices: NDArray[np.int64]) -> tuple[Rows, NDArray[np.float64]]:
        X, y = self.problem.data.X, self.problem.data.y
        if self.problem.is_sparse:
            return X[indices], y[indices]
        # Into memory that is kept; only with "clip" does NumPy write there directly.
        np.take(X, indices, axis=0, out=self.X_room, mode="clip")
        np.take(y, indices, out=self.y_room, mode="clip")
        return self.X_room, self.y_room

    def _start(self) -> None:
        self.rng = np.random.RandomState(0)
        self.w = np.zeros(self.problem.features)
        self.b = 0.0

    def _walk(self, threads: int, X: Rows, y: NDArray[np.float64]) -> None:
        with threadpool_limits(threads, user_api="blas"):
            self.one_epoch(X, y)

    def _dense_epoch(self, X: Rows, y: NDArray[np.float64]) -> None:
        batch_size = self.problem.batch
        scale = self.problem.rate / batch_size
        w, b = self.w, self.b
        for start in range(0, len(y), batch_size):
            X_batch = X[start : start + batch_size]
            error = X_batch @ w
            error += b
            error -= y[start : start + batch_size]
            w -= scale * (error @ X_batch)
            b -= scale * error.sum()
        self.b = float(b)

    def _sparse_epoch(self, X: Rows, y: NDArray[np.float64]) -> None:
        batch_size = self.problem.batch
        scale = self.problem.rate / batch_size
        decay = 1.0 - self.problem.rate * self.problem.data.alpha
        w, b = self.w, self.b
        for start in range(0, len(y), batch_size):
            X_batch = X[start : start + batch_size]
            error = special.expit(X_batch @ w + b)
            error -= y[start : start + batch_size]
            w *= decay
            w -= scale * (X_batch.T @ error)
            b -= scale * error.sum()
        self.b = float(b)

    def solution(self) -> tuple[NDArray[np.float64], float]:
        """Return the loop's variables."""
        return self.w, self.b
