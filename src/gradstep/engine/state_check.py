"""Checks a written state before a run goes on from it.

Kernels index by some of its numbers without a check. So names, types, shapes and ranges are
compared with those that a state of the problem can have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradstep.engine.automatic.optimality import recent_epochs
from gradstep.engine.automatic.quasi_newton import MOST_PAIRS
from gradstep.engine.automatic.state import AutomaticState
from gradstep.engine.checkpoint_folder import MOST_RESTARTS
from gradstep.engine.kernels.lazy import PERIOD
from gradstep.engine.state import TextbookState
from gradstep.optim.solvers import is_automatic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TrainState

    Shapes = dict[str, tuple[tuple[int, ...], ...]]

__all__ = ["state_of"]

# How far the product of a step and its change may be from 1.
_ROUNDING = 1e-5
# The largest value of a count, and of some counts by name.
_MOST = 1 << 53
_MOST_OF = {
    "restarts": MOST_RESTARTS, "smoothing.doublings": 64, "sampling.factor": 1 << 32, "kind": 16,
}  # fmt: skip


def state_of(problem: Problem, arrays: Mapping[str, NDArray[Any]], n_rows: int) -> TrainState:
    """Return the state that was written for a problem on so many rows.

    Raises
    ------
    ValueError
        If an array is missing, unknown, or of another type, shape or range than it can have.
    """
    automatic = is_automatic(problem.optimizer)
    begun: TrainState = problem.start()
    kind: type[TrainState] = AutomaticState if automatic else TextbookState
    if automatic:
        begun = AutomaticState.of(begun)
    expected: Shapes = {name: (a.shape,) for name, a in begun.to_arrays().items()}
    shapes = expected | (_of_automatic(problem) if automatic else _of_textbook(problem))
    for name, array in arrays.items():
        if array.shape not in shapes.get(name, ()):
            known = " or ".join(map(str, shapes.get(name, ()))) or "nothing of that name"
            msg = f"{name} has shape {array.shape}, where {known} is expected"
            raise ValueError(msg)
    missing = expected.keys() - arrays.keys()
    if missing:
        msg = f"{min(missing)} is missing"
        raise ValueError(msg)
    _check_ranges(arrays)
    state = kind.from_arrays(arrays)
    typed, found = begun.to_arrays(), state.to_arrays()
    for name, array in found.items():
        wanted = typed[name].dtype.kind if name in typed else _KINDS.get(name, "f")
        if array.dtype.kind != wanted:
            msg = f"{name} has the type {array.dtype}"
            raise ValueError(msg)
    if isinstance(state, TextbookState):
        _check_batches(problem, state, n_rows)
    else:
        _check_pairs(arrays)
    return state


# Kinds of arrays whose records a first state does not have; all others of these are floats.
_KINDS = {"matrices.whole": "b"}


def _of_textbook(problem: Problem) -> Shapes:
    size, slots, p = problem.size, problem.optimizer.n_slots(), problem.n_features
    found: Shapes = {"best_params": ((size,),)}
    optimizer: Any = problem.optimizer
    if hasattr(optimizer, "clock_shape"):
        found["since"] = ((0,), (p + 1,))
        found["clock"] = ((0, 0), optimizer.clock_shape(PERIOD))
        found["behind"] = ((0, 0), (1 + slots, size))
    return found


def _of_automatic(problem: Problem) -> Shapes:
    size, p, k = problem.size, problem.n_features, problem.n_outputs
    hessians = tuple((n, p + 1, p + 1) for n in sorted({1, k, k * (k + 1) // 2}))
    # none, as they are written now, and as they were before
    pairs = ((0,), (0, 0, 0), *((n, k, p + 1) for n in range(1, MOST_PAIRS + 1)))
    numbers = "snapshot.objective snapshot.before snapshot.true matrices.whole"
    vectors = "best_params snapshot.params snapshot.gradient matrices.at"
    return {
        **dict.fromkeys(numbers.split(), ((),)),
        **dict.fromkeys(vectors.split(), ((size,),)),
        "snapshot.hessian": hessians,
        "matrices.hessian": hessians,
        "factors.features": ((p + 1, p + 1),),
        "factors.outputs": ((k, k),),
        "diagonal.own": ((k, p),),
        "diagonal.intercepts": ((k,),),
        "sampling.squares": ((0,), (p,)),
        "sampling.point": ((0,), (size,)),
        "progress.recent": tuple((n,) for n in range(recent_epochs(problem.patience) + 1)),
        **dict.fromkeys(("pairs.steps", "pairs.changes"), pairs),
    }


def _check_ranges(arrays: Mapping[str, NDArray[Any]]) -> None:
    for name, array in arrays.items():
        if array.dtype.kind in "iu" and array.size:
            low, high = int(array.min()), int(array.max())
            if not -1 <= low <= high <= _MOST_OF.get(name, _MOST):
                msg = f"{name} is from {low} to {high}"
                raise ValueError(msg)


def _check_pairs(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check that each step of a quasi-Newton method has a change, and the product 1 with it."""
    steps, changes = arrays["pairs.steps"], arrays["pairs.changes"]
    if steps.shape != changes.shape or steps.dtype != changes.dtype:
        msg = (
            f"there are {len(steps)} steps of {steps.dtype}, and {len(changes)} changes of the "
            f"gradient of {changes.dtype}"
        )
        raise ValueError(msg)
    if steps.size:
        products = np.einsum("nkq,nkq->n", steps, changes, dtype=np.float64)
        if not (np.abs(products - 1.0) < _ROUNDING).all():
            msg = f"steps have products {products} with their changes, in place of 1"
            raise ValueError(msg)


def _check_batches(problem: Problem, state: TextbookState, n_rows: int) -> None:
    """Check the position within an epoch, and the records of lazy steps."""
    batches = -(-n_rows // min(problem.batch_size, n_rows))
    since, clock = state.since, state.clock
    lazy = bool(since.size) == bool(clock.size) and (not since.size or state.batch > 0)
    if since.size:
        lazy = lazy and 0 <= since.min() <= since.max() == since[-1] <= PERIOD
    counts = np.isfinite(state.counters).all() and (state.counters >= 0.0).all()
    if state.path is not None:
        counts = counts and 0.0 <= state.path.iterates <= state.counters[2]
    if not (
        0 <= state.batch < batches and lazy and counts and (since.size or not state.behind.size)
    ):
        msg = "the counts of batches and steps do not fit each other"
        raise ValueError(msg)
