"""What the loop asks of a method.

A method takes a run from epoch to epoch. It is a function of the problem, the data and the state:
what it keeps besides are threads, and results that it could compute again from these three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gradstep.engine.records import Epoch, Outcome

__all__ = ["Method"]


class Method(Protocol):
    """A method; to be closed, since it may own threads."""

    def close(self) -> None:
        """End the threads."""

    def epoch(
        self, state: Any, max_batches: int | None, *, more: bool
    ) -> tuple[Any, Epoch | None, int | None]:
        """Take an epoch from a state, or what is left of one.

        Parameters
        ----------
        state : TrainState
            Of the method; may be changed.
        max_batches : int or None
            Batches after which to pause.
        more : bool
            Whether another epoch will follow, for what can be made ready meanwhile.

        Returns
        -------
        state : TrainState
            Where it ended.
        epoch : Epoch or None
            What came of it; None if the epoch is not over.
        max_batches : int or None
            What is left of them.
        """

    def show(self, state: Any) -> None:
        """Make `params` those of the model, where an epoch was paused; going on changes no bit."""

    def outcome(self, state: Any, epoch: Epoch, *, by_score: bool) -> Outcome | None:
        """Tell how the run ends after an epoch, if it does.

        Parameters
        ----------
        state : TrainState
            May be changed: epochs without improvement are counted there.
        epoch : Epoch
            What came of the epoch.
        by_score : bool
            Whether a validation score decides when the run ends.
        """
