"""Callbacks: what happens beside training, once an epoch.

A callback is any object with one or more of

- ``on_start(start)``: before the first epoch, given a `Start`;
- ``on_epoch_end(event)``: after each epoch, given an `EpochEnd`; a true value ends the run;
- ``on_pause(pause)``: where a run could end and go on later to the same bits, given a `Pause`:
  after each epoch, and with mini-batches within one, about every half second; a true value ends it;
- ``on_end(end)``: after the last epoch, given an `End`; also when the run fails, with the error.

A callback that keeps something resets it in `on_start`, so that it can serve many fits. If a result
depends on what it keeps, it has ``state()``, which returns that in types of JSON, and
``restore(state)``, which is called after `on_start` if a run goes on from a `Checkpoint`.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TextIO, runtime_checkable

from gradstep.checks import check_choice, check_number
from gradstep.engine.records import EpochRecord, Outcome
from gradstep.errors import InvalidComponent, InvalidParameter
from gradstep.progress import Bar, in_short

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.engine.state import Problem, TrainState
    from gradstep.rows.dataset import Dataset

__all__ = [
    "Callback",
    "EarlyStopping",
    "End",
    "EpochEnd",
    "History",
    "Pause",
    "ProgressBar",
    "Start",
]

_HOOKS = ("on_start", "on_epoch_end", "on_pause", "on_end")


@dataclass(frozen=True)
class Start:
    """What is known before the first epoch: the problem, the data, and where it starts."""

    problem: Problem
    data: Dataset
    state: TrainState


@dataclass(frozen=True)
class EpochEnd:
    """What is known after an epoch.

    Attributes
    ----------
    record : EpochRecord
        Loss, validation, learning rate and speed.
    problem : Problem
        What is fixed.
    data : Dataset
        The training rows.
    state : TrainState
        What has evolved; to be read, not changed.
    """

    record: EpochRecord
    problem: Problem
    data: Dataset
    state: TrainState

    @property
    def params(self) -> NDArray[np.float64]:
        """The model's parameters now: weights of each output, then intercepts."""
        return self.state.current()

    @cached_property
    def full_loss(self) -> float:
        """Mean loss of all rows at these parameters, without penalty: one pass over the data."""
        from gradstep.engine.evaluation import mean_loss

        return mean_loss(self.problem.loss, self.data, self.params, self.problem.n_outputs)

    @property
    def full_objective(self) -> float:
        """`full_loss` plus the penalty."""
        return self.full_loss + self.problem.penalty_of(self.params)


@dataclass(frozen=True)
class Pause:
    """Where a run could end, and go on later to the same bits.

    Attributes
    ----------
    problem, data, state
        As of `EpochEnd`.
    outcome : Outcome or None
        How the run ends here, if it does.
    show : callable
        The method's `show`, which `params` calls.
    """

    problem: Problem
    data: Dataset
    state: TrainState
    outcome: Outcome | None
    show: Callable[[Any], None]

    @property
    def params(self) -> NDArray[np.float64]:
        """The model's parameters now; lazy steps of idle features are made up for first."""
        self.show(self.state)
        return self.state.current()


@dataclass(frozen=True)
class End:
    """How a run ended.

    Attributes
    ----------
    outcome : Outcome or None
        How, or None if it failed.
    error : BaseException or None
        Why it failed.
    epochs : int
        Epochs done.
    seconds : float
        Duration of the run.
    """

    outcome: Outcome | None
    error: BaseException | None
    epochs: int
    seconds: float


@runtime_checkable
class Callback(Protocol):
    """A callback with the usual hooks; one hook is enough."""

    def on_start(self, start: Start) -> None:
        """Take note that a run starts."""

    def on_epoch_end(self, event: EpochEnd) -> bool | None:
        """Take note that an epoch has ended; return True to end the run."""

    def on_end(self, end: End) -> None:
        """Take note that the run has ended."""


class Callbacks:
    """Several callbacks as one."""

    def __init__(self, callbacks: Sequence[Any]) -> None:
        for callback in callbacks:
            if isinstance(callback, type) or not any(hasattr(callback, hook) for hook in _HOOKS):
                msg = (
                    f"callbacks must be objects with one or more of the methods "
                    f"{', '.join(_HOOKS)}; {callback!r} has none"
                    + (" (it is a class: make an instance)." if isinstance(callback, type) else ".")
                )
                raise InvalidComponent(msg)
        self._callbacks = callbacks
        self._at_epoch_ends = [c for c in callbacks if hasattr(c, "on_epoch_end")]
        self._at_pauses = [c for c in callbacks if hasattr(c, "on_pause")]
        self._started: list[Any] = []

    def on_start(self, start: Start) -> None:
        """Call all."""
        for callback in self._callbacks:
            if hasattr(callback, "on_start"):
                callback.on_start(start)
            self._started.append(callback)

    def on_epoch_end(self, event: EpochEnd) -> bool:
        """Call all; True if one of them asks to end the run."""
        answers = [callback.on_epoch_end(event) for callback in self._at_epoch_ends]
        return any(answers)

    @property
    def pauses(self) -> bool:
        """Whether any is to be called within epochs."""
        return bool(self._at_pauses)

    def on_pause(self, pause: Pause) -> Outcome | None:
        """Call all; each sees in `outcome` whether one before it has ended the run."""
        for callback in self._at_pauses:
            answer = callback.on_pause(pause)
            if answer and pause.outcome is None:
                how = answer if isinstance(answer, Outcome) else Outcome.CALLBACK
                pause = replace(pause, outcome=how)
        return pause.outcome

    def batches_to(self, state: TrainState) -> int | None:
        """Return after how many batches a callback that counts them is next to be called."""
        asked = [c.batches_to(state) for c in self._callbacks if hasattr(c, "batches_to")]
        return min((n for n in asked if n is not None), default=None)

    def on_end(self, end: End) -> None:
        """Call all that were called at the start."""
        for callback in self._started:
            if hasattr(callback, "on_end"):
                callback.on_end(end)


class History:
    """Keeps the record of each epoch, and on request the objective after it.

    Parameters
    ----------
    full_objective : bool, default=False
        Whether to compute, at the price of one more pass over the data each epoch, the
        objective of all rows at the parameters that the epoch ended with.

    Attributes
    ----------
    records : list of EpochRecord
        One for each epoch.
    objectives : list of float
        The objective after each epoch, if asked for.

    Examples
    --------
    >>> from gradstep import MiniBatchRegressor
    >>> history = History(full_objective=True)
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> _ = MiniBatchRegressor(max_iter=3, tol=None, callbacks=[history]).fit(X, y)
    >>> len(history.records), len(history.objectives)
    (3, 3)
    """

    def __init__(self, *, full_objective: bool = False) -> None:
        self.full_objective = full_objective
        self.records: list[EpochRecord] = []
        self.objectives: list[float] = []

    def on_start(self, _start: Start) -> None:
        """Forget an earlier run."""
        self.records, self.objectives = [], []

    def on_epoch_end(self, event: EpochEnd) -> None:
        """Keep the record."""
        self.records.append(event.record)
        if self.full_objective:
            self.objectives.append(event.full_objective)

    def state(self) -> dict[str, Any]:
        """Return what is kept."""
        return {"records": [list(each) for each in self.records], "objectives": self.objectives}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Keep what was kept when a run was written down."""
        self.records = [EpochRecord.of_json(each) for each in state["records"]]
        self.objectives = [float(each) for each in state["objectives"]]


class EarlyStopping:
    """Ends a run when a number of the record has stopped improving.

    It can watch any of them; the estimators' ``tol``, ``n_iter_no_change`` and ``early_stopping``
    watch the running loss or the validation score.

    Parameters
    ----------
    monitor : {"loss", "validation", "full_objective"}, default="loss"
        What to watch. Lower is better for the loss and the objective, higher for the score.
    min_delta : float, default=0.0
        Smallest change that counts as an improvement.
    patience : int, default=5
        Epochs in a row without improvement after which the run ends.
    target : float, optional
        A value that ends the run as soon as it is reached.
    """

    def __init__(
        self,
        monitor: str = "loss",
        *,
        min_delta: float = 0.0,
        patience: int = 5,
        target: float | None = None,
    ) -> None:
        owner = type(self).__name__
        check_choice(owner, "monitor", monitor, ("loss", "validation", "full_objective"))
        check_number(owner, "patience", patience, low=1, whole=True)
        check_number(owner, "min_delta", min_delta, low=0.0)
        if target is not None:
            check_number(owner, "target", target)
        self.monitor = monitor
        self.min_delta = min_delta
        self.patience = patience
        self.target = target
        self._best = math.inf
        self._waited = 0

    def on_start(self, _start: Start) -> None:
        """Start afresh."""
        self._best, self._waited = math.inf, 0

    def on_epoch_end(self, event: EpochEnd) -> bool:
        """Return whether to stop."""
        if self.monitor == "full_objective":
            number: float | None = event.full_objective
        else:
            number = getattr(event.record, self.monitor)
        if number is None:
            msg = (
                "EarlyStopping(monitor='validation') needs validation rows: "
                "pass X_val and y_val to fit, or set early_stopping=True."
            )
            raise InvalidParameter(msg)
        sign = -1.0 if self.monitor == "validation" else 1.0
        cost = sign * number
        if self.target is not None and cost <= sign * self.target:
            return True
        self._waited = 0 if cost < self._best - self.min_delta else self._waited + 1
        self._best = min(self._best, cost)
        return self._waited >= self.patience

    def state(self) -> dict[str, float]:
        """Return what decides when to stop."""
        return {"best": self._best, "waited": self._waited}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was kept."""
        self._best, self._waited = float(state["best"]), int(state["waited"])


class ProgressBar:
    """Shows the progress of a run: a bar on a terminal, plain lines elsewhere.

    Parameters
    ----------
    stream : text stream, optional
        Where to; stderr by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream
        self._bar: Any = None
        self._max_epochs = 0
        self._last_line = -math.inf

    def __getstate__(self) -> dict[str, Any]:
        """Leave an open bar and a stream out of pickles and copies."""
        return {**vars(self), "stream": None, "_bar": None}

    def on_start(self, start: Start) -> None:
        """Open the bar."""
        self._max_epochs = start.problem.max_epochs
        self._last_line = -math.inf
        stream = self.stream or sys.stderr
        if not stream.isatty():
            return
        self._bar = Bar(stream, lasting=True)
        self._bar.show(f"epoch {start.state.epoch}/{self._max_epochs}", "", start.state.epoch,
                       self._max_epochs)  # fmt: skip

    def on_epoch_end(self, event: EpochEnd) -> None:
        """Move the bar, or print a line: each epoch, but no more than one a second."""
        record = event.record
        text = f"loss {record.loss:.6g}"
        if record.validation is not None:
            text += f"  validation {record.validation:.4f}"
        where = f"epoch {record.epoch}/{self._max_epochs}"
        if self._bar is not None:
            self._bar.show(where, text, record.epoch, self._max_epochs)
            return
        now = time.monotonic()
        if now - self._last_line >= 1.0 or record.epoch == self._max_epochs:
            self._last_line = now
            self._print(f"{where}  {text}  {in_short(record.rows_per_second)} rows/s")

    def on_end(self, end: End) -> None:
        """Close the bar and say how the run ended."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if end.outcome is not None:
            self._print(f"{end.epochs} epochs in {end.seconds:.2f} s: {end.outcome.sentence}")

    def _print(self, line: str) -> None:
        print(line, file=self.stream or sys.stderr, flush=True)
