"""What an optimizer is, and where a step stands in its run.

An optimizer is a NamedTuple of its hyper-parameters with

- ``n_slots()``: how many numbers per weight it keeps (zero at the start);
- ``step(penalty, params, gradient, slots, lo, hi, at)``: updates ``params[lo:hi]`` and
  ``slots[:, lo:hi]`` in place, given the gradient of the batch's mean loss there;
- optionally ``lookahead(params, slots, point)``: fills and returns the point at which the
  gradient is to be taken (without it, that is `params`).

`params` is flat: weights, output after output, then intercepts. `step` is called once for the
weights with the penalty, once for the intercepts without. The penalty enters as its proximal
map with each coordinate's own step, so with full batches every optimizer's fixed point is
the minimiser of the penalised objective. Momentum acts on the iterates (w minus the
previous w), not on the gradients, for the same reason.

A weight whose feature no row of a batch has is *idle*: its gradient is zero. An optimizer that
can make up for many idle steps at once, under a penalty that tells its ``strengths``, has

- ``clock_shape(period)``: the shape of what it needs to know of up to `period` steps;
- ``tick(penalty, clock, now, at)``: writes there that step `now` (from 1) is taken; returns False
  if that does not fit to the steps before, which all weights must then be brought up to first,
  so that the step becomes the first of a new period;
- ``idle(penalty, params, gradient, slots, j, clock, since, now)``: takes ``params[j]`` and
  ``slots[:, j]`` from after step `since` to after step `now`, all idle; ``gradient[j]`` is 0.

The methods are compiled; the same code runs uncompiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from gradstep.objective.penalties import Penalty

__all__ = [
    "At",
    "Optimizer",
    "idle",
    "lookahead",
    "step",
    "tick",
]


class At(NamedTuple):
    """Where a run stands when a step is taken.

    Attributes
    ----------
    rate : float
        The learning rate of this step.
    share : float
        The batch's share of the penalty: its rows over the rows that it is divided by (1,
        and less for a short last batch under ``last_batch="scale"``).
    number : int
        The number of this step, from 1.
    total_share : float
        Sum of `share` over all steps up to and with this one.
    """

    rate: float
    share: float
    number: int
    total_share: float


@runtime_checkable
class Optimizer(Protocol):
    """What an optimizer must have."""

    def n_slots(self) -> int:
        """Return how many numbers per weight the optimizer keeps."""

    def step(
        self, penalty: Any, params: Any, gradient: Any, slots: Any, lo: int, hi: int, at: At
    ) -> None:
        """Update ``params[lo:hi]`` and ``slots[:, lo:hi]`` in place."""


def step(
    optimizer: Optimizer,
    penalty: Penalty,
    params: Any,
    gradient: Any,
    slots: Any,
    lo: int,
    hi: int,
    at: At,
) -> None:
    """Take a step on ``params[lo:hi]`` (kernels call this)."""
    optimizer.step(penalty, params, gradient, slots, lo, hi, at)


def lookahead(optimizer: Any, params: Any, slots: Any, point: Any) -> Any:
    """Return the point at which the gradient is taken (kernels call this)."""
    method = getattr(optimizer, "lookahead", None)
    return params if method is None else method(params, slots, point)


def tick(optimizer: Any, penalty: Any, clock: Any, now: int, at: At) -> bool:
    """Write to the clock that step `now` is taken; False if it begins a period (kernels call)."""
    fits: bool = optimizer.tick(penalty, clock, now, at)
    return fits


def idle(
    optimizer: Any,
    penalty: Any,
    params: Any,
    gradient: Any,
    slots: Any,
    j: int,
    clock: Any,
    since: int,
    now: int,
) -> None:
    """Take a weight from after step `since` to after step `now`, all idle (kernels call this)."""
    optimizer.idle(penalty, params, gradient, slots, j, clock, since, now)
