"""The command line, run in this process, and a small table for it."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import polars as pl
import pytest

from gradstep.cli.main import main


@pytest.fixture
def gradstep(monkeypatch, capsys):
    """Return a function that runs the command line here: its status, stdout and stderr."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "TERMINAL_WIDTH"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "argv", ["gradstep", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        else:
            status = 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def told(gradstep):
    """Return a function that runs the command line with --json: what it told."""

    def run(*arguments):
        status, out, err = gradstep(*arguments, "--json")
        assert (status, err) == (0, "")
        return json.loads(out, parse_constant=pytest.fail)  # NaN is no JSON

    return run


@pytest.fixture
def fails(gradstep):
    """Return a function that runs the command line, which fails: its message, in one line."""

    def run(*arguments, status=1):
        found, out, err = gradstep(*arguments)
        assert found == status
        assert not out or out.startswith("Rows  ")  # the plan, where training failed
        assert "Traceback" not in err
        assert status == 2 or err.startswith("error: ")
        return " ".join(err.split())

    return run


def _trips(n, seed):
    rng = np.random.default_rng(seed)
    km, colour = rng.gamma(2.0, 3.0, n), rng.choice(["green", "red [:car:]", "yellow"], n)
    hour = rng.integers(0, 24, n).astype(object)
    hour[rng.random(n) < 0.1] = None
    score = 0.3 * km + (colour == "green") - 1.5
    paid = rng.random(n) < 1.0 / (1.0 + np.exp(-score))
    exposure = rng.uniform(0.5, 3.0, n)
    each = np.column_stack([km / 3.0, np.full(n, 2.0), (colour == "green") * 2.0])
    zone = (each + rng.gumbel(size=(n, 3))).argmax(axis=1)
    start = np.datetime64("2026-01-01", "ms")
    return pl.DataFrame({
        "id": [f"trip {seed} {i}" for i in range(n)],
        "start": start + (np.arange(n) * 3_600_000).astype("timedelta64[ms]"),
        "km": km,
        "hour": pl.Series(hour.tolist(), dtype=pl.Int64),
        "colour": colour,
        "fare": 3.0 + 2.5 * km + 2.0 * (colour == "green") + rng.normal(scale=0.5, size=n),
        "paid": np.where(paid, "yes", "no"),
        "ok": paid,
        "flag": paid.astype(int),
        "zone": np.array(["airport", "centre", "suburb"])[zone],
        "claims": rng.poisson(exposure * np.exp(0.1 * km - 1.0)),
        "log_exposure": np.log(exposure),
        "often": rng.integers(0, 4, n),
    })  # fmt: skip


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with trips.csv to train on, and later.csv to judge on."""
    home = tmp_path_factory.mktemp("trips")
    _trips(900, 1).write_csv(home / "trips.csv")
    _trips(200, 2).write_csv(home / "later.csv")
    return home


@pytest.fixture
def trips(folder, tmp_path, monkeypatch):
    """The table to train on; the working folder is a new one."""
    monkeypatch.chdir(tmp_path)
    return folder / "trips.csv"


@pytest.fixture
def later(folder):
    """The table to judge on."""
    return folder / "later.csv"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The working folder, a new one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def typed(monkeypatch):
    """Return a function that puts bytes on standard input."""

    def put(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put
