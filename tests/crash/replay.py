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
import builtins
import hashlib
import io
import os
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from gradstep import GradstepError, load, open_prepared
from gradstep.engine.checkpoint_folder import CheckpointFolder, Content
from tests.crash.faults import digests, reference, whole_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Disk", "Recorder", "State", "look", "states_of"]

_CHECKPOINT = "run/"
_MOST_AT_ONCE = 4  # changes of names of which all subsets are tried


@dataclass
class Disk:
    """Folders and files by their numbers; folder 0 is the one of the run."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {0: {}})
    files: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> Disk:
        """Return another one that is the same."""
        return Disk({n: dict(names) for n, names in self.folders.items()}, dict(self.files))

    def paths(self, folder: int = 0, above: str = "") -> Iterator[tuple[str, int]]:
        """Yield the path of each folder and file, and its number."""
        for name, number in self.folders[folder].items():
            yield above + name, number
            if number in self.folders:
                yield from self.paths(number, f"{above}{name}/")

    def number(self, path: str) -> int:
        """Return the number of a path."""
        return 0 if path in {"", "."} else dict(self.paths())[path]

    def write(self, to: Path) -> None:
        """Make it real."""
        to.mkdir()
        for path, number in self.paths():
            if number in self.folders:
                (to / path).mkdir()
            else:
                (to / path).write_bytes(self.files.get(number, b""))

    def digest(self) -> str:
        """Return what tells it from others."""
        found = hashlib.sha256()
        for path, number in sorted(self.paths()):
            found.update(path.encode() + b"\0" + self.files.get(number, b"folder") + b"\0")
        return found.hexdigest()


@dataclass(frozen=True)
class Change:
    """A change of names: one that is taken away, one that is given, or both at once."""

    folder: int
    taken: str | None = None
    to_folder: int = 0
    given: str | None = None
    number: int = -1

    def apply(self, disk: Disk) -> None:
        """Make it, if what it is about is there."""
        names = disk.folders.get(self.folder)
        if names is None or (self.taken is not None and self.taken not in names):
            return
        if self.given is not None and self.to_folder not in disk.folders:
            return
        if self.taken is not None:
            del names[self.taken]
        if self.given is not None:
            disk.folders[self.to_folder][self.given] = self.number


@dataclass
class State:
    """What the disk may hold at a moment, and what must be there by then."""

    disk: Disk
    after: str
    results: tuple[str, ...]


class Recorder:
    """Records what happens to files below a folder.

    Parameters
    ----------
    home : Path
        The folder.

    Attributes
    ----------
    moments : list
        After each operation: its name, the disk that is certain, the changes of names that are
        not, the contents by then, and the results that had been told.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.now, self.certain = Disk(), Disk()
        self.changes: list[Change] = []
        self.results: tuple[str, ...] = ()
        self.moments: list[tuple[str, Disk, list[Change], dict[int, bytes], tuple[str, ...]]] = []
        self._next = 1

    def told(self, *results: str) -> None:
        """Note that these were told to be there."""
        self.results += results

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record."""
        with ExitStack() as patches:
            for name, of in (
                ("replace", self._renamed), ("rename", self._renamed), ("mkdir", self._made),
                ("unlink", self._gone), ("remove", self._gone), ("rmdir", self._gone),
                ("fsync", self._kept), ("open", self._opened),
            ):  # fmt: skip
                patches.enter_context(patch.object(os, name, of(getattr(os, name))))
            for module in (builtins, io):
                patches.enter_context(patch.object(module, "open", self._opened(module.open)))
            yield

    # ------------------------------------------------------------------ operations

    def _renamed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def renamed(source: Any, to: Any, **keywords: Any) -> Any:
            one, two = self._inside(source), self._inside(to)
            result = function(source, to, **keywords)
            if one is not None and two is not None:
                number = self.now.number(one)
                self._change(Change(*self._place(one), *self._place(two), number), f"rename {two}")
            return result

        return renamed

    def _made(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def made(path: Any, *others: Any, **keywords: Any) -> Any:
            result = function(path, *others, **keywords)
            self._new(self._inside(path), {})
            return result

        return made

    def _gone(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def gone(path: Any, *, dir_fd: int | None = None) -> Any:
            where = self._inside(path, dir_fd)
            result = function(path, dir_fd=dir_fd)
            if where:
                self._change(Change(*self._place(where)), f"delete {where}")
            return result

        return gone

    def _kept(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def kept(handle: int) -> Any:
            result = function(handle)
            path = self._inside(Path(f"/proc/self/fd/{handle}").readlink())
            if path is not None:
                self._sync(path)
            return result

        return kept

    def _opened(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def opened(path: Any, mode: Any = "r", *others: Any, **keywords: Any) -> Any:
            new = bool(mode & os.O_CREAT) if isinstance(mode, int) else bool(set(mode) & set("wax"))
            where = self._inside(path) if new and not isinstance(path, int) else None
            there = where is not None and (self.home / where).exists()
            result = function(path, mode, *others, **keywords)
            if where and not there:
                self._new(where)
            return result

        return opened

    # ------------------------------------------------------------------ the record

    def _inside(self, path: Any, folder: int | None = None) -> str | None:
        """Return a path in the home as seen from there; None for others."""
        above = Path.cwd() if folder is None else Path(f"/proc/self/fd/{folder}").readlink()
        try:
            return str((above / os.fspath(path)).relative_to(self.home))
        except (ValueError, TypeError):
            return None

    def _place(self, path: str) -> tuple[int, str]:
        above, _, name = path.rpartition("/")
        return self.now.number(above), name

    def _new(self, path: str | None, names: dict[str, int] | None = None) -> None:
        if not path or path == ".":
            return
        number, self._next = self._next, self._next + 1
        for disk in (self.now, self.certain) if names is not None else ():
            disk.folders[number] = dict(names or {})
        folder, name = self._place(path)
        change = Change(folder, None, folder, name, number)
        self._change(change, f"{'file' if names is None else 'folder'} {path}")

    def _change(self, change: Change, what: str) -> None:
        change.apply(self.now)
        self.changes.append(change)
        self._moment(what)

    def _sync(self, path: str) -> None:
        number = self.now.number(path)
        self._look()
        if number in self.now.folders:
            mine = {change for change in self.changes if number in {change.folder,
                    change.to_folder if change.given is not None else change.folder}}  # fmt: skip
            for change in self.changes:
                if change in mine:
                    change.apply(self.certain)
            self.changes = [change for change in self.changes if change not in mine]
        else:
            self.certain.files[number] = self.now.files[number]
        self._moment(f"fsync {path or '.'}")

    def _look(self) -> None:
        """Take note of what is in the files now, written or mapped."""
        for path, number in self.now.paths():
            if number not in self.now.folders:
                self.now.files[number] = (self.home / path).read_bytes()

    def _moment(self, what: str) -> None:
        self._look()
        self.moments.append(
            (what, self.certain.copy(), list(self.changes), dict(self.now.files), self.results)
        )


# --------------------------------------------------------------------------- states


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


# --------------------------------------------------------------------------- what must hold


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
