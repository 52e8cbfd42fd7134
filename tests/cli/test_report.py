"""`gradstep report`, and `train --report`: a page in a file."""

from __future__ import annotations

import pytest

import gradstep as gs
from tests.reporting.models import model_of, table_of
from tests.reporting.pages import check


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return a folder with a model, and a table that it can be judged by."""
    monkeypatch.chdir(tmp_path)
    model = model_of("two")
    gs.save(model, "m.safetensors")
    table_of(model).write_csv("later.csv")
    return tmp_path


def test_a_model_becomes_a_page(made, gradstep, told):
    assert gradstep("report", "m.safetensors") == (0, "The report is in m.html\n", "")
    page = (made / "m.html").read_text()
    check(page)
    assert page == gs.report(gs.load("m.safetensors")).html
    assert told("report", "m.safetensors", "-o", "n.html") == {
        "report": "n.html", "characters": len(page),
    }  # fmt: skip


def test_a_table_judges_it(made, gradstep):
    assert gradstep("report", "m.safetensors", "later.csv", "-o", "page.html")[0] == 0
    page = (made / "page.html").read_text()
    check(page)
    assert "later.csv" in page
    assert gradstep("report", "m.safetensors", "-o", "page.html")[0] == 0  # a report is replaced
    assert "later.csv" not in (made / "page.html").read_text()


def test_what_is_in_the_way_stays(made, fails, gradstep):
    (made / "notes.html").write_text("mine")
    assert "did not write it as a report" in fails("report", "m.safetensors", "-o", "notes.html")
    assert (made / "notes.html").read_text() == "mine"
    assert gradstep("report", "m.safetensors", "-o", "notes.html", "--force")[0] == 0
    assert "/dev/stdout for standard output" in fails("report", "m.safetensors", "-o", "-")
    assert "is the model" in fails("report", "m.safetensors", "-o", "m.safetensors", "--force")
    message = fails("report", "m.safetensors", "later.csv", "-o", "later.csv", "--force")
    assert "is a table that is read here" in message
    message = fails("report", "m.safetensors", "--sample-weight", "w")
    assert "--sample-weight would change nothing without a TABLE" in message
    assert "MODEL comes first" in fails("report", "later.csv", "m.safetensors")
    assert "no/where.safetensors" in fails("report", "no/where.safetensors", "-o", "x.html")


def test_train_writes_one_with_seconds_and_the_rows_held_out(tmp_path, monkeypatch, told, trips):
    monkeypatch.chdir(tmp_path)
    few = ("--only", "km,hour,colour", "--no-cache", "--max-iter", "3", "-m", "m.safetensors")
    found = told("train", trips, "-t", "fare", *few, "--report", "page.html", "--test", trips)
    assert found["report"] == "page.html"
    assert found["plan"]["writes"]["report"] == "page.html"
    page = (tmp_path / "page.html").read_text()
    check(page)
    assert page.count("Residuals against predictions</bdi>") == 2
    assert "held-out-residuals-title" in page
    model = gs.load("m.safetensors")
    history = model.provenance["history"]
    assert history["loss"] == [record["loss"] for record in found["history"]]
    assert "seconds" not in history
    assert model.provenance["columns"]["km"]["high"] > 0.0


def test_train_refuses_what_is_in_the_way_before_it_reads(tmp_path, monkeypatch, fails, trips):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.html").write_text("mine")
    message = fails("train", trips, "-t", "fare", "--report", "mine.html")
    assert "did not write it as a report" in message
    message = fails("train", trips, "-t", "fare", "-m", "m", "--report", "m")
    assert "m is the model" in message
