"""The notebooks are those of the tutorials as they are, whose examples are tests themselves."""

from __future__ import annotations

import json
import re

import pytest

from docs.site.links import ROOT
from docs.site.notebooks import FOLDER, notebooks
from docs.site.pictures import PAGES

PATHS = sorted(notebooks())


def cells_of(path, kind):
    """Return the sources of a notebook's cells."""
    cells = json.loads((ROOT / path).read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def code_of(page):
    """Return the lines of code of a page, read line by line."""
    found, fence, prompts = [], None, False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line == "```python":
            fence, prompts = [], False
        elif line == "```" and fence is not None:
            found += (
                [each[4:] for each in fence if each[:3] in {">>>", "..."}] if prompts else fence
            )
            fence = None
        elif fence is not None:
            fence.append(line)
            prompts |= line.startswith(">>> ")
    return [line for line in found if line.strip()]


def test_the_notebooks_in_the_repository_are_those_of_the_pages():
    assert [path.name for path in PATHS] == sorted(f"{page.stem}.ipynb" for page in PAGES)
    assert sorted((ROOT / FOLDER).glob("*.ipynb")) == [ROOT / path for path in PATHS]
    for path, text in notebooks().items():
        written = (ROOT / path).read_text(encoding="utf-8")
        assert written == text, "python -m docs.site.notebooks writes it"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_has_the_form_that_jupyter_asks_for(path):
    whole = json.loads((ROOT / path).read_text(encoding="utf-8"))
    assert (whole["nbformat"], whole["nbformat_minor"]) == (4, 5)
    assert whole["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in whole["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", each) for each in ids)
    for cell in whole["cells"]:
        code = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | code
        assert not cell.get("outputs")
        assert "".join(cell["source"]).strip()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_has_the_code_of_its_page(path):
    page = next(page for page in PAGES if page.stem == path.stem)
    code = cells_of(path, "code")
    lines = [line for cell in code for line in cell.splitlines() if line.strip()]
    assert lines == code_of(page)
    for cell in code:
        compile(cell, str(path), "exec")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_links_of_a_notebook_lead_somewhere(path):
    prose = "\n".join(cells_of(path, "markdown"))
    assert "```python" not in prose
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", prose)]
    assert "../docs/no_tuning.md" in targets or path.stem != "tutorial"
    for target in targets:
        assert target.startswith("https:") or (ROOT / FOLDER / target).exists(), target


@pytest.mark.slow
def test_the_sixteen_questions_are_answered_for_other_data_too(capsys):
    cells = cells_of(FOLDER / "mini_batches.ipynb", "code")
    names = {}
    exec(cells[0].replace('data = "points"', 'data = "diabetes"'), names)  # noqa: S102
    assert names["x"].min() > 0.3  # body mass
    for cell in cells[1:]:
        exec(cell, names)  # noqa: S102
    told = capsys.readouterr().out.split()
    assert len(told) > 100
    assert "nan" not in told
