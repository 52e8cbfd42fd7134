"""The runs that are killed, and what is looked at after each kill."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gradstep.engine.checkpoint_folder import CheckpointFolder, Content
from gradstep.errors import InvalidCheckpoint
from tests.crash.processes import started

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["JOBS", "Count", "Job", "trial", "write_tables"]

# Each method, step by step or lazily, one run or several, and how often it is written down.
ALL = ("--tol", "none")  # epochs are run
JOBS: tuple[tuple[str, ...], ...] = (
    ("--target", "fare", "--optimizer", "adam", "--batch-size", "64", "--max-iter", "12", *ALL,
     "--checkpoint-every", "30steps"),
    ("--target", "fare", "--optimizer", "sgd", "--penalty", "l1", "--max-iter", "25",
     "--as", "zone=hash:12", "--checkpoint-every", "50steps"),
    ("--target", "claims", "--loss", "poisson", "--as", "zone=hash:12", "--max-iter", "25", *ALL,
     "--penalty", "l1", "--checkpoint-every", "1epochs"),
    ("--target", "kind", "--optimizer", "momentum", "--learning-rate", "0.01", "--max-iter", "8",
     *ALL, "--batch-size", "128", "--checkpoint-every", "40steps"),
    ("--target", "paid", "--optimizer", "adagrad", "--max-iter", "3", *ALL,
     "--batch-size", "256", "--checkpoint-every", "25steps"),
)  # fmt: skip
_ROWS = 6_000
_KILLS = 8  # of a run, at most
_LIMIT = 1200.0  # seconds for a run that nobody kills, and that compiles, on a busy machine
# Seconds after which a run removes what another one has left (`gradstep.files`), and some more.
_GRACE = 1.5


def write_tables(home: Path) -> None:
    """Write the table that all are trained on."""
    rng = np.random.default_rng(0)
    km, hour = rng.gamma(2.0, 3.0, _ROWS), rng.integers(0, 24, _ROWS).astype(float)
    hour[rng.random(_ROWS) < 0.05] = np.nan
    zone = rng.integers(0, 90, _ROWS)  # more would be a minute of standard errors
    score = 0.2 * km + 0.02 * np.nan_to_num(hour) - 1.0
    pl.DataFrame({
        "km": km,
        "hour": pl.Series(hour).fill_nan(None),
        "zone": [f"z{z}" for z in zone],
        "fare": 3.0 + 2.5 * km + 0.01 * zone + rng.normal(size=_ROWS),
        "claims": rng.poisson(np.exp(0.1 * km - 1.0)),
        "paid": np.where(rng.random(_ROWS) < 1.0 / (1.0 + np.exp(-score)), "yes", "no"),
        "kind": np.array(["a", "b", "c"])[(score + rng.normal(size=_ROWS) > 0.0).astype(int)
                                          + (rng.random(_ROWS) < 0.3)],
    }).write_csv(home / "table.csv")  # fmt: skip


def _command(home: Path, place: Path, number: int, *, checkpoint: bool = True) -> list[str]:
    asked = JOBS[number]
    kept = ["--checkpoint", str(place / "run"), "--resume"]
    if not checkpoint:
        asked, kept = asked[:-2], []
    return [
        "train", str(home / "table.csv"), *asked, *kept,
        "--cache", str(place / "cache"), "--model", str(place / "model"), "--json",
    ]  # fmt: skip


def _to_the_end(command: list[str], place: Path) -> dict[str, Any]:
    """Return what the run tells; ValueError if it fails."""
    out = place.with_suffix(".out")
    process = started(command, out)
    process.join(_LIMIT)
    text = out.read_text(encoding="utf-8")
    if process.exitcode != 0:
        process.kill()
        msg = f"exit status {process.exitcode}: {text}"
        raise ValueError(msg)
    told: dict[str, Any] = json.loads(text)
    return told


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Job:
    """A run, the model that it must come to, and when it first is written down, and that is."""

    number: int
    sha256: str
    to_training: float
    to_model: float

    @classmethod
    def measured(cls, home: Path, number: int) -> Job:
        """Run it to the end without a checkpoint, and with."""
        place = home / f"whole-{number}"
        _to_the_end(_command(home, place, number, checkpoint=False), place)  # compiles, too
        digest = _sha256(place / "model")
        place = home / f"checkpointed-{number}"
        began, first, last = time.perf_counter(), 0.0, 0.0
        process = started(_command(home, place, number), place.with_suffix(".out"))
        while process.exitcode is None:
            now = time.perf_counter() - began
            if not first and CheckpointFolder(place / "run").files():
                first = now
            if not last and (place / "model").exists():
                last = now
            time.sleep(0.002)
        if process.exitcode or _sha256(place / "model") != digest:
            msg = f"{JOBS[number]} comes to another model with --checkpoint, without a kill"
            raise AssertionError(msg)
        return cls(number, digest, first, max(first, last))


@dataclass
class Count:
    """What has come of all trials; shared by threads."""

    asked: int
    kills: int = 0
    found: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *names: str) -> None:
        """Count something."""
        with self._lock:
            self.found.update(names)

    def take_kill(self) -> bool:
        """Count a kill, if it is not one more than was asked for."""
        with self._lock:
            wanted = self.kills < self.asked
            self.kills += wanted
            return wanted

    def fail(self, what: str) -> None:
        """Note what must not happen."""
        with self._lock:
            self.wrong.append(what)

    @property
    def is_good(self) -> bool:
        """Whether every model was the same, and nothing else was wrong."""
        return not self.wrong and self.found["models"] == self.found["identical"] > 0

    def __str__(self) -> str:
        of = self.found
        text = (
            f"{self.kills} kills: {of['starting']} before the first checkpoint, "
            f"{of['training']} after, {of['written']} once the model was there\n"
            f"{of['models']} models: {of['identical']} identical, "
            f"{of['went on']} of runs that went on from a checkpoint\n"
            f"{of['read']} checkpoints looked at: {of['unreadable']} unreadable\n"
            f"{of['left']} files left over"
        )
        return "\n".join([text, *self.wrong])


def trial(home: Path, job: Job, count: Count, seed: tuple[int, int]) -> None:
    """Kill a run some times, let it end, and look at what it has come to."""
    rng = np.random.default_rng(seed)
    place = home / f"trial-{seed[1]}"
    command = _command(home, place, job.number)
    left = job.to_model - job.to_training
    for _ in range(int(rng.integers(1, _KILLS + 1))):
        # a quarter before training: most of it in the last moments, where the table is prepared
        training = rng.random() < 3 / 4
        low = max(0.0, job.to_training - 0.4) * (rng.random() < 0.8)
        after = rng.uniform(0.0, left) if training else rng.uniform(low, job.to_training)
        if not _killed(command, float(after), place, wait=training):
            break
        left -= after if training else 0.0
        if not count.take_kill():
            break
        _look(place, job, count)
    time.sleep(_GRACE)
    try:
        told = _to_the_end(command, place)
    except ValueError as error:
        count.fail(f"trial {seed}: {error}")
        return
    count.add("models", *(["went on"] if told["went_on"] else []))
    if _sha256(place / "model") == job.sha256:
        count.add("identical")
    else:
        count.fail(f"trial {seed}: {JOBS[job.number]} came to another model")
    _look_for_rest(place, count, seed)


def _killed(command: list[str], after: float, place: Path, *, wait: bool) -> bool:
    """Run for some seconds, then kill; tell whether it was still running.

    With `wait` the seconds are from the next checkpoint in its folder on.
    """
    run = CheckpointFolder(place / "run")
    before = run.files()
    process = started(command, place.with_suffix(".out"))
    while wait and run.files()[:1] == before[:1]:
        if process.exitcode is not None:
            break
        time.sleep(0.001)
    process.join(after)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def _look(place: Path, job: Job, count: Count) -> None:
    """Look at what a kill has left: all that has its name must be whole."""
    files = CheckpointFolder(place / "run").files()
    for path in files:
        count.add("read")
        try:
            Content.read(path)
        except InvalidCheckpoint as error:
            count.add("unreadable")
            count.fail(str(error))
    if (place / "model").exists():
        count.add("written")
        if _sha256(place / "model") != job.sha256:
            count.fail(f"{place / 'model'} was there, and another")
    else:
        count.add("training" if files else "starting")


def _look_for_rest(place: Path, count: Count, seed: tuple[int, int]) -> None:
    """Look for files that a killed process has left, and that the last one has not removed."""
    names = [str(path.relative_to(place)) for path in place.rglob("*")]
    tables = [name for name in names if name.endswith("meta.json")]
    left = [name for name in names if ".part" in name]
    if names and len(tables) > 1:
        left.append("a second prepared table")
    if len(CheckpointFolder(place / "run").files()) != 1:
        left.append("not one checkpoint")
    count.found["left"] += len(left)
    if left:
        count.fail(f"trial {seed}: left {', '.join(left)}")


warnings.simplefilter("error")
