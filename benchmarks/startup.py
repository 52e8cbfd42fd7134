"""Time how long gradstep takes until it does something, in fresh interpreters.

Run from the root of the repository, with gradstep installed in the interpreter::

    python -m benchmarks.startup
    python -m benchmarks.startup --repeats 9 --markdown
    python -m benchmarks.startup --flights    # the first `gradstep train` ever, loss by loss
    python -m benchmarks.startup --compiling  # the same in processor seconds, on a busy machine too

Every figure is the median over whole processes, from start to exit; each that finds
kernels on disk runs once unmeasured first. The compiled kernels go to temporary folders, never to
the user's own cache. What a wheel has brought along (``make wheel``) is found by all of them.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.grids import Grid, print_grids, write_grids
from benchmarks.machine import describe_machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CACHE_VARIABLE = "GRADSTEP_CACHE_DIR"

NUMPY = "import numpy"
NUMBA = "import numpy, numba"
# Prints the modules of scikit-learn that gradstep's estimators import.
PROBE = """
import sys
from gradstep import MiniBatchRegressor
names = [name for name in sys.modules if name.partition(".")[0] == "sklearn"]
print(", ".join(name for name in names if "._" not in name))
"""
# The first command ever, on the flights: what it costs beyond the same command with kernels there.
FLIGHTS = {
    "squared_error": ("arr_delay",),
    "log_loss": ("late",),
    "poisson": ("distance", "--loss", "poisson"),
    "softmax": ("carrier",),
    "huber": ("arr_delay", "--loss", "huber"),
    "pinball": ("arr_delay", "--loss", "pinball"),
}
FIT = """
import numpy as np
from gradstep import MiniBatchRegressor
rng = np.random.default_rng(0)
X = rng.random((1000, 3))
y = X.sum(axis=1)
MiniBatchRegressor(learning_rate=0.05, batch_size=64, max_iter=5, tol=None).fit(X, y)
"""


@dataclass
class Command:
    """A process to run again and again.

    Attributes
    ----------
    arguments : sequence of str
        Its command line.
    empty_cache : bool
        Whether each run gets a new, empty folder for compiled kernels.
    seconds : list of float
        How long each measured run took.
    """

    arguments: Sequence[str]
    empty_cache: bool = False
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes
    ----------
    what : str
        What is measured.
    commands : sequence of Command
        One, or two: then the second one's time is taken from the first one's.
    most : float or None
        Seconds asked for, or None if the line is for information.
    """

    what: str
    commands: Sequence[Command]
    most: float | None

    def row(self) -> list[str]:
        """Write the line."""
        # Runs took turns, so those of one round belong together.
        rounds = [
            first - sum(others)
            for first, *others in zip(*[c.seconds for c in self.commands], strict=True)
        ]
        seconds = median(rounds)
        spread = f"{min(rounds):.3f}–{max(rounds):.3f}"
        if self.most is None:
            return [self.what, "", f"{seconds:.3f} s", spread, ""]
        verdict = "met" if seconds < self.most else "MISSED"
        return [self.what, f"< {self.most:g} s", f"{seconds:.3f} s", spread, verdict]


def python(code: str, *, empty_cache: bool = False) -> Command:
    """Make a process that runs a piece of Python.

    Parameters
    ----------
    code : str
        The piece.
    empty_cache : bool
        Whether it never finds compiled kernels.

    Returns
    -------
    Command
        With no times yet.
    """
    return Command([sys.executable, "-c", code], empty_cache)


def gradstep(*arguments: str) -> list[str]:
    """Find the command line of an installed gradstep, or run its package.

    Parameters
    ----------
    *arguments : str
        The verb and its options.

    Returns
    -------
    list of str
        A command that is run by this interpreter.
    """
    script = shutil.which("gradstep", path=str(Path(sys.executable).parent))
    return [script, *arguments] if script else [sys.executable, "-m", "gradstep", *arguments]


def figures() -> list[Figure]:
    """List what is measured, and what is asked for."""
    needed = _run(python(PROBE).arguments, os.environ).stdout.strip()
    bare, numpy, numba = python("pass"), python(NUMPY), python(NUMBA)
    sklearn = python(f"import numpy, {needed}")
    # Whatever else a fit imports counts as the fit.
    imports = python(f"import numpy, {needed}, numba")
    warm, cold = python(FIT), python(FIT, empty_cache=True)
    return [
        Figure("import gradstep, beyond import numpy", [python("import gradstep"), numpy], 0.15),
        Figure("gradstep --help", [Command(gradstep("--help"))], 0.5),
        Figure("first fit, kernels on disk, beyond the imports", [warm, imports], 0.5),
        Figure("first fit ever, no kernels on disk, in all", [cold], 7.0),
        Figure("first fit, kernels on disk, in all", [warm], None),
        Figure("gradstep demo, kernels on disk, in all", [Command(gradstep("demo"))], None),
        Figure("  Python itself", [bare], None),
        Figure("  import numpy", [numpy, bare], None),
        Figure("  import what it needs of scikit-learn, beyond numpy", [sklearn, numpy], None),
        Figure("  import numba, beyond numpy", [numba, numpy], None),
        Figure("  the three together", [imports, bare], None),
    ]


def flights_commands(folder: Path) -> dict[str, list[str]]:
    """Write the flights, and list the commands that train on them, by loss.

    Parameters
    ----------
    folder : Path
        Where the table is written.
    """
    table = folder / "flights.csv"
    _run([sys.executable, "examples/unpack_flights.py", str(table)], os.environ)
    lines = table.read_text().splitlines()
    delay = lines[0].split(",").index("arr_delay")
    found = []
    for line in lines[1:]:
        minutes = line.split(",")[delay]
        late = "" if minutes in {"", "NA"} else ("yes" if float(minutes) > 15.0 else "no")
        found.append(f"{line},{late}")
    table.write_text("\n".join([f"{lines[0]},late", *found, ""]))
    drop = {loss: ",arr_delay" if loss == "log_loss" else ",late" for loss in FLIGHTS}
    return {
        loss: gradstep(
            "train", str(table), "--no-cache", "--max-iter", "3",
            "--drop", "arr_time,tailnum" + drop[loss], "--model", str(folder / loss),
            "-t", *options,
        )
        for loss, options in FLIGHTS.items()
    }  # fmt: skip


def first_commands(folder: Path) -> list[Figure]:
    """List first commands on the flights, by loss.

    Parameters
    ----------
    folder : Path
        Where the table is written.
    """
    return [
        Figure(
            f"first gradstep train ever on flights.csv, {loss}, beyond the next",
            [Command(command, empty_cache=True), Command(command)],
            4.0,
        )
        for loss, command in flights_commands(folder).items()
    ]


def compiling(folder: Path) -> Grid:
    """Measure what first commands on the flights compile, in processor seconds.

    Of each loss, in an empty cache: the two processes that compile ahead, one after another; the
    command once they are done; the same with all kernels there, to its end and to its plan. The
    wait that the parts make on idle cores follows from these, if they are shared evenly.

    Parameters
    ----------
    folder : Path
        Where the table is written.
    """
    heads = ["loss", "largest kernel", "others", "left in the run", "imports and reading",
             "wait, three cores", "wait, two cores"]  # fmt: skip
    grid = Grid("What a first command compiles: processor seconds", heads)
    for loss, command in flights_commands(folder).items():
        target, asked = command[-1 - 2 * ("--loss" in command)], FLIGHTS[loss][2:]
        code = (
            "import sys; from gradstep.fit.compile_ahead import compile_part, guess_of; "
            f"compile_part(sys.argv[1], guess_of({str(folder / 'flights.csv')!r}, {target!r}, "
            f"{asked[0] if asked else None!r}, {{}}))"
        )
        with tempfile.TemporaryDirectory() as cache:
            alone = {**environment(cache), "GRADSTEP_COMPILE_AHEAD": "0"}
            largest, others = (
                _processor([sys.executable, "-c", code, part], alone)
                for part in ("evaluations", "others")
            )
            first, second = (_processor(command, alone) for _ in range(2))
            read = _processor([*command, "--dry-run"], alone)
        left = max(0.0, first - second)
        three = max(0.0, max(largest, others) - read) + left
        two = max(three, (largest + others - read) / 2.0 + left)
        found = (largest, others, left, read, three, two)
        grid.rows.append([loss, *(f"{seconds:.1f}" for seconds in found)])
    return grid


def _processor(arguments: Sequence[str], variables: Mapping[str, str]) -> float:
    """Return the processor seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(arguments, variables)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(figures: Sequence[Figure], repeats: int) -> None:
    """Run all processes in turn, so many times; first those that find kernels, unmeasured.

    Each time is written to standard error as it is taken: whole rounds take minutes.

    Parameters
    ----------
    figures : sequence of Figure
        Their commands get the times.
    repeats : int
        Measured rounds.
    """
    commands = list({id(c): c for figure in figures for c in figure.commands}.values())
    with tempfile.TemporaryDirectory() as kept:
        for turn in range(-1, repeats):
            for command in commands:
                if turn < 0 and command.empty_cache:
                    continue
                with tempfile.TemporaryDirectory() as empty:
                    cache = empty if command.empty_cache else kept
                    start = perf_counter()
                    _run(command.arguments, environment(cache))
                    seconds = perf_counter() - start
                if turn >= 0:
                    command.seconds.append(seconds)
                words = " ".join(" ".join(command.arguments).split())
                cold = ", no kernels on disk" if command.empty_cache else ""
                print(f"{seconds:.3f} s{cold}: {words[-100:]}", file=sys.stderr, flush=True)


def environment(cache: str) -> Mapping[str, str]:
    """Make the environment of a process: its kernel cache, and bytecode as usual.

    Parameters
    ----------
    cache : str
        Folder for compiled kernels.

    Returns
    -------
    mapping of str to str
        This process's environment with the two changes.
    """
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return kept | {CACHE_VARIABLE: cache}


def _run(
    arguments: Sequence[str], variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a process; end with its message if it fails."""
    done = subprocess.run(
        arguments,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        command = " ".join(arguments)
        message = f"{command}\nended with code {done.returncode}:\n{done.stderr}"
        raise SystemExit(message)
    return done


def demo_imports(package: str) -> list[str]:
    """List the modules of a package that ``gradstep demo`` imports.

    Parameters
    ----------
    package : str
        The package's name.

    Returns
    -------
    list of str
        Empty if it stays away from the package.
    """
    command, *arguments = gradstep("demo")
    interpreter = [sys.executable, "-X", "importtime"]
    if command != sys.executable:
        arguments = [command, *arguments]
    with tempfile.TemporaryDirectory() as cache:
        trace = _run([*interpreter, *arguments], environment(cache)).stderr
    modules = [line.rpartition("|")[2].strip() for line in trace.splitlines()]
    return [name for name in modules if name.partition(".")[0] == package]


def main(
    *,
    repeats: Annotated[int, typer.Option(min=1, help="Measured runs of each.")] = 5,
    quick: Annotated[bool, typer.Option(help="One measured run of each.")] = False,
    out: Annotated[Path | None, typer.Option("--json", help="Results are written here.")] = None,
    markdown: Annotated[bool, typer.Option(help="Print Markdown.")] = False,
    flights: Annotated[
        bool, typer.Option("--flights", help="Time first commands on the flights alone.")
    ] = False,
    processor: Annotated[
        bool, typer.Option("--compiling", help="Processor seconds of what these compile.")
    ] = False,
) -> None:
    """Time imports, the command line and first fits in fresh interpreters."""
    repeats = 1 if quick else repeats
    if processor:
        with tempfile.TemporaryDirectory() as folder:
            print_grids([compiling(Path(folder))], markdown=markdown)
        return
    with tempfile.TemporaryDirectory() as folder:
        lines = first_commands(Path(folder)) if flights else figures()
        measure(lines, repeats)
    header = ["figure", "asked for", "measured", "least to most", "result"]
    grid = Grid("From nothing to a result: median seconds", header)
    grid.rows = [figure.row() for figure in lines]
    found = demo_imports("sklearn")
    result = "MISSED" if found else "met"
    grid.rows.append(
        ["scikit-learn modules in gradstep demo", "0", str(len(found)), "", result],
    )
    grid.notes = [
        f"whole processes, {repeats} rounds in turn; those with kernels on disk ran once before"
    ]
    machine = describe_machine()
    facts = Grid("Measured on", list(machine), [list(machine.values())])
    if out is not None:
        write_grids(out, [grid], machine)
    print_grids([facts, grid], markdown=markdown)


if __name__ == "__main__":
    typer.run(main)
