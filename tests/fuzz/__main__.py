"""Damage files that strangers may send, a million times: only errors of ours may come of it.

python -m tests.fuzz                        1,000,000 cases, a quarter of an hour with two cores
python -m tests.fuzz --minutes 5 --seed 1   others, for some minutes
python -m tests.fuzz --only parquet csv     of some kinds
python -m tests.fuzz --case 4711            one again, here, with its traceback

Models, checkpoints, prepared folders (`meta.json`, `.npy`) and tables (CSV, packed CSV, sparse
text, NDJSON, Parquet, Arrow) are damaged: bytes anywhere, and parts of what they say of themselves,
with a checksum that is right. Then they are read and used as a user would, with every index of
compiled code checked. A case is a finding if it ends the process, raises anything but an error of
gradstep, takes more than five seconds or more than 256 MB. Its files are kept under build/fuzz.
Which case a number is depends on the seed alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from tests.fuzz.worker import SHARES, Share, case, try_case

_LIMIT = 60.0  # seconds of a case, after which its process is ended
_parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n")[0])
_parser.add_argument("--cases", type=int, default=1_000_000)
_parser.add_argument("--minutes", type=float, default=0.0, help="end after so many")
_parser.add_argument("--seed", type=int, default=0)
_parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
_parser.add_argument("--only", nargs="+", default=[], choices=SHARES, metavar="KIND")
_parser.add_argument("--case", type=int, help="try one again")
_parser.add_argument("--findings", type=Path, default=Path("build/fuzz"))


class Run:
    """The processes of a run, and what they found."""

    def __init__(self, asked: argparse.Namespace, home: Path) -> None:
        self.asked, self.home = asked, home
        self.ended: Counter[str] = Counter()
        self.until = time.monotonic() + 60.0 * asked.minutes if asked.minutes else float("inf")

    def work(self, worker: int) -> None:
        """Try every so-manyth case, in as many processes as it takes."""
        home = self.home / str(worker)
        home.mkdir()
        share = Share(
            self.asked.seed, worker, self.asked.workers, self.asked.cases, str(home),
            str(self.asked.findings), self.asked.only,
        )  # fmt: skip
        while share.first < share.cases and time.monotonic() < self.until:
            status, number = self._follow(share, home)
            told = home / "ended.json"
            self.ended.update(json.loads(told.read_text()) if told.exists() else {})
            told.unlink(missing_ok=True)
            if status is None or status == 0:
                return
            if not (home / "case").exists():  # it is the fuzzer that fails
                raise RuntimeError((home / "stderr").read_text())
            how = "endless" if status == "endless" else f"ended by {status}"
            self.ended[how] += 1
            kept = self.asked.findings / f"ended-{number}"
            shutil.copytree(home / "case", kept, dirs_exist_ok=True)
            (kept / "what.txt").write_text(f"{how}\n{(home / 'stderr').read_text()[-5000:]}")
            share = replace(share, first=number + share.step)

    def _follow(self, share: Share, home: Path) -> tuple[int | str | None, int]:
        """Return how a process ended, None if its time was over, and at which case."""
        (home / "told").unlink(missing_ok=True)  # of a process that was ended
        with (home / "stderr").open("wb") as stderr:
            command = [sys.executable, "-m", "tests.fuzz.worker", json.dumps(asdict(share))]
            process = subprocess.Popen(command, stderr=stderr, stdout=subprocess.DEVNULL)
        number, status = share.first, None
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(0.5)
            told = home / "told"
            content = told.read_bytes() if told.exists() else b""
            if len(content) == 16:
                number, since = struct.unpack("<qd", content)
                if since and time.time() - since > _LIMIT:
                    status = "endless"
            if status is not None or time.monotonic() > self.until:
                process.kill()
                process.wait()
                return status, number


def main() -> int:
    """Return the exit status: 0 if nothing was found."""
    asked = _parser.parse_args()
    # kernels that check every index, in a cache of their own
    os.environ["NUMBA_BOUNDSCHECK"] = "1"
    os.environ.setdefault("RUST_BACKTRACE", "0")
    if asked.case is not None:
        return _again(asked)
    shutil.rmtree(asked.findings, ignore_errors=True)
    began = time.perf_counter()
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="gradstep-fuzz-", dir=fast) as home:
        run = Run(asked, Path(home))
        with ThreadPoolExecutor(asked.workers) as pool:
            list(pool.map(run.work, range(asked.workers)))
    seconds = time.perf_counter() - began
    n = run.ended.total()
    good = sum(count for how, count in run.ended.items() if how.endswith((" read", " refused")))
    for how, count in sorted(run.ended.items()):
        print(f"{count:9,} {how}")  # noqa: T201  (a command)
    print(  # noqa: T201
        f"{n:,} cases in {seconds:.0f} s ({n / seconds:,.0f} a second), seed {asked.seed}: "
        f"{n - good} findings" + (f", in {asked.findings}" if n > good else "")
    )
    return int(n > good)


def _again(asked: argparse.Namespace) -> int:
    """Try one case in this process."""
    from tests.fuzz.corpus import corpus

    files = corpus()
    with tempfile.TemporaryDirectory(prefix="gradstep-fuzz-") as home:
        (Path(home) / "t.svm").write_bytes(files["sparse"][0]["t.svm"])
        kind, damaged, whole = case(asked.seed, asked.case, asked.only, files)
        how, wrong = try_case(kind, damaged, Path(home), whole=whole)
    print(f"{kind} {how}\n{wrong}")  # noqa: T201
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
