"""`Checkpoint`: a run is saved now and then, and can go on from there, whatever ended it.

A fit is one run, or several one after another (when alpha is chosen, there is one per trial). A
checkpoint has the state of the present run, the results of those before, what callbacks keep, and
what a resumed fit is recognised by: the parameters, by name and text, and digests of the data.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gradstep.diagnostics.of_machines import CHECKPOINT_NOT_WRITTEN
from gradstep.engine.checkpoint_folder import CheckpointFolder, Content, EndedRun
from gradstep.engine.records import Outcome
from gradstep.errors import (
    CannotWrite,
    CheckpointWarning,
    Diverged,
    InvalidCheckpoint,
    InvalidParameter,
)
from gradstep.files import refuse_address
from gradstep.tensor_file import MISSTATED
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gradstep.engine.callbacks import Pause, Start
    from gradstep.engine.state import TrainState

__all__ = ["Checkpoint", "interval_of"]

_EVERY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)")
_SECONDS = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0}
# What `prepare` keeps by other names than it has been given them by.
_GIVEN_AS = {"weight": "sample_weight", "time": "time_column", "seed": "random_state",
             "log_power": "loss", "chosen_for": "loss"}  # fmt: skip
_COUNTS = {"step": "steps", "steps": "steps", "epoch": "epochs", "epochs": "epochs"}


def interval_of(every: Any, given: str) -> tuple[str, float]:
    """Return what is counted, and how much of it; `given` is how it was asked for."""
    found = _EVERY.fullmatch(every.strip().lower()) if isinstance(every, str) else None
    if found is not None and float(found[1]) > 0.0:
        if found[2] in _SECONDS:
            return "seconds", float(found[1]) * _SECONDS[found[2]]
        if found[2] in _COUNTS and float(found[1]).is_integer():
            return _COUNTS[found[2]], float(found[1])
    msg = (
        f"{given} must be a time, a number of epochs or a number of steps: "
        "'5min', '30s', '1h', '10epochs', '1000steps'."
    )
    raise InvalidParameter(msg)


class Checkpoint:
    """Saves a run now and then, so that another can go on from there to the same bits.

    Parameters
    ----------
    path : str or path
        A folder for the run's checkpoints, of which the last two are kept.
    every : str, default="5min"
        How often: '30s', '5min', '1h', '10epochs', '1000steps'. With mini-batches this may be
        within an epoch. The automatic method is saved only after epochs; it counts no steps, so
        with '1000steps' it is saved after each epoch.
    resume : bool, default=False
        Whether to go on with the unfinished run whose checkpoint is in the folder. If there is
        none, the run begins as usual, so this can always be given. A run that has ended is not
        repeated.

    Attributes
    ----------
    went_on : str
        Where the last run went on from, in words; empty if it began anew.

    Raises
    ------
    InvalidCheckpoint
        By a fit: if the folder has an unfinished run and `resume` is not given, so that no run is
        lost by mistake; if that run has other data or parameters, or is of another version; or if
        none of the files can be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from gradstep import MiniBatchRegressor
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> with TemporaryDirectory() as folder:
    ...     nightly = Checkpoint(folder, every="30s", resume=True)
    ...     model = MiniBatchRegressor(callbacks=[nightly]).fit(X, y)
    >>> nightly.went_on
    ''
    """

    def __init__(self, path: str | Path, every: str = "5min", *, resume: bool = False) -> None:
        self._counted, self._interval = interval_of(every, f"every={every!r} of Checkpoint")
        refuse_address(path)
        self.path = Path(path)
        self.every = every
        self.resume = resume
        self.went_on = ""
        # How the front that is used calls a parameter, and `resume`.
        self._words: Callable[[str], str] = _in_python
        self._resume_word = "resume=True"
        self._clear()

    def speaking(self, words: Callable[[str], str], resume: str) -> Self:
        """Let messages use a front's words.

        Parameters
        ----------
        words : callable
            Returns what a parameter is called there.
        resume : str
            How to ask for `resume`.
        """
        self._words, self._resume_word = words, resume
        return self

    def _clear(self) -> None:
        """Forget a fit."""
        self._asked: dict[str, str] = {}
        self._seed = 0
        self._found: Content | None = None  # what the fit goes on from
        self._latest: Path | None = None  # the file that holds it, or has been written since
        self._run = -1
        self._ended: list[EndedRun] = []
        self._others: list[Any] = []
        self._restored = True
        self._last: TrainState | None = None
        self._outcome: Outcome | None = None
        self._since: tuple[float, int, int] = (0.0, 0, 0)

    # ------------------------------------------------------------------ a fit

    def refuse_unfinished(self) -> None:
        """Refuse to begin in the folder of an unfinished run, before any work is done."""
        if not self.resume:
            found = self._folder.newest()
            if found is not None and not found[1].done:
                raise InvalidCheckpoint(self._unfinished(found[1]))

    @property
    def seed(self) -> int | None:
        """The seed of the unfinished run that is to go on; None if there is none."""
        found = self._folder.newest() if self.resume else None
        return None if found is None else found[1].seed

    @contextmanager
    def opened(self, asked: Mapping[str, str], seed: int) -> Iterator[None]:
        """Serve a fit: find out what it goes on from, and note that it has ended.

        Parameters
        ----------
        asked : mapping
            Its parameters and the digests of its data, by name.
        seed : int
            Its seed.
        """
        self._clear()
        self.went_on = ""
        with self._folder.held():
            self.refuse_unfinished()
            self._asked, self._seed = dict(asked), seed
            found = self._folder.newest() if self.resume else None
            if found is not None:
                differences = self._differences(found[1])
                if not differences:
                    self._latest, self._found = found
                    self.went_on = f"{_where(found[1])} ({found[0]})"
                elif not found[1].done:
                    raise InvalidCheckpoint(self._of_another(differences))
            try:
                yield
            except Diverged:  # to go on would lead there again
                self._folder.clear()
                raise
            self._finish()

    @property
    def _folder(self) -> CheckpointFolder:
        return CheckpointFolder(self.path)

    def _finish(self) -> None:
        """Write that the fit has ended, if a checkpoint says that it has not."""
        if self._outcome is Outcome.INTERRUPTED or self._last is None or self._latest is None:
            return
        if self._found is None or not self._found.done:
            self._write(self._last, self._outcome, done=True)
        self._folder.clear(but=self._latest)  # also what a kill between the two has left

    # ------------------------------------------------------------------ a run of it

    def begin_run(self, callbacks: Sequence[Any]) -> Content | EndedRun | None:
        """Return how the next run has ended already, or where it goes on from; None if it is new.

        Parameters
        ----------
        callbacks : sequence of Callback
            Those of the run, some of which may have a state.
        """
        self._run += 1
        self._others = [c for c in callbacks if hasattr(c, "state") and hasattr(c, "restore")]
        self._last, self._outcome = None, None
        found = self._found
        if found is None or self._run > found.run:
            return None
        if self._run < found.run:
            return found.ended[self._run]
        self._restored = False
        return found

    def skip_run(self, state: TrainState, outcome: Outcome) -> None:
        """Take note of a run that had already ended when the checkpoint was written."""
        self._restore()
        self._last, self._outcome = state, outcome

    def end_run(self, run: EndedRun) -> None:
        """Take note of the result of a run."""
        self._ended.append(run)
        self._outcome = run.outcome

    def on_start(self, start: Start) -> None:
        """Restore the callbacks' states; from now on the interval counts."""
        if not self._restored:
            self._restore()
        self._last = start.state
        self._note(start.state)

    def _restore(self) -> None:
        self._restored = True
        assert self._found is not None  # noqa: S101
        left = list(self._found.callbacks)
        for callback in self._others:
            name = type(callback).__qualname__
            at = next((i for i, each in enumerate(left) if each[0] == name), None)
            if at is None:
                continue
            try:
                callback.restore(left.pop(at)[1])
            except MISSTATED as error:
                msg = f"The checkpoint in {self.path} is damaged: {name} kept no {error}."
                raise InvalidCheckpoint(msg) from error

    def batches_to(self, state: TrainState) -> int | None:
        """Return after how many batches the next checkpoint is due, if they are counted."""
        if self._counted != "steps":
            return None
        return max(1, self._since[2] + int(self._interval) - state.steps)

    def on_pause(self, pause: Pause) -> None:
        """Write, if it is time or the run is being interrupted."""
        state, outcome = pause.state, pause.outcome
        self._last, self._outcome = state, outcome
        if outcome is Outcome.INTERRUPTED or self._is_due(state):
            self._write(state, outcome)
            self._note(state)

    def _is_due(self, state: TrainState) -> bool:
        then, epoch, steps = self._since
        if self._counted == "seconds":
            return time.monotonic() - then >= self._interval
        if self._counted == "epochs":
            return state.epoch - epoch >= self._interval
        return state.steps - steps >= self._interval or not state.steps

    def _note(self, state: TrainState) -> None:
        self._since = (time.monotonic(), state.epoch, state.steps)

    def _write(self, state: TrainState, outcome: Outcome | None, *, done: bool = False) -> None:
        """Write a checkpoint; if that fails, the run goes on without one."""
        over = outcome is not None and outcome is not Outcome.INTERRUPTED
        content = Content(
            asked=self._asked,
            seed=self._seed,
            run=self._run,
            epoch=state.epoch,
            steps=state.steps,
            outcome=outcome.name if over and outcome is not None else "",
            done=done,
            callbacks=[(type(c).__qualname__, c.state()) for c in self._others],
            ended=self._ended[: self._run],
            state=state.to_arrays(),
        )
        try:
            self._latest = self._folder.write(content, self._latest)
        except CannotWrite as error:
            CHECKPOINT_NOT_WRITTEN.warn(
                f"No checkpoint could be written: {error} Training goes on.", CheckpointWarning
            )

    def __getstate__(self) -> dict[str, Any]:
        """Leave what belongs to a fit out of pickles and copies."""
        fresh = Checkpoint(self.path, self.every, resume=self.resume)
        return {**vars(fresh), "went_on": self.went_on}

    # ------------------------------------------------------------------ words

    def _differences(self, found: Content) -> list[str]:
        """Return how the fit of a checkpoint differs from this one."""
        told = []
        if found.version != VERSION:
            told.append(f"it was written by gradstep {found.version}, and this is {VERSION}")
        for name in sorted(found.asked.keys() | self._asked.keys()):
            was, now = found.asked.get(name, "not given"), self._asked.get(name, "not given")
            if was != now:
                called = self._words(name)
                long = max(len(was), len(now)) > 60
                told.append(f"{called} differs" if long else f"{called} was {was}, and is {now}")
        return told

    def _unfinished(self, found: Content) -> str:
        return (
            f"{self.path} holds the checkpoint of a run that has not ended ({_where(found)}). "
            f"Go on with it ({self._resume_word}), or delete {self.path} to begin anew."
        )

    def _of_another(self, differences: Sequence[str]) -> str:
        return (
            f"{self.path} holds the checkpoint of another run: {'; '.join(differences)}. "
            f"Go on as that was begun, or delete {self.path} to begin anew."
        )


def _in_python(name: str) -> str:
    return _GIVEN_AS.get(name, name)


def _where(content: Content) -> str:
    """Return how far a fit was when the checkpoint was written: epochs, steps, and which run."""
    which = f" of run {content.run + 1}" if content.run else ""
    steps = f", {content.steps:,} steps" if content.steps else ""
    epochs = f"{content.epoch:,} epochs" if content.epoch != 1 else "1 epoch"
    return f"after {epochs}{which}{steps}"
