"""The protocol of a method, which is what the loop calls.

A method takes a run from epoch to epoch. What it does is a function of the problem, the data and
the state. Besides these it keeps only threads, and results that it could compute again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gradstep.engine.records import Epoch, Outcome

__all__ = ["Method"]


class Method(Protocol):
    """A method; it must be closed, since it may own threads."""

    def close(self) -> None:
        """End the threads."""

    def epoch(
        self, state: Any, max_batches: int | None, *, more: bool
    ) -> tuple[Any, Epoch | None, int | None]:
        """Run an epoch from a state, or the rest of one.

        Parameters
        ----------
        state : TrainState
            The method's state; it may be changed.
        max_batches : int or None
            Batches after which to pause.
        more : bool
            Whether another epoch will follow, so that its order of rows can be made meanwhile.

        Returns
        -------
        state : TrainState
            The state after it.
        epoch : Epoch or None
            What is recorded of it; None if the epoch is not over.
        max_batches : int or None
            How many of the batches are left.
        """

    def show(self, state: Any) -> None:
        """Bring `params` up to date within an epoch; going on from there changes no bit."""

    def outcome(self, state: Any, epoch: Epoch, *, by_score: bool) -> Outcome | None:
        """Return how the run ends after an epoch, or None if it goes on.

        Parameters
        ----------
        state : TrainState
            It may be changed: epochs without improvement are counted there.
        epoch : Epoch
            What is recorded of the epoch.
        by_score : bool
            Whether a validation score decides when the run ends.
        """
