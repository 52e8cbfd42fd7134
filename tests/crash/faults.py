"""Let the k-th file operation of a whole short run fail, for every k, once or from then on.

python -m tests.crash.faults             every operation, ENOSPC and EIO, both modes
python -m tests.crash.faults --every 9   each ninth

A run is prepare → train with checkpoints → predict, by the command line in this process. Files are
opened, written, brought to the disk, renamed and deleted through a few functions of Python, which
are replaced: that is the one seam. However it ends, it must be with success or with one message of
ours; then it is run again without faults, with `--resume`, and must come to the same bytes.
"""

from __future__ import annotations

import argparse
import builtins
import errno
import hashlib
import io
import os
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import numpy as np
import polars as pl

from gradstep.cli.main import main as command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Faults", "run_with_fault", "whole_run"]

_CODES = (errno.ENOSPC, errno.EIO)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Faults:
    """Counts operations below a folder, and lets some fail.

    Parameters
    ----------
    at : int
        The number of the first that fails, from 1; 0 for none.
    code : int
        How.
    lasting : bool
        Whether all after it fail, too.
    """

    def __init__(self, at: int = 0, code: int = errno.EIO, *, lasting: bool = False) -> None:
        self.at, self.code, self.lasting = at, code, lasting
        self.names: list[str] = []

    def step(self, name: str) -> None:
        """Count one, and fail if it is its turn."""
        self.names.append(name)
        n = len(self.names)
        if self.at and (n == self.at or (self.lasting and n > self.at)):
            raise OSError(self.code, os.strerror(self.code))

    @contextmanager
    def injected(self) -> Iterator[None]:
        """Put them in the place of the functions."""
        with ExitStack() as patches:
            for name in ("fsync", "replace", "rename", "mkdir", "posix_fallocate", "unlink"):
                patches.enter_context(patch.object(os, name, self._counted(name)))
            patches.enter_context(patch.object(os, "open", self._os_open(os.open)))
            patches.enter_context(patch.object(os, "fdopen", self._opened(os.fdopen)))
            for module in (builtins, io):
                patches.enter_context(patch.object(module, "open", self._opened(module.open)))
            yield

    def _counted(self, name: str) -> Callable[..., Any]:
        function = getattr(os, name)

        def counted(*arguments: Any, **keywords: Any) -> Any:
            self.step(name)
            return function(*arguments, **keywords)

        return counted

    def _os_open(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(path: Any, flags: int, *others: Any, **keywords: Any) -> Any:
            if flags & _WRITING:
                self.step("open")
            return function(path, flags, *others, **keywords)

        return counted

    def _opened(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(file: Any, mode: str = "r", *others: Any, **keywords: Any) -> Any:
            if not set(mode) & set("wax+"):
                return function(file, mode, *others, **keywords)
            if not isinstance(file, int):
                self.step("open")
            return _File(function(file, mode, *others, **keywords), self)

        return counted


class _File:
    """A file whose writes are counted."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def write(self, data: Any) -> Any:
        self._faults.step("write")
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def write_table(path: Path) -> None:
    """Write the table."""
    rng = np.random.default_rng(0)
    km = rng.gamma(2.0, 3.0, 300)
    pl.DataFrame({
        "km": km, "zone": rng.choice(list("abcd"), 300), "fare": 3.0 + 2.5 * km
        + rng.normal(size=300),
    }).write_csv(path)  # fmt: skip


def _said(*arguments: object) -> tuple[int, str]:
    """Run the command line here; return its status and what it said on stderr."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    argv = ["gradstep", *map(str, arguments)]
    with patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
        try:
            command_line()
        except SystemExit as end:
            return int(end.code or 0), err.getvalue()
    return 0, err.getvalue()


def whole_run(
    table: Path, home: Path, told: Callable[[], None] = lambda: None
) -> list[tuple[int, str]]:
    """Prepare, train, predict; stop at the first that fails, and return how each ended.

    `told` is called after each that has a result.
    """
    prepared = home / "prepared"
    steps = [] if prepared.exists() else [("prepare", table, "-t", "fare", "-o", prepared)]
    steps += [
        ("train", prepared, "--optimizer", "adam", "--batch-size", 32,
         "--max-iter", 6, "--tol", "none",
         "--checkpoint", home / "run", "--checkpoint-every", "15steps", "--resume",
         "-m", home / "model"),
        ("predict", home / "model", table, "-o", home / "predictions.csv"),
    ]  # fmt: skip
    found: list[tuple[int, str]] = []
    for arguments in steps:
        found.append(_said(*arguments))
        if found[-1][0]:
            break
        told()
    return found


def digests(home: Path) -> list[str]:
    """Return the digests of the results."""
    return [
        hashlib.sha256((home / name).read_bytes()).hexdigest()
        for name in ("model", "predictions.csv")
    ]


def run_with_fault(faults: Faults, table: Path, expected: list[str]) -> str:
    """Run with a fault, then without; return how the first ended, or raise what is wrong."""
    with tempfile.TemporaryDirectory(prefix="gradstep-fault-") as folder:
        home = Path(folder)
        with faults.injected():
            found = whole_run(table, home)
        status, said = found[-1]
        lines = [line for line in said.splitlines() if not line.startswith("warning ")]
        typed = status == 1 and len(lines) == 1 and lines[0].startswith("error: ")
        what = f"{faults.names[faults.at - 1]} {faults.at} ({os.strerror(faults.code)})"
        if status and not typed:
            msg = f"{what} ends with status {status} and {said!r}"
            raise AssertionError(msg)
        again = whole_run(table, home)
        if again[-1][0] or digests(home) != expected:
            msg = f"after {what} the run goes on to something else: {again}"
            raise AssertionError(msg)
        left = [path.name for path in home.iterdir() if ".part" in path.name]
        if status == 0 and not faults.lasting and len(left) > 1:
            msg = f"{what} leaves {left}"
            raise AssertionError(msg)
    warned = any(said for _, said in found)
    return "error" if status else "warning" if warned else "success"


def reference(folder: Path) -> tuple[Path, list[str], list[str]]:
    """Return the table, the results' digests, and the operations of a run without faults."""
    table, counting = folder / "table.csv", Faults()
    write_table(table)
    for name in ("compiled", "counted"):
        home = folder / name
        home.mkdir()
        with counting.injected() if name == "counted" else ExitStack():
            found = whole_run(table, home)
        if any(status or said for status, said in found):
            msg = f"a run without faults ends with {found}"
            raise AssertionError(msg)
    return table, digests(home), counting.names


def main() -> int:
    """Let all fail that are asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.faults")
    parser.add_argument("--every", type=int, default=1)
    every = parser.parse_args().every
    ended: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        table, expected, names = reference(Path(folder))
        for at in range(1, len(names) + 1, every):
            for code in _CODES:
                for lasting in (False, True):
                    faults = Faults(at, code, lasting=lasting)
                    try:
                        ended[run_with_fault(faults, table, expected)] += 1
                    except AssertionError as error:
                        ended["wrong"] += 1
                        print(error)  # noqa: T201  (a command)
    operations = dict(Counter(names))
    print(f"{len(names)} operations ({operations}), {ended.total()} faults: {dict(ended)}")  # noqa: T201
    return int(ended["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
