"""What a disk may hold after the power failed: every state of a whole short run is tried.

python -m tests.crash.replay             every state, and a run that goes on from each
python -m tests.crash.replay --every 20  each twentieth

As ALICE does (Pillai et al., OSDI 2014). A run (prepare → train with checkpoints → predict) is
recorded: what it creates, renames, deletes and brings to the disk, and what is in its files by
then. At each moment the disk holds for certain what was brought there (fsync): of a file its
content, of a folder its names. What came later may be there or not, in any order: each change of
names by itself, contents whole, in half, as zeros, or as they were. In every such state each file
that has its name must open; a result whose command had ended, and the newest checkpoint, must be
there; and the run, begun again, must come to the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from gradstep import GradstepError, load, open_prepared
from gradstep.engine.checkpoint_folder import CheckpointFolder, Content
from tests.crash.disk import Change, Disk, Recorder
from tests.crash.faults import digests, reference, whole_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["State", "look", "recorded", "states_of"]

_CHECKPOINT = "run/"
_MOST_AT_ONCE = 4  # changes of names of which all subsets are tried


@dataclass
class State:
    """What the disk may hold at a moment, and what must be there by then."""

    disk: Disk
    after: str
    results: tuple[str, ...]


def states_of(recorder: Recorder) -> list[State]:
    """Return each state that the disk may have had, once."""
    found: dict[str, State] = {}
    for what, certain, changes, contents, results in recorder.moments:
        for chosen in _choices(changes):
            names = certain.copy()
            for change in chosen:
                change.apply(names)
            for damage in (_whole, _half, _zeros, _before):
                disk = names.copy()
                disk.files = {
                    number: damage(content, certain.files.get(number, b""))
                    for number, content in contents.items()
                }
                key = disk.digest() + str(results)
                found.setdefault(key, State(disk, what, results))
    return list(found.values())


def _choices(changes: list[Change]) -> Iterator[tuple[Change, ...]]:
    """Yield which changes of names came to the disk: all subsets, or of many those that matter."""
    n = len(changes)
    if n <= _MOST_AT_ONCE:
        for size in range(n + 1):
            yield from combinations(changes, size)
        return
    for at in range(n):
        yield tuple(changes[:at])
        yield tuple(changes[:at] + changes[at + 1 :])
        yield (changes[at],)
    yield tuple(changes)


def _whole(content: bytes, _certain: bytes) -> bytes:
    return content


def _half(content: bytes, certain: bytes) -> bytes:
    return content if content == certain else content[: len(content) // 2]


def _zeros(content: bytes, certain: bytes) -> bytes:
    return content if content == certain else bytes(len(content))


def _before(_content: bytes, certain: bytes) -> bytes:
    return certain


def look(state: State, home: Path, expected: dict[str, str]) -> Counter[str]:
    """Open all that has its name; return how often that went, and was refused.

    Raises
    ------
    AssertionError
        If a result that was told is not there, or is another.
    """
    opens: list[tuple[Callable[..., Any], Path]] = [
        (Content.read, path) for path in CheckpointFolder(home / "run").files()
    ]
    if (home / "prepared").exists():
        opens.append((lambda path: open_prepared(path, verify=True), home / "prepared"))
    if (home / "model").exists():
        opens.append((load, home / "model"))
    found: Counter[str] = Counter()
    for read, path in opens:
        try:
            read(path)
            found["opened"] += 1
        except GradstepError:
            found["refused"] += 1
    for name in state.results:
        path = home / name
        if name.startswith(_CHECKPOINT):  # it, or a later one
            files = CheckpointFolder(home / "run").files()
            if not files or files[0] < path:
                msg = f"after '{state.after}' the power fails, and {name}, which was told, is gone"
                raise AssertionError(msg)
            continue
        there = path.exists() and (
            name == "prepared" or hashlib.sha256(path.read_bytes()).hexdigest() == expected[name]
        )
        if not there:
            msg = f"after '{state.after}' the power fails, and {name}, which was told, is not there"
            raise AssertionError(msg)
    if found["refused"]:
        msg = f"after '{state.after}' the power fails, and what has its name is not whole"
        raise AssertionError(msg)
    return found


def recorded(folder: Path) -> tuple[Recorder, Path, dict[str, str]]:
    """Return the record of a run, its table, and the digests of its results."""
    table, whole, _ = reference(folder)
    home = folder / "recorded"
    home.mkdir()
    recorder = Recorder(home)
    told = iter((("prepared",), ("model",), ("predictions.csv",)))
    write = CheckpointFolder.write

    def written(self: CheckpointFolder, *arguments: Any) -> Path:
        path = write(self, *arguments)
        recorder.told(f"run/{path.name}")
        return path

    with recorder.recording(), patch.object(CheckpointFolder, "write", written):
        whole_run(table, home, lambda: recorder.told(*next(told)))
    if digests(home) != whole:
        msg = "the recorded run comes to something else"
        raise AssertionError(msg)
    return recorder, table, dict(zip(("model", "predictions.csv"), whole, strict=True))


def main() -> int:
    """Try all states that are asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.replay")
    parser.add_argument("--every", type=int, default=1)
    every = parser.parse_args().every
    ended: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        recorder, table, expected = recorded(Path(folder))
        states = states_of(recorder)
        for n, state in enumerate(states[::every]):
            home = Path(folder) / f"state-{n}"
            state.disk.write(home)
            try:
                ended += look(state, home, expected)
                again = whole_run(table, home)
                if again[-1][0] or digests(home) != list(expected.values()):
                    msg = f"after '{state.after}' the run goes on to something else: {again}"
                    raise AssertionError(msg)  # noqa: TRY301
                ended["went on to the same"] += 1
            except AssertionError as error:
                ended["wrong"] += 1
                print(error)  # noqa: T201  (a command)
    print(f"{len(recorder.moments)} operations, {len(states)} states of the disk: {dict(ended)}")  # noqa: T201
    return int(ended["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
