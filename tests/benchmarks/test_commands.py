"""Each command of the benchmarks runs, at sizes that tell nothing of speed."""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import typer

import benchmarks.__main__ as bench
from benchmarks import epoch_time, limit, problems, small_fits, tables
from benchmarks.solvers import __main__ as solvers
from benchmarks.solvers.cases import KINDS, Case
from benchmarks.solvers.peers import PEERS, versions


def _steps(names):
    return [bench.Step(name, name) for name in names]


def test_a_failure_stops_nothing_and_is_named_at_the_end(tmp_path, capsys):
    ran = []

    def run(line):
        ran.append(line[2])
        return 3 if line[2].endswith("limit") else 0

    out = tmp_path / "bench"
    asked = ["--folder", str(out)]
    namespace = _asked(asked)
    assert bench.run_all(_steps(["startup", "limit", "tables"]), namespace, run) == 1
    assert ran == ["benchmarks.startup", "benchmarks.limit", "benchmarks.tables"]
    assert capsys.readouterr().out.endswith("failed: limit (3)\n")
    assert bench.run_all(_steps(["startup"]), namespace, run) == 0
    assert capsys.readouterr().out.endswith("all of them ran\n")


def _asked(arguments):
    """Return what `python -m benchmarks` reads from its arguments."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "run_all", lambda _steps, asked, _run: found.append(asked) or 0)
        bench.main(arguments)
    return found[0]


def test_every_step_is_a_module_with_the_options_that_it_is_given(tmp_path):
    asked = _asked(["--quick", "--resume", "--jobs", "2", "--folder", str(tmp_path)])
    for step in bench.STEPS:
        line = bench.command(step, asked)
        assert util.find_spec(line[2]) is not None
        source = Path(util.find_spec(line[2]).origin)
        if source.name == "__init__.py":
            source = source.with_name("__main__.py")
        text = source.read_text(encoding="utf-8")
        for option in (part for part in line if part.startswith("--")):
            name = option.removeprefix("--")
            assert f'"{option}"' in text or f"    {name}: Annotated" in text, (step, option)


def test_the_page_of_a_quick_run_does_not_replace_the_one_of_the_docs(tmp_path):
    page = next(step for step in bench.STEPS if step.name == "page")
    (tmp_path / "limit.json").touch()
    line = bench.command(page, _asked(["--quick", "--folder", str(tmp_path)]))
    assert line[3:] == [str(tmp_path / "limit.json"), "--out", str(tmp_path)]
    line = bench.command(page, _asked(["--folder", str(tmp_path)]))
    assert line[-1] == "docs/benchmarks"


def test_every_peer_has_a_file_and_every_file_is_a_peer():
    folder = Path(util.find_spec("benchmarks.solvers.peers").origin).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(PEERS)


def test_every_peer_is_pinned():
    folder = Path(util.find_spec("benchmarks").origin).parent
    files = (place / "constraints.txt" for place in (folder, folder.parent))
    pinned = {line.partition("==")[0] for file in files for line in file.read_text().split()}
    assert set(versions()) - {"gradstep"} <= pinned


@pytest.mark.parametrize("kind", KINDS)
def test_cases_have_names_of_their_own(kind):
    for quick in (False, True):
        names = [case.name for case in KINDS[kind](quick=quick)]
        assert len(names) == len(set(names))


@pytest.mark.slow
def test_solvers_keep_what_is_there(tmp_path, monkeypatch, capsys):
    made = [Case("dense", "squared_error", "l2", n, 3) for n in (60, 80)]
    monkeypatch.setitem(solvers.KINDS, "cases", lambda *, quick: made)  # noqa: ARG005
    out = tmp_path / "new" / "solvers.json"
    options = {
        "only": None, "grow": False, "published": False, "loose": False, "threads": 1, "jobs": 1,
        "excess": None, "verbose": False, "repeats": 1, "quick": True, "markdown": True,
    }  # fmt: skip
    solvers.main(**(options | {"only": ["60"]}), out=out, resume=False)
    first = json.loads(out.read_text())
    solvers.main(**options, out=out, resume=True)
    second = json.loads(out.read_text())
    assert [each["case"] for each in second["results"]] == [case.name for case in made]
    assert second["results"][0] == first["results"][0]
    assert {"machine", "versions", "date", "kind", "threads", "jobs"} <= set(second)
    names = [side["name"] for side in second["results"][1]["sides"]]
    assert names[0] == "gradstep"
    assert "scikit-learn Ridge cholesky" in names
    assert all(len(s["seconds"]) == 1 for s in second["results"][1]["sides"][:3])
    solvers.main(**(options | {"only": ["60"]}), out=out, resume=True)  # and keeps the others
    assert json.loads(out.read_text())["results"] == second["results"]
    with pytest.raises(typer.BadParameter, match="excess"):
        solvers.main(**(options | {"excess": 0.1}), out=out, resume=True)
    assert "geometric mean" in capsys.readouterr().out


@pytest.mark.slow
def test_small_fits(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(small_fits, "_SHAPES", ((40, 2),))
    monkeypatch.setattr(small_fits, "_FEW", 2)
    monkeypatch.setattr(small_fits, "_CALLS", 1)
    monkeypatch.setattr(small_fits, "_STRENGTHS", np.array([1e-3]))
    small_fits.main(["--quick", "--json", str(tmp_path / "out.json")])
    assert "partial_fit of one row" in capsys.readouterr().out
    grid = json.loads((tmp_path / "out.json").read_text())["grids"][0]
    assert len(grid["rows"]) == 6


@pytest.mark.slow
def test_limit(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(limit, "NUMBERS", 400_000)
    monkeypatch.setattr(limit, "FEATURES", (10,))
    monkeypatch.setattr(limit, "ROUNDS", 1)
    limit.main(quick=True, only="share,single", out=tmp_path / "out.json", markdown=True)
    points = json.loads((tmp_path / "out.json").read_text())["points"]
    assert [point["figure"] for point in points] == ["share", "share", "single"]
    assert "blocks, 10 features" in capsys.readouterr().out


@pytest.mark.slow
def test_epoch_time(tmp_path, monkeypatch):
    monkeypatch.setattr(epoch_time, "QUICK_FRACTION", 1e-4)
    monkeypatch.setattr(epoch_time, "QUICK_SECONDS", 1e-3)
    epoch_time.main(
        quick=True, cells="dense-100-256", libraries="gradstep,scikit", repeats=1,
        json=tmp_path / "out.json", read=None, markdown=True, list_cells=False,
    )  # fmt: skip
    cells = json.loads((tmp_path / "out.json").read_text())["cells"]
    assert [len(cell["libraries"]) > 1 for cell in cells] == [True]
    assert problems.Cell(**cells[0]["cell"]).name == "dense-100-256"


@pytest.mark.slow
def test_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "QUICK_DIVISOR", 500)
    monkeypatch.setenv(tables.CACHE_VARIABLE, str(tmp_path))  # put back when the test ends
    tables.main(
        quick=True, only="sorted", repeats=1, vw="python", folder=tmp_path,
        out=tmp_path / "out.json", markdown=True,
    )  # fmt: skip
    assert json.loads((tmp_path / "out.json").read_text())["grids"][0]["rows"]
