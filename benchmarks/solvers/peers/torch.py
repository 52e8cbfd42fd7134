"""PyTorch as users write it, in float64: L-BFGS over all rows, and Adam over mini-batches.

The latter from a ``DataLoader`` and from slices of a permutation; its rate falls to nothing along a
cosine. Sparse rows are a CSR tensor for L-BFGS, and numbers of columns beside their values, padded,
for an ``embedding_bag`` of mini-batches. Without l1, which none of its optimizers has.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from benchmarks.solvers.side import EPOCHS, TOLERANCES, Fitted, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.no_tuning.objective import Objective
    from benchmarks.solvers.cases import Task

PACKAGE = MODULE = "torch"
BATCH = 256
RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)


def sides(task: Task, *, small_batches: bool) -> list[Side]:
    """Return its sides of any loss, without l1."""
    o = task.objective
    if o.l1_share and o.strength:
        return []
    torch = import_module("torch")
    loss, y = _losses(torch, o), torch.from_numpy(o.y)
    weight = None if o.weight is None else torch.from_numpy(o.row_weights * len(o.y))
    found = [Side("PyTorch L-BFGS", _full_batch(torch, o, loss, y, weight), _value(o), TOLERANCES)]
    if small_batches:
        parts = [*_parts(torch, o), y, *([] if weight is None else [weight])]
        for name, batches in (("DataLoader", _loaded), ("slices", _sliced)):
            fit = _adam(torch, o, loss, parts, batches)
            found.append(Side(f"PyTorch Adam, {name}", fit, _value(o), EPOCHS, RATES))
    return found


def _losses(torch: Any, o: Objective) -> Callable[..., Any]:
    """Return the mean loss of scores (n, k), without terms that no weight changes."""
    F, power = torch.nn.functional, o.parameter or 0.0
    one = {
        "squared_error": lambda z, y: 0.5 * (z - y) ** 2,
        "log_loss": lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none"),
        "poisson": lambda z, y: z.exp() - y * z,
        "gamma": lambda z, y: y * (-z).exp() + z,
        "tweedie": lambda z, y: (
            ((2.0 - power) * z).exp() / (2.0 - power)
            - y * ((1.0 - power) * z).exp() / (1.0 - power)
        ),
    }[o.loss]  # fmt: skip

    def mean(z: Any, y: Any, weight: Any = None) -> Any:
        rows = F.cross_entropy(z, y, reduction="none") if o.joint else one(z[:, 0], y)
        return rows.mean() if weight is None else (weight * rows).mean()

    return mean


def _full_batch(torch: Any, o: Objective, loss: Any, y: Any, weight: Any) -> Callable[..., Any]:
    if sp.issparse(o.X):
        parts = (torch.from_numpy(each) for each in (o.X.indptr, o.X.indices, o.X.data))
        X = torch.sparse_csr_tensor(*parts, size=o.X.shape)
    else:
        X = torch.from_numpy(o.X)

    def fit(tol: float) -> Any:
        W, b = _start(torch, o)
        optimizer = torch.optim.LBFGS(
            [W, b], max_iter=10_000, tolerance_grad=tol, tolerance_change=1e-3 * tol,
            line_search_fn="strong_wolfe",
        )  # fmt: skip

        def closure() -> Any:
            optimizer.zero_grad()
            value = loss(X @ W + b, y, weight) + 0.5 * o.strength * (W * W).sum()
            value.backward()
            return value

        optimizer.step(closure)
        return W, b

    return fit


def _start(torch: Any, o: Objective) -> tuple[Any, Any]:
    W = torch.zeros(o.X.shape[1], o.k, dtype=torch.float64, requires_grad=True)
    return W, torch.zeros(o.k, dtype=torch.float64, requires_grad=True)


def _parts(torch: Any, o: Objective) -> list[Any]:
    """Return the rows as tensors that can be cut into batches."""
    if not sp.issparse(o.X):
        return [torch.from_numpy(o.X)]
    X = sp.csr_array(o.X)
    counts = np.diff(X.indptr)
    kept = np.arange(counts.max()) < counts[:, None]
    columns, values = np.zeros(kept.shape, np.int64), np.zeros(kept.shape)
    columns[kept], values[kept] = X.indices, X.data
    return [torch.from_numpy(columns), torch.from_numpy(values)]


def _adam(
    torch: Any, o: Objective, loss: Any, parts: list[Any], batches: Callable[..., Any]
) -> Callable[..., Any]:
    """Return a fit by Adam; its decay is l2 of the weights, not of the intercept."""
    sparse, bag = sp.issparse(o.X), torch.nn.functional.embedding_bag

    def fit(epochs: float, rate: float) -> Any:
        torch.manual_seed(0)
        W, b = _start(torch, o)
        groups = [{"params": [W], "weight_decay": o.strength}, {"params": [b]}]
        optimizer = torch.optim.Adam(groups, lr=rate)
        steps = int(epochs) * -(-len(o.y) // BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        source = batches(torch, parts)
        for _ in range(int(epochs)):
            for batch in source():
                optimizer.zero_grad()
                if sparse:
                    columns, values, *rest = batch
                    z = bag(columns, W, mode="sum", per_sample_weights=values) + b
                else:
                    X, *rest = batch
                    z = X @ W + b
                loss(z, *rest).backward()
                optimizer.step()
                schedule.step()
        return W, b

    return fit


def _loaded(torch: Any, parts: list[Any]) -> Callable[[], Any]:
    data = torch.utils.data
    loader = data.DataLoader(data.TensorDataset(*parts), batch_size=BATCH, shuffle=True)
    return lambda: loader


def _sliced(torch: Any, parts: list[Any]) -> Callable[[], Iterator[list[Any]]]:
    def batches() -> Iterator[list[Any]]:
        for rows in torch.randperm(len(parts[0])).split(BATCH):
            yield [part[rows] for part in parts]

    return batches


def _value(o: Objective) -> Any:
    def value(found: Any) -> float:
        W, b = (each.detach().numpy() for each in found)
        return o.value_of(Fitted(W.T, b))

    return value
