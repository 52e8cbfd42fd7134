"""The table of penalties: for each class its value, written a second time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradstep.objective.penalties import L1, L2, ElasticNet, NoPenalty

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PENALTIES", "PenaltyCase"]


@dataclass(frozen=True)
class PenaltyCase:
    """How a penalty is tested; `parts(penalty)` are the strengths of \\|w\\| and of ½ w²."""

    penalties: tuple[Any, ...]
    parts: Callable[[Any], tuple[float, float]]
    name: str = ""
    unnamed: str = ""
    refused: dict[str, Any] = field(default_factory=dict)


PENALTIES: dict[type, PenaltyCase] = {
    NoPenalty: PenaltyCase(
        penalties=(NoPenalty(),),
        parts=lambda _: (0.0, 0.0),
        unnamed="penalty=None",
    ),
    L2: PenaltyCase(
        penalties=(L2(0.3), L2(0.0)),
        parts=lambda penalty: (0.0, penalty.alpha),
        name="l2",
        refused={"alpha": -1.0},
    ),
    L1: PenaltyCase(
        penalties=(L1(0.3), L1(0.0)),
        parts=lambda penalty: (penalty.alpha, 0.0),
        name="l1",
        refused={"alpha": float("nan")},
    ),
    ElasticNet: PenaltyCase(
        penalties=(ElasticNet(0.3, 0.5), ElasticNet(2.0, 0.15), ElasticNet(1.0, 0.0)),
        parts=lambda p: (p.alpha * p.l1_ratio, p.alpha * (1.0 - p.l1_ratio)),
        name="elasticnet",
        refused={"alpha": float("inf"), "l1_ratio": 1.1},
    ),
}
