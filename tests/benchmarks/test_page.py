"""The page: what is lost stands first, in red, with what would win it."""

from __future__ import annotations

import json
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import typer

from benchmarks.page import RED, UNKNOWN, WORDS, main, page, sort_files, would_win
from benchmarks.solvers.cases import KINDS, Case
from benchmarks.solvers.files import Run, merged, read, write
from benchmarks.solvers.results import LOST, Found, Result

SLOW, LEVEL, QUICK = [2.0, 2.2, 2.1], [0.9, 1.1, 1.0], [0.5, 0.6, 0.55]


def _run(kind="cases", quick=False, threads=1, **cases):
    """Return a run whose cases have a peer with these seconds, gradstep's being 1."""
    about = {
        "kind": kind, "quick": quick, "date": "2000-01-01", "machine": {"processor": "P"},
        "threads": threads, "jobs": 1, "excess": 1e-6, "repeats": 3, "versions": {"glum": "3"},
    }  # fmt: skip
    made = [Case(name, "log_loss", "l2", 100, 30) for name in cases]
    results = [
        Result(case.name, [Found("gradstep", [1.0] * 3), Found("glum", seconds, skipped="why")])
        for case, seconds in zip(made, cases.values(), strict=True)
    ]
    return Run(about, made, results)


def test_verdicts_and_their_order():
    run = _run(won=SLOW, even=LEVEL, gone=QUICK, alone=[])
    assert [r.verdict for r in run.results] == ["ahead", "level", "LOST", "no peer"]
    text = page([run], [])
    lost, _, table = text.partition("## All cases")
    assert "1 of 4 cells" in lost
    assert lost.count(RED) == 1
    assert f"| {RED} | gone 100 x 30, log_loss, l2 0.0001 |" in lost
    assert "0.55 (0.50-0.60)" in lost
    rows = [line.split()[1] for line in table.splitlines() if "100 x 30" in line]
    assert rows == ["gone", "even", "won", "alone"]
    assert "⬜ level" in table
    assert "glum: why" in table
    assert f"3 rounds that count, 4 of {len(list(KINDS['cases'](quick=False)))} cases" in table


def test_says_that_no_cell_is_lost():
    assert "No cell.\n" in page([_run(won=SLOW)], [])


def test_says_that_it_is_from_a_quick_run():
    assert "quick run" in page([_run(quick=True, won=SLOW)], [])
    assert "quick run" not in page([_run(won=SLOW)], [])


def test_what_would_win_is_of_the_first_entry_that_matches(tmp_path):
    path = tmp_path / "words.toml"
    path.write_text(
        '[[cells]]\ncase = "text *"\npeer = "glum*"\nwords = "a"\n'
        '[[cells]]\ncase = "text *"\nwords = "b"\n'
    )
    assert would_win("text 1", "glum", path) == "a"
    assert would_win("text 1", "celer", path) == "b"
    assert would_win("dense 1", "celer", path) == UNKNOWN


def test_every_entry_of_what_would_win_is_of_a_case():
    names = [c.name for kind in KINDS.values() for c in kind(quick=False)]
    for entry in tomllib.loads(WORDS.read_text(encoding="utf-8"))["cells"]:
        assert any(fnmatchcase(name, entry["case"]) for name in names), entry


def test_a_run_is_read_as_it_was_written(tmp_path):
    run = _run(won=SLOW)
    write(tmp_path / "new" / "run.json", run)
    again = read(tmp_path / "new" / "run.json")
    assert again.about == run.about
    assert again.cases == run.cases
    assert str(again.results) == str(run.results)  # NaN is not equal to itself
    json.loads((tmp_path / "new" / "run.json").read_text(), parse_constant=pytest.fail)


def test_of_a_case_in_several_files_the_last_counts():
    runs = merged([_run(a=SLOW, b=SLOW), _run(threads=0, a=SLOW), _run(b=QUICK)])
    assert [run.about["threads"] for run in runs] == [1, 0]
    assert [result.verdict for result in runs[0].results] == ["ahead", "LOST"]


@pytest.mark.slow
def test_cells_that_are_measured_anew_take_the_place_of_those_before(tmp_path):
    """The rest of the page, and of what it keeps, stays: other cases, other kinds, epochs."""
    out, first, anew = tmp_path / "out", tmp_path / "first.json", tmp_path / "anew.json"
    scaling, limit = tmp_path / "scaling.json", tmp_path / "limit.json"
    write(first, _run("cases", gone=QUICK, stays=QUICK))
    write(scaling, _run("scaling", other=SLOW))
    shares = [{"figure": "share", "order": "exact", "p": p, "shares": [0.5]} for p in (10, 100)]
    limit.write_text(json.dumps({"points": shares}))
    main([first, scaling, limit], out=out)
    write(anew, _run("cases", gone=SLOW, new=SLOW))
    for path in (first, scaling, limit):
        path.unlink()
    main([anew], out=out)
    kept = {path.stem: path for path in (out / "measured").iterdir()}
    assert set(kept) == {"cases-1-1e-06", "scaling-1-1e-06", "limit"}
    cases = read(kept["cases-1-1e-06"])
    assert cases.about["date"] == "2000-01-01"
    found = {result.case.split()[0]: result for result in cases.results}
    assert set(found) == {"gone", "stays", "new"}
    assert (found["gone"].verdict, found["stays"].verdict) == ("ahead", LOST)
    assert json.loads(kept["limit"].read_text()) == {"points": shares}
    text = (out / "solvers.md").read_text(encoding="utf-8")
    assert "bandwidth.svg" in text
    assert "| other 100 x 30, " in text


def test_cases_of_two_days_say_so_and_of_two_machines_stand_in_no_table():
    run = _run(a=SLOW)
    later = run._replace(about=run.about | {"date": "2000-01-09"})
    (both,) = merged([run, later, run])
    assert both.about["date"] == "2000-01-01 to 2000-01-09"
    for name, value in (("machine", {"processor": "Q"}), ("versions", {"glum": "4"})):
        other = run._replace(about=run.about | {name: value})
        with pytest.raises(ValueError, match=f"kind 'cases' differ in {name}: "):
            merged([run, other])


def test_a_page_whose_measurements_are_gone_is_not_cut_to_the_new_ones(tmp_path):
    new = tmp_path / "new.json"
    write(new, _run("cases", one=SLOW))
    (tmp_path / "solvers.md").write_text("many cases")
    with pytest.raises(typer.BadParameter, match="give all files, with --anew"):
        main([new], out=tmp_path)
    assert (tmp_path / "solvers.md").read_text() == "many cases"


@pytest.mark.slow
def test_the_command_writes_the_page_and_every_picture_that_it_shows(tmp_path, capsys):
    paths = [tmp_path / f"{kind}.json" for kind in ("cases", "scaling")]
    for path in paths:
        write(path, _run(path.stem, won=SLOW, even=LEVEL, gone=QUICK))
    epochs = {
        "machine": {},
        "cells": [
            {
                "cell": {"layout": "dense", "features": 10, "batch": batch}, "rows": 100,
                "rate": 0.1, "libraries": [
                    {"name": name, "version": "1", "is_ours": name == "g", "epoch_seconds": [times]}
                    for name, times in zip("ghi", (1.0, 0.5, 2.0), strict=True)
                ],
            }
            for batch in (32, 256)
        ],
    }  # fmt: skip
    points = [
        {"figure": "share", "order": order, "p": p, "shares": [0.5, 0.6]}
        for order in ("blocks", "exact")
        for p in (10, 100)
    ]
    for name, content in (("epochs", epochs), ("limit", {"points": points}), ("x", {"grids": []})):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(content))
    main(paths, out=tmp_path / "out")
    assert "x.json: nothing for the page" in capsys.readouterr().out
    names = {"solvers", "peers", "scaling", "batches", "bandwidth"}
    text = (tmp_path / "out/solvers.md").read_text(encoding="utf-8")
    assert f"| {RED} | dense-10-32 | An epoch | h | 0.50 (0.50-0.50) | {UNKNOWN} |" in text
    assert "dense-10-32 | An epoch | i" not in text
    for name in names:
        assert f"]({name}.svg)" in text
        assert (tmp_path / f"out/{name}.svg").read_text().startswith("<?xml")
        assert (tmp_path / f"out/{name}.png").read_bytes().startswith(b"\x89PNG")
    first = (tmp_path / "out/solvers.svg").read_bytes()
    main(paths, out=tmp_path / "out")
    assert (tmp_path / "out/solvers.svg").read_bytes() == first


def test_files_are_told_apart(tmp_path):
    path = Path(tmp_path / "a.json")
    path.write_text('{"cells": []}')
    assert sort_files([path])["epochs"] == [path]
