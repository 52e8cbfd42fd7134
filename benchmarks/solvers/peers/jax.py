"""JAX: its own BFGS of a compiled objective, and optax's L-BFGS in a compiled loop; float64.

Sparse rows are left out: JAX's sparse matrices are experimental, and slow without an accelerator.
"""

from __future__ import annotations

from importlib import import_module, util
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from benchmarks.solvers.side import TOLERANCES, Fitted, Side

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.no_tuning.objective import Objective
    from benchmarks.solvers.cases import Task

PACKAGE = MODULE = "jax"
MOST_BFGS = 600  # parameters: BFGS keeps a matrix of them
MOST = 3000  # steps


def sides(task: Task, *, small_batches: bool) -> list[Side]:
    """Return its sides of dense rows without l1."""
    del small_batches
    o = task.objective
    if sp.issparse(o.X) or (o.l1_share and o.strength) or o.weight is not None:
        return []
    jax = import_module("jax")
    jax.config.update("jax_enable_x64", True)  # noqa: FBT003  (its own signature)
    objective = _objective(jax, o)
    data = jax.numpy.asarray(o.X), jax.numpy.asarray(o.y)
    found = []
    if o.k * (o.X.shape[1] + 1) <= MOST_BFGS:
        found.append(Side("JAX BFGS", _bfgs(jax, o, objective, data), _value(o), TOLERANCES))
    if util.find_spec("optax") is not None:
        found.append(Side("JAX L-BFGS (optax)", _lbfgs(jax, o, objective, data), _value(o)))
    return found


def _objective(jax: Any, o: Objective) -> Callable[..., Any]:
    xp, power, p = jax.numpy, o.parameter or 0.0, o.X.shape[1]
    one = {
        "squared_error": lambda z, y: 0.5 * (z - y) ** 2,
        "log_loss": lambda z, y: xp.logaddexp(0.0, z) - y * z,
        "poisson": lambda z, y: xp.exp(z) - y * z,
        "gamma": lambda z, y: y * xp.exp(-z) + z,
        "tweedie": lambda z, y: (
            xp.exp((2.0 - power) * z) / (2.0 - power)
            - y * xp.exp((1.0 - power) * z) / (1.0 - power)
        ),
    }[o.loss]  # fmt: skip

    def objective(params: Any, X: Any, y: Any) -> Any:
        W, b = params[: o.k * p].reshape(p, o.k), params[o.k * p :]
        z = X @ W + b
        if o.joint:
            own = xp.take_along_axis(z, y[:, None], axis=1)[:, 0]
            rows = jax.nn.logsumexp(z, axis=1) - own
        else:
            rows = one(z[:, 0], y)
        return rows.mean() + 0.5 * o.strength * (W * W).sum()

    return objective


def _start(jax: Any, o: Objective) -> Any:
    return jax.numpy.zeros(o.k * (o.X.shape[1] + 1))


def _bfgs(jax: Any, o: Objective, objective: Any, data: Any) -> Callable[..., Any]:
    minimize = import_module("jax.scipy.optimize").minimize

    @jax.jit
    def solve(tol: Any, X: Any, y: Any) -> Any:
        return minimize(objective, _start(jax, o), (X, y), method="BFGS", tol=tol).x

    return lambda tol: solve(tol, *data).block_until_ready()


def _lbfgs(jax: Any, o: Objective, objective: Any, data: Any) -> Callable[..., Any]:
    """Return optax's L-BFGS, in the loop of its documentation."""
    optax = import_module("optax")

    @jax.jit
    def solve(tol: Any, X: Any, y: Any) -> Any:
        def value(params: Any) -> Any:
            return objective(params, X, y)

        solver = optax.lbfgs()
        both = optax.value_and_grad_from_state(value)

        def step(carried: Any) -> Any:
            params, state, _, count = carried
            at, grad = both(params, state=state)
            updates, state = solver.update(grad, state, params, value=at, grad=grad, value_fn=value)
            return optax.apply_updates(params, updates), state, jax.numpy.abs(grad).max(), count + 1

        def goes_on(carried: Any) -> Any:
            return (carried[2] > tol) & (carried[3] < MOST)

        start = _start(jax, o)
        first = start, solver.init(start), jax.numpy.inf, 0
        return jax.lax.while_loop(goes_on, step, first)[0]

    return lambda tol: solve(tol, *data).block_until_ready()


def _value(o: Objective) -> Any:
    def value(params: Any) -> float:
        found, p = np.asarray(params), o.X.shape[1]
        return o.value_of(Fitted(found[: o.k * p].reshape(p, o.k).T, found[o.k * p :]))

    return value
