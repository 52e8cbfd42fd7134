"""What is recorded of a run: each epoch, and how the run ended."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from gradstep.diagnostics.diagnostic import Note, notes_of
from gradstep.figures import number

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Epoch", "EpochRecord", "Outcome", "above_least", "joined"]

_BETWEEN = "; "  # notes of an epoch; none has it in its text


def joined(*notes: str) -> str:
    """Return notes of an epoch as one text."""
    return _BETWEEN.join(filter(None, notes))


class Epoch(NamedTuple):
    """What a method reports of an epoch.

    Attributes
    ----------
    loss : float
        The objective, as `EpochRecord.loss` has it.
    learning_rate : float
        Of the last step.
    rows : int
        Rows read.
    passes, optimality, excess, note, step
        As in `EpochRecord`.
    """

    loss: float
    learning_rate: float
    rows: int
    passes: float | None = None
    optimality: float | None = None
    excess: float | None = None
    note: str = ""
    step: str = ""


class EpochRecord(NamedTuple):
    """What is known at the end of an epoch.

    Attributes
    ----------
    epoch : int
        Number of the epoch, from 1.
    loss : float
        The running objective: the mean over rows of the loss just before the step that used the
        row, plus the penalty at the end of the epoch. For the automatic method, the least objective
        so far.
    validation : float or None
        The validation score, if there are validation rows.
    learning_rate : float
        The rate of the epoch's last step; for the automatic method, what the step was
        multiplied by.
    rows_per_second, seconds : float
        Speed, and time since the start of the epoch; validation not included.
    passes : float or None
        Rows read since the run began, divided by the number of rows; a row that is read twice
        counts twice. None if every epoch is a pass.
    optimality : float or None
        Length of the next (proximal) step, relative to the first step's, measured with the
        preconditioner (`gradstep.engine.automatic.optimality`); None if there is none.
    excess : float or None
        How far the objective is above its minimum, if that is known.
    note : str
        What a person should know of the epoch: `notes`, as one text.
    step : str
        What kind of steps the automatic method took, and in the first epoch, which rule chose them.
    """

    epoch: int
    loss: float
    validation: float | None
    learning_rate: float
    rows_per_second: float
    seconds: float
    passes: float | None = None
    optimality: float | None = None
    excess: float | None = None
    note: str = ""
    step: str = ""

    @property
    def notes(self) -> list[Note]:
        """What a person should know of the epoch: a rejected step, constant columns."""
        return notes_of(self.note.split(_BETWEEN) if self.note else ())

    @classmethod
    def of(cls, number: int, epoch: Epoch, score: float | None, seconds: float) -> Self:
        """Return the record of an epoch that took so long."""
        return cls(
            number, epoch.loss, score, epoch.learning_rate, epoch.rows / max(seconds, 1e-9),
            seconds, epoch.passes, epoch.optimality, epoch.excess, epoch.note, epoch.step,
        )  # fmt: skip

    @classmethod
    def of_json(cls, values: Sequence[Any]) -> Self:
        """Return the record whose values these are, if they are of its types.

        Raises
        ------
        TypeError
            If they are not.
        """
        record = cls(*values)
        for name, value in record._asdict().items():
            kinds: tuple[type, ...] = (float, int)
            if name in {"note", "step"}:
                kinds = (str,)
            elif name in {"validation", "passes", "optimality", "excess"}:
                kinds = (float, int, type(None))
            if not isinstance(value, kinds) or isinstance(value, bool):
                msg = f"{name} of an epoch is {value!r:.60}"
                raise TypeError(msg)
        return record


class Outcome(Enum):
    """How a run ended; the value is a sentence that says so."""

    OPTIMAL = "The optimum was reached: the gradient step became shorter than tol of the first."
    ROUNDING = "The optimum was reached as closely as floating-point numbers allow."
    STALLED = (
        "The objective stopped falling, perhaps short of the optimum: coordinate descent did not "
        "come to the end of the next step."
    )
    CONVERGED = (
        "The training objective stopped improving: by less than tol in n_iter_no_change epochs."
    )
    VALIDATION = (
        "The validation score stopped improving: by less than tol in n_iter_no_change epochs."
    )
    MAX_EPOCHS = "All epochs were run: max_iter of them."
    CALLBACK = "A callback asked to stop."
    INTERRUPTED = "The run was interrupted; the model is the best so far."
    PAUSED = "The number of batches or epochs asked for was run."

    @property
    def sentence(self) -> str:
        """The sentence."""
        return self.value

    @property
    def in_short(self) -> str:
        """The sentence up to its colon: without the parameters that decided."""
        return self.value.partition(":")[0].rstrip(".") + "."


def above_least(loss: float, excess: float) -> str:
    """Return in words where the objective is, if it is so much above its least value.

    Examples
    --------
    >>> above_least(2.0, 0.0), above_least(2.0, 0.0005)
    ('its least value, to rounding', '0.00025 of its value above the least')
    """
    share = excess / abs(loss) if loss else 0.0
    if share < 1e-12:
        return "its least value, to rounding"
    return f"{number(share, 2)} of its value above the least"
