"""The tutorials' pictures are those of their examples."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from docs.site.pictures import FOLDER, PAGES, draw, in_page, standalone
from gradstep.markup import Markup


def test_the_pages_show_every_picture_that_there_is():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for path in FOLDER.glob("*.svg"):
        assert f"(pictures/{path.name})" in text
        root = ET.parse(path).getroot()  # noqa: S314  (our own file)
        assert root.find("{http://www.w3.org/2000/svg}title") is not None
    shown = in_page(text, {path.stem: f"<svg>{path.stem}</svg>" for path in FOLDER.glob("*.svg")})
    assert "(pictures/" not in shown
    assert '<div class="picture"><svg>curve</svg></div>' in shown


def test_a_picture_of_its_own_has_its_colours():
    alone = standalone(Markup('<svg viewBox="0 0 1 1"><title>t</title></svg>'))
    assert alone.startswith('<svg viewBox="0 0 1 1" xmlns="http://www.w3.org/2000/svg">\n<style>')
    assert "prefers-color-scheme:dark" in alone


@pytest.mark.slow
def test_the_pictures_are_drawn_of_the_examples_as_they_are():
    drawn = draw()
    assert set(drawn) == {path.stem for path in FOLDER.glob("*.svg")}
    for name, picture in drawn.items():
        written = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
        assert written == standalone(picture), "python -m docs.site.pictures draws them"
