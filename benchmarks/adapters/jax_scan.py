"""JAX on the CPU: one compiled epoch, a ``lax.scan`` over the batches.

What is tried out for each problem, off the clock: the order from ``jax.random`` or
from NumPy's generator (whose permutation needs no sorting), and rows gathered
inside the scan or all at once before it. With an l2 penalty the weights are kept as a
number times a vector, so that a step touches only the batch's columns.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from benchmarks.adapters.base import Adapter, fastest, trial_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from numpy.typing import NDArray

    from benchmarks.problems import Problem

    # The library is optional, and mypy must not need it: its arrays are Any here.
    Tree: TypeAlias = Any

ORDER_TRIAL = 4_000_000


class JaxScan(Adapter):
    """A scan in float64; the last, short batch is a step after it."""

    name = "JAX scan"
    modules: ClassVar[tuple[str, ...]] = ("jax",)

    def prepare(self, problem: Problem) -> None:
        """Hand the arrays to JAX, choose a variant, compile it."""
        import jax

        jax.config.update("jax_enable_x64", True)  # noqa: FBT003
        self.jax = jax
        self.problem = problem
        if problem.is_sparse:
            X = problem.data.X
            shape = (problem.rows, -1)
            table = (X.indices.reshape(shape), X.data.reshape(shape), problem.data.y)
            step = self._sparse_step
        else:
            table = (problem.data.X, problem.data.y)
            step = self._dense_step
        self.table = jax.tree.map(jax.numpy.asarray, table)

        ways = {
            "rows gathered inside the scan": partial(self._gather_inside, step),
            "rows gathered at once": partial(self._gather_first, step),
        }
        orders = {
            "order from jax.random": self._jax_order,
            "order from NumPy": self._numpy_order,
        }
        self._start()
        some = min(problem.rows, ORDER_TRIAL)
        chosen_order = fastest({name: partial(orders[name], some) for name in orders})
        order = orders[chosen_order](problem.rows)[: trial_rows(problem)]
        chosen_way = fastest({name: self._compiled(way, order) for name, way in ways.items()})
        self.choice = f"{chosen_way}, {chosen_order}"
        self.make_order = orders[chosen_order]
        self.walk = self._compile(ways[chosen_way], self.make_order(problem.rows))

    def epochs(self, count: int) -> None:
        """Run the compiled epoch on a new order each time."""
        self._start()
        for _ in range(count):
            order = self.make_order(self.problem.rows)
            self.weights = self.walk(self.weights, self.table, order)
        self.jax.block_until_ready(self.weights)

    def _start(self) -> None:
        zeros = self.jax.numpy.zeros
        self.weights = (zeros(self.problem.features), zeros(()))
        if self.problem.is_sparse:
            self.weights += (self.jax.numpy.ones(()),)
        self.key = self.jax.random.key(0)
        self.rng = np.random.default_rng(0)

    def _jax_order(self, rows: int) -> Tree:
        self.key, key = self.jax.random.split(self.key)
        order = self.jax.numpy.arange(rows, dtype="int32")
        return self.jax.random.permutation(key, order).block_until_ready()

    def _numpy_order(self, rows: int) -> Tree:
        order = np.arange(rows, dtype=np.int32)
        self.rng.shuffle(order)
        return self.jax.numpy.asarray(order)

    def _compile(self, way: Callable[..., Tree], order: Tree) -> Callable[..., Tree]:
        return self.jax.jit(way).lower(self.weights, self.table, order).compile()

    def _compiled(self, way: Callable[..., Tree], order: Tree) -> Callable[[], object]:
        run = self._compile(way, order)
        return lambda: self.jax.block_until_ready(run(self.weights, self.table, order))

    def _pick(self, table: Tree, rows: Tree) -> Tree:
        pick = partial(self._take, rows)
        return self.jax.tree.map(pick, table)

    @staticmethod
    def _take(rows: Tree, array: Tree) -> Tree:
        return array.at[rows].get(mode="promise_in_bounds", unique_indices=True)

    def _gather_inside(self, step: Tree, weights: Tree, table: Tree, order: Tree) -> Tree:
        def one(carry: Tree, rows: Tree) -> tuple[Tree, None]:
            return step(carry, self._pick(table, rows)), None

        full = len(order) // self.problem.batch * self.problem.batch
        batches = order[:full].reshape(-1, self.problem.batch)
        weights, _ = self.jax.lax.scan(one, weights, batches)
        return one(weights, order[full:])[0] if full < len(order) else weights

    def _gather_first(self, step: Tree, weights: Tree, table: Tree, order: Tree) -> Tree:
        def one(carry: Tree, batch: Tree) -> tuple[Tree, None]:
            return step(carry, batch), None

        size = self.problem.batch
        full = len(order) // size * size
        mixed = self._pick(table, order)
        tree_map = self.jax.tree.map
        batches = tree_map(lambda a: a[:full].reshape(-1, size, *a.shape[1:]), mixed)
        weights, _ = self.jax.lax.scan(one, weights, batches)
        last = tree_map(lambda a: a[full:], mixed)
        return step(weights, last) if full < len(order) else weights

    def _dense_step(self, weights: Tree, batch: Tree) -> Tree:
        scale = self.problem.rate / self.problem.batch
        w, b = weights
        X_batch, y_batch = batch
        error = X_batch @ w + b - y_batch
        return w - scale * (error @ X_batch), b - scale * error.sum()

    def _sparse_step(self, weights: Tree, batch: Tree) -> Tree:
        rate = self.problem.rate
        v, b, v_scale = weights
        columns, values, y_batch = batch
        mode = "promise_in_bounds"
        scores = (v.at[columns].get(mode=mode) * values).sum(1) * v_scale + b
        slope = self.jax.nn.sigmoid(scores) - y_batch
        v_scale = v_scale * (1.0 - rate * self.problem.data.alpha)
        scale = rate / self.problem.batch
        push = (-scale / v_scale) * slope[:, None] * values
        return v.at[columns].add(push, mode=mode), b - scale * slope.sum(), v_scale

    def solution(self) -> tuple[NDArray[np.float64], float]:
        """Copy the arrays out."""
        w, b, *v_scale = map(np.asarray, self.weights)
        return w * np.prod(v_scale), float(b)
