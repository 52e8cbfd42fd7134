"""Which run is first, by what would be so again; and what to try of those that diverged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.comparing.comparison import Arrival, Comparison
    from gradstep.comparing.runs import Run

__all__ = ["Another", "first_of", "others_to_try", "tied"]

# Another measurement of the same run differs by so much: by a share of it where runs are long,
# and where they are short by what a busy machine, or a cold cache, costs.
_NOISE_SHARE, _NOISE_SECONDS = 0.25, 0.1
_SMALLER = 10.0  # of a rate, where no bound tells that it was too large


def tied(seconds: float, others: float) -> bool:
    """Tell whether two runs were measured too alike to say which is sooner.

    Examples
    --------
    >>> tied(0.001, 0.05), tied(1.0, 1.2), tied(1.0, 1.4)
    (True, True, False)
    """
    apart = max(_NOISE_SECONDS, _NOISE_SHARE * min(seconds, others))
    return abs(seconds - others) <= apart


def first_of(arrived: Sequence[tuple[Run, Arrival]]) -> tuple[Run, Arrival]:
    """Return which run came within 1 % first: of those as quick as can be told, by rows read.

    Parameters
    ----------
    arrived : sequence of (Run, Arrival)
        Of which the first listed wins where rows are as many.
    """
    least = min(there.seconds for _, there in arrived)
    quick = [each for each in arrived if tied(each[1].seconds, least)]
    return min(quick, key=lambda each: each[1].rows)


class Another(NamedTuple):
    """What to try of a batch size that diverged at every rate that it was given.

    Attributes
    ----------
    run : Run
        That with its smallest rate.
    rate : float
        A smaller one.
    """

    run: Run
    rate: float


def others_to_try(of: Comparison) -> list[Another]:
    """Return smaller rates for batch sizes that only diverged: it may be the rate alone."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in of.runs:
        if run.trial is not None:
            key = (run.trial.batch_size, run.trial.optimizer, run.trial.shuffle)
            groups.setdefault(tuple(map(repr, key)), []).append(run)
    found = []
    for runs in groups.values():
        known = [(_rate(run), run) for run in runs if run.diverged is not None and _rate(run)]
        if len(known) == len(runs):
            rate, run = min(known, key=lambda each: each[0])
            most = run.diverged.most if run.diverged is not None else None
            smaller = rate / _SMALLER
            if most is not None and 0.0 < most < rate:  # not NaN
                smaller = 0.5 * most
            found.append(Another(run, _one_digit(smaller)))
    return found


def _rate(run: Run) -> float:
    rate: Any = getattr(run.problem.schedule, "eta0", None)
    return 0.0 if rate is None else float(rate)


def _one_digit(rate: float) -> float:
    """Return a rate with one digit, at most as large.

    Examples
    --------
    >>> _one_digit(0.0196), _one_digit(5.0)
    (0.01, 5.0)
    """
    size = 10.0 ** math.floor(math.log10(rate))
    return float(f"{math.floor(rate / size + 1e-9) * size:.1g}")
