"""Processes that compile, while the table is read, the kernels that a run will probably call.

On a machine without the kernels a first run would read the table, then compile for longer than it
trains. So what it will call is guessed from the options and the head of the table, before it is
read, and two processes compile it into the cache: one the largest kernel, the other the rest
(`gradstep.engine.automatic.warm_up` has their calls). The run takes from the cache what it needs,
and waits for what is being compiled (`gradstep.claims`). A wrong guess costs some seconds of idle
processors; busy ones are left alone.

Nothing is started where such a run has been before: a mark in the cache says so. The processes end
with the run, however it ends: they watch a pipe whose other end it holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradstep.cache_folder import mark, private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["WANTED", "Guess", "compiling_ahead", "guess_of"]

WANTED = "GRADSTEP_COMPILE_AHEAD"  # "0": no process is ever started
# Rows, and bytes, of a table that are read for the guess.
_HEAD_ROWS, _HEAD_BYTES = 200, 1 << 16
# Size of a file from which Hessians are probably taken from samples.
_SAMPLED_BYTES = 4_000_000
# Load per core above which no process is started: more of them would only wait for one another.
_BUSY = 1.25
# Time that such a process may take.
_MOST_SECONDS = 300.0
_PARTS = ("evaluations", "others")
_CODE = "from gradstep.fit.compile_ahead import work; work()"


@dataclass(frozen=True)
class Guess:
    """What the types that kernels are compiled for depend on.

    Attributes
    ----------
    loss : str
        Name of the loss.
    classes : int
        Number of classes of the target, 3 standing for more than two; 0 if it is a number.
    coded : bool
        Whether rows have categories.
    single : bool
        Whether numbers are float32.
    l1 : bool
        Whether the penalty has an l1 part.
    sampled : bool
        Whether there are many rows.
    """

    loss: str
    classes: int
    coded: bool
    single: bool
    l1: bool
    sampled: bool


def guess_of(table: str, target: str, loss: str | None, asked: Mapping[str, Any]) -> Guess | None:
    """Guess the types of a run from the head of its table; None if that cannot be read simply.

    Parameters
    ----------
    table : str
        A path; nothing is guessed of other tables.
    target : str
        The column to predict.
    loss : str, optional
        The loss that was asked for.
    asked : mapping
        Options of `fit_table`: `penalty`, `task`, `drop`, `only`.
    """
    head = _head(Path(table))
    if head is None or target not in head.columns:
        return None
    own, y = head.drop(target), head[target].drop_nulls()
    only = asked.get("only") or own.columns
    own = own.select([c for c in own.columns if c in only and c not in (asked.get("drop") or ())])
    kinds = [dtype for dtype in own.schema.values() if not dtype.is_numeric()]
    numbers = [dtype for dtype in own.schema.values() if dtype.is_numeric()]
    two = y.dtype.is_numeric() and y.n_unique() == 2
    of_numbers = y.dtype.is_numeric() and not two
    task = asked.get("task", "auto")
    classes = 0 if of_numbers and task != "classification" else min(max(y.n_unique(), 2), 3)
    return Guess(
        loss=loss or ("log_loss" if classes else "squared_error"),
        classes=classes if loss is None or _is_of_classes(loss) else 0,
        coded=any(str(dtype) != "Boolean" for dtype in kinds),
        single=bool(numbers) and all(str(dtype) == "Float32" for dtype in numbers),
        l1=asked.get("penalty") in {"l1", "elasticnet"},
        sampled=Path(table).stat().st_size >= _SAMPLED_BYTES,
    )


def _is_of_classes(loss: str) -> bool:
    from gradstep.fit.components import CLASSIFICATION_LOSSES, REGRESSION_LOSSES

    return loss in CLASSIFICATION_LOSSES and loss not in REGRESSION_LOSSES


def _head(path: Path) -> Any:
    """Return the first rows of a file, types as they look; None if that is not simple."""
    import polars as pl

    from gradstep.data.sources.text_files import MISSING

    suffix = path.suffix.lower() if path.is_file() else ""
    with suppress(OSError, pl.exceptions.PolarsError):
        if suffix in {".csv", ".tsv"}:
            with path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
            if len(head) == _HEAD_BYTES:
                head = head[: head.rfind(b"\n") + 1]
            return pl.read_csv(
                head, separator="\t" if suffix == ".tsv" else ",", n_rows=_HEAD_ROWS,
                infer_schema_length=_HEAD_ROWS, null_values=list(MISSING), try_parse_dates=True,
                truncate_ragged_lines=True, encoding="utf8-lossy",
            )  # fmt: skip
        if suffix in {".parquet", ".pq"}:
            return pl.scan_parquet(path).head(_HEAD_ROWS).collect()
    return None


@contextmanager
def compiling_ahead(guess: Guess | None) -> Iterator[None]:
    """Compile, within this context, what a run will probably call, unless that is in the cache.

    Parameters
    ----------
    guess : Guess or None
        What the run will probably be like.
    """
    known = None if guess is None else _mark_of(guess)
    if guess is None or known is None or known.exists():
        yield
        return
    with _processes(guess):
        yield
    with suppress(OSError):  # from now on, a run like this finds all its kernels
        known.touch()


def _mark_of(guess: Guess) -> Path | None:
    """Return the file that marks such a run as done; None if nothing should be compiled ahead."""
    cores = os.cpu_count() or 1
    unwanted = os.environ.get(WANTED, "1") == "0" or cores < 2
    if (
        unwanted
        or os.getloadavg()[0] > _BUSY * cores
        or os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
    ):
        return None
    package = Path(__file__).parents[1]
    sources = sorted(package.rglob("*.py"))
    made = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    numba = [f"{name}={os.environ[name]}" for name in sorted(os.environ) if "NUMBA" in name]
    versions = [version(name) for name in ("numba", "llvmlite", "numpy")]
    key = repr((asdict(guess), made, numba, versions, sys.version))
    try:
        folder = private_folder("kernels", "marks")
        mark(folder)
    except OSError:
        return None
    return folder / hashlib.sha256(key.encode()).hexdigest()[:24]


@contextmanager
def _processes(guess: Guess) -> Iterator[None]:
    """Run the processes, which end with the block."""
    started: list[subprocess.Popen[bytes]] = []
    reading, writing = os.pipe()  # closed for good when this process ends, even if it is killed
    try:
        for part in _PARTS:
            with suppress(OSError):  # no more processes: the run compiles by itself
                started.append(
                    subprocess.Popen(  # noqa: S603  (ourselves)
                        [sys.executable, "-c", _CODE, part, json.dumps(asdict(guess))],
                        stdin=reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                        start_new_session=True,  # Ctrl-C is not for them
                    )
                )  # fmt: skip
        os.close(reading)
        yield
    finally:
        os.close(writing)
        for process in started:
            process.kill()
            process.wait()


# ------------------------------------------------------------------ in the process


def work() -> None:
    """Compile one part; the main function of a process."""
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    from gradstep.jit import folder_brought  # imports Numba

    part, guess = sys.argv[1], Guess(**json.loads(sys.argv[2]))
    if folder_brought() is None:  # else what first runs call came with the package
        compile_part(part, guess)
    os._exit(0)


def _end_with_the_run() -> None:
    """End the process once nobody holds the other end of its stdin, or it takes too long."""
    threading.Timer(_MOST_SECONDS, os._exit, [1]).start()
    os.read(0, 1)
    os._exit(1)


def compile_part(part: str, guess: Guess) -> None:
    """Compile a part of what a run calls: "evaluations" or "others"."""
    import numpy as np

    from gradstep.engine.automatic.warm_up import compile_evaluations, compile_others
    from gradstep.fit.components import LOSSES, loss_of
    from gradstep.inference.sums import ScoreProducts
    from gradstep.objective.classification import for_classes
    from gradstep.rows.dataset import Dataset
    from gradstep.rows.layouts import DenseRows, TableRows

    loss = loss_of(guess.loss, {"epsilon": 0.1, "quantile": 0.5, "power": 1.5}, LOSSES)
    if guess.classes:
        loss = for_classes(loss, guess.classes)
    k = guess.classes if guess.classes > 2 else 1
    rows: Any = DenseRows(np.zeros((4, 2), np.float32 if guess.single else np.float64))
    if guess.coded:
        rows = TableRows(rows.values, np.full((4, 2), 2, np.int32), 3)
    data = Dataset(rows, np.ones((4, 1)))
    if part == "evaluations":
        compile_evaluations(loss, data, k)
    else:
        compile_others(loss, data, k, l1=guess.l1, sampled=guess.sampled)
        if not guess.l1:  # with l1 there are no standard errors
            p = data.rows.n_features
            ScoreProducts(loss, k, np.zeros(k * (p + 1)), k, np.zeros(p), np.ones(p))(data)
