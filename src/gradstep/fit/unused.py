"""Parameters of mini-batches that were given where the automatic method takes none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradstep.diagnostics.of_fits import WITHOUT_EFFECT
from gradstep.fit.plan import is_auto
from gradstep.optim.solvers import SVRG, is_automatic
from gradstep.parameters import given

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradstep.diagnostics.diagnostic import Note
    from gradstep.engine.records import EpochRecord
    from gradstep.fit.plan import Settings

__all__ = ["notes_of_unused"]


def notes_of_unused(
    settings: Settings, optimizer: object, records: Sequence[EpochRecord]
) -> list[Note]:
    """Return a note of what was given and had no effect, if there is any.

    Parameters
    ----------
    settings : Settings
        The parameters as they were given.
    optimizer : Optimizer
        The optimizer that was used.
    records : sequence of EpochRecord
        The epochs, which say what steps were taken. Where there are several runs, as for alpha, it
        is those of the one that is judged.

    Examples
    --------
    >>> from gradstep.fit.plan import Settings
    >>> from gradstep.engine.records import EpochRecord
    >>> epoch = EpochRecord(1, 0.5, None, 1.0, 1e6, 0.1, step="a Newton step")
    >>> [
    ...     note.text.partition(":")[0]
    ...     for note in notes_of_unused(Settings(batch_size=32, last_batch="mean"), SVRG(), [epoch])
    ... ]
    ['batch_size=32 and last_batch="mean" have no effect']
    """
    if not is_automatic(optimizer) or not records:
        return []
    unused = _of_no_step(settings)
    if not _has_batches(records):
        unused = [*_of_batches(settings, optimizer), *unused]
    if not unused:
        return []
    one = len(unused) == 1
    return [
        WITHOUT_EFFECT.note(
            f"{_enumerated(unused)} {'has' if one else 'have'} no effect: the steps that the "
            f"automatic method takes here do without. Leave {'it' if one else 'them'} out, or use "
            f"{given('optimizer', 'sgd')}: gradient descent in mini-batches."
        )
    ]


def _enumerated(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _has_batches(records: Sequence[EpochRecord]) -> bool:
    from gradstep.engine.automatic.choice import StepKind  # imports Numba

    words = StepKind.VARIANCE_REDUCED.words
    return any(each.step.startswith(words) for each in records)


def _of_batches(settings: Settings, optimizer: object) -> list[str]:
    """Return what variance-reduced steps alone use."""
    found = []
    if not is_auto(settings.batch_size):
        found.append(given("batch_size", settings.batch_size))
    if settings.shuffle not in (True, "exact"):
        found.append(given("shuffle", settings.shuffle))
    if isinstance(optimizer, SVRG) and optimizer != SVRG():
        found.append(f"the share of {optimizer!r}")
    return found


def _of_no_step(settings: Settings) -> list[str]:
    """Return what no automatic step uses: batches are all of one size, and no iterate is noisy."""
    is_usual = {
        "last_batch": settings.last_batch == "scale",
        "average": not settings.average,
        "precondition": settings.precondition in (True, "auto"),
    }
    return [given(name, getattr(settings, name)) for name, usual in is_usual.items() if not usual]
