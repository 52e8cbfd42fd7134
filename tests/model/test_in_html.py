"""What a notebook shows of a model."""

from __future__ import annotations

import pytest

from tests.reporting.models import KINDS, model_of
from tests.reporting.pages import Page
from tests.test_markup import HOSTILE


@pytest.mark.parametrize("kind", KINDS)
def test_tells_what_matters(kind):
    model = model_of(kind)
    found = model._repr_html_()
    page = Page(found)
    constant = "constant rate × exposure" if kind == "counts" else "best constant"
    judged = "pinball loss" if kind == "quantile" else "root mean square error"
    for words in ("A model of y", judged, constant, "fare", "age"):
        assert words in page.text["div"]


@pytest.mark.parametrize("content", HOSTILE)
def test_names_do_nothing(content):
    names = [f"{at}{content}" for at in range(7)]
    found = model_of("three", names, classes=tuple(sorted(["b", content, "z"])))._repr_html_()
    assert not Page(found).all("script", "img", "style")
    assert len(found) < 20_000


def test_a_file_may_say_anything():
    model = model_of()
    model.provenance["validation"] = [1]
    assert "is not what gradstep writes" in model._repr_html_()
