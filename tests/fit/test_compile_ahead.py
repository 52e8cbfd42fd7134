"""What a run will call is compiled by processes of their own, and they end with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gradstep.fit import compile_ahead
from gradstep.fit.compile_ahead import Guess, compiling_ahead, guess_of

TRIPS = pl.DataFrame({
    "km": [1.0, 2.5, 4.0] * 20,
    "by": ["car", "bus", "tram"] * 20,
    "late": ["no", "yes"] * 30,
    "flag": [0, 1] * 30,
    "fare": np.arange(60.0),
})  # fmt: skip
PLAIN = Guess("squared_error", 0, coded=True, single=False, l1=False, sampled=False)
# A run that is killed while its processes are there; they do nothing but watch it.
KILLED = """
import os, signal
from gradstep.fit import compile_ahead
compile_ahead._CODE = "from gradstep.fit.compile_ahead import _end_with_the_run as watch; watch()"
guess = compile_ahead.Guess("huber", 0, True, False, False, False)
with compile_ahead._processes(guess):
    print(os.getpid(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
# Compiles ahead, then runs the command line; prints which kernels each asks the cache for.
ASKED_FOR = """
import contextlib, os, sys
from gradstep import jit
from gradstep.fit.compile_ahead import Guess, _PARTS, compile_part
asked, load = [], jit.KernelCache.load_overload
def load_overload(self, *of):
    asked.append(self._function.__name__)
    return load(self, *of)
jit.KernelCache.load_overload = load_overload
for part in _PARTS:
    compile_part(part, eval(sys.argv[1]))
print(*asked)
asked.clear()
del sys.argv[1]
from gradstep.cli.main import main
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    with contextlib.suppress(SystemExit):
        main()
print(*asked)
"""


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Return the processes that are started, in place of which nothing is."""
    found = []

    class Process:
        def __init__(self, command, **_):
            found.append([*command, "runs"])

        def kill(self):
            found[-1][-1] = "killed"

        def wait(self):
            pass

    monkeypatch.setattr(compile_ahead.subprocess, "Popen", Process)
    monkeypatch.setattr(compile_ahead.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(compile_ahead.os, "getloadavg", lambda: (0.5, 0.5, 0.5))
    monkeypatch.setenv("GRADSTEP_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv(compile_ahead.WANTED, "1")
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    return found


class TestTheGuess:
    @pytest.mark.parametrize(
        "target, loss, asked, expected",
        [
            ("fare", None, {}, {}),
            ("fare", "huber", {}, {"loss": "huber"}),
            ("late", None, {}, {"loss": "log_loss", "classes": 2}),
            ("by", None, {}, {"loss": "log_loss", "classes": 3}),
            ("flag", None, {}, {"loss": "log_loss", "classes": 2}),
            ("flag", "poisson", {}, {"loss": "poisson"}),
            ("fare", None, {"only": ["km"]}, {"coded": False}),
            ("fare", None, {"drop": ["by", "late"]}, {"coded": False}),
            ("fare", None, {"penalty": "l1"}, {"l1": True}),
            ("fare", None, {"exposure": "km"}, {}),
        ],
    )
    @pytest.mark.parametrize("ending", ["csv", "parquet"])
    def test_is_what_the_run_is_like(self, tmp_path, target, loss, asked, expected, ending):
        path = tmp_path / f"trips.{ending}"
        getattr(TRIPS, f"write_{ending}")(path)
        found = guess_of(str(path), target, loss, asked)
        assert vars(found) == {**vars(PLAIN), **expected}

    def test_is_none_where_nothing_is_seen(self, tmp_path):
        (tmp_path / "bad.parquet").write_bytes(b"no")
        for name in ("none.csv", "bad.parquet", "*.csv", "t.csv.gz", "-"):
            assert guess_of(str(tmp_path / name), "fare", None, {}) is None
        TRIPS.write_csv(tmp_path / "t.csv")
        assert guess_of(str(tmp_path / "*.csv"), "fare", None, {}) is None
        assert guess_of(str(tmp_path / "t.csv"), "fair", None, {}) is None


class TestProcesses:
    def test_are_started_once_and_end_with_the_run(self, started):
        with compiling_ahead(PLAIN):
            assert [process[-1] for process in started] == ["runs", "runs"]
        assert started[-1][-1] == "killed"
        with compiling_ahead(PLAIN):  # there is nothing left to compile
            assert len(started) == 2
        with compiling_ahead(Guess(**{**vars(PLAIN), "loss": "huber"})):
            assert len(started) == 4

    def test_are_started_again_after_a_run_that_failed(self, started):
        for _ in range(2):
            with pytest.raises(KeyError), compiling_ahead(PLAIN):
                raise KeyError
        assert len(started) == 4

    @pytest.mark.parametrize(
        "variable, value",
        [
            ("NUMBA_DISABLE_JIT", "1"),
            (compile_ahead.WANTED, "0"),
            ("GRADSTEP_CACHE_DIR", "/dev/null/cache"),
        ],
    )
    def test_are_not_started_where_nothing_is_gained(self, started, monkeypatch, variable, value):
        monkeypatch.setenv(variable, value)
        with compiling_ahead(PLAIN), compiling_ahead(None):
            assert started == []

    def test_are_not_started_on_a_busy_machine(self, started, monkeypatch):
        monkeypatch.setattr(compile_ahead.os, "getloadavg", lambda: (4.0, 0.5, 0.5))
        with compiling_ahead(PLAIN):
            assert started == []

    def test_end_when_the_run_is_killed(self):
        run = subprocess.run(
            [sys.executable, "-c", KILLED], capture_output=True, check=False, timeout=60
        )  # fmt: skip
        assert run.returncode == -signal.SIGKILL
        until = time.monotonic() + 20.0
        while watching() and time.monotonic() < until:
            time.sleep(0.05)
        assert watching() == []


def watching():
    """Return the processes that watch a run with this guess."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"_end_with_the_run" in words and b'"huber"' in words and b"os.kill" not in words:
            found.append(path)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("loss, target, classes", [
    (None, "fare", 0), ("pinball", "fare", 0), (None, "late", 2), (None, "by", 3),
])  # fmt: skip
def test_what_it_compiles_is_what_the_run_calls(tmp_path, loss, target, classes):
    """A run then asks the cache for nothing that trains: it has it all."""
    rng = np.random.default_rng(0)
    n = 60_000
    table = pl.DataFrame({
        "km": rng.gamma(2.0, 3.0, n),
        "zone": rng.integers(0, 300, n).astype(str),
        "fare": rng.poisson(5.0, n) + 0.5,
        "late": rng.choice(["no", "yes"], n),
        "by": rng.choice(["car", "bus", "tram"], n),
    })  # fmt: skip
    path = tmp_path / "trips.csv"
    table.write_csv(path)
    guess = Guess(**{**vars(guess_of(str(path), target, loss, {})), "sampled": True})
    assert guess.classes == classes
    options = [] if loss is None else ["--loss", loss]
    words = ["train", path, "-t", target, "--no-cache", "--max-iter", "5", "-m", tmp_path / "m"]
    done = subprocess.run(
        [sys.executable, "-c", ASKED_FOR, repr(guess), *map(str, words), *options],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (tmp_path / "m").exists()
    first, then = (set(line.split()) for line in done.stdout.splitlines()[:2])
    trains = ("sum_", "squares_", "factor", "solve", "score_")
    assert any(name.startswith("sum_") for name in first)
    assert [name for name in then if name.startswith(trains)] == []
