"""The page of a report: sound, complete, bounded, and right."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score, root_mean_squared_error

import gradstep
from gradstep.errors import CannotWrite, InvalidParameter
from gradstep.figures import number
from gradstep.reporting.document import Report
from tests.reporting.models import KINDS, PLAIN, covariance_of, model_of, table_of
from tests.reporting.pages import Page, check
from tests.test_markup import HOSTILE

SECTIONS = ["data", "run", "held-out", "table", "coefficients", "effects", "correlations", "notes"]
MISSTATED = "is not what gradstep writes"


@pytest.fixture(scope="module")
def pages():
    """Return the page of a model of each kind, with a table."""
    made = {}
    for kind in KINDS:
        model = model_of(kind, sure=kind != "hinge")
        made[kind] = model, table_of(model)
    return {kind: (*both, gradstep.report(*both).html) for kind, both in made.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_of_each_kind_is_sound(pages, kind):
    *_, html = pages[kind]
    page = check(html)
    assert [s["aria-labelledby"] for s in page.all("section")] == SECTIONS
    assert MISSTATED not in html
    assert "ships.csv" in page.text["header"]
    figures = {"number": "Residuals", "two": "ROC", "three": "ROC", "counts": "Hanging rootogram",
               "quantile": "Coverage", "hinge": "ROC"}  # fmt: skip
    assert figures[kind] in page.text["figcaption"]
    assert "Effect of day month" in page.text["figcaption"]


def test_is_the_same_each_time_and_needs_no_table(pages):
    model, table, html = pages["three"]
    assert gradstep.report(model, table).html == html
    alone = gradstep.report(model)
    check(alone.html)
    assert "Give a table" in alone.html
    assert (
        repr(alone) == f"<Report: {len(alone.html):,} characters of HTML; save(path) writes them>"
    )
    frame = alone._repr_html_()
    assert "sandbox" in frame
    assert "<script" not in frame


def test_numbers_are_those_of_evaluate_and_scikit_learn(pages):
    model, table, html = pages["number"]
    y, mean = table["y"].to_numpy(), model.predict(table)
    for value in (root_mean_squared_error(y, mean), r2_score(y, mean)):
        assert f">{number(value, 5)}<" in html
    model, table, html = pages["two"]
    found = gradstep.evaluate(model, table)
    area = roc_auc_score(table["y"].to_numpy(), model.predict_proba(table)[:, 1])
    assert found["auc"] == pytest.approx(area)
    assert f"Area under the curve: true {number(area)}" in html
    assert f"Average precision: true {number(found['pr_auc'])}" in html
    for tenth in found["calibration"]:
        assert f"{number(tenth['predicted'], 5)}</bdi>" in html
        assert f"{number(tenth['observed'], 5)}</bdi>" in html
    model, table, html = pages["three"]
    each = model.predict_proba(table)
    for c, name in enumerate(model.classes_):
        area = roc_auc_score(table["y"].to_numpy() == name, each[:, c])
        assert f"{name} {number(area)}" in html
    model, table, html = pages["quantile"]
    share = float((table["y"].to_numpy() <= model.predict(table)).mean())
    assert f"Of all rows {number(share)} lie" in html
    assert "95 % intervals of the quantile, not of single rows" in html
    assert "on the 0.9 quantile of " in html
    assert "added to the 0.9 quantile of " in html
    assert "R²" not in html
    assert "95 % intervals of the mean, not of single rows" in pages["counts"][2]
    for kind in ("two", "three"):
        assert "95 % intervals of the probability, not of single rows" in pages[kind][2]
    model, _, html = pages["three"]
    ash, *_ = model.intercept_
    assert f"The intercepts are <bdi>ash {number(ash, 6)}, elm " in html
    held_out = html.partition("Loss of the rows held out against passes")[2]
    assert "loss goes from 2.5 after 3 passes over the rows to 2 after 6" in held_out
    assert "constant rate × exposure" in pages["counts"][2]
    assert "best constant" in html


@pytest.mark.parametrize("content", HOSTILE)
def test_hostile_names_do_nothing(content):
    names = [f"{content}{at}" if len(content) < 1000 else f"{at}{content}" for at in range(7)]
    model = model_of("three", names, ("a", content, "c"), tuple(sorted(["b", content, "z"])))
    model.provenance["source"] = content
    html = gradstep.report(model).html
    check(html)
    assert MISSTATED not in html
    assert len(html) < 200_000


def test_many_levels_and_features_are_bounded():
    levels = [f"level {i} {'x' * 50}" for i in range(3000)]
    model = model_of(levels=levels, sure=False)
    html = gradstep.report(model).html
    check(html)
    assert "and 2,981 more levels" in html
    assert re.search(r"and 3,0\d\d more<", html)
    assert len(html) < 200_000


def test_says_why_a_section_is_left_out():
    model = model_of(sure=False)
    model.provenance = {"no_inference": "sparse text has none"}
    html = gradstep.report(model).html
    for words in ("sparse text has none", "No rows were held out", MISSTATED):
        assert words in html
    model.provenance = {}
    html = gradstep.report(model).html
    check(html)
    for words in ("does not say which table", "does not say how it was trained", "importance"):
        assert words in html


@pytest.mark.parametrize("damaged", [
    {"history": {"epoch": [1, 2], "loss": "ab"}},
    {"history": {"epoch": [1, 2], "loss": [1e400, None]}},
    {"rows": []}, {"outcome": "unheard of"}, {"validation": {"rmse": "x"}}, {"columns": [1]},
    {"notes": 3},
    {"words": {"Target": {}}}, {"refit": True}, {"validation": [1]},
    {"history": {"epoch": [1, 2, 3], "loss": [1e308, -1e308, 0.0], "passes": [0, 0, 0]}},
    {"baseline": 7, "validation": {"rows": 3, "rmse": float("inf"), "confusion": [[1]]}},
])  # fmt: skip
def test_a_file_that_says_anything_of_itself(damaged):
    model = model_of()
    model.provenance |= damaged
    check(gradstep.report(model).html)


def test_codes_of_notes_are_links_to_what_they_mean():
    html = gradstep.report(model_of()).html
    assert html.count('<a href="#GS004">GS004</a> <bdi>') == 1
    section = html.partition('<h3 id="GS004">')[2]
    assert section.startswith("GS004: A column numbers the rows</h3><p>A column holds")
    assert "<code>drop=[&quot;COLUMN&quot;]</code>" in section
    assert " is older</bdi>" in html  # a note of a file of before
    without = gradstep.report(model_of(), ignore="GS004").html
    assert "GS004" not in without
    assert "What the notes mean" not in without


def test_what_makes_a_model_of_no_use_stands_in_a_box_before_the_figures():
    model = model_of()
    assert 'class="grave"' not in gradstep.report(model).html
    model.provenance["notes"] = [
        "GS015: of levels",
        "GS002: too good",
        "GS111: edge",
        "GS001: leak",
    ]
    html = gradstep.report(model).html
    page = check(html)
    classes = [attributes.get("class") for _, attributes in page.elements]
    (box,) = [attributes for attributes in page.all("div") if attributes.get("class") == "grave"]
    assert box["role"] == "note"
    assert classes.index("grave") < classes.index("facts")
    box = html.partition('class="grave"')[2].partition("</div>")[0]
    codes = [attributes["href"][1:] for attributes in Page(f"<div{box}</div>").all("a")]
    assert codes == ["GS002", "GS001"]
    listed = html.partition("<h3>Noted</h3>")[2].partition("</ul>")[0]
    assert re.findall('href="#(GS...)"', listed) == ["GS002", "GS001", "GS015", "GS111"]
    assert 'class="grave"' not in gradstep.report(model, ignore="GS001,GS002").html


def test_correlated_coefficients_are_told():
    model = model_of()
    q = model.encoding.n_features + 1
    matrix = np.eye(q)
    matrix[0, 1] = matrix[1, 0] = -0.97
    object.__setattr__(model.covariance, "matrix", matrix[None])
    html = gradstep.report(model).html
    assert "Leave one of them out" in html
    assert "-0.97" in html


def test_is_written_whole_and_over_reports_alone(tmp_path):
    model = model_of()
    page = gradstep.report(model)
    path = tmp_path / "page.html"
    page.save(path)
    assert path.read_bytes() == page.html.encode()
    page.save(path)
    other = tmp_path / "other.html"
    other.write_text("<p>mine</p>")
    with pytest.raises(CannotWrite, match="no report of gradstep's"):
        page.save(other)
    assert other.read_text() == "<p>mine</p>"
    page.save(other, force=True)
    assert isinstance(page, Report)
    with pytest.raises(InvalidParameter, match="int has no report"):
        gradstep.report(3)


def test_names_of_a_model_are_those_of_its_table():
    assert covariance_of(model_of("three"), np.random.default_rng(0)).matrix.shape[0] == 1
    assert table_of(model_of()).columns[:5] == [*PLAIN[:5]]


def test_long_histories_are_bounded():
    model = model_of(sure=False)
    n = 500
    model.provenance["history"] = {
        "epoch": list(range(1, n + 1)), "loss": [1.0 + 1.0 / (i + 1) for i in range(n)],
    }  # fmt: skip
    html = gradstep.report(model).html
    check(html)
    assert "and 300 more" in html
    assert len(html) < 150_000
