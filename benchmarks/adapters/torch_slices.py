"""PyTorch on the CPU: plain tensors, slices of a permutation, gradients by hand.

No ``DataLoader``, no autograd and no optimizer object: each costs more than the
arithmetic of a small batch. Gathered rows go into buffers that are kept, since fresh
memory for each batch costs up to half of the time. With an l2 penalty the weights are
kept as a number times a vector, so that a step touches only the batch's columns.

What is tried out for each problem, off the clock: rows gathered batch by batch or
all at once, the kind of sum over a sparse row, and one thread or all.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from benchmarks.adapters.base import Adapter, fastest, trial_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.problems import Problem

    # The library is optional, and mypy must not need it: its tensors are Any here.
    Tensor: TypeAlias = Any


class TorchSlices(Adapter):
    """``randperm`` and index slices, in place, without gradients being recorded."""

    name = "PyTorch"
    modules: ClassVar[tuple[str, ...]] = ("torch",)

    def prepare(self, problem: Problem) -> None:
        """Wrap the arrays as tensors and choose a variant."""
        import torch

        self.torch = torch
        self.problem = problem
        self.decay = 1.0 - problem.rate * problem.data.alpha
        self.y = torch.from_numpy(problem.data.y)
        self.y_room = self._room(problem.batch)
        ways: dict[str, Callable[[Tensor], None]]
        if problem.is_sparse:
            X = problem.data.X
            shape = (problem.rows, -1)
            self.columns = torch.from_numpy(X.indices).reshape(shape)
            self.values = torch.from_numpy(X.data).reshape(shape)
            per_row = self.columns.shape[1]
            self.values_room = self._room(problem.batch, per_row)
            self.columns_room = torch.empty(problem.batch, per_row, dtype=torch.int32)
            self.weights_room = self._room(problem.batch * per_row)
            ways = {
                "w[columns] times values": self._sparse_gather,
                "embedding_bag": self._sparse_bag,
            }
        else:
            self.X = torch.from_numpy(problem.data.X)
            self.X_room = self._room(problem.batch, problem.features)
            ways = {
                "rows gathered by batch": self._dense_gather,
                "rows gathered at once": self._dense_copy,
            }
        threads = sorted({1, torch.get_num_threads()})
        variants = {f"{way}, threads: {n}": (ways[way], n) for way in ways for n in threads}
        self._start()
        order = torch.randperm(problem.rows)[: trial_rows(problem)]
        trials = {name: partial(self._walk, *variant, order) for name, variant in variants.items()}
        self._reserve(problem.rows)
        self.choice = fastest(trials)
        self.way, self.threads = variants[self.choice]
        if self.way != self._dense_copy:
            self._reserve(0)

    def epochs(self, count: int) -> None:
        """Walk through a new permutation each epoch."""
        self._start()
        for _ in range(count):
            self._walk(self.way, self.threads, self.torch.randperm(self.problem.rows))

    def _start(self) -> None:
        self.torch.manual_seed(0)
        self.w = self._room(self.problem.features).zero_()
        self.b = self._room(1).zero_()
        self.w_scale = 1.0

    def _walk(self, way: Callable[[Tensor], None], threads: int, order: Tensor) -> None:
        self.torch.set_num_threads(threads)
        with self.torch.inference_mode():
            way(order)

    def _room(self, *shape: int) -> Tensor:
        return self.torch.empty(shape, dtype=self.torch.float64)

    def _reserve(self, rows: int) -> None:
        """Keep room for all the rows in a new order; none for sparse ones."""
        if not self.problem.is_sparse:
            self.X_mixed = self._room(rows, self.problem.features)
            self.y_mixed = self._room(rows)

    def _take(self, source: Tensor, rows: Tensor, room: Tensor) -> Tensor:
        if len(rows) < len(room):
            room = room[: len(rows)]
        return self.torch.index_select(source, 0, rows, out=room)

    def _dense_step(self, X_batch: Tensor, y_batch: Tensor, scale: float) -> None:
        error = self.torch.addmv(self.b, X_batch, self.w).sub_(y_batch)
        self.w.addmv_(X_batch.t(), error, alpha=-scale)
        self.b.sub_(error.sum(), alpha=scale)

    def _dense_gather(self, order: Tensor) -> None:
        scale = self.problem.rate / self.problem.batch
        for rows in order.split(self.problem.batch):
            X_batch = self._take(self.X, rows, self.X_room)
            self._dense_step(X_batch, self._take(self.y, rows, self.y_room), scale)

    def _dense_copy(self, order: Tensor) -> None:
        batch = self.problem.batch
        scale = self.problem.rate / batch
        X = self._take(self.X, order, self.X_mixed).split(batch)
        y = self._take(self.y, order, self.y_mixed).split(batch)
        for X_batch, y_batch in zip(X, y, strict=True):
            self._dense_step(X_batch, y_batch, scale)

    def _sparse_gather(self, order: Tensor) -> None:
        for rows in order.split(self.problem.batch):
            columns = self._take(self.columns, rows, self.columns_room).view(-1)
            values = self._take(self.values, rows, self.values_room)
            weights = self._take(self.w, columns, self.weights_room)
            scores = weights.view_as(values).mul_(values).sum(1)
            self._sparse_step(rows, columns, values, scores)

    def _sparse_bag(self, order: Tensor) -> None:
        table = self.w.view(-1, 1)
        embedding_bag = self.torch.nn.functional.embedding_bag
        for rows in order.split(self.problem.batch):
            columns = self._take(self.columns, rows, self.columns_room)
            values = self._take(self.values, rows, self.values_room)
            scores = embedding_bag(columns, table, mode="sum", per_sample_weights=values)
            self._sparse_step(rows, columns.view(-1), values, scores.view(-1))

    def _sparse_step(self, rows: Tensor, columns: Tensor, values: Tensor, scores: Tensor) -> None:
        scale = self.problem.rate / self.problem.batch
        slope = scores.mul_(self.w_scale).add_(self.b).sigmoid_()
        slope.sub_(self._take(self.y, rows, self.y_room))
        self.w_scale *= self.decay
        push = values.mul_(slope.unsqueeze(1)).view(-1)
        self.w.index_add_(0, columns, push, alpha=-scale / self.w_scale)
        self.b.sub_(slope.sum(), alpha=scale)

    def solution(self) -> tuple[NDArray[np.float64], float]:
        """Copy the tensors out."""
        return self.w.numpy() * self.w_scale, float(self.b)
