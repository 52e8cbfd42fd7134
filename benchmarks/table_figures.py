"""What is asked of tables: Parquet, CSV, categories, and rows sorted by their label.

Every figure is a function from a `Bench` to a `Report`. Both sides run in this one process
(Vowpal Wabbit in one of its own, as warm), in turn; drawing and writing the tables, and judging
the models that come out, is off the clock.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from math import sqrt
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

import gradstep
from benchmarks import table_data as data
from benchmarks.startup import gradstep as command_line
from benchmarks.turns import ABSENT, PERCENT, Asked, Line, Report, Side, Turn, compare, take_turns
from benchmarks.vowpal import VowpalWabbit, command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from gradstep.fit.table import TableFit
    from gradstep.model.model import Model

EPOCHS = 5
SAMPLE_ROWS = 100_000  # of which the error is computed
PEER_RATE = 1e-3  # stable for rows of 20 standard normal numbers, one at a time
CHUNK_ROWS = 100_000
# Vowpal Wabbit as plain SGD at a constant rate: less arithmetic than its adaptive steps.
PLAIN = ("--sgd", "--learning_rate", str(PEER_RATE), "--power_t", "0")

PARQUET_ROWS = 5_000_000
CSV_ROWS = 500_000
MIXED_ROWS = 200_000
SORTED_ROWS = 1_000_000
BATCHES = (64, 256)
LATER_EPOCHS = 5
MIXED_EPOCHS = 20  # beyond the first: enough for the set-up of a fit to vanish in them


@dataclass(frozen=True)
class Bench:
    """How to measure, and where.

    Attributes
    ----------
    folder : Path
        Empty, for tables; deleted by who made it.
    divisor : int
        What all numbers of rows are divided by.
    repeats : int
        Measured rounds.
    vw : str
        Interpreter that has ``vowpalwabbit``.
    say : callable
        Is given lines of progress.
    """

    folder: Path
    divisor: int
    repeats: int
    vw: str
    say: Callable[[str], None]

    def rows(self, full: int) -> int:
        """Rows of a table that has so many at full size."""
        return full // self.divisor


@dataclass
class Sample:
    """Some rows on which models are judged."""

    frame: pl.DataFrame
    y: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.y = self.frame[data.TARGET].cast(pl.Float64).to_numpy()

    def array(self) -> NDArray[np.float64]:
        """Return the features as an array."""
        return self.frame.drop(data.TARGET).cast(pl.Float64).to_numpy()

    def error(self, predicted: NDArray[Any]) -> float:
        """Return the root mean squared error of predictions."""
        return sqrt(float(np.mean((predicted - self.y) ** 2)))

    def of_model(self, model: Model) -> Callable[[], float]:
        """Return what gives the error of a model of tables."""
        return lambda: self.error(model.predict(self.frame))

    def of_estimator(self, estimator: Any) -> Callable[[], float]:
        """Return what gives the error of an estimator of arrays."""
        return lambda: self.error(estimator.predict(self.array()))


def sgd_regressor(**options: Any) -> Any:
    """Make scikit-learn's SGD with a small constant rate."""
    from sklearn.linear_model import SGDRegressor

    settings: dict[str, Any] = {
        "learning_rate": "constant",
        "eta0": PEER_RATE,
        "tol": None,
        "random_state": 0,
    }
    return SGDRegressor(**settings, **options)


# --------------------------------------------------------------------------- Parquet


def parquet(bench: Bench) -> Report:
    """Prepare and train on 5,000,000 × 20 float32, beside Polars and scikit-learn."""
    rows = bench.rows(PARQUET_ROWS)
    path = bench.folder / "linear.parquet"
    bench.say(f"parquet: writing {rows:,} rows")
    data.write_parquet(path, rows)
    sample = Sample(pl.read_parquet(path, n_rows=SAMPLE_ROWS))

    def prepare_and_train() -> Turn:
        start = perf_counter()
        prepared = gradstep.prepare(path, data.TARGET, validation=0.0)
        middle = perf_counter()
        fit = gradstep.fit_table(prepared, max_iter=EPOCHS, tol=None)
        end = perf_counter()
        epochs = sum(record.seconds for record in fit.history)
        parts = {"prepare": middle - start, "epochs": epochs, "rest": end - middle - epochs}
        return Turn(parts, sample.of_model(fit.model))

    def read_and_fit() -> Turn:
        start = perf_counter()
        frame = pl.read_parquet(path)
        y = frame[data.TARGET].to_numpy()
        X = frame.drop(data.TARGET).to_numpy(order="c")
        middle = perf_counter()
        model = sgd_regressor(max_iter=EPOCHS).fit(X, y)
        end = perf_counter()
        return Turn({"read": middle - start, "fit": end - middle}, sample.of_estimator(model))

    ours = Side("gradstep on Parquet", prepare_and_train)
    theirs = Side("Polars, then SGDRegressor", read_and_fit)
    take_turns([ours, theirs], bench.repeats, bench.say)
    what = f"{rows:,} × {data.FEATURES} Parquet: prepare and fit, beside {EPOCHS} epochs"
    report = Report([compare(what, Asked("≥", 4.0), ours, theirs)], [ours, theirs])
    _later_epochs(bench, path, report)
    path.unlink()
    return report


def _later_epochs(bench: Bench, path: Path, report: Report) -> None:
    """Compare epochs from a prepared folder with epochs on the same rows as an array."""
    from gradstep import MiniBatchRegressor

    folder = bench.folder / "linear"
    gradstep.prepare(path, data.TARGET, validation=0.0, out=folder)
    frame = pl.read_parquet(path)
    y = frame[data.TARGET].cast(pl.Float64).to_numpy()
    X = frame.drop(data.TARGET).to_numpy(order="c")
    sample = Sample(frame.head(SAMPLE_ROWS))
    del frame
    settings: dict[str, Any] = {"learning_rate": "adaptive", "tol": None, "batch_size": 64}

    def from_folder() -> Turn:
        prepared = gradstep.open_prepared(folder)
        fit = gradstep.fit_table(prepared, max_iter=1 + LATER_EPOCHS, **settings)
        return Turn(_later(fit.history), sample.of_model(fit.model))

    def from_memory() -> Turn:
        model = MiniBatchRegressor(max_iter=1 + LATER_EPOCHS, shuffle="exact", **settings)
        model.fit(X, y)
        return Turn(_later(model.history_), sample.of_estimator(model))

    disk = Side("gradstep, later epochs from a folder", from_folder)
    memory = Side("gradstep, later epochs on an array", from_memory)
    take_turns([disk, memory], bench.repeats, bench.say)
    what = "rows a second of its later epochs, from the folder, of those on an array"
    report.lines.append(compare(what, Asked("≥", 0.8), disk, memory, PERCENT))
    slowest = [
        sum(there.values()) / len(there) / max(here.values())
        for here, there in zip(disk.rounds, memory.rounds, strict=True)
    ]
    report.lines.append(Line("  the slowest of them in each round", None, slowest, PERCENT))
    report.sides += [disk, memory]
    shutil.rmtree(folder)


def _later(history: list[Any]) -> dict[str, float]:
    return {f"epoch {record.epoch}": record.seconds for record in history[1:]}


# --------------------------------------------------------------------------- CSV


def csv(bench: Bench) -> Report:
    """Train on 500,000 × 20 CSV, beside Vowpal Wabbit and chunks of pandas."""
    rows = bench.rows(CSV_ROWS)
    path, own = bench.folder / "linear.csv", bench.folder / "linear.vw"
    bench.say(f"csv: writing {rows:,} rows")
    data.write_csv(path, rows)
    data.write_vw(path, own)
    sample = Sample(pl.read_csv(path, n_rows=SAMPLE_ROWS))

    def train() -> Turn:
        start = perf_counter()
        fit = gradstep.fit_table(path, data.TARGET, max_iter=EPOCHS, tol=None, validation=0.0)
        seconds = perf_counter() - start
        return Turn(_parts(fit, seconds), sample.of_model(fit.model))

    def partial_fit() -> Turn:
        import pandas as pd

        model = sgd_regressor()
        reading, start = 0.0, perf_counter()
        for _ in range(EPOCHS):
            begin = perf_counter()
            for chunk in pd.read_csv(path, chunksize=CHUNK_ROWS):
                reading += perf_counter() - begin
                model.partial_fit(
                    chunk.drop(columns=data.TARGET).to_numpy(), chunk[data.TARGET].to_numpy()
                )
                begin = perf_counter()
        seconds = perf_counter() - start
        return Turn({"read": reading, "fit": seconds - reading}, sample.of_estimator(model))

    ours = Side("gradstep on CSV", train)
    with VowpalWabbit(bench.vw) as wabbit:

        def passes(*options: str) -> Callable[[], Turn]:
            def run() -> Turn:
                seconds = wabbit.train(own, EPOCHS, data.FEATURES, options)
                predicted = sample.array() @ wabbit.weights + wabbit.intercept
                return Turn({"train": seconds}, lambda: sample.error(predicted))

            return run

        rivals = [
            Side("Vowpal Wabbit", passes(), wabbit.missing),
            Side("Vowpal Wabbit --sgd", passes(*PLAIN), wabbit.missing),
            Side("pandas chunks, partial_fit", partial_fit),
        ]
        take_turns([ours, *rivals], bench.repeats, bench.say)
    what = f"{rows:,} × {data.FEATURES} CSV: prepare and fit, warm, beside "
    asked = Asked("≥", 3.0)
    lines = [compare(what + rival.name, asked, ours, rival) for rival in rivals]
    whole = _command("gradstep train, the command", _train_command(path))
    its_whole = _command(
        "Vowpal Wabbit, the command", command(bench.vw, own, EPOCHS), wabbit.missing
    )
    take_turns([whole, its_whole], bench.repeats, bench.say)
    lines.append(compare("  the whole commands, each writes a model", None, whole, its_whole))
    for file in (path, own, own.with_suffix(".cache")):
        file.unlink(missing_ok=True)
    note = (
        f"Vowpal Wabbit {wabbit.version or ABSENT}: -c -k --passes {EPOCHS} --holdout_off, so that "
        f"it learns from all rows, too; --sgd stands for {' '.join(PLAIN)}"
    )
    return Report(lines, [ours, *rivals, whole, its_whole], [note])


def _parts(fit: TableFit, seconds: float) -> dict[str, float]:
    epochs = sum(record.seconds for record in fit.history)
    preparing = fit.seconds["preparing"]
    return {"prepare": preparing, "epochs": epochs, "rest": seconds - preparing - epochs}


def _train_command(path: Path) -> list[str]:
    return command_line(
        *("train", str(path), "--target", data.TARGET, "--validation", "0"),
        *(
            "--max-iter",
            str(EPOCHS),
            "--tol",
            "none",
            "--no-cache",
            "--model",
            str(path.with_suffix(".safetensors")),
        ),
    )


def _command(name: str, arguments: list[str], skipped: str = "") -> Side:
    """Make a side that is a whole process."""

    def run() -> Turn:
        start = perf_counter()
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        seconds = perf_counter() - start
        if done.returncode:
            message = f"{' '.join(arguments)}\nended with code {done.returncode}:\n{done.stderr}"
            raise SystemExit(message)
        return Turn({"process": seconds})

    return Side(name, run, skipped)


# --------------------------------------------------------------------------- categories


def mixed(bench: Bench) -> Report:
    """Time an epoch on numbers and categories, beside scikit-learn on one-hot CSR."""
    rows = bench.rows(MIXED_ROWS)
    bench.say(f"mixed: drawing {rows:,} rows")
    table = data.mixed(rows)
    prepared = gradstep.prepare(table.frame, data.TARGET, validation=0.0)
    sample = Sample(table.frame.head(SAMPLE_ROWS))
    hot = table.X[: len(sample.y)]
    later = MIXED_EPOCHS

    def ours(batch: int) -> Side:
        def run() -> Turn:
            fit = gradstep.fit_table(
                prepared, max_iter=1 + later, tol=None, batch_size=batch, optimizer="sgd",
                learning_rate="adaptive",
            )  # fmt: skip
            epoch = sum(_later(fit.history).values()) / later
            return Turn({"an epoch": epoch}, sample.of_model(fit.model))

        return Side(f"gradstep on a mixed table, batch {batch}", run)

    def fits() -> Turn:
        # Its checks and set-up are no part of an epoch: a fit of one epoch is taken off.
        epoch = 0.0
        while epoch <= 0.0:  # a pause of the machine during the shorter fit: again
            start = perf_counter()
            sgd_regressor(max_iter=1).fit(table.X, table.y)
            middle = perf_counter()
            model = sgd_regressor(max_iter=1 + later).fit(table.X, table.y)
            epoch = (perf_counter() - middle - (middle - start)) / later
        return Turn({"an epoch": epoch}, lambda: sample.error(model.predict(hot)))

    theirs = Side("SGDRegressor on one-hot CSR", fits)
    sides = [ours(batch) for batch in BATCHES]
    take_turns([*sides, theirs], bench.repeats, bench.say)
    lines = [
        compare(f"{rows:,} mixed rows, batch {b}: an epoch", Asked("≥", 4.0), side, theirs)
        for b, side in zip(BATCHES, sides, strict=True)
    ]
    return Report(lines, [*sides, theirs])


# --------------------------------------------------------------------------- order


def by_label(bench: Bench) -> Report:
    """Compare the losses of a table sorted by its label and of the same table shuffled."""
    rows = bench.rows(SORTED_ROWS)
    bench.say(f"sorted: drawing {rows:,} rows")
    shuffled = data.labelled(rows)
    tables = {"shuffled": shuffled, "sorted": shuffled.sort(data.LABEL, maintain_order=True)}
    report = Report(notes=["sorted: each round has a seed of its own; losses of the last"])
    # Stopped early at a full rate, the weights remember the order of the last rows.
    ways: dict[str, dict[str, Any]] = {
        "to the end": {}, "of 2 epochs": {"max_iter": 2, "tol": None},
    }  # fmt: skip
    for way, settings in ways.items():
        apart, losses = [], dict.fromkeys(tables, 0.0)
        for seed in range(bench.repeats):
            for name, table in tables.items():
                fit = gradstep.fit_table(
                    table, data.LABEL, validation=0.0, random_state=seed, **settings
                )
                losses[name] = float(gradstep.evaluate(fit.model, shuffled)["log_loss"])
                epochs = len(fit.history)
                bench.say(f"{name}: seed {seed}, {epochs} epochs, loss {losses[name]:.6f}")
            apart.append(abs(losses["sorted"] / losses["shuffled"] - 1.0))
        what = f"{rows:,} rows sorted by label, fit {way}: loss, apart from shuffled"
        told = [f"loss {losses[name]:.6f}" for name in ("sorted", "shuffled")]
        asked = None if settings else Asked("<", 0.001)
        report.lines.append(Line(what, asked, apart, PERCENT, *told))
    return report
