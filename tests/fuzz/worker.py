"""Damaged files, one after another, in a process that may die of one: its parent knows which."""

from __future__ import annotations

import json
import mmap
import resource
import shutil
import struct
import sys
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from gradstep import GradstepError
from tests.fuzz.corpus import corpus
from tests.fuzz.inputs import INPUTS
from tests.fuzz.mutate import mutated

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SHARES", "Share", "case", "case_of", "try_case"]

# Of 100 cases, how many are of a kind. Those that Polars reads take ten times as long.
SHARES = {"model": 45, "checkpoint": 22, "prepared": 15, "csv": 5, "packed": 2, "sparse": 5,
          "json": 1, "parquet": 3, "arrow": 2}  # fmt: skip
_KINDS = [kind for kind, share in SHARES.items() for _ in range(share)]
_WHOLE = {"model": 0.2, "checkpoint": 0.02, "prepared": 0.02}  # how often all is done with a file
_WHOLE_TABLE = 0.1
_SECONDS, _BYTES = 5.0, 256 << 20  # that a case may take, of files of some kilobytes


@dataclass(frozen=True)
class Share:
    """The cases of a process.

    Attributes
    ----------
    seed, first, step, cases : int
        Cases first, first + step, … below `cases`.
    home, findings : str
        Where files are written, and those that were found to be wrong.
    kinds : list of str
        Of which kinds; empty for all.
    """

    seed: int
    first: int
    step: int
    cases: int
    home: str
    findings: str
    kinds: list[str]

    def numbers(self) -> Iterator[int]:
        """Yield their numbers."""
        return iter(range(self.first, self.cases, self.step))


def case_of(seed: int, number: int, kinds: list[str]) -> tuple[str, Random]:
    """Return the kind of a case, and what it is drawn from."""
    rng = Random(f"{seed} {number}")  # noqa: S311
    return rng.choice(kinds or _KINDS), rng


def case(
    seed: int, number: int, kinds: list[str], files: dict[str, list[dict[str, bytes]]]
) -> tuple[str, dict[str, bytes], bool]:
    """Return the kind of a case, its files, and whether all is done with them."""
    kind, rng = case_of(seed, number, kinds)
    damaged = mutated(kind, rng.choice(files[kind]), rng)
    return kind, damaged, rng.random() < _WHOLE.get(kind, _WHOLE_TABLE)


def try_case(kind: str, files: dict[str, bytes], home: Path, *, whole: bool) -> tuple[str, str]:
    """Return how a case ended, and what was wrong with it; nothing if all was well."""
    folder = home / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended, wrong = "read", ""
    try:
        INPUTS[kind](folder, whole=whole)
    except GradstepError:
        ended = "refused"
    except BaseException:  # noqa: BLE001  (that is the finding; a panic of Polars, too)
        ended, wrong = "untyped", traceback.format_exc()
    seconds = time.process_time() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    if seconds > _SECONDS:
        ended, wrong = "slow", f"{seconds:.1f} s\n{wrong}"
    if grown > _BYTES:
        ended, wrong = "large", f"{grown >> 20} MB\n{wrong}"
    return ended, wrong


def _keep(share: Share, number: int, kind: str, files: dict[str, bytes], wrong: str) -> None:
    folder = Path(share.findings) / f"{kind}-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "what.txt").write_text(wrong)


def main() -> None:
    """Try the cases of a share."""
    warnings.simplefilter("ignore")
    share = Share(**json.loads(sys.argv[1]))
    files, home, ended = corpus(), Path(share.home), Counter[str]()
    (home / "t.svm").write_bytes(files["sparse"][0]["t.svm"])
    for kind, whole in files.items():  # compiles, too
        for each in whole:
            how, wrong = try_case(kind, each, home, whole=True)
            if how not in {"read", "slow", "large"}:
                raise AssertionError(kind, how, wrong)
    told = home / "told"
    told.write_bytes(bytes(16))
    with told.open("r+b") as file, mmap.mmap(file.fileno(), 16) as board:
        for n, number in enumerate(share.numbers()):
            kind, damaged, whole = case(share.seed, number, share.kinds, files)
            board[:] = struct.pack("<qd", number, time.time())
            how, wrong = try_case(kind, damaged, home, whole=whole)
            ended[f"{kind} {how}"] += 1
            if wrong:
                _keep(share, number, kind, damaged, wrong)
            if n % 500 == 0:
                (home / "ended.json").write_text(json.dumps(ended))
    (home / "ended.json").write_text(json.dumps(ended))


if __name__ == "__main__":
    main()
