"""The gallery's examples are short, draw, and use public names; `make docs` runs them."""

from __future__ import annotations

import ast
import warnings

import pytest

import gradstep
from docs.site.links import GALLERY, ROOT, in_site
from docs.site.pages import sections
from docs.site.reference import reference_pages
from docs.site.self_contained import what_is_not
from docs.site.warnings_are_errors import set_filters

EXAMPLES = sorted((ROOT / GALLERY).glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_draws_and_uses_public_names(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 70
    assert "plt.show()" in text  # so that whoever runs it sees the picture
    tree = ast.parse(text)
    title, line = ast.get_docstring(tree, clean=True).splitlines()[:2]
    assert line == "=" * len(title)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert all(not name.name.startswith("gradstep.") for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("gradstep"):
            assert node.module == "gradstep"
            assert {name.name for name in node.names} <= set(gradstep.__all__)
        elif isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")


def test_the_gallery_is_a_page_of_the_how_to_section():
    pages = {section.title: section.pages for section in sections()}
    assert GALLERY / "README.rst" in pages["How-to"]
    assert len({in_site(path.relative_to(ROOT)) for path in EXAMPLES}) == len(EXAMPLES) >= 8


def test_the_reference_names_the_examples_that_use_a_name():
    written = dict(reference_pages())
    assert "(../gallery/resume.rst)" in written["python/Checkpoint.md"]


def test_a_page_that_loads_from_elsewhere_or_tells_of_this_machine_is_found(tmp_path):
    # split, so that this file loads nothing from elsewhere
    there = "https:" + "//example.org/a"
    (tmp_path / "good.html").write_text(f'<a href="{there}">a</a><img src="a.png">')
    (tmp_path / "script.html").write_text(f'<script defer src="{there}.js"></script>')
    (tmp_path / "sheet.html").write_text(f'<link href="{there}.css" rel="stylesheet" />')
    (tmp_path / "font.css").write_text(f"a{{src:url({there})}} b{{background:url(data:x)}}")
    (tmp_path / "path.html").write_text(f"File {ROOT}/x.py, line 1")
    found = list(what_is_not(tmp_path))
    assert [line.split()[0] for line in found] == [
        "font.css", "path.html", "script.html", "sheet.html",
    ]  # fmt: skip


def test_warnings_are_errors_in_examples_alone():
    before = list(warnings.filters)
    set_filters({}, None, "before")  # of a folder
    assert list(warnings.filters) == before
    set_filters({}, "example.py", "before")
    warnings.warn("FigureCanvasAgg is non-interactive, and thus cannot be shown", stacklevel=1)
    with pytest.raises(DeprecationWarning):
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    set_filters({}, "example.py", "after")
    assert list(warnings.filters) == before
