"""An hour of work in one process, on tables that change: nothing may grow.

python -m tests.crash.soak --minutes 60

Tables of several formats and sizes are written, trained on (in memory and beyond the budget, with
checkpoints and without), predicted, evaluated and deleted, one after another, by the command line
and from Python, with a cache that is kept to a limit. After a third of the time, and 40 tables at
least, when all has been compiled and each kind of work been done, memory, open files, threads and
the files of the cache are noted; at the end there may be no more of them.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl

__all__ = ["Held", "grown", "work"]

_WARM = 40  # tables
_LIMIT = 30_000_000  # bytes of the cache
_parser = argparse.ArgumentParser(
    prog="python -m tests.crash.soak", description=__doc__.split("\n")[0]
)
_parser.add_argument("--minutes", type=float, default=60.0)
_parser.add_argument("--seed", type=int, default=0)


class Held(dict[str, float]):
    """What the process holds now, by its name."""

    @classmethod
    def now(cls, home: Path) -> Held:
        """Count."""
        gc.collect()
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        anonymous = next(line.split()[1] for line in status.split("\n") if "RssAnon" in line)
        tables = [path for path in (home / "cache" / "tables").rglob("*") if path.is_file()]
        others = [path for path in home.rglob("*") if ".part" in path.name]
        return cls({
            "MB of memory": int(anonymous) / 1024,
            "open files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
            "threads": threading.active_count(),
            "MB of tables": sum(path.stat().st_size for path in tables) / 1e6,
            "unfinished files": len(others),
            "kernels": len(list((home / "cache" / "kernels").rglob("*.bin"))),
        })  # fmt: skip


# What may be more at the end: memory is measured with the allocator's reserves.
_MAY_GROW = {"MB of memory": 60.0, "open files": 4, "threads": 2, "MB of tables": 40.0,
             "unfinished files": 0, "kernels": 0}  # fmt: skip


def grown(before: Held, after: Held) -> list[str]:
    """Return what has grown by more than it may."""
    return [
        f"{name}: {before[name]:.0f}, then {after[name]:.0f}"
        for name, most in _MAY_GROW.items()
        if after[name] > before[name] + most
    ]


def _write(home: Path, rng: np.random.Generator) -> Path:
    """Write a table that there was not yet."""
    n = int(rng.integers(500, 20_000))
    km = rng.gamma(2.0, 3.0, n)
    frame = pl.DataFrame({
        "km": km, "hour": rng.integers(0, 24, n), "zone": rng.choice(list("abcdef"), n),
        "id": [f"r{i % 997}" for i in range(n)], "fare": 3.0 + 2.5 * km + rng.normal(size=n),
        "paid": np.where(km + rng.normal(size=n) > 5.0, "yes", "no"),
    })  # fmt: skip
    suffix = rng.choice(["csv", "parquet", "arrow", "ndjson"])
    path = home / f"table.{suffix}"
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "arrow": frame.write_ipc,
     "ndjson": frame.write_ndjson}[str(suffix)](path)  # fmt: skip
    return path


def _say(*arguments: object) -> None:
    """Run the command line here, quietly."""
    from gradstep.cli.main import main

    with patch.object(sys, "argv", ["gradstep", *map(str, arguments)]):
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(arguments) from None


def work(home: Path, rng: np.random.Generator) -> None:
    """Train, predict and evaluate on a new table, in one of several ways."""
    import gradstep as gs

    path = _write(home, rng)
    target, optimizer = rng.choice(["fare", "paid"]), rng.choice(["auto", "adam"])
    options = ["--optimizer", optimizer, "--max-iter", 3, "--as", "id=hash:6", "--drop",
               "paid" if target == "fare" else "fare", "-m", home / "m"]  # fmt: skip
    if rng.random() < 0.5:
        options += ["--checkpoint", home / "run", "--checkpoint-every", "1epochs", "--resume"]
    options += [["--no-cache", "--memory", "150MB"], []][int(rng.integers(2))]
    _say("train", path, "-t", target, *options)
    _say("predict", home / "m", path, "-o", home / "out.csv")
    _say("evaluate", home / "m", path)
    model = gs.load(home / "m")
    model.predict(path)
    prepared = gs.prepare(path, str(target), validation=0.1, out=home / "prepared")
    kind = gs.MiniBatchRegressor if target == "fare" else gs.MiniBatchClassifier
    kind(max_iter=2, tol=None).fit(prepared)
    for name in ("m", "out.csv", "prepared", "run", path.name):
        _remove(home / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        for each in path.iterdir():
            each.unlink()
        path.rmdir()
    path.unlink(missing_ok=True)


def main() -> int:
    """Return the exit status: 0 if nothing has grown."""
    asked = _parser.parse_args()
    rng, n = np.random.default_rng(asked.seed), 0
    with tempfile.TemporaryDirectory(prefix="gradstep-soak-") as folder:
        home = Path(folder)
        os.environ |= {
            "GRADSTEP_CACHE_DIR": str(home / "cache"), "GRADSTEP_CACHE_LIMIT": str(_LIMIT),
        }  # fmt: skip
        begun, before = time.monotonic(), None
        end = begun + 60.0 * asked.minutes
        while time.monotonic() < end:
            with (
                Path(os.devnull).open("w", encoding="utf-8") as nothing,
                patch("sys.stdout", nothing),
            ):
                warnings.simplefilter("ignore")
                work(home, rng)
            n += 1
            if before is None and n >= _WARM and time.monotonic() > begun + 20.0 * asked.minutes:
                before, at = Held.now(home), n
        after = Held.now(home)
    if before is None:
        print(f"{n} tables: too few to tell")  # noqa: T201  (a command)
        return 1
    for name, value in after.items():
        print(f"{name:16} {before[name]:8.1f} after {at} tables, {value:8.1f} after {n}")  # noqa: T201
    found = grown(before, after)
    print(f"{n} tables: " + ("nothing has grown" if not found else f"grown: {'; '.join(found)}"))  # noqa: T201
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
