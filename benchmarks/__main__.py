"""Run the benchmarks in order, each in a process of its own: ``python -m benchmarks``.

    --quick         each in its quick form: minutes, to see that all runs
    --only NAMES    such as solvers,rough,page; --list shows the names
    --jobs N        cases of solvers at a time (1)
    --folder FOLDER where results go (build/bench)
    --out FOLDER    where the page goes (docs/benchmarks; of --quick, the folder of results)

One that fails does not stop the others; it is named at the end, and the status is 1. Cases of
solvers that are in the folder already are kept with --resume.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["STEPS", "Step", "command", "main", "run_all"]

PAGE = "page"


class Step(NamedTuple):
    """A command: its name, its module of `benchmarks`, and its options."""

    name: str
    module: str
    options: tuple[str, ...] = ()


STEPS = (
    Step("epoch_time", "epoch_time"),
    Step("startup", "startup"),
    Step("small_fits", "small_fits"),
    Step("tables", "tables"),
    Step("solvers", "solvers"),
    Step("threads", "solvers", ("--threads", "0")),  # as many as each likes
    Step("rough", "solvers", ("--rough",)),
    Step("scaling", "solvers", ("--scaling",)),
    Step("papers", "solvers", ("--papers",)),
    Step("limit", "limit"),
    Step(PAGE, "page"),
)


def command(step: Step, asked: argparse.Namespace) -> list[str]:
    """Return the command line of a step."""
    line = [sys.executable, "-m", f"benchmarks.{step.module}"]
    if step.name == PAGE:
        out = asked.out or (asked.folder if asked.quick else Path("docs/benchmarks"))
        own = [asked.folder / f"{each.name}.json" for each in STEPS]
        line += [] if asked.only or asked.quick else ["--anew"]
        return [*line, *[str(path) for path in own if path.exists()], "--out", str(out)]
    line += [*step.options, "--json", str(asked.folder / f"{step.name}.json")]
    line += ["--quick"] * asked.quick
    if step.module == "solvers":
        jobs = 1 if "--threads" in step.options else asked.jobs
        line += ["--jobs", str(jobs), *["--resume"] * asked.resume]
    return line


def run_all(
    steps: Sequence[Step], asked: argparse.Namespace, run: Callable[[list[str]], int]
) -> int:
    """Run steps, and name those that failed; return 1 if any did."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    failed = []
    for step in steps:
        line, began = command(step, asked), time.monotonic()
        print(f"\n=== {step.name}: {' '.join(line[1:])}", flush=True)
        status = run(line)
        print(f"=== {step.name}: {time.monotonic() - began:.0f} s, status {status}", flush=True)
        if status:
            failed.append(f"{step.name} ({status})")
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall of them ran", flush=True)
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="each in its quick form")
    parser.add_argument("--only", default="", metavar="NAMES", help="comma between")
    parser.add_argument("--list", action="store_true", help="list the names")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="cases at a time")
    parser.add_argument("--resume", action="store_true", help="keep cases that are there")
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="of results")
    parser.add_argument("--out", type=Path, help="folder of the page")
    asked = parser.parse_args(arguments)
    if asked.list:
        print("\n".join(step.name for step in STEPS))
        return 0
    names = [name for name in asked.only.split(",") if name]
    unknown = set(names) - {step.name for step in STEPS}
    if unknown:
        parser.error(f"no step is called {', '.join(sorted(unknown))}; --list shows them")
    steps = [step for step in STEPS if not names or step.name in names]
    return run_all(steps, asked, lambda line: subprocess.run(line, check=False).returncode)


if __name__ == "__main__":
    sys.exit(main())
