"""What a checkpoint holds, and the folder that keeps the last two of a run.

A checkpoint is one file (`gradstep.tensor_file`): all of the state, and in the header what the run
is recognised by. Each has the next number, so none ever replaces another: if a process is killed
while it writes one, that one does not exist, and the one before does. A lock keeps a second run out
of the folder; the system releases it when the process ends, however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from gradstep.diagnostics.diagnostic import notes_of
from gradstep.diagnostics.of_machines import CHECKPOINT_DAMAGED
from gradstep.engine.records import EpochRecord, Outcome
from gradstep.errors import CannotWrite, CheckpointWarning, InvalidCheckpoint
from gradstep.files import lasting_folder, sweep
from gradstep.tensor_file import MISSTATED, TensorFile
from gradstep.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from gradstep.diagnostics.diagnostic import Note

__all__ = ["MOST_RESTARTS", "CheckpointFolder", "Content", "EndedRun"]

MOST_RESTARTS = 64  # that a checkpoint may tell: each makes a rate shorter

_FILE = TensorFile(
    noun="checkpoint", entry="gradstep-checkpoint", forms=(1,),
    dtypes=frozenset({"F64", "F32", "I64", "I32", "BOOL"}), error=InvalidCheckpoint,
    otherwise="Delete it; the one before it may be whole.",
)  # fmt: skip
_NAME = re.compile(r"checkpoint-([0-9]{8})\.safetensors")
_STATE, _ENDED = "state.", "ended."


class EndedRun(NamedTuple):
    """The result of a run that other runs of the same fit follow, as when alpha is chosen."""

    params: NDArray[np.float64]
    score: float
    outcome: Outcome
    restarts: int
    records: list[EpochRecord]
    notes: list[Note]


@dataclass
class Content:
    """What a checkpoint holds; the fields of `state` are those of a `TrainState`.

    Attributes
    ----------
    asked : dict of str
        What a resumed fit is recognised by: its parameters and the digests of its data, by name.
    seed : int
        The seed of the fit.
    run : int
        Which of the fit's runs it is.
    epoch, steps : int
        How far that run is.
    outcome : str
        How that run has ended, or "" if it has not.
    done : bool
        Whether the fit has ended.
    callbacks : list
        Names of callbacks that have a state, and that state.
    ended : list of EndedRun
        The runs before.
    state : dict of ndarray
        The state of the run.
    version : str
        The version of gradstep that wrote it.
    """

    asked: dict[str, str]
    seed: int
    run: int
    epoch: int
    steps: int
    outcome: str = ""
    done: bool = False
    callbacks: list[tuple[str, Any]] = field(default_factory=list)
    ended: list[EndedRun] = field(default_factory=list)
    state: dict[str, NDArray[Any]] = field(default_factory=dict)
    version: str = VERSION

    @property
    def how(self) -> Outcome | None:
        """How the run has ended, if it has."""
        return Outcome[self.outcome] if self.outcome else None

    def write(self, path: Path) -> None:
        """Write it to a file."""
        arrays = {_STATE + name: array for name, array in self.state.items()}
        arrays |= {f"{_ENDED}{i}": run.params for i, run in enumerate(self.ended)}
        content = {each.name: getattr(self, each.name) for each in fields(self)}
        content |= {
            "ended": [
                run._replace(params=i, outcome=run.outcome.name)  # type: ignore[arg-type]
                for i, run in enumerate(self.ended)
            ],
            "state": {name: [a.dtype.str, list(a.shape)] for name, a in arrays.items()},
        }
        _FILE.write(path, content, arrays)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises
        ------
        InvalidCheckpoint
            If it is damaged, or of a format that is not known.
        """
        content, arrays = _FILE.read(path)
        try:
            del content["format"]
            found = {name: [a.dtype.str, list(a.shape)] for name, a in arrays.items()}
            if content.pop("state") != found:
                raise _FILE.misstated(path, "types and shapes of the state")
            content["ended"] = [_ended(values, arrays) for values in content["ended"]]
            content["callbacks"] = [(str(name), state) for name, state in content["callbacks"]]
            state = {
                name.removeprefix(_STATE): a for name, a in arrays.items() if name[0] == _STATE[0]
            }
            whole = cls(**content, state=state)
            whole.check()
        except InvalidCheckpoint:
            raise
        except MISSTATED as error:
            raise _FILE.misstated(path, error) from error
        return whole

    def check(self) -> None:
        """Check the types and ranges of the fields.

        Raises
        ------
        ValueError
            If one is wrong; it says which, and what its value is.
        """
        for name in ("seed", "run", "epoch", "steps"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                msg = f"{name} is {value!r:.60}"
                raise ValueError(msg)
        texts = [self.version, self.outcome, *self.asked, *self.asked.values()]
        if not all(isinstance(text, str) for text in texts) or type(self.done) is not bool:
            msg = "a parameter is no text"
            raise ValueError(msg)
        if self.outcome:
            Outcome[self.outcome]
        if self.run != len(self.ended):
            msg = f"run {self.run} comes after {len(self.ended)}"
            raise ValueError(msg)


def _ended(values: Any, arrays: Mapping[str, NDArray[Any]]) -> EndedRun:
    number, score, outcome, restarts, records, notes = values
    params = arrays[f"{_ENDED}{number}"]
    counted = type(restarts) is int and 0 <= restarts <= MOST_RESTARTS
    if params.ndim != 1 or params.dtype.kind != "f" or not counted:
        msg = "a run before is none"
        raise ValueError(msg)
    return EndedRun(
        params, float(score), Outcome[outcome], restarts,
        [EpochRecord.of_json(each) for each in records], notes_of(map(str, notes)),
    )  # fmt: skip


class CheckpointFolder:
    """The folder with the checkpoints of a run, the last two of which are kept.

    Parameters
    ----------
    path : Path
        The folder; it is made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs out of the folder, and remove what a killed one has left in it.

        Raises
        ------
        CannotWrite
            If another run holds it, or it cannot be made or written to.
        """
        handle = -1
        try:
            lasting_folder(self.path)
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            msg = (
                f"{self.path} is in use by another run. Wait until it has ended, or give this "
                "one a folder of its own."
            )
            raise CannotWrite(msg) from None
        except OSError as error:
            if handle < 0:
                why = os.strerror(errno.EEXIST) if self.path.exists() else error.strerror
                msg = f"{self.path} cannot be a folder of checkpoints: {why}. Name another."
                raise CannotWrite(msg) from error
        # A disk without locks: then the user must avoid two runs at once.
        try:
            if not os.access(self.path, os.W_OK | os.X_OK):
                msg = f"{self.path} cannot be written: {os.strerror(errno.EACCES)}. Name another."
                raise CannotWrite(msg)
            sweep(self.path)  # also for a run that has ended, and writes nothing more
            yield
        finally:
            os.close(handle)

    def files(self) -> list[Path]:
        """Return the checkpoints, the newest first."""
        with suppress(OSError):
            found = [path for path in self.path.iterdir() if _NAME.fullmatch(path.name)]
            return sorted(found, reverse=True)
        return []

    def newest(self) -> tuple[Path, Content] | None:
        """Return the newest that can be read, with a warning if newer ones cannot.

        None if the folder has no checkpoint.

        Raises
        ------
        InvalidCheckpoint
            If it has some, and none can be read.
        """
        files, damaged = self.files(), []
        for path in files:
            try:
                content = Content.read(path)
            except InvalidCheckpoint as error:
                damaged.append(str(error))
                continue
            if damaged:
                CHECKPOINT_DAMAGED.warn(
                    f"{damaged[0]} The run goes on from the checkpoint before it, {path}.",
                    CheckpointWarning,
                )
            return path, content
        if files:
            msg = (
                f"{damaged[0]} No other checkpoint in {self.path} can be read. Delete the folder "
                "to begin anew."
            )
            raise InvalidCheckpoint(msg)
        return None

    def write(self, content: Content, before: Path | None) -> Path:
        """Write a checkpoint; then delete all others but the one before.

        Raises
        ------
        CannotWrite
            If it cannot be written; then none is deleted.
        """
        files = self.files()
        number = int(_NAME.fullmatch(files[0].name)[1]) + 1 if files else 1  # type: ignore[index]
        path = self.path / f"checkpoint-{number:08}.safetensors"
        content.write(path)
        self._delete(files, but=before)
        return path

    def clear(self, but: Path | None = None) -> None:
        """Delete the checkpoints, but for one."""
        self._delete(self.files(), but=but)

    def _delete(self, files: list[Path], but: Path | None) -> None:
        for path in files:
            if path != but:
                with suppress(OSError):
                    path.unlink()
