"""The table of schedules: for each class its formula, of one step and in plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from gradstep.optim.schedules import (
    Adaptive,
    Constant,
    Cosine,
    Exponential,
    InvScaling,
    OneCycle,
    Optimal,
    StepDecay,
    UserSchedule,
    WarmUp,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SCHEDULES", "ScheduleCase", "Time"]


class Time(NamedTuple):
    """Where a step is in a run: steps and epochs count from 0, epochs with fractions."""

    step: int
    epoch: float
    planned: float
    steps_per_epoch: int


@dataclass(frozen=True)
class ScheduleCase:
    """How a schedule is tested: `formula(schedule, time)`."""

    schedules: tuple[Any, ...]
    formula: Callable[[Any, Time], float]
    name: str = ""
    unnamed: str = ""
    refused: dict[str, Any] = field(default_factory=dict)


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1.0 + math.cos(math.pi * min(progress, 1.0))) / 2.0


def _one_cycle(s: OneCycle, t: Time) -> float:
    progress = t.epoch / t.planned
    if progress < s.rise:
        return _half_cosine(s.eta0 / s.start_divisor, s.eta0, progress / s.rise)
    return _half_cosine(s.eta0, s.eta0 / s.end_divisor, (progress - s.rise) / (1.0 - s.rise))


def _warm_up(s: WarmUp, t: Time) -> float:
    """Step i of m in the rise has (i + 1) / m of the first rate of what follows."""
    m = round(s.epochs * t.steps_per_epoch)
    rise = min(1.0, (t.step + 1) / m)
    later = Time(
        max(0, t.step - m), max(0.0, t.epoch - s.epochs), t.planned - s.epochs, t.steps_per_epoch
    )
    return rise * SCHEDULES[type(s.then)].formula(s.then, later)


def halving(epoch: int, step: int) -> float:
    return 0.1 * 0.5**epoch / (1 + step)


SCHEDULES: dict[type, ScheduleCase] = {
    Constant: ScheduleCase(
        schedules=(Constant(0.2),),
        formula=lambda s, _: s.eta0,
        name="constant",
        refused={"eta0": 0.0},
    ),
    InvScaling: ScheduleCase(
        schedules=(InvScaling(0.2, 0.25), InvScaling(0.5, 1.0)),
        formula=lambda s, t: s.eta0 / (t.step + 1) ** s.power_t,
        name="invscaling",
        refused={"eta0": -0.1, "power_t": None},
    ),
    Optimal: ScheduleCase(
        schedules=(Optimal(1e-3, 50.0, 7.0), Optimal.for_slope(1e-4, lambda *_: -1.0)),
        formula=lambda s, t: 1.0 / (s.alpha * (s.t0 + s.batch_size * t.step)),
        name="optimal",
        refused={"alpha": 0.0, "t0": 0.0, "batch_size": 0.0, "settles": 2},
    ),
    Adaptive: ScheduleCase(
        schedules=(Adaptive(0.2),),
        formula=lambda s, _: s.eta0,
        name="adaptive",
        refused={"eta0": float("nan"), "divisor": 1.0, "smallest": 0.0},
    ),
    StepDecay: ScheduleCase(
        schedules=(StepDecay(0.2, every=2.0, factor=0.5), StepDecay(0.2, every=0.5, factor=0.9)),
        formula=lambda s, t: s.eta0 * s.factor ** (t.epoch // s.every),
        name="step",
        refused={"eta0": 0.0, "every": 0.0, "factor": 0.0},
    ),
    Exponential: ScheduleCase(
        schedules=(Exponential(0.2, factor=0.7),),
        formula=lambda s, t: s.eta0 * s.factor ** int(t.epoch),
        name="exponential",
        refused={"eta0": 0.0, "factor": float("inf")},
    ),
    Cosine: ScheduleCase(
        schedules=(Cosine(0.2), Cosine(0.2, final=0.05)),
        formula=lambda s, t: _half_cosine(s.eta0, s.final, t.epoch / t.planned),
        name="cosine",
        refused={"eta0": 0.0, "final": 1.0},
    ),
    OneCycle: ScheduleCase(
        schedules=(OneCycle(0.2), OneCycle(0.2, 0.5, 10.0, 100.0)),
        formula=_one_cycle,
        name="one_cycle",
        refused={"eta0": 0.0, "rise": 1.0, "start_divisor": 0.0, "end_divisor": 0.0},
    ),
    WarmUp: ScheduleCase(
        schedules=(WarmUp(Cosine(0.2), epochs=2.0), WarmUp(InvScaling(0.2), epochs=0.5)),
        formula=_warm_up,
        unnamed="it needs another schedule",
        refused={"then": Constant(0.0), "epochs": 0.0},
    ),
    UserSchedule: ScheduleCase(
        schedules=(UserSchedule(halving),),
        formula=lambda s, t: s.function(int(t.epoch), t.step),
        unnamed="what a function given as learning_rate becomes",
        refused={"function": None},
    ),
}
