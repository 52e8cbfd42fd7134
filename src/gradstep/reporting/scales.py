"""Scales: where a number lies on an axis, from 0 to 1, and the round numbers along it.

Steps between round numbers are 1, 2 or 5 times a power of ten (Heckbert, "Nice numbers for graph
labels", Graphics Gems, 1990); of dates, days, months or years.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from gradstep.figures import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Dates", "Factors", "Linear", "Log", "Scale", "Tick", "round_numbers"]

Tick = tuple[float, str]
_WRITTEN_OUT = 7  # digits before the point
_MOST_PLACES = 9
_MOST = 1e300


class Scale(Protocol):
    """An axis."""

    @property
    def low(self) -> float:
        """The low end."""

    @property
    def high(self) -> float:
        """The high end."""

    def at(self, value: float) -> float:
        """Return where a number lies: 0 at the low end, 1 at the high one."""

    def ticks(self, about: int) -> list[Tick]:
        """Return some round numbers within, and what is written there."""


def round_numbers(low: float, high: float, about: int) -> list[float]:
    """Return round numbers within two others: as near to so many as there are, and not many more.

    Examples
    --------
    >>> round_numbers(0.3, 9.7, 5)
    [2.0, 4.0, 6.0, 8.0]
    """
    rough = (high - low) / max(about, 1)
    if not 1e-300 < rough < _MOST:
        return [low]
    first = math.floor(math.log10(rough))
    steps = [(factor, first + more) for more in (0, 1) for factor in (1, 2, 5)]
    each = [_multiples(low, high, *step) for step in steps]
    return min(
        (few for few in each if len(few) <= about + 1), key=lambda few: abs(len(few) - about)
    )


def _multiples(low: float, high: float, factor: int, exponent: int) -> list[float]:
    """Return the multiples of factor·10^exponent within two numbers."""
    step = factor * 10.0**exponent
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if exponent < 0:  # to divide gives the number that is written so
        return [factor * i / 10.0**-exponent for i in range(first, last + 1)]
    return [factor * i * 10.0**exponent for i in range(first, last + 1)]


def _written(values: Sequence[float]) -> list[str]:
    """Return numbers, all with as many digits after the point."""
    largest = max(map(abs, values), default=0.0)
    least = min((abs(b - a) for a, b in pairwise(values)), default=largest)
    if not least:
        return [number(value) for value in values]
    places = max(0, -math.floor(math.log10(least) + 1e-9))
    if largest >= 10.0**_WRITTEN_OUT or largest < 10.0**-4 or places > _MOST_PLACES:
        digits = max(1, math.floor(math.log10(largest)) - math.floor(math.log10(least) + 1e-9))
        each = [f"{value:.{min(digits, 15)}e}".split("e") for value in values]
        return [_plain(head, int(power)) for head, power in each]
    return [f"{value if abs(value) > 1e-3 * least else 0.0:,.{places}f}" for value in values]


def _plain(head: str, power: int) -> str:
    """Return a number with an exponent, without what says nothing."""
    head = head.rstrip("0").rstrip(".") if "." in head else head
    return "0" if head in {"0", "-0"} else f"{head}e{power}"


@dataclass(frozen=True)
class Linear:
    """As far apart as numbers are."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float], *more: float, pad: float = 0.03) -> Self:
        """Return one that holds all finite numbers, with a little room beyond."""
        kept = [value for value in (*values, *more) if math.isfinite(value) and abs(value) < _MOST]
        low, high = min(kept, default=0.0), max(kept, default=1.0)
        if not high - low > 1e-12 * max(abs(low), abs(high)):
            room = abs(low) * 0.1 or 1.0
            return cls(low - room, high + room)
        room = pad * (high - low)
        return cls(low - room, high + room)

    def at(self, value: float) -> float:
        """Return where a number lies."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self, about: int) -> list[Tick]:
        """Return round numbers."""
        values = round_numbers(self.low, self.high, about)
        return list(zip(values, _written(values), strict=True))


class Factors(Linear):
    """Of logarithms of factors, which are what is written: half as much, once, twice."""

    def ticks(self, about: int) -> list[Tick]:
        """Return round factors."""
        span = self.high - self.low
        if span < 2.0:  # of less than seven times, numbers as they are
            low, high = math.exp(max(self.low, -30.0)), math.exp(min(self.high, 30.0))
            values = [v for v in round_numbers(low, high, about) if v > 0.0]
        else:
            low, high = math.exp(max(self.low, -300.0)), math.exp(min(self.high, 300.0))
            return [(math.log(v), f"×{label}") for v, label in Log(low, high).ticks(about)]
        return [(math.log(v), f"×{text}") for v, text in zip(values, _written(values), strict=True)]


@dataclass(frozen=True)
class Log:
    """As far apart as logarithms are."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Log:
        """Return one that holds all numbers above 0."""
        kept = [value for value in values if 0.0 < value < _MOST]
        low, high = min(kept, default=1.0), max(kept, default=10.0)
        low, high = (low / 3.0, high * 3.0) if high < 1.2 * low else (low / 1.2, high * 1.2)
        return cls(low, high)

    def at(self, value: float) -> float:
        """Return where a number lies."""
        low = math.log10(self.low)
        return (math.log10(value) - low) / (math.log10(self.high) - low)

    def ticks(self, about: int) -> list[Tick]:
        """Return powers of ten; where they are few, two and five times them, too."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        every = max(1, -(-(last - first) // max(about, 1)))
        for factors in ((1, 2, 5), (1, 3), (1,)) if every == 1 else ((1,),):
            values = [
                factor * 10.0**power
                for power in range(first, last + 1, every)
                for factor in factors
                if self.low <= factor * 10.0**power <= self.high
            ]
            if len(values) <= about + 1:
                break
        return [(value, number(value).replace("e-0", "e-")) for value in values]


@dataclass(frozen=True)
class Dates(Linear):
    """Of days since 1970."""

    def ticks(self, about: int) -> list[Tick]:
        """Return the first days of months or years, or days."""
        for months in (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200):
            found = self._firsts(months) if self.high - self.low > 29.0 * about else []
            if found and len(found) <= about + 1:
                return found
        days = sorted({float(round(day)) for day in round_numbers(self.low, self.high, about)})
        return [(day, str(np.datetime64(int(day), "D"))) for day in days if abs(day) < 1e9]

    def _firsts(self, months: int) -> list[Tick]:
        if max(abs(self.low), abs(self.high)) > 3e6 or (self.high - self.low) / months > 4e4:
            return []
        start = np.datetime64(math.ceil(self.low), "D").astype("datetime64[M]").astype(int)
        start = -(-int(start) // months) * months
        found: list[Tick] = []
        for month in range(start, start + 100 * months, months):
            first = np.datetime64(month, "M")
            day = float(first.astype("datetime64[D]").astype(int))
            if day > self.high:
                break
            if day >= self.low:
                found.append((day, str(first) if months < 12 else str(first)[:-3]))
        return found
