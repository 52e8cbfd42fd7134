"""What a race ends with, and what follows from it: LOST, level, ahead."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

__all__ = ["AHEAD", "LEVEL", "LOST", "MISSED", "NO_PEER", "Found", "Result", "verdict"]

LOST, LEVEL, AHEAD, NO_PEER, MISSED = "LOST", "level", "ahead", "no peer", "MISSED"


class Found(NamedTuple):
    """What a side did.

    Attributes
    ----------
    name : str
        The side.
    seconds : list of float
        Of each round; empty if it did not come to them.
    setting, rate : float
        What it was asked with: a tolerance or epochs, and a learning rate if it needs one, else 0.
    excess : float
        How near it came; NaN where nothing is known.
    skipped : str
        Why there are no seconds.
    unit : str
        What the setting is.
    """

    name: str
    seconds: list[float]
    setting: float = float("nan")
    rate: float = 0.0
    excess: float = float("nan")
    skipped: str = ""
    unit: str = "tolerance"


class Result(NamedTuple):
    """A race's end: its case, the sides, gradstep first, and the seconds that all of it took."""

    case: str
    sides: list[Found]
    took: float = 0.0

    @property
    def ratios(self) -> dict[str, list[float]]:
        """How many times as long as gradstep each peer takes, round by round."""
        ours = self.sides[0].seconds
        return {
            s.name: [t / o for t, o in zip(s.seconds, ours, strict=False)]
            for s in self.sides[1:]
            if s.seconds and ours
        }

    @property
    def verdict(self) -> str:
        """That of the peer that does best."""
        if not self.sides[0].seconds:
            return MISSED
        order = (LOST, LEVEL, AHEAD)
        return min(
            (verdict(each) for each in self.ratios.values()), key=order.index, default=NO_PEER
        )

    @property
    def lost_to(self) -> list[str]:
        """The peers that take less time in each round, the fastest first."""
        lost = [name for name, each in self.ratios.items() if verdict(each) == LOST]
        return sorted(lost, key=lambda name: median(self.ratios[name]))

    @property
    def nearest(self) -> str:
        """The peer that takes the least time; empty if there is none."""
        return min(self.ratios, key=lambda name: median(self.ratios[name]), default="")


def verdict(ratios: list[float]) -> str:
    """Return what the ratios of all rounds say: spread across 1 is level.

    Examples
    --------
    >>> [verdict(each) for each in ([0.8, 0.9], [0.9, 1.1], [1.2, 3.0])]
    ['LOST', 'level', 'ahead']
    """
    if max(ratios) < 1.0:
        return LOST
    return LEVEL if min(ratios) <= 1.0 else AHEAD
