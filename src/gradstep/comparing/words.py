"""What a comparison says: its table, and sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.comparing.ranking import first_of, others_to_try, tied
from gradstep.figures import count, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.comparing.comparison import Arrival, Comparison
    from gradstep.comparing.runs import Divergence, Run

__all__ = [
    "AUTOMATIC",
    "HEAD",
    "as_text",
    "cells",
    "diverged",
    "noise_in_words",
    "recommendation",
    "rows_in_words",
    "sentences",
    "to_try",
]

AUTOMATIC = "automatic"
HEAD = (
    "run", "rate", "epochs", "steps", "seconds", "{loss}", "held out", "above optimum", "within 1 %"
)  # fmt: skip
_MOST_PERCENT, _LEAST = 10.0, 1e-9


def cells(of: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return the table of runs as text: its head, and a row for each run."""
    with_held_out = bool(of.about.get("held_out"))
    head = [
        of.loss_name if name == "{loss}" else name
        for name in HEAD
        if with_held_out or name != "held out"
    ]
    best = of.best
    rows = []
    for run in (*of.runs, of.automatic):
        curve = run.curve
        row = [
            f"{run.name} *" if run is best else run.name,
            _rate_of(run),
            f"{curve.epochs:,}",
            f"{curve.steps:,}" if curve.steps else "–",
            seconds_in_short(curve.seconds[-1]),
        ]
        row += _ending(of, run, with_held_out=with_held_out)
        rows.append(row)
    return head, rows


def _rate_of(run: Run) -> str:
    """Return the learning rate of a run; of a schedule the one that it is given."""
    rate = getattr(run.problem.schedule, "eta0", None)
    return "–" if run.trial is None or rate is None else number(rate, 2)


def _ending(of: Comparison, run: Run, *, with_held_out: bool) -> list[str]:
    """Return how a run ended: loss, held-out loss, above the optimum, when it came near."""
    curve = run.curve
    if run.diverged is not None:
        return ["–"] * (2 + with_held_out) + [f"diverged, epoch {run.diverged.epoch}"]
    held_out = curve.held_out[-1]
    own = [number(of.unit * curve.loss[-1])]
    if with_held_out:
        own.append("–" if held_out is None else number(of.unit * held_out))
    there = of.arrival(run)
    when = "no"
    if there is not None:
        when = f"epoch {there.epoch}, {seconds_in_short(there.seconds)} s"
    if run.interrupted:
        when = "interrupted" if there is None else f"{when}; interrupted"
    return [*own, above_in_words(of, run), when]


def above_in_words(of: Comparison, run: Run) -> str:
    """Return how far a run ended above the optimum: in percent, or as a multiple of it."""
    excess, optimum = of.excess(run)[-1], of.optimum
    if not optimum > _LEAST * of.start:
        return number(of.unit * excess, 2)
    share = excess / optimum
    if share < 1e-7:
        return "0 %"
    return f"{number(100.0 * share, 2)} %" if share < _MOST_PERCENT else f"×{number(1 + share, 2)}"


def seconds_in_short(seconds: float) -> str:
    """Return seconds with two digits.

    Examples
    --------
    >>> [seconds_in_short(each) for each in (0.00123, 0.5, 12.34, 3600.0)]
    ['0.0012', '0.5', '12', '3,600']
    """
    return number(seconds, 2)


def sentences(of: Comparison) -> list[str]:
    """Return what the table means."""
    found = []
    arrived = [(run, there) for run in of.runs if (there := of.arrival(run)) is not None]
    n = len([run for run in of.runs if run.diverged is None])
    if arrived:
        found.append(_first_in_words(arrived))
        late = [run.name for run in of.runs if run.diverged is None and of.arrival(run) is None]
        if late:
            found.append(f"Not within 1 % of it by the end: {'; '.join(late)}.")
    elif n:
        found.append(
            "No run comes within 1 % of the optimum: they need more epochs (max_iter), or, where "
            "a curve has become level, a smaller rate or one that decays."
        )
    best = of.best
    if best is not None and n > 1:
        found.append(f"{_capital(best.name)} ends lowest (*).")
    there = of.arrival(of.automatic)
    if there is not None:
        found.append(
            f"The automatic method is within 1 % in epoch {there.epoch} ({_passes(of, there)} over "
            f"the rows), in {seconds_in_short(there.seconds)} s, and needs no batch size and no "
            "rate."
        )
    if of.interrupted:
        found.append("It was interrupted: this is what there was until then.")
    return found


def _first_in_words(arrived: Sequence[tuple[Run, Arrival]]) -> str:
    """Return which runs came near in fewest epochs, and which first, where seconds tell."""
    if len(arrived) == 1:
        run, there = arrived[0]
        return f"{_capital(run.name)} comes within 1 % of the optimum, in epoch {there.epoch}."
    least = min(there.epoch for _, there in arrived)
    fewest = [run for run, there in arrived if there.epoch == least]
    first, there = first_of(arrived)
    names = "; ".join(run.name for run in fewest)
    found = (
        f"{_capital(names)} {'comes' if len(fewest) == 1 else 'come'} within 1 % of the optimum in "
        f"fewest epochs ({least})"
    )
    others = [each.seconds for run, each in arrived if run is not first]
    if any(tied(there.seconds, seconds) for seconds in others):
        return f"{found}; in seconds no run is clearly the first."
    if first in fewest:
        return f"{found}, and first in seconds ({seconds_in_short(there.seconds)})."
    return f"{found}; {first.name} is there first in seconds ({seconds_in_short(there.seconds)})."


def _passes(of: Comparison, there: Arrival) -> str:
    passes = there.rows / of.about["rows"]
    return f"{number(passes, 2)} {'pass' if passes == 1.0 else 'passes'}"


def recommendation(of: Comparison) -> str:
    """Return what to take: what is within 1 % of the optimum first, as far as that can be told."""
    automatic = of.arrival(of.automatic)
    if of.interrupted or automatic is None:
        return ""
    arrived = [(run, there) for run in of.runs if (there := of.arrival(run)) is not None]
    run, there = first_of([(of.automatic, automatic), *arrived])
    if run is of.automatic:
        alike = any(tied(each.seconds, automatic.seconds) for _, each in arrived)
        told = "as quick is there after fewer rows" if alike else "is there sooner"
        return f"Take the automatic method, which is the default: no run {told}."
    if tied(there.seconds, automatic.seconds):
        return (
            f"Take {run.name}, which is there after {_passes(of, there)} over the rows; or the "
            f"automatic method, which is the default and there after {_passes(of, automatic)}, "
            "with nothing to choose. Their seconds are too few to tell which is sooner."
        )
    return (
        f"Take {run.name}, which is among the first; or the automatic method, which is the default "
        f"and there {seconds_in_short(automatic.seconds - there.seconds)} s later, with nothing to "
        "choose."
    )


def to_try(of: Comparison, *, spelled: bool = True) -> str:
    """Return which smaller rates to try of what only diverged; spelled as arguments."""
    found = []
    for run, rate in others_to_try(of):
        assert run.trial is not None  # noqa: S101
        size, optimizer = run.trial.batch_size, run.trial.optimizer
        if not spelled:
            found.append(f"{run.name} at {number(rate)}")
            continue
        others = "" if optimizer == "sgd" else f", optimizer={optimizer!r}"
        shuffle = run.trial.shuffle
        if isinstance(shuffle, str) and shuffle != "exact":
            others += f", shuffle={shuffle!r}"
        found.append(f"batch_size={size!r}, learning_rate={rate:g}{others}")
    if not found:
        return ""
    return f"At a smaller rate what diverged may do well; try the same with {'; '.join(found)}."


def diverged(runs: Sequence[Run]) -> list[str]:
    """Return where and why runs diverged, those with one reason together."""
    by_reason: dict[str, list[tuple[str, Divergence]]] = {}
    for run in runs:
        if run.diverged is not None:
            by_reason.setdefault(run.diverged.why, []).append((run.name, run.diverged))
    found = []
    for why, group in by_reason.items():
        what = group[0][1].what
        if len(group) > 1:
            what = f"diverged (in epochs {', '.join(str(each.epoch) for _, each in group)})."
        names = "; ".join(name for name, _ in group)
        found.append(f"{_capital(names)} {what} {why}".rstrip())
    return found


def noise_in_words(of: Comparison) -> str:
    """Return what the noise of gradients says about the size of a batch; nothing if unknown."""
    if not of.noise:
        return ""
    start, near = of.noise["start"].scale, of.noise["near"].scale
    n = of.about["rows"]

    first, last = rows_in_words(start, n), rows_in_words(near, n)
    if near < 1.0:
        return (
            "Even near the optimum the gradient of one row has less noise than length: a batch of "
            "more rows costs more for each step, and makes it hardly better."
        )
    return (
        f"The gradient of a batch has as much noise as length at {first} at the start, and at "
        f"{last} within 1 % of the optimum: batches far above that read rows that tell little new, "
        "and batches far below it step mostly along noise, so that they need a smaller rate in the "
        "end."
    )


def rows_in_words(scale: float, n: int) -> str:
    """Return a number of rows of n, if it is one of them.

    Examples
    --------
    >>> [rows_in_words(scale, 1000) for scale in (0.2, 1.0, 30.4, 5e4)]
    ['less than one row', '1 row', '30 rows', 'more rows than there are']
    """
    if scale < 1.0:
        return "less than one row"
    return "more rows than there are" if scale > n else count(round(scale), "row", "rows")


def as_text(of: Comparison) -> str:
    """Return the table and its sentences, without a terminal's markup."""
    head, rows = cells(of)
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        first, *others = zip(row, widths, strict=True)
        return "  ".join(
            [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        ).rstrip()

    told = [
        *sentences(of), *diverged(of.runs), to_try(of), noise_in_words(of), recommendation(of),
    ]  # fmt: skip
    return "\n".join([line(head), *map(line, rows), *filter(None, told)])


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
