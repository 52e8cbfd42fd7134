"""A disk, as a record of what happened to its files tells of it."""

from __future__ import annotations

import builtins
import hashlib
import io
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Change", "Disk", "Recorder"]


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
