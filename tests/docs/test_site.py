"""Every page is in the site's navigation, and every link of a page leads somewhere; no Sphinx."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gradstep
from docs.site import diagnostics
from docs.site.command_line import command_line
from docs.site.links import ROOT, broken
from docs.site.pages import INDEX, every_page, sections
from docs.site.reference import groups, reference_pages
from gradstep.cli.main import app

# What is in docs/ and is no page: the list of pages, and a form to copy.
NO_PAGES = {INDEX, Path("docs/adr/template.md")}
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)


def test_every_page_is_listed_once():
    listed = list(every_page())
    there = {page for page in PAGES if page.parts[0] == "docs"} - NO_PAGES
    assert not there - set(listed), "docs/index.md must list them, below one of its headings"
    assert len(listed) == len(set(listed))


def test_the_sections_are_those_of_diataxis():
    assert [section.title for section in sections()] == [
        "Tutorials", "How-to", "Reference", "Explanation", "Project",
    ]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_link_leads_nowhere(page):
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("docs.site.links.ROOT", tmp_path)
    (tmp_path / "one.md").write_text(
        "# One\n[a](two.md) [b](#one) [c](one.md#two)\n```\n[](x)\n```"
    )
    assert broken(Path("one.md")) == [
        "one.md: there is no two.md",
        "one.md: one.md has no heading #two",
    ]


def test_the_page_of_diagnostics_is_what_the_catalogue_says():
    assert (ROOT / diagnostics.PAGE).read_text(encoding="utf-8") == diagnostics.page(), (
        "python -m docs.site.diagnostics writes it"
    )


def test_every_public_name_has_a_page():
    names = [name for group in groups().values() for name in group]
    assert sorted(names) == sorted(set(gradstep.__all__) - {"__version__"})
    written = dict(reference_pages())
    assert all(any(f":: {name}\n" in page for page in written.values()) for name in names)
    assert len({page.lower() for page in written}) == len(written)  # also where case is none
    assert ":members: " in written["python/MiniBatchRegressor.md"]
    assert "set_fit_request" not in written["python/MiniBatchRegressor.md"]


def test_the_packages_docstring_names_what_there_is():
    named = re.findall(r"`(\w+)`", gradstep.__doc__)
    assert named
    assert set(named) <= set(gradstep.__all__)


def test_the_reference_of_the_command_line_has_every_option():
    import typer

    page = command_line(app, "1.2.3")
    group = typer.main.get_command(app)
    for verb, command in group.commands.items():
        _, _, section = page.partition(f"## gradstep {verb}\n")
        section = section.partition("\n## ")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert all(f"`{option}`" in section for option in parameter.opts)
    assert "| `--l1-ratio` `NUMBER` | `0.15` | Share of l1 in elasticnet. |" in page
    assert "`/" not in page  # no path of the machine that made it
